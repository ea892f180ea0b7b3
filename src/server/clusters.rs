//! The Envoy clusters of an authorization server.

/// The Envoy clusters that lead to an authorization server, in the order in which they are preferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clusters {
    first: String,
    others: Vec<String>,
}

impl Clusters {
    pub(crate) fn new(first: &str, others: &[String]) -> Self {
        Self { first: first.to_owned(), others: others.to_vec() }
    }

    /// The cluster of this place; the first one if there is none.
    pub(crate) fn get(&self, index: usize) -> &str {
        let other = index.checked_sub(1).and_then(|index| self.others.get(index));
        other.unwrap_or(&self.first)
    }

    pub(crate) fn len(&self) -> usize {
        self.others.len().saturating_add(1)
    }
}
