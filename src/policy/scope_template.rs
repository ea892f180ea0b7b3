//! Scope tokens with parts that the request fills in.

use super::path_pattern::PathPattern;
use crate::request::{Path, Target};
use crate::token::ScopeToken;

/// A scope token with places that the request fills: `{method}`, `{host}`, or a segment of the path by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScopeTemplate(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(String),
}

impl ScopeTemplate {
    /// Parses a template; `None` if its braces do not pair up around names.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}')?;
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
            if !is_name || before.contains('}') {
                return None;
            }
            parts.extend([Part::Text(before.to_owned()), Part::Place(name.to_owned())]);
            rest = behind;
        }
        if rest.contains('}') {
            return None;
        }
        parts.push(Part::Text(rest.to_owned()));
        Some(Self(parts))
    }

    /// The names of the path segments it asks for.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Place(name) if !BUILT_IN.contains(&name.as_str()) => Some(name.as_str()),
            Part::Place(_) | Part::Text(_) => None,
        })
    }

    /// Whether it has any place at all, and everything else could stand in a scope token.
    pub(crate) fn is_sound(&self) -> bool {
        let texts_are_sound = self.0.iter().all(|part| match part {
            Part::Text(text) => text.is_empty() || ScopeToken::parse(text).is_ok(),
            Part::Place(_) => true,
        });
        let apart = |text: &str| text.contains(|c: char| !c.is_alphanumeric());
        // Between two places something must stand that neither can hold.
        let inner = self.0.iter().skip(1).take(self.0.len().saturating_sub(2));
        let places_are_apart = inner.filter_map(|part| match part {
            Part::Text(text) => Some(text),
            Part::Place(_) => None,
        });
        texts_are_sound
            && places_are_apart.clone().all(|text| apart(text))
            && self.0.iter().any(|part| matches!(part, Part::Place(_)))
    }

    /// Whether a segment of the path stays within its place: with a `.` or `*` it would reach other places in the
    /// hierarchy, and of two segments with what separates them one could pretend to be the other.
    pub(super) fn keeps_apart(&self, value: &str) -> bool {
        let several = self.segments().count() > 1;
        let separates = |c: char| {
            let in_text = |part: &Part| matches!(part, Part::Text(text) if text.contains(c));
            several && !c.is_alphanumeric() && self.0.iter().any(in_text)
        };
        !value.contains(|c: char| c == '.' || c == '*' || separates(c))
    }

    /// The scope token for a request; `None` if what fills a place cannot stand in one.
    pub(super) fn fill(&self, target: &Target<'_>, pattern: Option<&PathPattern>) -> Option<ScopeToken> {
        let mut filled = String::new();
        for part in &self.0 {
            let value = match part {
                Part::Text(text) => text,
                Part::Place(name) => match name.as_str() {
                    "method" => std::str::from_utf8(target.method).ok()?,
                    "host" => target.host.name(),
                    name => segment(name, &target.path, pattern).filter(|value| self.keeps_apart(value))?,
                },
            };
            // An empty value would make another scope than the one that was meant.
            if value.is_empty() && matches!(part, Part::Place(_)) {
                return None;
            }
            filled.push_str(value);
        }
        ScopeToken::parse(&filled).ok()
    }
}

fn segment<'t>(name: &str, path: &'t Path, pattern: Option<&PathPattern>) -> Option<&'t str> {
    pattern?.parameter(name, path)
}

/// Places that every request fills.
const BUILT_IN: [&str; 2] = ["method", "host"];
