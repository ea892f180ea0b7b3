//! Templates for bodies of refusals: text with named placeholders, whose values are escaped for the content type.

use super::content_type::ContentType;

/// A body with placeholders: `{status}`, `{error}`, `{error_description}`, `{realm}`, `{scope}`. Braces around anything
/// other than lower-case words are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Status,
    Error,
    ErrorDescription,
    Realm,
    Scope,
}

const PLACEHOLDERS: [(&str, Placeholder); 5] = [
    ("status", Placeholder::Status),
    ("error", Placeholder::Error),
    ("error_description", Placeholder::ErrorDescription),
    ("realm", Placeholder::Realm),
    ("scope", Placeholder::Scope),
];

/// The values of the placeholders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a> {
    pub(crate) status: u16,
    pub(crate) error: &'a str,
    pub(crate) error_description: &'a str,
    pub(crate) realm: &'a str,
    pub(crate) scope: &'a str,
}

/// Why a template is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// The placeholder is unknown.
    Unknown(String),
    /// The filled template is not valid JSON, as its content type requires.
    NotJson,
}

impl Template {
    /// Parses a template for a body with this content type.
    pub(crate) fn parse(text: &str, content_type: ContentType) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            plain.push_str(before);
            let word = after.split_once('}').filter(|(word, _)| is_word(word));
            rest = if let Some((word, behind)) = word {
                let placeholder = PLACEHOLDERS.iter().find(|(name, _)| *name == word);
                let (_, placeholder) = placeholder.ok_or_else(|| TemplateError::Unknown(word.to_owned()))?;
                parts.extend([Part::Text(std::mem::take(&mut plain)), Part::Placeholder(*placeholder)]);
                behind
            } else {
                plain.push('{');
                after
            };
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        let template = Self(parts);
        let probe = Values { status: 400, error: "e", error_description: "d", realm: "r", scope: "s" };
        let filled = template.fill(&probe, content_type);
        match content_type {
            ContentType::Json | ContentType::ProblemJson if crate::base::Json::parse(filled.as_bytes()).is_err() => {
                Err(TemplateError::NotJson)
            }
            ContentType::Json | ContentType::ProblemJson | ContentType::Text | ContentType::Html => Ok(template),
        }
    }

    /// Returns the body with the values filled in.
    pub(crate) fn fill(&self, values: &Values<'_>, content_type: ContentType) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Placeholder(placeholder) => escape(&values.of(*placeholder), content_type),
        };
        self.0.iter().map(part).collect()
    }
}

impl Values<'_> {
    fn of(&self, placeholder: Placeholder) -> String {
        match placeholder {
            Placeholder::Status => self.status.to_string(),
            Placeholder::Error => self.error.to_owned(),
            Placeholder::ErrorDescription => self.error_description.to_owned(),
            Placeholder::Realm => self.realm.to_owned(),
            Placeholder::Scope => self.scope.to_owned(),
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// Escapes a value for use in a JSON string, in HTML text or attributes, or in plain text.
fn escape(value: &str, content_type: ContentType) -> String {
    match content_type {
        ContentType::Json | ContentType::ProblemJson => {
            let quoted = serde_json::Value::from(value).to_string();
            quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
        }
        ContentType::Html => value
            .chars()
            .map(|c| match c {
                '&' => "&amp;".to_owned(),
                '<' => "&lt;".to_owned(),
                '>' => "&gt;".to_owned(),
                '"' => "&quot;".to_owned(),
                '\'' => "&#39;".to_owned(),
                c => c.to_string(),
            })
            .collect(),
        ContentType::Text => value.chars().filter(|c| !c.is_control()).collect(),
    }
}

/// Returns the body for a profile without a template.
pub(super) fn standard(values: &Values<'_>, content_type: ContentType) -> String {
    let escape = |text| escape(text, content_type);
    let (error, description) = (escape(values.error), escape(values.error_description));
    match content_type {
        ContentType::Json => format!("{{\"error\":\"{error}\",\"error_description\":\"{description}\"}}"),
        ContentType::ProblemJson => format!(
            "{{\"type\":\"about:blank\",\"title\":\"{}\",\"status\":{},\"detail\":\"{description}\",\"error\":\"{error}\"}}",
            title(values.status),
            values.status,
        ),
        ContentType::Text => description,
        ContentType::Html => format!("<!DOCTYPE html><title>{description}</title><p>{description}</p>"),
    }
}

/// Returns the reason phrase of a status (RFC 9110 §15), which RFC 9457 §4.2.1 recommends as title.
const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Refused",
    }
}
