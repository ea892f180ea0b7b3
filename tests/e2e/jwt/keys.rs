//! Keys that come and go while the issuer and Envoy run.

use super::*;

#[test]
fn a_rotated_key_is_found_by_the_next_token_and_a_withdrawn_one_vouches_for_nothing() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let plugin = |name: &str, jwt: Value| {
        let audience = json!([OidcProvider::JWT_RESOURCE]);
        json!({
            "authorization_servers": [oidc_server(name, &identity, &audience, &jwt)],
            "rules": [rule(name, &json!({ "scope": "view" }))],
        })
    };
    let on_demand = plugin("on-demand", json!({ "min_refetch_interval": "1s", "timeout": "2s" }));
    // Another authority makes it another key set: keys fetched from here are not used there.
    let refreshing =
        plugin("refreshing", json!({ "refresh": "2s", "timeout": "2s", "authority": "refreshing.example.test" }));
    let envoy = gateway()
        .cluster("identity", identity.addr())
        .upstream(upstream.addr())
        .plugin(on_demand)
        .listener("refreshing", ListenerSpec::new().plugin(refreshing))
        .start();
    // By every worker.
    let statuses = |listener: &str, way: &str, token: &str| [(); 8].map(|()| show(envoy.addr(listener), way, token));
    let on_demand = |token: &str| statuses("main", "on-demand", token);
    let refreshing = |token: &str| statuses("refreshing", "refreshing", token);
    let issue = || identity.jwt("view", OidcProvider::JWT_RESOURCE);
    let (old, unseen) = (issue(), issue());
    let have_keys = || on_demand(&old) == [200; 8] && refreshing(&old) == [200; 8];
    wait_until("the keys to be there", LIMIT, have_keys);
    // Until an unknown key may have them fetched again.
    std::thread::sleep(Duration::from_millis(2200));

    identity.rotate_keys();
    let new = issue();
    assert_ne!(jwt_parts(&new).0["kid"], jwt_parts(&old).0["kid"], "the issuer signs with another key");
    assert_eq!(on_demand(&new), [200; 8], "a token of the new key");
    assert_eq!(on_demand(&old), [200; 8], "a token of the key before, which is still published");
    let takes_new = || refreshing(&new) == [200; 8];
    wait_until("the refresh to bring the new key", LIMIT, takes_new);

    identity.withdraw_old_keys();
    wait_until("tokens of the old key to be refused", LIMIT, || refreshing(&old) == [401; 8]);
    // The token is in no cache. A worker that got none of the requests above must refuse it, too.
    wait_until("every worker to know", LIMIT, || refreshing(&unseen) == [401; 8]);
    assert_eq!(refreshing(&new), [200; 8]);
    assert!(envoy.log().contains("rule `refreshing`: refused with 401: unknown_key"));
    assert_eq!(identity.introspections(), 0);
}
