//! What the clients of an identity server do, whichever server it is.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::http::{Request, send};
use super::identity::Tokens;
use super::wire::Response;

/// Nobody listens here: the last redirect is read, not followed.
const REDIRECT_URI: &str = "http://127.0.0.1:9500/callback";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";

/// A client, and how it proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Client {
    /// `client_secret_basic`, form-encoded first (RFC 6749, 2.3.1).
    Basic(&'static str, &'static str),
    /// `client_secret_basic` without that encoding, which some servers do not undo.
    RawBasic(&'static str, &'static str),
    /// `client_secret_post`.
    Post(&'static str, &'static str),
    /// Not at all: a public client says its name.
    Public(&'static str),
    /// By an access token of its own.
    Bearer(String),
}

impl Client {
    /// A POST of this form by this client.
    pub fn request(&self, path: &str, form: &[(&str, &str)]) -> Request {
        let basic = |id: &str, secret: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
        match self {
            Self::Basic(id, secret) => {
                let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                Request::form(path, form).header("authorization", basic(&encode(id), &encode(secret)))
            }
            Self::RawBasic(id, secret) => Request::form(path, form).header("authorization", basic(id, secret)),
            Self::Post(id, secret) => {
                Request::form(path, &[form, &[("client_id", *id), ("client_secret", *secret)]].concat())
            }
            Self::Public(id) => Request::form(path, &[form, &[("client_id", *id)]].concat()),
            Self::Bearer(token) => Request::form(path, form).bearer(token),
        }
    }
}

/// Where a server takes requests of its clients.
#[derive(Clone, Copy, Debug)]
pub struct Endpoints {
    pub addr: SocketAddr,
    pub authorization: &'static str,
    pub token: &'static str,
    pub introspection: &'static str,
    pub revocation: &'static str,
}

impl Endpoints {
    /// What the server answers to a request for tokens.
    #[track_caller]
    pub fn token(&self, client: &Client, form: &[(&str, &str)]) -> Response {
        send(self.addr, &self.addressed(client.request(self.token, form)))
    }

    #[track_caller]
    pub fn tokens(&self, client: &Client, form: &[(&str, &str)]) -> Tokens {
        let response = self.token(client, form);
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
    pub fn client_credentials(&self, client: &Client, scope: &str) -> String {
        self.tokens(client, &[("grant_type", "client_credentials"), ("scope", scope)]).access_token
    }

    #[track_caller]
    pub fn password(&self, client: &Client, user: &str, password: &str, scope: &str) -> Tokens {
        let form = [("grant_type", "password"), ("username", user), ("password", password), ("scope", scope)];
        self.tokens(client, &form)
    }

    /// Where the browser of a user is sent to ask for a code.
    pub fn authorization_path(&self, client_id: &str, scope: &str) -> String {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256::Hash::hash(VERIFIER.as_bytes()));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("client_id", client_id),
                ("response_type", "code"),
                ("redirect_uri", REDIRECT_URI),
                ("scope", scope),
                ("state", "a-state"),
                ("nonce", "a-nonce"),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ])
            .finish();
        format!("{}?{query}", self.authorization)
    }

    /// Tokens for the code in the redirect with which the browser comes back.
    #[track_caller]
    pub fn redeem(&self, client: &Client, redirect: &Response) -> Tokens {
        let code = code_of(redirect).unwrap_or_else(|| panic!("no code: {redirect:?}"));
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        self.tokens(client, &form)
    }

    /// What the server answers to this caller, with the hint that the module sends.
    #[track_caller]
    pub fn introspect(&self, caller: &Client, token: &str) -> Response {
        let form = [("token", token), ("token_type_hint", "access_token")];
        send(self.addr, &self.addressed(caller.request(self.introspection, &form)))
    }

    #[track_caller]
    pub fn revoke(&self, client: &Client, token: &str) {
        let response = send(self.addr, &self.addressed(client.request(self.revocation, &[("token", token)])));
        assert_eq!(response.status, 200, "revocation: {}", response.text());
    }

    /// Some servers derive their issuer from the Host.
    fn addressed(&self, request: Request) -> Request {
        request.host(self.addr.to_string())
    }
}

/// The code in a redirect to the client.
pub fn code_of(response: &Response) -> Option<String> {
    let location = response.header("location")?;
    let query = location.strip_prefix(REDIRECT_URI)?.strip_prefix('?')?;
    let code = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code");
    code.map(|(_, code)| code.into_owned())
}

/// A browser as far as its cookies go.
pub struct Browser {
    addr: SocketAddr,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, cookies: BTreeMap::new() }
    }

    #[track_caller]
    pub fn send(&mut self, request: Request) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = send(self.addr, &request.host(self.addr.to_string()).header("cookie", cookies.join("; ")));
        for cookie in response.headers_named("set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap_or_default().split_once('=').expect("a cookie");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        response
    }
}
