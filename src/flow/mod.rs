//! The check of one token, from the first lookup to the decision: a state machine without I/O.
//!
//! The [`driver`] moves a request from phase to phase. If a request needs shared data, a signature verification by the
//! host, or a callout, the driver returns a [`Step`], and continues with its result.

mod cache_updates;
mod call;
mod callout_key;
mod counters;
mod decide;
pub(crate) mod driver;
mod gate;
mod introspection;
mod lookup;
mod renewal;
mod stale;
mod state;
mod token_check;
mod verification;

pub(crate) use call::CompletedCallout;
pub(crate) use callout_key::CalloutKey;
pub use counters::{Counter, Counters};
pub(crate) use gate::{Context, Gate};
pub(crate) use state::State;
pub use token_check::Decision;
pub(crate) use token_check::{Call, Step};
