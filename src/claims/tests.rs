use super::claim_set::*;
use super::*;
use crate::base::{Json, UnixTime};
use crate::config::Config;
use crate::token::Scope;

const SENT_AT: UnixTime = UnixTime::from_secs(1_000);

/// The mapping of RFC 7662, with `client_id` as a required member.
fn mapping() -> ClaimMapping {
    let text = r#"{"authorization_servers":[{"name":"a","cluster":"c","audience":"any","introspection":
        {"path":"/","client_id":"g","client_secret":"s","answer":{"required_members":["client_id"]}}}],
        "rules":[{"name":"r","match":[{"path":"/"}],"require":{"scope":"x"}}]}"#;
    let config = Config::parse(text.as_bytes(), &|_| None).unwrap();
    config.servers.into_iter().next().unwrap().introspection.unwrap().response.claims.clone()
}

fn claims(text: &str) -> Result<Claims, &'static str> {
    let Json::Object(members) = Json::parse(text.as_bytes()).unwrap() else { panic!("{text}") };
    let properties = ["sub", "claims.roles"].map(|text| ForwardedValue::parse(text).unwrap()).to_vec();
    let requested = RequestedClaims { claims: vec![ClaimPath::parse("x.y").unwrap()], properties };
    Claims::from_members(&members, &mapping(), &requested, SENT_AT)
}

#[test]
fn members_are_optional_and_null_is_absent() {
    let expected =
        Claims { client_id: Some("c".to_owned()), asked: vec![None], forwarded: vec![None, None], ..Claims::default() };
    assert_eq!(claims(r#"{"client_id":"c"}"#), Ok(expected.clone()));
    let nulls = r#"{"client_id":"c","exp":null,"nbf":null,"iss":null,"aud":null,"scope":null,"sub":null,"cnf":null,"token_type":null,"roles":null,"expires_in":null,"x":{"y":null}}"#;
    assert_eq!(claims(nulls), Ok(expected));
}

#[test]
fn times_are_numbers_or_numeric_strings() {
    for (exp, millis) in [
        ("1796041886", 1_796_041_886_000),
        ("1796041886.75", 1_796_041_886_750),
        ("\"1796041886\"", 1_796_041_886_000),
        ("\"-1\"", 0),
        ("1.796041886e9", 1_796_041_886_000),
        ("-5", 0),
        ("0", 0),
        ("9223372036854775807", u64::MAX),
        ("1e300", u64::MAX),
    ] {
        let claims = claims(&format!(r#"{{"client_id":"c","exp":{exp}}}"#)).unwrap();
        let found = claims.expires_at.unwrap().as_millis();
        assert!(found == millis || millis == u64::MAX && found > 1 << 60, "{exp}: {found}");
    }
    for exp in [
        "\"\"",
        "\"soon\"",
        "\"1e9\"",
        "\"-\"",
        "\"--1\"",
        "\".\"",
        "\"1.2.3\"",
        "\"NaN\"",
        "\"inf\"",
        "true",
        "[]",
        "{}",
    ] {
        for member in ["exp", "nbf", "expires_in"] {
            assert!(claims(&format!(r#"{{"client_id":"c","{member}":{exp}}}"#)).is_err(), "{member} {exp}");
        }
    }
}

#[test]
fn members_of_unexpected_types_are_rejected() {
    let one = claims(r#"{"client_id":["c"],"aud":"a","scope":"x y","roles":"m","sub":7}"#).unwrap();
    assert_eq!((one.audience, one.scope.as_str()), (vec!["a".to_owned()], "x y"));
    assert_eq!((one.roles, one.owner.as_deref()), (vec!["m".to_owned()], Some("7")));
    let many = claims(r#"{"client_id":"c","aud":["a","b"],"scope":["x","y z"],"roles":{"m":{},"n":1}}"#).unwrap();
    assert_eq!((many.audience, many.scope.as_str()), (vec!["a".to_owned(), "b".to_owned()], "x y z"));
    assert_eq!(many.roles, ["m", "n"]);
    for wrong in [
        r#""aud":1"#,
        r#""aud":[1]"#,
        r#""aud":{}"#,
        r#""scope":7"#,
        r#""scope":[null]"#,
        r#""iss":["a"]"#,
        r#""iss":1"#,
        r#""roles":1"#,
        r#""roles":[{"name":"m"}]"#,
        r#""sub":true"#,
        r#""username":[]"#,
    ] {
        assert!(claims(&format!(r#"{{"client_id":"c",{wrong}}}"#)).is_err(), "{wrong}");
    }
    for client_id in ["1", r#"["a","b"]"#, "[]", "{}"] {
        assert!(claims(&format!(r#"{{"client_id":{client_id}}}"#)).is_err(), "{client_id}");
    }
}

#[test]
fn requested_claims_are_kept() {
    for (value, expected) in [
        ("true", ClaimValue::Boolean(true)),
        ("1.5", ClaimValue::Number(1.5)),
        (r#""a""#, ClaimValue::Text("a".to_owned())),
        (r#"[1,"a"]"#, ClaimValue::List(vec![ClaimValue::Number(1.0), ClaimValue::Text("a".to_owned())])),
        (r#"{"z":1}"#, ClaimValue::Object),
    ] {
        let claims = claims(&format!(r#"{{"client_id":"c","x":{{"y":{value}}}}}"#)).unwrap();
        assert_eq!(claims.asked, [Some(expected)]);
    }
}

#[test]
fn other_token_types_are_recognised() {
    for (member, kind) in [
        (r#""token_type":"Bearer""#, TokenKind::Bearer),
        (r#""token_type":"bearer","typ":"Bearer","token_use":"access_token""#, TokenKind::Bearer),
        (r#""token_type":"access_token""#, TokenKind::Bearer),
        (r#""token_type":"refresh_token""#, TokenKind::NotAccess),
        (r#""token_type":"Bearer","token_use":"refresh_token""#, TokenKind::NotAccess),
        (r#""typ":"Refresh""#, TokenKind::NotAccess),
        (r#""typ":"ID""#, TokenKind::NotAccess),
        (r#""token_type":"DPoP""#, TokenKind::SenderConstrained),
        (r#""token_type":"Bearer","cnf":{"x5t#S256":"x"}"#, TokenKind::SenderConstrained),
    ] {
        assert_eq!(claims(&format!(r#"{{"client_id":"c",{member}}}"#)).unwrap().kind, kind, "{member}");
    }
    assert_eq!(claims(r#"{"token_type":"Bearer"}"#).unwrap().kind, TokenKind::NotAccess);
}

#[test]
fn response_is_restricted_by_the_signed_token() {
    let time = |seconds| Some(UnixTime::from_secs(seconds));
    let signed = Claims {
        expires_at: time(50),
        not_before: time(20),
        audience: vec!["a".to_owned(), "b".to_owned()],
        kind: TokenKind::SenderConstrained,
        verified_by: Some([7; 16]),
        ..Claims::default()
    };
    let response = Claims { expires_at: time(90), scope: Scope::from_lists(["x"], false), ..Claims::default() };
    let both = response.clone().intersect(&signed);
    assert_eq!((both.expires_at, both.not_before, both.kind), (time(50), time(20), TokenKind::SenderConstrained));
    assert_eq!((both.audience, both.verified_by), (signed.audience.clone(), Some([7; 16])));
    assert_eq!(both.scope.as_str(), "x");
    let narrow = Claims { expires_at: time(30), audience: vec!["b".to_owned(), "c".to_owned()], ..response };
    let both = narrow.intersect(&signed);
    assert_eq!((both.expires_at, both.audience), (time(30), vec!["b".to_owned()]));
}
