//! The path and the position of a value in a document.

use std::fmt;

/// A path in a document, rendered only for a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    Root,
    /// A key, and the position of its member if that is known.
    Key(&'a Path<'a>, &'a str, Option<usize>),
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key, None)
    }

    pub(crate) fn member(&'a self, step: usize, key: &'a str) -> Self {
        Self::Key(self, key, Some(step))
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    /// The position of each member and item on the way to the value, as far as it is known.
    pub(crate) fn position(&self) -> Vec<usize> {
        self.known_position().unwrap_or_else(|known| known)
    }

    /// The whole position, or the part of it before the first unknown step.
    fn known_position(&self) -> Result<Vec<usize>, Vec<usize>> {
        let (parent, step) = match self {
            Self::Root => return Ok(Vec::new()),
            Self::Key(parent, _, step) => (parent, *step),
            Self::Index(parent, index) => (parent, Some(*index)),
        };
        let mut position = parent.known_position()?;
        let Some(step) = step else { return Err(position) };
        position.push(step);
        Ok(position)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(parent, key, _) => {
                parent.fmt(f)?;
                if !is_plain(key) {
                    return write!(f, "[\"{}\"]", shown(key));
                }
                let dot = if matches!(parent, Self::Root) { "" } else { "." };
                write!(f, "{dot}{key}")
            }
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

fn is_plain(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'@');
    (1..=60).contains(&key.len()) && key.bytes().all(plain)
}

/// Text of a file in a message: escaped, at most 60 characters and an ellipsis.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}
