use super::*;
use crate::base::Json;
use crate::config::Config;
use crate::policy::Access;
use crate::request::{PathOptions, RequestHead};
use crate::token::Scope;

/// Returns the requirement of a rule for `/t/{tenant}` with this `require`, and the configuration.
fn requirement(require: &str) -> (Requirement, Config) {
    let text = format!(
        r#"{{"authorization_servers":[
             {{"name":"a","cluster":"c","audience":"any","introspection":{{"path":"/","client_id":"g","client_secret":"s"}}}},
             {{"name":"b","cluster":"c","audience":"any","introspection":{{"path":"/","client_id":"g","client_secret":"s"}}}}],
           "apis":[{{"name":"api","scopes":[{{"name":"ViewTickets","resources":[{{"methods":["GET"],"path_prefix":"/t"}}]}},
                     {{"name":"BookTickets","resources":[{{"methods":["POST"],"path_prefix":"/t"}}]}}]}}],
           "scope_mappings":[
             {{"authorization_server":"a","scope":"view","opens":["ViewTickets"]}},
             {{"authorization_server":"a","scope":"both","opens":["ViewTickets","BookTickets"]}},
             {{"authorization_server":"b","scope":"all","audience":"x","opens":["api"]}}],
           "rules":[{{"name":"r","api":"api","authorization_server":["a","b"],"match":[{{"path":"/t/{{tenant}}"}}],"require":{require}}}]}}"#
    );
    let config = Config::parse(text.as_bytes(), &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
    let Access::Protected { requirement, .. } = &config.policy.rules[0].access else { panic!("protected") };
    (requirement.as_ref().clone(), config)
}

/// Checks whether a token meets `require`. The token is in the form of an introspection response of server 0.
fn check(require: &str, method: &str, path: &str, server: usize, response: &str) -> Result<(), UnmetRequirement> {
    let (_, config) = requirement(require);
    let head =
        [(":method", method), (":authority", "h.test"), (":path", path)].map(|(name, value)| (name, value.as_bytes()));
    let target =
        Target::parse(RequestHead { headers: &head, route: None, has_body: false }, PathOptions::default()).unwrap();
    let requirement = config.policy.find(&target).unwrap().requirement(&target).unwrap();
    let Json::Object(members) = Json::parse(response.as_bytes()).unwrap() else { panic!("{response}") };
    let mapping = &config.servers[server].introspection.as_ref().unwrap().response.claims;
    let now = crate::base::UnixTime::from_secs(0);
    let claims = Claims::from_members(&members, mapping, &config.requested, now).unwrap();
    requirement.check(Presented { claims: &claims, server, strategy: ScopeStrategy::Exact })
}

fn plain(require: &str, response: &str) -> Result<(), UnmetRequirement> {
    check(require, "GET", "/t/1", 0, response)
}

#[test]
fn each_requirement_is_met_only_by_its_values() {
    for (require, good, bad, unmet) in [
        (r#"{"scope":"a b"}"#, r#"{"scope":"b a c"}"#, r#"{"scope":"a"}"#, UnmetRequirement::Scope),
        (r#"{"any_scope":["a","b"]}"#, r#"{"scope":"b"}"#, r#"{"scope":"c"}"#, UnmetRequirement::Scope),
        (r#"{"roles":["m","n"]}"#, r#"{"roles":["n","m"]}"#, r#"{"roles":["m"]}"#, UnmetRequirement::Role),
        (r#"{"any_role":["m","n"]}"#, r#"{"roles":{"n":{}}}"#, r#"{"roles":["M"]}"#, UnmetRequirement::Role),
        (
            r#"{"authorization_server":"a","client_ids":["x","y"]}"#,
            r#"{"client_id":"y"}"#,
            r#"{"client_id":"z"}"#,
            UnmetRequirement::Client,
        ),
        (r#"{"authorization_server":"a","client_ids":["x"]}"#, r#"{"client_id":"x"}"#, "{}", UnmetRequirement::Client),
        (r#"{"audience":["x"]}"#, r#"{"aud":["w","x"]}"#, r#"{"aud":"w"}"#, UnmetRequirement::Audience),
        (r#"{"authorization_server":"a"}"#, "{}", r#"{"x":1}"#, UnmetRequirement::Server),
        (r#"{"scope":"a","roles":["m"]}"#, r#"{"scope":"a","roles":"m"}"#, r#"{"scope":"a"}"#, UnmetRequirement::Role),
    ] {
        assert_eq!(plain(require, good), Ok(()), "{require}");
        let server = usize::from(unmet == UnmetRequirement::Server);
        assert_eq!(check(require, "GET", "/t/1", server, bad), Err(unmet), "{require}");
    }
    assert_eq!(plain(r#"{"authenticated":true}"#, "{}"), Ok(()));
}

#[test]
fn claims_are_compared_by_type_and_value() {
    for (test, claim, expected) in [
        (r#"{"equals":"x"}"#, r#""x""#, true),
        (r#"{"equals":"x"}"#, r#""X""#, false),
        (r#"{"equals":"x"}"#, r#"["w","x"]"#, true),
        (r#"{"equals":"1"}"#, "1", false),
        (r#"{"equals":1}"#, "1.0", true),
        (r#"{"equals":1}"#, r#""1""#, false),
        (r#"{"equals":true}"#, "true", true),
        (r#"{"equals":true}"#, r#""true""#, false),
        (r#"{"equals":["a","b"]}"#, r#"["a","b"]"#, true),
        (r#"{"equals":["a","b"]}"#, r#"["b","a"]"#, false),
        (r#"{"one_of":["x",2]}"#, "2", true),
        (r#"{"one_of":["x",2]}"#, "3", false),
        (r#"{"one_of":["x",2]}"#, "{}", false),
        (r#"{"exists":true}"#, "{}", true),
        (r#"{"exists":true}"#, "false", true),
        (r#"{"exists":true}"#, "null", false),
        (r#"{"exists":false}"#, "null", true),
        (r#"{"exists":false}"#, "0", false),
        (r#"{"exists":true,"equals":"x"}"#, r#""y""#, false),
    ] {
        let found = plain(&format!(r#"{{"claims":{{"d.e":{test}}}}}"#), &format!(r#"{{"d":{{"e":{claim}}}}}"#));
        assert_eq!(found, if expected { Ok(()) } else { Err(UnmetRequirement::Claim) }, "{test} {claim}");
    }
    assert_eq!(plain(r#"{"claims":{"d":{"equals":"x"}}}"#, "{}"), Err(UnmetRequirement::Claim));
}

#[test]
fn nested_requirements_report_the_missing_scope() {
    let require = r#"{"any":[{"scope":"admin"},{"all":[{"scope":"view"},{"any_role":["m"]}]}]}"#;
    for (response, expected) in [
        (r#"{"scope":"admin"}"#, Ok(())),
        (r#"{"scope":"view","roles":"m"}"#, Ok(())),
        (r#"{"scope":"view"}"#, Err(UnmetRequirement::Scope)),
        (r#"{"roles":"m"}"#, Err(UnmetRequirement::Scope)),
    ] {
        assert_eq!(plain(require, response), expected, "{response}");
    }
    assert_eq!(
        plain(r#"{"any":[{"roles":["m"]},{"authorization_server":"a","client_ids":["c"]}]}"#, "{}"),
        Err(UnmetRequirement::Role)
    );
}

#[test]
fn scopes_are_alternatives_only_under_any() {
    for (require, expected) in [
        (r#"{"scope":"a"}"#, false),
        (r#"{"scope":"a b"}"#, false),
        (r#"{"any_scope":["a"]}"#, true),
        (r#"{"any_scope":["a","b"]}"#, true),
        (r#"{"scope":"a b","any_role":["m","n"]}"#, false),
        (r#"{"scope":"a","any":[{"roles":["m"]},{"audience":["c"]}]}"#, false),
        (r#"{"any":[{"scope":"a b"}]}"#, false),
        (r#"{"any":[{"scope":"a"},{"scope":"b","roles":["m"]}]}"#, true),
    ] {
        assert_eq!(requirement(require).0.offers_alternatives(), expected, "{require}");
    }
}

#[test]
fn scopes_of_one_server_do_not_satisfy_another() {
    let require = r#"{"any":[{"authorization_server":"a","scope":"view"},{"authorization_server":"b","scope":"see"}]}"#;
    for (server, scope, expected) in [(0, "view", true), (0, "see", false), (1, "see", true), (1, "view", false)] {
        let found = check(require, "GET", "/t/1", server, &format!(r#"{{"scope":"{scope}"}}"#));
        assert_eq!(found.is_ok(), expected, "{server} {scope}");
    }
    let (requirement, _) = requirement(require);
    let named = |server| requirement.scopes(server).iter().map(|scope| scope.as_str()).collect::<Vec<_>>();
    assert_eq!((named(Some(0)), named(Some(1)), named(None)), (vec!["view"], vec!["see"], vec!["view", "see"]));
}

#[test]
fn scope_templates_are_filled_with_valid_values_only() {
    let require = r#"{"scope_template":"{method}:{tenant}@{host}"}"#;
    for (method, path, scope, expected) in [
        ("GET", "/t/1", "GET:1@h.test", true),
        ("POST", "/t/1", "GET:1@h.test", false),
        ("GET", "/t/2", "GET:1@h.test", false),
        ("GET", "/t/%22", "GET:\\\"@h.test", false),
        ("GET", "/t/a%20b", "GET:a b@h.test", false),
        ("GET", "/t/a.b", "GET:a.b@h.test", false),
        ("GET", "/t/*", "GET:*@h.test", false),
    ] {
        let found = check(require, method, path, 0, &format!(r#"{{"scope":"{scope}"}}"#));
        assert_eq!(found.is_ok(), expected, "{method} {path} {scope}");
    }
    // With two parameters, no value may contain the separator.
    let apart = ScopeTemplate::parse("{a}:{b}").unwrap();
    assert!(apart.keeps_apart("x-y"));
    assert!(!apart.keeps_apart("x:y"));
    assert!(ScopeTemplate::parse("x:{a}").unwrap().keeps_apart("x:y"));
    for run_together in ["{a}{b}", "t{a}u{b}", "{method}{a}"] {
        assert!(!ScopeTemplate::parse(run_together).unwrap().is_sound(), "{run_together}");
    }
    for bad in ["{", "}", "a{b", "{}", "{a b}", "a}{b}"] {
        assert_eq!(ScopeTemplate::parse(bad), None, "{bad}");
    }
}

#[test]
fn mapped_scopes_open_only_their_resources() {
    let require = r#"{"mapped_scope":true}"#;
    for (server, method, response, expected) in [
        (0, "GET", r#"{"scope":"view"}"#, true),
        (0, "POST", r#"{"scope":"view"}"#, false),
        (0, "GET", r#"{"scope":"both"}"#, true),
        (0, "POST", r#"{"scope":"both"}"#, true),
        (0, "DELETE", r#"{"scope":"view both all"}"#, false),
        (1, "DELETE", r#"{"scope":"all","aud":"x"}"#, true),
        (1, "DELETE", r#"{"scope":"all"}"#, false),
        (1, "GET", r#"{"scope":"view","aud":"x"}"#, false),
        (0, "GET", r#"{"scope":"other"}"#, false),
    ] {
        assert_eq!(check(require, method, "/t/1", server, response).is_ok(), expected, "{server} {method} {response}");
    }
}

#[test]
fn unresolved_or_empty_requirements_are_never_met() {
    let claims = Claims { scope: Scope::from_lists(["{method}"], false), ..Claims::default() };
    let token = Presented { claims: &claims, server: 0, strategy: ScopeStrategy::Wildcard };
    for requirement in [
        Requirement::Any(Vec::new()),
        Requirement::PerRequest(RequestScope::Mapped(Arc::default())),
        Requirement::PerRequest(RequestScope::Template(ScopeTemplate::parse("{method}").unwrap())),
    ] {
        assert_eq!(requirement.check(token), Err(UnmetRequirement::Scope));
    }
    assert_eq!(Requirement::NONE.check(token), Ok(()));
}

#[test]
fn order_of_claims_is_irrelevant() {
    let one = requirement(r#"{"claims":{"department":{"equals":"x"},"nickname":{"exists":true}}}"#);
    let other = requirement(r#"{"claims":{"nickname":{"exists":true},"department":{"equals":"x"}}}"#);
    assert_eq!(one.1.requested, other.1.requested);
    assert_eq!(one.1.fingerprint, other.1.fingerprint);
    assert_eq!(one.0, other.0);
}
