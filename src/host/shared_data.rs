//! Values that all workers of one proxy share.

/// Something that every worker of this proxy has a use for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The key in shared data.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
}
