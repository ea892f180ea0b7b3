use super::template::Values;
use super::*;
use crate::decision::Denial;
use crate::decision::DenialClass;
use crate::decision::UnmetRequirement;
use crate::host::CalloutError;
use crate::request::CredentialsError;

fn profile(base: Vendor) -> ErrorProfile {
    ErrorProfile { base, realm: base.default_realm().to_owned(), ..ErrorProfile::default() }
}

fn scope(tokens: &str, any: bool) -> DemandedScope {
    DemandedScope { tokens: tokens.to_owned(), any }
}

const TOKEN_DENIALS: [Denial; 12] = [
    Denial::NoCredentials,
    Denial::Credentials(CredentialsError::Empty),
    Denial::Inactive,
    Denial::Expired,
    Denial::NotYetValid,
    Denial::WrongIssuer,
    Denial::WrongAudience,
    Denial::NotAnAccessToken,
    Denial::SenderConstrained,
    Denial::InsufficientScope,
    Denial::UnregisteredClient,
    Denial::Unmet(UnmetRequirement::Role),
];

#[test]
fn axway_responses_match_the_manual() {
    let rows = [
        (
            Denial::NoCredentials,
            400,
            r#"Bearer realm="DefaultRealm", error="invalid_request", error_description="Unable to find token in the message.""#,
        ),
        (
            Denial::Inactive,
            401,
            r#"Bearer realm="DefaultRealm", error="invalid_token", error_description="Unable to find the access token in persistent storage.""#,
        ),
        (
            Denial::Expired,
            401,
            r#"Bearer realm="DefaultRealm", error="invalid_token", error_description="The access token expired.""#,
        ),
        (
            Denial::UnregisteredClient,
            401,
            r#"Bearer realm="DefaultRealm", error="invalid_token", error_description="The client app was not found or is disabled.""#,
        ),
        (
            Denial::InsufficientScope,
            403,
            r#"Bearer realm="DefaultRealm", error="insufficient_scope", error_description="scope(s) associated with access token are not valid to access this resource.", scope="Scopes must match Any of these scopes:resource.WRITE""#,
        ),
    ];
    for (denial, status, challenge) in rows {
        let rendered = profile(Vendor::Axway).render(denial, &scope("resource.WRITE", true));
        assert_eq!((rendered.status, rendered.challenge.as_deref()), (status, Some(challenge)));
    }
    let all = profile(Vendor::Axway).render(Denial::InsufficientScope, &scope("a b", false));
    assert!(all.challenge.unwrap().ends_with(r#"scope="Scopes must match All of these scopes:a b""#));
}

#[test]
fn challenge_has_no_empty_scope() {
    for (_, base) in Vendor::WORDS {
        let rendered = profile(base).render(Denial::InsufficientScope, &DemandedScope::default());
        assert!(!rendered.challenge.is_some_and(|challenge| challenge.contains("scope=")), "{base:?}");
    }
}

#[test]
fn netiq_responses_do_not_reveal_the_reason() {
    for base in [Vendor::Netiq, Vendor::NetiqHide] {
        let responses: Vec<_> = TOKEN_DENIALS
            .map(|denial| profile(base).render(denial, &scope("s", false)))
            .map(|rendered| (rendered.status, rendered.challenge, rendered.body))
            .to_vec();
        assert_eq!((responses[0].0, &responses[0].1), (403, &None));
        assert!(responses.iter().all(|response| *response == responses[0]), "{responses:?}");
        let unknown = profile(base).render(Denial::NoRule, &DemandedScope::default());
        assert_eq!(unknown.body == responses[0].2, base == Vendor::NetiqHide);
    }
}

#[test]
fn unavailability_is_503_in_every_profile() {
    for (_, base) in Vendor::WORDS {
        let default_response = Some(Response { status: Some(404), ..Response::default() });
        let profile = ErrorProfile { default_response, ..profile(base) };
        for denial in [Denial::Unavailable(CalloutError::TimedOut), Denial::Misconfigured] {
            let rendered = profile.render(denial, &DemandedScope::default());
            assert_eq!((rendered.status, rendered.retry), (503, true), "{base:?}");
        }
        assert_eq!(profile.render(Denial::NoRule, &DemandedScope::default()).status, 404);
    }
}

#[test]
fn bodies_are_valid_and_do_not_reveal_the_reason() {
    for (_, base) in Vendor::WORDS {
        for denial in TOKEN_DENIALS.into_iter().chain([Denial::NoRule, Denial::Misconfigured]) {
            let rendered = profile(base).render(denial, &scope("s", false));
            assert!(crate::base::Json::parse(rendered.body.as_bytes()).is_ok(), "{}", rendered.body);
        }
        if base != Vendor::Axway {
            let body = |denial| profile(base).render(denial, &DemandedScope::default()).body;
            assert_eq!(body(Denial::Expired), body(Denial::Inactive));
            assert_eq!(body(Denial::WrongIssuer), body(Denial::SenderConstrained));
        }
    }
    let problem = profile(Vendor::ProblemJson).render(Denial::Inactive, &DemandedScope::default());
    assert_eq!(problem.content_type, "application/problem+json");
    assert_eq!(
        problem.body,
        r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"The access token is not valid","error":"invalid_token"}"#
    );
}

#[test]
fn overrides_change_only_the_given_fields() {
    let response = Response { status: Some(403), ..Response::default() };
    let responses = [(DenialClass::InsufficientScope, response)].into();
    let profile = ErrorProfile { responses, ..profile(Vendor::Webmethods) };
    let rendered = profile.render(Denial::InsufficientScope, &scope("s", false));
    assert_eq!(rendered.status, 403);
    assert!(rendered.body.contains("Token is invalid or expired"));
    assert_eq!(profile.render(Denial::Inactive, &DemandedScope::default()).status, 401);
}

#[test]
fn template_values_are_escaped() {
    let values = Values { status: 403, error: "e\"\\\r\n", error_description: "<script>&'", realm: "r", scope: "a\"b" };
    for (text, content_type, filled) in [
        (
            r#"{"code":"{status}","e":"{error}","s":["{scope}"]}"#,
            ContentType::Json,
            r#"{"code":"403","e":"e\"\\\r\n","s":["a\"b"]}"#,
        ),
        ("<p title='{error_description}'>{ {realm} }", ContentType::Html, "<p title='&lt;script&gt;&amp;&#39;'>{ r }"),
        ("{error}{}{A}", ContentType::Text, "e\"\\{}{A}"),
    ] {
        let template = Template::parse(text, content_type).unwrap();
        assert_eq!(template.fill(&values, content_type), filled);
    }
    assert_eq!(Template::parse("{token}", ContentType::Text), Err(TemplateError::Unknown("token".to_owned())));
    for bad in [r#"{"a":{error}}"#, r#"{"a":"#, "text"] {
        assert_eq!(Template::parse(bad, ContentType::Json), Err(TemplateError::NotJson), "{bad}");
    }
}
