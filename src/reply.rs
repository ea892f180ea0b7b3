//! Local replies: what a caller sees whose request does not pass (RFC 6750 §3).

use std::sync::Arc;

use crate::denial::{Challenge, Denial};
use crate::policy::{Access, Rule};

/// A complete response, and why it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The body: JSON with `error` and `error_description`.
    pub body: String,
    /// The reason; only its class is in the response.
    pub denial: Denial,
    /// The name of the rule that the request fell under, if one did.
    pub rule: Option<Arc<str>>,
}

impl Reply {
    pub(crate) fn new(denial: Denial, rule: Option<&Rule>, realm: &str) -> Self {
        let wire = denial.wire();
        let challenge = match wire.challenge {
            Challenge::None => None,
            Challenge::Realm => Some(format!("Bearer realm=\"{realm}\"")),
            Challenge::Error | Challenge::Scope => Some(format!(
                "Bearer realm=\"{realm}\", error=\"{}\", error_description=\"{}\"{}",
                wire.error,
                wire.description,
                scope_attribute(wire.challenge, rule),
            )),
        };
        let mut headers =
            vec![("content-type", "application/json".to_owned()), ("cache-control", "no-store".to_owned())];
        headers.extend(challenge.map(|challenge| ("www-authenticate", challenge)));
        headers.extend(wire.retry.then(|| ("retry-after", RETRY_AFTER_SECONDS.to_string())));
        Self {
            status: wire.status,
            headers,
            body: format!("{{\"error\":\"{}\",\"error_description\":\"{}\"}}", wire.error, wire.description),
            denial,
            rule: rule.map(|rule| Arc::clone(&rule.name)),
        }
    }

    /// What a filter answers to everything whose configuration was refused.
    pub fn misconfigured() -> Self {
        Self::new(Denial::Misconfigured, None, "")
    }
}

fn scope_attribute(challenge: Challenge, rule: Option<&Rule>) -> String {
    match (challenge, rule.map(|rule| &rule.access)) {
        (Challenge::Scope, Some(Access::Protected { requirement, .. })) => {
            format!(", scope=\"{}\"", requirement.attribute())
        }
        _ => String::new(),
    }
}

/// Long enough to spare a server that is coming back, short enough for a caller to wait.
const RETRY_AFTER_SECONDS: u32 = 2;
