//! Local replies: the responses to refused requests.

use std::sync::Arc;

use super::profile::{DemandedScope, ErrorProfile};
use crate::decision::Denial;

/// A complete response, and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// The reason. The response reveals only its class.
    pub denial: Denial,
    /// The name of the rule of the request, if any.
    pub rule: Option<Arc<str>>,
}

impl Reply {
    pub(crate) fn new(denial: Denial, rule: Option<&Arc<str>>, errors: &ErrorProfile, scope: &DemandedScope) -> Self {
        let rendered = errors.render(denial, scope);
        let mut headers =
            vec![("content-type", rendered.content_type.to_owned()), ("cache-control", "no-store".to_owned())];
        headers.extend(rendered.challenge.map(|challenge| ("www-authenticate", challenge)));
        headers.extend(rendered.retry.then(|| ("retry-after", RETRY_AFTER_SECONDS.to_string())));
        Self { status: rendered.status, headers, body: rendered.body, denial, rule: rule.map(Arc::clone) }
    }

    /// Returns the log message for a refused request.
    pub(crate) fn explain(&self) -> String {
        format!("rule `{}`: refused with {}: {}", self.rule_name(), self.status, self.denial.reason())
    }

    /// Returns the log message for a request that passes because the mode is `report_only`.
    pub(crate) fn explain_report(&self) -> String {
        let (rule, status, reason) = (self.rule_name(), self.status, self.denial.reason());
        format!("rule `{rule}`: passes, and would be refused with {status} if the mode were enforce: {reason}")
    }

    fn rule_name(&self) -> &str {
        self.rule.as_deref().unwrap_or("-")
    }
}

/// Long enough for a server to recover, short enough for a client to wait.
const RETRY_AFTER_SECONDS: u32 = 2;
