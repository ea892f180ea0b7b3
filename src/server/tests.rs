use super::*;
use crate::base::Json;
use crate::base::SeededRandom;
use crate::base::UnixTime;
use crate::claims::RequestedClaims;
use crate::claims::TokenState;
use crate::config::Config;
use crate::host::CalloutError;
use crate::host::CalloutResponse;
use crate::host::CalloutResult;
use crate::token::AccessToken;

/// Returns the endpoint of a configuration whose `introspection` has these members.
fn endpoint(introspection: &str) -> std::rc::Rc<Endpoint> {
    let text = format!(
        r#"{{"authorization_servers":[{{"name":"a","cluster":"as","issuer":"https://as.example.test","audience":"any",
             "introspection":{{{introspection}}}}}],"rules":[{{"name":"r","match":[{{"path":"/"}}],"require":{{"scope":"x"}}}}]}}"#
    );
    let config = Config::parse(text.as_bytes(), &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
    config.servers.into_iter().next().unwrap().introspection.unwrap()
}

const PLAIN: &str = r#""path":"/introspect","client_id":"gate way","client_secret":"s+cret %/=é""#;
const NOW: UnixTime = UnixTime::from_secs(1_000_000);

fn parse_with(introspection: &str, status: u16, body: &str) -> Result<TokenState, CalloutError> {
    let response = CalloutResult::Response { status, content_type: None, body: body.as_bytes() };
    endpoint(introspection).parse_response(response, &RequestedClaims::default(), NOW)
}

fn parse_response(status: u16, body: &str) -> Result<TokenState, CalloutError> {
    parse_with(PLAIN, status, body)
}

/// Returns every header except the Host and User-Agent, and the body.
fn sent(introspection: &str, token: &str) -> (Vec<String>, String) {
    let endpoint = endpoint(introspection);
    let token = AccessToken::new(token.to_owned());
    let request = endpoint.request(&token, None, Attempt::only(endpoint.timeout), NOW, &mut SeededRandom::new([7; 32]));
    assert_eq!(request.cluster, "as");
    let headers = request.headers.iter().filter(|(name, _)| !matches!(*name, ":authority" | "user-agent"));
    (headers.map(|(name, value)| format!("{name}: {value}")).collect(), request.body)
}

#[test]
fn request_follows_rfc_7662() {
    let (headers, body) = sent(PLAIN, "a+b/c=");
    assert_eq!(body, "token=a%2Bb%2Fc%3D&token_type_hint=access_token");
    assert_eq!(
        headers,
        [
            ":method: POST",
            ":path: /introspect",
            "content-type: application/x-www-form-urlencoded",
            "accept: application/json",
            &format!("authorization: {}", basic_authorization("gate way", "s+cret %/=é", true).reveal()),
        ]
    );
}

#[test]
fn presets_place_the_token_for_their_server() {
    let (headers, body) = sent(r#""preset":"axway-tokeninfo""#, "t+");
    assert_eq!((headers[1].as_str(), body.as_str()), (":path: /api/oauth/tokeninfo", "access_token=t%2B"));
    let (headers, body) = sent(r#""preset":"axway-tokeninfo-get""#, "t+");
    assert_eq!(headers, [":method: GET", ":path: /api/oauth/tokeninfo?access_token=t%2B", "accept: application/json"]);
    assert_eq!(body, "");
    let (headers, body) = sent(r#""preset":"netiq-tokeninfo""#, "t+");
    assert_eq!(
        headers,
        [":method: GET", ":path: /nidp/oauth/nam/tokeninfo", "accept: application/json", "authorization: Bearer t+"]
    );
    assert_eq!(body, "");
    let (headers, body) = sent(r#""preset":"github","client_id":"i/d","client_secret":"s""#, "t+");
    assert_eq!(headers[1], ":path: /applications/i%2Fd/token");
    assert_eq!(headers[2], "content-type: application/json");
    assert_eq!(body, r#"{"access_token":"t+"}"#);
    let post = r#""path":"/i?x=1","client_id":"g","client_secret":"s&","client_authentication":"client_secret_post""#;
    let (headers, body) = sent(post, "t");
    assert_eq!(headers[1], ":path: /i?x=1");
    assert_eq!(body, "token=t&token_type_hint=access_token&client_id=g&client_secret=s%26");
}

#[test]
fn basic_credentials_are_form_encoded_unless_raw() {
    use base64::Engine;
    let pair = |form_encoded| {
        let header = basic_authorization("gate way", "s+cret %/=é:", form_encoded);
        let encoded = header.reveal().strip_prefix("Basic ").unwrap().to_owned();
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()).unwrap()
    };
    assert_eq!(pair(true), "gate+way:s%2Bcret+%25%2F%3D%C3%A9%3A");
    assert_eq!(pair(false), "gate way:s+cret %/=é:");
}

#[test]
fn debug_output_contains_no_secrets() {
    let post = r#""path":"/i","client_id":"g","client_secret":"s3cret","client_authentication":"client_secret_post""#;
    for text in [PLAIN, post] {
        let endpoint = endpoint(text);
        let token = AccessToken::new("t0ken".to_owned());
        let response = CalloutResult::Response { status: 200, content_type: None, body: b"t0ken" };
        let request =
            endpoint.request(&token, None, Attempt::only(endpoint.timeout), NOW, &mut SeededRandom::new([7; 32]));
        let printed = format!("{endpoint:?} {request:?} {response:?}");
        for secret in ["t0ken", "Basic ", "s3cret", "s+cret"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}

#[test]
fn only_defined_responses_mark_a_token_inactive() {
    assert_eq!(parse_response(200, r#"{"active":false}"#), Ok(TokenState::Inactive));
    assert_eq!(parse_response(200, r#"{"scope":"view"}"#), Ok(TokenState::Inactive));
    assert!(matches!(parse_response(200, r#"{"active":true}"#), Ok(TokenState::Active(_))));
    assert_eq!(parse_response(400, r#"{"error":"unsupported_token_type"}"#), Ok(TokenState::Inactive));
    let twice = r#"{"error":"unsupported_token_type","error":"invalid_client"}"#;
    assert_eq!(parse_response(400, twice), Err(CalloutError::Status(400)));
    for (status, error) in [
        (0, CalloutError::Status(0)),
        (204, CalloutError::Status(204)),
        (400, CalloutError::Status(400)),
        (401, CalloutError::ClientRefused(401)),
        (403, CalloutError::ClientRefused(403)),
        (404, CalloutError::Status(404)),
        (500, CalloutError::Status(500)),
    ] {
        assert_eq!(parse_response(status, r#"{"active":false}"#), Err(error));
    }
    let github = r#""preset":"github","client_id":"c","client_secret":"s""#;
    for (preset, status) in [
        (r#""preset":"axway-tokeninfo""#, 400),
        (r#""preset":"netiq-tokeninfo""#, 401),
        (r#""preset":"curity","client_id":"c","client_secret":"s""#, 204),
        (github, 404),
    ] {
        assert_eq!(parse_with(preset, status, ""), Ok(TokenState::Inactive), "{preset}");
        assert_eq!(parse_with(preset, 500, ""), Err(CalloutError::Status(500)), "{preset}");
    }
    assert_eq!(parse_with(github, 401, ""), Err(CalloutError::ClientRefused(401)));
    let axway = r#""preset":"axway-tokeninfo""#;
    assert_eq!(parse_with(axway, 200, r#"{"error":"x","expires_in":5}"#), Ok(TokenState::Inactive));
}

#[test]
fn active_may_be_a_string_if_the_preset_permits() {
    let webmethods = r#""preset":"webmethods","client_id":"c","client_secret":"s""#;
    let bad = Err(CalloutError::InvalidResponse("`active` is not a boolean"));
    for text in [r#""true""#, r#""True""#, "true"] {
        let body = format!(r#"{{"active":{text},"token_type":"Bearer"}}"#);
        assert!(matches!(parse_with(webmethods, 200, &body), Ok(TokenState::Active(_))), "{text}");
        if text != "true" {
            assert_eq!(parse_response(200, &body), bad, "{text}");
        }
    }
    for text in [r#""false""#, "false"] {
        assert_eq!(parse_with(webmethods, 200, &format!(r#"{{"active":{text}}}"#)), Ok(TokenState::Inactive));
    }
    for text in ["1", r#""yes""#, r#""""#, "null", "[]", "{}"] {
        let body = format!(r#"{{"active":{text}}}"#);
        assert_eq!(parse_with(webmethods, 200, &body), bad, "{text}");
        assert_eq!(parse_response(200, &body), bad, "{text}");
    }
}

#[test]
fn no_preset_accepts_refresh_tokens() {
    let Json::Object(presets) = Json::parse(PRESETS.as_bytes()).unwrap() else { panic!("an object") };
    assert!(presets.len() >= 23);
    for (name, preset) in &presets {
        let mut text = format!(r#""preset":"{name}""#);
        if preset.member("path").is_none() {
            text.push_str(r#","path":"/p""#);
        }
        if preset.member("client_authentication").is_none_or(|method| method.as_str() != Some("none")) {
            text.push_str(r#","client_id":"c","client_secret":"s""#);
        }
        if name == "google-tokeninfo" {
            // This preset requires a list of audiences.
            continue;
        }
        let endpoint = endpoint(&text);
        let refresh = r#"{"active":true,"token_type":"refresh_token","token_use":"refresh_token","expires_in":60,
            "user_id":"u","scope":"x","client_id":"c","iss":"i","app":{"client_id":"c"}}"#;
        let response = CalloutResult::Response { status: 200, content_type: None, body: refresh.as_bytes() };
        match endpoint
            .parse_response(response, &RequestedClaims::default(), NOW)
            .unwrap_or_else(|e| panic!("{name}: {e:?}"))
        {
            TokenState::Active(claims) => assert_eq!(claims.kind, crate::claims::TokenKind::NotAccess, "{name}"),
            TokenState::Inactive => panic!("{name}: expected an active token"),
        }
    }
}

#[test]
fn relative_lifetimes_start_at_the_request() {
    let ends = |text: &str, body: &str| match parse_with(text, 200, body).unwrap() {
        TokenState::Active(claims) => claims.expires_at.map(|time| time.as_millis()),
        TokenState::Inactive => panic!("active"),
    };
    let axway = r#""preset":"axway-tokeninfo""#;
    assert_eq!(ends(axway, r#"{"expires_in":60}"#), Some(1_000_060_000));
    assert_eq!(ends(axway, r#"{"expires_in":"60"}"#), Some(1_000_060_000));
    assert_eq!(ends(axway, r#"{"expires_in":-1}"#), Some(1_000_000_000));
    assert_eq!(ends(axway, r#"{"expires_in":"-1"}"#), Some(1_000_000_000));
    assert_eq!(ends(PLAIN, r#"{"active":true,"exp":1000100,"expires_in":60}"#), Some(1_000_060_000));
    assert_eq!(ends(PLAIN, r#"{"active":true,"exp":1000010,"expires_in":60}"#), Some(1_000_010_000));
    let github = r#""preset":"github","client_id":"c","client_secret":"s""#;
    let body = |time: &str| format!(r#"{{"app":{{"client_id":"c"}},"expires_at":{time}}}"#);
    assert_eq!(ends(github, &body(r#""1970-01-12T13:46:40Z""#)), Some(1_000_000_000));
    assert_eq!(ends(github, &body("null")), None);
    for wrong in ["1000000", r#""tomorrow""#] {
        assert!(matches!(parse_with(github, 200, &body(wrong)), Err(CalloutError::InvalidResponse(_))), "{wrong}");
    }
}

#[test]
fn presets_map_their_members_to_claims() {
    let claims = |text: &str, body: &str| match parse_with(text, 200, body).unwrap() {
        TokenState::Active(claims) => claims,
        TokenState::Inactive => panic!("active"),
    };
    let netiq = r#"{"user_id":"cn=fred","expires_in":3420,"scope":["APIManagerScope"],"audience":"557c"}"#;
    let found = claims(r#""preset":"netiq-tokeninfo""#, netiq);
    assert_eq!((found.owner.as_deref(), found.client_id.as_deref()), (Some("cn=fred"), Some("557c")));
    assert_eq!((found.scope.as_str(), found.audience.len()), ("APIManagerScope", 0));
    let axway = r#"{"audience":"App","user_id":"admin","scope":"a,b c","expires_in":2518}"#;
    assert_eq!(claims(r#""preset":"axway-tokeninfo""#, axway).scope.as_str(), "a b c");
    let keycloak = r#""preset":"keycloak","path":"/p","client_id":"c","client_secret":"s""#;
    let body = r#"{"active":true,"azp":"app","sub":"s","preferred_username":"fred",
        "realm_access":{"roles":["manager"]},"resource_access":{"account":{"roles":["admin"]}}}"#;
    let found = claims(keycloak, body);
    assert_eq!((found.client_id.as_deref(), found.owner.as_deref()), (Some("app"), Some("fred")));
    assert_eq!(found.roles, ["manager"]);
    let with_roles =
        keycloak.to_owned() + r#","answer":{"roles":["realm_access.roles","resource_access.account.roles"]}"#;
    assert_eq!(claims(&with_roles, body).roles, ["manager", "admin"]);
    let zitadel = r#""preset":"zitadel","client_id":"c","client_secret":"s""#;
    let body = r#"{"active":true,"urn:zitadel:iam:org:project:roles":{"manager":{"1":"d"},"x":{}}}"#;
    assert_eq!(claims(zitadel, body).roles, ["manager", "x"]);
}

#[test]
fn responses_beyond_the_size_limit_are_rejected() {
    let padded = |length: usize| {
        let mut body = r#"{"active":false}"#.to_owned();
        body.push_str(&" ".repeat(length - body.len()));
        body
    };
    assert_eq!(parse_response(200, &padded(CalloutResponse::MAX_BODY_BYTES)), Ok(TokenState::Inactive));
    assert_eq!(parse_response(200, &padded(CalloutResponse::MAX_BODY_BYTES + 1)), Err(CalloutError::TooLarge));
}

#[test]
fn every_callout_error_has_an_explanation() {
    for error in [
        CalloutError::NotSent,
        CalloutError::TimedOut,
        CalloutError::ClientRefused(401),
        CalloutError::Status(503),
        CalloutError::Status(404),
        CalloutError::TooLarge,
        CalloutError::InvalidResponse("the body is not JSON"),
        CalloutError::TokenStatus(400),
        CalloutError::InvalidTokenResponse("the body is not JSON"),
    ] {
        assert!(!error.explain().is_empty());
    }
}

const P256: &str = "-----BEGIN PRIVATE KEY-----\\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\\nOF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\\n1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\\n-----END PRIVATE KEY-----\\n";

#[test]
fn each_request_has_a_new_client_assertion() {
    use base64::Engine;
    let text = format!(
        r#""path":"/i","client_id":"gate","client_authentication":"private_key_jwt","private_key":"{P256}","key_id":"k1""#
    );
    let endpoint = endpoint(&text);
    let token = AccessToken::new("t".to_owned());
    let mut random = SeededRandom::new([7; 32]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = endpoint.request(&token, None, Attempt::only(endpoint.timeout), NOW, &mut random);
        let form: Vec<(String, String)> = form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
        assert_eq!(form[2].0, "client_assertion_type");
        assert_eq!(form[2].1, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let parts: Vec<_> = form[3].1.split('.').collect();
        let part = |index: usize| {
            let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(parts[index]).unwrap();
            Json::parse(&bytes).unwrap()
        };
        assert_eq!(part(0).member("alg").and_then(Json::as_str), Some("ES256"));
        assert_eq!(part(0).member("kid").and_then(Json::as_str), Some("k1"));
        for (claim, value) in [("iss", "gate"), ("sub", "gate"), ("aud", "https://as.example.test")] {
            assert_eq!(part(1).member(claim).and_then(Json::as_str), Some(value), "{claim}");
        }
        assert_eq!(part(1).member("iat").and_then(Json::as_f64), Some(1_000_000.0));
        assert_eq!(part(1).member("exp").and_then(Json::as_f64), Some(1_000_060.0));
        ids.push(part(1).member("jti").and_then(Json::as_str).unwrap().to_owned());
    }
    assert_ne!(ids[0], ids[1]);
    assert!(!format!("{endpoint:?}").contains("MIGH"));
}
