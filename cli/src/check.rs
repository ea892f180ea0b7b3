//! Checking documents: Scopegate's configurations, and what around them makes them unsafe.

use std::collections::BTreeSet;

use scopegate::{Config, Json, Problem, Problems};

use crate::find::{self, Content, Kind, Members, Plugin, Resource, at, field, is_field, items, members, text};
use crate::input::Input;
use crate::path::{Path, shown};

/// What a file has to say for itself.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) configurations: usize,
    pub(crate) rules: usize,
    /// Each with the number of its document, if the file has several.
    pub(crate) problems: Vec<(Option<usize>, Problem)>,
}

impl Findings {
    /// `strict`: also what is no error, and not meant to stay.
    pub(crate) fn of(input: &Input, strict: bool) -> Self {
        let mut findings = Self::default();
        let several = input.documents.len() > 1;
        for (number, document) in (1_usize..).zip(&input.documents) {
            let mut check = Check::of(document, strict);
            check.document(document);
            findings.configurations = findings.configurations.saturating_add(check.configurations);
            findings.rules = findings.rules.saturating_add(check.rules);
            findings.problems.extend(check.problems.into_iter().map(|problem| (several.then_some(number), problem)));
        }
        if let Some(problem) = &input.problem {
            findings.problems.push((None, problem.clone()));
        } else if findings.configurations == 0 {
            let hint = "name the plugin scopegate (name or root_id), or check a file that configures it";
            findings.problems.push((None, problem(String::new(), "none of Scopegate's is in this file", hint)));
        }
        findings
    }
}

/// The check of one document.
#[derive(Debug)]
struct Check<'a> {
    /// The clusters there are, if the document says so for good.
    clusters: Option<BTreeSet<&'a str>>,
    strict: bool,
    configurations: usize,
    rules: usize,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn of(document: &'a Json, strict: bool) -> Self {
        let root = members(document).unwrap_or_default();
        let dynamic = ["cds_config", "cds_resources_locator"];
        let dynamic = dynamic.iter().any(|key| at(root, &["dynamic_resources", key]).is_some());
        let clusters = at(root, &["static_resources", "clusters"]).filter(|_| !dynamic).map(|clusters| {
            let names = items(clusters).iter().filter_map(|cluster| field(members(cluster)?, "name").and_then(text));
            names.collect()
        });
        Self { clusters, strict, configurations: 0, rules: 0, problems: Vec::new() }
    }

    fn note(&mut self, path: String, problem: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(self::problem(path, problem, hint));
    }

    fn document(&mut self, document: &'a Json) {
        if find::is_bare(document) {
            self.configurations = 1;
            let result = Config::read(document, &|_| Some(find::STAND_IN.clone()));
            self.configuration("", document, result, Kind::Envoy);
        } else {
            self.walk(&Path::Root, document, &[]);
        }
    }

    /// Looks for plugins and duplicate keys at any depth, except at the end of the way `checked`.
    fn walk(&mut self, path: &Path<'_>, value: &'a Json, checked: &[&str]) {
        match value {
            Json::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.walk(&path.index(index), value, &[]);
                }
            }
            Json::Object(object) => {
                let resource = Resource::of(object);
                let mut seen = BTreeSet::new();
                for (key, value) in object {
                    let path = path.key(key);
                    if !seen.insert(key) {
                        self.note(path.to_string(), "duplicate key", "keep one of them");
                    }
                    match checked.split_first() {
                        Some((first, [])) if is_field(key, first) => continue,
                        Some((first, rest)) if is_field(key, first) => {
                            self.walk(&path, value, rest);
                            continue;
                        }
                        _ => {}
                    }
                    let plugin = Plugin::of(resource, key, value);
                    if let Some(plugin) = &plugin {
                        self.plugin(&path, plugin);
                    }
                    self.walk(&path, value, plugin.as_ref().map_or(&[], Plugin::way));
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }

    fn plugin(&mut self, path: &Path<'_>, plugin: &Plugin<'_>) {
        self.configurations = self.configurations.saturating_add(1);
        self.failing_open(path, plugin.kind, plugin.members);
        let key = member(plugin.members, plugin.kind.configuration_key());
        let Some(configuration) = &plugin.configuration else {
            let hint = "write one: a module without it refuses every request";
            return self.note(path.to_string(), format!("`{key}` is missing"), hint);
        };
        let path = path.key(key);
        if let Some((key, problem, hint)) = &configuration.problem {
            self.note(below(&path, key), problem.as_str(), *hint);
        }
        let environment = plugin.environment();
        let environment = |variable: &str| environment.get(variable).map(|value| (*value).to_owned());
        match &configuration.content {
            Some((key, Content::Document(document))) => {
                let result = Config::read(document, &environment);
                self.configuration(&below(&path, key), document, result, plugin.kind);
            }
            Some((key, Content::Bytes(bytes))) => {
                let result = Config::parse(bytes, &environment);
                let path = below(&path, key);
                match Json::parse(bytes) {
                    Ok(document) => self.configuration(&path, &document, result, plugin.kind),
                    Err(_) if find::yaml_object(bytes).is_some() => {
                        let hint = "the text of a StringValue has to be JSON: write JSON, or use a Struct";
                        self.note(path, "is YAML, not JSON", hint);
                    }
                    Err(_) => self.configuration(&path, &Json::Null, result, plugin.kind),
                }
            }
            None => {}
        }
    }

    fn failing_open(&mut self, path: &Path<'_>, kind: Kind, plugin: &Members) {
        let switches: &[(&str, &str)] = match kind {
            Kind::Envoy => &[
                ("fail_open", "remove it and write failure_policy: FAIL_RELOAD"),
                ("failure_policy", "write FAIL_RELOAD or FAIL_CLOSED"),
            ],
            Kind::Istio => &[("failStrategy", "write FAIL_CLOSE, or leave it out")],
        };
        for (key, hint) in switches {
            let value = field(plugin, key);
            if value == Some(&Json::Bool(true)) || value.and_then(text) == Some("FAIL_OPEN") {
                let path = path.key(member(plugin, key)).to_string();
                self.note(path, "lets every request by when the module fails", *hint);
            }
        }
    }

    /// Notes what the filter says of a configuration, and the clusters that it names in vain.
    fn configuration(&mut self, path: &str, document: &Json, result: Result<Config, Problems>, kind: Kind) {
        let root = members(document).unwrap_or_default();
        self.rules = self.rules.saturating_add(field(root, "rules").map_or(0, |rules| items(rules).len()));
        if let Err(problems) = result {
            for found in problems.iter() {
                let (said, hint) = reworded(found, kind);
                self.note(joined(path, &found.path), said, hint);
            }
        }
        let servers = field(root, "authorization_servers").map(items).unwrap_or_default();
        for (index, server) in servers.iter().enumerate() {
            let member = |name| members(server).and_then(|server| field(server, name));
            self.cluster(&joined(path, &format!("authorization_servers[{index}].cluster")), member("cluster"));
            let others = member("fallback_clusters").map(items).unwrap_or_default();
            for (other, cluster) in others.iter().enumerate() {
                let at = format!("authorization_servers[{index}].fallback_clusters[{other}]");
                self.cluster(&joined(path, &at), Some(cluster));
            }
        }
        if self.strict {
            self.reporting(path, root);
        }
    }

    /// Notes a cluster that there is not.
    fn cluster(&mut self, path: &str, cluster: Option<&Json>) {
        if let (Some(cluster), Some(clusters)) = (cluster.and_then(text), &self.clusters)
            && !cluster.is_empty()
            && !clusters.contains(cluster)
        {
            let problem = format!("there is no cluster `{}`", shown(cluster));
            self.note(path.to_owned(), problem, "define it in static_resources.clusters, or name one that is there");
        }
    }

    /// Notes what is not enforced.
    fn reporting(&mut self, path: &str, root: &Members) {
        let rules = field(root, "rules").map(items).unwrap_or_default();
        let rules =
            rules.iter().enumerate().filter_map(|(index, rule)| Some((format!("rules[{index}]."), members(rule)?)));
        for (prefix, members) in [(String::new(), root)].into_iter().chain(rules) {
            if field(members, "mode").and_then(text) == Some("report_only") {
                let path = joined(path, &format!("{prefix}mode"));
                self.note(path, "nothing is refused: report_only", "write enforce, or leave it out");
            }
        }
    }
}

/// A problem as it is told where the configuration stands: the filter does not know what is around it.
fn reworded(found: &Problem, kind: Kind) -> (String, String) {
    if found.path.rsplit('.').next() == Some("<<") {
        return ("is no merge key: Envoy merges nothing".to_owned(), "write the keys out".to_owned());
    }
    let of_environment = found.path.ends_with("_env") && found.hint.contains("host_env_keys");
    if kind == Kind::Istio && of_environment {
        return (found.problem.clone(), "name it in spec.vmConfig.env, with valueFrom: HOST".to_owned());
    }
    (found.problem.clone(), found.hint.clone())
}

/// The key under which the field stands, or would.
fn member<'a>(members: &'a Members, name: &'a str) -> &'a str {
    members.iter().rev().find(|(key, _)| is_field(key, name)).map_or(name, |(key, _)| key)
}

fn below(path: &Path<'_>, key: &str) -> String {
    if key.is_empty() { path.to_string() } else { path.key(key).to_string() }
}

fn joined(outer: &str, inner: &str) -> String {
    let dot = if outer.is_empty() || inner.is_empty() || inner.starts_with('[') { "" } else { "." };
    format!("{outer}{dot}{inner}")
}

fn problem(path: String, problem: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem { path, problem: problem.into(), hint: hint.into() }
}
