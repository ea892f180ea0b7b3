// The resource owner password credentials grant (RFC 6749, 4.3), which oidc-provider leaves to its users.
import { errors } from 'oidc-provider';
import { authenticate } from './users.mjs';

const { InvalidGrant, InvalidRequest, InvalidScope } = errors;

export function registerPasswordGrant(provider, { defaultResource, resourceServer }) {
  async function issue(ctx) {
    const { client, params } = ctx.oidc;
    if (!params.username || !params.password) throw new InvalidRequest('username and password are required');
    if (!authenticate(params.username, params.password)) throw new InvalidGrant('wrong user name or password');

    const resource = params.resource ?? defaultResource;
    const server = new provider.ResourceServer(resource, resourceServer(resource));
    const scopes = (params.scope ?? '').split(' ').filter(Boolean);
    const unknown = scopes.filter((scope) => !server.scopes.has(scope));
    if (unknown.length > 0) throw new InvalidScope('requested scope is not allowed', unknown.join(' '));
    const scope = scopes.join(' ') || undefined;

    const accountId = params.username;
    const grant = new provider.Grant({ accountId, clientId: client.clientId });
    if (scope) grant.addResourceScope(resource, scope);
    const shared = { accountId, client, grantId: await grant.save(), gty: 'password', scope };

    const accessToken = new provider.AccessToken({ ...shared, resourceServer: server });
    const refreshToken = new provider.RefreshToken({ ...shared, resource, rotations: 0 });
    ctx.oidc.entity('AccessToken', accessToken);
    ctx.oidc.entity('RefreshToken', refreshToken);

    ctx.body = {
      access_token: await accessToken.save(),
      token_type: accessToken.tokenType,
      expires_in: accessToken.expiration,
      refresh_token: await refreshToken.save(),
      scope,
    };
  }
  provider.registerGrantType('password', issue, ['username', 'password', 'scope', 'resource']);
}
