//! The gate: a compiled configuration, and the first step of every request.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::renewal::Renewal;
use super::step::Step;
use super::token_check::TokenCheck;
use crate::base::{SeededRandom, UnixTime};
use crate::cache::{CacheCounters, CacheOutcome, CacheSettings, LocalCache};
use crate::claims::RequestedClaims;
use crate::config::Config;
use crate::decision::Denial;
use crate::policy::{
    Access, Applications, EffectiveRule, Forward, Mode, Requirement, Rule, RuleMatch, RuleSet, UpstreamSettings,
    authorize_anonymous, cleaning, has_identity_headers,
};
use crate::request::{
    Edit, PathError, PathOptions, RequestHead, Target, TargetError, TokenLocations, requested_method,
};
use crate::response::{DemandedScope, ErrorProfile, Reply};
use crate::server::{Charge, KeyFetch, Server, UnknownTokenLimit, select};
use crate::token::AccessToken;

/// One configuration at work. A request keeps the gate it began with until it ends.
#[derive(Debug)]
pub struct Gate {
    policy: RuleSet,
    pub(crate) servers: Vec<Rc<Server>>,
    locations: TokenLocations,
    errors: Arc<ErrorProfile>,
    paths: PathOptions,
    needs_route: bool,
    uses_hosts: bool,
    logs_permits: bool,
    pub(crate) applications: Applications,
    pub(crate) requested: RequestedClaims,
    pub(crate) cache: CacheSettings,
    pub(crate) upstream: UpstreamSettings,
    pub(crate) random: RefCell<SeededRandom>,
    /// What this worker knows of tokens.
    pub(crate) local: RefCell<LocalCache>,
    pub(crate) counters: CacheCounters,
    renewals: RefCell<Vec<Renewal>>,
    unknown_tokens: Option<RefCell<UnknownTokenLimit>>,
    /// What a refusal means where no rule applies.
    mode: Mode,
    /// The same where it is not certain which one does.
    mode_of_all: Mode,
    /// Whether the host has not yet shown that it cannot verify signatures.
    pub(crate) host_verifies: Cell<bool>,
}

impl Gate {
    /// Puts a configuration to work. `seed` must be random, and another for every gate: identifiers are drawn
    /// from it that no other gate may draw.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let fingerprint = config.fingerprint;
        let mut random = SeededRandom::new(seed);
        let server = |(index, config)| Rc::new(Server::new(index, config, &fingerprint));
        let enforces =
            config.mode == Mode::Enforce || config.policy.rules.iter().any(|rule| rule.mode == Mode::Enforce);
        Self {
            mode: config.mode,
            mode_of_all: if enforces { Mode::Enforce } else { Mode::ReportOnly },
            needs_route: config.policy.uses_routes(),
            uses_hosts: config.policy.uses_hosts(),
            policy: config.policy,
            servers: config.servers.into_iter().enumerate().map(server).collect(),
            locations: config.locations,
            errors: config.errors,
            logs_permits: config.logs_permits,
            paths: config.paths,
            applications: config.applications,
            requested: config.requested,
            cache: config.cache,
            upstream: config.upstream,
            local: RefCell::new(LocalCache::new(random.next_key(), config.cache.capacity)),
            counters: CacheCounters::default(),
            renewals: RefCell::default(),
            unknown_tokens: config
                .unknown_tokens
                .map(|limit| RefCell::new(UnknownTokenLimit::new(random.next_key(), limit))),
            host_verifies: Cell::new(true),
            random: RefCell::new(random),
        }
    }

    /// Notes that facts are to be renewed.
    pub(crate) fn renew(&self, renewal: Renewal) {
        let mut renewals = self.renewals.borrow_mut();
        if renewals.len() < MAX_RENEWALS {
            renewals.push(renewal);
        }
    }

    /// What is to be renewed, since this was last asked.
    pub fn take_renewals(&self) -> Vec<Renewal> {
        self.renewals.take()
    }

    /// What the cache knew of tokens, and how often, since this was last asked.
    pub fn take_cache_results(&self) -> [(CacheOutcome, u32); 4] {
        self.counters.take()
    }

    /// How many ways to authorization servers refuse at the moment.
    pub fn open_circuits(&self, now: UnixTime) -> usize {
        self.servers.iter().map(|server| server.failover.borrow().open_circuits(now)).sum()
    }

    /// Looks anew at what may have been revoked, if the epoch is another than it was: a worker begins one when it
    /// learns that a token is active no more ([`Answered::ends_epoch`](crate::Answered::ends_epoch)).
    pub fn enter_epoch(&self, epoch: u64, now: UnixTime) {
        self.local.borrow_mut().enter_epoch(epoch, now);
    }

    /// A name that nobody else has drawn.
    pub fn random_name(&self) -> String {
        self.random.borrow_mut().next_id()
    }

    /// Whether any rule asks for the name of the Envoy route.
    pub fn needs_route(&self) -> bool {
        self.needs_route
    }

    /// Whether a request that passes is worth a line in the log, as one that is refused always is.
    pub fn logs_permits(&self) -> bool {
        self.logs_permits
    }

    /// What to take out of a request before anything else is done with it, whatever becomes of it: identity
    /// headers that the client sent, in any spelling, and the credentials. Trailers are cleaned likewise.
    pub fn cleaning<'a>(&self, head: RequestHead<'a>) -> Vec<Edit<'a>> {
        cleaning(head, &self.upstream, &self.locations)
    }

    /// The first step for a request, with its headers as they came in. It ends there for everything that needs
    /// no token.
    pub fn begin(&self, head: RequestHead<'_>, now: UnixTime) -> Step {
        let target = match Target::parse(head, self.paths) {
            Ok(target) => target,
            Err(error) => return self.refuse(Denial::Target(error), None),
        };
        // Envoy may have routed by a header that is removed now, and would route anew without it: the route
        // that is judged would not be the one that serves.
        if self.needs_route && has_identity_headers(head, &self.upstream) {
            return self.refuse(Denial::Target(TargetError::Route), None);
        }
        let preflight = requested_method(head);
        let (judged, found) = find(&target, preflight, |target| self.policy.find(target));
        if self.uses_hosts && self.port_is_ambiguous(found, &judged, &target, preflight) {
            return self.refuse(Denial::Target(TargetError::HostPort), None);
        }
        let target = judged;
        let Some(RuleMatch { rule, .. }) = found else {
            return self.refuse(Denial::NoRule, None);
        };
        let Some(found) = found.and_then(|found| self.policy.as_spelled(found, &target)) else {
            return self.refuse(Denial::Target(TargetError::Path(PathError::OtherSpelling)), Some(rule));
        };
        // Likewise for credentials that nobody looks at here.
        let reroutes = || self.policy.follows_route(&target) && self.removes_credentials(head);
        let is_anonymous = rule.access == Access::Public || preflight.is_some() && rule.cors_preflight;
        if self.needs_route && is_anonymous && reroutes() {
            return self.refuse(Denial::Target(TargetError::Route), Some(rule));
        }
        if let Some(permit) = authorize_anonymous(rule, preflight.is_some()) {
            return Step::Forward(Forward { permit, set: Vec::new(), filter_state: Vec::new() });
        }
        let token = match self.locations.find(head) {
            Ok(Some(token)) => token,
            Ok(None) if self.needs_route && reroutes() => {
                return self.refuse(Denial::Target(TargetError::Route), Some(rule));
            }
            Ok(None) => return self.refuse(Denial::NoCredentials, Some(rule)),
            Err(error) => return self.refuse(Denial::Credentials(error), Some(rule)),
        };
        let Some(requirement) = found.requirement(&target) else {
            return self.refuse(Denial::Misconfigured, Some(rule));
        };
        let servers = self.servers_for(rule, &token);
        match TokenCheck::new(EffectiveRule { rule: Arc::clone(rule), requirement }, servers, token) {
            Some(exchange) => exchange.begin(self, now),
            // It names an issuer, or has a form, that no server of the rule answers for.
            None => self.refuse(Denial::WrongIssuer, Some(rule)),
        }
    }

    fn removes_credentials(&self, head: RequestHead<'_>) -> bool {
        !self.upstream.keep_authorization && !self.locations.removal(head).is_empty()
    }

    pub(crate) fn refuse(&self, denial: Denial, rule: Option<&Arc<Rule>>) -> Step {
        let errors = rule.map_or(&self.errors, |rule| &rule.errors);
        // What could be read in two ways may be meant for any rule.
        let is_ambiguous = matches!(denial, Denial::Target(_));
        let mode = if is_ambiguous { self.mode_of_all } else { rule.map_or(self.mode, |rule| rule.mode) };
        refusal(mode, Reply::new(denial, rule.map(|rule| &rule.name), errors, &DemandedScope::default()))
    }

    /// What is not enforced, in words, if anything is.
    pub fn report_only(&self) -> Option<String> {
        let rules = self.policy.rules.iter().filter(|rule| rule.mode == Mode::ReportOnly);
        let names: Vec<&str> = rules.map(|rule| &*rule.name).collect();
        let other = (self.mode == Mode::ReportOnly).then_some("what no rule matches");
        let rules = (!names.is_empty()).then(|| format!("rules `{}`", names.join("`, `")));
        let parts: Vec<&str> = rules.as_deref().into_iter().chain(other).collect();
        (!parts.is_empty()).then(|| parts.join(", and "))
    }

    /// Charges the client at this address for an unknown token; `None` if it has had too many.
    pub(crate) fn charge(&self, client: &[u8], now: UnixTime) -> Option<Charge> {
        match &self.unknown_tokens {
            Some(limit) => limit.borrow_mut().charge(client, now),
            None => Some(Charge::NOTHING),
        }
    }

    /// Gives back what a client was charged for a token that was unknown and is good.
    pub(crate) fn refund(&self, charge: &Charge) {
        if let Some(limit) = &self.unknown_tokens {
            limit.borrow_mut().refund(charge);
        }
    }

    /// Refuses a request with a token; `server` is the index of the one that vouches for it, if one does.
    pub(crate) fn refuse_demand(&self, denial: Denial, demand: &EffectiveRule, server: Option<usize>) -> Step {
        let scope = if denial == Denial::InsufficientScope {
            demanded_scope(&demand.requirement, server)
        } else {
            DemandedScope::default()
        };
        refusal(demand.rule.mode, Reply::new(denial, Some(&demand.rule.name), &demand.rule.errors, &scope))
    }

    /// Whether a port decides which rule applies, the request's or one in `hosts`, and no entry of that rule
    /// names the host with just this port: Envoy may be told to compare hosts without ports.
    /// `found` was found for `judged`, which is the target or what its preflight asks for.
    fn port_is_ambiguous(
        &self,
        found: Option<RuleMatch<'_>>,
        judged: &Target<'_>,
        target: &Target<'_>,
        preflight: Option<&[u8]>,
    ) -> bool {
        let without = || find(target, preflight, |target| self.policy.find_without_ports(target)).1;
        !found.is_some_and(|found| self.policy.names_host(found, judged))
            && without().map(|found| Arc::as_ptr(found.rule)) != found.map(|found| Arc::as_ptr(found.rule))
    }

    /// The servers that may answer for a token under a rule, in the order they are asked.
    fn servers_for(&self, rule: &Rule, token: &AccessToken) -> Vec<Rc<Server>> {
        let Access::Protected { servers, .. } = &rule.access else {
            return Vec::new();
        };
        let selected = select(servers, |index| self.servers.get(index).map(|server| &server.config), token);
        selected.into_iter().filter_map(|index| self.servers.get(index).cloned()).collect()
    }
}

fn refusal(mode: Mode, reply: Reply) -> Step {
    match mode {
        Mode::Enforce => Step::Respond(reply),
        Mode::ReportOnly => Step::Report(reply),
    }
}

/// Facts to be renewed at a time; more are when they are used the next time.
const MAX_RENEWALS: usize = 64;

/// The rule that a request falls under. A CORS preflight for which there is no rule of its own falls under the
/// rule of the request that it asks for, if that lets preflights pass.
fn find<'c, 't, 'r>(
    target: &'c Target<'t>,
    preflight: Option<&'t [u8]>,
    rule_of: impl Fn(&Target<'_>) -> Option<RuleMatch<'r>>,
) -> (Cow<'c, Target<'t>>, Option<RuleMatch<'r>>) {
    let found = rule_of(target);
    let (None, Some(method)) = (found, preflight) else {
        return (Cow::Borrowed(target), found);
    };
    let target = Target { method, ..target.clone() };
    let found = rule_of(&target).filter(|found| found.rule.cors_preflight);
    (Cow::Owned(target), found)
}

fn demanded_scope(requirement: &Requirement, server: Option<usize>) -> DemandedScope {
    let tokens: Vec<&str> = requirement.scopes(server).iter().map(|scope| scope.as_str()).collect();
    DemandedScope { tokens: tokens.join(" "), any: requirement.offers_alternatives() }
}

impl Gate {
    /// The authorization servers with keys, by index, and where in shared data their keys are.
    pub fn key_servers(&self) -> impl Iterator<Item = (usize, String)> {
        self.servers.iter().filter_map(|server| Some((server.index, server.keys_key()?)))
    }

    /// Takes over what another worker has published, if it is newer than what is here, and not of a time to come.
    pub fn take_over_keys(&self, server: usize, published: &[u8], now: UnixTime) {
        if let Some(server) = self.servers.get(server) {
            server.take_over_keys(published, now);
        }
    }

    /// Whether it is time for this worker to fetch the keys of a server, unless another one does.
    pub fn keys_are_due(&self, server: usize, now: UnixTime) -> bool {
        self.servers.get(server).is_some_and(|server| server.keys_are_due(now))
    }

    /// The fetch of the keys of a server. Whoever asks for it must send its request now.
    pub fn fetch_keys(&self, server: usize, now: UnixTime) -> Option<KeyFetch> {
        self.servers.get(server).and_then(|server| KeyFetch::scheduled(server, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a request without a token ends: `passes`, its status, or the status it would have.
    fn end(configuration: &str, path: &str) -> String {
        let config = Config::parse(configuration.as_bytes(), &|_| None).unwrap();
        let headers =
            [(":method", "GET"), (":path", path), (":authority", "a")].map(|(n, value)| (n, value.as_bytes()));
        let head = RequestHead { headers: &headers, route: None, has_body: false };
        match Gate::new(config, [7; 32]).begin(head, UnixTime::from_secs(1_000_000)) {
            Step::Forward(_) => "passes".to_owned(),
            Step::Respond(reply) => reply.status.to_string(),
            Step::Report(reply) => format!("would be {}", reply.status),
            Step::Lookup(_) | Step::Verify(_) | Step::Call(_) => panic!("there is no token"),
        }
    }

    #[test]
    fn what_only_reports_lets_pass_and_never_what_may_be_meant_for_a_rule_that_is_enforced() {
        let configuration = |mode: &str, a: &str, b: &str| {
            format!(
                r#"{{"authorization_servers":[{{"name":"a","cluster":"c","audience":"any",
                    "introspection":{{"path":"/i","client_id":"g","client_secret":"s"}}}}], {mode} "rules":[
                    {{"name":"a", {a} "match":[{{"path_prefix":"/a"}}],"require":{{"authenticated":true}}}},
                    {{"name":"b", {b} "match":[{{"path_prefix":"/b"}}],"require":{{"authenticated":true}}}}]}}"#
            )
        };
        let (none, report, enforce) = ("", r#""mode":"report_only","#, r#""mode":"enforce","#);
        for (mode, a, b, expected) in [
            (none, none, none, ["401", "401", "403", "400", "400"]),
            (none, report, none, ["would be 401", "401", "403", "400", "400"]),
            (none, report, report, ["would be 401", "would be 401", "403", "400", "400"]),
            (report, none, enforce, ["would be 401", "401", "would be 403", "400", "400"]),
            (report, none, none, ["would be 401", "would be 401", "would be 403", "would be 400", "would be 400"]),
        ] {
            let configuration = configuration(mode, a, b);
            // `/%61` is /a to some, and another place to whoever does not decode it.
            let ends = ["/a", "/b", "/nowhere", "/a/..%2fb", "/%61"].map(|path| end(&configuration, path));
            assert_eq!(ends, expected, "{mode} {a} {b}");
        }
        let gate = |text: &str| Gate::new(Config::parse(text.as_bytes(), &|_| None).unwrap(), [7; 32]);
        assert_eq!(gate(&configuration(none, none, none)).report_only(), None);
        assert_eq!(gate(&configuration(none, report, none)).report_only().unwrap(), "rules `a`");
        let all = gate(&configuration(report, none, none)).report_only().unwrap();
        assert_eq!(all, "rules `a`, `b`, and what no rule matches");
    }
}
