// Shared code of the assertion grants (RFC 7521).
import { errors } from 'oidc-provider';

// The only issuer whose assertions are accepted.
export const TRUSTED_ISSUER = 'https://partner.example.test';

// Allowed clock skew between the issuer and this server.
export const SKEW_SECONDS = 5;

export const now = () => Math.floor(Date.now() / 1000);

// The accepted audiences: the issuer identifier and the token endpoint. The Host header is not used, because the
// client controls it.
export const tokenEndpoint = (provider) => `${provider.issuer}/token`;
export const audiences = (provider) => [provider.issuer, tokenEndpoint(provider)];

// Identifiers of redeemed assertions, each kept until the assertion expires. Lookup and insertion are one step, so
// that two concurrent requests cannot redeem the same assertion.
export class Redeemed {
  #until = new Map();

  // Returns whether the assertion is redeemed for the first time.
  add(id, until) {
    for (const [other, end] of this.#until) if (end + SKEW_SECONDS < now()) this.#until.delete(other);
    if (this.#until.has(id)) return false;
    this.#until.set(id, until);
    return true;
  }
}

// The error for an invalid assertion (RFC 7521, 4.1.1). Its description gives the reason, which oidc-provider would
// omit. This is safe, because the reason concerns only data that the client sent.
export function refuse(reason) {
  return new errors.CustomOIDCProviderError('invalid_grant', `the assertion is refused: ${reason}`);
}
