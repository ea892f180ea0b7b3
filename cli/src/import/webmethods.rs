//! Converts the settings of a Microgateway into a configuration.

use std::collections::{BTreeMap, BTreeSet};

use super::Remark;
use super::alias::{Alias, GatewayScope, Place, RemoteIntrospection, Secret};
use super::endpoint::Endpoint;
use super::settings::Settings;
use super::write::{Yaml, list, scalar};
use crate::path::shown;

/// Where API Gateway itself introspects.
const OWN_PATH: &str = "/invoke/pub.oauth/introspectToken";

/// An alias that becomes an authorization server.
struct Server<'a> {
    alias: &'a Alias,
    name: &'a str,
    remote: &'a RemoteIntrospection,
    endpoint: Endpoint,
    /// The environment variable for its secret.
    variable: String,
}

/// A scope of a server, and the gateway scope that names it.
struct Mapping<'a> {
    server: &'a str,
    scope: &'a str,
    of: &'a GatewayScope,
}

/// The configuration, if there is anything to configure, and every remark about it.
pub(super) fn configure(mut settings: Settings) -> (Option<String>, Vec<Remark>) {
    let aliases = std::mem::take(&mut settings.aliases);
    let gateway_scopes = std::mem::take(&mut settings.gateway_scopes);
    let mut servers: Vec<Server<'_>> = Vec::new();
    for alias in &aliases {
        if let Some((name, remote, endpoint)) = read_server(&mut settings, alias) {
            let variable = variable(name, &servers);
            note_secret(&mut settings, &variable, remote);
            servers.push(Server { alias, name, remote, endpoint, variable });
        }
    }
    let mappings = read_mappings(&mut settings, &servers, &gateway_scopes);
    if servers.is_empty() {
        let hint = "pass the settings of a Microgateway, with security_settings.auth_servers";
        settings.problem(&Place::file(), "no auth server can be imported", hint);
        return (None, settings.remarks);
    }
    (Some(write(&servers, &mappings)), settings.remarks)
}

fn read_server<'a>(settings: &mut Settings, alias: &'a Alias) -> Option<(&'a str, &'a RemoteIntrospection, Endpoint)> {
    let Some(name) = alias.name.as_deref().or(alias.id.as_deref()) else {
        settings.problem(&alias.place, "has no `name`, so it is left out", "name the alias");
        return None;
    };
    let verifies = alias.local.as_ref().filter(|local| !local.keys.is_empty());
    let Some(remote) = &alias.remote else {
        let hint = match &alias.local {
            Some(_) => {
                "add an authorization server with issuer and jwt: { jwks_path }, which verifies JWTs in the proxy"
            }
            None => "add one with the introspectionEndpoint of its tokens",
        };
        let place = alias.local.as_ref().map_or(&alias.place, |local| &local.place);
        let problem = match &alias.local {
            Some(_) => "local verification of JWTs is not imported",
            None => "`remoteIntrospectionConfig` is missing",
        };
        settings.problem(place, format!("{problem}: the alias `{}` is left out", alias.label()), hint);
        return None;
    };
    let place = remote.place.key("introspectionEndpoint");
    let Some(url) = &remote.endpoint else {
        settings.problem(&place, "is missing, so the alias is left out", "write https://host:port/path");
        return None;
    };
    let endpoint = match Endpoint::parse(url) {
        Ok(endpoint) => endpoint,
        Err((problem, hint)) => {
            settings.problem(&place, format!("{problem}, so the alias is left out"), hint);
            return None;
        }
    };
    if let Some(local) = verifies {
        let problem = "local verification of JWTs is not imported";
        let hint = "add jwt: { jwks_path } beside introspection, or check that the endpoint introspects JWTs, too";
        settings.note(&local.place, problem, hint);
    }
    if remote.client_id.is_none() {
        settings.problem(&remote.place, "`clientId` is missing", "fill in client_id, or write client_authentication");
    }
    Some((name, remote, endpoint))
}

/// A name that no earlier server has.
fn variable(alias: &str, servers: &[Server<'_>]) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let digit = if alias.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    let plain = format!("{digit}{}_CLIENT_SECRET", alias.chars().map(upper).collect::<String>());
    let numbered = (2_usize..).map(|number| format!("{plain}_{number}"));
    let is_free = |name: &String| servers.iter().all(|server| server.variable != *name);
    std::iter::once(plain.clone()).chain(numbered).find(is_free).unwrap_or(plain)
}

fn note_secret(settings: &mut Settings, variable: &str, remote: &RemoteIntrospection) {
    let client = shown(remote.client_id.as_deref().unwrap_or_default());
    let wanted =
        format!("the module reads the secret of the client `{client}` from the environment variable {variable}");
    let hint = match remote.secret {
        Secret::Absent => "it is not in this file: get it from the owner of the client",
        Secret::Masked => "it is masked in this file: get it from the owner of the client",
        Secret::Present => "it is in this file: copy it from here, and keep the file to yourself",
    };
    settings.note(&remote.place.key("clientSecret"), wanted, hint);
}

fn read_mappings<'a>(
    settings: &mut Settings,
    servers: &[Server<'a>],
    gateway_scopes: &'a [GatewayScope],
) -> Vec<Mapping<'a>> {
    let mut mappings = Vec::new();
    for of in gateway_scopes {
        if of.opens.is_empty() {
            settings.problem(&of.place, "opens nothing, so it is left out", "list APIs or API scopes in apiScopes");
            continue;
        }
        if of.required.is_empty() {
            let hint = "list scopes of auth servers in requiredAuthScopes";
            settings.problem(&of.place, "no scope is mapped to it, so it is left out", hint);
        }
        let mut by_server: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for required in &of.required {
            let is_meant = |server: &&Server<'_>| {
                server.name == required.alias || server.alias.id.as_deref() == Some(required.alias.as_str())
            };
            let named = servers.iter().find(|server| server.name == required.alias);
            match named.or_else(|| servers.iter().find(is_meant)) {
                Some(server) => {
                    by_server.entry(server.name).or_default().insert(&required.scope);
                }
                None => settings.problem(
                    &required.place,
                    format!("the alias `{}` was not imported, so this is left out", shown(&required.alias)),
                    "import it from the same file, or write the mapping yourself",
                ),
            }
        }
        for (server, scopes) in by_server {
            match Vec::from_iter(scopes).as_slice() {
                [scope] => mappings.push(Mapping { server, scope, of }),
                // Whichever is meant, one of the two readings opens more than the other.
                scopes => settings.problem(
                    &of.place.key("requiredAuthScopes"),
                    format!("names {} scopes of `{}`, so these are left out", scopes.len(), shown(server)),
                    "write a mapping for each, if one of them is enough, or demand them all in the rule",
                ),
            }
        }
    }
    mappings
}

fn write(servers: &[Server<'_>], mappings: &[Mapping<'_>]) -> String {
    let mut yaml = Yaml::default();
    yaml.comment(0, "From the auth servers of a webMethods Microgateway.");
    yaml.comment(0, "Complete what is empty; `scopegate check` says what that is.");
    yaml.line(0, "authorization_servers:");
    for server in servers {
        write_server(&mut yaml, server);
    }
    if mappings.is_empty() {
        write_closed_rule(&mut yaml, servers);
    } else {
        write_mappings(&mut yaml, servers, mappings);
    }
    yaml.finish()
}

fn write_server(yaml: &mut Yaml, server: &Server<'_>) {
    let Server { alias, name, remote, endpoint, variable } = server;
    yaml.line(1, &format!("- name: {}", scalar(name)));
    yaml.comment(2, alias.description.as_deref().unwrap_or_default());
    let id = alias.id.as_deref().filter(|id| id != name).map(|id| ("Its id was", id));
    let owner = alias.owner.as_deref().map(|owner| ("Its owner was", owner));
    let user = remote.user.as_deref().map(|user| ("No counterpart has the user who introspected,", user));
    for (said, value) in [id, owner, user].into_iter().flatten() {
        yaml.comment(2, &format!("{said} {value}."));
    }
    for scope in &alias.scopes {
        let meaning = scope.description.as_deref().map(|text| format!(", {text}")).unwrap_or_default();
        yaml.comment(2, &format!("It has the scope {}{meaning}", scope.name));
    }
    let local = alias.local.as_ref();
    for keys in local.into_iter().flat_map(|local| &local.keys) {
        yaml.comment(
            2,
            &format!("JWTs were verified locally with the keys of {keys}; without `jwt` every token is asked about."),
        );
    }
    if let Some(text) = local.and_then(|local| local.description.as_deref()) {
        yaml.comment(2, &format!("localIntrospectionConfig.description was {text}"));
    }

    let by = if endpoint.tls { "by TLS" } else { "without TLS, so that tokens and the secret can be read on the way" };
    yaml.comment(2, &format!("Envoy must have a cluster of this name that leads to {} {by}.", endpoint.cluster));
    if let Some(store) = local.and_then(|local| local.trust_store.as_deref()) {
        yaml.comment(2, &format!("What the trust store {store} holds belongs into the TLS context of the cluster."));
    }
    yaml.line(2, &format!("cluster: {}", scalar(&endpoint.cluster)));
    if let Some(issuer) = local.and_then(|local| local.issuer.as_deref()) {
        yaml.line(2, &format!("issuer: {}", scalar(issuer)));
    }
    yaml.comment(
        2,
        "As before, tokens for every audience are taken. If the server names any, list those of your APIs.",
    );
    yaml.line(2, "audience: any");
    yaml.line(2, "introspection:");
    let is_own = endpoint.path.split('?').next() == Some(OWN_PATH);
    yaml.line(3, &format!("preset: {}", if is_own { "webmethods" } else { "rfc7662" }));
    yaml.line(3, &format!("path: {}", scalar(&endpoint.path)));
    yaml.line(3, &format!("authority: {}", scalar(&endpoint.authority)));
    yaml.line(3, &format!("client_id: {}", scalar(remote.client_id.as_deref().unwrap_or_default())));
    yaml.comment(3, "To be set where Envoy starts, and named in vm_config.environment_variables.host_env_keys.");
    yaml.line(3, &format!("client_secret_env: {}", scalar(variable)));
}

/// Several servers stand in no order: the first is asked first.
fn write_servers_of_rule(yaml: &mut Yaml, servers: &[Server<'_>]) {
    if servers.len() > 1 {
        yaml.comment(2, "They are asked in this order.");
        yaml.line(2, &format!("authorization_server: {}", list(servers.iter().map(|server| server.name))));
    }
}

fn write_closed_rule(yaml: &mut Yaml, servers: &[Server<'_>]) {
    yaml.comment(0, "The file maps no scope to anything, so nothing is open: write a rule for each resource.");
    yaml.line(0, "rules:");
    yaml.line(1, "- name: Everything");
    yaml.line(2, "match: [{ path_prefix: / }]");
    write_servers_of_rule(yaml, servers);
    yaml.comment(2, "The scope that a token must have.");
    yaml.line(2, "require: { scope: \"\" }");
}

fn write_mappings(yaml: &mut Yaml, servers: &[Server<'_>], mappings: &[Mapping<'_>]) {
    let mut opened: Vec<&str> = Vec::new();
    for name in mappings.iter().flat_map(|mapping| &mapping.of.opens) {
        if !opened.contains(&name.as_str()) {
            opened.push(name);
        }
    }
    // An API scope of the same name would make the mappings ambiguous.
    let mut api = "Imported".to_owned();
    while opened.contains(&api.as_str()) {
        api.push_str("-API");
    }
    yaml.comment(0, "The file says which API scopes there are, not what they open: list their resources.");
    yaml.comment(0, "For one that is the id of a whole API write [{ path_prefix: / }], or make it an API of its own.");
    yaml.line(0, "apis:");
    yaml.line(1, &format!("- name: {}", scalar(&api)));
    yaml.line(2, "scopes:");
    for name in &opened {
        yaml.line(3, &format!("- name: {}", scalar(name)));
        yaml.line(4, "resources: []");
    }
    yaml.line(0, "scope_mappings:");
    for mapping in mappings {
        yaml.line(1, &format!("- authorization_server: {}", scalar(mapping.server)));
        let name = mapping.of.name.as_deref();
        let text = [name, mapping.of.description.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        yaml.comment(2, &text);
        for (said, value) in [("id", &mapping.of.id), ("owner", &mapping.of.owner)] {
            yaml.comment(2, &value.as_ref().map(|value| format!("Its {said} was {value}.")).unwrap_or_default());
        }
        yaml.line(2, &format!("scope: {}", scalar(mapping.scope)));
        if let Some(audience) = &mapping.of.audience {
            yaml.line(2, &format!("audience: {}", scalar(audience)));
        }
        yaml.line(2, &format!("opens: {}", list(mapping.of.opens.iter().map(String::as_str))));
    }
    yaml.comment(0, "Closed but for what is mapped.");
    yaml.line(0, "rules:");
    yaml.line(1, &format!("- name: {}", scalar(&api)));
    yaml.line(2, &format!("api: {}", scalar(&api)));
    yaml.line(2, "match: [{ path_prefix: / }]");
    write_servers_of_rule(yaml, servers);
    yaml.line(2, "require: { mapped_scope: true }");
}
