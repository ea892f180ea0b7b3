//! Building blocks without knowledge of tokens: time, JSON, secrets, randomness.

mod json;
mod random;
mod secret;
mod time;

pub use json::Json;
pub(crate) use random::SeededRandom;
pub(crate) use secret::Secret;
pub use time::UnixTime;
