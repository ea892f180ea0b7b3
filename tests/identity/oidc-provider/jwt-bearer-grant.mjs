// The JWT bearer grant (RFC 7523, 2.1): issues a token to the subject of a JWT that a trusted issuer has signed.
import { createPublicKey } from 'node:crypto';
import { jwtVerify } from 'jose';
import { errors } from 'oidc-provider';
import { Redeemed, SKEW_SECONDS, TRUSTED_ISSUER, audiences, now, refuse } from './assertions.mjs';
import { isUser } from './users.mjs';

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

// An assertion with a longer lifetime is rejected, because it could be used like a password.
const LONGEST_SECONDS = 300;

// `publicKey`: the registered key of the trusted issuer as PEM. If it is omitted, every assertion is rejected.
export function registerJwtBearerGrant(provider, { issue, publicKey }) {
  const key = publicKey && createPublicKey(publicKey);
  const redeemed = new Redeemed();

  async function verify(assertion) {
    if (!key) throw refuse('no issuer is trusted');
    const { payload } = await jwtVerify(assertion, key, {
      algorithms: ['RS256'],
      issuer: TRUSTED_ISSUER,
      audience: audiences(provider),
      requiredClaims: ['sub', 'exp', 'jti'],
      clockTolerance: SKEW_SECONDS,
    }).catch((error) => { throw refuse(error.message); });
    if (payload.exp - now() > LONGEST_SECONDS + SKEW_SECONDS) throw refuse('it is good for too long');
    if (!isUser(payload.sub)) throw refuse('unknown user');
    // `requiredClaims` takes a null for a claim.
    if (typeof payload.jti !== 'string') throw refuse('its jti is no string');
    if (!redeemed.add(payload.jti, payload.exp)) throw refuse('it was redeemed before');
    return payload.sub;
  }

  async function handle(ctx) {
    const { assertion } = ctx.oidc.params;
    if (!assertion) throw new errors.InvalidRequest('assertion is required');
    await issue(ctx, { accountId: await verify(assertion), gty: 'jwt-bearer' });
  }
  provider.registerGrantType(JWT_BEARER, handle, ['assertion', 'scope', 'resource']);
}
