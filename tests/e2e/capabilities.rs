//! The capability rows: what the reference gateways do, each shown through a real Envoy with the real identity server
//! behind it. A test is named by its row: S0 is NetIQ Secure API Manager, S1 is Axway API Gateway, S2 is webMethods API
//! Gateway. Rows that take identity servers of Debian packages are in `tests/interop`.

mod adapters;
mod axway;
mod local_jwt;
mod netiq;
mod webmethods;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fixtures::bookings::*;
use crate::support::*;
