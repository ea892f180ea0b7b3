// What the grants that redeem an assertion of somebody else share (RFC 7521).
import { errors } from 'oidc-provider';

// Who may vouch for our users.
export const TRUSTED_ISSUER = 'https://partner.example.test';

// How far the clocks of the two may be apart.
export const SKEW_SECONDS = 5;

export const now = () => Math.floor(Date.now() / 1000);

// An assertion names who may redeem it by the issuer or by the token endpoint. Not by what the request calls
// this server: the Host header is the caller's.
export const tokenEndpoint = (provider) => `${provider.issuer}/token`;
export const audiences = (provider) => [provider.issuer, tokenEndpoint(provider)];

// Identifiers of assertions that were redeemed, each until it would be refused for its age. Looked up and
// entered in one step: two requests that arrive together must not both find nothing.
export class Redeemed {
  #until = new Map();

  // Whether this is the first time.
  add(id, until) {
    for (const [other, end] of this.#until) if (end + SKEW_SECONDS < now()) this.#until.delete(other);
    if (this.#until.has(id)) return false;
    this.#until.set(id, until);
    return true;
  }
}

// The one error of an assertion that does not do (RFC 7521, 4.1.1). Its description says why, which oidc-provider
// would keep to itself: it is about what the client has sent.
export function refuse(reason) {
  return new errors.CustomOIDCProviderError('invalid_grant', `the assertion is refused: ${reason}`);
}
