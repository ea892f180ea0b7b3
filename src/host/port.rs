//! What the core needs of the proxy that it runs in.

use std::time::Duration;

use super::callout::CalloutRequest;
use crate::base::UnixTime;

/// The proxy, as one worker thread of it sees it.
///
/// Shared data are values that all workers of a proxy can read and write by their keys. Nothing that a client or a
/// server sends becomes a key, so an implementation may keep every key for ever.
pub trait Host {
    /// The clock of the proxy.
    fn now(&self) -> UnixTime;

    /// A value in shared data; `None` if the key was never written.
    fn shared_data(&self, key: &str) -> Option<Vec<u8>>;

    /// Writes a value into shared data, whatever was there.
    fn set_shared_data(&self, key: &str, value: &[u8]);

    /// Replaces a value in shared data by what `update` makes of it, as one atomic step; `update` returns `None` to
    /// leave it as it is. Returns whether a value was written: an implementation may give up after some attempts, and may
    /// call `update` once for each.
    fn update_shared_data(&self, key: &str, update: &mut dyn FnMut(Option<&[u8]>) -> Option<Vec<u8>>) -> bool;

    /// Verifies a signature, much faster than the core could. `arguments` is a serialized `VerifySignatureArguments`
    /// of Envoy's foreign function `verify_signature`.
    fn verify_signature(&self, arguments: &[u8]) -> SignatureVerdict;

    /// Sends an HTTP request; [`Worker::on_callout_response`](crate::Worker::on_callout_response) takes the response.
    /// `None` if the host could not send it, for example because the cluster does not exist.
    fn send_callout(&mut self, request: &CalloutRequest<'_>) -> Option<CalloutId>;

    /// How long a callout took, for a histogram.
    fn record_callout_time(&mut self, time: Duration);

    /// Where other workers can send messages to this one; `None` if they cannot.
    fn mailbox(&self) -> Option<MailboxId>;

    /// Sends a message to a worker; [`Worker::on_message`](crate::Worker::on_message) takes it there. It may be lost.
    fn send_message(&self, to: MailboxId, message: &[u8]);

    /// The id of a request (`x-request-id`); `None` if it has none.
    fn request_id(&self, stream: StreamId) -> Option<String>;

    /// The address of the client of a request, as the proxy is configured to trust it; empty if it is unknown.
    fn client_address(&self, stream: StreamId) -> Vec<u8>;
}

/// The host's verdict on a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// It is valid.
    Valid,
    /// It is not valid.
    Invalid,
    /// The host cannot verify such a signature.
    Unsupported,
}

/// The host's name for a request.
pub(crate) type StreamId = u64;

/// The host's name for a callout that was sent.
pub(crate) type CalloutId = u64;

/// The host's name for the mailbox of a worker.
pub(crate) type MailboxId = u32;
