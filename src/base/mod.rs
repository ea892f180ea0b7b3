//! Basic types that know nothing about tokens: time, JSON, secrets, randomness, lists of words.

mod json;
mod log_limit;
mod random;
mod secret;
mod time;
mod words;

pub use json::Json;
pub(crate) use log_limit::LogLimit;
pub(crate) use random::SeededRandom;
pub(crate) use secret::Secret;
pub use time::UnixTime;
pub(crate) use words::words;
