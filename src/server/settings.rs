//! The settings of one authorization server.

use std::rc::Rc;
use std::time::Duration;

use super::circuit_breaker::CircuitBreakerSettings;
use super::introspection::Endpoint;
use super::jwt::JwtSettings;
use crate::policy::TokenPolicy;

/// An authorization server.
#[derive(Debug)]
pub(crate) struct ServerSettings {
    pub(crate) name: String,
    /// The requirements on every token of the server.
    pub(crate) tokens: TokenPolicy,
    /// The prefix of the server's tokens: the server issues all tokens with this prefix, and no others.
    pub(crate) token_prefix: Option<String>,
    /// The longest TTL of its responses in the cache.
    pub(crate) max_ttl: Option<Duration>,
    /// The number of its clusters; at least 1.
    pub(crate) clusters: usize,
    pub(crate) circuit_breaker: CircuitBreakerSettings,
    /// How many introspection requests a worker sends at a time.
    pub(crate) max_callouts: usize,
    /// How opaque tokens are introspected, and JWTs that `jwt` does not verify.
    pub(crate) introspection: Option<Rc<Endpoint>>,
    /// How JWTs are verified without a callout.
    pub(crate) jwt: Option<Rc<JwtSettings>>,
}
