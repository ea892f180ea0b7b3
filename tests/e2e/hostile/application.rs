//! The worst application that could stand behind the gate: whatever some reader of requests makes of a path, it does as
//! well. Where any of its readings is a protected place, the request must be entitled to that.
//!
//! It shares nothing with the gate but the places, which are written down here a second time.

use std::collections::BTreeSet;

use super::witness::Arrived;

/// A request has at most so many readings that are followed up.
const MAX_READINGS: usize = 2_000;

/// The scopes that a request takes, in any reading of it.
pub fn scopes_taken(arrived: &Arrived, folds_case: bool) -> BTreeSet<&'static str> {
    let mut scopes = BTreeSet::new();
    let hosts = arrived.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"host"));
    let mut authorities: Vec<&[u8]> = hosts.map(|(_, value)| value.as_slice()).collect();
    let target = arrived.target.as_slice();
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    if let Some((_, rest)) = split_once(path, b"://") {
        authorities.push(rest.split(|byte| *byte == b'/').next().unwrap_or_default());
    }
    if arrived.method.eq_ignore_ascii_case(b"CONNECT") {
        authorities.push(target);
    }
    if authorities.iter().any(|authority| host(authority) == "console.example.test") {
        scopes.insert("admin");
    }
    let reads = ["GET", "HEAD"].iter().any(|method| arrived.method.eq_ignore_ascii_case(method.as_bytes()));
    for reading in readings(path, folds_case) {
        let segments: Vec<&[u8]> = reading.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()).collect();
        match *segments {
            [b"admin", ..] => scopes.insert("admin"),
            [b"public", b"members", ..] => scopes.insert("view"),
            [b"bookings", ..] => scopes.insert(if reads { "view" } else { "admin" }),
            _ => false,
        };
    }
    scopes
}

fn host(authority: &[u8]) -> String {
    let text = String::from_utf8_lossy(authority).to_ascii_lowercase();
    let text = text.rsplit('@').next().unwrap_or_default();
    text.split([':', ',']).next().unwrap_or_default().trim().trim_end_matches('.').to_owned()
}

/// Everything that readers could make of a path, from which all of them have cut the query: each does some of these
/// steps, in some order, perhaps twice.
fn readings(path: &[u8], folds_case: bool) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::from([path.to_vec()]);
    let mut open = vec![path.to_vec()];
    while let Some(reading) = open.pop() {
        let mut next = vec![
            percent_encoding::percent_decode(&reading).collect(),
            wide_decoded(&reading),
            replaced(&reading, b"\xc0\xaf", b"/"),
            replaced(&reading, b"\xc0\xae", b"."),
            replaced(&reading, b"\\", b"/"),
            reading.iter().copied().filter(|byte| !b"\t\r\n\0".contains(byte)).collect(),
            cut(&reading, b"#"),
            cut(&reading, b"?"),
            cut(&reading, b"\0"),
            by_segment(&reading, |segment| cut(segment, b";")),
            without_dots(&reading),
        ];
        if let Some((_, rest)) = split_once(&reading, b"://") {
            let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            next.push(rest[slash..].to_vec());
        }
        if folds_case {
            next.push(reading.to_ascii_lowercase());
        }
        for reading in next {
            if found.len() < MAX_READINGS && found.insert(reading.clone()) {
                open.push(reading);
            }
        }
    }
    found
}

fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    [b"/", &segments.join(&b'/')[..]].concat()
}

/// `%u002f`, as some servers decode it.
fn wide_decoded(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        let code = rest.strip_prefix(b"%u00").or_else(|| rest.strip_prefix(b"%U00")).and_then(|rest| rest.get(..2));
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        decoded.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &rest[6..] } else { after };
    }
    decoded
}

fn by_segment(path: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    path.split(|byte| *byte == b'/').map(change).collect::<Vec<_>>().join(&b'/')
}

fn cut(text: &[u8], at: &[u8]) -> Vec<u8> {
    split_once(text, at).map_or(text, |(before, _)| before).to_vec()
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = split_once(rest, from) {
        replaced.extend([before, to].concat());
        rest = after;
    }
    replaced.extend(rest);
    replaced
}

fn split_once<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let start = text.windows(at.len()).position(|window| window == at)?;
    Some((&text[..start], &text[start + at.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(target: &str) -> Vec<&'static str> {
        let headers = vec![(b"host".to_vec(), b"api.example.test".to_vec())];
        let (method, target) = (b"GET".to_vec(), target.into());
        let arrived = Arrived { method, target, headers, trailers: Vec::new(), rest: Vec::new() };
        scopes_taken(&arrived, true).into_iter().collect()
    }

    #[test]
    fn a_protected_place_is_seen_behind_every_disguise() {
        for target in [
            "/admin",
            "//admin",
            "/ADMIN/x",
            "/x/../admin",
            "/x/%2e%2e/admin",
            "/x%2f..%2fadmin",
            "/x%252f%252e./admin",
            "\\admin",
            "/x\\..\\admin",
            "/x%5c..%5cadmin",
            "/;a/admin",
            "/x/..;/admin",
            "/admin;x=1",
            "/admin%3bx",
            "/admin#x",
            "/admin%23x",
            "/admin%3fx",
            "/admin%00.html",
            "/%61dmin",
            "/ad\tmin",
            "/%u0061dmin",
            "/x/..%c0%afadmin",
            "http://h/admin",
            "admin",
            "/x/%252e%252e%252fadmin?q",
        ] {
            assert_eq!(taken(target), ["admin"], "{target}");
        }
        for target in [
            "/public",
            "/",
            "/public/admin",
            "/administrator",
            "/public?/../admin",
            "/public?u=http://console.example.test/admin",
            "/x/../public",
            "*",
        ] {
            assert_eq!(taken(target), [""; 0], "{target}");
        }
    }
}
