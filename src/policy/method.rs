//! HTTP methods. They are case-sensitive (RFC 9110 §9.1).

/// A method in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Method(String);

impl Method {
    /// Parses a method in upper case. All registered methods are in upper case; `get` would never match a request.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let valid = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b'_'));
        valid.then(|| Self(text.to_owned()))
    }

    pub(crate) fn matches(&self, method: &[u8]) -> bool {
        self.0.as_bytes() == method
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_match_exactly() {
        let get = Method::parse("GET").unwrap();
        assert!(get.matches(b"GET"));
        for other in [&b"get"[..], b"GE", b"GETS", b"", b"HEAD"] {
            assert!(!get.matches(other));
        }
        assert!(Method::parse("VERSION-CONTROL").is_some());
        for bad in ["", "get", "Get", "*", "GET "] {
            assert_eq!(Method::parse(bad), None, "{bad:?}");
        }
    }
}
