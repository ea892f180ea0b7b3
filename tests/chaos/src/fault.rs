//! An identity server that fails on demand. Its responses follow the record of all tokens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use scopegate_testbed::tokens::{AUDIENCE, ISSUER};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::truth::World;

/// A fault of the identity server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// Its port is closed, and every connection with it.
    Killed,
    /// It accepts requests and never responds.
    Hanging,
    /// It sends a byte now and then.
    Dripping,
    /// It resets the connection within the body.
    Resetting,
    /// It closes the connection without a byte.
    Closing,
    /// It answers with this status.
    Status(u16),
    /// It redirects every request to a login page.
    Redirecting,
    /// A page, with status 200.
    Html,
    /// Its response is not HTTP.
    Garbage,
}

impl Fault {
    /// Whether the server counts as unavailable, so that stale-if-error applies.
    pub(crate) fn is_lost(self) -> bool {
        match self {
            Self::Killed | Self::Hanging | Self::Dripping | Self::Resetting | Self::Closing | Self::Garbage => true,
            Self::Status(status) => status >= 500,
            Self::Nothing | Self::Redirecting | Self::Html => false,
        }
    }
}

/// A running server; it ends with the process.
#[derive(Debug)]
pub(crate) struct IdentityServer {
    pub(crate) address: SocketAddr,
    fault: watch::Sender<Fault>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    world: Arc<World>,
    keys: String,
    keys_asked: AtomicU64,
    /// The accepted credentials of the gateway, and the number of requests with each.
    clients: Vec<(String, AtomicU64)>,
}

impl IdentityServer {
    /// Starts it on a thread of its own.
    pub(crate) fn start(world: &Arc<World>, keys: &Value, clients: &[&str]) -> Result<Self> {
        let (fault, watched) = watch::channel(Fault::Nothing);
        let clients = clients.iter().map(|client| ((*client).to_owned(), AtomicU64::new(0))).collect();
        let state = Arc::new(State {
            world: Arc::clone(world),
            keys: keys.to_string(),
            keys_asked: AtomicU64::new(0),
            clients,
        });
        let (sender, receiver) = std::sync::mpsc::channel();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)))?;
                let address = socket.local_addr()?;
                sender.send(address)?;
                serve(socket, address, watched, shared).await
            })
        });
        let address = receiver.recv().context("the identity server did not start")?;
        Ok(Self { address, fault, state })
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// The number of requests with accepted credentials.
    pub(crate) fn asked(&self) -> u64 {
        self.state.clients.iter().map(|(_, count)| count.load(Ordering::Relaxed)).sum()
    }

    /// The number of requests for its JWK set.
    pub(crate) fn keys_asked(&self) -> u64 {
        self.state.keys_asked.load(Ordering::Relaxed)
    }

    /// The number of requests with these credentials.
    pub(crate) fn asked_by(&self, client: &str) -> u64 {
        self.state.clients.iter().find(|(name, _)| name == client).map_or(0, |(_, count)| count.load(Ordering::Relaxed))
    }
}

/// A bound socket that does not listen: it refuses connections and keeps other processes from the port.
fn bound(address: SocketAddr) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn serve(
    mut socket: TcpSocket,
    address: SocketAddr,
    mut fault: watch::Receiver<Fault>,
    state: Arc<State>,
) -> Result<()> {
    loop {
        fault.wait_for(|fault| *fault != Fault::Killed).await?;
        let acceptor = tokio::spawn(accept(socket.listen(4096)?, fault.clone(), Arc::clone(&state)));
        fault.wait_for(|fault| *fault == Fault::Killed).await?;
        acceptor.abort();
        // It ends by being cancelled, and takes its connections with it.
        drop(acceptor.await);
        socket = bound(address)?;
    }
}

async fn accept(listener: TcpListener, fault: watch::Receiver<Fault>, state: Arc<State>) -> Result<()> {
    let mut connections = JoinSet::new();
    loop {
        connections.spawn(converse(listener.accept().await?.0, fault.clone(), Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: TcpStream, fault: watch::Receiver<Fault>, state: Arc<State>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut held = Vec::with_capacity(2048);
    loop {
        let question = loop {
            if let Some((question, length)) = Question::parse(&held)? {
                held.drain(..length);
                break question;
            }
            if stream.read_buf(&mut held).await? == 0 {
                return Ok(());
            }
        };
        let fault = *fault.borrow();
        match fault {
            Fault::Nothing => stream.write_all(&state.answer(&question)).await?,
            Fault::Status(status) => stream.write_all(&response(status, "", "{\"error\":\"trouble\"}")).await?,
            Fault::Redirecting => stream.write_all(&response(302, "location: /login\r\n", "")).await?,
            Fault::Html => stream.write_all(&response(200, "", "<html><body>Maintenance</body></html>")).await?,
            Fault::Garbage => return Ok(stream.write_all(b"\x16\x03\x01\x02\0no HTTP at all\r\n\r\n").await?),
            Fault::Closing | Fault::Killed => return Ok(()),
            Fault::Hanging => {
                // Until the other side gives up.
                while stream.read_buf(&mut held).await? > 0 {
                    held.clear();
                }
                return Ok(());
            }
            Fault::Dripping => {
                for byte in GOOD_FOR_ANYTHING {
                    stream.write_all(&[*byte]).await?;
                    tokio::time::sleep(DRIP).await;
                }
                return Ok(());
            }
            Fault::Resetting => {
                stream.write_all(&GOOD_FOR_ANYTHING[..GOOD_FOR_ANYTHING.len() - 10]).await?;
                // Let the part arrive before the reset takes it back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return Ok(stream.set_zero_linger()?);
            }
        }
    }
}

/// A received request.
struct Question {
    path: String,
    client: String,
    body: Vec<u8>,
}

impl Question {
    /// The request and its length, once it is complete.
    fn parse(held: &[u8]) -> Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head) = request.parse(held)? else { return Ok(None) };
        let header = |name: &str| {
            let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map_or("", |header| std::str::from_utf8(header.value).unwrap_or_default())
        };
        let length: usize = header("content-length").parse().unwrap_or(0);
        let Some(body) = held.get(head..head + length) else { return Ok(None) };
        let path = request.path.unwrap_or_default().to_owned();
        Ok(Some((Self { path, client: header("authorization").to_owned(), body: body.to_vec() }, head + length)))
    }
}

impl State {
    fn answer(&self, question: &Question) -> Vec<u8> {
        if question.path == "/keys" {
            self.keys_asked.fetch_add(1, Ordering::Relaxed);
            return response(200, "", &self.keys);
        }
        let Some((_, count)) = self.clients.iter().find(|(client, _)| *client == question.client) else {
            return response(401, "", "{\"error\":\"invalid_client\"}");
        };
        count.fetch_add(1, Ordering::Relaxed);
        let token = form_urlencoded::parse(&question.body).find(|(name, _)| name == "token");
        let token = token.map(|(_, token)| token.into_owned()).unwrap_or_default();
        response(200, "", &self.introspect(&token).to_string())
    }

    fn introspect(&self, token: &str) -> Value {
        let (now, clock) = (Instant::now(), self.world.clock());
        let mut tokens = self.world.tokens();
        let worth = tokens.get_mut(token);
        let is_over = |at: &Option<Instant>| at.is_some_and(|at| at <= now);
        let Some(worth) = worth else { return json!({ "active": false }) };
        if is_over(&worth.revoked_at) {
            worth.denied_at.get_or_insert(now);
            return json!({ "active": false });
        }
        if worth.expires_at > clock {
            worth.vouched_at = Some((now, clock));
        } else if !worth.is_always_active {
            return json!({ "active": false });
        }
        json!({
            "active": true, "scope": worth.scope, "exp": worth.expires_at, "iss": issuer(token), "aud": AUDIENCE,
            "client_id": "travel-agency", "username": "traveller", "token_type": "Bearer",
        })
    }
}

/// Three issuers share the server; the prefix of a token identifies its issuer.
pub(crate) fn issuer(token: &str) -> &'static str {
    match token.get(..2) {
        Some("l-") => "https://lasting.example.test",
        Some("b-") => "https://brief.example.test",
        _ => ISSUER,
    }
}

fn response(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Chaos\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// If the gateway accepted this as an introspection response, every token would be active.
const GOOD_FOR_ANYTHING: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 63\r\n\r\n\
    {\"active\":true,\"scope\":\"openid profile view\",\"client_id\":\"x\"  }";
/// The whole response takes longer than any timeout.
const DRIP: Duration = Duration::from_millis(25);
