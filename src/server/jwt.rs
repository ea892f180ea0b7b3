//! Validation of JWT access tokens (RFC 9068, and less strict formats): type, algorithm, claims.
//!
//! The signature is verified last, because that costs most. No claim is trusted before.

use std::time::Duration;

use super::jwks::source::JwksSource;
use crate::base::{Json, UnixTime};
use crate::claims::{ClaimMapping, Claims, RequestedClaims, TokenKind};
use crate::decision::Denial;
use crate::jose::{Algorithm, Jws};

/// The settings for JWTs of an authorization server.
#[derive(Debug)]
pub(crate) struct JwtSettings {
    pub(crate) keys: JwksSource,
    pub(crate) algorithms: Vec<Algorithm>,
    /// Accepted values of `typ`, in lower case and without `application/`.
    pub(crate) types: Vec<String>,
    /// The tolerance for `nbf` and `iat` in the future.
    pub(crate) leeway: Duration,
    pub(crate) requires_exp: bool,
    /// Whether tokens with a valid signature are introspected as well.
    pub(crate) introspects: bool,
    /// The mapping of claims.
    pub(crate) claims: ClaimMapping,
}

impl JwtSettings {
    /// Returns the claims of a token that this server could have issued as an access token. The caller must still
    /// verify the signature.
    ///
    /// # Errors
    /// The reason why the token is refused, whatever its signature.
    pub(crate) fn read(
        &self,
        jws: &Jws<'_>,
        issuer: &str,
        requested: &RequestedClaims,
        now: UnixTime,
    ) -> Result<Claims, Denial> {
        if !self.algorithms.contains(&jws.algorithm) {
            return Err(Denial::MalformedJwt);
        }
        // Access tokens state their type (RFC 9068 §2.1). ID tokens and logout tokens have `JWT`, their own type, or
        // none, which means `JWT`.
        let kind = jws.kind.as_deref().unwrap_or("jwt");
        if !self.types.iter().any(|accepted| accepted == kind) {
            return Err(Denial::NotAnAccessToken);
        }
        let member = |name: &str| jws.members.iter().find(|(held, _)| held == name).map(|(_, value)| value);
        if FOREIGN_CLAIMS.iter().any(|name| member(name).is_some()) {
            return Err(Denial::NotAnAccessToken);
        }
        let claims =
            Claims::from_members(&jws.members, &self.claims, requested, now).map_err(|_| Denial::MalformedJwt)?;
        if claims.kind == TokenKind::NotAccess {
            return Err(Denial::NotAnAccessToken);
        }
        if claims.issuer.as_deref() != Some(issuer) {
            return Err(Denial::WrongIssuer);
        }
        match claims.expires_at {
            None if self.requires_exp => return Err(Denial::MalformedJwt),
            Some(expires_at) if now >= expires_at => return Err(Denial::Expired),
            None | Some(_) => {}
        }
        let is_in_future =
            |value: &Json| value.as_f64().is_none_or(|time| seconds(now.saturating_add(self.leeway)) < time);
        if member("iat").is_some_and(is_in_future) {
            return Err(Denial::NotYetValid);
        }
        Ok(claims)
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of this century are exact in an f64")]
fn seconds(time: UnixTime) -> f64 {
    time.as_secs() as f64
}

/// Claims of ID tokens (OpenID Connect Core §2, §3.3.2.11) and of logout tokens (Back-Channel Logout §2.4) that access
/// tokens never have.
const FOREIGN_CLAIMS: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Header;

    const START: UnixTime = UnixTime::from_secs(1_000_000);

    #[test]
    fn invalid_jwts_are_refused_before_signature_verification() {
        use base64::Engine;
        let text = r#"{"authorization_servers":[{"name":"a","cluster":"c","issuer":"https://as.test","audience":["x"],
            "jwt":{"jwks_path":"/jwks"}}],"rules":[{"name":"r","match":[{"path":"/"}],"require":{"authenticated":true}}]}"#;
        let config = crate::config::Config::parse(text.as_bytes(), &|_| None).unwrap();
        let jwt = config.servers[0].jwt.clone().unwrap();
        let read = |header: &str, payload: &str| {
            let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
            let token = format!("{}.{}.c2ln", encode(header), encode(payload));
            let jws = Jws::parse(&token, &Header::of(&token).unwrap()).unwrap();
            jwt.read(&jws, "https://as.test", &RequestedClaims::default(), START).map(|claims| claims.client_id)
        };
        let (header, good) = (r#"{"alg":"RS256","typ":"at+jwt"}"#, r#""iss":"https://as.test","exp":1000060"#);
        let with = |more: &str| format!("{{{good}{more}}}");
        assert_eq!(read(header, &with(r#","azp":"web""#)), Ok(Some("web".to_owned())));
        assert_eq!(read(r#"{"alg":"ES256","typ":"application/AT+JWT"}"#, &with(r#","iat":1000030"#)), Ok(None));
        for (header, payload, denial) in [
            (r#"{"alg":"PS256","typ":"at+jwt"}"#, with(""), Denial::MalformedJwt),
            (r#"{"alg":"RS256","typ":"JWT"}"#, with(""), Denial::NotAnAccessToken),
            (r#"{"alg":"RS256"}"#, with(""), Denial::NotAnAccessToken),
            (header, with(r#","nonce":"n""#), Denial::NotAnAccessToken),
            (header, with(r#","events":{}"#), Denial::NotAnAccessToken),
            (header, with(r#","token_use":"id""#), Denial::NotAnAccessToken),
            (header, with(r#","aud":7"#), Denial::MalformedJwt),
            (header, with(r#","iat":1000031"#), Denial::NotYetValid),
            (header, with(r#","iat":"1""#), Denial::NotYetValid),
            (header, r#"{"iss":"https://as.test"}"#.to_owned(), Denial::MalformedJwt),
            (header, r#"{"iss":"https://as.test","exp":1000000}"#.to_owned(), Denial::Expired),
            (header, r#"{"iss":"https://as.test/","exp":1000060}"#.to_owned(), Denial::WrongIssuer),
            (header, r#"{"exp":1000060}"#.to_owned(), Denial::WrongIssuer),
        ] {
            assert_eq!(read(header, &payload), Err(denial), "{header} {payload}");
        }
    }
}
