//! Capability rows that take identity servers of Debian packages; the others are in `tests/e2e`.

mod axway;
mod local_jwt;
mod webmethods;

use serde_json::{Value, json};

use crate::support::fixtures::bookings::*;
use crate::support::*;
