//! Identity servers: real ones, in processes of their own.

mod browser;
mod canaille;
mod certificates;
mod client;
mod django_oauth_toolkit;
mod fleet;
mod glewlwyd;
mod keys;
mod login;
mod oidc_provider;
mod process;
mod python;
mod simplesamlphp;

pub use browser::{Arrival, Browser};
pub use canaille::Canaille;
pub use client::{Client, Endpoints, Tokens, tokens_of};
pub use django_oauth_toolkit::DjangoOauthToolkit;
pub use glewlwyd::Glewlwyd;
pub use keys::{SigningKey, forged, jwt_parts, unix_time};
pub use login::Login;
pub use oidc_provider::OidcProvider;
pub use process::{LoggingServer, ServerProcess};
pub use simplesamlphp::SimpleSamlPhp;
