//! The keys of callouts: requests that need the same callout share one.

use crate::cache::Lease;
use crate::token::TokenDigest;

/// Identifies the result of a callout. Requests with the same key share one callout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CalloutKey {
    /// The index of the authorization server.
    pub(crate) server: usize,
    pub(crate) subject: Subject,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The state of a token. `leased`: whether other workers can find the response in shared data.
    Token { digest: [u8; TokenDigest::BYTES], leased: bool },
    /// The gateway's own access token.
    ClientToken,
    /// The metadata of the server.
    Metadata,
    /// The keys of the server.
    Keys,
}

impl CalloutKey {
    /// Returns the lease that coordinates workers, if the response can be shared.
    pub(crate) fn lease(&self) -> Option<Lease> {
        match self.subject {
            Subject::Token { digest, leased: true } => Some(Lease::new(digest)),
            Subject::Token { leased: false, .. } | Subject::ClientToken | Subject::Metadata | Subject::Keys => None,
        }
    }

    /// Returns whether both count towards `max_callouts` of the same server.
    pub(crate) fn competes_with(&self, other: &Self) -> bool {
        let is_token = |subject: &Subject| matches!(subject, Subject::Token { .. });
        self.server == other.server && is_token(&self.subject) && is_token(&other.subject)
    }

    /// Returns whether the callout is sent even if every request that waits for it has ended. Tokens of the gateway,
    /// metadata and keys serve all requests, and no other request may fetch them for a while.
    pub(crate) fn outlives_requests(&self) -> bool {
        match self.subject {
            Subject::Token { .. } => false,
            Subject::ClientToken | Subject::Metadata | Subject::Keys => true,
        }
    }
}
