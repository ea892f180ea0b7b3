//! A strict parser for JWTs as JWS in compact serialization (RFC 7515 §7.1). It verifies nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Algorithm;
use crate::base::Json;

/// A parsed token.
pub(crate) struct Jws<'t> {
    pub(crate) algorithm: Algorithm,
    /// `kid`: the key that signed the token, by its own account.
    pub(crate) key_id: Option<String>,
    /// `typ`, without `application/` (RFC 7515 §4.1.9), in lower case.
    pub(crate) kind: Option<String>,
    /// The claims.
    pub(crate) members: Vec<(String, Json)>,
    /// The signed text: header and payload as sent.
    pub(crate) signing_input: &'t str,
    pub(crate) signature: Vec<u8>,
}

/// The header of a token in the form of a JWS.
pub(crate) struct Header(Json);

impl Header {
    /// Parses the first of three parts, a JSON object with `alg`. Returns `None` for opaque tokens, which include
    /// encrypted tokens of five parts.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let header = Json::parse(&decode(header)?).ok()?;
        header.member("alg").is_some().then_some(Self(header))
    }

    /// Returns the algorithm of the header, if it is supported.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::parse(self.0.member("alg")?.as_str()?)
    }
}

impl<'t> Jws<'t> {
    /// Parses a token with this header. Returns `None` if the token can never be accepted: if it has other than three
    /// parts, base64url that is padded or not canonical, JSON with duplicate names, an unsupported algorithm, or a
    /// `crit` or `b64` extension (RFC 7515 §4.1.11, RFC 7797). Keys in the header (`jwk`, `jku`, `x5c`, `x5u`) are
    /// ignored: keys come from the authorization server.
    pub(crate) fn parse(token: &'t str, header: &Header) -> Option<Self> {
        let (signing_input, signature) = token.rsplit_once('.')?;
        let (_, payload) = signing_input.split_once('.')?;
        let algorithm = header.algorithm()?;
        let Header(header) = header;
        if payload.contains('.') || header.has_duplicate_names() {
            return None;
        }
        if header.member("crit").is_some() || header.member("b64").is_some() {
            return None;
        }
        // A missing member is valid, a member of another type is not.
        let text = |name: &str| match header.member(name) {
            None => Some(None),
            Some(value) => value.as_str().map(|text| Some(text.to_owned())),
        };
        Some(Self {
            algorithm,
            key_id: text("kid")?,
            kind: text("typ")?.map(|kind| {
                let kind = kind.to_ascii_lowercase();
                kind.strip_prefix("application/").map_or(kind.clone(), str::to_owned)
            }),
            members: object(&decode(payload)?)?,
            signing_input,
            signature: decode(signature)?,
        })
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

fn object(json: &[u8]) -> Option<Vec<(String, Json)>> {
    let json = Json::parse(json).ok()?;
    if json.has_duplicate_names() {
        return None;
    }
    if let Json::Object(members) = json { Some(members) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jws(header: &str, payload: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    fn parse(token: &str) -> Option<Jws<'_>> {
        Jws::parse(token, &Header::of(token)?)
    }

    #[test]
    fn all_parts_of_a_token_are_parsed() {
        let token = jws(r#"{"alg":"ES256","kid":"k","typ":"application/AT+JWT"}"#, r#"{"sub":"a"}"#);
        let parsed = parse(&token).unwrap();
        assert_eq!((parsed.algorithm, parsed.key_id.as_deref()), (Algorithm::Es256, Some("k")));
        assert_eq!(parsed.kind.as_deref(), Some("at+jwt"));
        assert_eq!((parsed.members.len(), parsed.signature.as_slice()), (1, &b"sig"[..]));
        assert_eq!(parsed.signing_input, token.rsplit_once('.').unwrap().0);
    }

    #[test]
    fn unacceptable_tokens_are_rejected() {
        let good = r#"{"alg":"RS256"}"#;
        for token in [
            jws(r#"{"alg":"none"}"#, "{}"),
            jws(r#"{"alg":"HS256"}"#, "{}"),
            jws(r#"{"alg":"rs256"}"#, "{}"),
            jws(r#"{"alg":["RS256"]}"#, "{}"),
            jws(r#"{"alg":"none","alg":"RS256"}"#, "{}"),
            jws(r#"{"alg":"RS256","crit":["exp"]}"#, "{}"),
            jws(r#"{"alg":"RS256","crit":[]}"#, "{}"),
            jws(r#"{"alg":"RS256","b64":false}"#, "{}"),
            jws(r#"{"alg":"RS256","kid":1}"#, "{}"),
            jws(r#"{"alg":"RS256","typ":null}"#, "{}"),
            jws("{}", "{}"),
            jws("[]", "{}"),
            jws(good, "[]"),
            jws(good, r#"{"sub":"a","sub":"b"}"#),
            jws(good, r#"{"x":{"a":1,"a":2}}"#),
            jws(good, "{"),
            format!("{}.x", jws(good, "{}")),
            jws(good, "{}").rsplit_once('.').unwrap().0.to_owned(),
            // Padding, and non-zero trailing bits.
            jws(good, "{}").replace("e30", "e30="),
            jws(good, "{}").replace("e30", "e31"),
            jws(good, "{}").replace("c2ln", "c2lnYh"),
            jws(good, "{}").replace("c2ln", "c2l+"),
            String::new(),
            "..".to_owned(),
        ] {
            assert!(parse(&token).is_none(), "{token}");
        }
        assert!(parse(&jws(good, "{}").replace("c2ln", "c2lnYg")).is_some());
    }

    #[test]
    fn only_three_parts_with_an_algorithm_form_a_jws() {
        assert!(Header::of(&jws(r#"{"alg":"none"}"#, "x")).is_some());
        for opaque in ["", "a.b.c", "e30.e30.x", "a", &format!("{}.a.b", jws(r#"{"alg":"RS256"}"#, "{}"))] {
            assert!(Header::of(opaque).is_none(), "{opaque}");
        }
    }
}
