//! The identity server: a real one, oidc-provider on node, with the users and clients of its `server.mjs`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::http::{Request, send};
use super::wire::Response;
use super::{in_repository, try_wait, wait_until};

const DIRECTORY: &str = "tests/identity/oidc-provider";
const START_LIMIT: Duration = Duration::from_secs(15);
/// Nobody listens here: the last redirect is read, not followed.
const REDIRECT_URI: &str = "http://127.0.0.1:9500/callback";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub id_token: Option<String>,
    /// What the server says it granted.
    pub scope: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct OidcProviderBuilder {
    env: BTreeMap<&'static str, String>,
}

impl OidcProviderBuilder {
    pub fn access_token_ttl(mut self, seconds: u64) -> Self {
        self.env.insert("ACCESS_TOKEN_TTL", seconds.to_string());
        self
    }

    pub fn introspection_delay(mut self, milliseconds: u64) -> Self {
        self.env.insert("INTROSPECTION_DELAY_MS", milliseconds.to_string());
        self
    }

    pub fn port(mut self, port: u16) -> Self {
        self.env.insert("PORT", port.to_string());
        self
    }

    #[track_caller]
    pub fn start(self) -> OidcProvider {
        OidcProvider::run(self)
    }
}

pub struct OidcProvider {
    child: Child,
    addr: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    barriers: AtomicUsize,
}

impl OidcProvider {
    pub const GATEWAY_ID: &str = "gateway";
    pub const GATEWAY_SECRET: &str = "gate+way 100%/=secret";
    pub const INTROSPECTION_PATH: &str = "/token/introspection";

    pub fn builder() -> OidcProviderBuilder {
        OidcProviderBuilder::default()
    }

    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    #[track_caller]
    fn run(builder: OidcProviderBuilder) -> Self {
        let directory = in_repository(DIRECTORY);
        assert!(directory.join("node_modules").is_dir(), "no node_modules in {DIRECTORY}: run `make identity`");
        let mut command = Command::new("node");
        command.arg("server.mjs").current_dir(directory).env("HOST", "127.0.0.1").env("PORT", "0").envs(&builder.env);
        for inherited in ["ISSUER", "REDIRECT_URI", "KEYFILE"] {
            command.env_remove(inherited);
        }
        let errors = tempfile::NamedTempFile::new().expect("a temporary file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors.reopen().expect("the temporary file"));
        let mut child = command.spawn().expect("cannot run `node`: install Node.js 20 or later");

        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stdout, read) = (child.stdout.take().expect("its stdout"), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                read.lock().expect("the lines").push(line);
            }
        });
        // From here on, dropping the server ends the process.
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self { child, addr: unknown, lines, barriers: AtomicUsize::new(0) };
        let ready = try_wait("the identity server to be ready", START_LIMIT, || {
            let lines = server.log();
            let url = lines.iter().find_map(|line| line.strip_prefix("ready http://"));
            url.map(|url| url.split_whitespace().next().unwrap_or_default().parse().expect("the address it listens on"))
        });
        server.addr = ready.unwrap_or_else(|error| {
            panic!("{error}; it said: {}", std::fs::read_to_string(errors.path()).unwrap_or_default())
        });
        server
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it wrote: `ready URL`, then `METHOD PATH STATUS` for each finished request.
    pub fn log(&self) -> Vec<String> {
        self.lines.lock().expect("the lines").clone()
    }

    /// How many introspections it has finished, exactly.
    pub fn introspections(&self) -> usize {
        // The lines arrive a moment after the answers. They keep their order, so what came before is there when a
        // request made now is.
        let path = format!("/barrier-{}", self.barriers.fetch_add(1, Ordering::Relaxed));
        send(self.addr, &Request::get(&path));
        let barrier = format!("GET {path} ");
        let seen = || self.log().iter().any(|line| line.starts_with(&barrier));
        wait_until("the identity server to log a request", Duration::from_secs(5), seen);
        let introspection = format!("POST {} ", Self::INTROSPECTION_PATH);
        self.log().iter().filter(|line| line.starts_with(&introspection)).count()
    }

    /// An access token of the client `traveller`, which has no user.
    #[track_caller]
    pub fn client_credentials(&self, scope: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        self.token(Some(("traveller", "traveller-secret")), &form).access_token
    }

    /// Tokens of a user, for the client `web`.
    #[track_caller]
    pub fn password(&self, user: &str, password: &str, scope: &str) -> Tokens {
        let form = [("grant_type", "password"), ("username", user), ("password", password), ("scope", scope)];
        self.token(Some(WEB), &form)
    }

    /// Tokens for the refresh token of the client `web`.
    #[track_caller]
    pub fn refresh(&self, refresh_token: &str) -> Tokens {
        self.token(Some(WEB), &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
    }

    /// Revokes a token of the client `web`.
    #[track_caller]
    pub fn revoke(&self, token: &str) {
        self.revoke_as(WEB, token);
    }

    /// Revokes a token of any client: the server lets a client revoke only its own.
    #[track_caller]
    pub fn revoke_as(&self, client: (&str, &str), token: &str) {
        let response = self.post("/token/revocation", Some(client), &[("token", token)]);
        assert_eq!(response.status, 200, "revocation: {}", response.text());
    }

    /// What a browser and the public client `spa` do together: log in, approve some of the scopes asked for, redeem the
    /// code.
    #[track_caller]
    pub fn authorization_code_pkce(&self, user: &str, password: &str, asked: &[&str], approved: &[&str]) -> Tokens {
        let verifier = "a-verifier-of-at-least-forty-three-characters";
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256::Hash::hash(verifier.as_bytes()));
        let scope = asked.join(" ");
        let query = encoded(&[
            ("client_id", "spa"),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT_URI),
            ("scope", &scope),
            ("state", "a-state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let mut browser = Browser { addr: self.addr, cookies: BTreeMap::new(), user, password, approved };
        let answer = browser.walk(format!("/auth?{query}"));
        let mut pairs = form_urlencoded::parse(answer.as_bytes());
        let (_, code) = pairs.find(|(name, _)| name == "code").unwrap_or_else(|| panic!("no code: {answer}"));
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "spa"),
            ("code", &*code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", verifier),
        ];
        self.token(None, &form)
    }

    #[track_caller]
    fn token(&self, client: Option<(&str, &str)>, form: &[(&str, &str)]) -> Tokens {
        let response = self.post("/token", client, form);
        assert_eq!(response.status, 200, "token: {}", response.text());
        let json = response.json();
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        Tokens {
            access_token: text("access_token").expect("an access token"),
            refresh_token: text("refresh_token"),
            id_token: text("id_token"),
            scope: text("scope"),
        }
    }

    #[track_caller]
    fn post(&self, path: &str, client: Option<(&str, &str)>, form: &[(&str, &str)]) -> Response {
        let mut request = Request::form(path, form);
        if let Some((id, secret)) = client {
            request =
                request.header("authorization", format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}"))));
        }
        send(self.addr, &request)
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const WEB: (&str, &str) = ("web", "web-secret");

fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// As much of a browser as the login and consent pages need.
struct Browser<'a> {
    addr: SocketAddr,
    cookies: BTreeMap<String, String>,
    user: &'a str,
    password: &'a str,
    approved: &'a [&'a str],
}

impl Browser<'_> {
    /// Follows redirects and fills in forms, up to the redirect to the client; returns the query of that.
    #[track_caller]
    fn walk(&mut self, start: String) -> String {
        let mut path = start;
        let mut form = None;
        for _ in 0..20 {
            let response = self.visit(&path, form.take());
            if let Some(location) = response.header("location") {
                if let Some(answer) = location.strip_prefix(REDIRECT_URI) {
                    return answer.trim_start_matches('?').to_owned();
                }
                let here = format!("http://{}", self.addr);
                path = location.strip_prefix(&here).unwrap_or(&location).to_owned();
            } else {
                assert_eq!(response.status, 200, "{path}: {}", response.text());
                form = Some(self.fill_in(&response.text()));
            }
        }
        panic!("the login does not come to an end; last at {path}");
    }

    fn visit(&mut self, path: &str, form: Option<Vec<(String, String)>>) -> Response {
        let request = form.map_or_else(
            || Request::get(path),
            |form| {
                let pairs: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                Request::form(path, &pairs)
            },
        );
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = send(self.addr, &request.host(self.addr.to_string()).header("cookie", cookies.join("; ")));
        for cookie in response.headers_named("set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap_or_default().split_once('=').expect("a cookie");
            // An empty value is how the server takes a cookie back.
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        response
    }

    /// The one form of the page as the user submits it, by its first button. It goes to the address of the page.
    fn fill_in(&self, page: &str) -> Vec<(String, String)> {
        let login = page.contains(r#"type="password""#);
        let mut fields = Vec::new();
        let mut pressed = false;
        for tag in page.split('<').filter_map(|piece| piece.split('>').next()) {
            let Some(name) = attribute(tag, "name") else {
                continue;
            };
            let value = attribute(tag, "value").unwrap_or_default();
            let kind = attribute(tag, "type").unwrap_or_default();
            let value = match kind.as_str() {
                _ if tag.starts_with("button ") && !pressed => {
                    pressed = true;
                    value
                }
                _ if !tag.starts_with("input ") => continue,
                "checkbox" if !self.approved.contains(&value.as_str()) => continue,
                "checkbox" | "hidden" => value,
                "password" => self.password.to_owned(),
                _ if login => self.user.to_owned(),
                _ => value,
            };
            fields.push((name, value));
        }
        assert!(!fields.is_empty(), "a page without a form: {page}");
        fields
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = rest.split('"').next()?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}
