//! The interface to the proxy: the trait [`Host`], callouts, shared data, and header encoding.

mod callout;
mod port;
mod shared_data;

pub(crate) use callout::CalloutOutcome;
pub(crate) use callout::{CalloutError, CalloutResult, Response, USER_AGENT};
pub use callout::{CalloutRequest, CalloutResponse};
pub(crate) use port::{CalloutId, MailboxId, StreamId};
pub use port::{Host, SignatureVerdict};
pub(crate) use shared_data::Publish;
