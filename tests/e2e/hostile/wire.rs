//! Two clients that send any input and report only the outcome: HTTP/1.1 as bytes, and HTTP/2 as frames with fields
//! that no library would accept.

use std::io::{ErrorKind, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::corpus::{Closed, End, Message, Stream, Text};

const LIMIT: Duration = Duration::from_secs(30);
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// The largest frame that may be sent unasked (RFC 9113 §4.2).
const MAX_FRAME: usize = 16_384;

/// The request as an HTTP/1.1 message: chunked if it has trailers.
pub fn http1(message: &Message) -> Vec<u8> {
    let mut bytes = [&message.method.bytes()[..], b" ", &message.path.bytes(), b" HTTP/1.1\r\n"].concat();
    let mut line = |name: &[u8], value: &[u8]| bytes.extend([name, b": ", value, b"\r\n"].concat());
    if let Some(authority) = &message.authority {
        line(b"host", &authority.bytes());
    }
    for (name, value) in fields(message) {
        line(&name, &value);
    }
    let body = message.body.as_ref().map(Text::bytes).unwrap_or_default();
    if message.trailers.is_empty() {
        if message.body.is_some() {
            line(b"content-length", body.len().to_string().as_bytes());
        }
        bytes.extend([b"\r\n", &body[..]].concat());
        return bytes;
    }
    line(b"transfer-encoding", b"chunked");
    bytes.extend(format!("\r\n{:x}\r\n", body.len()).into_bytes());
    bytes.extend([&body[..], b"\r\n0\r\n"].concat());
    for (name, value) in &message.trailers {
        bytes.extend([&name.bytes()[..], b": ", &value.bytes(), b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    bytes
}

/// The request as an HTTP/2 stream: the same, with names in lower case.
pub fn http2(message: &Message) -> Stream {
    let pseudo = [
        (":method", Some(&message.method)),
        (":authority", message.authority.as_ref()),
        (":path", Some(&message.path)),
    ];
    let pseudo = pseudo.into_iter().filter_map(|(name, value)| Some((name.into(), value?.clone())));
    let text = |bytes: Vec<u8>| Text::Plain(bytes.into_iter().map(char::from).collect());
    let headers = fields(message).into_iter().map(|(name, value)| (text(name.to_ascii_lowercase()), text(value)));
    let scheme = (":scheme".into(), "http".into());
    Stream {
        fields: pseudo.chain([scheme]).chain(headers).collect(),
        body: message.body.clone(),
        trailers: message.trailers.clone(),
    }
}

fn fields(message: &Message) -> Vec<(Vec<u8>, Vec<u8>)> {
    let token = message.token.iter().map(|token| (b"authorization".to_vec(), format!("Bearer {token}").into_bytes()));
    message.headers.iter().map(|(name, value)| (name.bytes(), value.bytes())).chain(token).collect()
}

/// Sends an HTTP/1.1 message.
pub fn send_http1(addr: SocketAddr, message: &[u8]) -> Result<End> {
    let mut stream = connect(addr)?;
    // A server may answer and close before it has read everything: the answer still counts.
    let _ = stream.write_all(message);
    let mut answer = Vec::new();
    loop {
        let at_hand = read_status(&answer);
        // An interim answer is not the end; 101 is.
        if let Some((status, rest)) = at_hand {
            if !(100..200).contains(&status) || status == 101 {
                return Ok(End::Status(status));
            }
            answer.drain(..rest);
            continue;
        }
        if !more(&mut stream, &mut answer)? {
            return Ok(End::Closed(Closed::Closed));
        }
    }
}

/// The status of a complete head and the length of that.
fn read_status(answer: &[u8]) -> Option<(u16, usize)> {
    let length = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
    Some((status, length))
}

/// Sends one stream on an HTTP/2 connection of its own.
pub fn send_http2(addr: SocketAddr, sent: &Stream) -> Result<End> {
    let mut stream = connect(addr)?;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS, none of them.
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let ends = sent.body.is_none() && sent.trailers.is_empty();
    headers_frames(&mut bytes, &sent.fields, ends);
    if let Some(body) = &sent.body {
        frame(&mut bytes, 0, if sent.trailers.is_empty() { END_STREAM } else { 0 }, &body.bytes());
    }
    if !sent.trailers.is_empty() {
        headers_frames(&mut bytes, &sent.trailers, true);
    }
    let _ = stream.write_all(&bytes);

    let mut answer = Vec::new();
    loop {
        while let Some((kind, id, payload)) = take_frame(&mut answer) {
            match (kind, id) {
                (HEADERS, 1) => match status(&payload) {
                    100..200 => {}
                    status => return Ok(End::Status(status)),
                },
                (RST_STREAM, 1) | (GOAWAY, _) => return Ok(End::Closed(Closed::Closed)),
                _ => {}
            }
        }
        if !more(&mut stream, &mut answer)? {
            return Ok(End::Closed(Closed::Closed));
        }
    }
}

fn headers_frames(bytes: &mut Vec<u8>, fields: &[(Text, Text)], ends_stream: bool) {
    let mut block = Vec::new();
    for (name, value) in fields {
        // A literal that is not to be indexed, with a literal name (RFC 7541 §6.2.2).
        block.push(0);
        for text in [name.bytes(), value.bytes()] {
            string(&mut block, &text);
        }
    }
    let pieces: Vec<&[u8]> = if block.is_empty() { vec![&[]] } else { block.chunks(MAX_FRAME).collect() };
    for (index, piece) in pieces.iter().enumerate() {
        let kind = if index == 0 { HEADERS } else { CONTINUATION };
        let end = if index + 1 == pieces.len() { END_HEADERS } else { 0 };
        frame(bytes, kind, end | if index == 0 && ends_stream { END_STREAM } else { 0 }, piece);
    }
}

/// Without Huffman coding; its length in seven bits or more (RFC 7541 §5.1).
fn string(block: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text.len();
    if rest < 127 {
        block.push(u8::try_from(rest).expect("seven bits"));
    } else {
        block.push(127);
        rest -= 127;
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).expect("seven bits") | 128);
            rest /= 128;
        }
        block.push(u8::try_from(rest).expect("seven bits"));
    }
    block.extend(text);
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, payload: &[u8]) {
    bytes.extend(&u32::try_from(payload.len()).expect("a small frame").to_be_bytes()[1..]);
    bytes.extend([kind, flags, 0, 0, 0, 1]);
    bytes.extend(payload);
}

fn take_frame(buffer: &mut Vec<u8>) -> Option<(u8, u32, Vec<u8>)> {
    let head: [u8; 9] = buffer.get(..9)?.try_into().ok()?;
    let [a, b, c, kind, _, id @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
    let payload = buffer.get(9..9 + length)?.to_vec();
    buffer.drain(..9 + length);
    Some((kind, u32::from_be_bytes(id), payload))
}

/// `:status`, which comes first: from the static table, or its digits, in Huffman code or not (RFC 7541 A and B).
fn status(block: &[u8]) -> u16 {
    const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    // Before it, the size of the table may change.
    let start = block.iter().position(|byte| byte >> 5 != 1).expect("a field");
    let byte = block[start];
    if byte & 0x80 != 0 {
        return STATIC[usize::from(byte & 0x7f) - 8];
    }
    let length = usize::from(block[start + 1] & 0x7f);
    let text = &block[start + 2..start + 2 + length];
    if block[start + 1] & 0x80 == 0 {
        return std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("a status");
    }
    let mut bits = text.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut take = |count: usize| bits.by_ref().take(count).fold(0, |code, bit| code << 1 | bit);
    let mut digit = || match take(5) {
        code @ 0..=2 => code,
        // 011001 is 3, 011111 is 9.
        code => (code << 1 | take(1)) - 0b01_1001 + 3,
    };
    digit() * 100 + digit() * 10 + digit()
}

fn connect(addr: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, LIMIT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Whether more came; silence beyond the limit is an error.
fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<bool> {
    let mut piece = [0; 16 << 10];
    match stream.read(&mut piece) {
        Ok(read) => {
            buffer.extend_from_slice(&piece[..read]);
            Ok(read > 0)
        }
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_in_every_form() {
        for (block, expected) in [
            (&[0x88][..], 200),
            (&[0x20, 0x8c], 400),
            (&[0x48, 3, b'4', b'0', b'1'], 401),
            // RFC 7541 C.6.1 and C.6.2: 302 and 307.
            (&[0x48, 0x82, 0x64, 0x02], 302),
            (&[0x48, 0x83, 0x64, 0x0e, 0xff], 307),
        ] {
            assert_eq!(status(block), expected);
        }
    }

    #[test]
    fn a_length_beyond_seven_bits_goes_on() {
        // RFC 7541 C.1.2, for a prefix of seven bits: 1337 - 127 = 1210.
        let mut block = Vec::new();
        string(&mut block, &[b'a'; 1337]);
        assert_eq!(block[..3], [127, 0b1011_1010, 9]);
        assert_eq!(block.len(), 3 + 1337);
    }
}
