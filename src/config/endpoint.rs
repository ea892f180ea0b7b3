//! Where an authorization server and its endpoints are: clusters, authorities, paths.

use super::document::{Node, quote};
use crate::request::Authority;
use crate::server::Clusters;

/// Where a server is, as far as it is known before its endpoint is read.
pub(super) struct Place<'a> {
    pub(super) cluster: Option<&'a str>,
    /// Those that are asked if that one is lost.
    pub(super) fallback: &'a [String],
    pub(super) issuer: Option<&'a str>,
    /// The Host of callouts: what the server knows itself by.
    pub(super) authority: Option<&'a str>,
}

impl Place<'_> {
    /// The clusters that lead to the server.
    pub(super) fn clusters(&self) -> Option<Clusters> {
        self.cluster.map(|cluster| Clusters::new(cluster, self.fallback))
    }
}

pub(super) fn read_cluster<'n>(node: &Node<'n>) -> Option<&'n str> {
    node.string()
}

/// A cluster that something has for itself, without any to fall back to.
pub(super) fn read_own_cluster(node: &Node<'_>) -> Option<Clusters> {
    read_cluster(node).map(|cluster| Clusters::new(cluster, &[]))
}

pub(super) fn read_endpoint_path(node: &Node<'_>) -> Option<String> {
    let path = node.string()?;
    if path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Some(path.to_owned());
    }
    node.report(
        format!("`{}` is no path", quote(path)),
        "start it with /, without scheme and host: the cluster leads to the server",
    );
    None
}

pub(super) fn read_authority(node: &Node<'_>) -> Option<String> {
    let authority = node.string()?;
    if is_authority(authority) {
        return Some(authority.to_owned());
    }
    node.report(format!("`{}` is no authority", quote(authority)), "write host or host:port");
    None
}

/// `host[:port]` of an absolute URI.
pub(super) fn authority_of(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
    is_authority(authority).then(|| authority.to_owned())
}

/// The name of a cluster if it is a host; Istio's `outbound|443||as.example.com` ends with one.
pub(super) fn host_of_cluster(cluster: &str) -> Option<String> {
    cluster.rsplit('|').next().filter(|host| is_authority(host)).map(str::to_owned)
}

fn is_authority(text: &str) -> bool {
    Authority::parse(text.as_bytes()).is_some_and(|host| !host.name().is_empty())
}
