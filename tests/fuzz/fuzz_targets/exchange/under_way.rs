//! A callout, and what the server answers.

use scopegate::{Attempt, Call, CalloutError, CalloutKey, CalloutResult, MAX_RESPONSE_BYTES, UnixTime};
use scopegate_fuzz::model::{Answer, Verdict};

/// A callout, and the requests that wait for it.
pub(crate) struct UnderWay {
    pub(crate) flight: CalloutKey,
    pub(crate) attempt: Attempt,
    pub(crate) token: u8,
    pub(crate) waiting: Vec<Waiting>,
    /// The call of the last one to leave, or of a renewal.
    pub(crate) orphan: Option<Call>,
    pub(crate) renews: bool,
    pub(crate) asked_at: UnixTime,
    /// In which operation.
    pub(crate) asked: usize,
    /// How many epochs its worker had entered then.
    pub(crate) epochs: usize,
    /// Whether the clock has stepped back since.
    pub(crate) is_out_of_time: bool,
    pub(crate) mood: u8,
    /// What the server said when it was asked.
    pub(crate) verdict: Verdict,
}

pub(crate) struct Waiting {
    pub(crate) call: Call,
    pub(crate) wants_view: bool,
}

impl UnderWay {
    /// What the server answers.
    pub(crate) fn body(&self) -> Vec<u8> {
        match (self.mood, self.verdict) {
            (0, Verdict::Active { view, expires_at }) => {
                let scope = if view { "view" } else { "other" };
                let end = expires_at.map(|expires_at| format!(r#","exp":{}"#, expires_at.as_secs()));
                format!(r#"{{"active":true,"scope":"{scope}"{}}}"#, end.unwrap_or_default()).into_bytes()
            }
            (0, _) => br#"{"active":false}"#.to_vec(),
            (6, _) => br#"{"active":true"#.to_vec(),
            (7, _) => br#"{"active":"true","scope":"view"}"#.to_vec(),
            (8, _) => br#"{"active":false,"active":true,"scope":"view"}"#.to_vec(),
            (9, _) => vec![b' '; MAX_RESPONSE_BYTES + 1],
            _ => Vec::new(),
        }
    }

    pub(crate) fn answer<'a>(&self, body: &'a [u8]) -> CalloutResult<'a> {
        let status = match self.mood {
            1 => return CalloutResult::NotSent(CalloutError::NotSent),
            2 => return CalloutResult::NoAnswer,
            3 => 500,
            4 => 503,
            5 => 401,
            _ => 200,
        };
        CalloutResult::Response { status, content_type: None, body }
    }

    pub(crate) fn as_heard(&self, now: UnixTime) -> Answer {
        let Self { token, verdict, asked, asked_at, is_out_of_time, .. } = *self;
        Answer { token, verdict, asked, asked_at, heard_at: now, is_out_of_time, settled: None }
    }
}
