//! The upstream of the hostile corpus: it keeps every byte of every connection, so that no request reaches it unseen,
//! be it half of one or hidden in the body of another.

use std::collections::BTreeMap;
use std::io::Result;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::runtime;

/// The received bytes, by remote port.
type Connections = Arc<Mutex<BTreeMap<u16, Vec<u8>>>>;

pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

pub struct Witness {
    addr: SocketAddr,
    connections: Connections,
    received: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
    acceptor: JoinHandle<()>,
}

/// A request as it arrived.
#[derive(Debug)]
pub struct Arrived {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    /// Names as received.
    pub headers: Fields,
    pub trailers: Fields,
    /// The bytes received after the end of the request.
    pub rest: Vec<u8>,
}

impl Witness {
    /// Answers 200 to every request, then takes no more on that connection.
    pub fn start() -> Self {
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let addr = listener.local_addr().expect("the port");
        let connections = Connections::default();
        let kept = Arc::clone(&connections);
        let [received, ended] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let (bytes, ends) = (Arc::clone(&received), Arc::clone(&ended));
        let acceptor = runtime().spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (kept, bytes, ends) = (Arc::clone(&kept), Arc::clone(&bytes), Arc::clone(&ends));
                tokio::spawn(async move {
                    // How it ends makes no difference.
                    drop(converse(stream, peer.port(), kept, bytes).await);
                    ends.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { addr, connections, received, ended, acceptor }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many bytes came in all.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// How many connections were read to their end.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    /// Returns the requests received since the last call.
    pub fn take(&self) -> Vec<Arrived> {
        let connections = std::mem::take(&mut *self.connections.lock().expect("the record"));
        connections.values().map(|bytes| Arrived::read(bytes)).collect()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Arrived {
    /// Headers and trailers: some applications make no difference.
    pub fn fields(&self) -> impl Iterator<Item = &(Vec<u8>, Vec<u8>)> {
        self.headers.iter().chain(&self.trailers)
    }

    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let same = self.fields().filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        same.map(|(_, value)| value.as_slice()).collect()
    }

    /// Reads what there is, also of half a request.
    fn read(bytes: &[u8]) -> Self {
        let (head, mut rest) = match find(bytes, b"\r\n\r\n") {
            Some(end) => bytes.split_at(end + 4),
            None => (bytes, &[][..]),
        };
        let (line, lines) = head.split_at(find(head, b"\r\n").unwrap_or(head.len()));
        let mut words = line.split(|byte| *byte == b' ');
        let method = words.next().unwrap_or_default().to_vec();
        let target = line.get(method.len() + 1..).unwrap_or_default();
        let target = target.strip_suffix(b" HTTP/1.1").unwrap_or(target).to_vec();
        let headers = read_fields(lines);
        let mut trailers = Vec::new();
        let value = |name: &[u8]| headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        if value(b"transfer-encoding").is_some_and(|coding| coding.ends_with(b"chunked")) {
            // No body of the corpus has this in it.
            if let Some(last) = find(rest, b"\r\n0\r\n") {
                rest = &rest[last + 3..];
                let lines;
                (lines, rest) = rest.split_at(find(rest, b"\r\n\r\n").map_or(rest.len(), |end| end + 4));
                trailers = read_fields(lines);
            } else {
                rest = rest.strip_prefix(b"0\r\n\r\n").unwrap_or_default();
            }
        } else if let Some(length) = value(b"content-length") {
            let length = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok()).unwrap_or(usize::MAX);
            rest = rest.get(length..).unwrap_or_default();
        }
        Self { method, target, headers, trailers, rest: rest.to_vec() }
    }
}

/// Accepts CR, LF and CRLF as line ends, because servers differ.
fn read_fields(lines: &[u8]) -> Fields {
    let lines = lines.split(|byte| b"\r\n".contains(byte)).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let parts = lines.map(|line| {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    });
    parts.map(|(name, value)| (name.to_vec(), value.trim_ascii().to_vec())).collect()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

async fn converse(mut stream: TcpStream, port: u16, connections: Connections, received: Arc<AtomicU64>) -> Result<()> {
    let mut piece = vec![0; 64 << 10];
    let mut all = Vec::new();
    let mut answered = false;
    loop {
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        all.extend_from_slice(&piece[..read]);
        connections.lock().expect("the record").insert(port, all.clone());
        received.fetch_add(u64::try_from(read).expect("a length"), Ordering::SeqCst);
        if !answered && is_complete(&all) {
            answered = true;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
            stream.shutdown().await?;
        }
    }
}

fn is_complete(bytes: &[u8]) -> bool {
    let Some(end) = find(bytes, b"\r\n\r\n").map(|end| end + 4) else {
        return false;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let body = &bytes[end..];
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    if head.contains("transfer-encoding: chunked") {
        // The last chunk, with or without trailers.
        (body.starts_with(b"0\r\n") || find(body, b"\r\n0\r\n").is_some()) && body.ends_with(b"\r\n\r\n")
    } else {
        body.len() >= length.unwrap_or(0)
    }
}
