//! The authority of a request (RFC 9110 §7.2), normalised: lower case, no port, no trailing dot.

/// A host name or address as rules compare it. Empty if the request names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host(String);

impl Host {
    /// Reads `host [":" port]`; `None` for anything else, such as user information or a space.
    pub(crate) fn parse(authority: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(authority).ok()?;
        let (host, rest) = if text.starts_with('[') {
            text.split_at_checked(text.find(']')?.checked_add(1)?)?
        } else {
            text.split_at_checked(text.find(':').unwrap_or(text.len()))?
        };
        if !rest.is_empty() {
            let port = rest.strip_prefix(':')?;
            if !port.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
        }
        let valid = match host.strip_prefix('[') {
            Some(address) => {
                address.trim_end_matches(']').bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.')
            }
            None => host.bytes().all(is_host_byte),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        valid.then(|| Self(host.to_ascii_lowercase()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_host_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_port_and_trailing_dot_do_not_distinguish_hosts() {
        for (authority, host) in [
            ("API.Example.com", "api.example.com"),
            ("api.example.com:8443", "api.example.com"),
            ("api.example.com.", "api.example.com"),
            ("api.example.com.:80", "api.example.com"),
            ("api_1", "api_1"),
            ("[::1]:80", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(Host::parse(authority.as_bytes()), Some(Host(host.to_owned())), "{authority}");
        }
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        for authority in ["user@host", "a b", "a:b", "a:80:80", "a/b", "[::1", "[::1]x", "a%20b", "a,b", "é", "a\t"] {
            assert_eq!(Host::parse(authority.as_bytes()), None, "{authority}");
        }
        assert_eq!(Host::parse(b"a\xff"), None);
    }
}
