//! The command line tool, run as an operator runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test stops by panicking"
)]

#[path = "cli/docs.rs"]
mod docs;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/presets.rs"]
mod presets;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    #[track_caller]
    fn says(&self, code: i32, lines: &[&str]) {
        let found: Vec<String> = self.out.lines().enumerate().map(|(n, line)| placed(line, lines.get(n))).collect();
        assert_eq!(found, lines, "{}", self.err);
        assert_eq!((self.code, self.err.as_str()), (Some(code), ""));
    }
}

/// A line of output, without its line and column if the expected line has none.
fn placed(line: &str, expected: Option<&&str>) -> String {
    let parts: Vec<&str> = line.splitn(4, ':').collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match parts.as_slice() {
        [file, row, column, rest] if is_number(row) && is_number(column) => {
            let without = format!("{file}:{rest}");
            if expected == Some(&without.as_str()) { without } else { line.to_owned() }
        }
        _ => line.to_owned(),
    }
}

/// Runs the tool at the root of the repository.
fn scopegate(arguments: &[&str], input: &[u8]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_scopegate"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The tool may end without reading everything.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn check(files: &[&str]) -> Run {
    scopegate(&[&["check"], files].concat(), b"")
}

/// Checks a text given on the standard input.
fn check_text(text: &str) -> Run {
    scopegate(&["check", "-"], text.as_bytes())
}

fn fixture(name: &str) -> String {
    fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("cli/tests/cli").join(name)).unwrap()
}

/// `text` with `from`, which has to be there, replaced.
#[track_caller]
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no {from:?}");
    text.replace(from, to)
}

const SERVERS: &str = r#""authorization_servers": [{ "name": "main", "cluster": "identity_server", "audience": "any", "introspection": { "path": "/introspect", "client_id": "gateway", "client_secret": "tr0ub4dor-and-3" } }]"#;
const RULES: &str =
    r#""rules": [{ "name": "All", "match": [{ "path_prefix": "/" }], "require": { "authenticated": true } }]"#;

/// An Envoy filter whose configuration is `any`.
fn filter(any: &str) -> String {
    format!("typed_config: {{ config: {{ name: scopegate, vm_config: {{}}, configuration: {any} }} }}\n")
}

const STRUCT: &str = "type.googleapis.com/google.protobuf.Struct";
const STRING_VALUE: &str = "type.googleapis.com/google.protobuf.StringValue";
const BYTES_VALUE: &str = "type.googleapis.com/google.protobuf.BytesValue";

#[test]
fn the_demo_is_good() {
    check(&["envoy/demo.yaml"]).says(0, &["envoy/demo.yaml: ok: 1 configuration, 4 rules"]);
}

#[test]
fn all_problems_of_an_envoy_file_are_printed() {
    let file = "cli/tests/cli/broken.yaml";
    let network = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config";
    let plugin = format!("{network}.http_filters[0].typed_config.config");
    let value = format!("{plugin}.configuration.value");
    let expected = [
        format!("{file}:13:17: {network}.stat_prefix: duplicate key; remove all but one of them"),
        format!(
            "{file}:20:25: {plugin}.fail_open: accepts every request when the module fails; remove it and write failure_policy: FAIL_RELOAD"
        ),
        format!(
            "{file}:21:25: {plugin}.failure_policy: accepts every request when the module fails; write FAIL_RELOAD or FAIL_CLOSED"
        ),
        format!(
            "{file}:39:29: {value}.reallm: unknown key; did you mean `realm`? known keys: authorization_servers, cache, upstream, realm, errors, bearer, paths, log, require, apis, scope_mappings, applications, rules, mode, unknown_tokens"
        ),
        format!(
            "{file}:32:33: {value}.authorization_servers[0] (main).audience: invalid `everyone`; expected any, or a list such as [everyone]"
        ),
        format!(
            "{file}:35:35: {value}.authorization_servers[0] (main).introspection.client_id: expected a string such as \"gateway\", found a boolean; put the value in quotes"
        ),
        format!(
            "{file}:37:35: {value}.authorization_servers[0] (main).introspection.timeout: expected a duration such as \"1s\", found a number; write a whole number and its unit (ms, s, m or h), from 10ms to 30s"
        ),
        format!(
            "{file}:36:35: {value}.authorization_servers[0] (main).introspection.client_secret_env: the environment variable `GATEWAY_SECRET` is not set for the module; set it where Envoy starts, and name it in vm_config.environment_variables.host_env_keys"
        ),
        format!("{file}:38:67: {value}.cache.max_ttl: duplicate key; remove all but one of them"),
        format!(
            "{file}:38:38: {value}.cache.capacity: expected a whole number such as 10000, found a string; write it without quotes, from 1 to 1000000"
        ),
        format!(
            "{file}:42:53: {value}.rules[0] (ViewTickets).match[0].methods[0]: invalid method `get`; methods are case-sensitive: write [GET, POST]; to match every method omit `methods`"
        ),
        format!(
            "{file}:42:59: {value}.rules[0] (ViewTickets).match[0].path: invalid path pattern `/bookings/*`; `*` matches nothing here: write {{name}} for one segment, as in /bookings/{{id}}, or use path_prefix: /bookings"
        ),
        format!(
            "{file}:44:33: {value}.rules[1] (BookTickets): `require` or `public: true` is missing; set what the rule requires, as in require: {{ scope: view }}, or public: true to accept requests without a token"
        ),
        format!(
            "{file}:48:44: {value}.rules[2] (CancelTickets).require.scope: `can\\\"cel` contains `\\\"`; a scope token has printable ASCII characters without space, \" and \\ (RFC 6749 §3.3), such as bookings:view"
        ),
        format!(
            "{file}:31:33: {value}.authorization_servers[0] (main).cluster: unknown cluster `identity_server`; add it to static_resources.clusters, or name one of: bookings, identity-server"
        ),
    ];
    check(&["cli/tests/cli/broken.yaml"]).says(1, &expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn one_bad_file_of_several_is_enough() {
    check(&["envoy/demo.yaml", "missing.yaml", "cli/tests/cli/plugin.yaml"]).says(
        1,
        &[
            "envoy/demo.yaml: ok: 1 configuration, 4 rules",
            "missing.yaml: file: cannot be read: No such file or directory (os error 2); check the name and the permissions of the file",
            "cli/tests/cli/plugin.yaml: ok: 1 configuration, 1 rule",
        ],
    );
}

#[test]
fn a_plugin_configuration_may_stand_alone() {
    let good = fixture("plugin.yaml");
    check_text(&good).says(0, &["-: ok: 1 configuration, 1 rule"]);
    let bad = with(&with(&good, "/bookings", "bookings"), "scope: view", "scope: view, scope: book");
    check_text(&bad).says(
        1,
        &[
            "-:8:31: rules[0] (ViewTickets).match[0].path: invalid path pattern `bookings`; start it with /, as in /bookings",
            "-:9:29: rules[0] (ViewTickets).require.scope: duplicate key; remove all but one of them",
        ],
    );
    check_text("realm: bookings\n").says(
        1,
        &[
            "-: configuration: `authorization_servers` is missing; list the servers whose tokens are accepted, as in authorization_servers: [{ name: main, cluster: identity_server, audience: any, introspection: { path: /introspect } }]",
            "-: configuration: `rules` is missing; list at least one, as in rules: [{ name: View, match: [{ path: /bookings }], require: { scope: view } }]; a request that no rule matches is refused",
        ],
    );
}

#[test]
fn a_file_named_json_is_read_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plugin.json");
    let name = file.to_str().unwrap();
    // A number to JSON; Envoy's YAML reader makes a string of it.
    let text = format!("{{ {SERVERS}, {RULES}, \"cache\": {{ \"capacity\": 1e4 }} }}");
    fs::write(&file, &text).unwrap();
    check(&[name]).says(0, &[&format!("{name}: ok: 1 configuration, 1 rule")]);
    check_text(&text)
        .says(1, &["-: cache.capacity: expected a whole number such as 10000, found a string; write it without quotes, from 1 to 1000000"]);
    fs::write(&file, "{ \"rules\": [").unwrap();
    check(&[name]).says(
        1,
        &[&format!(
            "{name}: file: invalid JSON: EOF while parsing a list at line 1 column 12; correct it: nothing was checked"
        )],
    );
}

#[test]
fn a_string_value_holds_json() {
    let good = fixture("string_value.yaml");
    check_text(&good).says(0, &["-: ok: 1 configuration, 1 rule"]);
    check_text(&with(&good, "\"any\"", "\"any\", \"issuer\": 1")).says(
        1,
        &[
            "-: typed_config.config.configuration.value.authorization_servers[0] (main).issuer: expected a string such as \"https://as.example.com\", found a number; put the value in quotes",
        ],
    );
    let yaml = format!("{{ \"@type\": {STRING_VALUE}, value: 'rules: [{{ name: All }}]' }}");
    check_text(&filter(&yaml)).says(
        1,
        &[
            "-: typed_config.config.configuration.value: YAML instead of JSON; write JSON text in a StringValue, or use a google.protobuf.Struct for YAML",
        ],
    );
    let neither = format!("{{ \"@type\": {STRING_VALUE}, value: '{{' }}");
    check_text(&filter(&neither)).says(
        1,
        &[
            "-: typed_config.config.configuration.value: invalid JSON: EOF while parsing an object at line 1 column 1; write the configuration as a google.protobuf.Struct, or as JSON text in a StringValue",
        ],
    );
}

#[test]
fn content_of_an_invalid_envelope_is_checked() {
    let path = "-: typed_config.config.configuration";
    let envelope = "write \"@type\": type.googleapis.com/google.protobuf.Struct, and the configuration under `value`";
    let value = format!("{{ {SERVERS}, {RULES}, realm: 1 }}");
    let realm = "realm: expected a string such as \"bookings\", found a number; put the value in quotes";
    for (any, expected) in [
        (value.clone(), vec![format!(": `@type` is missing; {envelope}"), format!(".{realm}")]),
        (format!("{{ value: {value} }}"), vec![format!(": `@type` is missing; {envelope}"), format!(".value.{realm}")]),
        (
            format!("{{ \"@type\": {STRUCT}, {SERVERS}, {RULES} }}"),
            vec![": `value` is missing; move the configuration under `value`".to_owned()],
        ),
        (
            format!("{{ \"@type\": {STRING_VALUE}, value: {value} }}"),
            vec![
                ".value: a StringValue needs a string; write JSON text, or use a google.protobuf.Struct".to_owned(),
                format!(".value.{realm}"),
            ],
        ),
        (
            format!("{{ \"@type\": x/envoy.Any, value: {value} }}"),
            vec![format!(".@type: invalid type `x/envoy.Any`; {envelope}"), format!(".value.{realm}")],
        ),
        ("'{}'".to_owned(), vec![format!(": the configuration has no envelope; {envelope}")]),
        (
            format!("{{ \"@type\": {BYTES_VALUE}, value: '*' }}"),
            vec![".value: not base64; use a google.protobuf.Struct instead".to_owned()],
        ),
        // {"realm":1}
        (
            format!("{{ \"@type\": {BYTES_VALUE}, value: eyJyZWFsbSI6MX0= }}"),
            vec![
                ".value: `authorization_servers` is missing; list the servers whose tokens are accepted, as in authorization_servers: [{ name: main, cluster: identity_server, audience: any, introspection: { path: /introspect } }]"
                    .to_owned(),
                format!(".value.{realm}"),
                ".value: `rules` is missing; list at least one, as in rules: [{ name: View, match: [{ path: /bookings }], require: { scope: view } }]; a request that no rule matches is refused"
                    .to_owned(),
            ],
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|line| format!("{path}{line}")).collect();
        check_text(&filter(&any)).says(1, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
    check_text("config: { name: scopegate, vm_config: {} }\n").says(
        1,
        &["-: config: `configuration` is missing; add it: a module without a configuration refuses every request"],
    );
}

#[test]
fn istio_resources_share_files_with_others() {
    check(&["cli/tests/cli/istio.yaml"]).says(0, &["cli/tests/cli/istio.yaml: ok: 2 configurations, 3 rules"]);
    let file = "cli/tests/cli/istio_broken.yaml";
    check(&["cli/tests/cli/istio_broken.yaml"]).says(
        1,
        &[
            "cli/tests/cli/istio_broken.yaml:4:34: metadata.name: duplicate key; remove all but one of them",
            &format!("{file}:10:3: spec.failStrategy: accepts every request when the module fails; write FAIL_CLOSE, or leave it out"),
            &format!("{file}:16:65: spec.pluginConfig.authorization_servers[0] (main).introspection.client_secret_env: the environment variable `GATEWAY_SECRET` is not set for the module; name it in spec.vmConfig.env, with valueFrom: HOST"),
            &format!("{file}:20:33: spec.pluginConfig.rules[0] (All).require.scope: duplicate key; remove all but one of them"),
        ],
    );
    let missing = "kind: WasmPlugin\nmetadata: { name: scopegate }\nspec: { url: oci://a/b }\n";
    check_text(missing).says(
        1,
        &["-: spec: `pluginConfig` is missing; add it: a module without a configuration refuses every request"],
    );
}

#[test]
fn plugins_are_found_by_name_module_or_configuration() {
    let any = format!("{{ \"@type\": {STRUCT}, value: {{ {SERVERS}, {RULES} }} }}");
    for ours in [
        format!("config: {{ name: scopegate, configuration: {any} }}"),
        format!("config: {{ rootId: scopegate, configuration: {any} }}"),
        format!(
            "config: {{ vm_config: {{ code: {{ local: {{ filename: /a/scopegate-0.1.wasm }} }} }}, configuration: {any} }}"
        ),
        format!(
            "config: {{ vmConfig: {{ code: {{ remote: {{ httpUri: {{ uri: https://a/scopegate.wasm }} }} }} }}, configuration: {any} }}"
        ),
        format!("config: {{ name: other, configuration: {any} }}"),
        format!("typed_per_filter_config: {{ gate: {{ config: {{ configuration: {any} }} }} }}"),
        format!("resources: [{{ name: gate, typed_config: {{ config: {{ configuration: {any} }} }} }}]"),
        format!("kind: WasmPlugin\nspec: {{ pluginName: scopegate, pluginConfig: {{ {SERVERS}, {RULES} }} }}"),
    ] {
        let run = check_text(&ours);
        assert_eq!((run.code, run.out.as_str()), (Some(0), "-: ok: 1 configuration, 1 rule\n"), "{ours}");
    }
    let nothing = "-: file: no configuration of Scopegate found; name the plugin scopegate (name or root_id), or check a file that configures it";
    for others in [
        "",
        "# nothing\n",
        "just a string",
        "[1, 2]",
        "static_resources: { listeners: [] }",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nrules: [{ verbs: [get] }]",
        "kind: WasmPlugin\nspec: { url: oci://a/waf:1, pluginConfig: { rules: [SecRuleEngine On] } }",
        "config: { vm_config: { code: { local: { filename: /scopegate/waf.wasm } } }, configuration: { value: { rules: [On] } } }",
    ] {
        check_text(others).says(1, &[nothing]);
    }
}

#[test]
fn clusters_are_checked_where_all_are_known() {
    let good = fixture("string_value.yaml").replace('\n', "\n  ");
    let with_clusters = |clusters: &str| format!("filter:\n  {good}\nstatic_resources: {{ clusters: {clusters} }}\n");
    let well = ["-: ok: 1 configuration, 1 rule"];
    check_text(&with_clusters("[{ name: bookings }, { name: identity_server }]")).says(0, &well);
    check_text(&with_clusters("[{ name: bookings }]")).says(
        1,
        &[
            "-: filter.typed_config.config.configuration.value.authorization_servers[0] (main).cluster: unknown cluster `identity_server`; add it to static_resources.clusters, or name one of: bookings",
        ],
    );
    for elsewhere in ["cds_config: {}", "cdsConfig: {}"] {
        let dynamic = format!("dynamic_resources: {{ {elsewhere} }}\n");
        check_text(&(with_clusters("[{ name: bookings }]") + &dynamic)).says(0, &well);
    }
    check_text(&format!("filter:\n  {good}\nstatic_resources: {{ listeners: [] }}\n")).says(0, &well);
}

#[test]
fn fallback_clusters_are_checked_too() {
    let servers = with(SERVERS, r#""audience""#, r#""fallback_clusters": ["second", "third"], "audience""#);
    let filter = filter(&format!("{{ \"@type\": {STRUCT}, value: {{ {servers}, {RULES} }} }}"));
    let clusters = "[{ name: identity_server }, { name: third }]";
    check_text(&format!("{filter}static_resources: {{ clusters: {clusters} }}\n")).says(
        1,
        &[
            "-: typed_config.config.configuration.value.authorization_servers[0] (main).fallback_clusters[0]: unknown cluster `second`; add it to static_resources.clusters, or name one of: identity_server, third",
        ],
    );
}

#[test]
fn only_a_strict_check_reports_report_only() {
    let reporting = with(RULES, r#""name""#, r#""mode": "report_only", "name""#);
    for (text, path) in [
        (format!("{{ {SERVERS}, {RULES} }}"), None),
        (format!(r#"{{ "mode": "enforce", {SERVERS}, {RULES} }}"#), None),
        (format!(r#"{{ "mode": "report_only", {SERVERS}, {RULES} }}"#), Some("mode")),
        (format!("{{ {SERVERS}, {reporting} }}"), Some("rules[0] (All).mode")),
    ] {
        let ok = "-: ok: 1 configuration, 1 rule".to_owned();
        check_text(&text).says(0, &[&ok]);
        let said = path
            .map(|path| format!("-: {path}: `report_only` refuses no request; write mode: enforce, or omit the key"));
        scopegate(&["check", "--strict", "-"], text.as_bytes()).says(i32::from(path.is_some()), &[&said.unwrap_or(ok)]);
    }
}

#[test]
fn environment_variables_are_those_of_the_module() {
    let good = fixture("string_value.yaml");
    let variables = "key_values: { GATEWAY_SECRET: tr0ub4dor-and-3 }";
    let unset = "-: typed_config.config.configuration.value.authorization_servers[0] (main).introspection.client_secret_env: the environment variable `GATEWAY_SECRET` is not set for the module; set it where Envoy starts, and name it in vm_config.environment_variables.host_env_keys";
    check_text(&with(&good, variables, "host_env_keys: [A, GATEWAY_SECRET]"))
        .says(0, &["-: ok: 1 configuration, 1 rule"]);
    for without in ["host_env_keys: [A]", "key_values: { GATEWAY_SECRET: '' }", "{}"] {
        check_text(&with(&good, variables, without)).says(1, &[unset]);
    }
}

#[test]
fn yaml_is_read_as_envoy_reads_it() {
    let good = fixture("plugin.yaml");
    // Anchors and aliases; a holder of anchors that is tagged to be left out.
    let alias = with(&good, "{ scope: view }", "*view") + "!ignore holder: 1\n";
    let alias = format!("!ignore shared: {{ require: &view {{ scope: view }} }}\n{alias}");
    check_text(&alias).says(0, &["-: ok: 1 configuration, 1 rule"]);
    let merge = format!("!ignore shared: &view {{ scope: view }}\n{}", with(&good, "scope: view", "<<: *view"));
    check_text(&merge).says(1, &["-:10:16: rules[0] (ViewTickets).require.<<: Envoy has no merge keys; write the keys themselves, as in { scope: view }"]);
}

#[test]
fn any_secret_may_come_from_the_environment() {
    let good = fixture("string_value.yaml");
    let key = r#""client_authentication": "private_key_jwt", "assertion_audience": "a", "private_key_env""#;
    let text = with(
        &with(&good, "\"client_secret_env\"", key),
        "key_values: { GATEWAY_SECRET: tr0ub4dor-and-3 }",
        "host_env_keys: [GATEWAY_SECRET]",
    );
    check_text(&text).says(0, &["-: ok: 1 configuration, 1 rule"]);
    let istio = fixture("istio_broken.yaml").replace(
        "client_secret_env:",
        "client_authentication: private_key_jwt, assertion_audience: a, private_key_env:",
    );
    assert!(check_text(&istio).out.contains("name it in spec.vmConfig.env, with valueFrom: HOST"));
}

#[test]
fn duplicate_keys_are_reported_with_their_paths() {
    let twice = "a: { 'b.c': [{ d: 1, d: 2 }] }\na: 1\n";
    let text = format!("{twice}{}", fixture("string_value.yaml"));
    check_text(&text).says(
        1,
        &[
            "-: a[\"b.c\"][0].d: duplicate key; remove all but one of them",
            "-: a: duplicate key; remove all but one of them",
        ],
    );
    // Envoy takes the last one; it is the one that is checked.
    let any = format!("{{ \"@type\": {STRUCT}, value: {{}}, value: {{ {SERVERS}, {RULES} }} }}");
    check_text(&filter(&any))
        .says(1, &["-: typed_config.config.configuration.value: duplicate key; remove all but one of them"]);
}

#[test]
fn a_secret_is_never_printed() {
    let text = with(&fixture("string_value.yaml"), "\"any\"", "\"some\"");
    let inline = format!("{{ \"@type\": {STRUCT}, value: {{ {SERVERS}, rules: [] }} }}");
    for text in [text, filter(&inline), fixture("istio.yaml").replace("audience: any", "audience: some")] {
        let run = check_text(&text);
        assert_eq!(run.code, Some(1), "{}", run.out);
        assert!(!run.out.contains("tr0ub4dor") && !run.err.contains("tr0ub4dor"), "{}{}", run.out, run.err);
    }
}

#[test]
fn documents_before_a_syntax_error_are_checked() {
    let text = format!("{}---\na: [1\nb: 2\n", with(&fixture("plugin.yaml"), "scope: view", "scopes: view"));
    check_text(&text).says(
        1,
        &[
            "-:9:16: rules[0] (ViewTickets).require.scopes: unknown key; did you mean `scope`? known keys: scope, any_scope, scope_template, mapped_scope, roles, any_role, client_ids, audience, claims, authorization_server, all, any, authenticated",
            "-:12:2: file: invalid YAML: illegal placement of ':' indicator; correct it: the rest of the file was not checked",
        ],
    );
    let run = scopegate(&["check", "-"], b"\xff\xfe");
    run.says(1, &["-: file: not UTF-8; save the file as UTF-8"]);
    check(&["tests"]).says(
        1,
        &["tests: file: cannot be read: Is a directory (os error 21); check the name and the permissions of the file"],
    );
}

#[test]
fn json_has_lines_and_columns_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plugin.json");
    let name = file.to_str().unwrap();
    let problem = "realm: expected a string such as \"bookings\", found a number; put the value in quotes";
    fs::write(&file, format!("{{\n\t{SERVERS},\n\t{RULES},\n\t\"realm\": 1\n}}\n")).unwrap();
    check(&[name]).says(1, &[&format!("{name}:4:2: {problem}")]);
    // JSON text in a YAML string has the place of the string.
    let text = format!("{{ {SERVERS}, {RULES}, \"realm\": 1 }}");
    let plugin =
        format!("config:\n  name: scopegate\n  configuration:\n    \"@type\": {STRING_VALUE}\n    value: '{text}'\n");
    check_text(&plugin).says(1, &[&format!("-:5:5: config.configuration.value.{problem}")]);
}

#[test]
fn one_problem_is_one_line() {
    let run = check_text("rules: 1\n\"a\\n-: ok\\e[2J\": 1\n");
    assert_eq!(run.code, Some(1));
    assert!(run.out.contains("-:2:1: a\\n-: ok\\u{1b}[2J: unknown key"), "{}", run.out);
}

#[test]
fn hostile_files_are_refused_quickly() {
    let mut bomb = String::from("- &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("- &a{level} [{aliases}]\n"));
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, text, expected) in [
        ("bomb.yaml", bomb, "too many values, each alias counted as its value; use fewer aliases"),
        ("brackets.yaml", "[".repeat(10 << 20), "invalid YAML: recursion limit exceeded; correct it"),
        ("brackets.json", "[".repeat(10 << 20), "invalid JSON: recursion limit exceeded"),
        ("braces.yaml", "{\"a\":".repeat(2 << 20), "nested too deeply; nest at most 128 levels"),
        ("long.yaml", " ".repeat((16 << 20) + 1), "file: larger than 16 MiB; check the configuration on its own"),
        (
            "keys.yaml",
            format!("{{{}}}", "spec: {}, ".repeat(100_000)),
            "spec: duplicate key; remove all but one of them",
        ),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        let run = check(&[file.to_str().unwrap()]);
        assert_eq!(run.code, Some(1), "{name}");
        assert!(run.out.contains(expected), "{name}: {:.300}", run.out);
    }
}

#[test]
fn invalid_arguments_exit_with_2() {
    for arguments in [&[][..], &["check"], &["check", "--colour", "-"], &["chekc", "-"]] {
        let run = scopegate(arguments, b"");
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(run.err.contains("Usage: scopegate"), "{}", run.err);
    }
    scopegate(&["--version"], b"").says(0, &[concat!("scopegate ", env!("CARGO_PKG_VERSION"))]);
}
