//! One token from the first lookup to the decision: a state machine without I/O.
//!
//! The [`driver`] takes a request from phase to phase. Where a request needs shared data, a signature verified by the
//! host, or a callout, it returns a [`Step`], and goes on with the result.

mod call;
mod callout_key;
mod counters;
mod decide;
pub(crate) mod driver;
mod gate;
mod lookup;
mod question;
mod remember;
mod renewal;
mod stale;
mod state;
mod states;
mod verification;

pub(crate) use call::Effects;
pub(crate) use callout_key::CalloutKey;
pub use counters::{Counter, Counters};
pub(crate) use gate::{Context, Gate};
pub(crate) use state::State;
pub use states::Decision;
pub(crate) use states::{Call, Step};
