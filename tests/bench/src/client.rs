//! A client that sends at a fixed rate, whether answers come or not, and counts each latency from the moment at which
//! the request was due, so that a stall counts in every request it delays. A second client sends many at once.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;

/// At what rate, for how long, and over how many connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) per_second: u64,
    pub(crate) duration: Duration,
    pub(crate) connections: usize,
}

/// Sends the requests in turn; the latencies are in nanoseconds. Any other status than this is an error.
pub(crate) fn open_loop(address: &str, requests: &[Vec<u8>], status: u16, rate: Rate) -> Result<Histogram<u64>> {
    let mut connections = Vec::new();
    for _ in 0..rate.connections {
        connections.push(Connection::open(address)?);
    }
    let interval = Duration::from_secs(1) / u32::try_from(rate.per_second)?;
    let total = u32::try_from(rate.per_second * rate.duration.as_secs())?;
    let mut latencies = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
    let mut idle: Vec<usize> = (0..connections.len()).collect();
    let mut busy: Vec<(usize, Instant)> = Vec::new();
    let (start, mut sent) = (Instant::now(), 0_u32);
    let mut requests = requests.iter().cycle();
    while sent < total || !busy.is_empty() {
        if start.elapsed() > rate.duration * 2 + Duration::from_secs(5) {
            bail!("{} requests a second are too many: {sent} of {total} were sent", rate.per_second);
        }
        while sent < total && start.elapsed() >= interval * sent {
            let Some(free) = idle.pop() else { break };
            connections[free].socket.write_all(requests.next().context("no requests")?)?;
            busy.push((free, start + interval * sent));
            sent += 1;
        }
        let mut waiting = Vec::with_capacity(busy.len());
        for (index, due) in busy.drain(..) {
            match connections[index].answer()? {
                None => waiting.push((index, due)),
                Some(answer) if answer == status => {
                    latencies.record(u64::try_from(due.elapsed().as_nanos())?)?;
                    idle.push(index);
                }
                Some(answer) => bail!("answered {answer}, not {status}"),
            }
        }
        busy = waiting;
        // The helpers have the same core.
        std::thread::yield_now();
    }
    Ok(latencies)
}

/// Sends one request over each of so many connections at once, and returns the statuses.
pub(crate) fn burst(address: &str, request: &[u8], connections: usize) -> Result<Vec<u16>> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address)?);
    }
    for connection in &mut open {
        connection.socket.write_all(request)?;
    }
    let limit = Instant::now() + Duration::from_secs(60);
    let mut statuses = Vec::new();
    for connection in &mut open {
        loop {
            if let Some(status) = connection.answer()? {
                statuses.push(status);
                break;
            }
            if Instant::now() > limit {
                bail!("of {connections} requests {} were answered", statuses.len());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(statuses)
}

/// A connection with one request under way at most.
struct Connection {
    socket: TcpStream,
    held: Vec<u8>,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, held: Vec::new() })
    }

    /// The status of the answer, once all of it is there.
    fn answer(&mut self) -> Result<Option<u16>> {
        let mut buffer = [0; 4096];
        match self.socket.read(&mut buffer) {
            Ok(0) => bail!("Envoy closed the connection"),
            Ok(read) => self.held.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(&self.held)? else {
            return Ok(None);
        };
        let status = response.code.context("no status")?;
        let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length =
            length.map_or(Ok(0), |header| std::str::from_utf8(header.value)?.parse::<usize>().context("length"))?;
        if self.held.len() < head + length {
            return Ok(None);
        }
        self.held.clear();
        Ok(Some(status))
    }
}
