//! Where the keys of an authorization server are: at a path that is configured, or where its metadata say
//! (RFC 8414 §2, OpenID Connect Discovery 1.0 §3).

use std::time::Duration;

use hmac_sha256::Hash;

use crate::base::Json;
use crate::host::{CalloutError, CalloutRequest, CalloutResult, Response, USER_AGENT};
use crate::jose::KeySet;
use crate::request::Authority;
use crate::server::clusters::Clusters;

/// Where the keys of an authorization server are, and how long they are believed.
#[derive(Debug)]
pub(crate) struct JwksSource {
    pub(crate) clusters: Clusters,
    pub(crate) place: JwksPlace,
    /// How long each callout may take.
    pub(crate) timeout: Duration,
    /// After this time they are fetched again.
    pub(crate) refresh: Duration,
    /// After this time they are not used any more if they could not be fetched again.
    pub(crate) max_age: Duration,
    /// An unknown key has them fetched at most once in this time.
    pub(crate) min_interval: Duration,
}

/// How the keys are found.
#[derive(Debug)]
pub(crate) enum JwksPlace {
    Known(Location),
    Discovered(Discovery),
}

/// Something at the authorization server, as its cluster is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) authority: String,
    pub(crate) path: String,
}

/// Metadata of an authorization server, which say where its keys are.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) metadata: Location,
    /// Who the metadata must say they are of, to the letter (RFC 8414 §3.3).
    pub(crate) issuer: String,
    /// Whether the keys are asked for by the authority of the metadata, whatever `jwks_uri` names: the operator
    /// has said by what name the server is reached.
    pub(crate) keeps_authority: bool,
}

/// The well-known places of metadata.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WellKnown {
    /// OpenID Connect Discovery 1.0 §4
    OpenId,
    /// RFC 8414 §3
    OAuth,
}

impl JwksSource {
    /// How long a fetch may take, with everything that it takes to find them.
    pub(crate) fn patience(&self) -> Duration {
        match self.place {
            JwksPlace::Known(_) => self.timeout,
            JwksPlace::Discovered(_) => self.timeout.saturating_mul(2),
        }
    }

    /// Where the keys are in shared data: the same for every configuration that fetches them from the same place.
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

    /// Asks for the metadata.
    pub(super) fn metadata_request<'s>(&'s self, discovery: &'s Discovery, cluster: usize) -> CalloutRequest<'s> {
        self.request(&discovery.metadata, "application/json", cluster)
    }

    /// Asks for the keys.
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

/// The keys in an answer.
pub(super) fn read_keys(result: CalloutResult<'_>) -> Result<KeySet, CalloutError> {
    let body = json_body(result, CalloutError::KeysStatus, CalloutError::BadKeys)?;
    KeySet::parse(body).map_err(CalloutError::BadKeys)
}

impl Discovery {
    /// Where the keys are, by an answer with the metadata.
    pub(super) fn read(&self, result: CalloutResult<'_>) -> Result<Location, CalloutError> {
        let body = json_body(result, CalloutError::MetadataStatus, CalloutError::BadMetadata)?;
        self.locate(body).map_err(CalloutError::BadMetadata)
    }

    fn locate(&self, metadata: &[u8]) -> Result<Location, &'static str> {
        let metadata = Json::parse(metadata).map_err(|_| "they are not JSON")?;
        if metadata.has_duplicate_names() {
            return Err("a member occurs twice");
        }
        let issuer = metadata.member("issuer").and_then(Json::as_str).ok_or("they name no issuer")?;
        if issuer != self.issuer {
            return Err("their issuer is another than the one that is configured");
        }
        let uri = metadata.member("jwks_uri").and_then(Json::as_str).ok_or("they have no jwks_uri")?;
        let mut location = Location::of_uri(uri).ok_or("their jwks_uri is no http or https URI")?;
        if self.keeps_authority {
            location.authority.clone_from(&self.metadata.authority);
        }
        Ok(location)
    }
}

impl Location {
    /// What an absolute URI names (RFC 3986 §3), if it could be asked for: without user information, fragment and
    /// anything that a request line cannot hold.
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

    /// The path of the metadata of an issuer; `None` if that is no URI.
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
        response @ Response { status: 200, .. } if !response.may_be_json() => {
            Err(bad("their Content-Type is not JSON"))
        }
        Response { status: 200, body, .. } => Ok(body),
        Response { status, .. } => Err(other_status(status)),
    }
}

/// No `jwks_uri` needs more.
const MAX_URI_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn discovery(keeps_authority: bool) -> Discovery {
        let metadata = Location { authority: "as.internal".to_owned(), path: "/m".to_owned() };
        Discovery { metadata, issuer: "https://as.test".to_owned(), keeps_authority }
    }

    #[test]
    fn metadata_say_where_the_keys_are_if_they_are_of_the_issuer_to_the_letter() {
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
            assert_eq!(with(uri), Err("their jwks_uri is no http or https URI"), "{uri}");
        }
        let uri = r#""jwks_uri":"https://as.test/jwks""#;
        for (metadata, why) in [
            (
                format!(r#"{{"issuer":"https://as.test/",{uri}}}"#),
                "their issuer is another than the one that is configured",
            ),
            (
                format!(r#"{{"issuer":"https://AS.test",{uri}}}"#),
                "their issuer is another than the one that is configured",
            ),
            (format!(r#"{{"issuer":["https://as.test"],{uri}}}"#), "they name no issuer"),
            (format!("{{{uri}}}"), "they name no issuer"),
            (r#"{"issuer":"https://as.test"}"#.to_owned(), "they have no jwks_uri"),
            (format!(r#"{{"issuer":"https://evil.test","issuer":"https://as.test",{uri}}}"#), "a member occurs twice"),
            ("[]".to_owned(), "they name no issuer"),
            ("<html>".to_owned(), "they are not JSON"),
        ] {
            assert_eq!(locate(&metadata), Err(why), "{metadata}");
        }
    }

    #[test]
    fn an_authority_that_is_configured_is_used_for_the_keys_too() {
        let metadata = br#"{"issuer":"https://as.test","jwks_uri":"https://as.test/jwks"}"#;
        let location = discovery(true).locate(metadata).unwrap();
        assert_eq!((location.authority.as_str(), location.path.as_str()), ("as.internal", "/jwks"));
    }

    #[test]
    fn metadata_are_where_each_specification_puts_them() {
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
