//! The trait that a proxy implements for the core.

use std::time::Duration;

use super::callout::CalloutRequest;
use crate::base::UnixTime;

/// A proxy, as seen by one of its worker threads.
///
/// Shared data are key-value pairs that all workers of a proxy can read and write. Keys never contain data from a
/// client or server, so their number is bounded and an implementation may keep every key for ever.
pub trait Host {
    /// Returns the current time of the proxy's clock.
    fn now(&self) -> UnixTime;

    /// Reads a value from shared data; `None` if the key was never written.
    fn shared_data(&self, key: &str) -> Option<Vec<u8>>;

    /// Writes a value into shared data and overwrites the old value.
    fn set_shared_data(&self, key: &str, value: &[u8]);

    /// Updates a value in shared data atomically. `update` computes the new value from the current one; it returns
    /// `None` to leave the value unchanged. Returns whether a value was written. An implementation may retry on a
    /// conflict, and may give up after some attempts; it calls `update` once per attempt.
    #[expect(clippy::type_complexity, reason = "the signature of one closure")]
    fn update_shared_data(&self, key: &str, update: &mut dyn FnMut(Option<&[u8]>) -> Option<Vec<u8>>) -> bool;

    /// Verifies a signature. Native code is much faster than the core's own verification. `arguments` is a serialized
    /// `VerifySignatureArguments` message of Envoy's foreign function `verify_signature`.
    fn verify_signature(&self, arguments: &[u8]) -> SignatureVerdict;

    /// Sends an HTTP request. The host reports its end to
    /// [`Worker::on_callout_response`](crate::Worker::on_callout_response). Returns `None` if the request could not be
    /// sent, for example because the cluster does not exist.
    fn send_callout(&mut self, request: &CalloutRequest<'_>) -> Option<CalloutId>;

    /// Records the duration of a callout in a histogram.
    fn record_callout_time(&mut self, time: Duration);

    /// Returns the mailbox of this worker; `None` if other workers cannot send messages to it.
    fn mailbox(&self) -> Option<MailboxId>;

    /// Sends a message to another worker, which receives it through [`Worker::on_message`](crate::Worker::on_message).
    /// Messages may be lost.
    fn send_message(&self, to: MailboxId, message: &[u8]);

    /// Returns the id of a request (`x-request-id`); `None` if it has none.
    fn request_id(&self, stream: StreamId) -> Option<String>;

    /// Returns the client address of a request, as determined by the proxy's configuration of trusted hops; empty if it
    /// is unknown.
    fn client_address(&self, stream: StreamId) -> Vec<u8>;
}

/// The result of a signature verification by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// The signature is valid.
    Valid,
    /// The signature is invalid.
    Invalid,
    /// The host does not support the algorithm, or signature verification at all.
    Unsupported,
}

/// The host's id of a request.
pub(crate) type StreamId = u64;

/// The host's id of a callout.
pub(crate) type CalloutId = u64;

/// The host's id of a worker's mailbox.
pub(crate) type MailboxId = u32;
