//! Another real identity server: Glewlwyd, with the users, clients and scopes of `tests/identity/glewlwyd/setup.json`.
//! Its access tokens are JWTs that can be introspected, and the `aud` of its answers is the scope.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use super::http::{Request, try_send};
use super::identity::Tokens;
use super::oauth::{Browser, Client, Endpoints};
use super::scripted::ScriptedServer;
use super::{in_repository, try_wait};

const DIRECTORY: &str = "tests/identity/glewlwyd";
/// Of the Debian package; the copy in its documentation is missing where documentation is not installed.
const SCHEMA: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
const INSTALL: &str = "install it by `make identity`, on Debian";
const START_LIMIT: Duration = Duration::from_secs(15);
const WEB: Client = Client::Basic("web", "web-secret");

pub struct Glewlwyd {
    child: Child,
    own: SocketAddr,
    /// It writes no access log, so others come by this server, which counts them.
    front: ScriptedServer,
    dir: TempDir,
}

impl Glewlwyd {
    pub const GATEWAY_ID: &str = "gateway";
    pub const GATEWAY_SECRET: &str = "gateway-secret";
    pub const INTROSPECTION_PATH: &str = "/api/oidc/introspect";
    /// Another gateway, whose secret only `Client::RawBasic` gets across.
    pub const ODD_GATEWAY: (&str, &str) = ("odd-gateway", "gate+way 100%/=secret");
    /// It has no user.
    pub const TRAVELLER: Client = Client::Basic("traveller", "traveller-secret");

    #[track_caller]
    pub fn start() -> Self {
        Self::with_access_token_ttl(3600)
    }

    #[track_caller]
    pub fn with_access_token_ttl(seconds: u64) -> Self {
        assert!(Path::new(SCHEMA).is_file(), "no Glewlwyd here: {INSTALL}");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = |name: &str| dir.path().join(name);
        // Kept without listening until the server does: nobody else is given this port.
        let port = TcpSocket::new_v4().expect("a socket");
        port.set_reuseaddr(true).expect("an option of the socket");
        port.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let own = port.local_addr().expect("the port");

        let schema = std::fs::File::open(SCHEMA).expect("the schema");
        let database = Command::new("sqlite3").arg(file("glewlwyd.db")).stdin(schema).status();
        assert!(database.expect("cannot run `sqlite3`: Glewlwyd's package brings it").success(), "no database");
        let configuration = template("glewlwyd.conf")
            .replace("@PORT@", &own.port().to_string())
            .replace("@DIRECTORY@", &dir.path().to_string_lossy());
        std::fs::write(file("glewlwyd.conf"), configuration).expect("the configuration");
        let log = std::fs::File::create(file("log")).expect("the log");
        let child = Command::new("glewlwyd")
            .arg("--config-file")
            .arg(file("glewlwyd.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run `glewlwyd` ({error}): {INSTALL}"));
        // From here on, dropping the server ends the process.
        let server = Self { child, own, front: ScriptedServer::in_front_of(own, |json| json), dir };
        let up = || try_send(own, &Request::get("/api/")).ok();
        if let Err(error) = try_wait("Glewlwyd to listen", START_LIMIT, up) {
            panic!("{error}; it said: {}", server.log());
        }
        server.set_up(seconds);
        server
    }

    /// By its administration API.
    #[track_caller]
    fn set_up(&self, access_token_ttl: u64) {
        let mut admin = self.logged_in("admin", "password");
        let text = template("setup.json")
            .replace("@ISSUER@", &self.issuer())
            .replace("\"@ACCESS_TOKEN_TTL@\"", &access_token_ttl.to_string());
        let steps: Value = serde_json::from_str(&text).expect("setup.json");
        for step in steps.as_array().expect("a list of steps") {
            let path = format!("/api/{}/", step["path"].as_str().expect("a path"));
            let response = admin.send(as_json(Request::post(&path, step["body"].to_string())));
            assert_eq!(response.status, 200, "{step}: {}; it said: {}", response.text(), self.log());
        }
    }

    #[track_caller]
    fn logged_in(&self, user: &str, password: &str) -> Browser {
        let mut browser = Browser::new(self.own);
        let credentials = json!({ "username": user, "password": password });
        let response = browser.send(as_json(Request::post("/api/auth/", credentials.to_string())));
        assert_eq!(response.status, 200, "login: {}", response.text());
        browser
    }

    /// Where introspections are counted.
    pub fn addr(&self) -> SocketAddr {
        self.front.addr()
    }

    pub fn issuer(&self) -> String {
        format!("http://{}/api/oidc", self.own)
    }

    /// Those of the server itself: what comes here is not counted.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints {
            addr: self.own,
            authorization: "/api/oidc/auth",
            token: "/api/oidc/token",
            introspection: Self::INTROSPECTION_PATH,
            revocation: "/api/oidc/revoke",
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// How many introspections were asked of `addr`, exactly.
    pub fn introspections(&self) -> usize {
        self.front.call_count()
    }

    /// The gateway in every way in which it may ask here: by its secret in the header or in the form, or by a token of
    /// the scope `introspect`.
    #[track_caller]
    pub fn gateways(&self) -> [Client; 3] {
        let basic = Client::Basic(Self::GATEWAY_ID, Self::GATEWAY_SECRET);
        let token = self.endpoints().client_credentials(&basic, "introspect");
        [basic, Client::Post(Self::GATEWAY_ID, Self::GATEWAY_SECRET), Client::Bearer(token)]
    }

    /// An access token of the client `traveller`.
    #[track_caller]
    pub fn client_credentials(&self, scope: &str) -> String {
        self.endpoints().client_credentials(&Self::TRAVELLER, scope)
    }

    /// Tokens of a user, for the client `web`.
    #[track_caller]
    pub fn password(&self, user: &str, password: &str, scope: &str) -> Tokens {
        self.endpoints().password(&WEB, user, password, scope)
    }

    /// What a browser and the public client `spa` do together: log in, approve some of the scopes asked for, redeem the
    /// code.
    #[track_caller]
    pub fn authorization_code_pkce(&self, user: &str, password: &str, asked: &[&str], approved: &[&str]) -> Tokens {
        let mut browser = self.logged_in(user, password);
        let grant = json!({ "scope": approved.join(" ") }).to_string();
        let response =
            browser.send(as_json(Request { method: "PUT".into(), ..Request::post("/api/auth/grant/spa", grant) }));
        assert_eq!(response.status, 200, "approval: {}", response.text());
        // The login page comes back with `g_continue`, when the user is done there.
        let path = self.endpoints().authorization_path("spa", &asked.join(" ")) + "&g_continue";
        self.endpoints().redeem(&Client::Public("spa"), &browser.send(Request::get(path)))
    }

    /// Revokes a token of the client `web`.
    #[track_caller]
    pub fn revoke(&self, token: &str) {
        self.endpoints().revoke(&WEB, token);
    }
}

impl Drop for Glewlwyd {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[track_caller]
fn template(name: &str) -> String {
    std::fs::read_to_string(in_repository(DIRECTORY).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn as_json(request: Request) -> Request {
    request.header("content-type", "application/json")
}
