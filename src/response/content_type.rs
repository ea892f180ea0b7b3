//! Content types of response bodies.

/// The content type of a body. It determines how values are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentType {
    Json,
    ProblemJson,
    Text,
    Html,
}

impl ContentType {
    pub(crate) const WORDS: [(&str, Self); 4] = [
        ("application/json", Self::Json),
        ("application/problem+json", Self::ProblemJson),
        ("text/plain", Self::Text),
        ("text/html", Self::Html),
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::ProblemJson => "application/problem+json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }
}
