//! Tokens under judgement: issuers that sign what no issuer would, and tables of tokens with what becomes of them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::*;
use Verdict::{Passes, Refused, Status, Tells};

/// For what has to come, however slow the machine is.
pub const LIMIT: Duration = Duration::from_secs(60);
/// What tokens of an `Issuer` name as theirs.
pub const ISSUER: &str = "https://issuer.example.test";
/// What they are meant for.
pub const AUDIENCE: &str = "https://api.example.test/";

/// An issuer whose private keys the test has, so that it can sign what no issuer would. It serves its keys, nothing
/// else.
pub struct Issuer {
    pub rsa: SigningKey,
    pub ec: SigningKey,
    pub server: ScriptedServer,
    keys: Arc<Mutex<Vec<Value>>>,
}

impl Issuer {
    /// With an RSA key `rsa` and one on P-256 `ec`.
    pub fn start() -> Self {
        let (rsa, ec) = (SigningKey::rs256(), SigningKey::es256());
        let keys = Arc::new(Mutex::new(vec![rsa.jwk("rsa"), ec.jwk("ec")]));
        let served = Arc::clone(&keys);
        let server = ScriptedServer::start(move |_| Script::json(json!({ "keys": *served.lock().expect("the keys") })));
        Self { rsa, ec, server, keys }
    }

    /// Serves another key, too.
    pub fn publish(&self, jwk: Value) {
        self.keys.lock().expect("the keys").push(jwk);
    }

    /// An access token of the RSA key.
    pub fn token(&self, claims: &Value) -> String {
        self.rsa.sign(&header(), claims)
    }

    /// An Envoy that judges its tokens in several ways. Each has a name, what `jwt` says there, and what its rule
    /// demands; it is at the paths below its name.
    pub fn gateway(&self, ways: &[(&str, Value, Value)], upstream: &Upstream) -> EnvoyBuilder {
        let server = |(name, jwt, _): &(&str, Value, Value)| {
            let mut server = json!({
                "name": name,
                "cluster": "issuer",
                "issuer": ISSUER,
                "audience": [AUDIENCE],
                "jwt": { "jwks_path": "/jwks", "timeout": "5s" },
            });
            merge(&mut server["jwt"], jwt);
            server
        };
        let plugin = json!({
            "authorization_servers": ways.iter().map(server).collect::<Vec<_>>(),
            "upstream": { "headers": { "x-client": "client_id", "x-scope": "scope", "x-owner": "owner" } },
            "rules": ways.iter().map(|(name, _, require)| rule(name, require)).collect::<Vec<_>>(),
        });
        gateway().cluster("issuer", self.server.addr()).upstream(upstream.addr()).plugin(plugin)
    }
}

/// An Envoy that says why it refuses, and no more: the log is read after each token.
pub fn gateway() -> EnvoyBuilder {
    Envoy::builder().wasm_log_level("info")
}

/// The header of a token of the RSA key of an `Issuer`.
pub fn header() -> Value {
    json!({ "alg": "RS256", "typ": "at+jwt", "kid": "rsa" })
}

/// What an `Issuer` says of an access token.
pub fn claims() -> Value {
    let now = unix_time();
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "client_id": "web",
        "scope": "view",
        "iat": now,
        "exp": now + 600,
    })
}

/// The object with these members, too; `null` takes one away.
pub fn with(mut object: Value, members: &Value) -> Value {
    merge(&mut object, members);
    object
}

pub fn merge(object: &mut Value, members: &Value) {
    let object = object.as_object_mut().expect("an object");
    for (name, value) in members.as_object().expect("members") {
        if value.is_null() { drop(object.remove(name)) } else { drop(object.insert(name.clone(), value.clone())) }
    }
}

/// Takes the tokens of the server of the same name, below the path of that name.
pub fn rule(server: &str, require: &Value) -> Value {
    json!({
        "name": server,
        "match": [{ "path_prefix": format!("/{server}") }],
        "authorization_server": server,
        "require": require,
    })
}

/// What becomes of a token.
#[derive(Clone, Debug)]
pub enum Verdict {
    Passes,
    /// It passes, and the application is told this in this header.
    Tells(&'static str, &'static str),
    /// 401, for this reason.
    Refused(&'static str),
    /// Another refusal: 400 or 403.
    Status(u16),
}

impl Verdict {
    pub fn status(&self) -> u16 {
        match self {
            Passes | Tells(..) => 200,
            Refused(_) => 401,
            Status(status) => *status,
        }
    }
}

/// A token under judgement: what is special about it, where it is shown, what it is, what becomes of it.
pub type Row = (&'static str, &'static str, String, Verdict);

/// Shows each token twice, the second time to whatever the first has left in the cache. Whatever is otherwise than the
/// table says is named.
#[track_caller]
pub fn judge(envoy: &Envoy, upstream: &Upstream, rows: &[Row]) {
    let mut wrong = Vec::new();
    for (what, way, token, verdict) in rows {
        for time in ["first", "second"] {
            upstream.clear();
            // Once the test has failed, nobody waits long to see what else is wrong.
            let patience = if wrong.is_empty() { LIMIT } else { Duration::from_millis(100) };
            let judged = || {
                // Of a bad signature the cache remembers that it was bad, not why.
                let reasons = |reason| if time == "first" { [reason, reason] } else { [reason, "inactive"] };
                let refusals = |reason| reasons(reason).map(|one| refusals(envoy, one));
                let before = if let Refused(reason) = verdict { refusals(reason) } else { [0; 2] };
                let found = show(envoy.addr("main"), way, token);
                let (expected, passed) = (verdict.status(), upstream.requests());
                if found != expected {
                    return Err(format!("{found} instead of {expected}"));
                }
                if expected != 200 && !passed.is_empty() {
                    return Err("it reached the application".to_owned());
                }
                match verdict {
                    Tells(name, value) if passed.last().is_none_or(|call| call.headers_named(name) != [*value]) => {
                        Err(format!("{name} is not {value:?}"))
                    }
                    Refused(reason) => try_wait(&format!("the reason {reason}"), patience, || {
                        (refusals(reason) != before).then_some(())
                    }),
                    Passes | Tells(..) | Status(_) => Ok(()),
                }
            };
            if let Err(problem) = judged() {
                wrong.push(format!("{what}, at {way}, the {time} time: {problem}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} tokens:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// How often the log gives this as the reason of a 401, which the caller is not told.
pub fn refusals(envoy: &Envoy, reason: &str) -> usize {
    envoy.log().matches(&format!("refused with 401: {reason}\n")).count()
}

/// Waits until every worker has the keys, for which this token is good.
#[track_caller]
pub fn wait_for_keys(envoy: &Envoy, way: &str, token: &str) {
    wait_until_everywhere("the keys to be there", LIMIT, || show(envoy.addr("main"), way, token) == 200);
}

/// The status that a token gets.
#[track_caller]
pub fn show(addr: SocketAddr, way: &str, token: &str) -> u16 {
    send(addr, &Request::get(format!("/{way}/bookings")).bearer(token)).status
}

/// A server of the configuration for oidc-provider's JWTs.
pub fn oidc_server(name: &str, identity: &OidcProvider, audience: &Value, jwt: &Value) -> Value {
    json!({
        "name": name,
        "cluster": "identity",
        "issuer": identity.issuer(),
        "audience": audience,
        "jwt": with(json!({ "jwks_path": "/jwks", "timeout": "5s" }), jwt),
    })
}

/// The token with other claims and the signature that it had.
#[track_caller]
pub fn tampered(token: &str, claims: &Value) -> String {
    let (header, said) = jwt_parts(token);
    forged(token, &header, &with(said, claims))
}
