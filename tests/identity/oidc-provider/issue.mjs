// Tokens for a user who came without a browser: what the password grant and the assertion grants share.
import { errors } from 'oidc-provider';

const { InvalidScope, InvalidTarget } = errors;

// Without asking for `offline_access`, which these grants do not know.
export function mayRefresh(client) {
  return client.grantTypeAllowed('refresh_token') && client.refresh_limit !== 0;
}

export function createIssue(provider, { defaultResource, resourceServer }) {
  return async function issue(ctx, { accountId, gty, withRefreshToken = false }) {
    const { client, params } = ctx.oidc;
    const resource = params.resource ?? defaultResource;
    if (typeof resource !== 'string') throw new InvalidTarget('only one resource may be asked for');
    const server = new provider.ResourceServer(resource, resourceServer(resource));
    const scopes = (params.scope ?? '').split(' ').filter(Boolean);
    const unknown = scopes.filter((scope) => !server.scopes.has(scope));
    if (unknown.length > 0) throw new InvalidScope('requested scope is not allowed', unknown.join(' '));
    const scope = scopes.join(' ') || undefined;

    const grant = new provider.Grant({ accountId, clientId: client.clientId });
    if (scope) grant.addResourceScope(resource, scope);
    const shared = { accountId, client, grantId: await grant.save(), gty, scope };

    const accessToken = new provider.AccessToken({ ...shared, resourceServer: server });
    ctx.oidc.entity('AccessToken', accessToken);
    ctx.body = {
      access_token: await accessToken.save(),
      token_type: accessToken.tokenType,
      expires_in: accessToken.expiration,
      scope,
    };
    if (withRefreshToken && mayRefresh(client)) {
      const refreshToken = new provider.RefreshToken({ ...shared, resource, rotations: 0 });
      ctx.oidc.entity('RefreshToken', refreshToken);
      ctx.body.refresh_token = await refreshToken.save();
    }
  };
}
