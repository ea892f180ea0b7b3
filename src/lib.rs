//! Scopegate's core: OAuth 2.0 token introspection (RFC 7662) and scope enforcement, free of any host.
//!
//! The core has no clock, no randomness and no sockets. Bytes and time go in, a [`Step`] comes out; the host
//! performs it and brings the result back:
//!
//! ```text
//! Gate::begin ── Respond / Forward                    no token needed, or none there
//!      └─ Lookup ── resume ── Respond / Forward       the cache knows the token
//!            └─ Call ── resume ── Respond / Forward   the authorization server was asked
//! ```
//!
//! Where to look:
//! - [`Config`]: the plugin configuration, parsed once, every [`Problem`] at once
//! - [`Gate`], [`Step`], [`Lookup`], [`Call`]: the run of a request
//! - `request`, `bearer`: what a request says; `policy`: which rule it falls under
//! - `introspection`, `claims`: what the authorization server says
//! - `authorize`: the decision; [`Permit`] and [`Denial`]: its two outcomes
//! - `reply`, `forward`: what the caller and the application see of it
//! - `cache`, `token`: what is kept, and under which name

mod authorize;
mod bearer;
mod cache;
mod claims;
mod config;
mod denial;
mod exchange;
mod forward;
mod gate;
mod introspection;
mod json;
mod policy;
mod reply;
mod request;
mod scope;
mod step;
mod time;
mod token;

pub use authorize::Permit;
pub use bearer::CredentialsError;
pub use cache::{Applied, Insert};
pub use config::{Config, Problem, Problems};
pub use denial::Denial;
pub use exchange::{Answered, CacheResult, Call, Looked, Lookup};
pub use forward::Forward;
pub use gate::Gate;
pub use introspection::{CalloutAnswer, CalloutRequest, MAX_ANSWER_BYTES, Trouble};
pub use json::Json;
pub use reply::Reply;
pub use request::{PathError, RawHead, TargetError};
pub use step::Step;
pub use time::UnixTime;

/// How far `nbf` may lie ahead: the authorization server has just called the token active, so only a clock
/// that runs late can disagree. `exp` has no such tolerance.
pub(crate) const NOT_BEFORE_LEEWAY: std::time::Duration = std::time::Duration::from_secs(5);
