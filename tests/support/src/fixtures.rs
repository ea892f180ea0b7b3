//! What several suites set up and check alike.

pub mod bookings;
pub mod configurations;
pub mod judging;
pub mod preset;
