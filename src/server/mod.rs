//! Authorization servers: their settings, the requests to them and their responses, and their state in a worker.

mod circuit_breaker;
mod client_authentication;
mod client_token;
mod clusters;
mod failover;
mod introspection;
mod jwks;
mod jwt;
mod request_format;
mod response_format;
mod runtime;
mod selection;
mod settings;
#[cfg(test)]
mod tests;
mod unknown_token_limit;

pub(crate) use circuit_breaker::CircuitBreakerSettings;
pub(crate) use circuit_breaker::CircuitChange;
pub(crate) use client_authentication::{ClientAssertion, ClientAuthentication, basic_authorization};
pub(crate) use client_token::TokenEndpoint;
pub(crate) use clusters::Clusters;
pub(crate) use failover::Attempt;
pub(crate) use failover::is_timely;
pub use introspection::PRESETS;
pub(crate) use introspection::{Endpoint, EndpointAuthentication};
pub(crate) use jwks::fetch::{KeyFetch, KeysFetched};
pub(crate) use jwks::source::{Discovery, JwksPlace, JwksSource, Location, WellKnown};
pub(crate) use jwt::JwtSettings;
pub(crate) use request_format::{RequestFormat, TokenIn};
pub(crate) use response_format::{Activity, ResponseFormat};
pub(crate) use runtime::Server;
pub(crate) use selection::select;
pub(crate) use settings::ServerSettings;
pub(crate) use unknown_token_limit::{Charge, UnknownTokenLimit, UnknownTokenLimitSettings};
