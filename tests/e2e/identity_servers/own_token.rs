//! An access token of the gateway's own, with which it asks the servers that take one of their callers (RFC 7662,
//! 2.1): how it comes by it, how long it uses it, and what becomes of a request when it has none.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::*;

/// A server that takes the token, and who counts what it is asked.
pub struct Server {
    pub endpoints: Endpoints,
    pub front: ScriptedServer,
    pub upstream: Upstream,
    pub preset: &'static str,
    /// The scope that lets the gateway ask.
    pub scope: &'static str,
    pub gateway: (&'static str, &'static str),
    /// How the gateway proves who it is at the token endpoint.
    pub method: &'static str,
    /// The status with which the server refuses an invalid token of the gateway.
    pub refusal: u16,
    /// The server process ends with this value.
    pub _process: Box<dyn std::any::Any>,
}

/// The pause between a refused token request and the next one.
const PAUSE: Duration = Duration::from_secs(2);
/// How often something is tried that takes a machine which does not stand still.
const ROUNDS: usize = 8;

/// Runs a test at the server of this suite.
fn at_server(access_token_ttl: u64, test: impl Fn(&Server)) {
    test(&server_that_takes_tokens(access_token_ttl));
}

impl Server {
    /// With other values at some places of `token`.
    fn configuration(&self, client: (&str, &str), token: &[(&str, Value)]) -> Value {
        let mut endpoint =
            json!({ "path": self.endpoints.token, "scope": self.scope, "client_authentication": self.method });
        for (name, value) in token {
            endpoint[*name] = value.clone();
        }
        let members = [
            ("/introspection/authority", json!(self.endpoints.addr.to_string())),
            ("/introspection/client_authentication", json!("bearer")),
            ("/introspection/token", endpoint),
        ];
        bookings(self.preset, client, &members)
    }

    /// The gateway, when the test does in its name what the module cannot.
    fn client(&self) -> Client<'static> {
        let (id, secret) = self.gateway;
        if self.method == "client_secret_basic_raw" { Client::RawBasic(id, secret) } else { Client::Basic(id, secret) }
    }

    /// With one worker, since each has a token of its own.
    fn envoy(&self, configuration: Value) -> EnvoyBuilder {
        gateway(configuration, self.front.addr(), &self.upstream).concurrency(1)
    }

    /// A new access token of an API client.
    fn token(&self) -> String {
        self.endpoints.client_credentials(Client::TRAVELLER, "view")
    }

    /// The access token of the gateway's latest callout.
    fn shown(&self) -> String {
        let asked = self.front.calls().into_iter().rfind(|call| call.path == self.endpoints.introspection.as_bytes());
        let header = asked.and_then(|call| call.header("authorization")).expect("a token of the gateway");
        header.strip_prefix("Bearer ").expect("a bearer token").to_owned()
    }

    /// How often the token endpoint and the introspection endpoint were asked since the last time.
    fn asked(&self) -> (usize, usize) {
        let calls = self.front.calls();
        self.front.clear();
        let count = |path: &str| calls.iter().filter(|call| call.path == path.as_bytes()).count();
        (count(self.endpoints.token), count(self.endpoints.introspection))
    }

    #[track_caller]
    fn assert_not_logged(&self, envoy: &Envoy, tokens: &[&str]) {
        assert_not_logged(envoy, tokens);
        assert_not_logged(envoy, &[self.gateway.1, "Basic ", "client_secret="]);
    }
}

#[test]
fn one_token_serves_many_introspections() {
    at_server(3600, |server| {
        let envoy = server.envoy(server.configuration(server.gateway, &[])).start();
        for _ in 0..8 {
            assert_eq!(status(&envoy, &server.token()), 200);
        }
        assert_eq!(status(&envoy, "garbage"), 401);
        let own = server.shown();
        assert_eq!(server.asked(), (1, 9));

        // A client that sends the gateway's own access token has stolen it.
        assert_eq!(status(&envoy, &own), 401);
        assert_eq!((server.asked(), server.upstream.request_count()), ((0, 0), 8));
        server.assert_not_logged(&envoy, &[&own]);
    });
}

#[test]
fn the_token_may_be_had_with_the_secret_in_the_form() {
    at_server(3600, |server| {
        let post = [("client_authentication", json!("client_secret_post"))];
        let envoy = server.envoy(server.configuration(server.gateway, &post)).start();
        assert_eq!((status(&envoy, &server.token()), server.asked()), (200, (1, 1)));
        server.assert_not_logged(&envoy, &[]);
    });
}

#[test]
fn each_worker_keeps_a_token_of_its_own() {
    at_server(3600, |server| {
        let envoy = server.envoy(server.configuration(server.gateway, &[])).concurrency(2).start();
        let tokens: Vec<String> = (0..40).map(|_| server.token()).collect();
        for token in &tokens {
            // Each on a connection of its own, which Envoy gives to either worker.
            assert_eq!(status(&envoy, token), 200);
        }
        let (obtained, introspections) = server.asked();
        assert!((1..=2).contains(&obtained), "{obtained} tokens for two workers");
        assert_eq!(introspections, tokens.len());
    });
}

#[test]
fn the_token_is_renewed_before_it_ends() {
    // A fifth of it is more than the second that Glewlwyd may round off.
    const LIFETIME: u64 = 6;
    at_server(LIFETIME, |server| {
        let envoy = server.envoy(server.configuration(server.gateway, &[])).start();
        let (mut requests, mut obtained, mut introspections) = (0, 0, 0);
        // At once, and whenever four fifths of a life are over.
        let renewed_twice = try_wait("two renewals", LIMIT, || {
            assert_eq!(status(&envoy, &server.token()), 200);
            requests += 1;
            let (tokens, asked) = server.asked();
            (obtained, introspections) = (obtained + tokens, introspections + asked);
            thread::sleep(Duration::from_millis(100));
            (obtained == 3).then_some(())
        });
        assert_eq!(renewed_twice, Ok(()), "{obtained} tokens in {requests} requests");
        // A token that had ended would have been refused, and asked with twice.
        assert_eq!(introspections, requests);
    });
}

#[test]
fn a_token_that_the_server_has_revoked_is_replaced_within_the_request() {
    at_server(3600, |server| {
        let envoy = server.envoy(server.configuration(server.gateway, &[])).start();
        assert_eq!((status(&envoy, &server.token()), server.asked().0), (200, 1));
        assert_eq!(status(&envoy, &server.token()), 200);
        let revoked = server.shown();
        assert_eq!(server.asked(), (0, 1));
        server.endpoints.revoke(server.client(), &revoked);
        let refused = server.endpoints.introspect(Client::Bearer(&revoked), "garbage").status;
        assert_eq!(refused, server.refusal, "{}", server.preset);

        // Refused, a new token, asked again.
        assert_eq!((status(&envoy, &server.token()), server.asked()), (200, (1, 2)));
        assert_eq!((status(&envoy, &server.token()), server.asked()), (200, (0, 1)));
        server.assert_not_logged(&envoy, &[&revoked]);
    });
}

#[test]
fn a_second_refusal_is_final_and_no_verdict_on_the_token() {
    at_server(3600, |server| {
        // Its tokens are good, but not for asking.
        let configuration = server.configuration(("traveller", "traveller-secret"), &[("scope", json!("view"))]);
        let envoy = server.envoy(configuration).start();
        let shown = (0..ROUNDS).any(|_| {
            let [first, second] = [(); 2].map(|()| server.token());
            let start = Instant::now();
            assert_eq!((status(&envoy, &first), server.asked()), (503, (2, 2)));
            // For a while none is obtained again: a gateway that is refused must not become a flood of tokens for
            // itself.
            let found = [second.as_str(), "garbage"].map(|token| (status(&envoy, token), server.asked()));
            let in_time = start.elapsed() < PAUSE;
            if in_time {
                assert_eq!(found, [(503, (0, 1)); 2]);
            }
            thread::sleep(PAUSE);
            // Then the token that was refused last is tried, and another one.
            let (found, asked) = (status(&envoy, &server.token()), server.asked());
            if in_time {
                assert_eq!((found, asked), (503, (1, 2)));
            }
            thread::sleep(PAUSE);
            in_time
        });
        assert!(shown, "the machine was too slow each time");
        assert_logged(&envoy, &format!("the server refused the gateway's client with status {}", server.refusal));
        assert_eq!(server.upstream.request_count(), 0);
    });
}

#[test]
fn what_the_token_endpoint_refuses_is_no_verdict_on_the_token() {
    at_server(3600, |server| {
        let wrong = [
            ("secret", server.configuration((server.gateway.0, "wr0ng-secret"), &[])),
            ("client", server.configuration(("nobody", "wr0ng-secret"), &[])),
            ("scope", server.configuration(server.gateway, &[("scope", json!("no-such-scope"))])),
            ("path", server.configuration(server.gateway, &[("path", json!("/no/such/path"))])),
        ];
        let builder = Envoy::builder().cluster("identity_server", server.front.addr()).concurrency(1);
        let envoy = wrong
            .iter()
            .fold(builder.upstream(server.upstream.addr()), |builder, (name, configuration)| {
                builder.listener(name, ListenerSpec::new().plugin(configuration.clone()))
            })
            .start();
        for (name, _) in &wrong {
            for token in [server.token().as_str(), "garbage"] {
                let response = send(envoy.addr(name), &Request::get("/bookings").bearer(token));
                assert_eq!(response.status, 503, "{}: {name}", server.preset);
                assert!(response.header("www-authenticate").is_none(), "{response:?}");
            }
        }
        assert_eq!((server.asked().1, server.upstream.request_count()), (0, 0));
        assert_logged(&envoy, "the server refused the gateway's client");
        server.assert_not_logged(&envoy, &["wr0ng-secret"]);
    });
}

#[test]
fn while_the_token_endpoint_is_in_trouble_nobody_knows_what_a_token_is_worth() {
    at_server(3600, |server| {
        let trouble = Arc::new(Mutex::new(Script::Close));
        let tokens = ScriptedServer::start({
            let trouble = Arc::clone(&trouble);
            move |_| trouble.lock().unwrap().clone()
        });
        let mut configuration = server.configuration(server.gateway, &[("cluster", json!("token_server"))]);
        configuration["authorization_servers"][0]["introspection"]["timeout"] = json!("500ms");
        let envoy = server.envoy(configuration).cluster("token_server", tokens.addr()).start();

        let own = server.endpoints.client_credentials(server.client(), server.scope);
        let answer = |changes: Value| {
            let mut answer = json!({ "access_token": own, "token_type": "Bearer", "expires_in": 3600 });
            for (name, value) in changes.as_object().expect("an object") {
                answer[name] = value.clone();
            }
            Script::json(answer)
        };
        for script in [
            Script::Close,
            Script::Hang,
            Script::status(500),
            Script::status(200),
            Script::json_text("{"),
            Script::json(json!({ "active": true })),
            answer(json!({ "token_type": "DPoP" })),
            answer(json!({ "access_token": "in two\r\nlines" })),
            answer(json!({ "expires_in": "soon" })),
        ] {
            *trouble.lock().unwrap() = script.clone();
            assert_eq!(status(&envoy, &server.token()), 503, "{script:?}");
        }
        tokens.stop();
        assert_eq!((status(&envoy, &server.token()), server.asked()), (503, (0, 0)));

        *trouble.lock().unwrap() = answer(json!({ "expires_in": "3600" }));
        tokens.restart();
        wait_until("Envoy to find the token endpoint again", LIMIT, || status(&envoy, &server.token()) == 200);
        server.assert_not_logged(&envoy, &[&own]);
    });
}

#[test]
fn a_renewal_that_fails_does_no_harm_while_the_old_token_lives() {
    const LIFETIME: Duration = Duration::from_secs(10);
    at_server(LIFETIME.as_secs(), |server| {
        let tokens = ScriptedServer::in_front_of(server.endpoints.addr, |json| json);
        let configuration = server.configuration(server.gateway, &[("cluster", json!("token_server"))]);
        let envoy = server.envoy(configuration).cluster("token_server", tokens.addr()).start();
        // It was obtained between these two times.
        let before = Instant::now();
        assert_eq!(status(&envoy, &server.token()), 200);
        let after = Instant::now();
        tokens.stop();
        assert_eq!(server.asked(), (0, 1));

        // Due after four fifths of its life, and no longer used after nine tenths.
        let end = LIFETIME.mul_f64(0.9);
        let late = || after.elapsed() > LIFETIME.mul_f64(0.93);
        while !late() {
            let token = server.token();
            let found = status(&envoy, &token);
            let (obtained, introspections) = server.asked();
            if before.elapsed() < end {
                assert_eq!((found, obtained, introspections), (200, 0, 1), "up to {:?} old", before.elapsed());
            }
            thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(status(&envoy, &server.token()), 503, "after {:?}", after.elapsed());
        assert_eq!(server.asked(), (0, 0));
    });
}
