use super::b64token::is_b64token;
use super::*;
use crate::request::{HeaderEdit, HeaderName, RequestHead};

fn locations() -> TokenLocations {
    TokenLocations {
        schemes: vec!["Bearer".to_owned(), "OAuth".to_owned()],
        header: Some(HeaderName::parse("x-token").unwrap()),
        query: Some("access_token".to_owned()),
        cookie: Some("session".to_owned()),
        max_bytes: 32,
    }
}

fn find(locations: &TokenLocations, headers: &[(&str, &str)]) -> Result<Option<String>, CredentialsError> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let found = locations.find(RequestHead { headers: &headers, route: None, has_body: false });
    found.map(|token| token.map(|token| token.reveal().to_owned()))
}

fn removal(headers: &[(&'static str, &'static str)]) -> Vec<HeaderEdit<'static>> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    locations().removal(RequestHead { headers: headers.leak(), route: None, has_body: false })
}

#[test]
fn a_token_is_found_in_every_configured_location() {
    for head in [
        &[("authorization", "bearer t")][..],
        &[("authorization", "OAuth t")],
        &[("x-token", " t ")],
        &[(":path", "/a?b=1&access_token=t")],
        &[(":path", "/a?access%5Ftoken=%74")],
        &[("cookie", "a=b; session=t"), ("cookie", "c=d")],
        &[("cookie", "session=\"t\"")],
        &[("cookie", "a=b; Session=t")],
        &[("cookie", "%73ession=t")],
        &[(":path", "/a?ACCESS_TOKEN=t")],
        &[(":path", "/a?access[token=t")],
        &[(":path", "/a?access_token%00x=t")],
        &[("x_token", "t")],
        &[(":path", "/a?b;access.token=t")],
        &[(":path", "/a?access_token[]=t")],
        &[("authorization", "Basic dTpw"), ("x-token", "t")],
    ] {
        assert_eq!(find(&locations(), head), Ok(Some("t".to_owned())), "{head:?}");
    }
    for head in [
        &[(":path", "/access_token=t")][..],
        &[(":path", "/a?xaccess_token=t&token=t")],
        &[("cookie", "xsession=t; sessions=t")],
        &[("x-token-2", "t")],
    ] {
        assert_eq!(find(&locations(), head), Ok(None), "{head:?}");
    }
}

#[test]
fn other_locations_are_ignored_by_default() {
    let plain =
        TokenLocations { schemes: vec!["Bearer".to_owned()], header: None, query: None, cookie: None, max_bytes: 32 };
    let head = [(":path", "/?access_token=t"), ("cookie", "session=t"), ("x-token", "t"), ("authorization", "OAuth t")];
    assert_eq!(find(&plain, &head), Ok(None));
    assert_eq!(find(&plain, &[("authorization", "Bearer t"), ("x-token", "t")]), Ok(Some("t".to_owned())));
}

#[test]
fn two_tokens_are_rejected_even_if_equal() {
    let places =
        [("authorization", "Bearer t"), ("x-token", "t"), (":path", "/?access_token=t"), ("cookie", "session=t")];
    for (index, one) in places.iter().enumerate() {
        for other in places.iter().skip(index + 1) {
            assert_eq!(find(&locations(), &[*one, *other]), Err(CredentialsError::Several), "{one:?} {other:?}");
        }
    }
    for head in [
        &[(":path", "/?access_token=t&access_token=t")][..],
        &[("cookie", "session=t; session=t")],
        &[("x-token", "t"), ("x-token", "t")],
        &[("x-token", "t"), ("x_token", "t")],
        &[(":path", "/?access_token=t&y=1;access_token=u")],
    ] {
        assert_eq!(find(&locations(), head), Err(CredentialsError::Several), "{head:?}");
    }
}

#[test]
fn invalid_tokens_are_rejected_in_every_location() {
    for head in [(":path", "/?access_token="), (":path", "/?access_token"), ("cookie", "session="), ("x-token", "")] {
        assert_eq!(find(&locations(), &[head]), Err(CredentialsError::Empty), "{head:?}");
    }
    for head in [
        (":path", "/?access_token=a%20b"),
        (":path", "/?access_token=%ff"),
        ("cookie", "session=a,b"),
        ("x-token", "Bearer t"),
    ] {
        assert_eq!(find(&locations(), &[head]), Err(CredentialsError::NotB64Token), "{head:?}");
    }
    let long = "x".repeat(33);
    assert_eq!(find(&locations(), &[("x-token", &long)]), Err(CredentialsError::TooLong));
}

#[test]
fn only_the_token_is_removed() {
    let set = |name: &'static str, value: &str| HeaderEdit::Set(name, value.as_bytes().to_vec());
    let remove = |name: &'static str| HeaderEdit::Remove(name);
    for (head, expected) in [
        (("authorization", "Basic dTpw"), vec![remove("authorization")]),
        (("x-token", "t"), vec![remove("x-token")]),
        ((":path", "/a?access_token=t"), vec![set(":path", "/a")]),
        ((":path", "/a?b=%20&access%5ftoken=t&&c"), vec![set(":path", "/a?b=%20&&c")]),
        ((":path", "/a?access_token=t&access_token=u&c=?"), vec![set(":path", "/a?c=?")]),
        ((":path", "/a?b;access_token=t&c;d"), vec![set(":path", "/a?b;c;d")]),
        (("x.token", "t"), vec![remove("x.token")]),
        ((":path", "/a?b&c"), vec![]),
        ((":path", "/a"), vec![]),
        (("cookie", "a=b;session=t;c=d"), vec![set("cookie", "a=b; c=d")]),
        (("cookie", "session=t"), vec![remove("cookie")]),
        (("cookie", "a=b;c=d"), vec![]),
    ] {
        assert_eq!(removal(&[head]), expected, "{head:?}");
    }
    assert_eq!(removal(&[("cookie", "a=b"), ("cookie", "session=t; c=d")]), [set("cookie", "a=b; c=d")]);
}

#[test]
fn b64token_accepts_only_the_bytes_of_rfc_6750() {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    for b in 0..=u8::MAX {
        assert_eq!(is_b64token(&[b]), is_allowed(b), "{b:#x}");
        assert_eq!(is_b64token(&[b, b'=']), is_allowed(b), "{b:#x}=");
        assert!(!is_b64token(&[b'=', b]), "={b:#x}");
    }
}
