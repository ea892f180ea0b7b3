//! Scope templates: scope tokens with placeholders that the request fills.

use super::path_pattern::PathPattern;
use crate::request::{Path, Target};
use crate::token::ScopeToken;

/// A scope token with placeholders: `{method}`, `{host}`, or the name of a path parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScopeTemplate(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(String),
}

impl ScopeTemplate {
    /// Parses a template; `None` if its braces do not enclose names.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}')?;
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
            if !is_name || before.contains('}') {
                return None;
            }
            parts.extend([Part::Text(before.to_owned()), Part::Placeholder(name.to_owned())]);
            rest = behind;
        }
        if rest.contains('}') {
            return None;
        }
        parts.push(Part::Text(rest.to_owned()));
        Some(Self(parts))
    }

    /// Returns the names of the path parameters that it uses.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Placeholder(name) if !BUILT_IN.contains(&name.as_str()) => Some(name.as_str()),
            Part::Placeholder(_) | Part::Text(_) => None,
        })
    }

    /// Returns whether it has a placeholder, its text is valid in a scope token, and its placeholders are separated
    /// unambiguously.
    pub(crate) fn is_sound(&self) -> bool {
        let texts_are_sound = self.0.iter().all(|part| match part {
            Part::Text(text) => text.is_empty() || ScopeToken::parse(text).is_ok(),
            Part::Placeholder(_) => true,
        });
        let apart = |text: &str| text.contains(|c: char| !c.is_alphanumeric());
        // Between two placeholders, the text must contain a character that the value of neither can contain.
        let inner = self.0.iter().skip(1).take(self.0.len().saturating_sub(2));
        let placeholders_are_apart = inner.filter_map(|part| match part {
            Part::Text(text) => Some(text),
            Part::Placeholder(_) => None,
        });
        texts_are_sound
            && placeholders_are_apart.clone().all(|text| apart(text))
            && self.0.iter().any(|part| matches!(part, Part::Placeholder(_)))
    }

    /// Returns whether a path segment is a safe value. `.` and `*` would select other scopes in a hierarchy. With
    /// several parameters, a value with a separator of the template could imitate another combination of values.
    pub(super) fn keeps_apart(&self, value: &str) -> bool {
        let several = self.segments().count() > 1;
        let separates = |c: char| {
            let in_text = |part: &Part| matches!(part, Part::Text(text) if text.contains(c));
            several && !c.is_alphanumeric() && self.0.iter().any(in_text)
        };
        !value.contains(|c: char| c == '.' || c == '*' || separates(c))
    }

    /// Returns the scope token for a request; `None` if a value is not valid in a scope token.
    pub(super) fn fill(&self, target: &Target<'_>, pattern: Option<&PathPattern>) -> Option<ScopeToken> {
        let mut filled = String::new();
        for part in &self.0 {
            let value = match part {
                Part::Text(text) => text,
                Part::Placeholder(name) => match name.as_str() {
                    "method" => std::str::from_utf8(target.method).ok()?,
                    "host" => target.host.name(),
                    name => segment(name, &target.path, pattern).filter(|value| self.keeps_apart(value))?,
                },
            };
            // An empty value would result in another scope than intended.
            if value.is_empty() && matches!(part, Part::Placeholder(_)) {
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

/// Placeholders with a value for every request.
const BUILT_IN: [&str; 2] = ["method", "host"];
