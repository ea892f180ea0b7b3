//! One token from the first lookup to the decision: a state machine without I/O.

mod call;
mod callout_key;
mod gate;
#[cfg(test)]
mod keys_tests;
mod renewal;
mod stale;
mod step;
mod token_check;
mod verification;

pub use call::{Answered, Call};
pub use callout_key::CalloutKey;
pub use gate::Gate;
pub use renewal::Renewal;
pub use step::Step;
pub use token_check::Lookup;
pub use verification::{HostVerdict, Verification, Verified};
