//! Nodes, and edges between them that have labels: what the index is made of.
//!
//! The nodes lie in one list and the edges in one table, so that neither a deep configuration nor a deep path takes
//! stack, and an edge is found as soon among ten thousand as among ten.

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

/// Trees of nodes that hold an `N` each.
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

    /// A new node without edges.
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

    /// The node that the edge with this label leads to.
    pub(super) fn child(&self, from: usize, label: &[u8]) -> Option<usize> {
        // Where no rule names a host there is nothing to hash for.
        if self.edges.is_empty() {
            return None;
        }
        self.edges.find(hash(from, label), |edge| edge.is(from, label)).map(|edge| edge.to)
    }

    /// The same; what is not there is made.
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

/// Only the configuration puts edges into the table: a request can make it no slower, so the hash needs no key.
fn hash(from: usize, label: &[u8]) -> u64 {
    FxBuildHasher.hash_one((from, label))
}
