//! JWT access tokens, by topic: token forms of real issuers, claims, lifetimes, keys, discovery, outages and attacks.

mod algorithms;
mod claims;
mod discovery;
mod forms;
mod hostile;
mod keys;
mod lifetime;
mod outage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fixtures::judging::Verdict::{Passes, Refused, Status, Tells};
use crate::support::fixtures::judging::*;
use crate::support::*;
