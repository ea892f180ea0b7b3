//! Names of headers that the filter sets or reads (RFC 9110 §5.1).

/// The name of a header that the filter sets, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderName(String);

impl HeaderName {
    /// Parses a header name (RFC 9110 §5.1).
    ///
    /// # Errors
    /// A hint for the operator, if the name is invalid or reserved.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text.to_ascii_lowercase();
        let is_token = !name.is_empty()
            && name.len() <= 128
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !is_token {
            return Err("use letters, digits and -, such as x-auth-subject");
        }
        let name = Self(name);
        // Aliases of reserved headers are rejected as well: the filter removes every alias of this header from
        // requests.
        if RESERVED.iter().any(|reserved| name.is_alias_of(reserved)) {
            return Err("choose a header of its own, such as x-auth-subject: this one has a meaning for the transport");
        }
        Ok(name)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether an upstream may treat `name` as this header. CGI replaces `-` by `_`, and some frameworks
    /// replace every byte other than letters and digits, so that `x_auth_subject` and `x-auth-subject` become one
    /// variable.
    pub(crate) fn is_alias_of(&self, name: &str) -> bool {
        let fold = |b: u8| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'-' };
        self.0.bytes().map(fold).eq(name.bytes().map(fold))
    }
}

/// Headers that HTTP, Envoy's routing or `upstream.authorization` controls.
const RESERVED: &[&str] = &[
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_of_a_header_name_are_detected() {
        let name = HeaderName::parse("X-Auth-Subject").unwrap();
        assert_eq!(name.as_str(), "x-auth-subject");
        for alias in ["x-auth-subject", "x_auth_subject", "x-auth_subject", "X_AUTH.SUBJECT", "x!auth~subject"] {
            assert!(name.is_alias_of(alias), "{alias}");
        }
        for other in ["x-auth-subjects", "x-auth-sub", "xauthsubject", ""] {
            assert!(!name.is_alias_of(other), "{other}");
        }
        for bad in [
            "",
            ":path",
            "a b",
            "a:b",
            "é",
            "Authorization",
            "host",
            "transfer-encoding",
            "content_length",
            "X.Forwarded.For",
        ] {
            assert!(HeaderName::parse(bad).is_err(), "{bad}");
        }
    }
}
