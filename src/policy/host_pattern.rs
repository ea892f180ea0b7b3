//! Host patterns: an exact name, or `*.suffix` for every name below the suffix; each with an optional port.

use crate::request::Authority;

/// An entry of a rule's `hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPattern {
    host: Authority,
    /// Whether it matches the names below the host, and not the host itself.
    below: bool,
}

impl HostPattern {
    /// Parses a pattern; `None` if it is neither a host nor `*.` and a host.
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

    /// Returns whether the host matches, ignoring ports.
    pub(super) fn matches_name(&self, host: &Authority) -> bool {
        if self.below { is_below(host.name(), self.host.name()) } else { self.host.name() == host.name() }
    }

    pub(super) fn name(&self) -> &str {
        self.host.name()
    }

    /// Returns the port; empty if there is none.
    pub(super) fn port(&self) -> &str {
        self.host.port()
    }

    /// Returns whether it matches the names below the host, and not the host itself.
    pub(super) fn is_below(&self) -> bool {
        self.below
    }
}

/// Returns whether `name` has at least one label more than `suffix`.
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
    fn exact_hosts_and_suffixes_match() {
        assert!(matches("api.example.com", "API.example.com"));
        assert!(!matches("api.example.com", "x.api.example.com"));
        assert!(matches("*.example.com", "a.example.com"));
        assert!(matches("*.Example.com", "a.b.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("*.example.com", ".example.com"));
        assert!(!matches("*.example.com", "badexample.com"));
        assert!(!matches("*.example.com", ""));
    }

    #[test]
    fn ports_are_compared_as_in_envoy() {
        assert!(matches("a.b:8443", "A.b:8443"));
        assert!(matches("*.b:8443", "a.b:8443"));
        assert!(matches("[::1]:80", "[::1]:80"));
        assert!(!matches("a.b", "a.b:8443"));
        assert!(!matches("a.b:8443", "a.b"));
        assert!(!matches("a.b:80", "a.b:8443"));
        assert!(!matches("*.b", "a.b:8443"));
        assert!(!matches("*.b:8443", "a.b"));
    }

    #[test]
    fn invalid_patterns_are_rejected() {
        for bad in ["", "*", "*.", "a.*", "*a.b", "a:", "*.[::1]", "a b", "a/b", ".", "a."] {
            assert_eq!(HostPattern::parse(bad), None, "{bad:?}");
        }
    }
}
