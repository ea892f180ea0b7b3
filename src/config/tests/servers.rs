//! Problems of authorization servers and introspection endpoints.

use super::problems;

#[test]
fn problems_of_servers_have_whole_messages() {
    for (edit, with, expected) in EDITS {
        assert_eq!(problems(edit, with), *expected, "{edit} -> {with}");
    }
}

/// Edits of the good configuration, and every problem that each causes.
const EDITS: &[(&str, &str, &[&str])] = &[
    (
        r#""timeout": "1s""#,
        r#""timeout": "0s""#,
        &[
            r#"authorization_servers[0] (main).introspection.timeout: invalid `0s`; expected a whole number and its unit (ms, s, m or h), from 10ms to 30s, such as "1s""#,
        ],
    ),
    (
        r#""audience": "any","#,
        r#""audience": "any", "circuit_breaker": {"failures": 1001},"#,
        &[
            "authorization_servers[0] (main).circuit_breaker.failures: invalid `1001`; expected a whole number from 0 to 1000, such as 5",
        ],
    ),
    (
        r#""audience": "any","#,
        r#""audience": "any", "circuit_breaker": {"open_for": "50ms"},"#,
        &[
            r#"authorization_servers[0] (main).circuit_breaker.open_for: invalid `50ms`; expected a whole number and its unit (ms, s, m or h), from 100ms to 300s, such as "2s""#,
        ],
    ),
    (
        r#""audience": "any","#,
        r#""audience": "any", "circuit_breaker": {"half": 1},"#,
        &["authorization_servers[0] (main).circuit_breaker.half: unknown key; known keys: failures, open_for"],
    ),
    (
        r#""audience": "any","#,
        r#""audience": "any", "max_callouts": 0,"#,
        &[
            "authorization_servers[0] (main).max_callouts: invalid `0`; expected a whole number from 1 to 10000, such as 100",
        ],
    ),
    (
        r#""audience": "any","#,
        r#""audience": "any", "fallback_clusters": ["second", "second"],"#,
        &[
            "authorization_servers[0] (main).fallback_clusters: duplicate cluster `second`; name each cluster once, and not the one in `cluster`, as in [second_cluster]",
        ],
    ),
    (
        r#""audience": "any","#,
        r#""audience": "any", "fallback_clusters": ["2", "3", "4", "5"],"#,
        &[
            "authorization_servers[0] (main).fallback_clusters: too many clusters: 4; name at most 3, as in [second_cluster]",
        ],
    ),
    (
        r#""audience": "any","#,
        "",
        &[
            "authorization_servers[0] (main): `audience` is missing; list the audiences whose tokens are accepted, as in audience: [api], or write audience: any",
        ],
    ),
    (
        r#""audience": "any""#,
        r#""audience": "api""#,
        &["authorization_servers[0] (main).audience: invalid `api`; expected any, or a list such as [api]"],
    ),
    (
        r#""audience": "any""#,
        r#""audience": []"#,
        &["authorization_servers[0] (main).audience: empty list; list at least one item, as in [api]"],
    ),
    (
        r#""path": "/token/introspection""#,
        r#""path": "http://as/introspect""#,
        &[
            "authorization_servers[0] (main).introspection.path: invalid path `http://as/introspect`; expected a path without scheme and host, such as /oauth2/introspect: the cluster leads to the server",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET""#,
        r#""client_secret_env": "NOT_SET""#,
        &[
            "authorization_servers[0] (main).introspection.client_secret_env: the environment variable `NOT_SET` is not set for the module; set it where Envoy starts, and name it in vm_config.environment_variables.host_env_keys",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET""#,
        r#""client_secret_env": "s3cret!""#,
        &[
            "authorization_servers[0] (main).introspection.client_secret_env: invalid name of an environment variable; write the name of the variable, such as GATEWAY_SECRET, instead of the secret",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET","#,
        "",
        &[
            "authorization_servers[0] (main).introspection: `client_secret_env` is missing; name the environment variable that holds it, as in client_secret_env: GATEWAY_SECRET, or set client_secret",
        ],
    ),
    (
        r#""client_secret_env""#,
        r#""client_secret": "x", "client_secret_env""#,
        &[
            "authorization_servers[0] (main).introspection: `client_secret` and `client_secret_env` exclude each other; remove one of them; keep client_secret_env to keep the secret out of the configuration",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "preset": "acme""#,
        &[
            "authorization_servers[0] (main).introspection.preset: unknown preset `acme`; known presets: rfc7662, netiq-introspect, netiq-tokeninfo, axway-tokeninfo, axway-tokeninfo-get, webmethods, keycloak, hydra, oidc-provider, glewlwyd, canaille, django-oauth-toolkit, lemonldap, wso2-is, pingfederate, pingfederate-validate, okta, google-tokeninfo, github, spring-authorization-server, forgerock, forgerock-tokeninfo, curity, authentik, zitadel, connect2id",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "answer": { "aktive": 1 }"#,
        &[
            "authorization_servers[0] (main).introspection.answer.aktive: unknown key; did you mean `active`? known keys: active, invalid_statuses, error_members, required_members, required_values, refused_token_types, scope, scope_separators, client_id, owner, issuer, audience, roles, expires_at, expires_in, not_before, times",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "answer": { "active": "maybe" }"#,
        &[
            "authorization_servers[0] (main).introspection.answer.active: invalid `maybe`; expected one of: boolean, boolean_or_string, status",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "answer": { "invalid_statuses": [200] }"#,
        &[
            "authorization_servers[0] (main).introspection.answer.invalid_statuses[0]: invalid `200`; expected a whole number from 204 to 499, such as 400",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "answer": { "invalid_statuses": [302] }"#,
        &[
            "authorization_servers[0] (main).introspection.answer.invalid_statuses[0]: invalid `302`; expected 204 or a status from 400 to 499, such as 400",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "answer": { "roles": ["a..b"] }"#,
        &[
            r#"authorization_servers[0] (main).introspection.answer.roles[0]: invalid path of a claim `a..b`; expected names separated by dots, such as realm_access.roles; write a dot inside a name as \."#,
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "request": { "method": "GET" }"#,
        &[
            "authorization_servers[0] (main).introspection.request.method: a GET request has no body for the token; set token_in: query or token_in: authorization, or method: POST",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "request": { "token_in": "authorization" }"#,
        &[
            "authorization_servers[0] (main).introspection: the token and the gateway's credentials would both be in the Authorization header; write client_authentication: none, or put the token elsewhere, as in request: { token_in: form }",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "request": { "parameters": { "a": 1 } }"#,
        &[
            r#"authorization_servers[0] (main).introspection.request.parameters.a: expected a string such as "introspect", found a number; put the value in quotes"#,
        ],
    ),
    (
        r#""path": "/token/introspection""#,
        r#""preset": "keycloak""#,
        &[
            "authorization_servers[0] (main).introspection: `path` is missing; set the path of the introspection endpoint, as in path: /realms/REALM/protocol/openid-connect/token/introspect",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "client_authentication": "none""#,
        &[
            "authorization_servers[0] (main).introspection.client_secret_env: `client_secret_env` has no effect with this client_authentication; remove it, or write client_authentication: client_secret_basic",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_authentication": "private_key_jwt""#,
        &[
            "authorization_servers[0] (main).introspection: `private_key_env` is missing; name the environment variable that holds it, as in private_key_env: GATEWAY_KEY, or set private_key",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_authentication": "private_key_jwt", "private_key": "-----BEGIN""#,
        &[
            r#"authorization_servers[0] (main).introspection: the private key is invalid; expected PEM of a P-256 key in PKCS#8, or of an RSA key of 2048 to 4096 bits, such as "-----BEGIN PRIVATE KEY-----…""#,
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "client_authentication": "bearer""#,
        &[
            "authorization_servers[0] (main).introspection: `token` is missing; set the endpoint that issues the gateway's own access token, as in token: { path: /oauth2/token, scope: introspect }",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "client_authentication": "bearer", "token": { "path": "/t", "client_authentication": "none" }"#,
        &[
            "authorization_servers[0] (main).introspection.token.client_authentication: this method cannot obtain an access token; expected one of: client_secret_basic, client_secret_basic_raw, client_secret_post, private_key_jwt",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "token": { "path": "/t" }"#,
        &[
            "authorization_servers[0] (main).introspection.token: `token` has no effect with this client_authentication; remove it, or write client_authentication: bearer",
        ],
    ),
    (
        r#""client_id": "gateway","#,
        r#""client_id": "a:b", "client_authentication": "client_secret_basic_raw","#,
        &[
            "authorization_servers[0] (main).introspection: HTTP Basic without encoding cannot carry the colon in client_id; write client_authentication: client_secret_basic",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "preset": "keyclaok""#,
        &[
            "authorization_servers[0] (main).introspection.preset: unknown preset `keyclaok`; did you mean `keycloak`? known presets: rfc7662, netiq-introspect, netiq-tokeninfo, axway-tokeninfo, axway-tokeninfo-get, webmethods, keycloak, hydra, oidc-provider, glewlwyd, canaille, django-oauth-toolkit, lemonldap, wso2-is, pingfederate, pingfederate-validate, okta, google-tokeninfo, github, spring-authorization-server, forgerock, forgerock-tokeninfo, curity, authentik, zitadel, connect2id",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET""#,
        r#""client_secret_env": 7"#,
        &[
            r#"authorization_servers[0] (main).introspection.client_secret_env: expected a string such as "GATEWAY_SECRET", found a number; put the value in quotes"#,
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET""#,
        r#""client_secret": 7"#,
        &[
            r#"authorization_servers[0] (main).introspection.client_secret: expected a string such as "gateway-secret", found a number; put the value in quotes"#,
        ],
    ),
    (
        r#""client_id": "gateway","#,
        "",
        &[
            "authorization_servers[0] (main).introspection: `client_id` is missing; set the client id of the gateway at the server, as in client_id: gateway",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_authentication": "private_key_jwt", "private_key": "x", "key_id": 7"#,
        &[
            r#"authorization_servers[0] (main).introspection.key_id: expected a string such as "key-1", found a number; put the value in quotes"#,
            r#"authorization_servers[0] (main).introspection: the private key is invalid; expected PEM of a P-256 key in PKCS#8, or of an RSA key of 2048 to 4096 bits, such as "-----BEGIN PRIVATE KEY-----…""#,
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "client_authentication": "client_secret_bsic""#,
        &[
            "authorization_servers[0] (main).introspection.client_authentication: invalid `client_secret_bsic`; did you mean `client_secret_basic`? expected one of: client_secret_basic, client_secret_basic_raw, client_secret_post, private_key_jwt, bearer, none",
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "request": { "accept": "\n" }"#,
        &[
            r#"authorization_servers[0] (main).introspection.request.accept: invalid header value; expected media types in ASCII, such as "application/json""#,
        ],
    ),
    (
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#,
        r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s", "answer": { "required_values": { "a": "x" } }"#,
        &[
            "authorization_servers[0] (main).introspection.answer.required_values.a: expected a list such as [access_token], found a string; write the items in brackets",
        ],
    ),
    (
        r#""cluster": "identity_server", "issuer": "http://127.0.0.1:9400""#,
        r#""cluster": "the cluster""#,
        &[
            "authorization_servers[0] (main).introspection: no Host for callouts can be derived from `issuer` or `cluster`; set introspection.authority to the host by which the server knows itself, such as as.example.com",
        ],
    ),
    (
        r#""path": "/token/introspection", "client_id": "gateway","#,
        r#""preset": "github","#,
        &[
            "authorization_servers[0] (main).introspection: `path` contains {client_id}, and `client_id` is missing; set the client id of the gateway at the server, as in client_id: gateway",
        ],
    ),
];
