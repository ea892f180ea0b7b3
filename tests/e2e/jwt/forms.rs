//! The form of a token: only a JWS in compact serialization is accepted, however well another form is signed.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

use super::*;

#[test]
fn a_properly_signed_token_of_another_form_is_refused() {
    let (issuer, upstream) = (Issuer::start(), Upstream::start());
    let envoy = issuer.gateway(&[("api", json!({}), json!({ "scope": "view" }))], &upstream).start();
    let good = issuer.token(&claims());
    wait_for_keys(&envoy, "api", &good);

    let mut rows: Vec<Row> = Vec::new();
    rows.extend(headers(&issuer));
    rows.extend(texts(&issuer));
    rows.extend(encodings(&issuer, &good));
    rows.extend(signatures(&issuer));
    rows.push(("a good token, after all of them", "api", good, Passes));
    judge(&envoy, &upstream, &rows);
}

fn headers(issuer: &Issuer) -> Vec<Row> {
    let header_with = |members: Value| issuer.rsa.sign(&with(header(), &members), &claims());
    let text = |header: &str| issuer.rsa.sign_texts(header, claims().to_string());
    let malformed = Refused("malformed_jwt");
    let mut rows = vec![
        ("crit of a claim", "api", header_with(json!({ "crit": ["exp"], "exp": 1 })), malformed.clone()),
        ("crit unknown", "api", header_with(json!({ "crit": ["x"], "x": true })), malformed.clone()),
        ("crit empty", "api", header_with(json!({ "crit": [] })), malformed.clone()),
        ("b64 without crit", "api", header_with(json!({ "b64": false })), malformed.clone()),
        ("b64 with crit", "api", header_with(json!({ "b64": false, "crit": ["b64"] })), malformed.clone()),
        ("kid a number", "api", header_with(json!({ "kid": 7 })), malformed.clone()),
        ("kid a path", "api", header_with(json!({ "kid": "../../../../dev/null" })), Refused("unknown_key")),
        ("no kid", "api", header_with(json!({ "kid": null })), Passes),
        ("members that mean nothing", "api", header_with(json!({ "x": { "y": [1] }, "cty": "x" })), Passes),
    ];
    for duplicated in [
        r#"{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"rsa"}"#,
        r#"{"alg":"RS256","typ":"JWT","typ":"at+jwt","kid":"rsa"}"#,
        r#"{"alg":"RS256","typ":"at+jwt","kid":"ec","kid":"rsa"}"#,
        r#"{"alg":"RS256","typ":"at+jwt","kid":"rsa","\u006bid":"rsa"}"#,
    ] {
        rows.push(("a header with a name twice", "api", text(duplicated), malformed.clone()));
    }
    rows
}

fn texts(issuer: &Issuer) -> Vec<Row> {
    let payload = |bytes: &[u8]| issuer.rsa.sign_texts(header().to_string(), bytes);
    let (said, malformed) = (claims().to_string(), Refused("malformed_jwt"));
    let opened = said.strip_suffix('}').expect("an object");
    let nested = format!("{opened},\"deep\":{}{}}}", "[".repeat(1500), "]".repeat(1500));
    let twice = |member: &str| payload(format!("{opened},{member}}}").as_bytes());
    vec![
        ("scope twice", "api", twice(r#""scope":"view""#), malformed.clone()),
        ("aud twice", "api", twice(&format!(r#""aud":"{AUDIENCE}""#)), malformed.clone()),
        ("exp twice", "api", twice(r#""exp":9999999999"#), malformed.clone()),
        ("exp twice, once in escapes", "api", twice(r#""\u0065xp":9999999999"#), malformed.clone()),
        ("a name twice, deep inside", "api", twice(r#""act":{"sub":"a","sub":"b"}"#), malformed.clone()),
        ("claims in a list", "api", payload(format!("[{said}]").as_bytes()), malformed.clone()),
        ("claims in a text", "api", payload(json!(said).to_string().as_bytes()), malformed.clone()),
        ("claims and more", "api", payload(format!("{said}{said}").as_bytes()), malformed.clone()),
        ("claims without an end", "api", payload(opened.as_bytes()), malformed.clone()),
        ("claims behind a byte order mark", "api", payload(format!("\u{feff}{said}").as_bytes()), malformed.clone()),
        ("no claims", "api", payload(b""), malformed.clone()),
        ("null", "api", payload(b"null"), malformed.clone()),
        ("claims that are not UTF-8", "api", half_a_character(issuer, opened), malformed.clone()),
        ("claims without bottom", "api", payload(nested.as_bytes()), malformed),
        ("claims with spaces", "api", payload(format!(" {} ", said.replace(",\"", " ,\n\t\"")).as_bytes()), Passes),
    ]
}

/// With a claim whose value ends in half a character.
fn half_a_character(issuer: &Issuer, opened: &str) -> String {
    issuer.rsa.sign_texts(header().to_string(), [opened.as_bytes(), b",\"name\":\"\xc3\"}"].concat())
}

fn encodings(issuer: &Issuer, good: &str) -> Vec<Row> {
    let malformed = Refused("malformed_jwt");
    let parts: Vec<_> = good.split('.').collect();
    let [head, payload, signature] = parts[..] else { panic!("three parts") };
    // Bits that no byte takes: the same bytes, spelled otherwise.
    let (rest, last) = signature.split_at(signature.len() - 1);
    let other = char::from(last.as_bytes()[0] + 1);
    assert!(BASE64_URL_SAFE_NO_PAD.decode(signature).is_ok() && "AQgw".contains(last), "{last}");
    // In the alphabet of mail, `~` and `?` make the difference.
    let odd = with(claims(), &json!({ "name": "~~~???~~~???~~~???" })).to_string();
    let standard = BASE64_STANDARD_NO_PAD.encode(&odd);
    assert!(standard.contains(['+', '/']), "{standard}");
    let head_of = |token: &str| token.split('.').next().expect("a header").to_owned();
    vec![
        ("four parts", "api", format!("{good}.x"), malformed.clone()),
        ("four parts, the last empty", "api", format!("{good}."), malformed.clone()),
        (
            "four parts, properly signed",
            "api",
            issuer.rsa.sign_input(&format!("{head}.{payload}.x")),
            malformed.clone(),
        ),
        ("five parts", "api", format!("{good}.x.y"), malformed.clone()),
        ("two parts", "api", format!("{head}.{payload}"), malformed.clone()),
        ("an empty signature", "api", format!("{head}.{payload}."), Refused("bad_signature")),
        ("a dot first", "api", format!(".{good}"), malformed.clone()),
        ("padding at the end", "api", format!("{good}=="), malformed.clone()),
        ("padding inside", "api", issuer.rsa.sign_input(&format!("{head}=.{payload}")), Status(400)),
        ("another spelling of the signature", "api", format!("{head}.{payload}.{rest}{other}"), malformed.clone()),
        ("the alphabet of mail", "api", issuer.rsa.sign_input(&format!("{}.{standard}", head_of(good))), malformed),
        ("the same in the right one", "api", issuer.rsa.sign_texts(header().to_string(), &odd), Passes),
        ("a space inside", "api", format!("{head}. {payload}.{signature}"), Status(400)),
    ]
}

/// Of ECDSA (RFC 7518 §3.4): two numbers of 32 bytes, neither of them zero.
fn signatures(issuer: &Issuer) -> Vec<Row> {
    let head = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "ec" });
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let input = format!("{}.{}", encode(head.to_string().as_bytes()), encode(claims().to_string().as_bytes()));
    let der = encode(&issuer.ec.signature(input.as_bytes()));
    let signed = issuer.ec.sign_input(&input);
    let (_, raw) = signed.rsplit_once('.').expect("a signature");
    let raw = BASE64_URL_SAFE_NO_PAD.decode(raw).expect("base64url");
    let rsa = issuer.token(&claims());
    let (rsa_input, rsa_raw) = rsa.rsplit_once('.').expect("a signature");
    let rsa_raw = BASE64_URL_SAFE_NO_PAD.decode(rsa_raw).expect("base64url");
    let bad = Refused("bad_signature");
    vec![
        ("ES256", "api", signed, Passes),
        ("ES256 in DER", "api", format!("{input}.{der}"), bad.clone()),
        ("ES256 of zeros", "api", format!("{input}.{}", encode(&[0; 64])), bad.clone()),
        ("ES256 of nothing", "api", format!("{input}."), bad.clone()),
        ("half of ES256", "api", format!("{input}.{}", encode(&raw[..32])), bad.clone()),
        ("ES256 and a byte", "api", format!("{input}.{}", encode(&[&raw[..], &[0]].concat())), bad.clone()),
        ("RS256 behind a zero", "api", format!("{rsa_input}.{}", encode(&[&[0], &rsa_raw[..]].concat())), bad.clone()),
        ("RS256 of zeros", "api", format!("{rsa_input}.{}", encode(&[0; 256])), bad.clone()),
        ("RS256 of one", "api", format!("{rsa_input}.{}", encode(&[&[0; 255][..], &[1]].concat())), bad.clone()),
        ("RS256 of another token", "api", format!("{input}.{}", encode(&rsa_raw)), bad),
    ]
}
