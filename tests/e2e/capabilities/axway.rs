//! S1: Axway API Gateway.
//!
//! The statuses are those of RFC 6750; the product's own are an error profile. Its implicit flow answers with an access
//! token alone (`response_type=token`), which oidc-provider refuses: here an ID token comes along.

use std::time::Instant;

use super::*;

/// The names of the product's attributes: the client and the resource owner.
fn with_names(identity: &OidcProvider, changes: &[(&str, Value)]) -> Value {
    let headers = json!({ "headers": { "x-client": "client_id", "x-owner": "sub" } });
    with(with(bookings(identity), &[("/upstream", headers)]), changes)
}

/// Calls with a token, which must pass, and tells the client and the owner that the application was told.
#[track_caller]
fn named(envoy: &Envoy, upstream: &Upstream, token: &str) -> (String, String) {
    upstream.clear();
    assert_eq!(status(envoy, list(), token), 200);
    let [passed] = upstream.requests().try_into().expect("one request");
    (passed.headers_named("x-client").join("|"), passed.headers_named("x-owner").join("|"))
}

fn names(client: &str, owner: &str) -> (String, String) {
    (client.to_owned(), owner.to_owned())
}

/// A form that is refused as RFC 6749, 5.2, has it.
#[track_caller]
fn assert_not_granted(response: &Response) {
    assert_eq!((response.status, &response.json()["error"]), (400, &json!("invalid_grant")), "{}", response.text());
}

/// `invalid_grant`, for this reason.
#[track_caller]
fn assert_assertion_refused(response: &Response, reason: &str) {
    assert_not_granted(response);
    let description = response.json()["error_description"].as_str().unwrap_or_default().to_owned();
    assert!(description.contains(reason), "refused, but not for {reason:?}: {description}");
}

#[test]
fn s1_1_a_token_of_the_authorization_code_grant_is_honoured_and_the_code_is_not() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let login = Login::new("alice", "alice-pw", &["openid", "view"]);

    // A confidential client, which may do without PKCE.
    let plain = identity.authorization_code(Client::WEB, &login);
    let proven = identity.authorization_code_with_pkce(Client::WEB, &login);
    for tokens in [&plain, &proven] {
        assert_eq!(named(&envoy, &upstream, &tokens.access_token), names("web", "alice"));
        assert_refused(&send(envoy.addr("main"), &book().bearer(&tokens.access_token)), Refusal::LacksScope("book"));
    }

    upstream.clear();
    let code = identity.code(Client::WEB, &login, &[]);
    for token in [plain.id(), plain.refresh(), &code] {
        assert_refused(&send(envoy.addr("main"), &list().bearer(token)), Refusal::BadToken);
    }
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn s1_1_a_code_is_redeemed_once_and_only_by_whom_it_was_for() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[("/cache/max_ttl", json!("0s"))])).start();
    let login = Login::new("alice", "alice-pw", &["openid", "view"]);

    // A verifier belongs to the code (RFC 7636, 4.6): another, none, or one that nobody asked for.
    let wrong = "another-verifier-of-forty-three-characters-too";
    let proven = || identity.code_with_pkce(Client::WEB, &login);
    assert_not_granted(&identity.redeem_code(Client::WEB, &proven(), &[("code_verifier", wrong)]));
    assert_not_granted(&identity.redeem_code(Client::WEB, &proven(), &[]));
    let plain = identity.code(Client::WEB, &login, &[]);
    assert_not_granted(&identity.redeem_code(Client::WEB, &plain, &[("code_verifier", wrong)]));
    let verifier = [("code_verifier", OidcProvider::VERIFIER)];
    assert_not_granted(&identity.redeem_code(Client::NETIQ, &proven(), &verifier));

    // A code that comes twice was stolen: what was issued for it ends (RFC 6749, 4.1.2).
    let code = proven();
    let token = tokens_of(&identity.redeem_code(Client::WEB, &code, &verifier)).access_token;
    assert_eq!(named(&envoy, &upstream, &token), names("web", "alice"));
    assert_not_granted(&identity.redeem_code(Client::WEB, &code, &verifier));
    assert_refused(&send(envoy.addr("main"), &list().bearer(&token)), Refusal::BadToken);
}

#[test]
fn s1_2_a_token_from_the_fragment_of_the_implicit_grant_is_honoured_in_the_header() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let tokens = identity.implicit(&Login::new("bob", "bob-pw", &["openid", "view", "book"]).approves(&["view"]));
    assert_eq!(tokens.refresh_token, None);

    assert_eq!(named(&envoy, &upstream, &tokens.access_token), names("spa", "bob"));
    assert_refused(&send(envoy.addr("main"), &book().bearer(&tokens.access_token)), Refusal::LacksScope("book"));
    assert_refused(&send(envoy.addr("main"), &list().bearer(tokens.id())), Refusal::BadToken);
    assert_eq!(upstream.request_count(), 1);
}

#[test]
fn s1_3_the_owner_of_a_password_token_is_the_user() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();

    for (user, password) in [("alice", "alice-pw"), ("bob", "bob-pw"), ("fred", "test0123")] {
        let token = identity.password(user, password, "view").access_token;
        // The second time from the cache.
        for _ in 0..2 {
            assert_eq!(named(&envoy, &upstream, &token), names("web", user));
        }
    }
    assert_eq!(identity.introspections(), 3);
    let form = [("grant_type", "password"), ("username", "bob"), ("password", "alice-pw"), ("scope", "view")];
    assert_not_granted(&identity.token_request(Client::WEB, &form));
}

#[test]
fn s1_4_a_client_credentials_token_has_a_client_and_no_owner() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let form = [("grant_type", "client_credentials"), ("scope", "view")];
    let tokens = tokens_of(&identity.token_request(Client::WEB, &form));

    // RFC 6749, 4.4.3: no refresh token, even for a client that may refresh.
    assert_eq!(tokens.refresh_token, None);
    for _ in 0..2 {
        assert_eq!(named(&envoy, &upstream, &tokens.access_token), names("web", ""));
    }
}

#[test]
fn s1_5_a_token_for_a_jwt_assertion_is_honoured_and_the_assertion_itself_is_not() {
    let key = SigningKey::rs256();
    let (identity, upstream) = (OidcProvider::builder().trusts(&key).start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let assertion = key.jwt(&identity.jwt_claims("fred"));

    let token = tokens_of(&identity.jwt_bearer(&assertion, "view")).access_token;
    assert_eq!(named(&envoy, &upstream, &token), names("web", "fred"));
    assert_refused(&send(envoy.addr("main"), &book().bearer(&token)), Refusal::LacksScope("book"));
    // Neither the one that was redeemed nor one that still could be.
    for bearer in [&assertion, &key.jwt(&identity.jwt_claims("fred"))] {
        assert_refused(&send(envoy.addr("main"), &list().bearer(bearer)), Refusal::BadToken);
    }
    assert_eq!(upstream.request_count(), 1);
}

#[test]
fn s1_5_a_jwt_assertion_is_redeemed_once_by_the_right_server_for_five_minutes_at_most() {
    let key = SigningKey::rs256();
    let identity = OidcProvider::builder().trusts(&key).start();
    let refused =
        |assertion: &str, reason: &str| assert_assertion_refused(&identity.jwt_bearer(assertion, "view"), reason);
    let now = unix_time();
    for (pointer, value, reason) in [
        ("/iss", json!("https://elsewhere.example.test"), r#"unexpected "iss""#),
        ("/sub", json!("mallory"), "nobody here has that name"),
        ("/aud", json!("https://elsewhere.example.test/token"), r#"unexpected "aud""#),
        ("/exp", json!(now - 60), r#""exp" claim timestamp check failed"#),
        ("/exp", json!(now + 600), "good for too long"),
        ("/nbf", json!(now + 60), r#""nbf" claim timestamp check failed"#),
    ] {
        let claims = with(identity.jwt_claims("fred"), &[(pointer, value)]);
        refused(&key.jwt(&claims), reason);
    }
    for required in ["iss", "sub", "aud", "exp", "jti"] {
        let mut claims = identity.jwt_claims("fred");
        claims[required] = Value::Null;
        refused(&key.jwt(&claims), "");
        claims.as_object_mut().expect("an object").remove(required);
        refused(&key.jwt(&claims), &format!(r#"missing required "{required}" claim"#));
    }
    let claims = identity.jwt_claims("fred");
    refused(&SigningKey::rs256().jwt(&claims), "signature verification failed");
    refused(&SigningKey::es256().jwt(&claims), r#""alg" (Algorithm) Header Parameter value not allowed"#);
    let (good, another) = (key.jwt(&claims), key.jwt(&identity.jwt_claims("fred")));
    let (signed, _) = good.rsplit_once('.').expect("a signature");
    let (_, signature) = another.rsplit_once('.').expect("a signature");
    refused(&format!("{signed}.{signature}"), "signature verification failed");
    refused("garbage", "Invalid Compact JWS");

    // What was refused is not used up.
    tokens_of(&identity.jwt_bearer(&good, "view"));
    refused(&good, "redeemed before");
    // Nobody is trusted unless the server is told whom.
    assert_assertion_refused(&OidcProvider::start().jwt_bearer(&good, "view"), "no issuer is trusted");
}

#[test]
fn s1_6_after_a_refresh_the_new_token_works_at_once_and_the_old_one_dies_with_its_grant() {
    const MAX_TTL: Duration = Duration::from_secs(2);
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = [("/cache/max_ttl", json!("2s"))];
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &changes)).start();
    let old = identity.password("alice", "alice-pw", "view");
    assert_eq!(named(&envoy, &upstream, &old.access_token), names("web", "alice"));
    assert_eq!(identity.introspections(), 1);

    let new = identity.refresh(old.refresh());
    assert_eq!(named(&envoy, &upstream, &new.access_token), names("web", "alice"));
    assert_eq!(identity.introspections(), 2);
    // This server lets the old token live beside the new one: the gateway follows.
    assert_eq!(status(&envoy, list(), &old.access_token), 200);
    for refresh_token in [old.refresh(), new.refresh()] {
        assert_refused(&send(envoy.addr("main"), &list().bearer(refresh_token)), Refusal::BadToken);
    }

    // A refresh token that comes back after it was exchanged was stolen: the server ends the whole grant.
    assert_not_granted(&identity.try_refresh_for(Client::WEB, old.refresh()));
    let both = || [&old, &new].map(|tokens| status(&envoy, list(), &tokens.access_token));
    wait_until("both tokens to be refused", MAX_TTL * 2, || both() == [401; 2]);
    assert_not_granted(&identity.try_refresh_for(Client::WEB, new.refresh()));
}

/// How long a token that was just revoked is still let by.
fn until_refused(envoy: &Envoy, token: &str) -> Duration {
    let revoked = Instant::now();
    wait_until("the token to be refused", LIMIT, || status(envoy, list(), token) == 401);
    revoked.elapsed()
}

#[test]
fn s1_7_a_revoked_token_is_refused_within_max_ttl_or_at_once() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = |max_ttl: &str| with(bookings(&identity), &[("/cache/max_ttl", json!(max_ttl))]);
    let envoy = gateway(&identity, &upstream)
        .plugin(changes("3s"))
        .listener("never", ListenerSpec::new().plugin(changes("0s")))
        .start();
    let never = |token: &str| send(envoy.addr("never"), &list().bearer(token)).status;

    for by_refresh_token in [false, true] {
        let tokens = identity.password("alice", "alice-pw", "view");
        let token = tokens.access_token.as_str();
        assert_eq!([status(&envoy, list(), token), never(token)], [200, 200]);
        identity.revoke(if by_refresh_token { tokens.refresh() } else { token });
        assert_eq!(never(token), 401);
        let seconds = until_refused(&envoy, token).as_secs_f64();
        println!("from the revocation to the first 401: {seconds:.2} s with max_ttl 3s");
        // Part of the three seconds was over when it was revoked; a busy machine may be late.
        assert!((0.5..5.0).contains(&seconds), "{seconds} s");
    }
}

#[test]
fn s1_7_whether_a_revocation_is_granted_is_for_the_identity_server_to_say() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let configuration = with(bookings(&identity), &[("/cache/max_ttl", json!("0s"))]);
    let envoy = gateway(&identity, &upstream).plugin(configuration).start();
    let token = identity.password("alice", "alice-pw", "view").access_token;

    // A token that is not known is revoked already (RFC 7009, 2.2).
    assert_eq!(identity.try_revoke(Client::WEB, "garbage").status, 200);
    assert_eq!(identity.try_revoke(Client::Basic("web", "wrong"), &token).status, 401);
    assert_eq!(identity.try_revoke(Client::ONCE, &token).status, 400);
    assert_eq!(status(&envoy, list(), &token), 200);
    identity.revoke(&token);
    assert_eq!(status(&envoy, list(), &token), 401);
}

/// A SAML identity provider and an authorization server that redeems its assertions.
fn federation() -> (SimpleSamlPhp, OidcProvider) {
    let saml = SimpleSamlPhp::start();
    let identity = OidcProvider::builder().trusts_certificate(&saml.certificate()).start();
    saml.serve(&identity.token_endpoint());
    (saml, identity)
}

#[test]
fn s1_9_a_token_for_a_saml_assertion_is_honoured_and_the_assertion_itself_is_not() {
    let ((saml, identity), upstream) = (federation(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let assertion = || saml.assertion("alice", "alice-saml", &identity.token_endpoint());
    let (redeemed, fresh) = (SimpleSamlPhp::encode(&assertion()), SimpleSamlPhp::encode(&assertion()));

    let token = tokens_of(&identity.saml_bearer(&redeemed, "view")).access_token;
    assert_eq!(named(&envoy, &upstream, &token), names("web", "alice"));
    assert_refused(&send(envoy.addr("main"), &book().bearer(&token)), Refusal::LacksScope("book"));
    for bearer in [&redeemed, &fresh] {
        assert_refused(&send(envoy.addr("main"), &list().bearer(bearer)), Refusal::BadToken);
    }
    assert_eq!(upstream.request_count(), 1);
}

#[test]
fn s1_9_a_saml_assertion_is_redeemed_once_as_it_was_signed_and_by_the_right_server() {
    let ((saml, identity), upstream) = (federation(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let here = identity.token_endpoint();
    let redeem = |assertion: &str| identity.saml_bearer(&SimpleSamlPhp::encode(assertion), "view");
    let refused = |assertion: &str, reason: &str| assert_assertion_refused(&redeem(assertion), reason);
    let good = saml.assertion("alice", "alice-saml", &here);
    let (before, rest) = good.split_once("<ds:Signature").expect("a signature");
    let (signature, after) = rest.split_once("</ds:Signature>").expect("its end");
    let unsigned = format!("{before}{after}");

    refused("garbage", "");
    // Another name, a longer life: what is changed is not what was signed.
    for (from, to) in [(">alice<", ">fred<"), ("NotOnOrAfter=\"2", "NotOnOrAfter=\"3"), (&here, "http://x.test/")] {
        assert!(good.contains(from), "no {from} in {good}");
        refused(&good.replace(from, to), "the signature is wrong");
    }
    refused(&unsigned, "exactly one signature");
    let twice = format!("</ds:Signature><ds:Signature{signature}</ds:Signature>");
    refused(&good.replace("</ds:Signature>", &twice), "exactly one signature");
    let (strong, weak) =
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2000/09/xmldsig#rsa-sha1");
    assert!(good.contains(strong), "{good}");
    refused(&good.replace(strong, weak), "rsa-sha1' is not supported");
    refused(&format!("<!DOCTYPE x>{good}"), "document type");

    // For another server, by another provider, for somebody unknown, too late.
    let elsewhere = "https://elsewhere.example.test/token";
    saml.serve(elsewhere);
    refused(&saml.assertion("alice", "alice-saml", elsewhere), "another audience");
    saml.serve_with(&here, elsewhere, 300);
    refused(&saml.assertion("alice", "alice-saml", &here), "not confirmed for this token endpoint");
    saml.serve_with(&here, &here, -20);
    refused(&saml.assertion("alice", "alice-saml", &here), "not good at this moment");
    saml.serve(&here);
    refused(&saml.assertion("mallory", "mallory-saml", &here), "nobody here has that name");
    let stranger = SimpleSamlPhp::start_as("https://stranger.example.test");
    stranger.serve(&here);
    refused(&stranger.assertion("alice", "alice-saml", &here), "invalid signature");

    // What a certificate signs is good for one issuer; without one, nobody is trusted.
    let misled = OidcProvider::builder().trusts_certificate(&stranger.certificate()).start();
    stranger.serve(&misled.token_endpoint());
    let foreign = SimpleSamlPhp::encode(&stranger.assertion("alice", "alice-saml", &misled.token_endpoint()));
    assert_assertion_refused(&misled.saml_bearer(&foreign, "view"), "issuer is not trusted");
    assert_assertion_refused(&OidcProvider::start().saml_bearer(&SimpleSamlPhp::encode(&good), "view"), "no issuer");

    // None of this has used it up.
    assert_eq!(named(&envoy, &upstream, &tokens_of(&redeem(&good)).access_token), names("web", "alice"));
    refused(&good, "redeemed before");

    // A signed assertion as an ornament of one without a signature: only what is signed is read.
    let next = saml.assertion("alice", "alice-saml", &here);
    let forged = unsigned.replace(">alice<", ">fred<").replace(" ID=\"_", " ID=\"_forged");
    let (tag, rest) = forged.split_once('>').expect("its tag");
    let wrapped = redeem(&format!("{tag}><saml:Advice>{next}</saml:Advice>{rest}"));
    assert_eq!(named(&envoy, &upstream, &tokens_of(&wrapped).access_token), names("web", "alice"));
}

#[test]
fn s1_11_a_token_of_the_device_grant_is_honoured() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let tokens = identity.device(&Login::new("bob", "bob-pw", &["openid", "view", "book"]).approves(&["view"]));

    assert_eq!(named(&envoy, &upstream, &tokens.access_token), names("kiosk", "bob"));
    assert_refused(&send(envoy.addr("main"), &book().bearer(&tokens.access_token)), Refusal::LacksScope("book"));
    for token in [tokens.id(), tokens.refresh()] {
        assert_refused(&send(envoy.addr("main"), &list().bearer(token)), Refusal::BadToken);
    }
}
