//! Scope tokens, and the scope of an access token (RFC 6749 §3.3). Comparison is exact and case-sensitive.

use serde::Deserialize;
use serde::Serialize;

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

/// The scope of an access token as stated by the authorization server: scope tokens, separated by single spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope(String);

impl Scope {
    /// Joins the scope tokens of several lists. Whitespace separates scope tokens; if `commas` is set, commas do as
    /// well. An empty list results in an empty scope.
    pub(crate) fn from_lists<'a>(lists: impl IntoIterator<Item = &'a str>, commas: bool) -> Self {
        let mut scope = String::new();
        let separates = |c: char| c.is_ascii_whitespace() || commas && c == ',';
        for token in lists.into_iter().flat_map(|list| list.split(separates)).filter(|token| !token.is_empty()) {
            if !scope.is_empty() {
                scope.push(' ');
            }
            scope.push_str(token);
        }
        Self(scope)
    }

    /// Returns whether the scope grants the required scope token.
    pub(crate) fn grants(&self, required: &ScopeToken, strategy: ScopeStrategy) -> bool {
        self.0.split(' ').any(|held| strategy.grants(held, required.as_str()))
    }

    /// Returns the scope tokens, separated by single spaces.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a granted scope token is compared with a required one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ScopeStrategy {
    /// Both are equal.
    #[default]
    Exact,
    /// `orders` grants `orders` and everything below it, such as `orders.read` and `orders.read.all`.
    Hierarchic,
    /// `orders.*` grants `orders.read` and `orders.read.all`. A `*` matches one non-empty part; as the last part it
    /// matches one or more.
    Wildcard,
}

impl ScopeStrategy {
    pub(crate) const WORDS: [(&str, Self); 3] =
        [("exact", Self::Exact), ("hierarchic", Self::Hierarchic), ("wildcard", Self::Wildcard)];

    /// Returns whether the granted scope token `held` satisfies `required`. Always case-sensitive.
    pub(crate) fn grants(self, held: &str, required: &str) -> bool {
        match self {
            Self::Exact => held == required,
            Self::Hierarchic => {
                let below = |rest: &str| rest.is_empty() || rest.starts_with('.');
                !held.is_empty() && required.strip_prefix(held).is_some_and(below)
            }
            Self::Wildcard => is_matched_by_wildcards(held, required),
        }
    }
}

fn is_matched_by_wildcards(held: &str, required: &str) -> bool {
    let mut parts = required.split('.');
    let mut patterns = held.split('.').peekable();
    while let Some(pattern) = patterns.next() {
        let Some(part) = parts.next() else {
            return false;
        };
        let is_wildcard = pattern == "*";
        if is_wildcard && part.is_empty() || !is_wildcard && pattern != part {
            return false;
        }
        if is_wildcard && patterns.peek().is_none() {
            return parts.all(|part| !part.is_empty());
        }
    }
    parts.next().is_none()
}

fn is_scope_char(c: char) -> bool {
    matches!(c, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_tokens_have_the_syntax_of_rfc_6749() {
        for good in ["view", "https://x/y.read", "a:b", "!", "~", "[]"] {
            assert!(ScopeToken::parse(good).is_ok(), "{good}");
        }
        for (bad, c) in [("a b", ' '), ("a\"", '"'), ("a\\", '\\'), ("é", 'é'), ("a\n", '\n'), ("\x7f", '\x7f')] {
            assert_eq!(ScopeToken::parse(bad), Err(Some(c)), "{bad:?}");
        }
        assert_eq!(ScopeToken::parse(""), Err(None));
    }

    fn grants(scope: &Scope, required: &str, strategy: ScopeStrategy) -> bool {
        scope.grants(&ScopeToken::parse(required).unwrap(), strategy)
    }

    #[test]
    fn comparison_is_exact_and_case_sensitive() {
        let scope = Scope::from_lists(["view  book", "", "admin:all"], false);
        assert_eq!(scope.as_str(), "view book admin:all");
        for (required, expected) in
            [("view", true), ("admin:all", true), ("View", false), ("vie", false), ("admin", false)]
        {
            assert_eq!(grants(&scope, required, ScopeStrategy::Exact), expected, "{required}");
        }
        assert!(!grants(&Scope::default(), "view", ScopeStrategy::Exact));
    }

    #[test]
    fn commas_separate_scope_tokens_if_configured() {
        assert_eq!(Scope::from_lists(["view, book,,cancel "], true).as_str(), "view book cancel");
        assert_eq!(Scope::from_lists(["view,book"], false).as_str(), "view,book");
    }

    /// Granted scope token, required scope token, and the result of each strategy: exact, hierarchic, wildcard.
    #[rustfmt::skip]
    const STRATEGIES: [(&str, &str, [bool; 3]); 24] = [
        ("orders", "orders", [true, true, true]),
        ("orders", "Orders", [false, false, false]),
        ("orders", "orders.read", [false, true, false]),
        ("orders", "orders.read.all", [false, true, false]),
        ("orders", "ordersx", [false, false, false]),
        ("orders", "ordersx.read", [false, false, false]),
        ("orders.read", "orders", [false, false, false]),
        ("orders.read", "orders.read", [true, true, true]),
        ("orders.read", "orders.write", [false, false, false]),
        ("orders.*", "orders", [false, false, false]),
        ("orders.*", "orders.read", [false, false, true]),
        ("orders.*", "orders.read.all", [false, false, true]),
        ("orders.*", "orders.*", [true, true, true]),
        ("orders.*", "orders.", [false, false, false]),
        ("orders.*", "orders.read..all", [false, false, false]),
        ("orders.*.all", "orders.read.all", [false, false, true]),
        ("orders.*.all", "orders.read.some", [false, false, false]),
        ("orders.*.all", "orders.all", [false, false, false]),
        ("*.read", "orders.read", [false, false, true]),
        ("*.read", "orders.x.read", [false, false, false]),
        ("*", "orders", [false, false, true]),
        ("*", "orders.read", [false, false, true]),
        ("ord*", "orders", [false, false, false]),
        ("orders.", "orders..x", [false, true, false]),
    ];

    #[test]
    fn each_strategy_matches_the_table() {
        for (held, required, expected) in STRATEGIES {
            let scope = Scope::from_lists([held], false);
            let found = ScopeStrategy::WORDS.map(|(_, strategy)| grants(&scope, required, strategy));
            assert_eq!(found, expected, "{held} {required}");
        }
    }
}
