//! What a host can be asked to do. The core returns effects; it never performs them.

use super::call::Call;
use super::token_check::Lookup;
use super::verification::Verification;
use crate::policy::Forward;
use crate::response::Reply;

/// What has to happen next for one request.
#[derive(Debug)]
pub enum Step {
    /// Let the request pass.
    Forward(Forward),
    /// Answer the caller; the request goes no further.
    Respond(Reply),
    /// Let the request pass, although this would be the answer: the configuration only reports.
    Report(Reply),
    /// Read shared data, then [`Lookup::resume`].
    Lookup(Lookup),
    /// Have the host verify a signature, if it can, then [`Verification::resume`].
    Verify(Box<Verification>),
    /// Send an HTTP request while this one waits, then [`Call::resume`].
    Call(Call),
}
