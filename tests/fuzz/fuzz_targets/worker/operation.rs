//! The operations of a run, and how they are read.

use std::time::Duration;

use crate::{TOKENS, WORKERS};

/// Something that happens.
#[derive(Debug)]
pub(crate) enum Operation {
    Request {
        worker: usize,
        token: u8,
        wants_view: bool,
    },
    /// The response to a callout arrives. `probe`: whether this worker (1), and another one too (2), must know it then.
    Respond {
        worker: usize,
        callout: usize,
        probe: usize,
    },
    /// The response to a callout arrives, and a client leaves before its request is answered.
    RespondAndLeave {
        worker: usize,
        callout: usize,
        request: usize,
    },
    /// Envoy ends the callouts whose time is over.
    TimeOut {
        worker: usize,
    },
    /// A worker takes the next message of another worker.
    Deliver {
        worker: usize,
    },
    /// The messages for a worker are lost.
    LoseMail {
        worker: usize,
    },
    /// A client leaves.
    Leave {
        worker: usize,
        request: usize,
    },
    Tick {
        worker: usize,
    },
    /// The clock goes on.
    Forward(Duration),
    /// The clock is set back.
    Back(Duration),
    /// A token becomes active. `ends_in`: a place in `ENDS`, or without an end, or with one in the past.
    Activate {
        token: u8,
        view: bool,
        ends_in: usize,
    },
    Revoke {
        token: u8,
    },
    /// The server fails in some way, or does not.
    Mood(u8),
    /// A value in shared data becomes something else.
    Corrupt {
        bucket: usize,
        kind: usize,
        garbage: Vec<u8>,
    },
    /// A worker is gone, and another one is in its place.
    Replace {
        worker: usize,
    },
    /// Something that is none of these workers begins an epoch.
    BeginEpoch,
    /// Before one of the next updates of shared data another operation happens.
    Interpose {
        skip: usize,
        operation: Box<Operation>,
    },
}

impl Operation {
    /// Reads the operation of a letter; `None` if it has none.
    pub(crate) fn read(letter: u8, bytes: &mut impl Iterator<Item = u8>) -> Option<Self> {
        let mut argument = |below: usize| match bytes.next() {
            Some(byte @ (b'a'..=b'z')) => usize::from(byte - b'a') % below,
            byte => usize::from(byte.unwrap_or_default().wrapping_sub(b'0')) % below,
        };
        Some(match letter {
            b'q' => {
                let (worker, token) = (argument(WORKERS), token(argument(TOKENS)));
                Self::Request { worker, token, wants_view: argument(2) == 1 }
            }
            b'd' => Self::Respond { worker: argument(WORKERS), callout: argument(8), probe: argument(3) },
            b'h' => Self::RespondAndLeave { worker: argument(WORKERS), callout: argument(8), request: argument(8) },
            b'o' => Self::TimeOut { worker: argument(WORKERS) },
            b'r' => Self::Deliver { worker: argument(WORKERS) },
            b'l' => Self::LoseMail { worker: argument(WORKERS) },
            b'x' => Self::Leave { worker: argument(WORKERS), request: argument(8) },
            b't' => Self::Tick { worker: argument(WORKERS) },
            b'+' => Self::Forward(Duration::from_millis(STEPS[argument(STEPS.len())])),
            b'-' => Self::Back(Duration::from_millis(STEPS[argument(STEPS.len())])),
            b'a' => {
                let (token, view) = (token(argument(TOKENS)), argument(2) == 1);
                Self::Activate { token, view, ends_in: argument(6) }
            }
            b'v' => Self::Revoke { token: token(argument(TOKENS)) },
            b'm' => Self::Mood(u8::try_from(argument(10)).unwrap_or_default()),
            b'c' => {
                let (bucket, kind, length) = (argument(32), argument(6), argument(32));
                let garbage = (0..length).map(|_| u8::try_from(argument(256)).unwrap_or_default()).collect();
                Self::Corrupt { bucket, kind, garbage }
            }
            b'n' => Self::Replace { worker: argument(WORKERS) },
            b'e' => Self::BeginEpoch,
            b'i' => {
                let (skip, letter) = (argument(4), bytes.next()?);
                // The clock and the proxy itself stay as they are in the middle of an operation.
                let letter = Some(letter).filter(|letter| b"qdorlxtavi".contains(letter))?;
                Self::Interpose { skip, operation: Box::new(Self::read(letter, bytes)?) }
            }
            _ => return None,
        })
    }
}

fn token(index: usize) -> u8 {
    u8::try_from(index).unwrap_or_default()
}

/// Steps of the clock, in milliseconds.
const STEPS: [u64; 10] = [0, 1, 50, 250, 1_000, 2_000, 4_000, 8_000, 9_999, 3_600_000];
