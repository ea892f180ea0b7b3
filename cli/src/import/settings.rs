//! Reads the settings of a Microgateway: `security_settings.auth_servers`, or serialized authServerAlias and gateway
//! scopes, a document each.

use std::collections::BTreeSet;

use scopegate::{Json, Problem};

use super::Remark;
use super::alias::{
    Alias, Described, GatewayScope, LocalIntrospection, Place, RemoteIntrospection, RequiredScope, Secret,
};
use crate::find::{Members, items, members};
use crate::input::{Finding, Input};
use crate::path::Path;
use crate::yaml;

/// The known settings of a file, and remarks on the others.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) aliases: Vec<Alias>,
    pub(super) gateway_scopes: Vec<GatewayScope>,
    pub(super) remarks: Vec<Remark>,
    document: Option<usize>,
}

/// Settings for issuing tokens, which have no effect on requests to APIs.
const OF_ISSUING: &[&str] =
    &["authServerType", "discoveryURL", "supportedGrantTypes", "metadata", "tokenGeneratorConfig"];
const SCOPE_LISTS: &[&str] = &["gatewayScopes", "gateway_scopes"];

/// A problem that ended the reading of a text, with its line and column in the message.
fn stopped(finding: &Finding) -> Problem {
    let mut problem = finding.problem.clone();
    if let Some(place) = finding.place {
        problem.problem = format!("{} in line {}, column {}", problem.problem, place.line, place.column);
    }
    problem
}

impl Settings {
    pub(super) fn read(input: &Input) -> Self {
        let mut settings = Self::default();
        let several = input.documents.len() > 1;
        for (number, document) in (1_usize..).zip(&input.documents) {
            settings.document = several.then_some(number);
            settings.read_document(&document.json);
        }
        settings.document = None;
        let stopped = input.problem.as_ref().map(stopped);
        settings.remarks.extend(stopped.map(|problem| Remark { document: None, problem, serious: true }));
        settings
    }

    /// Reports that something is missing from the configuration, and the remedy.
    pub(super) fn problem(&mut self, place: &Place, problem: impl Into<String>, hint: impl Into<String>) {
        self.remark(place, problem.into(), hint.into(), true);
    }

    /// Reports something that the operator should know, although nothing is missing.
    pub(super) fn note(&mut self, place: &Place, problem: impl Into<String>, hint: impl Into<String>) {
        self.remark(place, problem.into(), hint.into(), false);
    }

    fn remark(&mut self, place: &Place, problem: String, hint: String, serious: bool) {
        let problem = Problem { path: place.path.clone(), position: Vec::new(), problem, hint };
        self.remarks.push(Remark { document: place.document, problem, serious });
    }

    fn place(&self, path: &Path<'_>) -> Place {
        Place { document: self.document, path: path.to_string() }
    }

    fn wrong(&mut self, path: &Path<'_>, problem: &str, hint: &str) {
        self.problem(&self.place(path), problem, hint);
    }

    fn not_understood(&mut self, path: &Path<'_>) {
        self.wrong(
            path,
            "unknown setting, so it is left out",
            "check whether Scopegate has a counterpart in docs/configuration.md",
        );
    }

    fn read_document(&mut self, document: &Json) {
        let root = Path::Root;
        let has = |names: &[&str]| {
            members(document).is_some_and(|members| members.iter().any(|(key, _)| names.contains(&key.as_str())))
        };
        if *document == Json::Null {
            // An empty document between two separators.
        } else if has(&["requiredAuthScopes", "apiScopes", "scopeName"]) {
            self.read_gateway_scope(&root, document);
        } else if has(&["remoteIntrospectionConfig", "localIntrospectionConfig", "type"]) {
            self.read_alias(&root, document);
        } else {
            for (key, value) in self.object(&root, document) {
                let path = root.key(key);
                match key.as_str() {
                    "security_settings" => {
                        for (key, value) in self.object(&path, value) {
                            self.read_section(&path.key(key), key, value);
                        }
                    }
                    _ => self.read_section(&path, key, value),
                }
            }
        }
    }

    fn read_section(&mut self, path: &Path<'_>, key: &str, value: &Json) {
        if key == "auth_servers" {
            self.each(path, value, Self::read_serialized_alias);
        } else if SCOPE_LISTS.contains(&key) {
            self.each(path, value, Self::read_gateway_scope);
        } else {
            self.not_understood(path);
        }
    }

    /// An alias, or the YAML text of one.
    fn read_serialized_alias(&mut self, path: &Path<'_>, value: &Json) {
        let Json::String(text) = value else {
            return self.read_alias(path, value);
        };
        let (documents, problem) = yaml::read(text);
        if let Some(problem) = problem {
            self.wrong(path, &format!("contains {}", stopped(&problem).problem), "correct it");
        }
        if documents.len() > 1 {
            self.wrong(path, "holds several documents", "write an item for each");
        }
        for document in &documents {
            self.read_alias(path, &document.json);
        }
    }

    fn read_alias(&mut self, path: &Path<'_>, value: &Json) {
        let mut alias = Alias {
            place: self.place(path),
            id: None,
            name: None,
            description: None,
            owner: None,
            scopes: Vec::new(),
            local: None,
            remote: None,
        };
        let members = self.object(path, value);
        if members.is_empty() {
            return;
        }
        for (key, value) in members {
            let path = path.key(key);
            match key.as_str() {
                "id" => alias.id = self.text(&path, value),
                "name" => alias.name = self.text(&path, value),
                "description" => alias.description = self.text(&path, value),
                "owner" => alias.owner = self.text(&path, value),
                "type" => {
                    if self.text(&path, value).is_some_and(|found| found != "authServerAlias") {
                        self.wrong(&path, "is not authServerAlias", "import only aliases of authorization servers");
                        return;
                    }
                }
                "scopes" => self.each(&path, value, |this, path, value| {
                    alias.scopes.extend(this.read_described(path, value));
                }),
                "localIntrospectionConfig" => alias.local = self.read_local(&path, value),
                "remoteIntrospectionConfig" => alias.remote = self.read_remote(&path, value),
                "sslConfig" => self.note(
                    &self.place(&path),
                    "is not imported",
                    "put the key and the trusted certificates into the TLS context of the Envoy cluster",
                ),
                key if SCOPE_LISTS.contains(&key) => self.each(&path, value, Self::read_gateway_scope),
                key if OF_ISSUING.contains(&key) => {
                    self.note(
                        &self.place(&path),
                        "is not imported",
                        "leave issuing tokens to the authorization server",
                    );
                }
                _ => self.not_understood(&path),
            }
        }
        self.aliases.push(alias);
    }

    fn read_local(&mut self, path: &Path<'_>, value: &Json) -> Option<LocalIntrospection> {
        let mut local = LocalIntrospection {
            place: self.place(path),
            issuer: None,
            trust_store: None,
            keys: Vec::new(),
            description: None,
        };
        for (key, value) in self.object(path, value) {
            let path = path.key(key);
            match key.as_str() {
                "issuer" => local.issuer = self.text(&path, value),
                "trustStoreAlias" => local.trust_store = self.text(&path, value),
                "jwksuri" | "certificateAlias" => local.keys.extend(self.text(&path, value)),
                "description" => local.description = self.text(&path, value),
                "useLocalClockSkew" => {
                    let hint = "keep the clocks right: an expired token is refused to the second";
                    self.note(&self.place(&path), "is not imported", hint);
                }
                _ => self.not_understood(&path),
            }
        }
        let is_empty = local.issuer.is_none() && local.trust_store.is_none() && local.keys.is_empty();
        (!is_empty || local.description.is_some()).then_some(local)
    }

    fn read_remote(&mut self, path: &Path<'_>, value: &Json) -> Option<RemoteIntrospection> {
        let mut remote = RemoteIntrospection {
            place: self.place(path),
            endpoint: None,
            client_id: None,
            secret: Secret::Absent,
            user: None,
        };
        for (key, value) in self.object(path, value) {
            let path = path.key(key);
            match key.as_str() {
                "introspectionEndpoint" => remote.endpoint = self.text(&path, value),
                "clientId" => remote.client_id = self.text(&path, value),
                "clientSecret" => {
                    remote.secret = match self.text(&path, value) {
                        None => Secret::Absent,
                        Some(secret) if secret.chars().all(|c| c == '*') => Secret::Masked,
                        Some(_) => Secret::Present,
                    };
                }
                "user" => remote.user = self.text(&path, value),
                _ => self.not_understood(&path),
            }
        }
        (remote.endpoint.is_some() || remote.client_id.is_some()).then_some(remote)
    }

    fn read_described(&mut self, path: &Path<'_>, value: &Json) -> Option<Described> {
        let (mut name, mut description) = (None, None);
        for (key, value) in self.object(path, value) {
            let path = path.key(key);
            match key.as_str() {
                "name" => name = self.text(&path, value),
                "description" => description = self.text(&path, value),
                _ => self.not_understood(&path),
            }
        }
        if name.is_none() {
            self.wrong(path, "has no `name`", "name the scope");
        }
        Some(Described { name: name?, description })
    }

    fn read_gateway_scope(&mut self, path: &Path<'_>, value: &Json) {
        let mut scope = GatewayScope {
            place: self.place(path),
            id: None,
            owner: None,
            name: None,
            description: None,
            audience: None,
            opens: Vec::new(),
            required: Vec::new(),
        };
        for (key, value) in self.object(path, value) {
            let path = path.key(key);
            match key.as_str() {
                "scopeName" => scope.name = self.text(&path, value),
                "scopeDescription" => scope.description = self.text(&path, value),
                "audience" => scope.audience = self.text(&path, value),
                "apiScopes" => self.each(&path, value, |this, path, value| {
                    scope.opens.extend(this.text(path, value));
                }),
                "requiredAuthScopes" => self.each(&path, value, |this, path, value| {
                    scope.required.extend(this.read_required(path, value));
                }),
                "id" => scope.id = self.text(&path, value),
                "owner" => scope.owner = self.text(&path, value),
                // The members have identified it.
                "type" => {}
                _ => self.not_understood(&path),
            }
        }
        self.gateway_scopes.push(scope);
    }

    fn read_required(&mut self, path: &Path<'_>, value: &Json) -> Option<RequiredScope> {
        let (mut alias, mut scope) = (None, None);
        for (key, value) in self.object(path, value) {
            let path = path.key(key);
            match key.as_str() {
                "authServerAlias" => alias = self.text(&path, value),
                "scopeName" => scope = self.text(&path, value),
                _ => self.not_understood(&path),
            }
        }
        if alias.is_none() || scope.is_none() {
            self.wrong(path, "lacks `authServerAlias` or `scopeName`, so it is left out", "write both");
        }
        Some(RequiredScope { place: self.place(path), alias: alias?, scope: scope? })
    }

    /// The members of an object; none of any other value.
    fn object<'j>(&mut self, path: &Path<'_>, value: &'j Json) -> &'j Members {
        let Some(members) = members(value) else {
            if *value != Json::Null {
                self.wrong(path, "expected an object, so it is left out", "indent its members below it");
            }
            return &[];
        };
        let mut seen = BTreeSet::new();
        for (key, _) in members {
            if !seen.insert(key) {
                self.wrong(&path.key(key), "duplicate key", "remove all but one of them");
            }
        }
        members
    }

    fn each(&mut self, path: &Path<'_>, value: &Json, mut read: impl FnMut(&mut Self, &Path<'_>, &Json)) {
        if !matches!(value, Json::Array(_) | Json::Null) {
            self.wrong(path, "expected a list, so it is left out", "write - before each of its items");
        }
        for (index, item) in items(value).iter().enumerate() {
            read(self, &path.index(index), item);
        }
    }

    /// A text that is not empty.
    fn text(&mut self, path: &Path<'_>, value: &Json) -> Option<String> {
        match value {
            Json::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Json::Null => None,
            Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                self.wrong(path, "expected a string, so it is left out", "put the text in quotes");
                None
            }
        }
    }
}
