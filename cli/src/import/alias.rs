//! The auth servers and gateway scopes of a Microgateway.

use crate::path::shown;

/// A place in the file for later remarks.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) document: Option<usize>,
    pub(super) path: String,
}

/// A serialized authServerAlias. A member that is absent or null is `None`.
#[derive(Debug)]
pub(super) struct Alias {
    pub(super) place: Place,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) scopes: Vec<Described>,
    pub(super) local: Option<LocalIntrospection>,
    pub(super) remote: Option<RemoteIntrospection>,
}

/// A name and its description.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) description: Option<String>,
}

/// How the gateway verifies JWTs by itself.
#[derive(Debug)]
pub(super) struct LocalIntrospection {
    pub(super) place: Place,
    pub(super) issuer: Option<String>,
    pub(super) trust_store: Option<String>,
    /// The sources of its keys. Without any, the gateway verifies no JWTs.
    pub(super) keys: Vec<String>,
    pub(super) description: Option<String>,
}

/// The introspection endpoint of the gateway.
#[derive(Debug)]
pub(super) struct RemoteIntrospection {
    pub(super) place: Place,
    pub(super) endpoint: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) secret: Secret,
    pub(super) user: Option<String>,
}

/// How the file has a secret. The secret itself is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secret {
    Absent,
    Masked,
    Present,
}

/// Scopes of authorization servers and the APIs or API scopes that they open.
#[derive(Debug)]
pub(super) struct GatewayScope {
    pub(super) place: Place,
    pub(super) id: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) opens: Vec<String>,
    pub(super) required: Vec<RequiredScope>,
}

#[derive(Debug)]
pub(super) struct RequiredScope {
    pub(super) place: Place,
    pub(super) alias: String,
    pub(super) scope: String,
}

impl Place {
    /// The place of the member `key` of the value there.
    pub(super) fn key(&self, key: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { document: self.document, path: format!("{}{dot}{key}", self.path) }
    }

    /// The file as a whole.
    pub(super) fn file() -> Self {
        Self { document: None, path: String::new() }
    }
}

impl Alias {
    /// The name by which others refer to it.
    pub(super) fn label(&self) -> String {
        shown(self.name.as_deref().or(self.id.as_deref()).unwrap_or_default())
    }
}
