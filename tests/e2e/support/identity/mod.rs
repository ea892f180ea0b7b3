//! Identity servers: real ones, each a process of its own.

mod browser;
mod keys;
mod oidc_provider;
mod process;
mod simplesamlphp;

pub use browser::{Arrival, Browser};
pub use keys::{SigningKey, unix_time};
pub use oidc_provider::{Client, Login, OidcProvider, tokens_of};
pub use process::ServerProcess;
pub use simplesamlphp::SimpleSamlPhp;

/// What a token endpoint answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub id_token: Option<String>,
    /// What the server says it granted.
    pub scope: Option<String>,
}

impl Tokens {
    /// From the members of an answer, wherever they stood.
    #[track_caller]
    pub fn from_members(member: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            access_token: member("access_token").expect("an access token"),
            refresh_token: member("refresh_token"),
            id_token: member("id_token"),
            scope: member("scope"),
        }
    }

    /// The refresh token; without one the test fails.
    #[track_caller]
    pub fn refresh(&self) -> &str {
        self.refresh_token.as_deref().expect("a refresh token")
    }

    /// The ID token; without one the test fails.
    #[track_caller]
    pub fn id(&self) -> &str {
        self.id_token.as_deref().expect("an ID token")
    }
}
