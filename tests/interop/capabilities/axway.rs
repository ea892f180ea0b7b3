//! S1.9: a token for a SAML assertion.

use super::*;

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
