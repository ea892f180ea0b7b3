//! Minimal services for Envoy's ext_authz: they allow every request without looking at it. No real
//! service is faster, so they are the lower bound of every decision that is made outside the proxy.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The addresses of the services.
pub(crate) struct Services {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Services {
    /// Starts both on a thread of their own, which ends with the process.
    pub(crate) fn start() -> Result<Self> {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            runtime.block_on(async {
                let (grpc, http) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
                sender.send(Self { grpc: grpc.local_addr()?, http: http.local_addr()? })?;
                tokio::spawn(async move {
                    while let Ok((socket, _)) = http.accept().await {
                        // A connection that ends takes its task with it, and Envoy makes another.
                        tokio::spawn(answer_http(socket));
                    }
                });
                while let Ok((socket, _)) = grpc.accept().await {
                    tokio::spawn(answer_grpc(socket));
                }
                Ok(())
            })
        });
        receiver.recv().context("the services did not start")
    }
}

async fn answer_grpc(socket: TcpStream) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut connection =
        h2::server::Builder::new().max_concurrent_streams(10_000).handshake::<_, Bytes>(socket).await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        tokio::spawn(permit(request, respond));
    }
    Ok(())
}

/// An empty `CheckResponse`, whose status is therefore OK.
async fn permit(mut request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) -> Result<()> {
    while let Some(data) = request.body_mut().data().await {
        let length = data?.len();
        request.body_mut().flow_control().release_capacity(length)?;
    }
    let response = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(Bytes::from_static(&[0; 5]), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)?;
    Ok(())
}

/// Envoy sends no body and waits for each response, so the end of the headers is the end of the request.
async fn answer_http(mut socket: TcpStream) -> Result<()> {
    socket.set_nodelay(true)?;
    let (mut held, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let read = socket.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        held.extend_from_slice(&buffer[..read]);
        if held.ends_with(b"\r\n\r\n") {
            held.clear();
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
        }
    }
}
