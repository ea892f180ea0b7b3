//! Identity servers: real ones, each a process of its own.

mod browser;
mod canaille;
mod client;
mod django_oauth_toolkit;
mod glewlwyd;
mod keys;
mod oidc_provider;
mod process;
mod python;
mod simplesamlphp;

pub use browser::{Arrival, Browser};
pub use canaille::Canaille;
pub use client::{Client, Endpoints, Tokens, tokens_of};
pub use django_oauth_toolkit::DjangoOauthToolkit;
pub use glewlwyd::Glewlwyd;
pub use keys::{SigningKey, unix_time};
pub use oidc_provider::{Login, OidcProvider};
pub use process::{LoggingServer, ServerProcess};
pub use simplesamlphp::SimpleSamlPhp;
