//! Real identity servers, each by its preset: none answers like the other, and no scripted server shows that as well.
//! Here are the servers one by one; what the gateway has to do to be let in at all of them is in `own_token`. Those of
//! Debian packages are in `tests/interop`.

mod oidc_provider;
mod own_token;

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fixtures::configurations::gateway;
use crate::support::fixtures::preset::*;
use crate::support::*;

/// Where `own_token` is tried.
fn server_that_takes_tokens(access_token_ttl: u64) -> own_token::Server {
    let django = DjangoOauthToolkit::with_access_token_ttl(access_token_ttl);
    own_token::Server {
        endpoints: django.endpoints(),
        front: ScriptedServer::in_front_of(django.addr(), |json| json),
        upstream: Upstream::start(),
        preset: "django-oauth-toolkit",
        scope: "introspection",
        gateway: (DjangoOauthToolkit::GATEWAY_ID, DjangoOauthToolkit::GATEWAY_SECRET),
        method: "client_secret_basic",
        refusal: 403,
        _process: Box::new(django),
    }
}

mod django_oauth_toolkit {
    use super::*;

    const GATEWAY: (&str, &str) = (DjangoOauthToolkit::GATEWAY_ID, DjangoOauthToolkit::GATEWAY_SECRET);

    /// Sets the server's own authority. The server does not always accept the name of the cluster: it rejects an
    /// unknown host when it looks for credentials other than Basic.
    fn with(identity: &DjangoOauthToolkit, client: (&str, &str), members: &[(&str, Value)]) -> Value {
        let authority = ("/introspection/authority", json!(identity.addr().to_string()));
        bookings("django-oauth-toolkit", client, &[&[authority], members].concat())
    }

    #[test]
    fn tokens_of_every_grant_open_what_their_scope_says() {
        let (identity, upstream) = (DjangoOauthToolkit::start(), Upstream::start());
        let envoy = gateway(with(&identity, GATEWAY, &[]), identity.addr(), &upstream).start();
        let of_a_browser = |scope: &str| identity.authorization_code_pkce("bob", "bob-pw", scope).access_token;

        assert_eq!(status(&envoy, &identity.client_credentials("view")), 200);
        assert_eq!(status(&envoy, &identity.password("alice", "alice-pw", "view book").access_token), 200);
        assert_eq!(status(&envoy, &of_a_browser("openid view")), 200);
        assert_eq!(client_ids(&upstream), ["traveller", "web", "spa"]);
        assert_eq!(status(&envoy, &identity.client_credentials("book")), 403);
        assert_eq!(status(&envoy, &identity.password("alice", "alice-pw", "cancel").access_token), 403);
        assert_eq!(status(&envoy, &of_a_browser("openid book")), 403);
        assert_eq!((identity.introspections(), upstream.request_count()), (6, 3));
    }

    #[test]
    fn what_is_no_access_token_or_no_longer_one_is_refused() {
        let (identity, upstream) = (DjangoOauthToolkit::start(), Upstream::start());
        let envoy = gateway(with(&identity, GATEWAY, &[]), identity.addr(), &upstream).start();
        let tokens = identity.authorization_code_pkce("alice", "alice-pw", "openid view");
        let revoked = identity.password("alice", "alice-pw", "view").access_token;
        identity.revoke(&revoked);
        let refresh_token = tokens.refresh_token.expect("a refresh token");
        let id_token = tokens.id_token.expect("an ID token");

        assert_eq!(status(&envoy, &tokens.access_token), 200);
        let statuses = ["garbage", &revoked, &refresh_token, &id_token].map(|token| status(&envoy, token));
        assert_eq!(statuses, [401; 4]);
        assert_eq!((identity.introspections(), upstream.request_count()), (5, 1));
    }

    #[test]
    fn an_expired_token_is_refused() {
        let (identity, upstream) = (DjangoOauthToolkit::with_access_token_ttl(1), Upstream::start());
        let envoy = gateway(with(&identity, GATEWAY, &[]), identity.addr(), &upstream).start();
        let token = identity.client_credentials("view");
        thread::sleep(Duration::from_secs(1));
        assert_eq!((status(&envoy, &token), upstream.request_count()), (401, 0));
    }

    #[test]
    fn an_answer_without_audience_and_token_type_meets_no_demand_for_them() {
        let (identity, upstream) = (DjangoOauthToolkit::start(), Upstream::start());
        let token = identity.password("alice", "alice-pw", "view").access_token;
        let required = |members: &[&str]| json!({ "required_members": members });
        for (pointer, value, reason) in [
            ("/audience", json!([AUDIENCE]), Some("wrong_audience")),
            ("/introspection/answer", required(&["token_type"]), Some("not_an_access_token")),
            ("/introspection/answer", required(&["client_id", "exp", "scope"]), None),
        ] {
            let envoy = gateway(with(&identity, GATEWAY, &[(pointer, value)]), identity.addr(), &upstream).start();
            let expected = if reason.is_some() { 401 } else { 200 };
            assert_eq!(status(&envoy, &token), expected, "{reason:?}");
            if let Some(reason) = reason {
                assert_logged(&envoy, &format!("refused with 401: {reason}"));
            }
        }
    }

    #[test]
    fn its_refusal_of_the_gateway_is_no_verdict_on_the_token() {
        let (identity, upstream) = (DjangoOauthToolkit::start(), Upstream::start());
        let token = identity.client_credentials("view");
        for client in [(GATEWAY.0, "wrong"), ("nobody", "wrong")] {
            let envoy = gateway(with(&identity, client, &[]), identity.addr(), &upstream).start();
            assert_eq!([status(&envoy, &token), status(&envoy, &token)], [503, 503], "{client:?}");
            // Other servers respond with 401.
            assert_logged(&envoy, "the server refused the gateway's client with status 403");
        }
        let configuration = bookings("django-oauth-toolkit", (GATEWAY.0, "wrong"), &[]);
        let envoy = gateway(configuration, identity.addr(), &upstream).start();
        assert_eq!(status(&envoy, &token), 503);
        assert_logged(&envoy, "the introspection endpoint responded with unexpected status 400");
        assert_eq!((identity.introspections(), upstream.request_count()), (5, 0));
    }

    #[test]
    fn a_secret_with_odd_characters_arrives_as_the_preset_sends_it() {
        let (identity, upstream) = (DjangoOauthToolkit::start(), Upstream::start());
        let token = identity.client_credentials("view");
        let method = |name: &str| ("/introspection/client_authentication", json!(name));
        for (members, expected) in
            [(vec![], 200), (vec![method("client_secret_post")], 200), (vec![method("client_secret_basic_raw")], 503)]
        {
            let envoy = gateway(with(&identity, GATEWAY, &members), identity.addr(), &upstream).start();
            assert_eq!(status(&envoy, &token), expected, "{members:?}");
            assert_not_logged(&envoy, &[&token, GATEWAY.1, "Basic "]);
        }
    }
}

mod canaille {
    use super::*;

    const GATEWAY: (&str, &str) = (Canaille::GATEWAY_ID, Canaille::GATEWAY_SECRET);

    /// It answers only to its own name, which the module takes from the issuer.
    fn with(identity: &Canaille, client: (&str, &str), members: &[(&str, Value)]) -> Value {
        let issuer = ("/issuer", json!(identity.issuer()));
        bookings("canaille", client, &[&[issuer], members].concat())
    }

    #[test]
    fn tokens_of_every_grant_open_what_their_scope_says() {
        let (identity, upstream) = (Canaille::start(), Upstream::start());
        let envoy = gateway(with(&identity, GATEWAY, &[]), identity.addr(), &upstream).start();
        let of_a_browser = |scope: &str| identity.authorization_code_pkce("bob", "bob-pw", scope).access_token;

        assert_eq!(status(&envoy, &identity.client_credentials("view")), 200);
        assert_eq!(status(&envoy, &identity.password("alice", "alice-pw", "view book").access_token), 200);
        assert_eq!(status(&envoy, &of_a_browser("openid view")), 200);
        assert_eq!(client_ids(&upstream), ["traveller", "web", "spa"]);
        assert_eq!(status(&envoy, &identity.client_credentials("book")), 403);
        assert_eq!(status(&envoy, &identity.password("alice", "alice-pw", "cancel").access_token), 403);
        assert_eq!(status(&envoy, &of_a_browser("openid book")), 403);
        assert_eq!((identity.introspections(), upstream.request_count()), (6, 3));
    }

    #[test]
    fn what_is_no_access_token_or_no_longer_one_is_refused() {
        let (identity, upstream) = (Canaille::start(), Upstream::start());
        let envoy = gateway(with(&identity, GATEWAY, &[]), identity.addr(), &upstream).start();
        let tokens = identity.authorization_code_pkce("alice", "alice-pw", "openid view");
        let revoked = identity.password("alice", "alice-pw", "view").access_token;
        identity.revoke(&revoked);
        let refresh_token = tokens.refresh_token.expect("a refresh token");
        let id_token = tokens.id_token.expect("an ID token");

        // Without the hint it calls the refresh token active, and even a bearer token.
        let request = Canaille::GATEWAY.form(Canaille::INTROSPECTION_PATH, &[("token", &refresh_token)]);
        let answer = send(identity.addr(), &request.host(identity.addr().to_string())).json();
        assert_eq!((&answer["active"], &answer["token_type"]), (&json!(true), &json!("Bearer")));
        assert_eq!(status(&envoy, &tokens.access_token), 200);
        let statuses = ["garbage", &revoked, &refresh_token, &id_token].map(|token| status(&envoy, token));
        assert_eq!(statuses, [401; 4]);
        assert_eq!((identity.introspections(), upstream.request_count()), (6, 1));
    }

    #[test]
    fn an_expired_token_is_refused() {
        let (identity, upstream) = (Canaille::with_access_token_ttl(1), Upstream::start());
        let envoy = gateway(with(&identity, GATEWAY, &[]), identity.addr(), &upstream).start();
        let token = identity.client_credentials("view");
        thread::sleep(Duration::from_secs(1));
        assert_eq!((status(&envoy, &token), upstream.request_count()), (401, 0));
    }

    #[test]
    fn times_may_be_fractions_and_the_audience_a_list() {
        let (identity, upstream) = (Canaille::start(), Upstream::start());
        let token = identity.client_credentials("view");
        let mut answer = identity.endpoints().introspect(Canaille::GATEWAY, &token).json();
        for name in ["exp", "iat"] {
            let time = answer.as_object_mut().expect("an object").remove(name);
            assert!(time.is_some_and(|time| time.is_f64()), "{name} is not a fraction");
        }
        let expected = json!({
            "active": true,
            "aud": ["gateway", "odd-gateway"],
            "client_id": "traveller",
            "iss": identity.issuer(),
            "scope": "view",
            "token_type": "Bearer",
        });
        assert_eq!(answer, expected);

        for (audience, expected) in [(json!([Canaille::GATEWAY_ID]), 200), (json!([AUDIENCE]), 401)] {
            let configuration = with(&identity, GATEWAY, &[("/audience", audience)]);
            let envoy = gateway(configuration, identity.addr(), &upstream).start();
            assert_eq!(status(&envoy, &token), expected);
        }
    }

    #[test]
    fn its_refusal_of_the_gateway_is_no_verdict_on_the_token() {
        let (identity, upstream) = (Canaille::start(), Upstream::start());
        let token = identity.client_credentials("view");
        for client in [(GATEWAY.0, "wrong"), ("nobody", "wrong")] {
            let envoy = gateway(with(&identity, client, &[]), identity.addr(), &upstream).start();
            assert_eq!([status(&envoy, &token), status(&envoy, &token)], [503, 503], "{client:?}");
            assert_logged(&envoy, "the server refused the gateway's client with status 401");
        }

        // The server rejects an authority that is not its own.
        let configuration = bookings("canaille", GATEWAY, &[]);
        let envoy = gateway(configuration, identity.addr(), &upstream).start();
        assert_eq!(status(&envoy, &token), 503);
        assert_logged(&envoy, "the introspection endpoint responded with unexpected status 400");
        assert_eq!((identity.introspections(), upstream.request_count()), (5, 0));
    }

    #[test]
    fn a_secret_with_odd_characters_arrives_as_the_preset_sends_it() {
        let (identity, upstream) = (Canaille::start(), Upstream::start());
        let token = identity.client_credentials("view");
        // It does not undo the form encoding of a secret (RFC 6749, 2.3.1): so encoded, this one is wrong.
        let encoded = ("/introspection/client_authentication", json!("client_secret_basic"));
        for (members, expected) in [(vec![], 200), (vec![encoded], 503)] {
            let configuration = with(&identity, Canaille::ODD_GATEWAY, &members);
            let envoy = gateway(configuration, identity.addr(), &upstream).start();
            assert_eq!(status(&envoy, &token), expected, "{members:?}");
            assert_not_logged(&envoy, &[&token, Canaille::ODD_GATEWAY.1, "Basic "]);
        }
    }

    #[test]
    fn a_gateway_that_is_no_audience_of_a_good_token_hears_that_it_is_inactive() {
        let (identity, upstream) = (Canaille::start(), Upstream::start());
        let token = identity.client_credentials("view");
        let envoy = gateway(with(&identity, ("web", "web-secret"), &[]), identity.addr(), &upstream).start();
        assert_eq!(status(&envoy, &token), 401);
        assert_logged(&envoy, "refused with 401: inactive");
    }
}
