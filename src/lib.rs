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
//! - `request`, `credentials`, `preflight`: what a request says; `policy`: which rule it falls under
//! - `selection`: who may answer for a token; `introspection`, `claims`: what they say
//! - `requirement`, `application`: what is demanded; `authorize`: the decision; [`Permit`] and [`Denial`]: its
//!   two outcomes
//! - `reply`, `errors`, `forward`: what the caller and the application see of it
//! - `cache`, `token`: what is kept, and under which name; `attempt`, `breaker`: by which way a server is asked, and
//!   whether at all; `quota`: for how many unknown tokens of a client

mod application;
mod attempt;
mod authorize;
mod breaker;
mod cache;
mod callout;
mod claims;
mod config;
mod credentials;
mod denial;
mod errors;
mod exchange;
mod flight;
mod forward;
mod gate;
mod introspection;
mod jose;
mod json;
mod jwt;
mod keys;
mod policy;
mod preflight;
mod property;
mod quota;
mod reply;
mod request;
mod requirement;
mod scope;
mod selection;
mod step;
mod time;
mod token;

pub use attempt::Attempt;
pub use authorize::Permit;
pub use breaker::BreakerChange;
pub use cache::{Applied, CacheResult, Insert};
pub use callout::{CalloutAnswer, CalloutRequest, MAX_ANSWER_BYTES, Trouble};
pub use config::{Config, Problem, Problems};
pub use credentials::CredentialsError;
pub use denial::Denial;
pub use exchange::{Answered, Call, HostVerdict, Lookup, Publish, Renewal, Verification, Verified};
pub use flight::{Claim, Flight, Lease};
pub use forward::{Edit, Forward};
pub use gate::Gate;
pub use introspection::PRESETS;
#[cfg(feature = "vectors")]
pub use jose::vectors;
pub use json::Json;
pub use keys::{KeyFetch, KeysAnswered};
pub use reply::Reply;
pub use request::{PathError, RawHead, TargetError, header_pairs};
pub use requirement::Lack;
pub use step::Step;
pub use time::UnixTime;

/// How far `nbf` may lie ahead: the authorization server has just called the token active, so only a clock
/// that runs late can disagree. `exp` has no such tolerance.
pub(crate) const NOT_BEFORE_LEEWAY: std::time::Duration = std::time::Duration::from_secs(5);
