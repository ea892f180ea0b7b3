//! Problems of a configuration document, and the proof that one was reported.

use std::cell::Cell;
use std::fmt;

use super::wording::quote;
use crate::base::Json;

/// Something in a configuration that has to change before the filter accepts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, with the names of list items: `rules[2] (Admin).require.scope`; empty for the document itself.
    pub path: String,
    /// Where, as the position of each member or item on the way from the document to the value.
    pub position: Vec<usize>,
    /// The problem: `expected a string such as "view admin", found a list`.
    pub problem: String,
    /// The remedy, with an example.
    pub hint: String,
}

impl Problem {
    /// A problem of the value at `position` in `document`; the path is derived from both.
    pub fn at(document: &Json, position: Vec<usize>, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { path: path(document, &position), position, problem: problem.into(), hint: hint.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "configuration" } else { &self.path };
        write!(f, "{path}: {}; {}", self.problem, self.hint)
    }
}

/// Every problem of one configuration, in the order of the reference. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems, first to last.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Proof that a problem was reported: only [`Diagnostics::report`] makes one, so a reader cannot fail silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reported(());

/// A value that was read, or the proof that a problem with it was reported.
pub(crate) type Read<T> = Result<T, Reported>;

/// Collects the problems of one document.
#[derive(Default)]
pub(crate) struct Diagnostics(Cell<Vec<Problem>>);

impl Diagnostics {
    /// Runs `read` and collects the problems that it reports.
    ///
    /// # Errors
    /// Every reported problem, also if `read` returns a value all the same.
    pub(crate) fn collect<T>(read: impl FnOnce(&Self) -> Read<T>) -> Result<T, Problems> {
        let diagnostics = Self::default();
        let read = read(&diagnostics);
        let problems = diagnostics.0.into_inner();
        match read {
            Ok(read) if problems.is_empty() => Ok(read),
            Ok(_) | Err(Reported(())) => Err(Problems(problems)),
        }
    }

    pub(crate) fn report(&self, problem: Problem) -> Reported {
        let mut problems = self.0.take();
        problems.push(problem);
        self.0.set(problems);
        Reported(())
    }
}

/// The path of the value at `position`, with the name of each list item that has one.
fn path(document: &Json, position: &[usize]) -> String {
    let mut path = String::new();
    let mut value = Some(document);
    for step in position {
        value = match value {
            Some(Json::Object(members)) => members.get(*step).map(|(key, value)| {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&quote(key));
                value
            }),
            Some(Json::Array(items)) => items.get(*step).inspect(|item| {
                path.push_str(&format!("[{step}]"));
                if let Some(name) = item.member("name").and_then(Json::as_str).filter(|name| !name.is_empty()) {
                    path.push_str(&format!(" ({})", quote(name)));
                }
            }),
            Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) | None => None,
        };
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn paths_show_the_names_of_list_items() {
        let document = json(r#"{"a":0,"rules":[{"name":"View","x.y":[[1]]},{"name":7},{"name":""},{"name":"a\nb"}]}"#);
        for (position, expected) in [
            (&[][..], ""),
            (&[0], "a"),
            (&[1], "rules"),
            (&[1, 0], "rules[0] (View)"),
            (&[1, 0, 1, 0, 0], "rules[0] (View).x.y[0][0]"),
            (&[1, 1], "rules[1]"),
            (&[1, 2, 0], "rules[2].name"),
            (&[1, 3], "rules[3] (a\\nb)"),
            (&[0, 0], "a"),
            (&[9, 9], ""),
        ] {
            assert_eq!(path(&document, position), expected, "{position:?}");
        }
    }

    #[test]
    fn the_second_of_two_equal_keys_has_its_own_position() {
        let document = json(r#"{"a":{"x":1},"a":{"y":1}}"#);
        assert_eq!(path(&document, &[1, 0]), "a.y");
    }

    #[test]
    fn names_in_paths_are_bounded() {
        let document = json(&format!(r#"[{{"name":"{}"}}]"#, "x".repeat(1000)));
        assert_eq!(path(&document, &[0]), format!("[0] ({}…)", "x".repeat(60)));
    }

    #[test]
    fn a_value_with_a_reported_problem_is_refused() {
        let problem = Problem::at(&Json::Null, Vec::new(), "invalid", "change it");
        let found = Diagnostics::collect(|diagnostics| {
            diagnostics.report(problem.clone());
            Ok(())
        });
        assert_eq!(found, Err(Problems(vec![problem])));
        assert_eq!(Diagnostics::collect(|_| Ok(7)), Ok(7));
    }

    #[test]
    fn the_proof_of_a_report_has_no_size() {
        assert_eq!(size_of::<Reported>(), 0);
        assert_eq!(size_of::<Read<u32>>(), size_of::<Option<u32>>());
    }
}
