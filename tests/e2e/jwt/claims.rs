//! Claims, in every shape that servers use. Each token is properly signed.

use super::*;

/// The table's tokens are the default's, unless it says otherwise.
const DEFAULT: &str = "default";

#[test]
fn what_a_properly_signed_token_says_decides() {
    let (issuer, upstream) = (Issuer::start(), Upstream::start());
    let view = json!({ "scope": "view" });
    let ways = [
        (DEFAULT, json!({}), view.clone()),
        ("untyped", json!({ "types": ["at+jwt", "JWT"] }), view.clone()),
        ("endless", json!({ "require_exp": false }), view.clone()),
        ("punctual", json!({ "leeway": "0s" }), view),
        ("roles", json!({}), json!({ "any_role": ["agent"] })),
        ("nested-roles", json!({ "answer": { "roles": ["realm_access.roles"] } }), json!({ "any_role": ["agent"] })),
    ];
    let envoy = issuer.gateway(&ways, &upstream).start();
    let good = issuer.token(&claims());
    wait_for_keys(&envoy, DEFAULT, &good);

    let mut rows: Vec<Row> = vec![("a good token", DEFAULT, good, Passes)];
    rows.extend(types(&issuer));
    rows.extend(issuers_and_audiences(&issuer));
    rows.extend(times(&issuer));
    rows.extend(scopes_and_clients(&issuer));
    rows.extend(roles(&issuer));
    rows.extend(other_kinds(&issuer));
    judge(&envoy, &upstream, &rows);
    // No token of the table was worth another fetch than those at the start, of each worker for each way at most.
    let fetched = issuer.server.call_count();
    assert!(fetched <= ways.len() * 2, "{fetched} fetches");
}

/// RFC 9068 §2.1 and RFC 7515 §4.1.9.
fn types(issuer: &Issuer) -> Vec<Row> {
    let typed = |kind: Value| issuer.rsa.sign(&with(header(), &json!({ "typ": kind })), &claims());
    let refused = Refused("not_an_access_token");
    vec![
        ("typ application/at+jwt", DEFAULT, typed(json!("application/at+jwt")), Passes),
        ("typ AT+JWT", DEFAULT, typed(json!("AT+JWT")), Passes),
        ("typ Application/At+Jwt", DEFAULT, typed(json!("Application/At+Jwt")), Passes),
        ("typ JWT", DEFAULT, typed(json!("JWT")), refused.clone()),
        ("no typ", DEFAULT, typed(Value::Null), refused.clone()),
        ("typ empty", DEFAULT, typed(json!("")), refused.clone()),
        ("typ at+jwt and a space", DEFAULT, typed(json!("at+jwt ")), refused.clone()),
        ("typ of another tree", DEFAULT, typed(json!("text/at+jwt")), refused.clone()),
        ("typ logout+jwt", DEFAULT, typed(json!("logout+jwt")), refused.clone()),
        ("typ dpop+jwt", DEFAULT, typed(json!("dpop+jwt")), refused.clone()),
        ("typ a list", DEFAULT, typed(json!(["at+jwt"])), Refused("malformed_jwt")),
        ("typ at+jwt where JWT may be", "untyped", typed(json!("at+jwt")), Passes),
        ("typ JWT where it may be", "untyped", typed(json!("JWT")), Passes),
        ("typ jwt where JWT may be", "untyped", typed(json!("jwt")), Passes),
        ("typ application/jwt where JWT may be", "untyped", typed(json!("application/jwt")), Passes),
        ("no typ where JWT may be", "untyped", typed(Value::Null), Passes),
        ("typ logout+jwt where JWT may be", "untyped", typed(json!("logout+jwt")), refused),
    ]
}

fn issuers_and_audiences(issuer: &Issuer) -> Vec<Row> {
    let token = |members: Value| issuer.token(&with(claims(), &members));
    let (wrong_issuer, wrong_audience) = (Refused("wrong_issuer"), Refused("wrong_audience"));
    let slash = format!("{ISSUER}/");
    vec![
        ("another iss", DEFAULT, token(json!({ "iss": "https://evil.example.test" })), wrong_issuer.clone()),
        ("iss and a slash", DEFAULT, token(json!({ "iss": slash })), wrong_issuer.clone()),
        ("iss in capitals", DEFAULT, token(json!({ "iss": ISSUER.to_uppercase() })), wrong_issuer.clone()),
        ("no iss", DEFAULT, token(json!({ "iss": null })), wrong_issuer),
        ("iss a list", DEFAULT, token(json!({ "iss": [ISSUER] })), Refused("malformed_jwt")),
        ("aud a list", DEFAULT, token(json!({ "aud": ["https://other.example.test/", AUDIENCE] })), Passes),
        ("another aud", DEFAULT, token(json!({ "aud": "https://other.example.test/" })), wrong_audience.clone()),
        ("aud goes on", DEFAULT, token(json!({ "aud": format!("{AUDIENCE}more") })), wrong_audience.clone()),
        ("aud stops short", DEFAULT, token(json!({ "aud": AUDIENCE.trim_end_matches('/') })), wrong_audience.clone()),
        ("aud with two in one text", DEFAULT, token(json!({ "aud": format!("x {AUDIENCE}") })), wrong_audience.clone()),
        ("aud empty", DEFAULT, token(json!({ "aud": [] })), wrong_audience.clone()),
        ("no aud", DEFAULT, token(json!({ "aud": null })), wrong_audience),
        ("aud a number", DEFAULT, token(json!({ "aud": 7 })), Refused("malformed_jwt")),
    ]
}

fn times(issuer: &Issuer) -> Vec<Row> {
    let now = unix_time();
    let token = |members: Value| issuer.token(&with(claims(), &members));
    let early = Refused("not_yet_valid");
    vec![
        ("exp is over", DEFAULT, token(json!({ "exp": now - 1 })), Refused("expired")),
        ("exp is now", DEFAULT, token(json!({ "exp": now })), Refused("expired")),
        ("exp 0", DEFAULT, token(json!({ "exp": 0 })), Refused("expired")),
        ("exp before the epoch", DEFAULT, token(json!({ "exp": -9_999_999_999_i64 })), Refused("expired")),
        ("exp of more than any integer", DEFAULT, token(json!({ "exp": 1e300 })), Passes),
        ("exp no time", DEFAULT, token(json!({ "exp": "tomorrow" })), Refused("malformed_jwt")),
        ("exp a list", DEFAULT, token(json!({ "exp": [now + 600] })), Refused("malformed_jwt")),
        ("no exp", DEFAULT, token(json!({ "exp": null })), Refused("malformed_jwt")),
        ("no exp where none is needed", "endless", token(json!({ "exp": null })), Passes),
        ("exp is over where none is needed", "endless", token(json!({ "exp": now - 1 })), Refused("expired")),
        (
            "expires_in counts for nothing",
            DEFAULT,
            token(json!({ "exp": null, "expires_in": 600 })),
            Refused("malformed_jwt"),
        ),
        ("nbf ahead, within the leeway", DEFAULT, token(json!({ "nbf": now + 20 })), Passes),
        ("nbf ahead, beyond the leeway", DEFAULT, token(json!({ "nbf": now + 300 })), early.clone()),
        ("nbf ahead, without leeway", "punctual", token(json!({ "nbf": now + 20 })), early.clone()),
        ("nbf no time", DEFAULT, token(json!({ "nbf": "soon" })), Refused("malformed_jwt")),
        ("iat ahead, within the leeway", DEFAULT, token(json!({ "iat": now + 20 })), Passes),
        ("iat ahead, beyond the leeway", DEFAULT, token(json!({ "iat": now + 300 })), early.clone()),
        ("iat ahead, without leeway", "punctual", token(json!({ "iat": now + 20 })), early),
        ("no iat", DEFAULT, token(json!({ "iat": null })), Passes),
    ]
}

fn scopes_and_clients(issuer: &Issuer) -> Vec<Row> {
    let token = |members: Value| issuer.token(&with(claims(), &members));
    vec![
        ("scope a text", DEFAULT, token(json!({ "scope": "openid view book" })), Tells("x-scope", "openid view book")),
        ("scope a list", DEFAULT, token(json!({ "scope": ["book", "view"] })), Tells("x-scope", "book view")),
        ("scp a list", DEFAULT, token(json!({ "scope": null, "scp": ["view"] })), Tells("x-scope", "view")),
        ("scp a text", DEFAULT, token(json!({ "scope": null, "scp": "book view" })), Tells("x-scope", "book view")),
        ("scp beside scope", DEFAULT, token(json!({ "scope": "book", "scp": "view" })), Status(403)),
        ("scope of part of a word", DEFAULT, token(json!({ "scope": "viewer preview" })), Status(403)),
        ("scope in capitals", DEFAULT, token(json!({ "scope": "VIEW" })), Status(403)),
        ("scope separated by commas", DEFAULT, token(json!({ "scope": "book,view" })), Status(403)),
        ("no scope", DEFAULT, token(json!({ "scope": null })), Status(403)),
        ("scope a number", DEFAULT, token(json!({ "scope": 7 })), Refused("malformed_jwt")),
        ("client_id", DEFAULT, token(json!({})), Tells("x-client", "web")),
        ("azp", DEFAULT, token(json!({ "client_id": null, "azp": "by-azp" })), Tells("x-client", "by-azp")),
        ("cid", DEFAULT, token(json!({ "client_id": null, "cid": "by-cid" })), Tells("x-client", "by-cid")),
        ("appid", DEFAULT, token(json!({ "client_id": null, "appid": "by-appid" })), Tells("x-client", "by-appid")),
        ("client_id before azp", DEFAULT, token(json!({ "azp": "other" })), Tells("x-client", "web")),
        ("client_id a number", DEFAULT, token(json!({ "client_id": 7 })), Refused("malformed_jwt")),
        ("sub", DEFAULT, token(json!({})), Tells("x-owner", "alice")),
    ]
}

fn roles(issuer: &Issuer) -> Vec<Row> {
    let token = |members: Value| issuer.token(&with(claims(), &members));
    vec![
        ("roles", "roles", token(json!({ "roles": ["clerk", "agent"] })), Passes),
        ("other roles", "roles", token(json!({ "roles": ["clerk"] })), Status(403)),
        ("no roles", "roles", token(json!({})), Status(403)),
        ("roles elsewhere", "roles", token(json!({ "realm_access": { "roles": ["agent"] } })), Status(403)),
        ("roles by path", "nested-roles", token(json!({ "realm_access": { "roles": ["agent"] } })), Passes),
        ("other roles by path", "nested-roles", token(json!({ "realm_access": { "roles": ["clerk"] } })), Status(403)),
        ("roles beside the path", "nested-roles", token(json!({ "roles": ["agent"] })), Status(403)),
    ]
}

/// Tokens of the right issuer for the right audience that are not bearer access tokens.
fn other_kinds(issuer: &Issuer) -> Vec<Row> {
    let token = |kind: &str, members: Value| {
        issuer.rsa.sign(&with(header(), &json!({ "typ": kind })), &with(claims(), &members))
    };
    let id_token = json!({ "nonce": "n", "at_hash": "h", "auth_time": unix_time(), "acr": "1" });
    let logout = json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} }, "sid": "s" });
    let refused = Refused("not_an_access_token");
    let mut rows = vec![
        ("an ID token", DEFAULT, token("JWT", id_token.clone()), refused.clone()),
        ("an ID token that calls itself at+jwt", DEFAULT, token("at+jwt", id_token.clone()), refused.clone()),
        ("an ID token where JWT may be", "untyped", token("JWT", id_token), refused.clone()),
        ("a logout token", DEFAULT, token("logout+jwt", logout.clone()), refused.clone()),
        ("a logout token that calls itself at+jwt", DEFAULT, token("at+jwt", logout.clone()), refused.clone()),
        ("a logout token where JWT may be", "untyped", token("JWT", logout), refused.clone()),
        ("token_use id", DEFAULT, token("at+jwt", json!({ "token_use": "id" })), refused.clone()),
        ("token_use access", DEFAULT, token("at+jwt", json!({ "token_use": "access" })), Passes),
        ("a claim typ that says Refresh", DEFAULT, token("at+jwt", json!({ "typ": "Refresh" })), refused.clone()),
        ("a claim typ that says ID", "untyped", token("JWT", json!({ "typ": "ID" })), refused.clone()),
        ("bound to a key", DEFAULT, token("at+jwt", json!({ "cnf": { "jkt": "k" } })), Refused("sender_constrained")),
        ("bound by its type", DEFAULT, token("at+jwt", json!({ "token_type": "DPoP" })), Refused("sender_constrained")),
    ];
    for name in ["nonce", "at_hash", "c_hash", "s_hash"] {
        rows.push((name, "untyped", token("JWT", json!({ name: "x" })), refused.clone()));
    }
    rows
}

#[test]
fn a_real_id_token_is_no_access_token_even_for_the_audience_it_was_made_for() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let server = |name: &str, jwt: Value| oidc_server(name, &identity, &json!(["spa"]), &jwt);
    let anyone = json!({ "authenticated": true });
    let envoy = gateway()
        .cluster("identity", identity.addr())
        .upstream(upstream.addr())
        .plugin(json!({
            "authorization_servers": [
                server("default", json!({})),
                server("untyped", json!({ "types": ["at+jwt", "JWT"] })),
            ],
            "rules": [rule("default", &anyone), rule("untyped", &anyone)],
        }))
        .start();
    let code = identity.authorization_code_pkce("alice", "alice-pw", &["openid", "view"], &["openid", "view"]);
    let implicit = identity.implicit(&Login::new("alice", "alice-pw", &["openid", "view"]));
    for token in [code.id(), implicit.id()] {
        let (header, claims) = jwt_parts(token);
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(identity.issuer()), &json!("spa")), "{header} {claims}");
    }
    let refused = Refused("not_an_access_token");
    judge(
        &envoy,
        &upstream,
        &[
            ("with a code", "default", code.id().to_owned(), refused.clone()),
            ("in a fragment", "default", implicit.id().to_owned(), refused.clone()),
            ("in a fragment, where JWT may be", "untyped", implicit.id().to_owned(), refused),
        ],
    );
}
