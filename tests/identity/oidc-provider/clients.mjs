// The registered applications, and the gateways that may introspect tokens.
import { createPublicKey } from 'node:crypto';
import { JWT_BEARER } from './jwt-bearer-grant.mjs';
import { SAML_BEARER } from './saml-bearer-grant.mjs';

const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';
const NO_REDIRECT = { redirect_uris: [], response_types: [] };

function applications(redirectUri) {
  // `native`, because the implicit flow of a `web` application must redirect to https.
  const redirect = { application_type: 'native', redirect_uris: [redirectUri] };
  return [
    { client_id: 'traveller', client_secret: 'traveller-secret', grant_types: ['client_credentials'], ...NO_REDIRECT },
    {
      client_id: 'web',
      client_secret: 'web-secret',
      grant_types: [
        'authorization_code', 'refresh_token', 'client_credentials', 'password', 'implicit', JWT_BEARER, SAML_BEARER,
      ],
      response_types: ['code', 'id_token token'],
      ...redirect,
    },
    {
      client_id: 'spa',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', 'implicit'],
      response_types: ['code', 'id_token token'],
      ...redirect,
    },
    // A device without a browser.
    { client_id: 'kiosk', token_endpoint_auth_method: 'none', grant_types: [DEVICE_CODE, 'refresh_token'], ...NO_REDIRECT },
    // May refresh once, and then its user must log in again.
    {
      client_id: 'once',
      client_secret: 'once-secret',
      grant_types: ['password', 'refresh_token'],
      refresh_limit: 1,
      ...NO_REDIRECT,
    },
    // The client of the example in NetIQ's documentation.
    {
      client_id: '557c9074-6a09-4f1a-83a6-0d3b442e1cc0',
      client_secret: 'he3Mmy3IGgL9dxhufNHo312DQqTJYI8mB6GHA',
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['authorization_code', 'refresh_token', 'password'],
      response_types: ['code'],
      ...redirect,
    },
  ];
}

// Gateways introspect tokens. Only gateways with a key can also obtain tokens.
const GATEWAY = { grant_types: [], ...NO_REDIRECT };
const GATEWAYS = [
  // Its secret survives HTTP Basic only if both sides form-encode it first (RFC 6749, 2.3.1).
  { client_id: 'gateway', client_secret: 'gate+way 100%/=secret', ...GATEWAY },
  {
    client_id: 'gateway-post',
    client_secret: 'gate+way 100%/=secret',
    token_endpoint_auth_method: 'client_secret_post',
    ...GATEWAY,
  },
];

function withKey(id, alg, publicKey) {
  const key = createPublicKey(publicKey).export({ format: 'jwk' });
  return {
    client_id: id,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: alg,
    jwks: { keys: [{ ...key, use: 'sig', alg }] },
    ...GATEWAY,
    grant_types: ['client_credentials'],
  };
}

// `gatewayKeys`: public keys as PEM, by algorithm. Without one there is no such gateway.
export function clients({ redirectUri, gatewayKeys: { es256, rs256 } }) {
  const keyed = [];
  if (es256) keyed.push(withKey('gateway-key', 'ES256', es256));
  if (rs256) keyed.push(withKey('gateway-key-rsa', 'RS256', rs256));
  return [...applications(redirectUri), ...GATEWAYS, ...keyed];
}
