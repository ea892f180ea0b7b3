//! The location of the keys of an authorization server: a configured path, or the `jwks_uri` of its metadata (RFC 8414
//! §2, OpenID Connect Discovery 1.0 §3).

use std::time::Duration;

use hmac_sha256::Hash;

use crate::base::Json;
use crate::host::{CalloutError, CalloutRequest, CalloutResult, Response, USER_AGENT};
use crate::jose::KeySet;
use crate::request::Authority;
use crate::server::clusters::Clusters;

/// The location of the keys of an authorization server, and how long they are used.
#[derive(Debug)]
pub(crate) struct JwksSource {
    pub(crate) clusters: Clusters,
    pub(crate) place: JwksPlace,
    /// The timeout of each callout.
    pub(crate) timeout: Duration,
    /// The age at which keys are refreshed.
    pub(crate) refresh: Duration,
    /// The age at which keys are no longer used, if refreshing fails.
    pub(crate) max_age: Duration,
    /// The minimum time between fetches because of unknown keys.
    pub(crate) min_interval: Duration,
}

/// How the keys are located.
#[derive(Debug)]
pub(crate) enum JwksPlace {
    Known(Location),
    Discovered(Discovery),
}

/// An HTTP resource of the authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) authority: String,
    pub(crate) path: String,
}

/// The metadata of an authorization server, which locate its keys.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) metadata: Location,
    /// The required `issuer` of the metadata, compared exactly (RFC 8414 §3.3).
    pub(crate) issuer: String,
    /// Whether the request for the keys uses the authority of the metadata instead of that of `jwks_uri`, because the
    /// operator has configured one.
    pub(crate) keeps_authority: bool,
}

/// The well-known paths of metadata.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WellKnown {
    /// OpenID Connect Discovery 1.0 §4
    OpenId,
    /// RFC 8414 §3
    OAuth,
}

impl JwksSource {
    /// Returns how long a fetch may take, including the request for metadata.
    pub(crate) fn max_fetch_time(&self) -> Duration {
        match self.place {
            JwksPlace::Known(_) => self.timeout,
            JwksPlace::Discovered(_) => self.timeout.saturating_mul(2),
        }
    }

    /// Returns the key of the JWK set in shared data. It is the same for every configuration that fetches the keys from
    /// the same location.
    pub(super) fn shared_key(&self) -> String {
        let place = match &self.place {
            JwksPlace::Known(Location { authority, path }) => {
                format!("{}\n{authority}\n{path}", self.clusters.get(0))
            }
            JwksPlace::Discovered(Discovery { metadata: Location { authority, path }, issuer, keeps_authority }) => {
                format!("{}\n{authority}\n{path}\n{issuer}\n{keeps_authority}", self.clusters.get(0))
            }
        };
        let digest: String = Hash::hash(place.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("scopegate.keys.{digest}")
    }

    /// Creates the request for the metadata.
    pub(super) fn metadata_request<'s>(&'s self, discovery: &'s Discovery, cluster: usize) -> CalloutRequest<'s> {
        self.request(&discovery.metadata, "application/json", cluster)
    }

    /// Creates the request for the keys.
    pub(super) fn keys_request<'s>(&'s self, location: &'s Location, cluster: usize) -> CalloutRequest<'s> {
        self.request(location, "application/jwk-set+json, application/json", cluster)
    }

    fn request<'s>(&'s self, location: &'s Location, accept: &'static str, cluster: usize) -> CalloutRequest<'s> {
        let headers = vec![
            (":method", "GET".into()),
            (":path", location.path.as_str().into()),
            (":authority", location.authority.as_str().into()),
            ("accept", accept.into()),
            USER_AGENT,
        ];
        let cluster = self.clusters.get(cluster);
        CalloutRequest { cluster, headers, body: String::new(), timeout: self.timeout }
    }
}

/// Parses a response with keys.
pub(super) fn parse_keys(result: CalloutResult<'_>) -> Result<KeySet, CalloutError> {
    let body = json_body(result, CalloutError::KeysStatus, CalloutError::InvalidKeys)?;
    KeySet::parse(body).map_err(CalloutError::InvalidKeys)
}

impl Discovery {
    /// Parses a response with metadata; returns the location of the keys.
    pub(super) fn parse_response(&self, result: CalloutResult<'_>) -> Result<Location, CalloutError> {
        let body = json_body(result, CalloutError::MetadataStatus, CalloutError::InvalidMetadata)?;
        self.locate(body).map_err(CalloutError::InvalidMetadata)
    }

    fn locate(&self, metadata: &[u8]) -> Result<Location, &'static str> {
        let metadata = Json::parse(metadata).map_err(|_| "the body is not JSON")?;
        if metadata.has_duplicate_names() {
            return Err("a member name occurs twice");
        }
        let issuer =
            metadata.member("issuer").and_then(Json::as_str).ok_or("`issuer` is missing or is not a string")?;
        if issuer != self.issuer {
            return Err("`issuer` differs from the configured issuer");
        }
        let uri =
            metadata.member("jwks_uri").and_then(Json::as_str).ok_or("`jwks_uri` is missing or is not a string")?;
        let mut location = Location::of_uri(uri).ok_or("`jwks_uri` is not a valid http or https URI")?;
        if self.keeps_authority {
            location.authority.clone_from(&self.metadata.authority);
        }
        Ok(location)
    }
}

impl Location {
    /// Parses an absolute URI (RFC 3986 §3) without user information, fragment and characters that a request line
    /// cannot contain.
    fn of_uri(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"))?;
        let (authority, path) = rest.split_at_checked(rest.find('/')?)?;
        let fits = uri.len() <= MAX_URI_BYTES && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        let names_host = Authority::parse(authority.as_bytes()).is_some_and(|host| !host.name().is_empty());
        (fits && names_host).then(|| Self { authority: authority.to_owned(), path: path.to_owned() })
    }
}

impl WellKnown {
    pub(crate) const WORDS: [(&str, Self); 2] = [("openid", Self::OpenId), ("oauth", Self::OAuth)];

    /// Returns the path of the metadata of an issuer; `None` if the issuer is not a URI.
    pub(crate) fn path(self, issuer: &str) -> Option<String> {
        let (_, rest) = issuer.split_once("://")?;
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default();
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'?') {
            return None;
        }
        Some(match self {
            Self::OpenId => format!("{path}/.well-known/openid-configuration"),
            Self::OAuth => format!("/.well-known/oauth-authorization-server{path}"),
        })
    }
}

fn json_body(
    result: CalloutResult<'_>,
    other_status: fn(u16) -> CalloutError,
    bad: fn(&'static str) -> CalloutError,
) -> Result<&[u8], CalloutError> {
    match result.response()? {
        response @ Response { status: 200, .. } if !response.may_be_json() => Err(bad("the Content-Type is not JSON")),
        Response { status: 200, body, .. } => Ok(body),
        Response { status, .. } => Err(other_status(status)),
    }
}

/// The longest `jwks_uri` that is accepted, in bytes.
const MAX_URI_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn discovery(keeps_authority: bool) -> Discovery {
        let metadata = Location { authority: "as.internal".to_owned(), path: "/m".to_owned() };
        Discovery { metadata, issuer: "https://as.test".to_owned(), keeps_authority }
    }

    #[test]
    fn metadata_of_the_exact_issuer_locate_the_keys() {
        let locate = |metadata: &str| discovery(false).locate(metadata.as_bytes());
        let with = |uri: &str| locate(&format!(r#"{{"issuer":"https://as.test","jwks_uri":"{uri}"}}"#));
        let found =
            |authority: &str, path: &str| Ok(Location { authority: authority.to_owned(), path: path.to_owned() });
        assert_eq!(with("https://keys.as.test:8443/a/jwks?v=1"), found("keys.as.test:8443", "/a/jwks?v=1"));
        assert_eq!(with("http://[::1]:80/jwks"), found("[::1]:80", "/jwks"));
        for uri in [
            "",
            "/jwks",
            "https://as.test",
            "ftp://as.test/jwks",
            "https://",
            "https:///jwks",
            "https://u@as.test/jwks",
            "https://as.test/jwks#k",
            "https://as.test/a b",
            "https://as.test/\\u000d\\u000a",
            "https://as.test:/jwks",
            "https://as.test/\u{e9}",
            "HTTPS://as.test/jwks",
            &format!("https://as.test/{}", "a".repeat(2048)),
        ] {
            assert_eq!(with(uri), Err("`jwks_uri` is not a valid http or https URI"), "{uri}");
        }
        let uri = r#""jwks_uri":"https://as.test/jwks""#;
        for (metadata, why) in [
            (format!(r#"{{"issuer":"https://as.test/",{uri}}}"#), "`issuer` differs from the configured issuer"),
            (format!(r#"{{"issuer":"https://AS.test",{uri}}}"#), "`issuer` differs from the configured issuer"),
            (format!(r#"{{"issuer":["https://as.test"],{uri}}}"#), "`issuer` is missing or is not a string"),
            (format!("{{{uri}}}"), "`issuer` is missing or is not a string"),
            (r#"{"issuer":"https://as.test"}"#.to_owned(), "`jwks_uri` is missing or is not a string"),
            (
                format!(r#"{{"issuer":"https://evil.test","issuer":"https://as.test",{uri}}}"#),
                "a member name occurs twice",
            ),
            ("[]".to_owned(), "`issuer` is missing or is not a string"),
            ("<html>".to_owned(), "the body is not JSON"),
        ] {
            assert_eq!(locate(&metadata), Err(why), "{metadata}");
        }
    }

    #[test]
    fn configured_authority_is_used_for_the_keys() {
        let metadata = br#"{"issuer":"https://as.test","jwks_uri":"https://as.test/jwks"}"#;
        let location = discovery(true).locate(metadata).unwrap();
        assert_eq!((location.authority.as_str(), location.path.as_str()), ("as.internal", "/jwks"));
    }

    #[test]
    fn well_known_paths_follow_the_specifications() {
        for (issuer, openid, oauth) in [
            ("https://as.test", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
            ("https://as.test/", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
            (
                "https://as.test:1/t/a/",
                "/t/a/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/t/a",
            ),
        ] {
            assert_eq!(WellKnown::OpenId.path(issuer).as_deref(), Some(openid));
            assert_eq!(WellKnown::OAuth.path(issuer).as_deref(), Some(oauth));
        }
        for issuer in ["as.test", "https://as.test/?a", "https://as.test/a b", "https://as.test/#"] {
            assert!(WellKnown::OAuth.path(issuer).is_none(), "{issuer}");
        }
    }
}
