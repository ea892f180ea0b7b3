//! The format of introspection requests (RFC 7662 §2.1).

/// The format of the introspection request, as in RFC 7662 §2.1 or a variant of it.
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

/// Where the introspection request contains the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenIn {
    /// The form of the body.
    Form,
    /// A JSON object in the body.
    Json,
    /// The query of the URI. The token may appear in the server's access log.
    Query,
    /// The Authorization header, as a bearer token: the token is its own credential.
    Authorization,
}

impl TokenIn {
    pub(crate) const WORDS: [(&str, Self); 4] =
        [("form", Self::Form), ("json", Self::Json), ("query", Self::Query), ("authorization", Self::Authorization)];
}
