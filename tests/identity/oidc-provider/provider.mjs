// An authorization server: oidc-provider with users, clients and tokens kept in memory. server.mjs starts one server
// and documents the settings; fleet.mjs starts many.
import { createPrivateKey, generateKeyPair, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Provider, errors } from 'oidc-provider';
import { ADMIN_PATH, handleAdmin } from './admin.mjs';
import { clients } from './clients.mjs';
import { devicePages } from './device-pages.mjs';
import { INTERACTION_PATH, handleInteraction } from './interactions.mjs';
import { createIssue, mayRefresh } from './issue.mjs';
import { registerJwtBearerGrant } from './jwt-bearer-grant.mjs';
import { createStorage } from './memory.mjs';
import { registerPasswordGrant } from './password-grant.mjs';
import { registerSamlBearerGrant } from './saml-bearer-grant.mjs';
import { describe, findAccount } from './users.mjs';

const DAY = 24 * 3600;

// The access log status of a request whose client disconnected before the response was sent.
const CLIENT_LEFT = 499;

const SCOPE = 'view book cancel admin all APIManagerScope apimanagerscope GET:bookings DELETE:bookings';
const DEFAULT_RESOURCE = 'https://bookings.example.test/';
const RESOURCES = new Map([
  [DEFAULT_RESOURCE, { accessTokenFormat: 'opaque' }],
  ['https://jwt.example.test/', jwtsSignedWith('RS256')],
  // With EVERY_ALGORITHM.
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'EdDSA']
    .map((alg) => [`https://jwt.example.test/${alg}`, jwtsSignedWith(alg)]),
]);

function jwtsSignedWith(alg) {
  return { accessTokenFormat: 'jwt', jwt: { sign: { alg } } };
}

function resourceServer(resource, accessTokenTTL) {
  const format = RESOURCES.get(resource);
  if (!format) throw new errors.InvalidTarget();
  return { audience: resource, scope: SCOPE, accessTokenTTL, ...format };
}

const isConfidential = (client) => client.clientAuthMethod !== 'none';

// RFC 7009, 2.1: a client that tries to revoke the token of another client gets an error.
async function mayRevoke(ctx, client, token) {
  if (token.clientId !== client.clientId) throw new errors.InvalidRequest('the token belongs to another client');
  return true;
}

// A client with a `refresh_limit` may refresh that many times. oidc-provider knows no such limit, but asks here
// before it exchanges a refresh token for the next.
async function rotateRefreshToken(ctx) {
  const { client, entities: { RefreshToken: { rotations = 0 } } } = ctx.oidc;
  if (rotations >= (client.refresh_limit ?? Infinity)) throw new errors.InvalidGrant('the refresh limit is reached');
  return true;
}

// Not on the main thread: other servers of this process go on meanwhile.
async function generateKey(type, options) {
  // Through PEM, because Node.js 20 may deadlock otherwise: a collection during the export destroys the finished
  // generation, which takes the lock of the same key.
  const { privateKey } = await promisify(generateKeyPair)(type, {
    ...options,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return createPrivateKey(privateKey).export({ format: 'jwk' });
}

async function newKeys(env) {
  const rsa = { ...await generateKey('rsa', { modulusLength: 2048 }), use: 'sig' };
  if (!env.EVERY_ALGORITHM) return [{ ...rsa, alg: 'RS256' }];
  const others = await Promise.all([
    generateKey('ec', { namedCurve: 'P-256' }),
    generateKey('ec', { namedCurve: 'P-384' }),
    generateKey('ed25519'),
  ]);
  // Without `alg`: the RSA key signs with six of them.
  return [rsa, ...others];
}

async function signingKeys(env) {
  if (env.KEYFILE && existsSync(env.KEYFILE)) return JSON.parse(readFileSync(env.KEYFILE, 'utf8')).keys;
  const keys = await newKeys(env);
  if (env.KEYFILE) writeFileSync(env.KEYFILE, JSON.stringify({ keys }), { mode: 0o600 });
  return keys;
}

function configuration({ env, given, adapter, accessTokenTTL }) {
  return {
    adapter,
    clients: clients({
      redirectUri: env.REDIRECT_URI ?? 'http://127.0.0.1:9500/callback',
      gatewayKeys: { es256: given('GATEWAY_ES256_KEY'), rs256: given('GATEWAY_RS256_KEY') },
    }),
    extraClientMetadata: { properties: ['refresh_limit'] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    responseTypes: ['code', 'id_token token'],
    scopes: ['openid'],
    findAccount,
    extraTokenClaims: async (ctx, token) => describe(token.accountId),
    pkce: { required: (ctx, client) => !isConfidential(client) },
    interactions: { url: async (ctx, interaction) => `${INTERACTION_PATH}${interaction.uid}` },
    // Each authorization request asks for consent anew: an earlier decision of the same browser would take
    // its scopes off the consent page.
    loadExistingGrant: async (ctx) => {
      const id = ctx.oidc.result?.consent?.grantId;
      return id ? ctx.oidc.provider.Grant.find(id) : undefined;
    },
    issueRefreshToken: async (ctx, client) => mayRefresh(client),
    rotateRefreshToken,
    // A token outlives the login of the browser that asked for it.
    expiresWithSession: async () => false,
    ttl: {
      AccessToken: accessTokenTTL,
      AuthorizationCode: 60,
      ClientCredentials: accessTokenTTL,
      DeviceCode: 600,
      Grant: DAY,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: DAY,
      Session: DAY,
    },
    renderError: async (ctx, out) => {
      ctx.type = 'text';
      ctx.body = `${out.error}: ${out.error_description}\n`;
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true, ...devicePages },
      introspection: { enabled: true, allowedPolicy: async (ctx, client) => isConfidential(client) },
      revocation: { enabled: true, allowedPolicy: mayRevoke },
      resourceIndicators: {
        enabled: true,
        defaultResource: async (ctx, client, oneOf) => oneOf?.[0] ?? DEFAULT_RESOURCE,
        getResourceServerInfo: async (ctx, resource) => resourceServer(resource, accessTokenTTL),
        useGrantedResource: async () => true,
      },
    },
  };
}

// Starts a server as these variables say, and `say`s the lines of its standard output. It ends with `close`.
export async function start(env, say) {
  const host = env.HOST ?? '127.0.0.1';
  const accessTokenTTL = Number(env.ACCESS_TOKEN_TTL ?? 3600);
  const introspectionDelay = Number(env.INTROSPECTION_DELAY_MS ?? 0);
  // The file that a variable names, if it does.
  const given = (variable) => env[variable] && readFileSync(env[variable], 'utf8');
  const storage = createStorage();
  const settings = configuration({ env, given, adapter: storage.Adapter, accessTokenTTL });

  function createProvider(issuer, keys) {
    const provider = new Provider(issuer, { ...settings, jwks: { keys } });
    const issue = createIssue(provider, {
      defaultResource: DEFAULT_RESOURCE,
      resourceServer: (resource) => resourceServer(resource, accessTokenTTL),
    });
    registerPasswordGrant(provider, { issue });
    registerJwtBearerGrant(provider, { issue, publicKey: given('TRUSTED_JWT_KEY') });
    registerSamlBearerGrant(provider, { issue, certificate: given('TRUSTED_SAML_CERT') });
    provider.on('server_error', (ctx, error) => console.error(error));
    return provider;
  }

  function createHandler(issuer, firstKeys) {
    let keys = [];
    let provider;
    let protocol;
    // The keys of a provider cannot change, so a new provider replaces it. Issued tokens remain in the storage.
    const publish = (next) => {
      keys = next;
      provider = createProvider(issuer, keys);
      protocol = provider.callback();
    };
    publish(firstKeys);
    const newest = keys.length;
    const admin = {
      purge: storage.purge,
      rotate: async () => publish([...await newKeys(env), ...keys]),
      withdraw: () => publish(keys.slice(0, newest)),
    };
    return async (req, res) => {
      const path = req.url.split('?', 1)[0];
      // `close` comes after `finish`, and also when the client gave up.
      res.on('close', () => say(`${req.method} ${path} ${res.writableFinished ? res.statusCode : CLIENT_LEFT}`));
      if (path === '/healthz') {
        res.end('ok');
      } else if (path.startsWith(INTERACTION_PATH)) {
        await handleInteraction(provider, req, res);
      } else if (path.startsWith(ADMIN_PATH)) {
        await handleAdmin(provider, req, res, admin);
      } else {
        if (introspectionDelay > 0 && path === '/token/introspection') await sleep(introspectionDelay);
        if (!res.destroyed) await protocol(req, res);
      }
    };
  }

  const servers = [];

  // The issuer names a port, which is known only when the server listens.
  async function listen(server, port) {
    servers.push(server);
    // Longer than a proxy keeps an idle connection: node's 5 s closes them while the proxy reuses them.
    server.keepAliveTimeout = 120_000;
    server.listen(port, host);
    await once(server, 'listening');
    return `${host}:${server.address().port}`;
  }

  async function close() {
    storage.close();
    for (const server of servers) {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }
  }

  // Prepares the keys before the server listens, so that no request arrives while no handler is attached.
  const keys = await signingKeys(env);
  const plain = createServer();
  const url = `http://${await listen(plain, Number(env.PORT ?? 9400))}`;
  const handler = createHandler(env.ISSUER ?? url, keys);
  plain.on('request', handler);
  if (env.TLS_PORT) {
    const secure = createTlsServer({ key: given('TLS_KEY'), cert: given('TLS_CERT') }, handler);
    say(`tls https://${await listen(secure, Number(env.TLS_PORT))}`);
  }
  say(`ready ${url}`);
  return { close };
}
