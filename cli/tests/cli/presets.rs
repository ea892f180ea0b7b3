//! `scopegate presets`

use super::*;

fn names() -> Vec<String> {
    let run = scopegate(&["presets"], b"");
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
    run.out.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn presets_are_listed_with_authentication_and_path() {
    let run = scopegate(&["presets"], b"");
    for line in [
        "rfc7662                      client_secret_basic      such as /oauth2/introspect",
        "axway-tokeninfo              none                     /api/oauth/tokeninfo",
        "keycloak                     client_secret_basic      such as /realms/REALM/protocol/openid-connect/token/introspect",
    ] {
        assert!(run.out.lines().any(|found| found == line), "no {line:?} in\n{}", run.out);
    }
}

#[test]
fn a_preset_is_shown_with_its_base() {
    scopegate(&["presets", "lemonldap"], b"").says(
        0,
        &[
            "preset: lemonldap",
            "path: /oauth2/introspect",
            "client_authentication: client_secret_basic",
            "max_ttl: \"60s\"",
            "request:",
            "  method: POST",
            "  token_in: form",
            "  token_parameter: token",
            "  parameters: { token_type_hint: access_token }",
            "  accept: application/json",
            "answer:",
            "  active: boolean",
            "  invalid_statuses: []",
            "  error_members: []",
            "  required_members: []",
            "  required_values: {}",
            "  refused_token_types: [refresh_token, refresh, offline, \"urn:ietf:params:oauth:token-type:refresh_token\", id_token, id, \"urn:ietf:params:oauth:token-type:id_token\", logout, \"logout+jwt\"]",
            "  scope: [scope]",
            "  scope_separators: space",
            "  client_id: [client_id]",
            "  owner: [username, sub]",
            "  issuer: [iss]",
            "  audience: [aud]",
            "  roles: [roles]",
            "  expires_at: [exp]",
            "  expires_in: [expires_in]",
            "  not_before: [nbf]",
            "  times: unix",
        ],
    );
    let run = scopegate(&["presets", "netiq-tokeninfo"], b"");
    for line in ["  method: GET", "  parameters: {}", "  invalid_statuses: [400, 401, 403]", "  client_id: [audience]"]
    {
        assert!(run.out.lines().any(|found| found == line), "no {line:?} in\n{}", run.out);
    }
}

#[test]
fn what_is_shown_may_stand_under_introspection() {
    for name in names() {
        let shown = scopegate(&["presets", &name], b"").out;
        let client =
            if shown.contains("client_authentication: none") { "" } else { "client_id: g\nclient_secret: s\n" };
        let introspection = format!("{client}{shown}").replace('\n', "\n      ");
        let audience = if shown.contains("  audience: []") { "any" } else { "[bookings]" };
        let text = format!(
            "authorization_servers:\n  - name: main\n    cluster: id\n    audience: {audience}\n    introspection:\n      {introspection}\nrules: [{{ name: All, match: [{{ path_prefix: / }}], require: {{ authenticated: true }} }}]\n"
        );
        let run = check_text(&text);
        assert_eq!(run.out, "-: ok: 1 configuration, 1 rule\n", "{text}");
    }
}

#[test]
fn an_unknown_preset_lists_the_known_ones() {
    let run = scopegate(&["presets", "keyclaok"], b"");
    assert!(
        run.out.starts_with("unknown preset `keyclaok`; known presets: rfc7662, netiq-introspect, "),
        "{}",
        run.out
    );
    assert_eq!((run.code, run.out.lines().count()), (Some(1), 1));
}
