//! Calls to the host. The SDK panics on a status it does not expect, and a panic takes the worker's VM down;
//! so everything here asks only what the host can answer, and only getters of bytes are used.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac_sha256::Hash;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType, Status};
use scopegate::{
    BucketUpdate, CalloutRequest, CalloutResult, Claim, Edit, HostVerdict, Lease, MAX_RESPONSE_BYTES, Publish, UnixTime,
};

/// The proxy's clock.
pub(crate) fn now() -> UnixTime {
    let now = hostcalls::get_current_time().unwrap_or(UNIX_EPOCH);
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Notes in shared data that this plugin has had a configuration that it accepted.
pub(crate) fn mark_configured() {
    let _ = hostcalls::set_shared_data(&configured_key(), Some(b"1"), None);
}

/// Whether a configuration that was refused is taken nevertheless, to answer 503 to everything: if this plugin
/// has none that it could keep, since Envoy could not start without one. A document that was taken so is taken
/// so again, in every worker and whichever plugin of this VM id brings it, for as long as shared data lasts.
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
    let name = hostcalls::get_property(vec!["plugin_name"]).ok().flatten().unwrap_or_default();
    format!("scopegate.configured.{}", String::from_utf8_lossy(&name))
}

/// Every request header, in one call: a getter by name shows the first value only, and a second
/// Authorization header would stay unseen. They are in the encoding that [`scopegate::header_pairs`] reads.
pub(crate) fn request_headers() -> Option<Vec<u8>> {
    scopegate_abi::header_map(MapType::HttpRequestHeaders as u32)
}

/// Every request trailer, likewise.
pub(crate) fn request_trailers() -> Option<Vec<u8>> {
    scopegate_abi::header_map(MapType::HttpRequestTrailers as u32)
}

/// Changes the headers of the request.
pub(crate) fn edit_request_headers(edits: &[Edit<'_>]) {
    edit(MapType::HttpRequestHeaders, edits);
}

/// Changes its trailers.
pub(crate) fn edit_request_trailers(edits: &[Edit<'_>]) {
    edit(MapType::HttpRequestTrailers, edits);
}

fn edit(map: MapType, edits: &[Edit<'_>]) {
    for edit in edits {
        let _ = match edit {
            Edit::Remove(name) => hostcalls::remove_map_value(map, name),
            Edit::Set(name, value) => hostcalls::set_map_value_bytes(map, name, Some(value)),
        };
    }
}

/// Leaves something for access logs and later filters, who find it as filter state under `wasm.` and this name.
pub(crate) fn set_filter_state(name: &str, value: &str) {
    let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
}

/// Random bytes; `None` if the host has none.
pub(crate) fn seed() -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).ok().map(|()| seed)
}

pub(crate) fn route_name() -> Option<Vec<u8>> {
    hostcalls::get_property(vec!["xds", "route_name"]).ok().flatten()
}

/// Where the request comes from, as Envoy is configured to believe it; empty if it does not say.
pub(crate) fn client_address() -> Vec<u8> {
    hostcalls::get_property(vec!["source", "address"]).ok().flatten().unwrap_or_default()
}

pub(crate) fn set_request_header(name: &str, value: &str) {
    let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value.as_bytes()));
}

/// Has the host verify a signature, much faster than it could be done here.
pub(crate) fn verify_signature(arguments: &[u8]) -> HostVerdict {
    match hostcalls::call_foreign_function("verify_signature", Some(arguments)) {
        Ok(Some(result)) => HostVerdict::from_host(&result),
        Ok(None) | Err(_) => HostVerdict::Unable,
    }
}

/// Puts something into shared data for the other workers. If another worker is quicker, its value is as good.
pub(crate) fn publish(publish: &Publish) {
    let _ = hostcalls::set_shared_data(&publish.key, Some(&publish.value), None);
}

/// Whether this worker is the one to do something about `key` in the next `period`; of several only one is.
pub(crate) fn claims_lease(key: &str, period: Duration) -> bool {
    change(&format!("{key}.lease"), |held| {
        let (until, now) = (number(held), now());
        let mine = now.saturating_add(period).as_millis();
        (until <= now.as_millis() || until > mine).then(|| mine.to_le_bytes().to_vec())
    })
}

/// A bucket of the cache, or whatever else is in shared data.
pub(crate) fn shared_data(key: &str) -> Option<Vec<u8>> {
    hostcalls::get_shared_data(key).ok().and_then(|(bucket, _)| bucket)
}

/// Puts an entry into its bucket and returns how many fresh ones had to make room; `None` if other workers
/// kept writing the same bucket. Then it is not kept, which costs one callout and nothing else.
pub(crate) fn insert(insert: &BucketUpdate) -> Option<u32> {
    let mut evicted = 0;
    if insert.is_removal() && !insert.changes(shared_data(insert.key()).as_deref()) {
        return Some(evicted);
    }
    let is_written = change(insert.key(), |bucket| {
        let applied = insert.apply(bucket);
        evicted = applied.evicted;
        Some(applied.bucket)
    });
    if !is_written && insert.is_removal() {
        // What others have in the bucket can be learned again; what is to go must go.
        let _ = hostcalls::set_shared_data(insert.key(), Some(b""), None);
    }
    is_written.then_some(evicted)
}

/// How many epochs of the cache have begun.
pub(crate) fn epoch() -> u64 {
    number(shared_data(EPOCH).as_deref())
}

/// Begins another one.
pub(crate) fn begin_epoch() {
    change(EPOCH, |epoch| Some(number(epoch).wrapping_add(1).to_le_bytes().to_vec()));
}

/// Sends a callout. The root context must be the one that was called: it owns the callout then, and is handed the
/// answer.
pub(crate) fn dispatch(request: &CalloutRequest<'_>) -> Result<u32, Status> {
    hostcalls::dispatch_http_call(
        request.cluster,
        request.headers.iter().map(|(name, value)| (*name, value.as_ref())).collect(),
        Some(request.body.as_bytes()),
        Vec::new(),
        request.timeout,
    )
}

/// Makes a context the one that calls are about; `false` if it is gone.
pub(crate) fn switch_to(context: u32) -> bool {
    hostcalls::set_effective_context(context).is_ok()
}

/// Lets the request of the context in effect go on.
pub(crate) fn let_pass() {
    let _ = hostcalls::resume_http_request();
}

/// The response to a callout, as far as anyone wants to know it.
pub(crate) struct CalloutResponse {
    pub(crate) status: u16,
    pub(crate) content_type: Option<Vec<u8>>,
    pub(crate) body: Vec<u8>,
}

impl CalloutResponse {
    /// The response as the core takes it.
    pub(crate) fn answer(response: Option<&Self>) -> CalloutResult<'_> {
        match response {
            None => CalloutResult::NoAnswer,
            Some(response) => CalloutResult::Response {
                status: response.status,
                content_type: response.content_type.as_deref(),
                body: &response.body,
            },
        }
    }
}

/// Reads the response that is being delivered; `None` if there is none.
///
/// It is readable only while the context that owns the callout is in effect.
pub(crate) fn callout_response(num_headers: usize, body_size: usize) -> Option<CalloutResponse> {
    if num_headers == 0 {
        return None;
    }
    let headers = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).unwrap_or_default();
    let body = match body_size {
        0 => Vec::new(),
        size => {
            let wanted = size.min(MAX_RESPONSE_BYTES.saturating_add(1));
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

/// A queue of its own for one root context, by which it is woken.
pub(crate) fn own_queue(name: &str) -> Option<u32> {
    hostcalls::register_shared_queue(&format!("scopegate.queue.{name}")).ok()
}

/// Puts a message into a queue; its root context is called as soon as its worker is free.
pub(crate) fn send_message(queue: u32, message: &[u8]) {
    let _ = hostcalls::enqueue_shared_queue(queue, Some(message));
}

/// The next message of a queue.
pub(crate) fn next_message(queue: u32) -> Option<Vec<u8>> {
    hostcalls::dequeue_shared_queue(queue).ok().flatten()
}

/// Makes the keys of all leases, unless they are there: a key that is not cannot be written by one worker only.
/// The main thread is configured before any worker runs, so nobody can be in the middle of it.
pub(crate) fn prepare_leases() {
    if has_shared_data(LEASES_ARE_READY) {
        return;
    }
    for key in Lease::keys() {
        let _ = hostcalls::set_shared_data(&key, Some(b""), None);
    }
    let _ = hostcalls::set_shared_data(LEASES_ARE_READY, Some(b"1"), None);
}

/// Whether this worker may ask, or has to wait.
pub(crate) fn claim_lease(lease: Lease, queue: u32) -> Claim {
    let mut claim = Claim::Free;
    let written = change(&lease.key(), |found| {
        claim = lease.claim(found, queue, now());
        match &claim {
            Claim::Mine(value) | Claim::Elsewhere(value, _) => Some(value.clone()),
            Claim::Free => None,
        }
    });
    if written { claim } else { Claim::Free }
}

/// How long a lease is held, if it is.
pub(crate) fn lease_held_until(lease: Lease) -> Option<UnixTime> {
    let found = shared_data(&lease.key());
    lease.held_until(found.as_deref(), now())
}

/// Keeps a lease for some more time.
pub(crate) fn renew_lease(lease: Lease) {
    change(&lease.key(), |found| lease.renew(found, now()));
}

/// Gives a lease back, and wakes the workers that wait for it.
pub(crate) fn release_lease(lease: Lease, answered: bool) {
    let mut queues = Vec::new();
    let released = change(&lease.key(), |found| {
        let (woken, left) = lease.release(found, now())?;
        queues = woken;
        Some(left)
    });
    if released {
        queues.iter().for_each(|queue| send_message(*queue, &lease.message(answered)));
    }
}

/// A number in shared data; 0 if there is none.
fn number(value: Option<&[u8]>) -> u64 {
    value.and_then(|value| Some(u64::from_le_bytes(*value.first_chunk()?))).unwrap_or_default()
}

/// Writes what `change` makes of a value, if nobody else has written it meanwhile; tries a few times.
///
/// A time to compare with one in the value is to be read by `change`: one that was read earlier may lie before what
/// another worker has just written, which then looks as if the clock had stepped back.
fn change(key: &str, mut change: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>) -> bool {
    for _ in 0..CHANGE_ATTEMPTS {
        let Ok((found, version)) = hostcalls::get_shared_data(key) else {
            return false;
        };
        let Some(value) = change(found.as_deref()) else {
            return false;
        };
        if hostcalls::set_shared_data(key, Some(&value), version).is_ok() {
            return true;
        }
    }
    false
}

/// The number of the cache's epoch.
const EPOCH: &str = "scopegate.epoch";

/// Says that the keys of leases have been made.
const LEASES_ARE_READY: &str = "scopegate.leases";

/// Workers write a key at the same moment only by chance; so many times in a row only by force.
const CHANGE_ATTEMPTS: u32 = 16;
