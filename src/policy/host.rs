//! Host patterns: an exact name, or `*.suffix` for every name below the suffix.

use crate::request::Host;

/// What a rule's `hosts` entry matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostPattern {
    Exact(Host),
    /// The suffix with its leading dot.
    Below(String),
}

impl HostPattern {
    /// Parses a pattern; `None` if it is neither a host without a port nor `*.` before one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, below) = match text.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (text, false),
        };
        let host = Host::parse(name.as_bytes())?;
        let has_port = name.contains(':') && !name.starts_with('[') || name.contains("]:");
        if host.as_str().is_empty() || has_port || below && name.starts_with('[') {
            return None;
        }
        Some(if below { Self::Below(format!(".{}", host.as_str())) } else { Self::Exact(host) })
    }

    pub(crate) fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Below(suffix) => host.as_str().len() > suffix.len() && host.as_str().ends_with(suffix.as_str()),
        }
    }

    /// Whether `self` matches every host that `other` does.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(host)) => self.matches(host),
            (Self::Below(ours), Self::Below(theirs)) => theirs.ends_with(ours.as_str()),
            (Self::Exact(_), Self::Below(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str) -> bool {
        HostPattern::parse(pattern).unwrap().matches(&Host::parse(host.as_bytes()).unwrap())
    }

    #[test]
    fn an_exact_host_matches_itself_and_a_suffix_what_is_below_it() {
        assert!(matches("api.example.com", "API.example.com.:443"));
        assert!(!matches("api.example.com", "x.api.example.com"));
        assert!(matches("*.example.com", "a.example.com") && matches("*.Example.com", "a.b.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("*.example.com", ".example.com"));
        assert!(!matches("*.example.com", "badexample.com"));
        assert!(!matches("*.example.com", ""));
    }

    #[test]
    fn a_pattern_covers_what_it_matches() {
        let covers = |a: &str, b: &str| HostPattern::parse(a).unwrap().covers(&HostPattern::parse(b).unwrap());
        assert!(covers("*.b.c", "a.b.c") && covers("*.c", "*.b.c") && covers("a.b", "A.b"));
        assert!(!covers("*.b.c", "*.c") && !covers("a.b", "*.b") && !covers("*.b", "b"));
    }

    #[test]
    fn what_is_no_host_is_no_pattern() {
        for bad in ["", "*", "*.", "a.*", "*a.b", "a:80", "[::1]:80", "*.[::1]", "a b", "a/b", "."] {
            assert_eq!(HostPattern::parse(bad), None, "{bad:?}");
        }
    }
}
