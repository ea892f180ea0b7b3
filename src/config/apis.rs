//! `apis`, `scope_mappings` and `applications`: what rules share, and who may use it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::common::read_name;
use super::document::{Node, Object, quote};
use super::request_match::read_match;
use super::requirement::{References, read_scope_token};
use super::server_names::{read_one_server, read_servers};
use super::{errors, requirement};
use crate::policy::{
    Application, ApplicationPolicy, Applications, RequestMatch, Requirement, Rule, ScopeMapping, UNKNOWN,
};
use crate::request::PathOptions;
use crate::response::ErrorProfile;

/// The APIs by their names: each rule asks for its own.
pub(super) type Apis = BTreeMap<Arc<str>, Api>;

/// What the rules of an API inherit.
pub(super) struct Api {
    pub(super) name: Arc<str>,
    pub(super) requirement: Option<Requirement>,
    pub(super) servers: Option<Vec<usize>>,
    pub(super) identification: Option<ApplicationPolicy>,
    pub(super) errors: Option<Arc<ErrorProfile>>,
    pub(super) cors_preflight: bool,
    pub(super) mappings: Arc<[ScopeMapping]>,
}

/// A named set of resources of an API.
struct ApiScope {
    api: Arc<str>,
    name: String,
    resources: Vec<RequestMatch>,
}

const API_KEYS: &[&str] =
    &["name", "require", "authorization_server", "application", "errors", "cors_preflight", "scopes"];

pub(super) fn read(
    root: &Object<'_>,
    references: References<'_>,
    realm: Option<&str>,
    paths: PathOptions,
) -> Option<Apis> {
    let Some(list) = root.optional("apis") else {
        if let Some(node) = root.optional("scope_mappings") {
            node.report("there is no API to map scopes to", "name the APIs in `apis`");
            return None;
        }
        return Some(Apis::new());
    };
    let read: Vec<_> = list.list()?.iter().map(|node| read_api(node, references, realm, paths)).collect();
    list.report_duplicate_names("API");
    let (apis, scopes): (Vec<Api>, Vec<Vec<ApiScope>>) =
        read.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let mut apis: Apis = apis.into_iter().map(|api| (Arc::clone(&api.name), api)).collect();
    let mut by_name: BTreeMap<&str, Vec<&ApiScope>> = BTreeMap::new();
    for scope in scopes.iter().flatten() {
        by_name.entry(&scope.name).or_default().push(scope);
    }
    let mappings = root.or_default("scope_mappings", Vec::new(), |node| {
        node.each(|node| read_mapping(node, references, &apis, &by_name))
    })?;
    let mut of_api: BTreeMap<Arc<str>, Vec<ScopeMapping>> = BTreeMap::new();
    for (api, mapping) in mappings.into_iter().flatten() {
        of_api.entry(api).or_default().push(mapping);
    }
    for (name, mappings) in of_api {
        if let Some(api) = apis.get_mut(&name) {
            api.mappings = Arc::from(mappings);
        }
    }
    Some(apis)
}

fn read_api(
    node: &Node<'_>,
    references: References<'_>,
    realm: Option<&str>,
    paths: PathOptions,
) -> Option<(Api, Vec<ApiScope>)> {
    let object = node.object(API_KEYS)?;
    let name: Option<Arc<str>> = read_name(&object, "name the API; rules and applications refer to it").map(Arc::from);
    let requirement = object.or_default("require", None, |node| requirement::read(node, references).map(Some));
    let servers =
        object.or_default("authorization_server", None, |node| read_servers(node, references.servers).map(Some));
    let identification =
        object.or_default("application", None, |node| node.one_of(&ApplicationPolicy::WORDS).map(Some));
    let errors = object.or_default("errors", None, |node| errors::read(node, realm).map(|read| Some(Arc::new(read))));
    let cors_preflight = object.or_default("cors_preflight", false, Node::boolean);
    let scopes = object.or_default("scopes", Vec::new(), |node| {
        let scopes = node.each(|node| read_scope(node, name.as_ref(), paths));
        node.report_duplicate_names("API scope");
        scopes
    });
    let api = Api {
        name: Arc::clone(name.as_ref()?),
        requirement: requirement?,
        servers: servers?,
        identification: identification?,
        errors: errors?,
        cors_preflight: cors_preflight?,
        mappings: Arc::default(),
    };
    Some((api, scopes?))
}

fn read_scope(node: &Node<'_>, api: Option<&Arc<str>>, paths: PathOptions) -> Option<ApiScope> {
    let object = node.object(&["name", "resources"])?;
    let name = read_name(&object, "name the API scope; scope_mappings refer to it");
    let resources = object
        .required("resources", "say what it opens, such as [{ methods: [GET], path: /bookings }]")
        .and_then(|node| node.each(|node| read_match(node, &["methods", "path", "path_prefix"], paths)));
    Some(ApiScope { api: Arc::clone(api?), name: name?, resources: resources? })
}

/// One mapping: for each API that it is about, what it opens there.
fn read_mapping(
    node: &Node<'_>,
    references: References<'_>,
    apis: &Apis,
    scopes: &BTreeMap<&str, Vec<&ApiScope>>,
) -> Option<Vec<(Arc<str>, ScopeMapping)>> {
    let object = node.object(&["authorization_server", "scope", "audience", "opens"])?;
    let server = read_one_server(&object, references.servers);
    let scope = object
        .required("scope", "the scope of the authorization server")
        .and_then(|node| read_scope_token(node, node.string()?));
    let audience = object.or_default("audience", None, |node| Some(Some(node.string()?.to_owned())));
    let opens = object.required("opens", "list API scopes, or APIs to open the whole of them");
    let opens = opens.and_then(|node| node.each(|node| read_opened(node, apis, scopes)));
    let (server, scope, audience) = (server?, scope?, audience?);
    let mapping =
        |(api, resources)| (api, ScopeMapping { server, scope: scope.clone(), audience: audience.clone(), resources });
    Some(opens?.into_iter().map(mapping).collect())
}

/// The API and, unless the whole of it is meant, the resources there.
fn read_opened(
    node: &Node<'_>,
    apis: &Apis,
    scopes: &BTreeMap<&str, Vec<&ApiScope>>,
) -> Option<(Arc<str>, Option<Vec<RequestMatch>>)> {
    let name = node.string()?;
    let whole = apis.get(name).map(|api| (Arc::clone(&api.name), None));
    let part = scopes.get(name).into_iter().flatten();
    let part = part.map(|scope| (Arc::clone(&scope.api), Some(scope.resources.clone())));
    let mut found = whole.into_iter().chain(part);
    match (found.next(), found.next()) {
        (Some(opened), None) => Some(opened),
        (None, _) => {
            let problem = format!("there is no API and no API scope `{}`", quote(name));
            node.report(problem, "name one of `apis`, or of the `scopes` of one");
            None
        }
        (Some(_), Some(_)) => {
            let problem = format!("`{}` names more than one API or API scope", quote(name));
            node.report(problem, "give each of them a name of its own");
            None
        }
    }
}

pub(super) fn read_applications(
    root: &Object<'_>,
    servers: Option<&[&str]>,
    apis: &Apis,
    rules: &[Arc<Rule>],
) -> Option<Applications> {
    let mut registry = Applications { by_server: vec![BTreeMap::new(); servers.map_or(0, <[_]>::len)] };
    let Some(list) = root.optional("applications") else {
        return Some(registry);
    };
    let known = KnownNames {
        servers,
        apis: apis.keys().map(|name| &**name).collect(),
        rules: rules.iter().map(|rule| &*rule.name).collect(),
    };
    let read: Vec<_> = list.list()?.iter().map(|node| read_application(node, &known, &mut registry)).collect();
    list.report_duplicate_names("application");
    read.into_iter().collect::<Option<Vec<()>>>().map(|_| registry)
}

/// What an application may refer to.
struct KnownNames<'k> {
    servers: Option<&'k [&'k str]>,
    apis: BTreeSet<&'k str>,
    rules: BTreeSet<&'k str>,
}

fn read_application(node: &Node<'_>, known: &KnownNames<'_>, registry: &mut Applications) -> Option<()> {
    let object = node.object(&["name", "clients", "apis", "rules"])?;
    let name = read_name(&object, "name the application; it is what APIs are told");
    if name.as_deref() == Some(UNKNOWN) {
        object.report("`unknown` is what anonymous callers are marked with", "choose another name");
    }
    let apis = object.or_default("apis", BTreeSet::new(), |node| read_known(node, "API", &known.apis));
    let rules = object.or_default("rules", BTreeSet::new(), |node| read_known(node, "rule", &known.rules));
    let clients = object.required("clients", "list its clients: [{ client_id: web }]").and_then(|node| {
        node.each(|node| {
            let object = node.object(&["authorization_server", "client_id"])?;
            let server = read_one_server(&object, known.servers);
            let client_id = object.required("client_id", "the client id at the authorization server");
            let client_id = client_id.and_then(Node::string);
            Some((node.clone(), server?, client_id?.to_owned()))
        })
    });
    let application = Arc::new(Application { name: Arc::from(name?), apis: apis?, rules: rules? });
    for (node, server, client_id) in clients? {
        let clients = registry.by_server.get_mut(server)?;
        if let Some(other) = clients.get(&client_id) {
            let problem = format!("`{}` is a client of `{}` already", quote(&client_id), quote(&other.name));
            node.report(problem, "a client belongs to one application");
        } else {
            clients.insert(client_id, Arc::clone(&application));
        }
    }
    Some(())
}

/// A list of names, all of them known.
fn read_known(node: &Node<'_>, what: &str, known: &BTreeSet<&str>) -> Option<BTreeSet<String>> {
    let names = node.each(|node| {
        let name = node.string()?;
        if known.contains(name) {
            return Some(name.to_owned());
        }
        node.report(
            format!("there is no {what} `{}`", quote(name)),
            format!("name one that is in the configuration: {}", some_of(known)),
        );
        None
    })?;
    Some(names.into_iter().collect())
}

/// Names for a message: there may be thousands.
fn some_of(names: &BTreeSet<&str>) -> String {
    let mut some: Vec<&str> = names.iter().copied().take(MAX_SHOWN).collect();
    if names.len() > MAX_SHOWN {
        some.push("…");
    }
    some.join(", ")
}

const MAX_SHOWN: usize = 20;
