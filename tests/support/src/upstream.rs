//! The protected API: answers 200 to everything and remembers what reached it.

use std::net::SocketAddr;

use serde_json::json;

use super::scripted::{Script, ScriptedServer};
use super::wire::Recorded;

pub struct Upstream(ScriptedServer);

impl Upstream {
    /// Echoes each request as JSON: method, path, header pairs, length of the body.
    pub fn start() -> Self {
        Self(ScriptedServer::start(|call| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers: Vec<_> = call.headers.iter().map(|(name, value)| (name, text(value))).collect();
            Script::json(json!({
                "method": call.method,
                "path": text(&call.path),
                "headers": headers,
                "body_length": call.body.len(),
            }))
        }))
    }

    pub fn addr(&self) -> SocketAddr {
        self.0.addr()
    }

    /// The newest requests, byte for byte, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.0.calls()
    }

    pub fn request_count(&self) -> usize {
        self.0.call_count()
    }

    pub fn clear(&self) {
        self.0.clear();
    }
}
