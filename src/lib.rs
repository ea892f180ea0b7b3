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
//!   whether at all; `limit`: for how many unknown tokens of a client

mod base;
mod cache;
mod claims;
mod config;
mod decision;
mod flow;
mod host;
mod jose;
mod policy;
mod request;
mod response;
mod server;
mod token;
mod worker;

pub use base::{Json, UnixTime};
pub use config::{Config, Problem, Problems};
pub use flow::{Counter, Counters, Decision};
pub use host::{CalloutRequest, CalloutResponse, Host, SignatureVerdict, header_pairs};
#[cfg(feature = "vectors")]
pub use jose::vectors;
pub use policy::Forward;
pub use request::{HeaderEdit, RequestHead};
pub use response::Reply;
pub use server::PRESETS;
pub use worker::{Gauges, Worker};
