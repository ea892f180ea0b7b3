//! References to authorization servers by their names.

use super::document::{Node, Object, quote};

/// The index of an authorization server that is named.
pub(super) fn read_server_name(node: &Node<'_>, servers: &[&str]) -> Option<usize> {
    let name = node.string()?;
    let found = servers.iter().position(|server| *server == name);
    if found.is_none() {
        let problem = format!("there is no authorization server `{}`", quote(name));
        node.report(problem, format!("known: {}", servers.join(", ")));
    }
    found
}

/// One name, or a list of them in the order they are asked.
pub(super) fn read_servers(node: &Node<'_>, servers: Option<&[&str]>) -> Option<Vec<usize>> {
    let servers = servers?;
    if !node.is_list() {
        return read_server_name(node, servers).map(|index| vec![index]);
    }
    let indices = node.each(|node| read_server_name(node, servers))?;
    let mut seen = Vec::new();
    for index in &indices {
        if seen.contains(index) {
            node.report("names an authorization server twice", "name each once");
            return None;
        }
        seen.push(*index);
    }
    Some(indices)
}

/// The authorization server that an entry is about: the one it names, or the only one.
pub(super) fn read_one_server(object: &Object<'_>, servers: Option<&[&str]>) -> Option<usize> {
    match (object.optional("authorization_server"), servers?) {
        (Some(node), servers) => read_server_name(node, servers),
        (None, [_]) => Some(0),
        (None, servers) => {
            object.report(
                "`authorization_server` is missing, and there are several",
                format!("name one: {}", servers.join(", ")),
            );
            None
        }
    }
}
