//! References to authorization servers by their names.

use super::diagnostics::Read;
use super::document::{Node, Object};

/// The names of the authorization servers, or the proof that these could not be read.
pub(super) type ServerNames<'s> = Read<&'s [&'s str]>;

/// The index of an authorization server that is named.
#[inline(never)]
pub(super) fn read_server_name(node: &Node<'_>, servers: ServerNames<'_>) -> Read<usize> {
    let servers = servers?;
    let name = node.string(servers.first().copied().unwrap_or("main"))?;
    let found = servers.iter().position(|server| *server == name);
    found.ok_or_else(|| node.unknown_name("authorization server", "authorization_servers", name, servers))
}

/// One name, or a list of names in the order in which the servers are tried.
#[inline(never)]
pub(super) fn read_servers(node: &Node<'_>, servers: ServerNames<'_>) -> Read<Vec<usize>> {
    if !node.is_list() {
        return read_server_name(node, servers).map(|index| vec![index]);
    }
    let indices = node.each("[main, partners]", |node| read_server_name(node, servers))?;
    let is_repeated = |(position, index): (usize, &usize)| indices.iter().take(position).any(|other| other == index);
    if indices.iter().enumerate().any(is_repeated) {
        return Err(node.report("duplicate authorization server", "name each once, as in [main, partners]"));
    }
    Ok(indices)
}

/// The authorization server that an entry names, or the only one that is configured.
#[inline(never)]
pub(super) fn read_one_server(object: &Object<'_>, servers: ServerNames<'_>) -> Read<usize> {
    match (object.get("authorization_server"), servers?) {
        (Some(node), _) => read_server_name(node, servers),
        (None, [_]) => Ok(0),
        (None, servers) => {
            let problem = "`authorization_server` is missing, and several are configured";
            Err(object.report(problem, format!("name one of: {}", servers.join(", "))))
        }
    }
}
