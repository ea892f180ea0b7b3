//! Scope tokens and the scope of a token (RFC 6749 §3.3). Comparison is exact and case-sensitive.

use serde::{Deserialize, Serialize};

/// One scope token: `1*( %x21 / %x23-5B / %x5D-7E )`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScopeToken(String);

impl ScopeToken {
    /// Parses one scope token.
    ///
    /// # Errors
    /// The first character that RFC 6749 §3.3 does not allow; `None` if `text` is empty.
    pub(crate) fn parse(text: &str) -> Result<Self, Option<char>> {
        match text.chars().find(|c| !is_scope_char(*c)) {
            Some(bad) => Err(Some(bad)),
            None if text.is_empty() => Err(None),
            None => Ok(Self(text.to_owned())),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The scope of an access token as the authorization server stated it: scope tokens, one space between each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope(String);

impl Scope {
    /// Collects the tokens of one or several space-separated lists; an empty list is an empty scope.
    pub(crate) fn from_lists<'a>(lists: impl IntoIterator<Item = &'a str>) -> Self {
        let mut scope = String::new();
        for token in lists.into_iter().flat_map(str::split_ascii_whitespace) {
            if !scope.is_empty() {
                scope.push(' ');
            }
            scope.push_str(token);
        }
        Self(scope)
    }

    pub(crate) fn contains(&self, token: &ScopeToken) -> bool {
        self.0.split(' ').any(|held| held == token.as_str())
    }

    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a rule demands of the scope: every clause, and of each clause at least one token.
///
/// `scope: "a b"` is two clauses of one token, `any_scope: [a, b]` one clause of two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScopeRequirement {
    clauses: Vec<Vec<ScopeToken>>,
}

impl ScopeRequirement {
    pub(crate) fn demand_all(&mut self, tokens: impl IntoIterator<Item = ScopeToken>) {
        self.clauses.extend(tokens.into_iter().map(|token| vec![token]));
    }

    pub(crate) fn demand_any(&mut self, tokens: Vec<ScopeToken>) {
        self.clauses.push(tokens);
    }

    pub(crate) fn demand(&mut self, other: &Self) {
        self.clauses.extend(other.clauses.iter().cloned());
    }

    pub(crate) fn is_met_by(&self, scope: &Scope) -> bool {
        self.clauses.iter().all(|clause| clause.iter().any(|token| scope.contains(token)))
    }

    /// The value of the challenge's `scope` attribute (RFC 6750 §3): every token named here, once.
    ///
    /// A token that holds them all passes; of an `any_scope` clause one would do.
    pub(crate) fn attribute(&self) -> String {
        let mut seen: Vec<&str> = Vec::new();
        for token in self.clauses.iter().flatten() {
            if !seen.contains(&token.as_str()) {
                seen.push(token.as_str());
            }
        }
        seen.join(" ")
    }
}

fn is_scope_char(c: char) -> bool {
    matches!(c, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> ScopeToken {
        ScopeToken::parse(text).unwrap()
    }

    #[test]
    fn a_scope_token_has_the_characters_of_rfc_6749() {
        for good in ["view", "https://x/y.read", "a:b", "!", "~", "[]"] {
            assert!(ScopeToken::parse(good).is_ok(), "{good}");
        }
        for (bad, c) in [("a b", ' '), ("a\"", '"'), ("a\\", '\\'), ("é", 'é'), ("a\n", '\n'), ("\x7f", '\x7f')] {
            assert_eq!(ScopeToken::parse(bad), Err(Some(c)), "{bad:?}");
        }
        assert_eq!(ScopeToken::parse(""), Err(None));
    }

    #[test]
    fn comparison_is_exact_whole_and_case_sensitive() {
        let scope = Scope::from_lists(["view  book", "", "admin:all"]);
        assert_eq!(scope.as_str(), "view book admin:all");
        assert!(scope.contains(&token("view")) && scope.contains(&token("admin:all")));
        assert!(!scope.contains(&token("View")));
        assert!(!scope.contains(&token("vie")));
        assert!(!scope.contains(&token("admin")));
        assert!(!Scope::default().contains(&token("view")));
    }

    #[test]
    fn every_clause_must_be_met_by_one_of_its_tokens() {
        let mut requirement = ScopeRequirement::default();
        assert!(requirement.is_met_by(&Scope::default()));
        requirement.demand_all([token("a"), token("b")]);
        requirement.demand_any(vec![token("x"), token("y"), token("a")]);
        assert!(requirement.is_met_by(&Scope::from_lists(["b a"])));
        assert!(!requirement.is_met_by(&Scope::from_lists(["a x"])));
        assert!(!requirement.is_met_by(&Scope::from_lists(["b x"])));
        assert_eq!(requirement.attribute(), "a b x y");
    }
}
