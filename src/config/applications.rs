//! `applications`: the clients that belong together, and what they may use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::apis::Apis;
use super::common::read_name;
use super::diagnostics::Read;
use super::document::{Node, Object, all, gather};
use super::server_names::{ServerNames, read_one_server};
use super::wording::quote;
use crate::policy::{Application, Applications, RuleSet, UNKNOWN};

/// The names to which an application may refer, or the proof that these could not be read.
struct KnownNames<'k> {
    servers: ServerNames<'k>,
    apis: Read<BTreeSet<&'k str>>,
    rules: Read<BTreeSet<&'k str>>,
}

pub(super) fn read(
    root: &Object<'_>,
    servers: ServerNames<'_>,
    apis: Read<&Apis>,
    policy: Read<&RuleSet>,
) -> Read<Applications> {
    let mut registry = Applications { by_server: vec![BTreeMap::new(); servers.map_or(0, <[_]>::len)] };
    let Some(list) = root.get("applications") else {
        return Ok(registry);
    };
    let known = KnownNames {
        servers,
        apis: apis.map(|apis| apis.keys().map(|name| &**name).collect()),
        rules: policy.map(|policy| policy.rules.iter().map(|rule| &*rule.name).collect()),
    };
    let example = "[{ name: shop, clients: [{ client_id: web }], apis: [bookings] }]";
    let read = gather(list.list(example)?.iter().map(|node| read_application(node, &known, &mut registry)));
    list.report_duplicate_names("application");
    read.map(|_| registry)
}

fn read_application(node: &Node<'_>, known: &KnownNames<'_>, registry: &mut Applications) -> Read<()> {
    let object = node.object(&["name", "clients", "apis", "rules"])?;
    let name = read_name(&object, "name the application for logs and APIs", "shop");
    if let Some(node) = object.get("name").filter(|node| node.text() == Some(UNKNOWN)) {
        node.report(format!("`{UNKNOWN}` marks unregistered clients"), "choose another name, such as shop");
    }
    let hint = "list its clients, as in clients: [{ client_id: web }]";
    let (name, apis, rules, clients) = all((
        name,
        object.or_default("apis", BTreeSet::new(), |node| read_known(node, ("API", "apis"), "[bookings]", &known.apis)),
        object.or_default("rules", BTreeSet::new(), |node| read_known(node, ("rule", "rules"), "[View]", &known.rules)),
        object.required("clients", hint, |node| {
            node.each(CLIENTS, |node| {
                let object = node.object(&["authorization_server", "client_id"])?;
                let hint = "set the client id at the authorization server, as in client_id: web";
                let (server, client_id) = all((
                    read_one_server(&object, known.servers),
                    object.required("client_id", hint, |node| node.string("web")),
                ))?;
                Ok((node.clone(), server, client_id.to_owned()))
            })
        }),
    ))?;
    let application = Arc::new(Application { name: Arc::from(name), apis, rules });
    for (node, server, client_id) in clients {
        let Some(clients) = registry.by_server.get_mut(server) else { continue };
        if let Some(other) = clients.get(&client_id) {
            let problem = format!("client `{}` already belongs to `{}`", quote(&client_id), quote(&other.name));
            node.report(problem, "remove it from one of them: a client belongs to one application");
        } else {
            clients.insert(client_id, Arc::clone(&application));
        }
    }
    Ok(())
}

/// A list of names, all of them configured.
#[inline(never)]
fn read_known(
    node: &Node<'_>,
    (what, section): (&str, &str),
    example: &str,
    known: &Read<BTreeSet<&str>>,
) -> Read<BTreeSet<String>> {
    let known = known.as_ref().map_err(|reported| *reported)?;
    let names = node.each(example, |node| {
        let name = node.string(example.trim_matches(['[', ']']))?;
        if known.contains(name) {
            return Ok(name.to_owned());
        }
        Err(node.unknown_name(what, section, name, &known.iter().copied().collect::<Vec<_>>()))
    })?;
    Ok(names.into_iter().collect())
}

const CLIENTS: &str = "[{ client_id: web }]";
