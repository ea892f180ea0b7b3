//! How the introspection request of a server looks (RFC 7662 §2.1).

/// The request of RFC 7662 §2.1, or what stands in its place.
#[derive(Clone, Debug)]
pub(crate) struct RequestFormat {
    pub(crate) method: &'static str,
    pub(crate) token_in: TokenIn,
    /// The name of the parameter or JSON member that carries the token.
    pub(crate) token_parameter: String,
    /// Further parameters, such as `token_type_hint`.
    pub(crate) parameters: Vec<(String, String)>,
    /// The Accept header.
    pub(crate) accept: String,
}

/// Where a request carries the token that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenIn {
    /// The form of the body.
    Form,
    /// A JSON object in the body.
    Json,
    /// The query of the URI: the token may end up in the server's access log.
    Query,
    /// The Authorization header, as a bearer token: it is its own credential.
    Authorization,
}

impl TokenIn {
    pub(crate) const WORDS: [(&str, Self); 4] =
        [("form", Self::Form), ("json", Self::Json), ("query", Self::Query), ("authorization", Self::Authorization)];
}
