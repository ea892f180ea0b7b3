// The admin API. It requires no authentication, because this server has no real secrets and listens on the loopback
// interface by default.
//
//   POST /admin/revoke  form: token   204, or 404 for an unknown token
//   POST /admin/purge                 removes expired entries, as the schedule does; returns the number
//                                     of entries removed since the start
//   POST /admin/rotate                204; new keys sign from now on, the others are still published
//   POST /admin/withdraw              204; only the newest keys are published
import { readForm } from './form.mjs';

export const ADMIN_PATH = '/admin/';

// Uses the provider's models, because its revocation endpoint accepts only the client that owns the token.
async function revoke(provider, token) {
  for (const model of [provider.AccessToken, provider.ClientCredentials, provider.RefreshToken]) {
    const found = await model.find(token);
    if (found) {
      await found.destroy();
      return true;
    }
  }
  return false;
}

export async function handleAdmin(provider, req, res, { purge, rotate, withdraw }) {
  const order = `${req.method} ${req.url}`;
  try {
    const form = await readForm(req);
    if (order === 'POST /admin/revoke') {
      res.writeHead(await revoke(provider, form.get('token') ?? '') ? 204 : 404).end();
    } else if (order === 'POST /admin/purge') {
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ purged: purge() }));
    } else if (order === 'POST /admin/rotate') {
      await rotate();
      res.writeHead(204).end();
    } else if (order === 'POST /admin/withdraw') {
      withdraw();
      res.writeHead(204).end();
    } else {
      res.writeHead(404).end();
    }
  } catch (error) {
    if (!error.status) console.error(error);
    res.writeHead(error.status ?? 500).end();
  }
}
