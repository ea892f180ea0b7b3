//! The gate: a configuration at work, and the first step of every request.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::counters::Counters;
use super::state::State;
use super::token_check::{Decision, Next, Step, TokenCheck};
use crate::base::UnixTime;
use crate::cache::CacheSettings;
use crate::claims::RequestedClaims;
use crate::config::Config;
use crate::decision::Denial;
use crate::policy::{
    Access, Applications, EffectiveRule, Forward, Mode, Requirement, Rule, RuleMatch, RuleSet, UpstreamSettings,
    authorize_anonymous, cleaning, has_identity_headers,
};
use crate::request::{
    HeaderEdit, PathError, PathOptions, RequestHead, Target, TargetError, TokenLocations, requested_method,
};
use crate::response::{DemandedScope, ErrorProfile, Reply};
use crate::server::{Server, select};
use crate::token::AccessToken;

/// A configuration at work. It is immutable.
#[derive(Debug)]
pub(crate) struct Gate {
    policy: RuleSet,
    servers: Vec<Rc<Server>>,
    locations: TokenLocations,
    errors: Arc<ErrorProfile>,
    paths: PathOptions,
    needs_route: bool,
    uses_hosts: bool,
    logs_permits: bool,
    pub(super) applications: Applications,
    pub(super) requested: RequestedClaims,
    pub(super) cache: CacheSettings,
    pub(super) upstream: UpstreamSettings,
    /// Whether the configuration was refused. Every request is refused then.
    is_misconfigured: bool,
    /// The mode of refusals if no rule matches.
    mode: Mode,
    /// The mode of refusals if the target is ambiguous: `enforce` if any rule enforces.
    mode_if_ambiguous: Mode,
}

/// The inputs of a phase.
pub(crate) struct Context<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) state: &'a mut State,
    pub(crate) now: UnixTime,
}

impl Gate {
    /// Creates the gate and the state of a worker. `seed` must be random and different in every worker and
    /// configuration.
    pub(crate) fn new(config: Config, seed: [u8; 32], counters: Rc<Counters>) -> (Self, State) {
        let fingerprint = config.fingerprint;
        let server = |(index, config)| Rc::new(Server::new(index, config, &fingerprint));
        let enforces =
            config.mode == Mode::Enforce || config.policy.rules.iter().any(|rule| rule.mode == Mode::Enforce);
        let state = State::new(seed, config.cache.capacity, config.unknown_tokens, counters);
        let gate = Self {
            is_misconfigured: config.is_misconfigured,
            mode: config.mode,
            mode_if_ambiguous: if enforces { Mode::Enforce } else { Mode::ReportOnly },
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
        };
        (gate, state)
    }

    /// Returns the authorization servers, in the order of the configuration.
    pub(crate) fn servers(&self) -> &[Rc<Server>] {
        &self.servers
    }

    /// Returns the number of open circuit breakers.
    pub(crate) fn open_circuits(&self, now: UnixTime) -> usize {
        self.servers.iter().map(|server| server.failover().open_circuits(now)).sum()
    }

    /// Returns whether any rule matches the name of the Envoy route.
    pub(crate) fn needs_route(&self) -> bool {
        self.needs_route
    }

    /// Returns whether permitted requests are logged.
    pub(crate) fn logs_permits(&self) -> bool {
        self.logs_permits
    }

    /// Returns the edits that clean a request before any decision: they remove identity headers that the client sent,
    /// including aliases, and the credentials. Trailers are cleaned in the same way.
    pub(crate) fn cleaning<'a>(&self, head: RequestHead<'a>) -> Vec<HeaderEdit<'a>> {
        cleaning(head, &self.upstream, &self.locations)
    }

    /// Returns the first step for a request, given its original headers. Requests that need no token are decided here.
    pub(super) fn begin(&self, head: RequestHead<'_>) -> Next {
        if self.is_misconfigured {
            return self.refuse(Denial::Misconfigured, None);
        }
        let target = match Target::parse(head, self.paths) {
            Ok(target) => target,
            Err(error) => return self.refuse(Denial::Target(error), None),
        };
        // Envoy may have selected the route by a header that is removed now, and would select another route without it.
        // The authorized route would then differ from the route that serves the request.
        if self.needs_route && has_identity_headers(head, &self.upstream) {
            return self.refuse(Denial::Target(TargetError::Route), None);
        }
        let preflight = requested_method(head);
        let (effective, found) = find(&target, preflight, |target| self.policy.find(target));
        if self.uses_hosts && self.port_is_ambiguous(found, &effective, &target, preflight) {
            return self.refuse(Denial::Target(TargetError::HostPort), None);
        }
        let target = effective;
        let Some(RuleMatch { rule, .. }) = found else {
            return self.refuse(Denial::NoRule, None);
        };
        let Some(found) = found.and_then(|found| self.policy.as_spelled(found, &target)) else {
            return self.refuse(Denial::Target(TargetError::Path(PathError::OtherSpelling)), Some(rule));
        };
        // Envoy may also have selected the route by credentials that are removed and that this rule does not read.
        let reroutes = || self.policy.follows_route(&target) && self.removes_credentials(head);
        let is_anonymous = rule.access == Access::Public || preflight.is_some() && rule.cors_preflight;
        if self.needs_route && is_anonymous && reroutes() {
            return self.refuse(Denial::Target(TargetError::Route), Some(rule));
        }
        if let Some(permit) = authorize_anonymous(rule, preflight.is_some()) {
            let forward = Forward { permit, set: Vec::new(), filter_state: Vec::new() };
            return Next::Step(Step::Done(Decision::Forward(forward)));
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
            Some(check) => Next::LookUp(check),
            // No server of the rule issues tokens with this issuer or prefix.
            None => self.refuse(Denial::WrongIssuer, Some(rule)),
        }
    }

    fn removes_credentials(&self, head: RequestHead<'_>) -> bool {
        !self.upstream.keep_authorization && !self.locations.removal(head).is_empty()
    }

    fn refuse(&self, denial: Denial, rule: Option<&Arc<Rule>>) -> Next {
        let errors = rule.map_or(&self.errors, |rule| &rule.errors);
        // An ambiguous target may belong to any rule.
        let is_ambiguous = matches!(denial, Denial::Target(_));
        let mode = if is_ambiguous { self.mode_if_ambiguous } else { rule.map_or(self.mode, |rule| rule.mode) };
        refusal(mode, Reply::new(denial, rule.map(|rule| &rule.name), errors, &DemandedScope::default()))
    }

    /// Describes what only reports and does not enforce; `None` if everything enforces.
    pub(crate) fn report_only(&self) -> Option<String> {
        let rules = self.policy.rules.iter().filter(|rule| rule.mode == Mode::ReportOnly);
        let names: Vec<&str> = rules.map(|rule| &*rule.name).collect();
        let other = (self.mode == Mode::ReportOnly).then_some("requests that no rule matches");
        let rules = (!names.is_empty()).then(|| format!("rules `{}`", names.join("`, `")));
        let parts: Vec<&str> = rules.as_deref().into_iter().chain(other).collect();
        (!parts.is_empty()).then(|| parts.join(", and "))
    }

    /// Refuses a request with a token. `server` is the index of the authorization server that calls the token active,
    /// if any.
    pub(super) fn refuse_by(&self, denial: Denial, rule: &EffectiveRule, server: Option<usize>) -> Next {
        let scope = if denial == Denial::InsufficientScope {
            demanded_scope(&rule.requirement, server)
        } else {
            DemandedScope::default()
        };
        refusal(rule.rule.mode, Reply::new(denial, Some(&rule.rule.name), &rule.rule.errors, &scope))
    }

    /// Returns whether the matching rule depends on a port, and no entry of that rule names the host with exactly this
    /// port: Envoy may be configured to compare hosts without ports. `found` was found for `effective`, which is the
    /// target or the request of its preflight.
    fn port_is_ambiguous(
        &self,
        found: Option<RuleMatch<'_>>,
        effective: &Target<'_>,
        target: &Target<'_>,
        preflight: Option<&[u8]>,
    ) -> bool {
        let without = || find(target, preflight, |target| self.policy.find_without_ports(target)).1;
        !found.is_some_and(|found| self.policy.names_host(found, effective))
            && without().map(|found| Arc::as_ptr(found.rule)) != found.map(|found| Arc::as_ptr(found.rule))
    }

    /// Returns the authorization servers for a token under a rule, in order.
    fn servers_for(&self, rule: &Rule, token: &AccessToken) -> Vec<Rc<Server>> {
        let Access::Protected { servers, .. } = &rule.access else {
            return Vec::new();
        };
        let selected = select(servers, |index| self.servers.get(index).map(|server| &server.config), token);
        selected.into_iter().filter_map(|index| self.servers.get(index).cloned()).collect()
    }
}

fn refusal(mode: Mode, reply: Reply) -> Next {
    Next::Step(Step::Done(match mode {
        Mode::Enforce => Decision::Respond(reply),
        Mode::ReportOnly => Decision::Report(reply),
    }))
}

/// Finds the rule of a request. A CORS preflight that no rule matches has the rule of the actual request, if that rule
/// permits preflights.
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
