//! One request with a token on its way through the gate: look the token up, ask the servers, decide.
//!
//! Each state is a value that the next step consumes, so a decision cannot be taken twice or too early. Where
//! several authorization servers may answer, whatever is known of the token from any of them decides; then
//! they are asked in order, until one calls it active.

use std::rc::Rc;

use crate::authorize::{Demand, authorize};
use crate::cache::{Insert, Region};
use crate::callout::{CalloutAnswer, CalloutRequest, Trouble};
use crate::denial::Denial;
use crate::forward::forward;
use crate::gate::{Gate, Server};
use crate::introspection::{ClientAuthentication, Introspection, TokenEndpoint};
use crate::step::Step;
use crate::time::UnixTime;
use crate::token::{AccessToken, Secret, TokenDigest};

/// What is known of a request whose token is still to be judged.
#[derive(Debug)]
pub(crate) struct Exchange {
    demand: Demand,
    token: AccessToken,
    /// Who may answer for the token, in order; never empty.
    candidates: Vec<Candidate>,
    /// Why one of them could not be asked: if none calls the token active, nobody knows whether it is.
    trouble: Option<Trouble>,
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

/// Waits for an answer of an authorization server.
#[derive(Debug)]
pub struct Call {
    exchange: Exchange,
    candidate: usize,
    server: Rc<Server>,
    stage: Stage,
}

/// What is asked for.
#[derive(Debug)]
enum Stage {
    /// What the token is worth. `own` is our own token, where the endpoint takes one.
    Introspection { own: Option<Secret> },
    /// Our own token first.
    OwnToken,
    /// The same, since the one that we had was refused. A second refusal is final.
    AnotherOwnToken,
    /// What the token is worth, with our own token that has just been issued.
    LastIntrospection { own: Secret },
}

/// What an answer of an authorization server leads to.
#[derive(Debug)]
pub struct Answered {
    /// How the callout ended: one of [`Call::OUTCOMES`].
    pub outcome: &'static str,
    /// Why there was no usable answer, if there was none.
    pub trouble: Option<Trouble>,
    /// What to keep in shared data, if anything.
    pub insert: Option<Insert>,
    /// What comes next.
    pub step: Step,
}

impl Exchange {
    /// `None` if there is nobody to ask.
    pub(crate) fn new(demand: Demand, servers: Vec<Rc<Server>>, token: AccessToken) -> Option<Self> {
        let candidate = |server: Rc<Server>| Candidate { digest: server.digest_key.digest(&token), server };
        let candidates: Vec<_> = servers.into_iter().map(candidate).collect();
        (!candidates.is_empty()).then_some(Self { demand, token, candidates, trouble: None })
    }

    pub(crate) fn begin(self, gate: &Gate) -> Step {
        self.look_into(Region::Active, 0, gate)
    }

    /// Looks what is known of the token from a candidate; with none left, goes on to the next round.
    fn look_into(self, region: Region, candidate: usize, gate: &Gate) -> Step {
        match (self.candidates.get(candidate), region) {
            (Some(found), _) => {
                let key = region.key(&found.digest, gate.cache.capacity);
                Step::Lookup(Lookup { exchange: self, candidate, region, key })
            }
            (None, Region::Active) => self.look_into(Region::Inactive, 0, gate),
            (None, Region::Inactive) => self.end(gate),
        }
    }

    /// Every candidate has been asked, and none has called the token active.
    fn end(self, gate: &Gate) -> Step {
        let denial = self.trouble.map_or(Denial::Inactive, Denial::Unavailable);
        gate.refuse_demand(denial, &self.demand, None)
    }

    /// Asks a candidate, with our own token first where it takes one.
    fn ask(self, candidate: usize, gate: &Gate, now: UnixTime) -> Step {
        let Some(server) = self.candidates.get(candidate).map(|candidate| Rc::clone(&candidate.server)) else {
            return self.end(gate);
        };
        let stage = match server.token_endpoint() {
            None => Stage::Introspection { own: None },
            Some(endpoint) => {
                let mut own_token = server.own_token.borrow_mut();
                match own_token.usable(now).cloned() {
                    // Whoever presents our own token to us is nobody's client.
                    Some(own) if own.reveal() == self.token.reveal() => {
                        return gate.refuse_demand(Denial::NotAnAccessToken, &self.demand, None);
                    }
                    own if own.is_none() || own_token.claims_renewal(now, endpoint.timeout) => Stage::OwnToken,
                    own => Stage::Introspection { own },
                }
            }
        };
        Step::Call(Call { exchange: self, candidate, server, stage })
    }

    /// The decision, from facts that are current.
    fn decide(self, candidate: usize, gate: &Gate, facts: Introspection, now: UnixTime) -> Step {
        let (claims, server) = match (facts, self.candidates.get(candidate)) {
            (Introspection::Active(claims), Some(candidate)) => (claims, &candidate.server),
            (Introspection::Active(_) | Introspection::Inactive, _) => {
                return self.look_into(Region::Inactive, candidate.saturating_add(1), gate);
            }
        };
        match authorize(&self.demand, &gate.applications, (server.index, &server.config), &claims, now) {
            Ok(permit) => Step::Forward(forward(&gate.upstream, permit, &server.config.name, &claims.forwarded)),
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
        let found = bucket
            .zip(exchange.candidates.get(candidate))
            .and_then(|(bucket, candidate)| region.find(bucket, &candidate.digest, now, &gate.cache));
        let result = match (&found, region) {
            (Some(Introspection::Active(_)), _) => Some(CacheResult::Hit),
            (Some(Introspection::Inactive), _) => Some(CacheResult::InactiveHit),
            (None, Region::Active) => None,
            (None, Region::Inactive) => Some(CacheResult::Miss),
        };
        let step = match (found, region) {
            (Some(facts), _) => exchange.decide(candidate, gate, facts, now),
            (None, Region::Active) => exchange.look_into(Region::Active, candidate.saturating_add(1), gate),
            (None, Region::Inactive) => exchange.ask(candidate, gate, now),
        };
        Looked { result, step }
    }
}

impl Call {
    /// Every way a callout can end.
    pub const OUTCOMES: [&'static str; 9] = [
        "active",
        "inactive",
        OWN_TOKEN,
        "not_sent",
        "no_answer",
        "client_refused",
        "error_status",
        "too_large",
        "bad_answer",
    ];

    /// The request to send now.
    pub fn request(&self, gate: &Gate, now: UnixTime) -> CalloutRequest<'_> {
        let endpoint = &self.server.config.introspection;
        let mut chance = gate.chance.borrow_mut();
        let own = match (&self.stage, self.server.token_endpoint()) {
            (Stage::OwnToken | Stage::AnotherOwnToken, Some(endpoint)) => return endpoint.request(now, &mut chance),
            (Stage::OwnToken | Stage::AnotherOwnToken, None) => None,
            (Stage::Introspection { own }, _) => own.as_ref(),
            (Stage::LastIntrospection { own }, _) => Some(own),
        };
        endpoint.request(&self.exchange.token, own, now, &mut chance)
    }

    /// The name of the authorization server that is asked.
    pub fn server(&self) -> &str {
        &self.server.config.name
    }

    /// Goes on with the answer to the request that was sent at `asked_at`.
    pub fn resume(self, gate: &Gate, answer: CalloutAnswer<'_>, asked_at: UnixTime, now: UnixTime) -> Answered {
        match (&self.stage, self.server.token_endpoint()) {
            (Stage::OwnToken | Stage::AnotherOwnToken, Some(endpoint)) => {
                let understood = endpoint.understand(answer);
                self.resume_with_own_token(gate, understood, asked_at, now)
            }
            (Stage::OwnToken | Stage::AnotherOwnToken, None)
            | (Stage::Introspection { .. } | Stage::LastIntrospection { .. }, _) => {
                let understood = self.server.config.introspection.understand(answer, &gate.interest, asked_at);
                self.resume_with_facts(gate, understood, now)
            }
        }
    }

    fn resume_with_own_token(
        self,
        gate: &Gate,
        understood: Result<(Secret, std::time::Duration), Trouble>,
        asked_at: UnixTime,
        now: UnixTime,
    ) -> Answered {
        let last = matches!(self.stage, Stage::AnotherOwnToken);
        match understood {
            Ok((own, lifetime)) => {
                self.server.own_token.borrow_mut().keep(own.clone(), lifetime, asked_at);
                let stage =
                    if last { Stage::LastIntrospection { own } } else { Stage::Introspection { own: Some(own) } };
                let step = Step::Call(Self { stage, ..self });
                Answered { outcome: OWN_TOKEN, trouble: None, insert: None, step }
            }
            Err(trouble) => {
                let held = self.server.own_token.borrow().usable(now).cloned();
                match held {
                    // A renewal that came too early to matter.
                    Some(own) => Answered {
                        outcome: trouble.outcome(),
                        trouble: Some(trouble),
                        insert: None,
                        step: Step::Call(Self { stage: Stage::LastIntrospection { own }, ..self }),
                    },
                    None => self.give_up(gate, trouble),
                }
            }
        }
    }

    fn resume_with_facts(self, gate: &Gate, understood: Result<Introspection, Trouble>, now: UnixTime) -> Answered {
        match (understood, &self.stage) {
            (Ok(facts), _) => {
                let Self { exchange, candidate, server, .. } = self;
                let digest = exchange.candidates.get(candidate).map(|candidate| candidate.digest);
                let cache = server.cache(&gate.cache);
                Answered {
                    outcome: match facts {
                        Introspection::Active(_) => "active",
                        Introspection::Inactive => "inactive",
                    },
                    trouble: None,
                    insert: digest.and_then(|digest| Insert::new(&facts, digest, now, &cache)),
                    step: exchange.decide(candidate, gate, facts, now),
                }
            }
            // Our own token may have been revoked, or have lived shorter than it was said to.
            (Err(Trouble::ClientRefused(status)), Stage::Introspection { own: Some(own) }) => {
                self.server.own_token.borrow_mut().discard(own);
                let trouble = Trouble::ClientRefused(status);
                Answered {
                    outcome: trouble.outcome(),
                    trouble: None,
                    insert: None,
                    step: Step::Call(Self { stage: Stage::AnotherOwnToken, ..self }),
                }
            }
            (Err(trouble), _) => self.give_up(gate, trouble),
        }
    }

    /// This server cannot be asked; another may still call the token active.
    fn give_up(self, gate: &Gate, trouble: Trouble) -> Answered {
        let mut exchange = self.exchange;
        exchange.trouble = exchange.trouble.or(Some(trouble));
        let step = exchange.look_into(Region::Inactive, self.candidate.saturating_add(1), gate);
        Answered { outcome: trouble.outcome(), trouble: Some(trouble), insert: None, step }
    }
}

impl Server {
    fn token_endpoint(&self) -> Option<&TokenEndpoint> {
        match &self.config.introspection.authentication {
            ClientAuthentication::Bearer(endpoint) => Some(endpoint),
            ClientAuthentication::None
            | ClientAuthentication::Basic(_)
            | ClientAuthentication::Post { .. }
            | ClientAuthentication::PrivateKeyJwt(_) => None,
        }
    }
}

/// The outcome of a callout that brought our own token.
const OWN_TOKEN: &str = "own_token";
