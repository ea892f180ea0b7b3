//! Capability rows that take identity servers of Debian packages; the others are in `tests/e2e`.

mod axway;
#[path = "../e2e/capabilities/bookings.rs"]
mod bookings;
mod local_jwt;
mod webmethods;

use serde_json::{Value, json};

use self::bookings::*;
use crate::support::*;
