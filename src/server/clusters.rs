//! The Envoy clusters of an authorization server.

/// The Envoy clusters of an authorization server, in the order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clusters {
    first: String,
    others: Vec<String>,
}

impl Clusters {
    pub(crate) fn new(first: &str, others: &[String]) -> Self {
        Self { first: first.to_owned(), others: others.to_vec() }
    }

    /// Returns the cluster with this index; the first one if there is none.
    pub(crate) fn get(&self, index: usize) -> &str {
        let other = index.checked_sub(1).and_then(|index| self.others.get(index));
        other.unwrap_or(&self.first)
    }

    pub(crate) fn len(&self) -> usize {
        self.others.len().saturating_add(1)
    }
}
