//! The fake host of one worker.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use scopegate::{CalloutRequest, Host, SignatureVerdict, UnixTime};

use crate::Proxy;

/// A callout that was sent and not answered.
#[derive(Clone, Debug)]
pub struct Callout {
    /// The id.
    pub id: u64,
    /// The cluster.
    pub cluster: String,
    /// Pseudo-headers and headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// The timeout.
    pub timeout: Duration,
    /// When it was sent.
    pub sent_at: UnixTime,
    /// The `Debug` output of the request.
    pub debug: String,
}

impl Callout {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// Returns the path.
    pub fn path(&self) -> &str {
        self.header(":path").expect("a path")
    }
}

/// The fake host of one worker.
pub struct FakeHost {
    pub(crate) proxy: Proxy,
    /// The mailbox for messages of other workers. Without one, the worker acquires no leases.
    pub mailbox: Option<u32>,
    /// The callouts that were sent and not answered, in order.
    pub callouts: Vec<Callout>,
    /// The number of callouts that were sent.
    pub sent: usize,
    /// Whether callouts cannot be sent.
    pub is_cut_off: bool,
    /// How many callouts could not be sent.
    pub unsent: usize,
    /// The verdict on every signature.
    pub verdict: SignatureVerdict,
    /// The content of every bucket of the cache, instead of the written one.
    pub every_bucket: Option<Vec<u8>>,
    /// The client addresses, by stream; the default is an empty address.
    pub clients: BTreeMap<u64, Vec<u8>>,
    /// The value of `x-request-id` in every request.
    pub request_id: Option<String>,
    /// The duration of each callout.
    pub times: Vec<Duration>,
    /// The keys in shared data that were read, in order; an update does not count.
    pub reads: RefCell<Vec<String>>,
    /// The keys in shared data that were written, in order.
    pub writes: RefCell<Vec<String>>,
}

impl FakeHost {
    /// Returns the proxy of this host.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    pub(crate) fn new(proxy: Proxy) -> Self {
        let mailbox = u32::try_from(proxy.next_id()).ok();
        let (callouts, times, reads, writes) = Default::default();
        Self {
            proxy,
            mailbox,
            callouts,
            sent: 0,
            is_cut_off: false,
            unsent: 0,
            verdict: SignatureVerdict::Unsupported,
            request_id: None,
            every_bucket: None,
            clients: BTreeMap::new(),
            times,
            reads,
            writes,
        }
    }

    fn read(&self, key: &str) -> Option<Vec<u8>> {
        let is_bucket = key.starts_with("scopegate.active.") || key.starts_with("scopegate.inactive.");
        match &self.every_bucket {
            Some(bucket) if is_bucket => Some(bucket.clone()),
            Some(_) | None => self.proxy.shared(key),
        }
    }
}

impl Host for FakeHost {
    fn now(&self) -> UnixTime {
        self.proxy.now()
    }

    fn shared_data(&self, key: &str) -> Option<Vec<u8>> {
        self.reads.borrow_mut().push(key.to_owned());
        self.read(key)
    }

    fn set_shared_data(&self, key: &str, value: &[u8]) {
        self.writes.borrow_mut().push(key.to_owned());
        self.proxy.set_shared(key, value);
    }

    fn update_shared_data(&self, key: &str, update: &mut dyn FnMut(Option<&[u8]>) -> Option<Vec<u8>>) -> bool {
        for _ in 0..16 {
            let found = self.read(key);
            let Some(value) = update(found.as_deref()) else { return false };
            let before_write = self.proxy.0.borrow_mut().before_write.take();
            if let Some(act) = before_write {
                act(&self.proxy);
            }
            if self.read(key) == found {
                self.set_shared_data(key, &value);
                return true;
            }
        }
        false
    }

    fn verify_signature(&self, _arguments: &[u8]) -> SignatureVerdict {
        self.verdict
    }

    fn send_callout(&mut self, request: &CalloutRequest<'_>) -> Option<u64> {
        if self.is_cut_off {
            self.unsent += 1;
            return None;
        }
        let id = self.proxy.next_id();
        self.sent += 1;
        self.callouts.push(Callout {
            id,
            cluster: request.cluster.to_owned(),
            headers: request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect(),
            body: request.body.clone(),
            timeout: request.timeout,
            sent_at: self.now(),
            debug: format!("{request:?}"),
        });
        Some(id)
    }

    fn record_callout_time(&mut self, time: Duration) {
        self.times.push(time);
    }

    fn mailbox(&self) -> Option<u32> {
        self.mailbox
    }

    fn send_message(&self, to: u32, message: &[u8]) {
        self.proxy.0.borrow_mut().mail.entry(to).or_default().push_back(message.to_vec());
    }

    fn request_id(&self, _stream: u64) -> Option<String> {
        self.request_id.clone()
    }

    fn client_address(&self, stream: u64) -> Vec<u8> {
        self.clients.get(&stream).cloned().unwrap_or_default()
    }
}
