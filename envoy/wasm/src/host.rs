//! Calls to Envoy. The SDK panics on an unexpected status, and a panic ends the VM of the worker. This module therefore
//! makes only calls that cannot fail in that way, and uses only getters of bytes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac_sha256::Hash;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};
use scopegate::{CalloutRequest, CalloutResponse, HeaderEdit, Host, Reply, SignatureVerdict, UnixTime};

use crate::metrics::Metrics;

/// Envoy, as seen by a worker from within one context.
pub(crate) struct EnvoyHost<'a> {
    /// The context that is in effect.
    pub(crate) context: u32,
    pub(crate) mailbox: Option<u32>,
    pub(crate) metrics: &'a Metrics,
}

impl Host for EnvoyHost<'_> {
    fn now(&self) -> UnixTime {
        now()
    }

    fn shared_data(&self, key: &str) -> Option<Vec<u8>> {
        hostcalls::get_shared_data(key).ok().and_then(|(value, _)| value)
    }

    fn set_shared_data(&self, key: &str, value: &[u8]) {
        let _ = hostcalls::set_shared_data(key, Some(value), None);
    }

    fn update_shared_data(&self, key: &str, update: &mut dyn FnMut(Option<&[u8]>) -> Option<Vec<u8>>) -> bool {
        for _ in 0..UPDATE_ATTEMPTS {
            let Ok((found, version)) = hostcalls::get_shared_data(key) else {
                return false;
            };
            let Some(value) = update(found.as_deref()) else {
                return false;
            };
            if hostcalls::set_shared_data(key, Some(&value), version).is_ok() {
                return true;
            }
        }
        false
    }

    fn verify_signature(&self, arguments: &[u8]) -> SignatureVerdict {
        match hostcalls::call_foreign_function("verify_signature", Some(arguments)) {
            Ok(Some(result)) => SignatureVerdict::from_envoy(&result),
            Ok(None) | Err(_) => SignatureVerdict::Unsupported,
        }
    }

    /// Envoy delivers the response to the context that is in effect now. This must be the root context, which outlives
    /// every stream.
    fn send_callout(&mut self, request: &CalloutRequest<'_>) -> Option<u64> {
        let sent = hostcalls::dispatch_http_call(
            request.cluster,
            request.headers.iter().map(|(name, value)| (*name, value.as_ref())).collect(),
            Some(request.body.as_bytes()),
            Vec::new(),
            request.timeout,
        );
        sent.ok().map(u64::from)
    }

    fn record_callout_time(&mut self, time: Duration) {
        self.metrics.record_callout_time(time);
    }

    fn mailbox(&self) -> Option<u32> {
        self.mailbox
    }

    fn send_message(&self, to: u32, message: &[u8]) {
        enqueue(to, message);
    }

    fn request_id(&self, stream: u64) -> Option<String> {
        let id = self.in_stream(stream, || {
            hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, "x-request-id").ok().flatten()
        });
        id.flatten().and_then(|id| String::from_utf8(id).ok())
    }

    fn client_address(&self, stream: u64) -> Vec<u8> {
        self.in_stream(stream, || property(&["source", "address"])).flatten().unwrap_or_default()
    }
}

impl EnvoyHost<'_> {
    /// Calls `read` in the context of a stream; `None` if the stream has ended.
    fn in_stream<T>(&self, stream: u64, read: impl FnOnce() -> T) -> Option<T> {
        if stream == u64::from(self.context) {
            return Some(read());
        }
        let result = switch_to_stream(stream).then(read);
        switch_to(self.context);
        result
    }
}

/// Returns the time of Envoy's clock.
pub(crate) fn now() -> UnixTime {
    let now = hostcalls::get_current_time().unwrap_or(UNIX_EPOCH);
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Records in shared data that this plugin has accepted a configuration.
pub(crate) fn mark_configured() {
    let _ = hostcalls::set_shared_data(&configured_key(), Some(b"1"), None);
}

/// Returns whether `on_configure` must accept a refused configuration, and respond to every request with status 503.
/// That is so if this plugin has no earlier configuration that Envoy could keep, because Envoy does not start without
/// one. A document that was accepted in this way is accepted again in every worker and by every plugin of this VM id,
/// as long as shared data exist.
pub(crate) fn must_accept_refused(document: &[u8]) -> bool {
    let digest: String = Hash::hash(document).iter().map(|byte| format!("{byte:02x}")).collect();
    let key = format!("scopegate.refused.{digest}");
    if has_shared_data(&key) {
        return true;
    }
    if has_shared_data(&configured_key()) {
        return false;
    }
    hostcalls::set_shared_data(&key, Some(b"1"), None).is_ok()
}

fn has_shared_data(key: &str) -> bool {
    hostcalls::get_shared_data(key).is_ok_and(|(value, _)| value.is_some())
}

/// Returns the key in shared data for the name of this plugin, which the operator sets.
fn configured_key() -> String {
    let name = property(&["plugin_name"]).unwrap_or_default();
    format!("scopegate.configured.{}", String::from_utf8_lossy(&name))
}

fn property(path: &[&str]) -> Option<Vec<u8>> {
    hostcalls::get_property(path.to_vec()).ok().flatten()
}

/// Returns all request headers in one call, in the encoding that [`scopegate_abi::header_pairs`] parses. A getter by
/// name returns only the first value, and would hide a second Authorization header.
pub(crate) fn request_headers() -> Option<Vec<u8>> {
    scopegate_abi::header_map(MapType::HttpRequestHeaders as u32)
}

/// Returns all request trailers, in the same encoding.
pub(crate) fn request_trailers() -> Option<Vec<u8>> {
    scopegate_abi::header_map(MapType::HttpRequestTrailers as u32)
}

/// Edits the headers of the request.
pub(crate) fn edit_request_headers(edits: &[HeaderEdit<'_>]) {
    edit(MapType::HttpRequestHeaders, edits);
}

/// Edits the trailers of the request.
pub(crate) fn edit_request_trailers(edits: &[HeaderEdit<'_>]) {
    edit(MapType::HttpRequestTrailers, edits);
}

fn edit(map: MapType, edits: &[HeaderEdit<'_>]) {
    for edit in edits {
        let _ = match edit {
            HeaderEdit::Remove(name) => hostcalls::remove_map_value(map, name),
            HeaderEdit::Set(name, value) => hostcalls::set_map_value_bytes(map, name, Some(value)),
        };
    }
}

pub(crate) fn set_request_header(name: &str, value: &str) {
    let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value.as_bytes()));
}

/// Sets filter state for access logs and later filters. Envoy adds the prefix `wasm.` to the name.
pub(crate) fn set_filter_state(name: &str, value: &str) {
    let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
}

/// Returns random bytes; `None` if the host has none.
pub(crate) fn seed() -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).ok().map(|()| seed)
}

pub(crate) fn route_name() -> Option<Vec<u8>> {
    property(&["xds", "route_name"])
}

/// Makes a context the effective one; `false` if it no longer exists.
pub(crate) fn switch_to(context: u32) -> bool {
    hostcalls::set_effective_context(context).is_ok()
}

/// Makes the context of a stream the effective one; `false` if it no longer exists.
pub(crate) fn switch_to_stream(stream: u64) -> bool {
    u32::try_from(stream).is_ok_and(switch_to)
}

/// Resumes the request of the effective context.
pub(crate) fn resume() {
    let _ = hostcalls::resume_http_request();
}

/// Sends a response to the request of the effective context.
pub(crate) fn respond(reply: &Reply) {
    let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let _ = hostcalls::send_http_response(u32::from(reply.status), headers, Some(reply.body.as_bytes()));
}

/// Refuses the request of the effective context with status 503, if no worker can decide about it.
pub(crate) fn refuse() {
    let _ = hostcalls::send_http_response(503, vec![("retry-after", "2")], None);
}

/// Returns the callout response that Envoy is delivering; `None` if there is none. It is readable only while the
/// context that owns the callout is in effect.
pub(crate) fn callout_response(num_headers: usize, body_size: usize) -> Option<CalloutResponse> {
    if num_headers == 0 {
        return None;
    }
    let headers = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).unwrap_or_default();
    let body = match body_size {
        0 => Vec::new(),
        size => {
            let wanted = size.min(CalloutResponse::MAX_BODY_BYTES.saturating_add(1));
            hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, wanted).ok().flatten().unwrap_or_default()
        }
    };
    let first = |name: &str| headers.iter().find(|(held, _)| held == name).map(|(_, value)| value);
    Some(CalloutResponse {
        status: first(":status").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok()).unwrap_or(0),
        content_type: first("content-type").cloned(),
        body,
    })
}

/// Registers a queue that wakes a root context. The random name makes it unique.
pub(crate) fn register_queue() -> Option<u32> {
    let name: String = seed()?.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    hostcalls::register_shared_queue(&format!("scopegate.queue.{name}")).ok()
}

/// Adds a message to a queue. Envoy calls the root context of the queue as soon as its worker is idle.
pub(crate) fn enqueue(queue: u32, message: &[u8]) {
    let _ = hostcalls::enqueue_shared_queue(queue, Some(message));
}

/// Returns and removes the next message of a queue.
pub(crate) fn dequeue(queue: u32) -> Option<Vec<u8>> {
    hostcalls::dequeue_shared_queue(queue).ok().flatten()
}

/// The maximum number of attempts to update a key. Conflicts between workers are rare, so this many in a row mean that
/// another module overwrites the key.
const UPDATE_ATTEMPTS: u32 = 16;
