//! Another real identity server: django-oauth-toolkit, with the users and clients of its `server.py`. It answers in
//! chunks, and says little: no `iss`, `aud`, `sub`, `iat` and `token_type`.

use std::net::SocketAddr;

use super::python::PythonServer;
use super::{Browser, Client, Endpoints, Tokens};
use crate::http::Request;

pub struct DjangoOauthToolkit(PythonServer);

impl DjangoOauthToolkit {
    pub const GATEWAY_ID: &str = "gateway";
    pub const GATEWAY_SECRET: &str = "gate+way 100%/=secret";
    pub const GATEWAY: Client<'static> = Client::Basic(Self::GATEWAY_ID, Self::GATEWAY_SECRET);
    pub const INTROSPECTION_PATH: &str = "/o/introspect/";

    #[track_caller]
    pub fn start() -> Self {
        Self::with_access_token_ttl(3600)
    }

    #[track_caller]
    pub fn with_access_token_ttl(seconds: u64) -> Self {
        Self(PythonServer::start("django-oauth-toolkit", seconds))
    }

    pub fn addr(&self) -> SocketAddr {
        self.0.server.addr()
    }

    pub fn endpoints(&self) -> Endpoints {
        Endpoints {
            addr: self.addr(),
            authorization: "/o/authorize/",
            token: "/o/token/",
            introspection: Self::INTROSPECTION_PATH,
            revocation: "/o/revoke_token/",
        }
    }

    /// How many introspections it has answered, exactly.
    pub fn introspections(&self) -> usize {
        self.0.server.posts_to(Self::INTROSPECTION_PATH)
    }

    /// The gateway's access token for introspection.
    #[track_caller]
    pub fn gateway_token(&self) -> String {
        self.endpoints().client_credentials(Self::GATEWAY, "introspection")
    }

    /// Every client authentication method of the gateway at this server: its secret in the header or in the form, or
    /// its access token.
    pub fn gateways(token: &str) -> [Client<'_>; 3] {
        [Self::GATEWAY, Client::Post(Self::GATEWAY_ID, Self::GATEWAY_SECRET), Client::Bearer(token)]
    }

    /// An access token of the client `traveller`, which has no user.
    #[track_caller]
    pub fn client_credentials(&self, scope: &str) -> String {
        self.endpoints().client_credentials(Client::TRAVELLER, scope)
    }

    /// Tokens of a user, for the client `web`.
    #[track_caller]
    pub fn password(&self, user: &str, password: &str, scope: &str) -> Tokens {
        self.endpoints().password(Client::WEB, user, password, scope)
    }

    /// Runs the authorization code flow of the public client `spa` in a browser: logs in and redeems the code. There is
    /// no consent page.
    #[track_caller]
    pub fn authorization_code_pkce(&self, user: &str, password: &str, scope: &str) -> Tokens {
        let mut browser = Browser::new(self.addr());
        let login = browser.send(Request::form("/login/", &[("username", user), ("password", password)]));
        assert_eq!(login.status, 204, "login: {}", login.text());
        let redirect = browser.send(Request::get(self.endpoints().authorization_path("spa", scope)));
        self.endpoints().redeem(Client::SPA, &redirect)
    }

    /// Revokes a token of the client `web`.
    #[track_caller]
    pub fn revoke(&self, token: &str) {
        self.endpoints().revoke(Client::WEB, token);
    }
}
