//! Endpoints of vendors whose servers cannot be had here, in the shape of the vendors' manuals.
//!
//! Thin adapters: the real identity server decides whether a token is valid and supplies all claims. An adapter sends
//! it an introspection request and translates the response.

use serde_json::Map;

use super::*;

pub const NETIQ_ISSUER: &str = "https://idp.example.test/nidp/oauth/nam";
/// The product's header for an invalid token. It is not a challenge, because it has no scheme.
pub const NETIQ_CHALLENGE: &str = "error=OAuth bearer token required. Token has expired";
/// A secret that a policy of the product may leave in its responses, as the manual shows.
pub const AXWAY_LEAK: &str = "leaked-client-secret";

/// Introspects a token at the identity server `addr`. Returns `None` if the token is inactive.
fn introspect(addr: SocketAddr, token: &str) -> Option<Map<String, Value>> {
    let gateway = Client::Basic(OidcProvider::GATEWAY_ID, OidcProvider::GATEWAY_SECRET);
    let answer = send(addr, &gateway.form(OidcProvider::INTROSPECTION_PATH, &[("token", token)]));
    // It does not introspect ID tokens, which is a 400.
    let members = (answer.status == 200).then(|| answer.json().as_object().expect("an object").clone())?;
    (members["active"] == true).then_some(members)
}

/// Who the token stands for: the user, or the client if there is none.
fn owner(members: &Map<String, Value>) -> &Value {
    members.get("sub").unwrap_or(&members["client_id"])
}

fn expires_in(members: &Map<String, Value>) -> i64 {
    members["exp"].as_i64().expect("a time") - i64::try_from(unix_time()).expect("a time")
}

fn scopes(members: &Map<String, Value>) -> Vec<&str> {
    members.get("scope").and_then(Value::as_str).unwrap_or_default().split_whitespace().collect()
}

fn refused(status: u16, headers: &[(&str, &str)], body: &str) -> Script {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Script::Answer { status, headers, body: body.into() }
}

/// Access Manager, TokenInfo: the token is the only credential. `edit` changes the response for a valid token.
pub fn netiq_tokeninfo(
    identity: &OidcProvider,
    edit: impl Fn(Value) -> Value + Send + Sync + 'static,
) -> ScriptedServer {
    let addr = identity.addr();
    ScriptedServer::start(move |call| {
        if call.path != b"/nidp/oauth/nam/tokeninfo" {
            return Script::status(404);
        }
        let authorization = call.header("authorization").unwrap_or_default();
        let found = authorization.strip_prefix("Bearer ").and_then(|token| introspect(addr, token));
        let Some(members) = found else {
            let headers = [("WWW-Authenticate", NETIQ_CHALLENGE), ("content-type", "application/json")];
            return refused(401, &headers, r#"{"error":"oauth authentication required"}"#);
        };
        Script::json(edit(json!({
            "user_id": owner(&members),
            "expires_in": expires_in(&members),
            "scope": scopes(&members),
            "audience": members["client_id"],
            "token_id": "6f1c2f4e-0d3a-4b8e-9a55-1d1f6a5c7e21",
            "issuer": NETIQ_ISSUER,
        })))
    })
}

/// The form of Access Manager's own access tokens: the five parts of a JWE that only it can read.
pub fn sealed(token: &str) -> String {
    format!("eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..bm9uY2Utbm9uY2U.{token}.dGFnLXRhZy10YWctdGFn")
}

fn opened(token: &str) -> &str {
    let parts: Vec<_> = token.split('.').collect();
    if let [_, _, _, token, _] = parts.as_slice() { token } else { token }
}

/// Access Manager, Token Introspect: the audience is the client, as a string, and `nbf` is a string, too. `edit`: of
/// what it says of a good one.
pub fn netiq_introspect(
    identity: &OidcProvider,
    edit: impl Fn(Value) -> Value + Send + Sync + 'static,
) -> ScriptedServer {
    let addr = identity.addr();
    ScriptedServer::start(move |call| {
        if (&*call.method, &*call.path) != ("POST", b"/nidp/oauth/v1/nam/introspect") {
            return Script::status(404);
        }
        // Who asks is for the identity server to judge.
        let form = [("token", opened(call.form_value("token").unwrap_or_default()))];
        let authorization = call.header("authorization").unwrap_or_default();
        let answer =
            send(addr, &Request::form(OidcProvider::INTROSPECTION_PATH, &form).header("authorization", authorization));
        let members = match answer.status {
            200 => answer.json().as_object().expect("an object").clone(),
            status => return Script::status(status),
        };
        if members["active"] != true {
            return Script::json(json!({ "active": false }));
        }
        let mut told = json!({
            "active": true,
            "scope": scopes(&members).join(" "),
            "client_id": members["client_id"],
            "username": owner(&members),
            "sub": owner(&members),
            "aud": members["client_id"],
            "iss": NETIQ_ISSUER,
            "jti": "6f1c2f4e-0d3a-4b8e-9a55-1d1f6a5c7e21",
            "exp": members["exp"],
            "iat": members["iat"],
            "nbf": members["iat"].to_string(),
        });
        // The identity server sends no token type for a refresh token.
        if members.contains_key("token_type") {
            told["token_type"] = json!("bearer");
        }
        Script::json(edit(told))
    })
}

/// Axway API Gateway, token information: by GET or POST, in the query or the form; 400 for whatever is not good. A
/// policy has added to its answer.
pub fn axway_tokeninfo(
    identity: &OidcProvider,
    edit: impl Fn(Value) -> Value + Send + Sync + 'static,
) -> ScriptedServer {
    let addr = identity.addr();
    ScriptedServer::start(move |call| {
        let (path, query) = match call.path.iter().position(|byte| *byte == b'?') {
            Some(at) => (&call.path[..at], &call.path[at + 1..]),
            None => (&*call.path, &b""[..]),
        };
        if path != b"/api/oauth/tokeninfo" {
            return Script::status(404);
        }
        let pairs = if call.method == "GET" { query } else { &call.body };
        let token = form_urlencoded::parse(pairs).find(|(name, _)| name == "access_token").map(|(_, token)| token);
        // It knows access tokens only.
        let found = token.and_then(|token| introspect(addr, &token)).filter(|found| found.contains_key("token_type"));
        let Some(members) = found else { return Script::status(400) };
        Script::json(edit(json!({
            "audience": members["client_id"],
            "user_id": owner(&members),
            "scope": scopes(&members).join(","),
            "expires_in": expires_in(&members),
            "Access Token Expiry Date": "Tue Aug 14 15:28:55 IST 2012",
            "Access Token Type:": "Bearer",
            "Department": members.get("department"),
            "Authentication parameters": format!("{{client_secret={AXWAY_LEAK}, password=test0123}}"),
        })))
    })
}
