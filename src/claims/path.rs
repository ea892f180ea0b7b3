//! Where a claim stands in an answer: `realm_access.roles`, member names from the outside in.

use crate::base::Json;

/// A path of member names, separated by `.`; `\.` is a dot inside a name, `\\` a backslash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// Parses a path; `None` if a name in it is empty, or a backslash escapes nothing.
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

    /// The value at this path; `null` is as good as absent.
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
    fn a_path_leads_through_objects_and_a_dot_in_a_name_is_escaped() {
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
    fn what_names_nothing_is_no_path() {
        for bad in ["", ".", "a.", ".a", "a..b", "a\\", "a\\b"] {
            assert_eq!(ClaimPath::parse(bad), None, "{bad}");
        }
    }
}
