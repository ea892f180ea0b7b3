use super::*;

fn endpoint() -> Endpoint {
    Endpoint {
        cluster: "as".to_owned(),
        authority: "as.example.test".to_owned(),
        path: "/introspect".to_owned(),
        authorization: basic_authorization("gate way", "s+cret %/=é"),
        timeout: Duration::from_secs(1),
        required_members: Vec::new(),
    }
}

fn understand(status: u16, body: &str) -> Result<Introspection, Trouble> {
    let answer = CalloutAnswer::Response { status, content_type: None, body: body.as_bytes() };
    endpoint().understand(answer, std::iter::empty())
}

#[test]
fn the_request_is_the_one_of_rfc_7662() {
    let endpoint = endpoint();
    let token = AccessToken::new("a+b/c=".to_owned());
    let request = endpoint.request(&token);
    assert_eq!(request.cluster, "as");
    assert_eq!(request.body, "token=a%2Bb%2Fc%3D&token_type_hint=access_token");
    assert_eq!(
        request.headers,
        [
            (":method", "POST"),
            (":path", "/introspect"),
            (":authority", "as.example.test"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
            ("authorization", endpoint.authorization.reveal()),
        ]
    );
}

#[test]
fn client_id_and_secret_are_form_encoded_before_they_are_joined() {
    let header = basic_authorization("gate way", "s+cret %/=é:");
    let encoded = header.reveal().strip_prefix("Basic ").unwrap();
    let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
    assert_eq!(pair, "gate+way:s%2Bcret+%25%2F%3D%C3%A9%3A");
}

#[test]
fn what_carries_a_secret_does_not_print_it() {
    let endpoint = endpoint();
    let token = AccessToken::new("t0ken".to_owned());
    let answer = CalloutAnswer::Response { status: 200, content_type: None, body: b"t0ken" };
    let printed = format!("{endpoint:?} {:?} {answer:?}", endpoint.request(&token));
    assert!(!printed.contains("t0ken") && !printed.contains("Basic"), "{printed}");
}

#[test]
fn only_active_false_says_that_a_token_is_bad() {
    assert_eq!(understand(200, r#"{"active":false}"#), Ok(Introspection::Inactive));
    assert!(matches!(understand(200, r#"{"active":true}"#), Ok(Introspection::Active(_))));
    assert_eq!(understand(400, r#"{"error":"unsupported_token_type"}"#), Ok(Introspection::Inactive));
    for (status, trouble) in [
        (0, Trouble::Status(0)),
        (400, Trouble::Status(400)),
        (401, Trouble::ClientRefused(401)),
        (403, Trouble::ClientRefused(403)),
        (404, Trouble::Status(404)),
        (500, Trouble::Status(500)),
    ] {
        assert_eq!(understand(status, r#"{"active":false}"#), Err(trouble));
    }
}

#[test]
fn an_answer_may_be_as_long_as_the_limit_and_no_longer() {
    let padded = |length: usize| {
        let mut body = r#"{"active":false}"#.to_owned();
        body.push_str(&" ".repeat(length - body.len()));
        body
    };
    assert_eq!(understand(200, &padded(MAX_ANSWER_BYTES)), Ok(Introspection::Inactive));
    assert_eq!(understand(200, &padded(MAX_ANSWER_BYTES + 1)), Err(Trouble::TooLarge));
}

#[test]
fn every_trouble_is_explained_without_a_value_from_the_answer() {
    for trouble in [
        Trouble::NotSent,
        Trouble::NoAnswer,
        Trouble::ClientRefused(401),
        Trouble::Status(503),
        Trouble::Status(404),
        Trouble::TooLarge,
        Trouble::BadAnswer("it is not JSON"),
    ] {
        assert!(!trouble.explain().is_empty());
        assert!(crate::Call::OUTCOMES.contains(&trouble.outcome()));
    }
}
