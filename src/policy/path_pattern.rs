//! Path patterns: whole segments, literal or `{parameter}`, matched exactly or as a prefix that ends on a segment
//! boundary.

use crate::request::{Path, PathError, PathOptions, PathSegment};

/// A rule's `path` or `path_prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathPattern {
    segments: Vec<Segment>,
    /// Whether further segments may follow.
    prefix: bool,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(PathSegment),
    /// Exactly one non-empty segment, and the name of the parameter.
    Parameter(String),
}

/// Why a path pattern is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatternError {
    /// Requests with this path are rejected.
    Path(PathError),
    /// `*` as a wildcard.
    Wildcard,
    /// Braces that do not enclose a whole segment.
    Braces,
    /// A query.
    Query,
    /// A prefix that ends with `/`.
    TrailingSlash,
    /// Two parameters with the same name.
    SameName,
}

impl PathPattern {
    pub(crate) fn exact(text: &str, options: PathOptions) -> Result<Self, PatternError> {
        let segments = parse(text, options)?;
        Ok(Self { segments, prefix: false })
    }

    pub(crate) fn prefix(text: &str, options: PathOptions) -> Result<Self, PatternError> {
        let mut segments = parse(text, options)?;
        if text == "/" {
            segments.clear();
        } else if text.ends_with('/') {
            return Err(PatternError::TrailingSlash);
        }
        Ok(Self { segments, prefix: true })
    }

    pub(crate) fn matches(&self, path: &Path) -> bool {
        let segments = path.segments();
        (if self.prefix { segments.len() >= self.segments.len() } else { segments.len() == self.segments.len() })
            && self.segments.iter().zip(segments).all(|(pattern, segment)| match pattern {
                Segment::Literal(literal) => literal.decoded() == segment.decoded(),
                Segment::Parameter(_) => !segment.decoded().is_empty(),
            })
    }

    /// Returns whether a matching path encodes its literal segments as the pattern does. Envoy's routes compare the
    /// encoded form: with another encoding, another route than that of the rule may serve the request.
    pub(crate) fn spells(&self, path: &Path) -> bool {
        self.segments.iter().zip(path.segments()).all(|(pattern, segment)| match pattern {
            Segment::Literal(literal) => literal.raw() == segment.raw(),
            Segment::Parameter(_) => true,
        })
    }

    /// Returns the decoded segment for the parameter `{name}`.
    pub(crate) fn parameter<'p>(&self, name: &str, path: &'p Path) -> Option<&'p str> {
        let named = |segment: &Segment| matches!(segment, Segment::Parameter(held) if held == name);
        let found = self.segments.iter().zip(path.segments()).find(|(pattern, _)| named(pattern));
        found.map(|(_, segment)| segment.decoded())
    }

    /// Returns whether the pattern has the parameter `{name}`.
    pub(crate) fn has_parameter(&self, name: &str) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Parameter(held) if held == name))
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether further segments may follow.
    pub(super) fn is_prefix(&self) -> bool {
        self.prefix
    }
}

fn parse(text: &str, options: PathOptions) -> Result<Vec<Segment>, PatternError> {
    if text.contains('?') {
        return Err(PatternError::Query);
    }
    let path = Path::parse(text.as_bytes(), options).map_err(PatternError::Path)?;
    let segment = |segment: &PathSegment| {
        let text = segment.decoded();
        if text == "*" || text == "**" {
            Err(PatternError::Wildcard)
        } else if !text.contains(['{', '}']) {
            Ok(Segment::Literal(segment.clone()))
        } else {
            parameter(text).map(|name| Segment::Parameter(name.to_owned())).ok_or(PatternError::Braces)
        }
    };
    let segments: Vec<Segment> = path.segments().iter().map(segment).collect::<Result<_, _>>()?;
    let mut names = Vec::new();
    for segment in &segments {
        if let Segment::Parameter(name) = segment {
            if names.contains(&name) {
                return Err(PatternError::SameName);
            }
            names.push(name);
        }
    }
    Ok(segments)
}

fn parameter(text: &str) -> Option<&str> {
    let name = text.strip_prefix('{')?.strip_suffix('}')?;
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    valid.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: PathOptions = PathOptions { allow_encoded_slash: false };

    fn matches(pattern: Result<PathPattern, PatternError>, path: &str) -> bool {
        pattern.unwrap().matches(&Path::parse(path.as_bytes(), OPTIONS).unwrap())
    }

    #[test]
    fn exact_paths_match_whole_segments() {
        let exact = |text| PathPattern::exact(text, OPTIONS);
        for (pattern, path, expected) in [
            ("/bookings", "/bookings", true),
            ("/bookings", "/bookings?x", true),
            ("/caf%C3%A9", "/caf%c3%a9", true),
            ("/bookings", "/%62ookings", true),
            ("/bookings", "/Bookings", false),
            ("/bookings", "/bookings/", false),
            ("/bookings", "/bookings/7", false),
            ("/bookings/", "/bookings/", true),
            ("/bookings/{id}", "/bookings/7", true),
            ("/bookings/{id}", "/bookings/a%20b", true),
            ("/bookings/{id}", "/bookings/", false),
            ("/bookings/{id}", "/bookings", false),
            ("/bookings/{id}", "/bookings/7/8", false),
            ("/{a}/x/{b}", "/1/x/2", true),
            ("/{a}/x/{b}", "/1/y/2", false),
            ("/", "/", true),
            ("/", "/a", false),
        ] {
            assert_eq!(matches(exact(pattern), path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn literal_segments_must_have_the_same_encoding() {
        for (pattern, path, expected) in [
            ("/bookings/{id}", "/bookings/%37", true),
            ("/bookings/{id}", "/%62ookings/7", false),
            ("/caf%C3%A9", "/caf%C3%A9/%7E", true),
            ("/caf%C3%A9", "/caf%c3%a9", false),
            ("/@me", "/@me", true),
            ("/@me", "/%40me", false),
        ] {
            let pattern = PathPattern::prefix(pattern, OPTIONS).unwrap();
            assert_eq!(pattern.spells(&Path::parse(path.as_bytes(), OPTIONS).unwrap()), expected, "{path}");
        }
    }

    #[test]
    fn prefixes_end_on_a_segment_boundary() {
        let prefix = |text| PathPattern::prefix(text, OPTIONS);
        for (pattern, path, expected) in [
            ("/api", "/api", true),
            ("/api", "/api/", true),
            ("/api", "/api/a/b", true),
            ("/api", "/apis", false),
            ("/api", "/", false),
            ("/", "/", true),
            ("/", "/a/b", true),
            ("/t/{t}/admin", "/t/1/admin/x", true),
            ("/t/{t}/admin", "/t/1/other", false),
        ] {
            assert_eq!(matches(prefix(pattern), path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn misleading_patterns_are_rejected() {
        for (text, error) in [
            ("bookings", PatternError::Path(PathError::NotAbsolute)),
            ("/a/../b", PatternError::Path(PathError::DotSegment)),
            ("/a b", PatternError::Path(PathError::ForbiddenByte)),
            ("/a/*", PatternError::Wildcard),
            ("/a/{id", PatternError::Braces),
            ("/a/{}", PatternError::Braces),
            ("/a/x{id}", PatternError::Braces),
            ("/a?b", PatternError::Query),
        ] {
            assert_eq!(PathPattern::exact(text, OPTIONS), Err(error), "{text}");
        }
        assert_eq!(PathPattern::prefix("/a/", OPTIONS), Err(PatternError::TrailingSlash));
    }
}
