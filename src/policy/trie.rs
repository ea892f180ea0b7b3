//! A tree of nodes and labelled edges, the basis of the index.
//!
//! The nodes are in one list and the edges in one hash table. A deep configuration or path therefore uses no stack, and
//! the lookup of an edge does not depend on the number of edges.

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

/// Trees of nodes, each with a value of type `N`.
#[derive(Debug)]
pub(super) struct Trie<N> {
    nodes: Vec<N>,
    edges: HashTable<Edge>,
}

#[derive(Debug)]
struct Edge {
    from: usize,
    label: Box<[u8]>,
    to: usize,
}

impl<N> Trie<N> {
    pub(super) fn new() -> Self {
        Self { nodes: Vec::new(), edges: HashTable::new() }
    }

    /// Adds a node without edges; returns its id.
    pub(super) fn add(&mut self, node: N) -> usize {
        let id = self.nodes.len();
        self.nodes.push(node);
        id
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, id: usize) -> Option<&N> {
        self.nodes.get(id)
    }

    pub(super) fn node_mut(&mut self, id: usize) -> Option<&mut N> {
        self.nodes.get_mut(id)
    }

    /// Returns the child of a node under this label.
    pub(super) fn child(&self, from: usize, label: &[u8]) -> Option<usize> {
        // Without edges, for example because no rule names a host, hashing is useless.
        if self.edges.is_empty() {
            return None;
        }
        self.edges.find(hash(from, label), |edge| edge.is(from, label)).map(|edge| edge.to)
    }

    /// Returns the child of a node under this label; adds it if it does not exist.
    pub(super) fn child_or_new(&mut self, from: usize, label: &[u8], node: impl FnOnce() -> N) -> usize {
        if let Some(found) = self.child(from, label) {
            return found;
        }
        let to = self.add(node());
        let edge = Edge { from, label: label.into(), to };
        self.edges.insert_unique(hash(from, label), edge, |edge| hash(edge.from, &edge.label));
        to
    }
}

impl Edge {
    fn is(&self, from: usize, label: &[u8]) -> bool {
        self.from == from && *self.label == *label
    }
}

/// Only the configuration adds edges, so the hash needs no secret key.
fn hash(from: usize, label: &[u8]) -> u64 {
    FxBuildHasher.hash_one((from, label))
}
