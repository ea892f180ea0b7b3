//! oidc-provider on node, with the users and clients of its `users.mjs` and `clients.mjs`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::certificates::TlsFiles;
use super::client::{REDIRECT_URI, VERIFIER, challenge, member};
use super::fleet::Member;
use super::{Client, Endpoints, Login, SigningKey, Tokens, tokens_of};
use crate::http::{Request, send};
use crate::wire::Response;

#[derive(Clone, Debug, Default)]
pub struct OidcProviderBuilder {
    env: BTreeMap<&'static str, String>,
    tls: bool,
}

impl OidcProviderBuilder {
    fn env(mut self, name: &'static str, value: impl ToString) -> Self {
        self.env.insert(name, value.to_string());
        self
    }

    pub fn access_token_ttl(self, seconds: u64) -> Self {
        self.env("ACCESS_TOKEN_TTL", seconds)
    }

    pub fn introspection_delay(self, milliseconds: u64) -> Self {
        self.env("INTROSPECTION_DELAY_MS", milliseconds)
    }

    pub fn port(self, port: u16) -> Self {
        self.env("PORT", port)
    }

    /// Whose JWT assertions are redeemed.
    pub fn trusts(self, key: &SigningKey) -> Self {
        self.env("TRUSTED_JWT_KEY", key.public_pem().display())
    }

    /// Whose SAML assertions are redeemed, by a certificate.
    pub fn trusts_certificate(self, certificate: &Path) -> Self {
        self.env("TRUSTED_SAML_CERT", certificate.display())
    }

    /// The key of the client `gateway-key`.
    pub fn gateway_es256(self, key: &SigningKey) -> Self {
        self.env("GATEWAY_ES256_KEY", key.public_pem().display())
    }

    /// The key of the client `gateway-key-rsa`.
    pub fn gateway_rs256(self, key: &SigningKey) -> Self {
        self.env("GATEWAY_RS256_KEY", key.public_pem().display())
    }

    /// Has a key for each of the algorithms of its JWT access tokens, where it else has one for RS256.
    pub fn every_algorithm(self) -> Self {
        self.env("EVERY_ALGORITHM", 1)
    }

    /// Listens with TLS, too, under an authority of its own.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    #[track_caller]
    pub fn start(self) -> OidcProvider {
        OidcProvider::run(self)
    }
}

pub struct OidcProvider {
    server: Member,
    addr: SocketAddr,
    tls_addr: Option<SocketAddr>,
    tls: Option<TlsFiles>,
    _files: TempDir,
    assertions: AtomicUsize,
}

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl OidcProvider {
    pub const GATEWAY_ID: &str = "gateway";
    pub const GATEWAY_SECRET: &str = "gate+way 100%/=secret";
    pub const GATEWAY: Client<'static> = Client::Basic(Self::GATEWAY_ID, Self::GATEWAY_SECRET);
    pub const INTROSPECTION_PATH: &str = "/token/introspection";
    pub const VERIFIER: &str = VERIFIER;
    /// The resource whose access tokens are JWTs, signed with RS256.
    pub const JWT_RESOURCE: &str = "https://jwt.example.test/";
    /// Who signs the assertions that it redeems.
    pub const TRUSTED_ISSUER: &str = "https://partner.example.test";

    pub fn builder() -> OidcProviderBuilder {
        OidcProviderBuilder::default()
    }

    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    #[track_caller]
    fn run(builder: OidcProviderBuilder) -> Self {
        let mut env = BTreeMap::from([("HOST", HOST.to_string()), ("PORT", "0".to_owned())]);
        env.extend(builder.env);
        let files = tempfile::tempdir().expect("a temporary directory");
        let tls = builder.tls.then(|| TlsFiles::write(files.path(), HOST));
        if let Some(tls) = &tls {
            env.insert("TLS_PORT", "0".to_owned());
            env.insert("TLS_KEY", tls.key.display().to_string());
            env.insert("TLS_CERT", tls.certificate.display().to_string());
        }
        let server = Member::start(&env);
        let addr = server.log().listening("ready http://").expect("it is ready");
        // It says `ready` last.
        let tls_addr = server.log().listening("tls https://");
        Self { server, addr, tls_addr, tls, _files: files, assertions: AtomicUsize::new(0) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens with TLS.
    #[track_caller]
    pub fn tls_addr(&self) -> SocketAddr {
        self.tls_addr.expect("it was started with `tls()`")
    }

    /// The certificate of the authority behind its TLS listener.
    pub fn ca_file(&self) -> PathBuf {
        self.tls.as_ref().expect("it was started with `tls()`").ca.clone()
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn token_endpoint(&self) -> String {
        format!("{}/token", self.issuer())
    }

    /// Returns its standard output: `ready URL`, then `METHOD PATH STATUS` for each finished request.
    pub fn log(&self) -> Vec<String> {
        self.server.log().lines()
    }

    /// Returns the exact number of finished introspection requests.
    pub fn introspections(&self) -> usize {
        self.server.log().posts_to(self.addr, Self::INTROSPECTION_PATH)
    }

    /// Returns the exact number of finished token requests.
    pub fn token_requests(&self) -> usize {
        self.server.log().posts_to(self.addr, "/token")
    }

    pub fn endpoints(&self) -> Endpoints {
        Endpoints {
            addr: self.addr(),
            authorization: "/auth",
            token: "/token",
            introspection: Self::INTROSPECTION_PATH,
            revocation: "/token/revocation",
        }
    }

    /// An access token of the client `traveller`, which has no user.
    #[track_caller]
    pub fn client_credentials(&self, scope: &str) -> String {
        self.endpoints().client_credentials(Client::TRAVELLER, scope)
    }

    /// A JWT access token (RFC 9068) of the client `traveller` for a resource: `JWT_RESOURCE`, or, with
    /// `every_algorithm()`, that and the name of the algorithm.
    #[track_caller]
    pub fn jwt(&self, scope: &str, resource: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", scope), ("resource", resource)];
        tokens_of(&self.token_request(Client::TRAVELLER, &form)).access_token
    }

    /// Returns how often its JWK set was fetched.
    pub fn keys_fetched(&self) -> usize {
        self.log().iter().filter(|line| line.starts_with("GET /jwks ")).count()
    }

    /// Signs with new keys from now on. The others are still published.
    #[track_caller]
    pub fn rotate_keys(&self) {
        self.administer("/admin/rotate");
    }

    /// Publishes only the newest keys.
    #[track_caller]
    pub fn withdraw_old_keys(&self) {
        self.administer("/admin/withdraw");
    }

    #[track_caller]
    fn administer(&self, path: &str) {
        assert_eq!(send(self.addr(), &Request::post(path, "")).status, 204, "{path}");
    }

    /// Tokens of a user, for the client `web`.
    #[track_caller]
    pub fn password(&self, user: &str, password: &str, scope: &str) -> Tokens {
        self.password_for(Client::WEB, user, password, scope)
    }

    #[track_caller]
    pub fn password_for(&self, client: Client, user: &str, password: &str, scope: &str) -> Tokens {
        self.endpoints().password(client, user, password, scope)
    }

    /// Tokens for the refresh token of the client `web`.
    #[track_caller]
    pub fn refresh(&self, refresh_token: &str) -> Tokens {
        self.refresh_for(Client::WEB, refresh_token)
    }

    #[track_caller]
    pub fn refresh_for(&self, client: Client, refresh_token: &str) -> Tokens {
        tokens_of(&self.try_refresh_for(client, refresh_token))
    }

    /// Sends a refresh request that may fail. Returns the response.
    #[track_caller]
    pub fn try_refresh_for(&self, client: Client, refresh_token: &str) -> Response {
        self.token_request(client, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
    }

    /// Revokes a token of the client `web`.
    #[track_caller]
    pub fn revoke(&self, token: &str) {
        self.revoke_as(("web", "web-secret"), token);
    }

    /// Revokes a token of any client: the server lets a client revoke only its own.
    #[track_caller]
    pub fn revoke_as(&self, (id, secret): (&str, &str), token: &str) {
        self.endpoints().revoke(Client::Basic(id, secret), token);
    }

    #[track_caller]
    pub fn try_revoke(&self, client: Client, token: &str) -> Response {
        self.endpoints().try_revoke(client, token)
    }

    /// Revokes any token, as an administrator does.
    #[track_caller]
    pub fn admin_revoke(&self, token: &str) {
        let response = send(self.addr(), &Request::form("/admin/revoke", &[("token", token)]));
        assert_eq!(response.status, 204, "revocation by the administrator");
    }

    /// Removes expired entries, as its schedule does. Returns the number of entries removed since the start.
    #[track_caller]
    pub fn admin_purge(&self) -> u64 {
        send(self.addr(), &Request::post("/admin/purge", "")).json()["purged"].as_u64().expect("a number")
    }

    /// Runs the authorization code flow of the public client `spa` in a browser: logs in, approves some of the
    /// requested scopes, and redeems the code.
    #[track_caller]
    pub fn authorization_code_pkce(&self, user: &str, password: &str, asked: &[&str], approved: &[&str]) -> Tokens {
        self.authorization_code_with_pkce(Client::SPA, &Login { user, password, asked, approved })
    }

    #[track_caller]
    pub fn authorization_code_with_pkce(&self, client: Client, login: &Login) -> Tokens {
        let code = self.code_with_pkce(client, login);
        tokens_of(&self.redeem_code(client, &code, &[("code_verifier", Self::VERIFIER)]))
    }

    #[track_caller]
    pub fn authorization_code(&self, client: Client, login: &Login) -> Tokens {
        tokens_of(&self.redeem_code(client, &self.code(client, login, &[]), &[]))
    }

    /// Redeems an authorization code. Returns the token response.
    #[track_caller]
    pub fn redeem_code(&self, client: Client, code: &str, parameters: &[(&str, &str)]) -> Response {
        self.endpoints().redeem_code(client, code, parameters)
    }

    /// An authorization code, to be redeemed with `VERIFIER` (RFC 7636).
    #[track_caller]
    pub fn code_with_pkce(&self, client: Client, login: &Login) -> String {
        self.code(client, login, &[("code_challenge", &challenge()), ("code_challenge_method", "S256")])
    }

    /// An authorization code, for a client to redeem.
    #[track_caller]
    pub fn code(&self, client: Client, login: &Login, parameters: &[(&str, &str)]) -> String {
        let answer = self.authorize(client, login, &[&[("response_type", "code")], parameters].concat());
        let query = answer.strip_prefix('?').unwrap_or_else(|| panic!("no query: {answer}"));
        member(query, "code").unwrap_or_else(|| panic!("no code: {answer}"))
    }

    /// The implicit flow of `spa`: the tokens are in the fragment of the last redirect.
    #[track_caller]
    pub fn implicit(&self, login: &Login) -> Tokens {
        let parameters = [("response_type", "id_token token"), ("nonce", "a-nonce")];
        let answer = self.authorize(Client::SPA, login, &parameters);
        let fragment = answer.strip_prefix('#').unwrap_or_else(|| panic!("no fragment: {answer}"));
        assert_eq!(member(fragment, "state").as_deref(), Some("a-state"), "{answer}");
        Tokens::from_members(|name| member(fragment, name))
    }

    /// Returns the rest of the last redirect after the redirect URI.
    #[track_caller]
    fn authorize(&self, client: Client, login: &Login, parameters: &[(&str, &str)]) -> String {
        let scope = login.asked.join(" ");
        let shared =
            [("client_id", client.id()), ("redirect_uri", REDIRECT_URI), ("scope", &scope), ("state", "a-state")];
        let query =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(shared).extend_pairs(parameters).finish();
        login.browser(self.addr()).walk(&format!("/auth?{query}")).redirect_to(REDIRECT_URI)
    }

    /// The device grant: `kiosk` shows a code, a user types it and approves, the device asks again.
    #[track_caller]
    pub fn device(&self, login: &Login) -> Tokens {
        let scope = login.asked.join(" ");
        let response = send(self.addr(), &Client::KIOSK.form("/device/auth", &[("scope", &scope)]));
        assert_eq!(response.status, 200, "device authorization: {}", response.text());
        let answer = response.json();
        let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned();
        let (device_code, user_code) = (text("device_code"), text("user_code"));
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", &device_code)];
        let early = self.token_request(Client::KIOSK, &form);
        assert_eq!((early.status, &early.json()["error"]), (400, &json!("authorization_pending")));

        let arrival = login.browser(self.addr()).types("user_code", &user_code).walk("/device");
        assert!(arrival.page().contains("Go on at the device."), "{arrival:?}");
        tokens_of(&self.token_request(Client::KIOSK, &form))
    }

    /// The claims of an assertion that it redeems, for a user; each call has another `jti`.
    pub fn jwt_claims(&self, user: &str) -> Value {
        let number = self.assertions.fetch_add(1, Ordering::Relaxed);
        json!({
            "iss": Self::TRUSTED_ISSUER,
            "sub": user,
            "aud": self.token_endpoint(),
            "exp": super::unix_time() + 120,
            "jti": format!("assertion-{number}"),
        })
    }

    /// Redeems a JWT assertion (RFC 7523) as the client `web`.
    #[track_caller]
    pub fn jwt_bearer(&self, assertion: &str, scope: &str) -> Response {
        self.redeem("urn:ietf:params:oauth:grant-type:jwt-bearer", assertion, scope)
    }

    /// Redeems a SAML 2.0 assertion (RFC 7522) as the client `web`.
    #[track_caller]
    pub fn saml_bearer(&self, assertion: &str, scope: &str) -> Response {
        self.redeem("urn:ietf:params:oauth:grant-type:saml2-bearer", assertion, scope)
    }

    #[track_caller]
    fn redeem(&self, grant_type: &str, assertion: &str, scope: &str) -> Response {
        self.token_request(Client::WEB, &[("grant_type", grant_type), ("assertion", assertion), ("scope", scope)])
    }

    /// Sends a token request. Returns the response, also if it is an error.
    #[track_caller]
    pub fn token_request(&self, client: Client, form: &[(&str, &str)]) -> Response {
        self.endpoints().token(client, form)
    }
}
