//! Host patterns: an exact name, or `*.suffix` for every name below the suffix; with a port if it counts.

use crate::request::Authority;

/// What a rule's `hosts` entry matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPattern {
    host: Authority,
    /// Whether it matches the names below the host, and not the host itself.
    below: bool,
}

impl HostPattern {
    /// Parses a pattern; `None` if it is neither a host nor `*.` before one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, below) = match text.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (text, false),
        };
        let host = Authority::parse(host.as_bytes())?;
        if host.name().is_empty() || below && host.name().starts_with('[') {
            return None;
        }
        Some(Self { host, below })
    }

    pub(crate) fn matches(&self, host: &Authority) -> bool {
        self.host.port() == host.port() && self.matches_name(host)
    }

    /// Whether the host matches if no port counts.
    pub(super) fn matches_name(&self, host: &Authority) -> bool {
        if self.below { is_below(host.name(), self.host.name()) } else { self.host.name() == host.name() }
    }

    pub(super) fn name(&self) -> &str {
        self.host.name()
    }

    /// Empty if no port is written.
    pub(super) fn port(&self) -> &str {
        self.host.port()
    }

    /// Whether it matches the names below its own, and not that.
    pub(super) fn is_below(&self) -> bool {
        self.below
    }
}

/// Whether `name` has at least one label more than `suffix`.
fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).and_then(|labels| labels.strip_suffix('.')).is_some_and(|labels| !labels.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str) -> bool {
        HostPattern::parse(pattern).unwrap().matches(&Authority::parse(host.as_bytes()).unwrap())
    }

    #[test]
    fn an_exact_host_matches_itself_and_a_suffix_what_is_below_it() {
        assert!(matches("api.example.com", "API.example.com"));
        assert!(!matches("api.example.com", "x.api.example.com"));
        assert!(matches("*.example.com", "a.example.com") && matches("*.Example.com", "a.b.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("*.example.com", ".example.com"));
        assert!(!matches("*.example.com", "badexample.com"));
        assert!(!matches("*.example.com", ""));
    }

    #[test]
    fn a_port_counts_as_it_does_for_envoy() {
        assert!(matches("a.b:8443", "A.b:8443") && matches("*.b:8443", "a.b:8443") && matches("[::1]:80", "[::1]:80"));
        assert!(!matches("a.b", "a.b:8443") && !matches("a.b:8443", "a.b") && !matches("a.b:80", "a.b:8443"));
        assert!(!matches("*.b", "a.b:8443") && !matches("*.b:8443", "a.b"));
    }

    #[test]
    fn what_is_no_host_is_no_pattern() {
        for bad in ["", "*", "*.", "a.*", "*a.b", "a:", "*.[::1]", "a b", "a/b", ".", "a."] {
            assert_eq!(HostPattern::parse(bad), None, "{bad:?}");
        }
    }
}
