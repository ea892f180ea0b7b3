//! Values that all workers of one proxy share.

/// A value to publish in shared data for the other workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    /// The key in shared data.
    pub(crate) key: String,
    /// The value.
    pub(crate) value: Vec<u8>,
}
