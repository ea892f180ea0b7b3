//! The documents: their examples are configurations that pass, and what they link to is there.

use std::collections::BTreeSet;

use super::*;

const IDENTITY_SERVERS: &str = "docs/identity-servers.md";

/// Every document that people write; links between them are followed.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/capabilities.md",
    "docs/configuration.md",
    IDENTITY_SERVERS,
    "docs/limits.md",
    "docs/operations.md",
    "docs/performance.md",
    "docs/reliability.md",
    "tests/fuzz/README.md",
    "tests/hostile/README.md",
    "tests/vectors/README.md",
];

/// Those whose examples are plugin configurations, or parts of one.
const REFERENCES: &[&str] = &["docs/configuration.md", "docs/operations.md"];

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name)).unwrap()
}

fn blocks(markdown: &str) -> Vec<&str> {
    markdown.split("```yaml\n").skip(1).map(|rest| rest.split("```\n").next().unwrap()).collect()
}

/// `text` with every line moved to the right.
fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

/// An example as a whole configuration: what it leaves out is added.
fn completed(example: &str) -> String {
    let mut text = example.to_owned();
    if !example.contains("authorization_servers:\n") {
        text.push_str(&format!("{SERVERS}\n"));
    }
    if !example.contains("\nrules:") {
        text.push_str("rules: [{ name: All, match: [{ path_prefix: / }], require: { authenticated: true } }]\n");
    }
    text
}

/// An Envoy file with these clusters and this configuration; the module sees every variable that it names.
fn in_envoy(clusters: &str, configuration: &str) -> String {
    let variables: Vec<&str> =
        configuration.split("_env: ").skip(1).map(|rest| rest.split([' ', ',', '}', '\n']).next().unwrap()).collect();
    format!(
        "{clusters}typed_config:\n  config:\n    name: scopegate\n    vm_config: {{ environment_variables: {{ host_env_keys: [{}] }} }}\n    configuration:\n      \"@type\": {STRUCT}\n      value:\n{}",
        variables.join(", "),
        indented(configuration, 8)
    )
}

#[test]
fn identity_server_examples_pass_with_their_cluster() {
    let document = read(IDENTITY_SERVERS);
    let (clusters, examples) = blocks(&document).split_first().map(|(first, rest)| (*first, rest.to_vec())).unwrap();
    assert!(clusters.starts_with("static_resources:\n"), "{clusters}");
    for example in examples {
        let run = check_text(&in_envoy(clusters, &completed(example)));
        assert_eq!(run.out, "-: ok: 1 configuration, 1 rule\n", "{example}");
    }
}

#[test]
fn every_preset_has_a_documented_example() {
    let document = read(IDENTITY_SERVERS);
    let sections: Vec<&str> = document.split("\n## ").skip(1).collect();
    let run = scopegate(&["presets"], b"");
    let presets: Vec<&str> = run.out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert!(presets.contains(&"rfc7662") && presets.contains(&"keycloak"), "{}", run.out);
    for preset in &presets {
        let title = format!("(`{preset}`)");
        let section = sections.iter().find(|section| section.lines().next().unwrap().ends_with(&title));
        let section = section.unwrap_or_else(|| panic!("no section {title}"));
        let names =
            |example: &&str| example.split("preset: ").nth(1).unwrap().split([',', '\n', ' ']).next() == Some(preset);
        assert!(blocks(section).iter().all(names) && !blocks(section).is_empty(), "{section}");
    }
    let titled = sections.iter().filter(|section| section.lines().next().unwrap().ends_with("`)"));
    assert_eq!(titled.count(), presets.len());
}

#[test]
fn reference_and_readme_examples_pass() {
    for example in
        REFERENCES.iter().flat_map(|name| blocks(&read(name)).into_iter().map(str::to_owned).collect::<Vec<_>>())
    {
        let run = check_text(&completed(&example));
        assert_eq!(run.out, "-: ok: 1 configuration, 1 rule\n", "{example}");
    }
    for example in blocks(&read("README.md")) {
        let run = check_text(example);
        assert_eq!(run.out, "-: ok: 1 configuration, 2 rules\n", "{example}");
    }
}

/// As GitHub makes them of headings.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let slug = |title: &str| {
        let kept = title.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect::<String>()
    };
    markdown
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| slug(line.trim_start_matches(['#', ' '])))
        .collect()
}

#[test]
fn no_other_document_has_an_example() {
    let tested = [REFERENCES, &["README.md", IDENTITY_SERVERS]].concat();
    for name in DOCUMENTS.iter().filter(|name| !tested.contains(name)) {
        assert!(blocks(&read(name)).is_empty(), "{name}");
    }
}

#[test]
fn every_metric_has_a_meaning() {
    let document = read("docs/operations.md");
    for counter in scopegate::Counter::all() {
        let name = counter.name();
        let word = name.rsplit('.').next().unwrap();
        let is_there = [name.as_str(), word]
            .iter()
            .any(|text| ["`", "."].iter().any(|before| document.contains(&format!("{before}{text}`"))));
        assert!(is_there, "{name}");
    }
}

/// The strings in a file that start so, without that start.
fn quoted(file: &str, start: &str) -> Vec<String> {
    let text = read(file);
    let quoted = text.split('"').skip(1).step_by(2);
    quoted.filter_map(|text| text.strip_prefix(start)).filter(|rest| !rest.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_list_of_capabilities_is_complete() {
    let document = read("SECURITY.md");
    let listed: BTreeSet<&str> =
        document.split("```text\n").nth(1).unwrap().split("```").next().unwrap().split_whitespace().collect();
    let module = "tests/module/module.rs";
    let imports = ["env.", "wasi_snapshot_preview1."].map(|start| quoted(module, start)).concat();
    let callbacks =
        quoted("envoy/strip-callbacks/src/main.rs", "proxy_on_").into_iter().map(|name| format!("proxy_on_{name}"));
    let needed: BTreeSet<String> = imports.into_iter().chain(callbacks).collect();
    assert!(needed.len() > 40, "{needed:?}");
    assert_eq!(listed, needed.iter().map(String::as_str).collect());
}

#[test]
fn every_link_leads_somewhere() {
    for file in DOCUMENTS {
        let text = read(file);
        let folder = Path::new(file).parent().unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { (*file).into() } else { folder.join(path) };
            let target = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(target);
            assert!(target.exists(), "{file}: {link}");
            let there = anchor.is_empty() || anchors(&fs::read_to_string(&target).unwrap()).contains(anchor);
            assert!(there, "{file}: {link}");
        }
    }
}
