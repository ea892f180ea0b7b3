//! The authorization server, and the callouts that it has not answered yet.

use std::time::Duration;

use scopegate::{CalloutResponse, UnixTime};
use scopegate_fake_proxy::{Callout, NO_ANSWER, bytes, status};
use scopegate_fuzz::model::{Failure, Verdict};

use crate::TOKENS;

/// The authorization server, as it is now.
#[derive(Debug)]
pub(crate) struct Server {
    tokens: [Verdict; TOKENS],
    /// In which way it fails; 0: it does not.
    pub(crate) mood: u8,
}

/// A callout that was sent and has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) token: u8,
    /// How the server fails, and what it says of the token, since the callout was sent.
    mood: u8,
    pub(crate) verdict: Verdict,
    /// In which operation it was sent.
    pub(crate) asked: usize,
    pub(crate) asked_at: UnixTime,
    /// When Envoy ends it, by a clock that is never set back.
    pub(crate) over_at: Duration,
    /// How many epochs its worker had entered then.
    pub(crate) epochs: usize,
    /// Whether the clock was set back since.
    pub(crate) is_out_of_time: bool,
    /// Whether it is uncertain when its worker has entered the current epoch.
    pub(crate) is_uncertain: bool,
    /// Whether it renews an entry; `None` if that cannot be seen from outside.
    pub(crate) renews: Option<bool>,
    /// Until when its worker holds a lease, if it has taken one.
    pub(crate) leased_until: Duration,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self { tokens: [Verdict::Inactive; TOKENS], mood: 0 }
    }

    pub(crate) fn activate(&mut self, token: u8, view: bool, ends_in: usize, now: UnixTime) {
        let second = Duration::from_secs(1);
        let expires_at = match ends_in {
            0 => None,
            1 => Some(now.saturating_sub(second)),
            place => Some(now.saturating_add(second * ENDS[place - 2])),
        };
        let expires_at = expires_at.map(|expires_at| UnixTime::from_secs(expires_at.as_secs()));
        self.tokens[usize::from(token)] = Verdict::Active { view, expires_at };
    }

    pub(crate) fn revoke(&mut self, token: u8) {
        self.tokens[usize::from(token)] = Verdict::Inactive;
    }

    /// Whether callouts can be sent to it.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.mood == 1
    }

    /// It takes a callout, and makes up its mind.
    pub(crate) fn take(&self, callout: &Callout, asked: usize, clock: Duration, epochs: usize) -> Sent {
        let field = callout.body.split('&').find_map(|pair| pair.strip_prefix("token=token-"));
        let token = field.and_then(|name| name.as_bytes().first()).expect("a token") - b'a';
        let verdict = match self.mood {
            0 => self.tokens[usize::from(token)],
            mood => Verdict::Error { is_outage: mood <= 4 },
        };
        assert!(callout.timeout <= Duration::from_secs(1) && !callout.timeout.is_zero());
        Sent {
            token,
            mood: self.mood,
            verdict,
            asked,
            asked_at: callout.sent_at,
            over_at: clock.saturating_add(callout.timeout),
            epochs,
            is_out_of_time: false,
            is_uncertain: false,
            renews: None,
            leased_until: Duration::ZERO,
        }
    }
}

impl Sent {
    /// Whether the server answers at all, whatever it says.
    pub(crate) fn is_answered(&self) -> bool {
        !matches!(self.mood, 2 | 4)
    }

    /// Why a request that waits for it is refused, if it brings no state.
    pub(crate) fn failure(&self) -> Failure {
        if self.mood == 2 { Failure::NoAnswer } else { Failure::BadAnswer }
    }

    /// It ends without a response.
    pub(crate) fn lose(&mut self) {
        (self.mood, self.verdict) = (2, Verdict::Error { is_outage: true });
    }

    pub(crate) fn response(&self) -> Option<CalloutResponse> {
        match (self.mood, self.verdict) {
            (0, Verdict::Active { view, expires_at }) => {
                let scope = if view { "view" } else { "other" };
                let end = expires_at.map(|expires_at| format!(r#","exp":{}"#, expires_at.as_secs()));
                bytes(format!(r#"{{"active":true,"scope":"{scope}"{}}}"#, end.unwrap_or_default()).as_bytes())
            }
            (0, _) => bytes(br#"{"active":false}"#),
            (3, _) => status(500),
            (4, _) => status(503),
            (5, _) => status(401),
            (6, _) => bytes(br#"{"active":true"#),
            (7, _) => bytes(br#"{"active":"true","scope":"view"}"#),
            (8, _) => bytes(br#"{"active":false,"active":true,"scope":"view"}"#),
            (9, _) => bytes(&vec![b' '; CalloutResponse::MAX_BODY_BYTES + 1]),
            _ => NO_ANSWER,
        }
    }
}

/// No name is in another.
pub(crate) fn name(token: u8) -> String {
    format!("token-{}", char::from(b'a' + token))
}

/// When tokens end, in seconds.
const ENDS: [u32; 4] = [1, 4, 9, 60];
