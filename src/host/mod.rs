//! The port to the host: what the core asks of it, and in which form.

mod callout;
mod header_pairs;
mod shared_data;

pub use callout::{CalloutError, CalloutRequest, CalloutResult, MAX_RESPONSE_BYTES};
pub(crate) use callout::{Response, USER_AGENT};
pub use header_pairs::header_pairs;
pub use shared_data::Publish;
