//! `apis` and `scope_mappings`: settings that rules share.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::common::read_name;
use super::diagnostics::Read;
use super::document::{Node, Object, all};
use super::errors;
use super::request_match::read_match;
use super::requirement::{References, RequirementReader, read_scope_token};
use super::server_names::{ServerNames, read_one_server, read_servers};
use super::wording::quote;
use crate::claims::ClaimPath;
use crate::policy::{ApplicationPolicy, RequestMatch, Requirement, ScopeMapping};
use crate::request::PathOptions;
use crate::response::ErrorProfile;

/// The APIs by their names.
pub(super) type Apis = BTreeMap<Arc<str>, Api>;

/// The settings that the rules of an API inherit.
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

/// The parts of a configuration on which APIs depend. Each may have a reported problem.
#[derive(Clone, Copy)]
pub(super) struct ApiDefaults<'c> {
    pub(super) servers: ServerNames<'c>,
    pub(super) realm: Read<Option<&'c str>>,
    pub(super) paths: PathOptions,
}

const API_KEYS: &[&str] =
    &["name", "require", "authorization_server", "application", "errors", "cors_preflight", "scopes"];

pub(super) fn read(root: &Object<'_>, defaults: ApiDefaults<'_>, claims: &mut Vec<ClaimPath>) -> Read<Apis> {
    let Some(list) = root.get("apis") else {
        if let Some(node) = root.get("scope_mappings") {
            return Err(node.report("no API is configured", "add the APIs, as in apis: [{ name: bookings }]"));
        }
        return Ok(Apis::new());
    };
    let apis = list.each("[{ name: bookings }]", |node| read_api(node, defaults, claims));
    list.report_duplicate_names("API");
    let (apis, scopes): (Vec<Api>, Vec<Vec<ApiScope>>) = apis?.into_iter().unzip();
    let mut apis: Apis = apis.into_iter().map(|api| (Arc::clone(&api.name), api)).collect();
    let mut by_name: BTreeMap<&str, Vec<&ApiScope>> = BTreeMap::new();
    for scope in scopes.iter().flatten() {
        by_name.entry(&scope.name).or_default().push(scope);
    }
    let mappings = root.or_default("scope_mappings", Vec::new(), |node| {
        node.each("[{ scope: view, opens: [bookings] }]", |node| read_mapping(node, defaults.servers, &apis, &by_name))
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
    Ok(apis)
}

fn read_api(node: &Node<'_>, defaults: ApiDefaults<'_>, claims: &mut Vec<ClaimPath>) -> Read<(Api, Vec<ApiScope>)> {
    let object = node.object(API_KEYS)?;
    let name = read_name(&object, "name the API for rules and applications", "bookings").map(Arc::from);
    let references = References { servers: defaults.servers, mappings: Ok(None) };
    let scopes = object.or_default("scopes", Vec::new(), |node| {
        let scopes = node.each("[{ name: ViewBookings, resources: [{ path: /bookings }] }]", |node| {
            read_scope(node, &name, defaults.paths)
        });
        node.report_duplicate_names("API scope");
        scopes
    });
    let (requirement, servers, identification, errors, cors_preflight, scopes, name) = all((
        object.optional("require", |node| RequirementReader { references, claims }.read(node)),
        object.optional("authorization_server", |node| read_servers(node, defaults.servers)),
        object.optional("application", |node| node.one_of(&ApplicationPolicy::WORDS)),
        object.optional("errors", |node| errors::read(node, defaults.realm).map(Arc::new)),
        object.or_default("cors_preflight", false, Node::boolean),
        scopes,
        name,
    ))?;
    let mappings = Arc::default();
    Ok((Api { name, requirement, servers, identification, errors, cors_preflight, mappings }, scopes))
}

fn read_scope(node: &Node<'_>, api: &Read<Arc<str>>, paths: PathOptions) -> Read<ApiScope> {
    let object = node.object(&["name", "resources"])?;
    let hint = "set the requests that the scope opens, as in resources: [{ methods: [GET], path: /bookings }]";
    let (name, resources, api) = all((
        read_name(&object, "name the API scope for scope_mappings", "ViewBookings"),
        object.required("resources", hint, |node| {
            node.each(RESOURCES, |node| read_match(node, &["methods", "path", "path_prefix"], paths))
        }),
        api.clone(),
    ))?;
    Ok(ApiScope { api, name, resources })
}

/// The APIs that a mapping is about, and what it opens of each.
fn read_mapping(
    node: &Node<'_>,
    servers: ServerNames<'_>,
    apis: &Apis,
    scopes: &BTreeMap<&str, Vec<&ApiScope>>,
) -> Read<Vec<(Arc<str>, ScopeMapping)>> {
    let object = node.object(&["authorization_server", "scope", "audience", "opens"])?;
    let (server, scope, audience, opens) = all((
        read_one_server(&object, servers),
        object.required("scope", "set a scope of the authorization server, as in scope: view", read_scope_token),
        object.optional("audience", |node| node.string("bookings").map(str::to_owned)),
        object.required("opens", "list API scopes, or APIs to open all of them, as in opens: [ViewBookings]", |node| {
            node.each("[ViewBookings]", |node| read_opened(node, apis, scopes))
        }),
    ))?;
    let mapping =
        |(api, resources)| (api, ScopeMapping { server, scope: scope.clone(), audience: audience.clone(), resources });
    Ok(opens.into_iter().map(mapping).collect())
}

/// The API and the resources there; `None` for all resources.
fn read_opened(
    node: &Node<'_>,
    apis: &Apis,
    scopes: &BTreeMap<&str, Vec<&ApiScope>>,
) -> Read<(Arc<str>, Option<Vec<RequestMatch>>)> {
    let name = node.string("ViewBookings")?;
    let whole = apis.get(name).map(|api| (Arc::clone(&api.name), None));
    let part = scopes.get(name).into_iter().flatten();
    let part = part.map(|scope| (Arc::clone(&scope.api), Some(scope.resources.clone())));
    let mut found = whole.into_iter().chain(part);
    match (found.next(), found.next()) {
        (Some(opened), None) => Ok(opened),
        (None, _) => {
            let known: Vec<&str> = apis.keys().map(|name| &**name).chain(scopes.keys().copied()).collect();
            Err(node.unknown_name("API or API scope", "apis", name, &known))
        }
        (Some(_), Some(_)) => Err(node.report(
            format!("`{}` is the name of several APIs or API scopes", quote(name)),
            "give each of them its own name, such as ViewBookings",
        )),
    }
}

const RESOURCES: &str = "[{ methods: [GET], path: /bookings }]";
