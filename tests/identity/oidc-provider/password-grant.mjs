// The resource owner password credentials grant (RFC 6749, 4.3), which oidc-provider leaves to its users.
import { errors } from 'oidc-provider';
import { authenticate } from './users.mjs';

const { InvalidGrant, InvalidRequest } = errors;

export function registerPasswordGrant(provider, { issue }) {
  async function handle(ctx) {
    const { username, password } = ctx.oidc.params;
    if (!username || !password) throw new InvalidRequest('username and password are required');
    if (!authenticate(username, password)) throw new InvalidGrant('wrong user name or password');
    await issue(ctx, { accountId: username, gty: 'password', withRefreshToken: true });
  }
  provider.registerGrantType('password', handle, ['username', 'password', 'scope', 'resource']);
}
