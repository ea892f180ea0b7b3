//! Values that all workers of one proxy share.

/// Something that every worker of this proxy has a use for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    /// The key in shared data.
    pub(crate) key: String,
    /// The value.
    pub(crate) value: Vec<u8>,
}
