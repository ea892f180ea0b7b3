//! Checks documents: the configurations of Scopegate, and settings around them that make them unsafe.

use std::collections::BTreeSet;

use scopegate::{Config, Json, Problem, Problems};

use crate::find::{self, Content, Kind, Members, Plugin, Resource, at, field, is_field, items, members, text};
use crate::input::{Document, Finding, Input};
use crate::path::{Path, shown};

/// The results of checking a file.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) configurations: usize,
    pub(crate) rules: usize,
    pub(crate) problems: Vec<Finding>,
}

impl Findings {
    /// Checks a file; `strict` reports `mode: report_only`, too.
    pub(crate) fn of(input: &Input, strict: bool) -> Self {
        let mut findings = Self::default();
        for Document { json, places } in &input.documents {
            let mut check = Check::of(json, strict);
            check.document(json);
            findings.configurations = findings.configurations.saturating_add(check.configurations);
            findings.rules = findings.rules.saturating_add(check.rules);
            findings.problems.extend(check.problems.into_iter().map(|problem| {
                let place = places.as_ref().map(|places| places.find(&problem.position));
                Finding { place, problem }
            }));
        }
        if let Some(problem) = &input.problem {
            findings.problems.push(problem.clone());
        } else if findings.configurations == 0 {
            let hint = "name the plugin scopegate (name or root_id), or check a file that configures it";
            findings.problems.push(Finding::in_file(None, "no configuration of Scopegate found", hint));
        }
        findings
    }
}

/// The check of one document.
#[derive(Debug)]
struct Check<'a> {
    /// The names of all clusters, if the document has all of them.
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

    fn report(&mut self, path: &Path<'_>, problem: impl Into<String>, hint: impl Into<String>) {
        let (problem, hint) = (problem.into(), hint.into());
        self.problems.push(Problem { path: path.to_string(), position: path.position(), problem, hint });
    }

    /// Reports a problem of the configuration at `outer`.
    fn report_inner(&mut self, outer: &Path<'_>, mut problem: Problem) {
        let mut position = outer.position();
        position.append(&mut problem.position);
        self.problems.push(Problem { path: joined(&outer.to_string(), &problem.path), position, ..problem });
    }

    fn document(&mut self, document: &'a Json) {
        if find::is_bare(document) {
            self.configurations = 1;
            let result = Config::read(document, &|_| Some(find::STAND_IN.clone()));
            self.configuration(&Path::Root, document, result, Kind::Envoy);
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
                for (step, (key, value)) in object.iter().enumerate() {
                    let path = path.member(step, key);
                    if !seen.insert(key) {
                        self.report(&path, "duplicate key", "remove all but one of them");
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
        let key = plugin.kind.configuration_key();
        let Some(configuration) = &plugin.configuration else {
            let hint = "add it: a module without a configuration refuses every request";
            return self.report(path, format!("`{key}` is missing"), hint);
        };
        let path = below(path, plugin.members, key);
        let envelope = field(plugin.members, key).and_then(members).unwrap_or_default();
        if let Some((key, problem, hint)) = &configuration.problem {
            self.report(&below(&path, envelope, key), problem.as_str(), *hint);
        }
        let environment = plugin.environment();
        let environment = |variable: &str| environment.get(variable).map(|value| (*value).to_owned());
        match &configuration.content {
            Some((key, Content::Document(document))) => {
                let result = Config::read(document, &environment);
                self.configuration(&below(&path, envelope, key), document, result, plugin.kind);
            }
            Some((key, Content::Bytes(bytes))) => {
                let result = Config::parse(bytes, &environment);
                let path = below(&path, envelope, key);
                match Json::parse(bytes) {
                    Ok(document) => self.configuration(&path, &document, result, plugin.kind),
                    Err(_) if find::yaml_object(bytes).is_some() => {
                        let hint = "write JSON text in a StringValue, or use a google.protobuf.Struct for YAML";
                        self.report(&path, "YAML instead of JSON", hint);
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
                self.report(&below(path, plugin, key), "accepts every request when the module fails", *hint);
            }
        }
    }

    /// Reports the problems of a configuration, and its references to unknown clusters.
    fn configuration(&mut self, path: &Path<'_>, document: &Json, result: Result<Config, Problems>, kind: Kind) {
        let root = members(document).unwrap_or_default();
        self.rules = self.rules.saturating_add(field(root, "rules").map_or(0, |rules| items(rules).len()));
        if let Err(problems) = result {
            for found in problems.iter() {
                self.report_inner(path, reworded(found, kind));
            }
        }
        let servers = field(root, "authorization_servers").map(items).unwrap_or_default();
        for (index, server) in servers.iter().enumerate() {
            let server = members(server).unwrap_or_default();
            let position = |key: &str| [step(root, "authorization_servers"), index, step(server, key)];
            self.cluster(path, document, &position("cluster"), field(server, "cluster"));
            let others = field(server, "fallback_clusters").map(items).unwrap_or_default();
            for (other, cluster) in others.iter().enumerate() {
                let position = [&position("fallback_clusters")[..], &[other]].concat();
                self.cluster(path, document, &position, Some(cluster));
            }
        }
        if self.strict {
            self.reporting(path, document, root);
        }
    }

    /// Reports an unknown cluster.
    fn cluster(&mut self, path: &Path<'_>, document: &Json, position: &[usize], cluster: Option<&Json>) {
        let (Some(cluster), Some(clusters)) = (cluster.and_then(text), &self.clusters) else { return };
        if !cluster.is_empty() && !clusters.contains(cluster) {
            let known: Vec<String> = clusters.iter().take(MAX_SHOWN).map(|known| shown(known)).collect();
            let hint = format!("add it to static_resources.clusters, or name one of: {}", known.join(", "));
            let problem = format!("unknown cluster `{}`", shown(cluster));
            self.report_inner(path, Problem::at(document, position.to_vec(), problem, hint));
        }
    }

    /// Reports modes that enforce nothing.
    fn reporting(&mut self, path: &Path<'_>, document: &Json, root: &Members) {
        let rules = field(root, "rules").map(items).unwrap_or_default();
        let rules = rules.iter().enumerate().filter_map(|(index, rule)| {
            let rule = members(rule)?;
            Some((vec![step(root, "rules"), index, step(rule, "mode")], rule))
        });
        for (position, members) in [(vec![step(root, "mode")], root)].into_iter().chain(rules) {
            if field(members, "mode").and_then(text) == Some("report_only") {
                let hint = "write mode: enforce, or omit the key";
                self.report_inner(path, Problem::at(document, position, "`report_only` refuses no request", hint));
            }
        }
    }
}

/// A problem, with the remedy for the file around the configuration.
fn reworded(found: &Problem, kind: Kind) -> Problem {
    let mut problem = found.clone();
    if found.path.rsplit('.').next() == Some("<<") {
        problem.problem = "Envoy has no merge keys".to_owned();
        problem.hint = "write the keys themselves, as in { scope: view }".to_owned();
    } else if kind == Kind::Istio && found.path.ends_with("_env") && found.hint.contains("host_env_keys") {
        problem.hint = "name it in spec.vmConfig.env, with valueFrom: HOST".to_owned();
    }
    problem
}

/// The path of the field `name`; `path` itself for an empty name.
fn below<'p>(path: &'p Path<'p>, members: &'p Members, name: &'p str) -> Path<'p> {
    let member = members.iter().enumerate().rev().find(|(_, (key, _))| is_field(key, name));
    match member {
        _ if name.is_empty() => *path,
        Some((step, (key, _))) => path.member(step, key),
        None => path.key(name),
    }
}

/// The position of the last member with a key.
fn step(members: &Members, key: &str) -> usize {
    members.iter().rposition(|(name, _)| name == key).unwrap_or(usize::MAX)
}

fn joined(outer: &str, inner: &str) -> String {
    let dot = if outer.is_empty() || inner.is_empty() || inner.starts_with('[') { "" } else { "." };
    format!("{outer}{dot}{inner}")
}

const MAX_SHOWN: usize = 20;
