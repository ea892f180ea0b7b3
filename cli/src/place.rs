//! Lines and columns of the values of a document.

use std::fmt;

/// A line and a column, both from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    /// The place at a `line` from 1 on and a `column` from 0 on.
    pub(crate) fn new(line: usize, column: usize) -> Self {
        let bounded = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { line: bounded(line), column: bounded(column.saturating_add(1)) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The place of a value, and of its items or members in their order. The place of a member is that of its key.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) place: Place,
    pub(crate) inner: Vec<Places>,
}

impl Places {
    /// The place of the value at `position`, or of the innermost value on the way there: the values inside a text of
    /// JSON have the place of that text.
    pub(crate) fn find(&self, position: &[usize]) -> Place {
        let inner = position.split_first().and_then(|(step, rest)| Some(self.inner.get(*step)?.find(rest)));
        inner.unwrap_or(self.place)
    }
}
