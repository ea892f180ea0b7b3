//! A server with scripted responses, including faults that a real identity server does not produce on demand.

use std::collections::VecDeque;
use std::io::Result;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

use super::http::{Request, try_send};
use super::runtime;
use super::wire::{Recorded, parse_request};

/// The record keeps this many requests, the newest.
const MAX_RECORDED: usize = 10_000;

/// What to do with one request.
#[derive(Clone, Debug)]
pub enum Script {
    /// A complete response with a content-length; the connection stays open.
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// A chunked response, each chunk sent separately; the connection stays open.
    Chunked { status: u16, headers: Vec<(String, String)>, chunks: Vec<Vec<u8>> },
    /// Close the connection without a byte.
    Close,
    /// Promise a body of `promised` bytes, send `part`, reset the connection.
    ResetMidBody { promised: usize, part: Vec<u8> },
    /// Never answer.
    Hang,
    /// Wait, then go on.
    Delay(Duration, Box<Script>),
    /// These bytes instead of an HTTP response, then close.
    Raw(Vec<u8>),
    /// These bytes one at a time, then close.
    Drip { bytes: Vec<u8>, every: Duration },
}

impl Script {
    /// A 200 with a JSON body.
    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
    pub fn json(body: Value) -> Self {
        Self::json_text(body.to_string())
    }

    /// A 200 with a body that claims to be JSON.
    pub fn json_text(body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self::Answer { status: 200, headers, body: body.into() }
    }

    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn after(self, delay: Duration) -> Self {
        Self::Delay(delay, Box::new(self))
    }
}

type Handler = Arc<dyn Fn(&Recorded) -> Script + Send + Sync>;

#[derive(Default)]
struct Calls {
    count: usize,
    recorded: VecDeque<Recorded>,
}

pub struct ScriptedServer {
    addr: SocketAddr,
    handler: Handler,
    calls: Arc<Mutex<Calls>>,
    state: Mutex<State>,
}

type Connections = Arc<Mutex<JoinSet<Result<()>>>>;

enum State {
    Running(JoinHandle<()>, Connections),
    /// The socket keeps the port without listening: connections are refused, and no other server can take it.
    Stopped(TcpSocket),
}

impl ScriptedServer {
    pub fn start(handler: impl Fn(&Recorded) -> Script + Send + Sync + 'static) -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let addr = socket.local_addr().expect("the port");
        let (handler, calls): (Handler, _) = (Arc::new(handler), Arc::default());
        let state = Mutex::new(serve(socket, &handler, &calls));
        Self { addr, handler, calls, state }
    }

    /// Passes every request to the server at `target` and `edit`s the JSON it answers.
    pub fn in_front_of(target: SocketAddr, edit: impl Fn(Value) -> Value + Send + Sync + 'static) -> Self {
        Self::start(move |call| {
            let mut request = Request::new(&call.method, &call.path).host(call.header("host").unwrap_or_default());
            request.body.clone_from(&call.body);
            request.headers =
                call.headers.iter().filter(|(name, _)| !of_the_connection(name)).cloned().map(bytes).collect();
            let Ok(answer) = try_send(target, &request) else {
                return Script::Close;
            };
            let body = serde_json::from_slice(&answer.body).map_or(answer.body, |json| edit(json).to_string().into());
            let text = |(name, value): (String, Vec<u8>)| (name, String::from_utf8_lossy(&value).into_owned());
            let headers = answer.headers.into_iter().filter(|(name, _)| !of_the_connection(name)).map(text).collect();
            Script::Answer { status: answer.status, headers, body }
        })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The newest requests, oldest first; recorded before they are answered.
    pub fn calls(&self) -> Vec<Recorded> {
        self.calls.lock().expect("the record").recorded.iter().cloned().collect()
    }

    /// How many requests came, also those that the record no longer holds.
    pub fn call_count(&self) -> usize {
        self.calls.lock().expect("the record").count
    }

    pub fn clear(&self) {
        *self.calls.lock().expect("the record") = Calls::default();
    }

    /// Ends every connection and refuses new ones until `restart`.
    pub fn stop(&self) {
        let mut state = self.state.lock().expect("the state");
        if let State::Running(acceptor, connections) = &mut *state {
            acceptor.abort();
            let mut open = std::mem::take(&mut *connections.lock().expect("the connections"));
            runtime().block_on(async {
                // It ends by being cancelled, which is an error to tokio.
                drop(acceptor.await);
                open.shutdown().await;
            });
            *state = State::Stopped(bound(self.addr));
        }
    }

    /// Listens again, on the same port.
    pub fn restart(&self) {
        self.stop();
        let mut state = self.state.lock().expect("the state");
        if let State::Stopped(socket) = &mut *state {
            let unused = TcpSocket::new_v4().expect("a socket");
            *state = serve(std::mem::replace(socket, unused), &self.handler, &self.calls);
        }
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        if let Ok(State::Running(acceptor, _)) = self.state.get_mut() {
            acceptor.abort();
        }
    }
}

fn bytes((name, value): (String, Vec<u8>)) -> (Vec<u8>, Vec<u8>) {
    (name.into_bytes(), value)
}

fn of_the_connection(name: &str) -> bool {
    let names = ["connection", "content-length", "host", "keep-alive", "transfer-encoding"];
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

fn bound(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option of the socket");
    socket.bind(addr).unwrap_or_else(|error| panic!("binding {addr}: {error}"));
    socket
}

fn serve(socket: TcpSocket, handler: &Handler, calls: &Arc<Mutex<Calls>>) -> State {
    let _context = runtime().enter();
    let listener = socket.listen(1024).expect("listening");
    let (handler, calls) = (Arc::clone(handler), Arc::clone(calls));
    let connections = Connections::default();
    let open = Arc::clone(&connections);
    let acceptor = runtime().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut open = open.lock().expect("the connections");
            open.spawn(converse(stream, Arc::clone(&handler), Arc::clone(&calls)));
            while open.try_join_next().is_some() {}
        }
    });
    State::Running(acceptor, connections)
}

async fn converse(mut stream: TcpStream, handler: Handler, calls: Arc<Mutex<Calls>>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let (call, length) = loop {
            if let Some(found) = parse_request(&buffer)? {
                break found;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        buffer.drain(..length);
        let closes = call.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        {
            let mut calls = calls.lock().expect("the record");
            calls.count += 1;
            if calls.recorded.len() == MAX_RECORDED {
                calls.recorded.pop_front();
            }
            calls.recorded.push_back(call.clone());
        }
        // A handler may block, as `in_front_of` does. One that panics has said why on stderr; its caller sees a close.
        let handler = Arc::clone(&handler);
        let script = spawn_blocking(move || handler(&call)).await?;
        if !perform(&mut stream, script).await? || closes {
            return Ok(());
        }
    }
}

/// Says whether the connection stays open.
async fn perform(stream: &mut TcpStream, mut script: Script) -> Result<bool> {
    while let Script::Delay(delay, then) = script {
        tokio::time::sleep(delay).await;
        script = *then;
    }
    match script {
        Script::Answer { status, headers, body } => {
            let length = ("content-length".to_owned(), body.len().to_string());
            let head = head(status, headers.into_iter().chain([length]));
            stream.write_all(&[head, body].concat()).await?;
            return Ok(true);
        }
        Script::Chunked { status, headers, chunks } => {
            let coding = ("transfer-encoding".to_owned(), "chunked".to_owned());
            stream.write_all(&head(status, headers.into_iter().chain([coding]))).await?;
            // An empty chunk is the end, so one in the script would be the end too early.
            for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                let size = format!("{:x}\r\n", chunk.len());
                stream.write_all(&[size.as_bytes(), chunk, b"\r\n"].concat()).await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
            return Ok(true);
        }
        Script::ResetMidBody { promised, part } => {
            let length = ("content-length".to_owned(), promised.to_string());
            stream.write_all(&[head(200, [length]), part].concat()).await?;
            // Let the part arrive before the reset takes it back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            stream.set_zero_linger()?;
        }
        Script::Raw(bytes) => stream.write_all(&bytes).await?,
        Script::Drip { bytes, every } => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(every).await;
            }
        }
        Script::Hang => {
            // Until the other side gives up.
            let mut ignored = [0; 1024];
            while stream.read(&mut ignored).await? > 0 {}
        }
        Script::Close | Script::Delay(..) => {}
    }
    Ok(false)
}

fn head(status: u16, headers: impl IntoIterator<Item = (String, String)>) -> Vec<u8> {
    let lines = headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    format!("HTTP/1.1 {status} Scripted\r\n{lines}\r\n").into_bytes()
}
