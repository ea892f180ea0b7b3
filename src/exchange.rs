//! One request with a token on its way through the gate: look the token up, ask the server, decide.
//!
//! Each state is a value that the next step consumes, so a decision cannot be taken twice or too early.

use std::sync::Arc;

use crate::authorize::authorize;
use crate::cache::{Insert, Region};
use crate::denial::Denial;
use crate::forward::{Forward, identity_headers};
use crate::gate::{Gate, Server};
use crate::introspection::{CalloutAnswer, CalloutRequest, Introspection, Trouble};
use crate::policy::Rule;
use crate::step::Step;
use crate::time::UnixTime;
use crate::token::{AccessToken, TokenDigest};

/// What is known of a request whose token is still to be judged.
#[derive(Debug)]
pub(crate) struct Exchange {
    rule: Arc<Rule>,
    server: Arc<Server>,
    token: AccessToken,
    digest: TokenDigest,
}

/// Waits for a bucket of the cache.
#[derive(Debug)]
pub struct Lookup {
    exchange: Exchange,
    region: Region,
    key: String,
}

/// What a look into the cache brought.
#[derive(Debug)]
pub struct Looked {
    /// What it says about the cache; `None` while another look is to follow.
    pub result: Option<CacheResult>,
    /// What comes next.
    pub step: Step,
}

/// What the cache knew of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheResult {
    /// That it is active, and its claims.
    Hit,
    /// That it is inactive.
    InactiveHit,
    /// Nothing.
    Miss,
}

/// Waits for the answer of the authorization server.
#[derive(Debug)]
pub struct Call {
    exchange: Exchange,
}

/// What an answer of the authorization server leads to.
#[derive(Debug)]
pub struct Answered {
    /// How the callout ended: one of [`Call::OUTCOMES`].
    pub outcome: &'static str,
    /// What to keep in shared data, if anything.
    pub insert: Option<Insert>,
    /// What comes next; never another call.
    pub step: Step,
}

impl Exchange {
    pub(crate) fn new(rule: Arc<Rule>, server: Arc<Server>, token: AccessToken) -> Self {
        let digest = server.digest_key.digest(&token);
        Self { rule, server, token, digest }
    }

    pub(crate) fn begin(self, gate: &Gate) -> Step {
        self.look_into(Region::Active, gate)
    }

    fn look_into(self, region: Region, gate: &Gate) -> Step {
        let key = region.key(&self.digest, gate.cache.capacity);
        Step::Lookup(Lookup { exchange: self, region, key })
    }

    /// The decision, from facts that are current.
    fn decide(self, gate: &Gate, facts: Introspection, now: UnixTime) -> Step {
        let claims = match facts {
            Introspection::Active(claims) => claims,
            Introspection::Inactive => return gate.refuse(Denial::Inactive, Some(&self.rule)),
        };
        match authorize(&self.rule, &self.server.config, &claims, now) {
            Ok(permit) => Step::Forward(Forward { permit, set: identity_headers(&gate.upstream, &claims.forwarded) }),
            Err(denial) => gate.refuse(denial, Some(&self.rule)),
        }
    }
}

impl Lookup {
    /// The key to read in shared data.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Goes on with what stands under the key.
    pub fn resume(self, gate: &Gate, bucket: Option<&[u8]>, now: UnixTime) -> Looked {
        let Self { exchange, region, .. } = self;
        let found = bucket.and_then(|bucket| region.find(bucket, &exchange.digest, now, &gate.cache));
        let result = match (&found, region) {
            (Some(Introspection::Active(_)), _) => Some(CacheResult::Hit),
            (Some(Introspection::Inactive), _) => Some(CacheResult::InactiveHit),
            (None, Region::Active) => None,
            (None, Region::Inactive) => Some(CacheResult::Miss),
        };
        let step = match (found, region) {
            (Some(facts), _) => exchange.decide(gate, facts, now),
            (None, Region::Active) => exchange.look_into(Region::Inactive, gate),
            (None, Region::Inactive) => Step::Call(Call { exchange }),
        };
        Looked { result, step }
    }
}

impl Call {
    /// Every way a callout can end.
    pub const OUTCOMES: [&'static str; 8] =
        ["active", "inactive", "not_sent", "no_answer", "client_refused", "error_status", "too_large", "bad_answer"];

    /// The request to send.
    pub fn request(&self) -> CalloutRequest<'_> {
        self.exchange.server.config.introspection.request(&self.exchange.token)
    }

    /// The name of the authorization server that is asked.
    pub fn server(&self) -> &str {
        &self.exchange.server.config.name
    }

    /// Goes on with the answer.
    pub fn resume(self, gate: &Gate, answer: CalloutAnswer<'_>, now: UnixTime) -> Answered {
        let exchange = self.exchange;
        let projection = gate.upstream.headers.iter().map(|(_, member)| member.as_str());
        match exchange.server.config.introspection.understand(answer, projection) {
            Ok(facts) => Answered {
                outcome: match facts {
                    Introspection::Active(_) => "active",
                    Introspection::Inactive => "inactive",
                },
                insert: Insert::new(&facts, exchange.digest, now, &gate.cache),
                step: exchange.decide(gate, facts, now),
            },
            Err(trouble) => Answered {
                outcome: Trouble::outcome(trouble),
                insert: None,
                step: gate.refuse(Denial::Unavailable(trouble), Some(&exchange.rule)),
            },
        }
    }
}
