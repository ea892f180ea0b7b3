//! Changes to the headers of a request.

/// A change to the headers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit<'a> {
    /// Take every value of this header out.
    Remove(&'a str),
    /// Put this in the place of every value of this header.
    Set(&'static str, Vec<u8>),
}
