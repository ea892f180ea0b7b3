//! OAuth 2.0 clients, for any identity server.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use crate::http::{Request, send};
use crate::wire::Response;

/// No server listens at this address. The tests read the last redirect and do not follow it.
pub const REDIRECT_URI: &str = "http://127.0.0.1:9500/callback";
/// The code verifier (RFC 7636).
pub const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";

/// A client of an identity server and its authentication method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client<'a> {
    /// `client_secret_basic`, form-encoded first (RFC 6749, 2.3.1).
    Basic(&'a str, &'a str),
    /// `client_secret_basic` without that encoding, which some servers do not undo.
    RawBasic(&'a str, &'a str),
    /// `client_secret_post`.
    Post(&'a str, &'a str),
    /// `none`: a public client sends only its client ID.
    Public(&'a str),
    /// By an access token of the client.
    Bearer(&'a str),
}

impl<'a> Client<'a> {
    pub const WEB: Self = Self::Basic("web", "web-secret");
    pub const SPA: Self = Self::Public("spa");
    /// It has no user.
    pub const TRAVELLER: Self = Self::Basic("traveller", "traveller-secret");
    pub const KIOSK: Self = Self::Public("kiosk");
    pub const ONCE: Self = Self::Basic("once", "once-secret");
    /// The client of the example in NetIQ's documentation.
    pub const NETIQ: Self = Self::Post("557c9074-6a09-4f1a-83a6-0d3b442e1cc0", "he3Mmy3IGgL9dxhufNHo312DQqTJYI8mB6GHA");

    /// Returns the client ID. `Bearer` has none and fails the test.
    #[track_caller]
    pub fn id(self) -> &'a str {
        match self {
            Self::Public(id) | Self::Basic(id, _) | Self::RawBasic(id, _) | Self::Post(id, _) => id,
            Self::Bearer(_) => panic!("a client with a bearer token has no client ID here"),
        }
    }

    /// A form of this client.
    pub fn form(self, path: &str, pairs: &[(&str, &str)]) -> Request {
        let basic = |id: &str, secret: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
        match self {
            Self::Basic(id, secret) => {
                let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                Request::form(path, pairs).header("authorization", basic(&encode(id), &encode(secret)))
            }
            Self::RawBasic(id, secret) => Request::form(path, pairs).header("authorization", basic(id, secret)),
            Self::Post(id, secret) => {
                Request::form(path, &[pairs, &[("client_id", id), ("client_secret", secret)]].concat())
            }
            Self::Public(id) => Request::form(path, &[pairs, &[("client_id", id)]].concat()),
            Self::Bearer(token) => Request::form(path, pairs).bearer(token),
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
    /// Sends a token request. Returns the response.
    #[track_caller]
    pub fn token(&self, client: Client, form: &[(&str, &str)]) -> Response {
        send(self.addr, &self.addressed(client.form(self.token, form)))
    }

    #[track_caller]
    pub fn tokens(&self, client: Client, form: &[(&str, &str)]) -> Tokens {
        tokens_of(&self.token(client, form))
    }

    #[track_caller]
    pub fn client_credentials(&self, client: Client, scope: &str) -> String {
        self.tokens(client, &[("grant_type", "client_credentials"), ("scope", scope)]).access_token
    }

    #[track_caller]
    pub fn password(&self, client: Client, user: &str, password: &str, scope: &str) -> Tokens {
        let form = [("grant_type", "password"), ("username", user), ("password", password), ("scope", scope)];
        self.tokens(client, &form)
    }

    /// Where the browser of a user is sent to ask for a code.
    pub fn authorization_path(&self, client_id: &str, scope: &str) -> String {
        let challenge = challenge();
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
    pub fn redeem(&self, client: Client, redirect: &Response) -> Tokens {
        let code = code_of(redirect).unwrap_or_else(|| panic!("no code: {redirect:?}"));
        tokens_of(&self.redeem_code(client, &code, &[("code_verifier", VERIFIER)]))
    }

    /// Redeems an authorization code. Returns the token response.
    #[track_caller]
    pub fn redeem_code(&self, client: Client, code: &str, parameters: &[(&str, &str)]) -> Response {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT_URI)];
        self.token(client, &[&form[..], parameters].concat())
    }

    /// Introspects a token as this client, with the token type hint that the module sends. Returns the response.
    #[track_caller]
    pub fn introspect(&self, caller: Client, token: &str) -> Response {
        let form = [("token", token), ("token_type_hint", "access_token")];
        send(self.addr, &self.addressed(caller.form(self.introspection, &form)))
    }

    #[track_caller]
    pub fn revoke(&self, client: Client, token: &str) {
        let response = self.try_revoke(client, token);
        assert_eq!(response.status, 200, "revocation: {}", response.text());
    }

    #[track_caller]
    pub fn try_revoke(&self, client: Client, token: &str) -> Response {
        send(self.addr, &self.addressed(client.form(self.revocation, &[("token", token)])))
    }

    /// Some servers derive their issuer from the Host.
    fn addressed(&self, request: Request) -> Request {
        request.host(self.addr.to_string())
    }
}

/// The code in a redirect to the client.
pub fn code_of(response: &Response) -> Option<String> {
    member(response.header("location")?.strip_prefix(REDIRECT_URI)?.strip_prefix('?')?, "code")
}

/// The code challenge of `VERIFIER`.
pub fn challenge() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256::Hash::hash(VERIFIER.as_bytes()))
}

/// A token response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub id_token: Option<String>,
    /// The granted scope.
    pub scope: Option<String>,
}

impl Tokens {
    /// Reads the members of a response, from JSON or from a fragment.
    #[track_caller]
    pub fn from_members(member: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            access_token: member("access_token").expect("an access token"),
            refresh_token: member("refresh_token"),
            id_token: member("id_token"),
            scope: member("scope"),
        }
    }

    /// The refresh token; without one the test fails.
    #[track_caller]
    pub fn refresh(&self) -> &str {
        self.refresh_token.as_deref().expect("a refresh token")
    }

    /// The ID token; without one the test fails.
    #[track_caller]
    pub fn id(&self) -> &str {
        self.id_token.as_deref().expect("an ID token")
    }
}

/// The tokens of an answer of the token endpoint; a refusal fails the test.
#[track_caller]
pub fn tokens_of(response: &Response) -> Tokens {
    assert_eq!(response.status, 200, "token: {}", response.text());
    let json = response.json();
    Tokens::from_members(|name| json[name].as_str().map(str::to_owned))
}

/// A value of a query or a fragment.
pub fn member(pairs: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(pairs.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
