//! Scopegate's core: OAuth 2.0 token introspection (RFC 7662) and scope enforcement, independent of any proxy.
//!
//! The core has no clock, no randomness and no sockets. A proxy implements [`Host`] and drives one [`Worker`] per
//! thread and configuration: it reports events to the worker, and performs the decisions that the worker returns.
//!
//! ```text
//! Worker::on_request ── Some(Decision)    decided at once: no token required, cached entry, verified signature, or refused
//!         └── None                        the request waits for a callout that the worker sends through Host::send_callout
//! Worker::on_callout_response             the response to a callout, or a timeout
//! Worker::next_decision ── Decision       decisions about requests that have waited; call it after every event
//! ```
//!
//! - [`Config`]: the plugin configuration, parsed once; parsing reports every [`Problem`]
//! - [`Worker`], [`Decision`]: handling of requests
//! - [`Host`]: the proxy's clock, shared data, callouts and signature verification
//! - [`Counters`], [`Gauges`]: metrics
//!
//! The modules form layers. From the top: `worker`, `flow` (the check of one token), `config`, `server` (authorization
//! servers), `policy` (rules), `response` (refusals), `cache`, `decision`, `claims`, `request`, `token`, `jose` (JWTs
//! and keys), `host`, `base`. `docs/architecture.md` describes them.

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
