//! The Authorization header (RFC 6750 §2.1).

use super::b64token::{CredentialsError, token};
use crate::token::AccessToken;

/// Reads the values of all Authorization headers. `None` if there is none, or if its scheme is not one of `schemes`.
pub(super) fn find<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
    schemes: &[String],
    max_bytes: usize,
) -> Result<Option<AccessToken>, CredentialsError> {
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let value = value.trim_ascii();
    if values.next().is_some() {
        return Err(CredentialsError::Several);
    }
    let mut parts = value.splitn(2, |b| *b == b' ');
    let scheme = parts.next().unwrap_or_default();
    let is_accepted = schemes.iter().any(|accepted| accepted.as_bytes().eq_ignore_ascii_case(scheme));
    let credentials = parts.next().unwrap_or_default().trim_ascii_start();
    // A valid token contains no `,`, so it is not a list. This common case scans the value only once.
    let found = if is_accepted { token(credentials, max_bytes).map(Some) } else { Ok(None) };
    match found {
        Ok(Some(token)) => Ok(Some(token)),
        _ if is_list(value) => Err(CredentialsError::Several),
        _ if value.is_empty() => Err(CredentialsError::Empty),
        found => found,
    }
}

/// Returns whether the value contains several sets of credentials: Envoy joins Authorization headers by `,`.
///
/// Within one set of credentials, the text after a `,` is a parameter, `name=`. A scheme or a token at the start of a
/// second set has no `=` after its first word.
fn is_list(value: &[u8]) -> bool {
    value.split(|b| *b == b',').skip(1).any(|item| {
        let item = item.trim_ascii();
        let end = item.iter().find(|b| matches!(b, b' ' | b'='));
        end != Some(&b'=')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, CredentialsError> {
        find(values.iter().copied(), &["Bearer".to_owned()], 32)
            .map(|token| token.map(|token| token.reveal().to_owned()))
    }

    #[test]
    fn a_bearer_token_is_found() {
        for value in ["Bearer a.b-c_d~e+f/g==", "bearer a.b-c_d~e+f/g==", "  BEARER   a.b-c_d~e+f/g== "] {
            assert_eq!(read(&[value.as_bytes()]), Ok(Some("a.b-c_d~e+f/g==".to_owned())), "{value}");
        }
        let longest = format!("Bearer {}", "x".repeat(32));
        assert_eq!(read(&[longest.as_bytes()]), Ok(Some("x".repeat(32))));
    }

    #[test]
    fn other_schemes_are_ignored() {
        assert_eq!(read(&[]), Ok(None));
        let digest = r#"Digest username="u", realm="r", nonce=n"#;
        for value in ["Basic dTpw", "DPoP abc", "Bearerabc", "Bearer\tabc", "abc", digest] {
            assert_eq!(read(&[value.as_bytes()]), Ok(None), "{value}");
        }
    }

    #[test]
    fn malformed_or_repeated_credentials_are_rejected() {
        use CredentialsError::*;
        assert_eq!(read(&[b"Bearer a", b"Bearer a"]), Err(Several));
        assert_eq!(read(&[b"Basic a", b"Bearer a"]), Err(Several));
        assert_eq!(read(&[b"Bearer a", b""]), Err(Several));
        for joined in ["Bearer a,Bearer a", "Basic a, bearer b", "Bearer a,", "Basic a,b", "Basic a,Basic b=="] {
            assert_eq!(read(&[joined.as_bytes()]), Err(Several), "{joined}");
        }
        for value in [&b""[..], b"  ", b"Bearer", b"Bearer ", b"bearer   "] {
            assert_eq!(read(&[value]), Err(Empty), "{value:?}");
        }
        for value in [
            &b"Bearer \xff"[..],
            b"Bearer a b",
            b"Bearer a,b=c",
            b"Bearer =",
            b"Bearer a=b",
            b"Bearer \"a\"",
            b"Bearer a\0",
        ] {
            assert_eq!(read(&[value]), Err(NotB64Token), "{value:?}");
        }
        let too_long = format!("Bearer {}", "x".repeat(33));
        assert_eq!(read(&[too_long.as_bytes()]), Err(TooLong));
    }
}
