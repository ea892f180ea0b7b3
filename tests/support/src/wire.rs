//! HTTP/1.1 messages as they are on the wire. A library would tidy up what these tests must see untouched: the order
//! and the case of headers, odd bytes in a path, a body cut short.

use std::io::{Error, ErrorKind, Result};

/// Header lines in the order received, names in the case received.
pub type Headers = Vec<(String, Vec<u8>)>;

const MAX_MESSAGE: usize = 64 << 20;
const MAX_HEADERS: usize = 256;

/// A request as a server of the harness received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub method: String,
    /// The request target, byte for byte, query included.
    pub path: Vec<u8>,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// The body as `application/x-www-form-urlencoded` pairs, whatever the content type says.
    pub form: Vec<(String, String)>,
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers_named(name).into_iter().next()
    }

    pub fn headers_named(&self, name: &str) -> Vec<String> {
        named(&self.headers, name)
    }

    pub fn form_value(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A response as the client of the harness received it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// Those of HTTP/2; HTTP/1.1 answers are not expected to have any.
    pub trailers: Headers,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers_named(name).into_iter().next()
    }

    pub fn headers_named(&self, name: &str) -> Vec<String> {
        named(&self.headers, name)
    }

    /// From the trailers, or from the headers when nothing else came (how gRPC reports an early failure).
    pub fn trailer(&self, name: &str) -> Option<String> {
        named(&self.trailers, name).into_iter().next().or_else(|| self.header(name))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }
}

pub fn named(headers: &Headers, name: &str) -> Vec<String> {
    let same = headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    same.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
}

/// The first request in `buffer` and its length; `None` while it is incomplete.
pub fn parse_request(buffer: &[u8]) -> Result<Option<(Recorded, usize)>> {
    // By hand: httparse refuses targets that are not UTF-8.
    let Some(line_end) = buffer.windows(2).position(|pair| pair == b"\r\n") else {
        return incomplete(buffer);
    };
    let mut line = buffer[..line_end].splitn(2, |byte| *byte == b' ');
    let method = String::from_utf8_lossy(line.next().unwrap_or_default()).into_owned();
    let target = line.next().unwrap_or_default();
    let path = target.strip_suffix(b" HTTP/1.1").ok_or_else(|| bad("not an HTTP/1.1 request line"))?.to_vec();

    let mut storage = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let rest = &buffer[line_end + 2..];
    let httparse::Status::Complete((head, headers)) = httparse::parse_headers(rest, &mut storage).map_err(bad)? else {
        return incomplete(buffer);
    };
    let headers = owned(headers);
    let Some((body, length)) = parse_body(&headers, &rest[head..], Some(0))? else {
        return incomplete(buffer);
    };
    let form = form_urlencoded::parse(&body).into_owned().collect();
    Ok(Some((Recorded { method, path, headers, body, form }, line_end + 2 + head + length)))
}

/// The first response in `buffer` that is not a 1xx, and where it ends; `None` while it is incomplete. `end`: nothing
/// comes after the buffer. `to_head`: it answers a HEAD request and so has no body.
pub fn parse_response(buffer: &[u8], end: bool, to_head: bool) -> Result<Option<(Response, usize)>> {
    let mut start = 0;
    loop {
        let mut storage = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut storage);
        let httparse::Status::Complete(head) = response.parse(&buffer[start..]).map_err(bad)? else {
            break;
        };
        let status = response.code.ok_or_else(|| bad("no status"))?;
        start += head;
        if (100..200).contains(&status) {
            continue;
        }
        let headers = owned(response.headers);
        let rest = &buffer[start..];
        let bodiless = to_head || status == 204 || status == 304;
        let found =
            if bodiless { Some((Vec::new(), 0)) } else { parse_body(&headers, rest, end.then_some(rest.len()))? };
        let Some((body, length)) = found else { break };
        return Ok(Some((Response { status, headers, body, trailers: Vec::new() }, start + length)));
    }
    if end {
        return Err(Error::new(ErrorKind::UnexpectedEof, format!("the answer ended after {} bytes", buffer.len())));
    }
    incomplete(buffer)
}

/// `unframed`: the length of a body that says neither its length nor that it is chunked.
fn parse_body(headers: &Headers, rest: &[u8], unframed: Option<usize>) -> Result<Option<(Vec<u8>, usize)>> {
    let last = |name| named(headers, name).pop();
    let length = if last("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return parse_chunks(rest);
    } else if let Some(length) = last("content-length") {
        Some(length.parse().map_err(bad)?)
    } else {
        unframed
    };
    Ok(length.and_then(|length: usize| Some((rest.get(..length)?.to_vec(), length))))
}

fn parse_chunks(rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let size = httparse::parse_chunk_size(&rest[at..]).map_err(|_| bad("not a chunk size"))?;
        let httparse::Status::Complete((head, size)) = size else {
            return Ok(None);
        };
        let size = usize::try_from(size).map_err(bad)?;
        // The last chunk has no data; trailers are not expected here.
        let (from, to) = (at + head, at + head + size);
        let (Some(data), Some(_)) = (rest.get(from..to), rest.get(to..to + 2)) else {
            return Ok(None);
        };
        body.extend_from_slice(data);
        at = to + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

fn owned(headers: &[httparse::Header<'_>]) -> Headers {
    headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect()
}

fn incomplete<T>(buffer: &[u8]) -> Result<Option<T>> {
    if buffer.len() > MAX_MESSAGE { Err(bad("the message is too large")) } else { Ok(None) }
}

fn bad(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}
