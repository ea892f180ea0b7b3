//! The authority of a request (RFC 9110 §7.2): a host in lower case, and an optional port.
//!
//! Envoy compares host and port with the domains of its virtual hosts, unless it is configured to strip the port. Rules
//! therefore compare the port as well.

/// A host and its port, in the form that rules compare. Both are empty if the request has no authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    name: String,
    /// Digits; empty if there is no port.
    port: String,
}

impl Authority {
    /// Parses `host [":" port]`; `None` for anything else, such as user information, a space, a trailing dot or an
    /// empty port. Parsers differ in whether they drop such parts.
    pub(crate) fn parse(authority: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(authority).ok()?;
        let (name, rest) = if text.starts_with('[') {
            text.split_at_checked(text.find(']')?.checked_add(1)?)?
        } else {
            text.split_at_checked(text.find(':').unwrap_or(text.len()))?
        };
        let port = match rest.strip_prefix(':') {
            Some(port) if is_port(port) => port,
            None if rest.is_empty() => rest,
            _ => return None,
        };
        let valid = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.'),
            None => name.bytes().all(is_host_byte) && !name.ends_with('.') && (!name.is_empty() || port.is_empty()),
        };
        valid.then(|| Self { name: name.to_ascii_lowercase(), port: port.to_owned() })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn port(&self) -> &str {
        &self.port
    }
}

/// Accepts digits without a leading zero, which some parsers drop.
fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0')
}

fn is_host_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_lowercased_and_port_is_kept() {
        for (authority, name, port) in [
            ("API.Example.com", "api.example.com", ""),
            ("api.example.com:8443", "api.example.com", "8443"),
            ("api_1", "api_1", ""),
            ("[::1]:80", "[::1]", "80"),
            ("[2001:DB8::1]", "[2001:db8::1]", ""),
            ("127.0.0.1:1", "127.0.0.1", "1"),
            ("", "", ""),
        ] {
            let expected = Authority { name: name.to_owned(), port: port.to_owned() };
            assert_eq!(Authority::parse(authority.as_bytes()), Some(expected), "{authority}");
        }
    }

    #[test]
    fn invalid_or_ambiguous_authorities_are_rejected() {
        for authority in [
            "user@host",
            "a b",
            "a:b",
            "a:80:80",
            "a/b",
            "[::1",
            "[::1]x",
            "a%20b",
            "a,b",
            "é",
            "a\t",
            "a.",
            "a..",
            ".",
            "a:",
            "[::1]:",
            "a.:80",
            ":80",
            ":",
            "a:0443",
            "a:0",
            "a:123456",
        ] {
            assert_eq!(Authority::parse(authority.as_bytes()), None, "{authority}");
        }
        assert_eq!(Authority::parse(b"a\xff"), None);
    }
}
