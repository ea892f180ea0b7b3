//! Another real identity server: Glewlwyd, with the users, clients and scopes of `tests/identity/glewlwyd/setup.json`.
//! Its access tokens are JWTs that can be introspected, and the `aud` of its answers is the scope.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use super::process::AccessLog;
use super::{Browser, Client, Endpoints, ServerProcess, SigningKey, Tokens};
use crate::http::{Request, try_send};
use crate::in_repository;
use crate::scripted::ScriptedServer;

const DIRECTORY: &str = "tests/identity/glewlwyd";
/// The schema in the Debian package. The copy in its documentation is missing on systems without documentation.
const SCHEMA: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
const INSTALL: &str = "install it by `make identity`, on Debian";
const START_LIMIT: Duration = Duration::from_secs(15);

pub struct Glewlwyd {
    process: ServerProcess,
    log: AccessLog,
    own: SocketAddr,
    /// Glewlwyd writes no access log, so requests go through this server, which counts them.
    front: ScriptedServer,
    /// Its database; removed after it has ended.
    _directory: TempDir,
}

impl Glewlwyd {
    pub const GATEWAY_ID: &str = "gateway";
    pub const GATEWAY_SECRET: &str = "gateway-secret";
    pub const GATEWAY: Client<'static> = Client::Basic(Self::GATEWAY_ID, Self::GATEWAY_SECRET);
    pub const INTROSPECTION_PATH: &str = "/api/oidc/introspect";
    /// Another gateway, whose secret only `Client::RawBasic` gets across.
    pub const ODD_GATEWAY: (&str, &str) = ("odd-gateway", "gate+way 100%/=secret");

    #[track_caller]
    pub fn start() -> Self {
        Self::with_access_token_ttl(3600)
    }

    #[track_caller]
    pub fn with_access_token_ttl(seconds: u64) -> Self {
        assert!(Path::new(SCHEMA).is_file(), "no Glewlwyd here: {INSTALL}");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = |name: &str| dir.path().join(name);
        // Stays bound without listening until the server listens, so that no other process gets this port.
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
        let mut command = Command::new("glewlwyd");
        let log = AccessLog::default();
        let said = log.clone();
        let command = command.arg("--config-file").arg(file("glewlwyd.conf"));
        let mut process = ServerProcess::spawn(command, INSTALL, move |line| said.push(line));
        process.wait_for("Glewlwyd to listen", START_LIMIT, |_| try_send(own, &Request::get("/api/")).ok());
        let front = ScriptedServer::in_front_of(own, |json| json);
        let server = Self { process, log, own, front, _directory: dir };
        server.set_up(seconds);
        server
    }

    /// By its administration API.
    #[track_caller]
    fn set_up(&self, access_token_ttl: u64) {
        let mut admin = self.logged_in("admin", "password");
        let key = SigningKey::rs256();
        // As it stands inside a JSON string.
        let pem = |path: PathBuf| std::fs::read_to_string(path).expect("a key").replace('\n', "\\n");
        let text = template("setup.json")
            .replace("@ISSUER@", &self.issuer())
            .replace("@PRIVATE_KEY@", &pem(key.private_pem()))
            .replace("@PUBLIC_KEY@", &pem(key.public_pem()))
            .replace("\"@ACCESS_TOKEN_TTL@\"", &access_token_ttl.to_string());
        let steps: Value = serde_json::from_str(&text).expect("setup.json");
        for step in steps.as_array().expect("a list of steps") {
            let path = format!("/api/{}/", step["path"].as_str().expect("a path"));
            let response = admin.send(as_json(Request::post(&path, step["body"].to_string())));
            assert_eq!(response.status, 200, "{step}: {}; it said: {}", response.text(), self.log());
        }
    }

    #[track_caller]
    fn logged_in(&self, user: &str, password: &str) -> Browser<'static> {
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

    /// The endpoints of the server itself. Requests to them are not counted.
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
        self.log.lines().join("\n") + &self.process.errors()
    }

    /// Returns the exact number of introspection requests to `addr`.
    pub fn introspections(&self) -> usize {
        self.front.calls().iter().filter(|call| call.path.starts_with(Self::INTROSPECTION_PATH.as_bytes())).count()
    }

    /// The gateway's access token for introspection.
    #[track_caller]
    pub fn gateway_token(&self) -> String {
        self.endpoints().client_credentials(Self::GATEWAY, "introspect")
    }

    /// Every client authentication method of the gateway at this server: its secret in the header or in the form, or
    /// its access token.
    pub fn gateways(token: &str) -> [Client<'_>; 3] {
        [Self::GATEWAY, Client::Post(Self::GATEWAY_ID, Self::GATEWAY_SECRET), Client::Bearer(token)]
    }

    /// An access token of the client `traveller`.
    #[track_caller]
    pub fn client_credentials(&self, scope: &str) -> String {
        self.endpoints().client_credentials(Client::TRAVELLER, scope)
    }

    /// Tokens of a user, for the client `web`.
    #[track_caller]
    pub fn password(&self, user: &str, password: &str, scope: &str) -> Tokens {
        self.endpoints().password(Client::WEB, user, password, scope)
    }

    /// Runs the authorization code flow of the public client `spa` in a browser: logs in, approves some of the
    /// requested scopes, and redeems the code.
    #[track_caller]
    pub fn authorization_code_pkce(&self, user: &str, password: &str, asked: &[&str], approved: &[&str]) -> Tokens {
        let mut browser = self.logged_in(user, password);
        let grant = json!({ "scope": approved.join(" ") }).to_string();
        let response =
            browser.send(as_json(Request { method: "PUT".into(), ..Request::post("/api/auth/grant/spa", grant) }));
        assert_eq!(response.status, 200, "approval: {}", response.text());
        // The login page comes back with `g_continue`, when the user is done there.
        let path = self.endpoints().authorization_path("spa", &asked.join(" ")) + "&g_continue";
        self.endpoints().redeem(Client::SPA, &browser.send(Request::get(path)))
    }

    /// Revokes a token of the client `web`.
    #[track_caller]
    pub fn revoke(&self, token: &str) {
        self.endpoints().revoke(Client::WEB, token);
    }
}

#[track_caller]
fn template(name: &str) -> String {
    std::fs::read_to_string(in_repository(DIRECTORY).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn as_json(request: Request) -> Request {
    request.header("content-type", "application/json")
}
