//! Changes to the headers of a request.

/// A change to the headers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit<'a> {
    /// Remove every value of this header.
    Remove(&'a str),
    /// Replace every value of this header by this one.
    Set(&'static str, Vec<u8>),
}
