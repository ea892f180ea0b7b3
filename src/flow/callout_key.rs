//! What a callout is about: requests whose callouts have the same key share one.

use crate::cache::Lease;
use crate::token::TokenDigest;

/// What a callout is about. Requests whose callouts are about the same thing can share one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CalloutKey {
    /// The authorization server's index.
    pub(crate) server: usize,
    pub(crate) subject: Subject,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// What a token is worth. `leased`: whether other workers can find the answer in shared data.
    Token { digest: [u8; TokenDigest::BYTES], leased: bool },
    /// Our own token at the server.
    ClientToken,
    /// Where the keys of the server are.
    Metadata,
    /// The keys themselves.
    Keys,
}

impl CalloutKey {
    /// The lease that workers hold it under, if it is of interest to several.
    pub(crate) fn lease(&self) -> Option<Lease> {
        match self.subject {
            Subject::Token { digest, leased: true } => Some(Lease::new(digest)),
            Subject::Token { leased: false, .. } | Subject::ClientToken | Subject::Metadata | Subject::Keys => None,
        }
    }

    /// Whether both take one of the places for questions about tokens at the same server.
    pub(crate) fn competes_with(&self, other: &Self) -> bool {
        let is_token = |subject: &Subject| matches!(subject, Subject::Token { .. });
        self.server == other.server && is_token(&self.subject) && is_token(&other.subject)
    }

    /// Whether it is to be asked even if every request has left that wanted to know: what is asked serves all others,
    /// and whoever was told to ask must, since nobody else is told so for a while.
    pub(crate) fn outlives_requests(&self) -> bool {
        match self.subject {
            Subject::Token { .. } => false,
            Subject::ClientToken | Subject::Metadata | Subject::Keys => true,
        }
    }
}
