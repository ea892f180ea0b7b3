//! One request with a token on its way through the gate: look the token up, verify it or ask about it, decide.
//!
//! Each state is a value that the next step consumes, so a decision cannot be taken twice or too early. Where
//! several authorization servers may answer, they are tried in order, until one vouches for the token: what is
//! known of it from a later one does not count before.

mod call;
mod verification;

use std::rc::Rc;

pub use call::{Answered, Call, Publish};
pub use verification::{HostVerdict, Verification, Verified};

use crate::authorize::{Demand, authorize};
use crate::cache::Region;
use crate::callout::Trouble;
use crate::denial::Denial;
use crate::forward::forward;
use crate::gate::{Gate, Server};
use crate::introspection::Introspection;
use crate::jose::looks_like_jws;
use crate::step::Step;
use crate::time::UnixTime;
use crate::token::{AccessToken, TokenDigest};

/// What is known of a request whose token is still to be judged.
#[derive(Debug)]
pub(crate) struct Exchange {
    demand: Demand,
    token: AccessToken,
    /// Who may answer for the token, in order; never empty.
    candidates: Vec<Candidate>,
    /// Why one of them could not be asked: if none vouches for the token, nobody knows whether it is good.
    trouble: Option<Trouble>,
    /// Why one of them refused it without being asked.
    refusal: Option<Denial>,
}

#[derive(Debug)]
struct Candidate {
    server: Rc<Server>,
    digest: TokenDigest,
}

/// Waits for a bucket of the cache.
#[derive(Debug)]
pub struct Lookup {
    exchange: Exchange,
    candidate: usize,
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

impl Exchange {
    /// `None` if there is nobody to ask.
    pub(crate) fn new(demand: Demand, servers: Vec<Rc<Server>>, token: AccessToken) -> Option<Self> {
        let candidate = |server: Rc<Server>| Candidate { digest: server.digest_key.digest(&token), server };
        let candidates: Vec<_> = servers.into_iter().map(candidate).collect();
        (!candidates.is_empty()).then_some(Self { demand, token, candidates, trouble: None, refusal: None })
    }

    pub(crate) fn begin(self, gate: &Gate) -> Step {
        self.try_candidate(0, gate)
    }

    /// Looks what is known of the token from a candidate; with none left, it is over.
    fn try_candidate(self, candidate: usize, gate: &Gate) -> Step {
        self.look_into(Region::Active, candidate, gate)
    }

    fn look_into(self, region: Region, candidate: usize, gate: &Gate) -> Step {
        let Some(found) = self.candidates.get(candidate) else {
            return self.end(gate);
        };
        let key = region.key(&found.digest, gate.cache.capacity);
        Step::Lookup(Lookup { exchange: self, candidate, region, key })
    }

    /// Goes on to whoever may know the token if this candidate does not.
    fn try_next(self, candidate: usize, gate: &Gate) -> Step {
        self.try_candidate(candidate.saturating_add(1), gate)
    }

    /// Every candidate has been tried, and none vouches for the token.
    fn end(self, gate: &Gate) -> Step {
        let denial = match (self.trouble, self.refusal) {
            (Some(trouble), _) => Denial::Unavailable(trouble),
            (None, Some(refusal)) => refusal,
            (None, None) => Denial::Inactive,
        };
        gate.refuse_demand(denial, &self.demand, None)
    }

    /// This candidate cannot say anything; another still may.
    fn give_up(mut self, candidate: usize, trouble: Trouble, gate: &Gate) -> Step {
        self.trouble = self.trouble.or(Some(trouble));
        self.try_next(candidate, gate)
    }

    /// This candidate would not have issued such a token, or has not signed it.
    fn reject(mut self, candidate: usize, denial: Denial, gate: &Gate) -> Step {
        self.refusal = Some(denial);
        self.try_next(candidate, gate)
    }

    /// Judges a token that nothing is known of: a JWT here, where its server has keys for that, else by asking.
    fn judge(self, candidate: usize, gate: &Gate, now: UnixTime) -> Step {
        let Some(server) = self.candidates.get(candidate).map(|candidate| Rc::clone(&candidate.server)) else {
            return self.end(gate);
        };
        match (&server.config.jwt, &server.config.introspection) {
            (Some(jwt), _) if looks_like_jws(self.token.reveal()) => {
                let jwt = Rc::clone(jwt);
                verification::begin(self, candidate, server, jwt, false, gate, now)
            }
            (_, Some(endpoint)) => {
                let question = call::Question { endpoint: Rc::clone(endpoint), signed: None };
                call::introspect(self, candidate, server, question, gate, now)
            }
            (Some(_), None) => self.reject(candidate, Denial::MalformedJwt, gate),
            (None, None) => self.try_next(candidate, gate),
        }
    }

    /// The decision, from facts that are current.
    fn decide(self, candidate: usize, gate: &Gate, facts: Introspection, now: UnixTime) -> Step {
        let (claims, server) = match (facts, self.candidates.get(candidate)) {
            (Introspection::Active(claims), Some(candidate)) => (claims, &candidate.server),
            (Introspection::Active(_) | Introspection::Inactive, _) => return self.try_next(candidate, gate),
        };
        match authorize(&self.demand, &gate.applications, (server.index, &server.config), &claims, now) {
            Ok(permit) => Step::Forward(forward(&gate.upstream, permit, &server.config.name, &claims.forwarded)),
            // Kept as an inactive one from now on, so it must not decide more than that does.
            Err(Denial::Expired) => self.reject(candidate, Denial::Expired, gate),
            Err(denial) => gate.refuse_demand(denial, &self.demand, Some(server.index)),
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
        let Self { exchange, candidate, region, .. } = self;
        let found = bucket.zip(exchange.candidates.get(candidate)).and_then(|(bucket, candidate)| {
            region
                .find(bucket, &candidate.digest, now, &gate.cache)
                .filter(|facts| candidate.server.vouches(facts, now))
        });
        let result = match (&found, region) {
            (Some(Introspection::Active(_)), _) => Some(CacheResult::Hit),
            (Some(Introspection::Inactive), _) => Some(CacheResult::InactiveHit),
            (None, Region::Active) => None,
            (None, Region::Inactive) => Some(CacheResult::Miss),
        };
        let step = match (found, region) {
            (Some(facts), _) => exchange.decide(candidate, gate, facts, now),
            (None, Region::Active) => exchange.look_into(Region::Inactive, candidate, gate),
            (None, Region::Inactive) => exchange.judge(candidate, gate, now),
        };
        Looked { result, step }
    }
}

impl Server {
    /// Whether the key that facts rest on is still one of the server's.
    fn vouches(&self, facts: &Introspection, now: UnixTime) -> bool {
        match (facts, &self.config.jwt) {
            (Introspection::Active(claims), Some(jwt)) => {
                claims.vouched_by.as_ref().is_none_or(|thumbprint| self.keys.borrow().vouch(thumbprint, &jwt.keys, now))
            }
            (Introspection::Active(claims), None) => claims.vouched_by.is_none(),
            (Introspection::Inactive, _) => true,
        }
    }
}
