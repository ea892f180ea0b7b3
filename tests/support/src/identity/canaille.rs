//! Another real identity server: Canaille, with the users and clients of its `server.py`. In its answers times are
//! fractions and the audience is a list; a client learns only about the tokens of which it is an audience.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::python::PythonServer;
use super::{Browser, Client, Endpoints, Tokens};
use crate::http::Request;

pub struct Canaille(PythonServer);

impl Canaille {
    pub const GATEWAY_ID: &str = "gateway";
    pub const GATEWAY_SECRET: &str = "gateway-secret";
    /// A client has one way to ask; this one's is its secret in the header.
    pub const GATEWAY: Client<'static> = Client::Basic(Self::GATEWAY_ID, Self::GATEWAY_SECRET);
    pub const INTROSPECTION_PATH: &str = "/oauth/introspect";
    /// Another gateway, whose secret only `Client::RawBasic` gets across.
    pub const ODD_GATEWAY: (&str, &str) = ("odd-gateway", "gate+way 100%/=secret");

    #[track_caller]
    pub fn start() -> Self {
        Self::with_access_token_ttl(3600)
    }

    #[track_caller]
    pub fn with_access_token_ttl(seconds: u64) -> Self {
        Self(PythonServer::start("canaille", seconds))
    }

    pub fn addr(&self) -> SocketAddr {
        self.0.server.addr()
    }

    pub fn issuer(&self) -> String {
        self.0.server.url()
    }

    pub fn endpoints(&self) -> Endpoints {
        Endpoints {
            addr: self.addr(),
            authorization: "/oauth/authorize",
            token: "/oauth/token",
            introspection: Self::INTROSPECTION_PATH,
            revocation: "/oauth/revoke",
        }
    }

    /// How many introspections it has answered, exactly.
    pub fn introspections(&self) -> usize {
        self.0.server.posts_to(Self::INTROSPECTION_PATH)
    }

    /// An access token of the client `traveller`, which has no user.
    #[track_caller]
    pub fn client_credentials(&self, scope: &str) -> String {
        self.endpoints().client_credentials(Client::TRAVELLER, scope)
    }

    /// Tokens of a user, for the client `web`.
    #[track_caller]
    pub fn password(&self, user: &str, password: &str, scope: &str) -> Tokens {
        wait_for_the_next_second();
        self.endpoints().password(Client::WEB, user, password, scope)
    }

    /// Runs the authorization code flow of the public client `spa` in a browser: logs in and redeems the code. There is
    /// no consent page.
    #[track_caller]
    pub fn authorization_code_pkce(&self, user: &str, password: &str, scope: &str) -> Tokens {
        let mut browser = Browser::new(self.addr());
        for (path, field, value) in [("/login", "login", user), ("/auth/password", "password", password)] {
            let page = browser.send(Request::get(path)).text();
            let (_, rest) =
                page.split_once(r#"name="csrf_token" value=""#).unwrap_or_else(|| panic!("no form: {page}"));
            let form = [("csrf_token", rest.split('"').next().unwrap_or_default()), (field, value)];
            let response = browser.send(Request::form(path, &form));
            assert_eq!(response.status, 302, "{path}: {}", response.text());
        }
        let redirect = browser.send(Request::get(self.endpoints().authorization_path("spa", scope)));
        wait_for_the_next_second();
        self.endpoints().redeem(Client::SPA, &redirect)
    }

    /// Revokes a token of the client `web`.
    #[track_caller]
    pub fn revoke(&self, token: &str) {
        self.endpoints().revoke(Client::WEB, token);
    }
}

/// The token of a user is a JWT that differs from another one only by its times, in whole seconds: two of one second
/// would be the same token, whatever their scopes.
fn wait_for_the_next_second() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    std::thread::sleep(Duration::from_secs(1) - Duration::from_nanos(now.subsec_nanos().into()));
}
