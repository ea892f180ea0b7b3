//! Selects the authorization servers for a token, and the order in which they are tried.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::settings::ServerSettings;
use crate::base::Json;
use crate::token::AccessToken;

/// Returns the authorization servers for a token, in order, out of those that a rule accepts.
///
/// The longest matching token prefix decides first, then the issuer of a JWT. Neither is verified here: a token with a
/// false issuer is introspected at a server that does not know it. A single server is used for all tokens, unless its
/// tokens have a prefix.
pub(crate) fn select<'a, T: Copy>(
    candidates: &[T],
    config: impl Fn(T) -> Option<&'a ServerSettings>,
    token: &AccessToken,
) -> Vec<T> {
    let prefix = |candidate: T| config(candidate).and_then(|server| server.token_prefix.as_deref());
    let issuer = |candidate: T| config(candidate).and_then(|server| server.tokens.issuer.as_deref());
    let filter =
        |list: &[T], test: &dyn Fn(T) -> bool| list.iter().copied().filter(|one| test(*one)).collect::<Vec<_>>();

    let matching = |one: T| prefix(one).filter(|prefix| token.as_bytes().starts_with(prefix.as_bytes())).map(str::len);
    let longest = candidates.iter().filter_map(|one| matching(*one)).max();
    let matched = filter(candidates, &|one| longest.is_some() && matching(one) == longest);
    let remaining = if matched.is_empty() { filter(candidates, &|one| prefix(one).is_none()) } else { matched };
    if candidates.len() < 2 {
        return remaining;
    }
    let Some(claimed) = issuer_of(token) else {
        return remaining;
    };
    let issuers = filter(&remaining, &|one| issuer(one) == Some(&claimed));
    if issuers.is_empty() { filter(&remaining, &|one| issuer(one).is_none()) } else { issuers }
}

/// Returns the issuer of a JWT in compact serialization (RFC 7515 §3.1). Nothing is verified.
fn issuer_of(token: &AccessToken) -> Option<String> {
    let mut parts = token.reveal().split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let payload = Json::parse(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    if payload.has_duplicate_names() {
        return None;
    }
    payload.member("iss")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn servers() -> Vec<ServerSettings> {
        let server = |name: &str, more: &str| {
            format!(
                r#"{{"name":"{name}","cluster":"c","audience":"any",{more}
                   "introspection":{{"path":"/","client_id":"g","client_secret":"s"}}}}"#
            )
        };
        let list = [
            server("a", r#""issuer":"https://a.test","#),
            server("b", r#""issuer":"https://b.test","#),
            server("c", ""),
            server("d", r#""token_prefix":"d_","#),
        ]
        .join(",");
        let rule = r#"{"name":"r","match":[{"path":"/"}],"require":{"scope":"x"},"authorization_server":"a"}"#;
        let text = format!(r#"{{"authorization_servers":[{list}],"rules":[{rule}]}}"#);
        Config::parse(text.as_bytes(), &|_| None).unwrap_or_else(|problems| panic!("{problems}")).servers
    }

    fn selected(candidates: &[usize], token: &str) -> Vec<usize> {
        let servers = servers();
        select(candidates, |index| servers.get(index), &AccessToken::new(token.to_owned()))
    }

    fn jwt(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn selection_uses_prefix_then_issuer_then_order() {
        let all = [0, 1, 2, 3];
        for (token, expected) in [
            ("opaque", &[0, 1, 2][..]),
            ("d_1", &[3]),
            (&jwt(r#"{"iss":"https://b.test"}"#), &[1]),
            (&jwt(r#"{"iss":"https://b.test/"}"#), &[2]),
            (&jwt(r#"{"iss":"https://b.test","iss":"https://a.test"}"#), &[0, 1, 2]),
            (&jwt(r#"{"iss":7}"#), &[0, 1, 2]),
            (&jwt("{}"), &[0, 1, 2]),
            (&format!("{}.x", jwt(r#"{"iss":"https://b.test"}"#)), &[0, 1, 2]),
            ("a.b.c", &[0, 1, 2]),
        ] {
            assert_eq!(selected(&all, token), expected, "{token}");
        }
        assert_eq!(selected(&[1, 0], "opaque"), [1, 0]);
        assert!(selected(&[0, 1], &jwt(r#"{"iss":"https://c.test"}"#)).is_empty());
    }

    #[test]
    fn a_single_server_is_used_unless_it_has_a_prefix() {
        assert_eq!(selected(&[0], &jwt(r#"{"iss":"https://c.test"}"#)), [0]);
        assert_eq!(selected(&[3], "d_1"), [3]);
        assert!(selected(&[3], "opaque").is_empty());
    }
}
