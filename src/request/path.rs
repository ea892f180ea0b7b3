//! The path of a request target (RFC 3986 §3.3): decoded once, compared by whole segments.
//!
//! Envoy and the upstream may decode and normalize a path differently. A path that they could interpret differently is
//! rejected, so that the authorized path is the served path. The query is ignored.

/// Options for parsing paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathOptions {
    /// Accept `%2F` as data inside a segment. It never separates segments.
    pub(crate) allow_encoded_slash: bool,
}

/// The segments of an absolute path, percent-decoded. `/` has one empty segment; `/a/` has two segments, the last one
/// empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    segments: Vec<PathSegment>,
}

/// One segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathSegment {
    decoded: String,
    /// The encoded form, if it differs.
    raw: Option<String>,
}

impl PathSegment {
    pub(crate) fn decoded(&self) -> &str {
        &self.decoded
    }

    /// Returns the encoded form.
    pub(crate) fn raw(&self) -> &str {
        self.raw.as_deref().unwrap_or(&self.decoded)
    }
}

/// Why a path is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// There is no `:path`, as in CONNECT.
    Missing,
    /// It does not start with `/`; examples are `*` and an absolute URI.
    NotAbsolute,
    /// A `.` or `..` segment, plain or encoded.
    DotSegment,
    /// `//`
    EmptySegment,
    /// `%2F` where `paths.allow_encoded_slash` is not set.
    EncodedSlash,
    /// `\`, plain or encoded.
    Backslash,
    /// `;`, plain or encoded: some applications cut off path parameters.
    Semicolon,
    /// `%` without two hexadecimal digits.
    BadEscape,
    /// A literal segment of the rule is percent-encoded in another way than in the rule. Envoy's routes compare the
    /// encoded form, applications the decoded one.
    OtherSpelling,
    /// An escape that decodes to another escape.
    DoubleEscape,
    /// A control byte, a space, or a byte outside ASCII; or an encoded control byte. Also `#`, plain or encoded, and an
    /// encoded `?`: some applications cut off the rest.
    ForbiddenByte,
    /// Escapes that do not decode to UTF-8.
    NotUtf8,
}

impl PathError {
    /// Returns the word for logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "path_missing",
            Self::NotAbsolute => "path_not_absolute",
            Self::DotSegment => "path_dot_segment",
            Self::EmptySegment => "path_empty_segment",
            Self::EncodedSlash => "path_encoded_slash",
            Self::Backslash => "path_backslash",
            Self::Semicolon => "path_semicolon",
            Self::BadEscape => "path_bad_escape",
            Self::OtherSpelling => "path_other_spelling",
            Self::DoubleEscape => "path_double_escape",
            Self::ForbiddenByte => "path_forbidden_byte",
            Self::NotUtf8 => "path_not_utf8",
        }
    }
}

impl Path {
    /// Parses the path of a `:path` value, up to a `?`.
    pub(crate) fn parse(target: &[u8], options: PathOptions) -> Result<Self, PathError> {
        let path = target.split(|b| *b == b'?').next().unwrap_or_default();
        let Some((b'/', relative)) = path.split_first() else {
            return Err(PathError::NotAbsolute);
        };
        let mut segments = Vec::new();
        let mut raw = relative.split(|b| *b == b'/').peekable();
        while let Some(segment) = raw.next() {
            if segment.is_empty() && raw.peek().is_some() {
                return Err(PathError::EmptySegment);
            }
            segments.push(decode(segment, options)?);
        }
        Ok(Self { segments })
    }

    pub(crate) fn segments(&self) -> &[PathSegment] {
        &self.segments
    }
}

fn decode(raw: &[u8], options: PathOptions) -> Result<PathSegment, PathError> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        let (byte, escaped) = match byte {
            b'%' => (escape(bytes.next(), bytes.next()).ok_or(PathError::BadEscape)?, true),
            _ => (byte, false),
        };
        match byte {
            b'/' if !options.allow_encoded_slash => return Err(PathError::EncodedSlash),
            b'\\' => return Err(PathError::Backslash),
            b';' => return Err(PathError::Semicolon),
            0..=0x1f | 0x7f => return Err(PathError::ForbiddenByte),
            // Some servers decode a path before they cut off query and fragment.
            b'?' | b'#' => return Err(PathError::ForbiddenByte),
            b' ' | 0x80.. if !escaped => return Err(PathError::ForbiddenByte),
            _ => decoded.push(byte),
        }
    }
    let decoded = String::from_utf8(decoded).map_err(|_| PathError::NotUtf8)?;
    // If encoded slashes are allowed, a segment may contain several names. None of them may be a dot segment.
    if decoded.split('/').any(|name| name == "." || name == "..") {
        return Err(PathError::DotSegment);
    }
    let twice = decoded
        .as_bytes()
        .windows(3)
        .any(|w| matches!(w, [b'%', high, low] if escape(Some(*high), Some(*low)).is_some()));
    if twice {
        return Err(PathError::DoubleEscape);
    }
    let raw = (decoded.as_bytes() != raw).then(|| String::from_utf8_lossy(raw).into_owned());
    Ok(PathSegment { decoded, raw })
}

fn escape(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |b: Option<u8>| char::from(b?).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(path: Path) -> Vec<String> {
        path.segments.into_iter().map(|segment| segment.decoded).collect()
    }

    fn parse(path: &str) -> Result<Vec<String>, PathError> {
        Path::parse(path.as_bytes(), PathOptions::default()).map(decoded)
    }

    #[test]
    fn path_is_decoded_once_into_segments() {
        for (path, segments) in [
            ("/", &[""][..]),
            ("/bookings", &["bookings"]),
            ("/bookings/", &["bookings", ""]),
            ("/bookings/7?x=/../..%2f;#", &["bookings", "7"]),
            ("/%7Euser/%62ookings", &["~user", "bookings"]),
            ("/caf%C3%A9/a%20b", &["café", "a b"]),
            ("/100%25", &["100%"]),
            ("/.well-known/...", &[".well-known", "..."]),
            ("/a:b@c,d+e~f", &["a:b@c,d+e~f"]),
        ] {
            assert_eq!(parse(path).unwrap(), segments, "{path}");
        }
    }

    #[test]
    fn ambiguous_paths_are_rejected() {
        use PathError::*;
        for (path, error) in [
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("http://host/bookings", NotAbsolute),
            ("?", NotAbsolute),
            ("/a/./b", DotSegment),
            ("/a/..", DotSegment),
            ("/a/%2e%2E/b", DotSegment),
            ("/a/.%2e", DotSegment),
            ("//a", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a//", EmptySegment),
            ("/a%2fb", EncodedSlash),
            ("/a%2Fb", EncodedSlash),
            ("/a\\b", Backslash),
            ("/a%5cb", Backslash),
            ("/a;x=1", Semicolon),
            ("/..;/a", Semicolon),
            ("/a%3Bb", Semicolon),
            ("/a%", BadEscape),
            ("/a%2", BadEscape),
            ("/a%zz", BadEscape),
            ("/a%+1", BadEscape),
            ("/a%u002f", BadEscape),
            ("/a%%32%66", BadEscape),
            ("/a%252fb", DoubleEscape),
            ("/a%25%32%66b", DoubleEscape),
            ("/a%00", ForbiddenByte),
            ("/a%0d%0a", ForbiddenByte),
            ("/a%7f", ForbiddenByte),
            ("/a\tb", ForbiddenByte),
            ("/a b", ForbiddenByte),
            ("/a#b", ForbiddenByte),
            ("/a%23b", ForbiddenByte),
            ("/a%3fb", ForbiddenByte),
            ("/a%3F", ForbiddenByte),
            ("/café", ForbiddenByte),
            ("/%c0%af", NotUtf8),
            ("/%c0%ae%c0%ae/", NotUtf8),
            ("/%ff", NotUtf8),
        ] {
            assert_eq!(parse(path), Err(error), "{path}");
        }
    }

    #[test]
    fn allowed_encoded_slash_does_not_separate_segments() {
        let options = PathOptions { allow_encoded_slash: true };
        let parse = |path: &str| Path::parse(path.as_bytes(), options).map(decoded);
        assert_eq!(parse("/files/a%2Fb/c").unwrap(), ["files", "a/b", "c"]);
        assert_eq!(parse("/files/%2F").unwrap(), ["files", "/"]);
        for dots in ["/a%2F..%2Fb", "/a%2f%2e%2e", "/..%2Fa", "/.%2f"] {
            assert_eq!(parse(dots), Err(PathError::DotSegment), "{dots}");
        }
        assert_eq!(parse("/a%252Fb"), Err(PathError::DoubleEscape));
        assert_eq!(parse("/a%5Cb"), Err(PathError::Backslash));
        assert_eq!(parse("/a//b"), Err(PathError::EmptySegment));
    }
}
