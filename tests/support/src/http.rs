//! Clients: HTTP/1.1 byte for byte, HTTP/2, and a load generator.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt as _;

use super::wire::{Headers, Response, named, parse_response};

const LIMIT: Duration = Duration::from_secs(60);
const LOAD_LIMIT: Duration = Duration::from_secs(600);

/// A request, sent exactly as given: nothing is checked, escaped or reordered.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: Vec<u8>,
    /// Empty: no host line.
    pub host: Vec<u8>,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, path: impl AsRef<[u8]>) -> Self {
        let path = path.as_ref().to_vec();
        Self { method: method.to_owned(), path, host: b"harness.test".to_vec(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn get(path: impl AsRef<[u8]>) -> Self {
        Self::new("GET", path)
    }

    pub fn post(path: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Self {
        Self { body: body.as_ref().to_vec(), ..Self::new("POST", path) }
    }

    /// A POST of `application/x-www-form-urlencoded` pairs.
    pub fn form(path: impl AsRef<[u8]>, pairs: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Self::post(path, body).header("content-type", "application/x-www-form-urlencoded")
    }

    pub fn host(mut self, host: impl AsRef<[u8]>) -> Self {
        self.host = host.as_ref().to_vec();
        self
    }

    /// Adds a line; one name may come several times.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    fn encode(&self, close: bool) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.path, b" HTTP/1.1\r\n"].concat();
        let mut line = |name: &[u8], value: &[u8]| {
            for part in [name, b": ", value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        };
        if !self.host.is_empty() {
            line(b"host", &self.host);
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        let framings: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];
        let framed = self.headers.iter().any(|(name, _)| framings.iter().any(|f| name.eq_ignore_ascii_case(f)));
        if !framed && (!self.body.is_empty() || self.method == "POST") {
            line(b"content-length", self.body.len().to_string().as_bytes());
        }
        if close {
            line(b"connection", b"close");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// One connection, for several requests in a row.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub fn exchange(&mut self, request: &Request) -> Result<Response> {
        self.exchange_bytes(&request.encode(false), request.method == "HEAD")
    }

    fn exchange_bytes(&mut self, request: &[u8], to_head: bool) -> Result<Response> {
        let deadline = Instant::now() + LIMIT;
        // A server may answer and close before it has read everything: the answer still counts.
        let written = self.stream.write_all(request);
        let mut piece = [0; 16 << 10];
        let mut end = false;
        loop {
            if let Some((response, length)) = parse_response(&self.buffer, end, to_head)? {
                self.buffer.drain(..length);
                return Ok(response);
            }
            if Instant::now() > deadline {
                return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer within {LIMIT:?}")));
            }
            match self.stream.read(&mut piece) {
                Ok(read) => {
                    end = read == 0;
                    self.buffer.extend_from_slice(&piece[..read]);
                }
                Err(error) => return Err(written.err().unwrap_or(error)),
            }
        }
    }
}

/// Sends the request on a new connection. Returns the response or the error.
pub fn try_send(addr: SocketAddr, request: &Request) -> Result<Response> {
    Connection::open(addr)?.exchange_bytes(&request.encode(true), request.method == "HEAD")
}

/// Sends the request on a new connection. A missing response fails the test.
#[track_caller]
pub fn send(addr: SocketAddr, request: &Request) -> Response {
    try_send(addr, request).unwrap_or_else(|error| {
        panic!("{} {} to {addr}: {error}", request.method, String::from_utf8_lossy(&request.path))
    })
}

/// How a client closes its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// An orderly close.
    Fin,
    /// A reset.
    Rst,
}

/// A request that has been sent and whose response has not been read.
pub struct Pending(tokio::net::TcpStream);

impl Pending {
    #[track_caller]
    pub fn send(addr: SocketAddr, request: &Request) -> Self {
        let bytes = request.encode(false);
        let sent: Result<_> = super::runtime().block_on(async {
            let mut stream = tokio::net::TcpStream::connect(addr).await?;
            stream.write_all(&bytes).await?;
            Ok(stream)
        });
        Self(sent.unwrap_or_else(|error| panic!("sending to {addr}: {error}")))
    }

    /// Closes the connection without reading a response.
    pub fn leave(self, abort: Abort) {
        let _context = super::runtime().enter();
        if abort == Abort::Rst {
            self.0.set_zero_linger().expect("an option of the socket");
        }
    }
}

/// Sends the request, waits, and closes the connection without reading a response.
#[track_caller]
pub fn send_and_abort(addr: SocketAddr, request: &Request, after: Duration, abort: Abort) {
    let pending = Pending::send(addr, request);
    std::thread::sleep(after);
    pending.leave(abort);
}

/// Pushes `total` requests over `connections` persistent connections as fast as they are answered. Counts the answers
/// by status; 0 counts the requests that got none.
#[track_caller]
pub fn load(
    addr: SocketAddr,
    connections: usize,
    total: usize,
    make_request: impl Fn(usize) -> Request + Sync,
) -> HashMap<u16, usize> {
    let deadline = Instant::now() + LOAD_LIMIT;
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut counts = HashMap::new();
        let mut connection = None;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= total {
                return counts;
            }
            assert!(Instant::now() < deadline, "{number} of {total} requests took longer than {LOAD_LIMIT:?}");
            let request = make_request(number);
            let opened = connection.take().map_or_else(|| Connection::open(addr), Ok);
            let answer = opened.and_then(|mut open| Ok((open.exchange(&request)?, open)));
            let status = answer.map_or(0, |(response, open)| {
                let closes = named(&response.headers, "connection").iter().any(|v| v.eq_ignore_ascii_case("close"));
                connection = (!closes).then_some(open);
                response.status
            });
            *counts.entry(status).or_insert(0) += 1;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..connections).map(|_| scope.spawn(worker)).collect();
        let mut counts = HashMap::new();
        for (status, count) in workers.into_iter().flat_map(|worker| worker.join().expect("a load connection")) {
            *counts.entry(status).or_insert(0) += count;
        }
        counts
    })
}

/// An HTTP/2 connection (prior knowledge, no TLS); requests may run side by side from several threads.
#[derive(Clone)]
pub struct Http2Client {
    sender: hyper::client::conn::http2::SendRequest<BoxBody<Bytes, Infallible>>,
    addr: SocketAddr,
}

impl Http2Client {
    #[track_caller]
    pub fn connect(addr: SocketAddr) -> Self {
        bounded("an HTTP/2 connection", async move {
            let stream = tokio::net::TcpStream::connect(addr).await.expect("a connection");
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
            let (sender, connection) = handshake.await.expect("an HTTP/2 handshake");
            // It ends with the last sender; why it ended shows in the requests.
            tokio::spawn(async { drop(connection.await) });
            Self { sender, addr }
        })
    }

    /// No answer fails the test.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.request_with_trailers(method, path, headers, body, None)
    }

    /// No answer fails the test.
    #[track_caller]
    pub fn request_with_trailers(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        trailers: Option<&[(&str, &str)]>,
    ) -> Response {
        let uri = format!("http://{}{path}", self.addr);
        let mut request = hyper::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body));
        let body = if let Some(trailers) = trailers {
            let named = |(name, value): &(&str, &str)| (name.parse().expect("a name"), value.parse().expect("a value"));
            let trailers: hyper::HeaderMap = trailers.iter().map(named).collect();
            body.with_trailers(std::future::ready(Some(Ok(trailers)))).boxed()
        } else {
            body.boxed()
        };
        let request = request.body(body).expect("a request");
        let mut sender = self.sender.clone();
        bounded("an HTTP/2 answer", async move {
            let response = sender.send_request(request).await.expect("an HTTP/2 answer");
            let (head, body) = response.into_parts();
            let body = body.collect().await.expect("a complete body");
            let trailers = body.trailers().map(owned).unwrap_or_default();
            let (status, headers) = (head.status.as_u16(), owned(&head.headers));
            Response { status, headers, body: body.to_bytes().to_vec(), trailers }
        })
    }

    /// A unary gRPC call: `message` gets the five bytes of framing in front.
    #[track_caller]
    pub fn grpc(&self, path: &str, headers: &[(&str, &str)], message: &[u8]) -> Response {
        let length = u32::try_from(message.len()).expect("a small message").to_be_bytes();
        let framed = [&[0][..], &length, message].concat();
        let shape = [("content-type", "application/grpc"), ("te", "trailers")];
        self.request("POST", path, &[&shape, headers].concat(), &framed)
    }
}

fn owned(headers: &hyper::HeaderMap) -> Headers {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

#[track_caller]
fn bounded<T>(what: &str, work: impl Future<Output = T>) -> T {
    super::runtime()
        .block_on(async { tokio::time::timeout(LIMIT, work).await })
        .unwrap_or_else(|_| panic!("waited {LIMIT:?} in vain for {what}"))
}
