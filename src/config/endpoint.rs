//! Where an authorization server and its endpoints are: clusters, authorities, paths.

use super::diagnostics::{Read, Reported};
use super::document::{Node, Object};
use super::wording::quote;
use crate::request::Authority;
use crate::server::Clusters;

/// Where a server is, as far as the keys of the server itself say. Each part may have a reported problem.
pub(super) struct Place<'a> {
    pub(super) cluster: Read<&'a str>,
    /// The clusters to which callouts fail over.
    pub(super) fallback: Read<&'a [String]>,
    pub(super) issuer: Read<Option<&'a str>>,
    /// The Host of callouts: the name by which the server knows itself.
    pub(super) authority: Read<Option<&'a str>>,
}

impl Place<'_> {
    /// The clusters that lead to the server.
    pub(super) fn clusters(&self) -> Read<Clusters> {
        Ok(Clusters::new(self.cluster?, self.fallback?))
    }

    /// The Host of callouts to an endpoint: its `own`, or the server's.
    pub(super) fn authority(&self, own: Read<Option<String>>) -> Read<Option<String>> {
        match own? {
            Some(own) => Ok(Some(own)),
            None => Ok(self.authority?.map(str::to_owned)),
        }
    }
}

pub(super) fn read_cluster<'n>(node: &Node<'n>) -> Read<&'n str> {
    node.string("identity_server")
}

/// A cluster without any other to fail over to.
#[inline(never)]
pub(super) fn read_own_cluster(node: &Node<'_>) -> Read<Clusters> {
    read_cluster(node).map(|cluster| Clusters::new(cluster, &[]))
}

/// The path of an endpoint; `example` is one.
#[inline(never)]
pub(super) fn read_endpoint_path(node: &Node<'_>, example: &str) -> Read<String> {
    let path = node.string(example)?;
    if path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Ok(path.to_owned());
    }
    let hint = format!("expected a path without scheme and host, such as {example}: the cluster leads to the server");
    Err(node.report(format!("invalid path `{}`", quote(path)), hint))
}

#[inline(never)]
pub(super) fn read_authority(node: &Node<'_>) -> Read<String> {
    let authority = node.string("as.example.com")?;
    if is_authority(authority) {
        return Ok(authority.to_owned());
    }
    let hint = "expected host or host:port, such as as.example.com:8443";
    Err(node.report(format!("invalid authority `{}`", quote(authority)), hint))
}

/// Reports that the Host of callouts is unknown; `key` is where to set it.
pub(super) fn report_no_authority(object: &Object<'_>, key: &str) -> Reported {
    object.report(
        "no Host for callouts can be derived from `issuer` or `cluster`",
        format!("set {key} to the host by which the server knows itself, such as as.example.com"),
    )
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
