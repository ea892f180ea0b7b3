//! One request with a token on its way through the gate: look the token up, verify it or ask about it, decide.
//!
//! Each state is a value that the next step consumes, so a decision cannot be taken twice or too early. Where
//! several authorization servers may answer, they are tried in order, until one vouches for the token: what is
//! known of it from a later one does not count before.

use std::cell::OnceCell;
use std::rc::Rc;

use super::gate::Gate;
use super::renewal::Renewal;
use super::step::Step;
use super::{call, verification};
use crate::base::UnixTime;
use crate::cache::{BucketUpdate, CacheEntry, CacheOutcome, Known, Partition};
use crate::claims::Introspection;
use crate::decision::Denial;
use crate::host::CalloutError;
use crate::jose::Header;
use crate::policy::{EffectiveRule, authorize, forward};
use crate::server::{Charge, Server};
use crate::token::{AccessToken, TokenDigest};

/// What is known of a request whose token is still to be judged.
#[derive(Debug)]
pub(crate) struct TokenCheck {
    pub(super) demand: EffectiveRule,
    pub(super) token: AccessToken,
    /// Who may answer for the token, in order; never empty.
    pub(super) candidates: Vec<Candidate>,
    /// Why one of them could not be asked: if none vouches for the token, nobody knows whether it is good.
    trouble: Option<CalloutError>,
    /// Why one of them refused it without being asked.
    refusal: Option<Denial>,
    /// Whether the cache's result for the candidate that is tried has been counted: it may be looked at twice.
    pub(super) is_counted: bool,
    /// Whether other facts about the token still count, and are to give way to what is learned now.
    pub(super) renews: bool,
    /// What the client has been charged for an unknown token, if it has.
    pub(super) charge: Option<Charge>,
}

#[derive(Debug)]
pub(super) struct Candidate {
    server: Rc<Server>,
    /// Whether nobody was there to answer.
    pub(super) is_lost: bool,
    /// Of the token; made when the second level of the cache has a use for it.
    digest: OnceCell<TokenDigest>,
}

/// Waits for a bucket of the cache.
#[derive(Debug)]
pub struct Lookup {
    pub(super) exchange: TokenCheck,
    pub(super) candidate: usize,
    pub(super) region: Partition,
    pub(super) key: String,
    /// Whether it is for what has ended: nobody could be asked.
    pub(super) is_stale: bool,
}

impl TokenCheck {
    /// `None` if there is nobody to ask.
    pub(crate) fn new(demand: EffectiveRule, servers: Vec<Rc<Server>>, token: AccessToken) -> Option<Self> {
        let candidates: Vec<_> =
            servers.into_iter().map(|server| Candidate { server, is_lost: false, digest: OnceCell::new() }).collect();
        (!candidates.is_empty()).then_some(Self {
            demand,
            token,
            candidates,
            trouble: None,
            refusal: None,
            is_counted: false,
            renews: false,
            charge: None,
        })
    }

    pub(crate) fn begin(self, gate: &Gate, now: UnixTime) -> Step {
        self.try_candidate(0, gate, now)
    }

    /// Looks what is known of the token from a candidate; with none left, it is over.
    pub(super) fn try_candidate(mut self, candidate: usize, gate: &Gate, now: UnixTime) -> Step {
        let Some(server) = self.server(candidate) else {
            return self.end(gate);
        };
        if let Some(known) = self.known(&server, gate, now) {
            if let Some(alone) = known.is_due.then(|| self.alone(candidate)).flatten() {
                gate.renew(Renewal::new(alone, known.fresh.ends_at()));
            }
            return self.decide_by_cache(candidate, gate, known.fresh.facts, now);
        }
        match self.header(&server) {
            // To verify it costs the host less than it costs to look for somebody else's verdict.
            Some(header) if gate.host_verifies.get() && server.verifies_at_host(&header) => {
                self.count(CacheOutcome::Miss, gate);
                self.judge(candidate, gate, Some(header), now)
            }
            Some(_) | None => self.look_into(Partition::Active, candidate, gate),
        }
    }

    /// What this worker knows of the token from a server.
    pub(super) fn known(&self, server: &Server, gate: &Gate, now: UnixTime) -> Option<Known> {
        let known = gate.local.borrow_mut().find(server.index, &self.token, now, &server.cache(&gate.cache));
        known.filter(|known| server.is_still_trusted(&known.fresh.facts, now))
    }

    fn count(&mut self, result: CacheOutcome, gate: &Gate) {
        if !std::mem::replace(&mut self.is_counted, true) {
            gate.counters.record(result);
        }
    }

    fn look_into(self, region: Partition, candidate: usize, gate: &Gate) -> Step {
        match self.digest(candidate).map(|digest| region.key(&digest, gate.cache.capacity)) {
            Some(key) => Step::Lookup(Lookup { exchange: self, candidate, region, key, is_stale: false }),
            None => self.end(gate),
        }
    }

    /// Goes on to whoever may know the token if this candidate does not.
    fn try_next(mut self, candidate: usize, gate: &Gate, now: UnixTime) -> Step {
        self.is_counted = false;
        self.try_candidate(candidate.saturating_add(1), gate, now)
    }

    pub(super) fn server(&self, candidate: usize) -> Option<Rc<Server>> {
        self.candidates.get(candidate).map(|candidate| Rc::clone(&candidate.server))
    }

    pub(super) fn digest(&self, candidate: usize) -> Option<TokenDigest> {
        let candidate = self.candidates.get(candidate)?;
        Some(*candidate.digest.get_or_init(|| candidate.server.digest_key.digest(&self.token)))
    }

    /// The header of the token, if it is a JWT and the server has its JWTs judged here.
    pub(super) fn header(&self, server: &Server) -> Option<Header> {
        server.config.jwt.as_ref().and_then(|_| Header::of(self.token.reveal()))
    }

    /// The same question to one candidate only.
    fn alone(&self, candidate: usize) -> Option<Self> {
        Self::new(self.demand.clone(), vec![self.server(candidate)?], self.token.clone())
    }

    /// Keeps what was learned from a candidate by a question of `since` in this worker, and returns it.
    pub(super) fn remember(
        &self,
        candidate: usize,
        facts: &Introspection,
        gate: &Gate,
        since: UnixTime,
        now: UnixTime,
    ) -> Option<CacheEntry> {
        let server = &self.candidates.get(candidate)?.server;
        let is_overtaken = |fresh: &CacheEntry| fresh.may_be_revoked() && gate.local.borrow().is_overtaken(since, now);
        let fresh = CacheEntry::new(facts.clone(), since, now, &server.cache(&gate.cache));
        let Some(fresh) = fresh.filter(|fresh| !is_overtaken(fresh)) else {
            gate.local.borrow_mut().forget(server.index, &self.token);
            return None;
        };
        self.keep_in_worker(server, fresh.clone(), gate);
        Some(fresh)
    }

    pub(super) fn keep_in_worker(&self, server: &Server, fresh: CacheEntry, gate: &Gate) {
        gate.local.borrow_mut().keep(server.index, &self.token, fresh, &server.cache(&gate.cache));
    }

    /// What takes out the entry that calls the token active.
    pub(super) fn removal(&self, candidate: usize, gate: &Gate, now: UnixTime) -> Option<BucketUpdate> {
        self.digest(candidate).map(|digest| BucketUpdate::removal(digest, now, &gate.cache))
    }

    /// The same for every worker: the entry that is to be put into shared data.
    pub(super) fn insert(
        &self,
        candidate: usize,
        fresh: &CacheEntry,
        gate: &Gate,
        now: UnixTime,
    ) -> Option<BucketUpdate> {
        BucketUpdate::new(fresh, self.digest(candidate)?, now, &gate.cache)
    }

    /// Every candidate has been tried, and none vouches for the token. Where nobody was there to answer, what was last
    /// known may do.
    fn end(self, gate: &Gate) -> Step {
        if gate.cache.stale_if_error.is_zero() { self.refuse(gate) } else { self.look_for_stale(0, gate) }
    }

    pub(super) fn refuse(self, gate: &Gate) -> Step {
        let denial = match (self.trouble, self.refusal) {
            (Some(trouble), _) => Denial::Unavailable(trouble),
            (None, Some(refusal)) => refusal,
            (None, None) => Denial::Inactive,
        };
        gate.refuse_demand(denial, &self.demand, None)
    }

    /// This candidate cannot say anything; another still may.
    pub(super) fn give_up(mut self, candidate: usize, trouble: CalloutError, gate: &Gate, now: UnixTime) -> Step {
        self.trouble = self.trouble.or(Some(trouble));
        if let Some(candidate) = self.candidates.get_mut(candidate) {
            candidate.is_lost = trouble.is_outage();
        }
        self.try_next(candidate, gate, now)
    }

    /// This candidate would not have issued such a token, or has not signed it.
    pub(super) fn reject(mut self, candidate: usize, denial: Denial, gate: &Gate, now: UnixTime) -> Step {
        self.refusal = Some(denial);
        self.try_next(candidate, gate, now)
    }

    /// Judges a token that nothing is known of: here, if it has the header of a JWT whose server has keys for that,
    /// else by asking.
    pub(super) fn judge(self, candidate: usize, gate: &Gate, header: Option<Header>, now: UnixTime) -> Step {
        let Some(server) = self.server(candidate) else {
            return self.end(gate);
        };
        match (&server.config.jwt, header, &server.config.introspection) {
            (Some(jwt), Some(header), _) => {
                let jwt = Rc::clone(jwt);
                verification::begin(self, candidate, server, jwt, &header, false, gate, now)
            }
            (_, _, Some(endpoint)) => {
                let question = call::Question { endpoint: Rc::clone(endpoint), signed: None };
                call::introspect(self, candidate, server, question, gate, now)
            }
            (Some(_), None, None) => self.reject(candidate, Denial::MalformedJwt, gate, now),
            (None, _, None) => self.try_next(candidate, gate, now),
        }
    }

    /// The decision, from facts that a cache had.
    fn decide_by_cache(mut self, candidate: usize, gate: &Gate, facts: Introspection, now: UnixTime) -> Step {
        let result = match facts {
            Introspection::Active(_) => CacheOutcome::Hit,
            Introspection::Inactive => CacheOutcome::InactiveHit,
        };
        self.count(result, gate);
        self.decide(candidate, gate, facts, now)
    }

    /// The decision, from facts that are current.
    pub(super) fn decide(mut self, candidate: usize, gate: &Gate, facts: Introspection, now: UnixTime) -> Step {
        if let (Introspection::Active(_), Some(charge)) = (&facts, self.charge.take()) {
            gate.refund(&charge);
        }
        let (claims, server) = match (facts, self.candidates.get(candidate)) {
            (Introspection::Active(claims), Some(candidate)) => (claims, &candidate.server),
            (Introspection::Active(_) | Introspection::Inactive, _) => return self.try_next(candidate, gate, now),
        };
        match authorize(&self.demand, &gate.applications, (server.index, &server.config.tokens), &claims, now) {
            Ok(permit) => Step::Forward(forward(&gate.upstream, permit, &server.config.name, &claims.forwarded, None)),
            // Kept as an inactive one from now on, so it must not decide more than that does.
            Err(Denial::Expired) => self.reject(candidate, Denial::Expired, gate, now),
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
    pub fn resume(self, gate: &Gate, bucket: Option<&[u8]>, now: UnixTime) -> Step {
        let Self { mut exchange, candidate, region, is_stale, .. } = self;
        if is_stale {
            return exchange.resume_while_stale(candidate, gate, bucket, now);
        }
        let (Some(server), Some(digest)) = (exchange.server(candidate), exchange.digest(candidate)) else {
            return exchange.refuse(gate);
        };
        let found = bucket.and_then(|bucket| region.find(bucket, &digest, now, &server.cache(&gate.cache)));
        match (found.filter(|fresh| server.is_still_trusted(&fresh.facts, now)), region) {
            (Some(fresh), _) => {
                exchange.keep_in_worker(&server, fresh.clone(), gate);
                exchange.decide_by_cache(candidate, gate, fresh.facts, now)
            }
            (None, Partition::Active) => exchange.look_into(Partition::Inactive, candidate, gate),
            (None, Partition::Inactive) => {
                exchange.count(CacheOutcome::Miss, gate);
                let header = exchange.header(&server);
                exchange.judge(candidate, gate, header, now)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::host::CalloutResult;
    use crate::request::RequestHead;

    const START: UnixTime = UnixTime::from_secs(1_000_000);

    #[test]
    fn a_clock_that_stepped_back_lets_no_answer_live_longer_than_its_server_grants() {
        let text = r#"{"authorization_servers":[{"name":"a","cluster":"c","audience":"any",
            "introspection":{"path":"/i","client_id":"g","client_secret":"s","max_ttl":"5s"}}],"cache":{"max_ttl":"1h"},
            "rules":[{"name":"r","match":[{"path":"/"}],"require":{"authenticated":true}}]}"#;
        let gate = Gate::new(Config::parse(text.as_bytes(), &|_| None).unwrap(), [7; 32]);
        let headers: Vec<_> = [(":method", "GET"), (":path", "/"), (":authority", "a"), ("authorization", "Bearer t")]
            .map(|(name, value)| (name, value.as_bytes()))
            .into();
        let head = RequestHead { headers: &headers, route: None, has_body: false };
        // The level that all workers share, and nothing else in it.
        let mut shared: Option<(String, Vec<u8>)> = None;
        let asks = |gate: &Gate, shared: &Option<(String, Vec<u8>)>, now| {
            let mut step = gate.begin(head, now);
            while let Step::Lookup(lookup) = step {
                let bucket = shared.as_ref().filter(|(key, _)| key == lookup.key()).map(|(_, bucket)| bucket.clone());
                step = lookup.resume(gate, bucket.as_deref(), now);
            }
            match step {
                Step::Call(call) => Some(call),
                Step::Forward(_) => None,
                Step::Lookup(_) | Step::Verify(_) | Step::Respond(_) | Step::Report(_) => {
                    panic!("neither asked nor passed")
                }
            }
        };
        let body = br#"{"active":true}"#;
        let answer = CalloutResult::Response { status: 200, content_type: None, body };
        let insert = asks(&gate, &shared, START).unwrap().resume(&gate, answer, START, START).insert.unwrap();
        shared = Some((insert.key().to_owned(), insert.apply(None).bucket));
        let other_worker = Gate::new(Config::parse(text.as_bytes(), &|_| None).unwrap(), [8; 32]);
        for gate in [&gate, &other_worker] {
            for (now, kept) in [(4_000, true), (5_000, false)] {
                let now = START.saturating_add(Duration::from_millis(now));
                assert_eq!(asks(gate, &shared, now).is_none(), kept);
            }
            assert!(asks(gate, &shared, UnixTime::from_secs(999_000)).is_some());
        }
    }
}
