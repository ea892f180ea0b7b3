//! Scopegate's core: OAuth 2.0 token introspection (RFC 7662), local verification of JWTs (RFC 9068) and enforcement of
//! scopes (RFC 6749 §3.3), independent of any proxy.
//!
//! The core has no clock, no randomness and no sockets. A host reports events to a [`Worker`] and performs its decisions.
//! The worker accesses the proxy through the [`Host`] trait:
//!
//! ```text
//!  host                                  worker
//!  a request arrives      on_request ─▶  decides at once (public rule, cache hit, refusal),
//!                                        or waits for a callout
//!  a response arrives     on_callout_response ─▶
//!  a tick, a message      on_tick, on_message ─▶
//!  after each event    ◀─ next_decision  decides about requests that have waited
//! ```
//!
//! # Example
//!
//! A request without a token is refused; one with a token waits for the introspection response.
//!
//! ```
//! use std::rc::Rc;
//!
//! use scopegate::{CalloutResponse, Config, Counters, Decision, RequestHead, Worker};
//! # use std::time::Duration;
//! # use scopegate::{CalloutRequest, Host, SignatureVerdict, UnixTime};
//! # struct Proxy { callouts: u64 }
//! # impl Host for Proxy {
//! #     fn now(&self) -> UnixTime { UnixTime::from_secs(1_800_000_000) }
//! #     fn shared_data(&self, _: &str) -> Option<Vec<u8>> { None }
//! #     fn set_shared_data(&self, _: &str, _: &[u8]) {}
//! #     fn update_shared_data(&self, _: &str, _: &mut dyn FnMut(Option<&[u8]>) -> Option<Vec<u8>>) -> bool { false }
//! #     fn verify_signature(&self, _: &[u8]) -> SignatureVerdict { SignatureVerdict::Unsupported }
//! #     fn send_callout(&mut self, request: &CalloutRequest<'_>) -> Option<u64> {
//! #         assert_eq!(request.cluster, "identity");
//! #         self.callouts += 1;
//! #         Some(self.callouts)
//! #     }
//! #     fn record_callout_time(&mut self, _: Duration) {}
//! #     fn mailbox(&self) -> Option<u32> { None }
//! #     fn send_message(&self, _: u32, _: &[u8]) {}
//! #     fn request_id(&self, _: u64) -> Option<String> { None }
//! #     fn client_address(&self, _: u64) -> Vec<u8> { b"127.0.0.1:4711".to_vec() }
//! # }
//! # fn main() -> Result<(), scopegate::Problems> {
//! # let mut proxy = Proxy { callouts: 0 };
//! let config = Config::parse(
//!     br#"{
//!       "authorization_servers": [ { "name": "main", "cluster": "identity", "audience": ["bookings"],
//!           "introspection": { "path": "/introspect", "client_id": "gateway", "client_secret": "s3cret" } } ],
//!       "rules": [ { "name": "View", "match": [ { "path": "/bookings" } ], "require": { "scope": "view" } } ]
//!     }"#,
//!     &|_variable| None,
//! )?;
//! let mut worker = Worker::new(config, [7; 32], Rc::new(Counters::default()), &proxy);
//!
//! let anonymous = [(":method", &b"GET"[..]), (":path", b"/bookings"), (":authority", b"api.example.com")];
//! let head = RequestHead { headers: &anonymous, route: None, has_body: false };
//! let Some(Decision::Respond(reply)) = worker.on_request(1, head, &mut proxy) else { panic!("no token") };
//! assert_eq!(reply.status, 401);
//!
//! let with_token = [&anonymous[..], &[("authorization", b"Bearer t0ken")]].concat();
//! let head = RequestHead { headers: &with_token, route: None, has_body: false };
//! assert!(worker.on_request(2, head, &mut proxy).is_none());
//! worker.send_ready(&mut proxy);
//!
//! let body = br#"{"active":true,"aud":"bookings","scope":"view"}"#.to_vec();
//! let response = CalloutResponse { status: 200, content_type: Some(b"application/json".to_vec()), body };
//! worker.on_callout_response(1, Some(response), &mut proxy);
//! let Some((2, Decision::Forward(forward))) = worker.next_decision(&mut proxy) else { panic!("not permitted") };
//! assert_eq!(&**forward.permit.rule(), "View");
//! # Ok(())
//! # }
//! ```
//!
//! # Layers
//!
//! Each folder imports only the folders before it in this list; `tests/architecture.rs` checks the order, and
//! `docs/architecture.md` explains it:
//! `base`, `host`, `token`, `jose`, `request`, `claims`, `decision`, `cache`, `response`, `policy`, `server`, `config`,
//! `flow`, `worker`.

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
pub use host::{CalloutRequest, CalloutResponse, Host, SignatureVerdict};
#[cfg(feature = "vectors")]
pub use jose::vectors;
pub use policy::Forward;
pub use request::{HeaderEdit, RequestHead};
pub use response::Reply;
pub use server::PRESETS;
pub use worker::{Gauges, Worker};
