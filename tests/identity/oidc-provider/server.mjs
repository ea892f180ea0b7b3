// The authorization server of the demo and of the end-to-end tests: oidc-provider with users, clients and
// tokens kept in memory. All its credentials are public; never use it with real secrets.
//
//   HOST                    address to listen on (127.0.0.1)
//   PORT                    port to listen on (9400); 0 takes a free one
//   ISSUER                  issuer identifier (http://HOST:PORT)
//   ACCESS_TOKEN_TTL        lifetime of access tokens in seconds (3600)
//   INTROSPECTION_DELAY_MS  delay before each introspection response (0)
//   REDIRECT_URI            redirect URI of the clients that take one (http://127.0.0.1:9500/callback)
//   KEYFILE                 file that keeps the signing key across restarts (none: a new key each start)
//   EVERY_ALGORITHM         any value: has a key for each of the algorithms of its JWT access tokens (RS256 only)
//   TLS_PORT                port to listen on with TLS, too (none); 0 takes a free one
//   TLS_KEY, TLS_CERT       files with the private key and the certificate (PEM) of the TLS listener
//   TRUSTED_JWT_KEY         file with the public key (PEM, RSA) of the issuer whose JWT assertions are redeemed
//   TRUSTED_SAML_CERT       file with the certificate (PEM) of the issuer whose SAML assertions are redeemed
//   GATEWAY_ES256_KEY       file with the public key (PEM, P-256) of the client `gateway-key`
//   GATEWAY_RS256_KEY       file with the public key (PEM, RSA) of the client `gateway-key-rsa`
//
// Standard output: `tls URL` if it listens with TLS, `ready URL` once it listens, then `METHOD PATH STATUS` for
// each request answered.
import { start } from './provider.mjs';

// oidc-provider writes its notices with console.info; standard output belongs to the access log.
console.info = console.error;

await start(process.env, console.log);

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
