//! A load at a fixed rate, whether answers come or not: each request is due at its time and its latency counts from
//! then, so that a stall counts in every request it delays. Every response is checked.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use crate::mix::{Mix, Rates, Shot};
use crate::tally::{Counts, Tally};
use crate::truth::{Answer, Kind, Verdict, World};

/// A load that is under way, on a thread of its own.
pub(crate) struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// How many connections the load has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Connections {
    /// As many as it takes: after a stall there are more than before, and they stay.
    AsNeeded,
    /// So many from the start: what they cost does not grow.
    Fixed(usize),
}

impl Connections {
    fn at_the_start(self) -> usize {
        match self {
            Self::AsNeeded => 0,
            Self::Fixed(count) => count,
        }
    }

    fn most(self) -> usize {
        match self {
            Self::AsNeeded => MOST_CONNECTIONS,
            Self::Fixed(count) => count,
        }
    }
}

struct Shared {
    world: Arc<World>,
    address: SocketAddr,
    tally: Mutex<Arc<Tally>>,
    ends: AtomicBool,
}

impl Load {
    /// Sends every token that comes again and again once, then goes on at the rate.
    pub(crate) fn start(
        address: &str,
        world: &Arc<World>,
        mix: Mix,
        rates: Rates,
        connections: Connections,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            world: Arc::clone(world),
            address: address.parse()?,
            tally: Mutex::new(Arc::new(Tally::new("warm-up")?)),
            ends: AtomicBool::new(false),
        });
        let (for_thread, (sender, receiver)) = (Arc::clone(&shared), std::sync::mpsc::channel());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let permits = Semaphore::new(connections.most());
            let client = Client { shared: for_thread, idle: RefCell::default(), open: Cell::new(0), permits };
            LocalSet::new().block_on(&runtime, Rc::new(client).run(mix, rates, connections, sender))
        });
        receiver.recv().context("the load did not start")?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Begins a phase; the one before it is over, but for what is still under way.
    pub(crate) fn begin(&self, name: &str) -> Result<Arc<Tally>> {
        ensure!(self.thread.as_ref().is_some_and(|thread| !thread.is_finished()), "the load has broken down");
        let tally = Arc::new(Tally::new(name)?);
        let before = std::mem::replace(
            &mut *self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner),
            Arc::clone(&tally),
        );
        before.counts().end()?;
        Ok(tally)
    }

    /// Ends it, when everything that is under way has ended.
    pub(crate) fn end(mut self) -> Result<()> {
        // Requests without a response by now belong to the ended phase.
        self.begin("end")?;
        self.shared.ends.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("the load ends once")?;
        thread.join().map_err(|_| anyhow!("the load panicked"))?
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
    }
}

struct Client {
    shared: Arc<Shared>,
    idle: RefCell<VecDeque<Connection>>,
    /// Requests under way, and those that wait for a connection.
    open: Cell<usize>,
    permits: Semaphore,
}

impl Client {
    async fn run(
        self: Rc<Self>,
        mut mix: Mix,
        rates: Rates,
        connections: Connections,
        ready: std::sync::mpsc::Sender<()>,
    ) -> Result<()> {
        for _ in 0..connections.at_the_start() {
            let connection = Connection::open(self.shared.address).await;
            let connection = connection.map_err(|broken| anyhow!("the load cannot connect: {broken:?}"))?;
            self.idle.borrow_mut().push_back(connection);
        }
        for shot in mix.all() {
            self.clone().send(shot, Instant::now(), self.tally()).await;
        }
        ready.send(())?;
        let (start, mut sent) = (Instant::now(), 0_u64);
        while !self.shared.ends.load(Ordering::Relaxed) {
            let now = Instant::now();
            let due = u64::try_from((now - start).as_nanos() * u128::from(rates.requests) / 1_000_000_000)?;
            let tally = self.tally();
            tally.counts().sent += due - sent;
            while sent < due {
                sent += 1;
                let due = start
                    + Duration::from_nanos(u64::try_from(
                        u128::from(sent) * 1_000_000_000 / u128::from(rates.requests),
                    )?);
                self.open.set(self.open.get() + 1);
                tokio::task::spawn_local(Rc::clone(&self).send_one(mix.next(now)?, due, Arc::clone(&tally)));
            }
            if self.open.get() > MOST_OPEN {
                bail!("{} requests are under way: the machine is too slow for this rate", self.open.get());
            }
            tokio::time::sleep(TICK).await;
        }
        while self.open.get() > 0 {
            tokio::time::sleep(TICK).await;
        }
        Ok(())
    }

    fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn send_one(self: Rc<Self>, shot: Shot, due: Instant, tally: Arc<Tally>) {
        Rc::clone(&self).send(shot, due, tally).await;
        self.open.set(self.open.get() - 1);
    }

    async fn send(self: Rc<Self>, shot: Shot, due: Instant, tally: Arc<Tally>) {
        let Ok(_permit) = self.permits.acquire().await else { return };
        let outcome = tokio::time::timeout(HUNG, self.exchange(&shot, &tally)).await;
        let mut counts = tally.counts();
        match outcome {
            Err(_) => {
                counts.hung += 1;
                counts.example(shot.kind, "no answer");
            }
            Ok(Err(Broken::Refused)) if self.shared.world.may_refuse.load(Ordering::Relaxed) => counts.refused += 1,
            Ok(Err(broken)) => {
                counts.unexpected += 1;
                counts.example(shot.kind, &format!("{broken:?}"));
            }
            Ok(Ok(answer)) => self.judge(&shot, &answer, due, &mut counts),
        }
    }

    fn judge(&self, shot: &Shot, answer: &Answer, due: Instant, counts: &mut Counts) {
        counts.answered(answer.status, answer.answered - due);
        match self.shared.world.judge(shot.kind, shot.token.as_deref(), answer) {
            Verdict::Right => {}
            Verdict::WronglyAllowed(why) => {
                counts.wrongly_allowed += 1;
                counts.example(shot.kind, &format!("{}, {why}", answer.status));
            }
            Verdict::Unexpected(why) => {
                counts.unexpected += 1;
                counts.example(shot.kind, &format!("{}, {why}", answer.status));
            }
        }
    }

    async fn exchange(&self, shot: &Shot, tally: &Tally) -> Result<Answer, Broken> {
        let request = shot.request(!self.shared.world.stale_if_error.is_zero());
        let kept = self.idle.borrow_mut().pop_front();
        let (mut connection, is_new) = match kept {
            Some(connection) => (connection, false),
            None => (Connection::open(self.shared.address).await?, true),
        };
        let mut outcome = connection.exchange(&request).await;
        // A server may close an idle connection at the moment of a request, and every client asks again then; but
        // only where Envoy has a reason to.
        let may_close = self.shared.world.may_close.load(Ordering::Relaxed);
        if matches!(outcome, Err(Broken::Closed)) && may_close && !is_new {
            tally.counts().sent_again += 1;
            connection = Connection::open(self.shared.address).await?;
            outcome = connection.exchange(&request).await;
        }
        if matches!(outcome, Err(Broken::Closed)) && self.shared.world.may_refuse.load(Ordering::Relaxed) {
            // It was waiting to be accepted when the listener went away.
            return Err(Broken::Refused);
        }
        let (answer, stays) = outcome?;
        if !connection.agrees(shot.kind, answer.status) {
            return Err(Broken::Mixed);
        }
        if stays {
            self.idle.borrow_mut().push_back(connection);
        }
        Ok(answer)
    }
}

impl Shot {
    /// The bytes of the request. `claims_stale`: adds a forged `x-auth-stale` header, which Scopegate must remove.
    fn request(&self, claims_stale: bool) -> Vec<u8> {
        let mut request = Vec::with_capacity(1500);
        for part in ["GET ", self.path, " HTTP/1.1\r\nhost: chaos.test\r\n"] {
            request.extend_from_slice(part.as_bytes());
        }
        if let Some(token) = &self.token {
            for part in ["authorization: Bearer ", token, "\r\n"] {
                request.extend_from_slice(part.as_bytes());
            }
        }
        if claims_stale {
            request.extend_from_slice(b"x-auth-stale: 0\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request
    }
}

/// Why a request has no response.
#[derive(Debug)]
enum Broken {
    Refused,
    /// Closed before the first byte of an answer.
    Closed,
    /// Closed within the response, or the response is invalid HTTP.
    Garbled,
    /// One connection answered by the rules before a change and by those after it.
    Mixed,
}

/// A connection with one request under way at most.
struct Connection {
    stream: TcpStream,
    held: Vec<u8>,
    /// Whether it has answered by the rules after the change.
    by_new_rules: Option<bool>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, Broken> {
        let stream = TcpStream::connect(address).await.map_err(|_| Broken::Refused)?;
        stream.set_nodelay(true).map_err(|_| Broken::Closed)?;
        Ok(Self { stream, held: Vec::with_capacity(1024), by_new_rules: None })
    }

    /// The answer, and whether the connection stays open.
    async fn exchange(&mut self, request: &[u8]) -> Result<(Answer, bool), Broken> {
        let sent = Instant::now();
        self.held.clear();
        self.stream.write_all(request).await.map_err(|_| Broken::Closed)?;
        loop {
            let read = self.stream.read_buf(&mut self.held).await;
            if !matches!(read, Ok(1..)) {
                return Err(if self.held.is_empty() { Broken::Closed } else { Broken::Garbled });
            }
            if let Some(found) = parse(&self.held, sent).map_err(|_| Broken::Garbled)? {
                return Ok(found);
            }
        }
    }

    /// Whether its answers are by one set of rules: a connection belongs to one configuration.
    fn agrees(&mut self, kind: Kind, status: u16) -> bool {
        let is_new = match (kind, status) {
            (Kind::OldScope, 200) | (Kind::NewScope, 403) => false,
            (Kind::OldScope, 403) | (Kind::NewScope, 200) => true,
            _ => return true,
        };
        *self.by_new_rules.get_or_insert(is_new) == is_new
    }
}

/// The answer, once all of it is there.
fn parse(held: &[u8], sent: Instant) -> Result<Option<(Answer, bool)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(held)? else { return Ok(None) };
    let header = |name: &str| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let length = header("content-length").context("an answer without a length")?;
    let length: usize = std::str::from_utf8(length.value)?.parse()?;
    if held.len() < head + length {
        return Ok(None);
    }
    let answer = Answer {
        status: response.code.context("no status")?,
        has_retry_after: header("retry-after").is_some(),
        stale: header(STALE_ECHO).and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok()),
        sent,
        answered: Instant::now(),
    };
    Ok(Some((answer, !header("connection").is_some_and(|header| header.value.eq_ignore_ascii_case(b"close")))))
}

/// The response header in which the application echoes the `x-auth-stale` that it received.
pub(crate) const STALE_ECHO: &str = "x-told-stale";
/// A request without a response after this time has hung.
const HUNG: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(1);
/// With so many requests in flight, the run is aborted.
const MOST_OPEN: usize = 50_000;
/// The maximum number of connections: further requests wait, and their latency includes that time.
const MOST_CONNECTIONS: usize = 1024;
