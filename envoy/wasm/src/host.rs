//! Calls to Envoy. The SDK panics on a status that it does not expect, and a panic ends the worker's VM; so everything
//! here asks only what Envoy can answer, and uses only getters of bytes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac_sha256::Hash;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};
use scopegate::{CalloutRequest, CalloutResponse, HeaderEdit, Host, Reply, SignatureVerdict, UnixTime};

use crate::metrics::Metrics;

/// Envoy, as a worker sees it from within one context.
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

    /// Envoy hands the response to the context that is called now, so this must be the root context, which outlives every
    /// stream.
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
    /// Asks Envoy about a stream; `None` if it is gone.
    fn in_stream<T>(&self, stream: u64, ask: impl FnOnce() -> T) -> Option<T> {
        if stream == u64::from(self.context) {
            return Some(ask());
        }
        let answer = switch_to_stream(stream).then(ask);
        switch_to(self.context);
        answer
    }
}

/// The clock of Envoy.
pub(crate) fn now() -> UnixTime {
    let now = hostcalls::get_current_time().unwrap_or(UNIX_EPOCH);
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Records in shared data that this plugin has had a configuration that it accepted.
pub(crate) fn mark_configured() {
    let _ = hostcalls::set_shared_data(&configured_key(), Some(b"1"), None);
}

/// Whether a configuration that was refused is taken nevertheless, to answer 503 to every request: if this plugin has
/// none that it could keep, because Envoy could not start without one. A document that was taken so is taken so again, in
/// every worker and whichever plugin of this VM id brings it, for as long as shared data last.
pub(crate) fn is_served_as_refused(document: &[u8]) -> bool {
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

/// One key for each plugin name that the operator gives.
fn configured_key() -> String {
    let name = property(&["plugin_name"]).unwrap_or_default();
    format!("scopegate.configured.{}", String::from_utf8_lossy(&name))
}

fn property(path: &[&str]) -> Option<Vec<u8>> {
    hostcalls::get_property(path.to_vec()).ok().flatten()
}

/// Every request header, in one call: a getter by name returns the first value only, and would hide a second
/// Authorization header. In the encoding that [`scopegate_abi::header_pairs`] reads.
pub(crate) fn request_headers() -> Option<Vec<u8>> {
    scopegate_abi::header_map(MapType::HttpRequestHeaders as u32)
}

/// Every request trailer, in the same encoding.
pub(crate) fn request_trailers() -> Option<Vec<u8>> {
    scopegate_abi::header_map(MapType::HttpRequestTrailers as u32)
}

/// Changes the headers of the request.
pub(crate) fn edit_request_headers(edits: &[HeaderEdit<'_>]) {
    edit(MapType::HttpRequestHeaders, edits);
}

/// Changes its trailers.
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

/// Sets filter state for access logs and later filters; Envoy puts `wasm.` before the name.
pub(crate) fn set_filter_state(name: &str, value: &str) {
    let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
}

/// Random bytes; `None` if the host has none.
pub(crate) fn seed() -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).ok().map(|()| seed)
}

pub(crate) fn route_name() -> Option<Vec<u8>> {
    property(&["xds", "route_name"])
}

/// Puts a context into effect; `false` if it is gone.
pub(crate) fn switch_to(context: u32) -> bool {
    hostcalls::set_effective_context(context).is_ok()
}

/// Puts the context of a stream into effect; `false` if it is gone.
pub(crate) fn switch_to_stream(stream: u64) -> bool {
    u32::try_from(stream).is_ok_and(switch_to)
}

/// Lets the request of the context in effect go on.
pub(crate) fn resume() {
    let _ = hostcalls::resume_http_request();
}

/// Answers the request of the context in effect.
pub(crate) fn respond(reply: &Reply) {
    let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let _ = hostcalls::send_http_response(u32::from(reply.status), headers, Some(reply.body.as_bytes()));
}

/// Refuses the request of the context in effect, when no worker can.
pub(crate) fn refuse() {
    let _ = hostcalls::send_http_response(503, vec![("retry-after", "2")], None);
}

/// Reads the response that is being delivered; `None` if there is none. It is readable only while the context that owns
/// the callout is in effect.
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

/// A queue of its own for a root context, by which it is woken.
pub(crate) fn register_queue() -> Option<u32> {
    let name: String = seed()?.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    hostcalls::register_shared_queue(&format!("scopegate.queue.{name}")).ok()
}

/// Puts a message into a queue; Envoy calls its root context as soon as its worker is free.
pub(crate) fn enqueue(queue: u32, message: &[u8]) {
    let _ = hostcalls::enqueue_shared_queue(queue, Some(message));
}

/// The next message of a queue.
pub(crate) fn dequeue(queue: u32) -> Option<Vec<u8>> {
    hostcalls::dequeue_shared_queue(queue).ok().flatten()
}

/// Workers write a key at the same moment only by chance; so many times in a row only by force.
const UPDATE_ATTEMPTS: u32 = 16;
