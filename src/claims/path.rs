//! Paths of claims, such as `realm_access.roles`: member names from the outermost to the innermost.

use crate::base::Json;

/// A path of member names, separated by `.`. `\.` is a dot inside a name, `\\` a backslash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// Parses a path; `None` if a name is empty, or if a backslash precedes another character.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut names = vec![String::new()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '.' => names.push(String::new()),
                '\\' => names.last_mut()?.push(chars.next().filter(|c| matches!(c, '.' | '\\'))?),
                c => names.last_mut()?.push(c),
            }
        }
        names.iter().all(|name| !name.is_empty()).then_some(Self(names))
    }

    /// Returns the value at this path; `None` if it is absent or `null`.
    pub(crate) fn find<'a>(&self, members: &'a [(String, Json)]) -> Option<&'a Json> {
        let (first, inner) = self.0.split_first()?;
        let mut value = member(members, first)?;
        for name in inner {
            value = match value {
                Json::Object(members) => member(members, name)?,
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => return None,
            };
        }
        (*value != Json::Null).then_some(value)
    }
}

fn member<'a>(members: &'a [(String, Json)], name: &str) -> Option<&'a Json> {
    members.iter().find(|(held, _)| held == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_descend_into_objects_and_escape_dots() {
        let text = br#"{"a":{"b.c":[1],"d":null},"urn:x:y":2,"https://x.test/roles":3,"b\\":4}"#;
        let Json::Object(members) = Json::parse(text).unwrap() else { panic!("an object") };
        for (path, expected) in [
            ("a.b\\.c", Some("[1]")),
            ("urn:x:y", Some("2")),
            ("https://x\\.test/roles", Some("3")),
            ("b\\\\", Some("4")),
            ("a.d", None),
            ("a.b.c", None),
            ("a.b\\.c.0", None),
            ("x", None),
        ] {
            let found = ClaimPath::parse(path).unwrap().find(&members).cloned();
            assert_eq!(found, expected.map(|text| Json::parse(text.as_bytes()).unwrap()), "{path}");
        }
    }

    #[test]
    fn empty_names_and_bad_escapes_are_rejected() {
        for bad in ["", ".", "a.", ".a", "a..b", "a\\", "a\\b"] {
            assert_eq!(ClaimPath::parse(bad), None, "{bad}");
        }
    }
}
