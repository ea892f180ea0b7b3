//! The gate: a compiled configuration, and the first step of every request.

use std::sync::Arc;

use crate::authorize::authorize_anonymous;
use crate::bearer;
use crate::config::{AuthorizationServer, CacheConfig, Config, UpstreamConfig};
use crate::denial::Denial;
use crate::exchange::Exchange;
use crate::forward::{Forward, has_identity_headers, unwanted_headers};
use crate::policy::{Access, Policy, Rule};
use crate::reply::Reply;
use crate::request::{PathError, PathOptions, RawHead, Target, TargetError};
use crate::step::Step;
use crate::token::DigestKey;

/// One configuration at work. A request keeps the gate it began with until it ends.
#[derive(Debug)]
pub struct Gate {
    policy: Policy,
    servers: Vec<Arc<Server>>,
    realm: String,
    max_token_bytes: usize,
    paths: PathOptions,
    needs_route: bool,
    uses_hosts: bool,
    logs_permits: bool,
    pub(crate) cache: CacheConfig,
    pub(crate) upstream: UpstreamConfig,
}

/// An authorization server and the key that binds digests to it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) config: AuthorizationServer,
    pub(crate) digest_key: DigestKey,
}

impl Gate {
    /// Puts a configuration to work.
    pub fn new(config: Config) -> Self {
        let fingerprint = config.fingerprint;
        let server = |(index, config)| Arc::new(Server { config, digest_key: DigestKey::new(&fingerprint, index) });
        Self {
            needs_route: config.policy.uses_routes(),
            uses_hosts: config.policy.uses_hosts(),
            policy: config.policy,
            servers: config.servers.into_iter().enumerate().map(server).collect(),
            realm: config.realm,
            max_token_bytes: config.max_token_bytes,
            logs_permits: config.logs_permits,
            paths: config.paths,
            cache: config.cache,
            upstream: config.upstream,
        }
    }

    /// Whether any rule asks for the name of the Envoy route.
    pub fn needs_route(&self) -> bool {
        self.needs_route
    }

    /// Whether a request that passes is worth a line in the log, as one that is refused always is.
    pub fn logs_permits(&self) -> bool {
        self.logs_permits
    }

    /// The headers to remove before anything else is done with a request, whatever becomes of it: identity
    /// headers that the client sent, in any spelling, and the credentials. Every value of each goes.
    pub fn unwanted_headers(&self, head: RawHead<'_>) -> Vec<String> {
        unwanted_headers(head, &self.upstream)
    }

    /// The first step for a request, with its headers as they came in. It ends there for everything that needs
    /// no token.
    pub fn begin(&self, head: RawHead<'_>) -> Step {
        let target = match Target::parse(head, self.paths) {
            Ok(target) => target,
            Err(error) => return self.refuse(Denial::Target(error), None),
        };
        // Envoy may have routed by a header that is removed now, and would route anew without it: the route
        // that is judged would not be the one that serves.
        if self.needs_route && has_identity_headers(head, &self.upstream) {
            return self.refuse(Denial::Target(TargetError::Route), None);
        }
        let found = self.policy.find(&target);
        if self.uses_hosts && self.port_is_ambiguous(found, &target) {
            return self.refuse(Denial::Target(TargetError::HostPort), None);
        }
        let Some(rule) = found else {
            return self.refuse(Denial::NoRule, None);
        };
        if !rule.spells_path_of(&target) {
            return self.refuse(Denial::Target(TargetError::Path(PathError::OtherSpelling)), Some(rule));
        }
        if let Some(permit) = authorize_anonymous(rule) {
            return Step::Forward(Forward { permit, set: Vec::new() });
        }
        let token = match bearer::credentials(head.values("authorization"), self.max_token_bytes) {
            Ok(Some(token)) => token,
            Ok(None) => return self.refuse(Denial::NoCredentials, Some(rule)),
            Err(error) => return self.refuse(Denial::Credentials(error), Some(rule)),
        };
        match self.server(rule) {
            Some(server) => Exchange::new(Arc::clone(rule), server, token).begin(self),
            None => self.refuse(Denial::Misconfigured, Some(rule)),
        }
    }

    pub(crate) fn refuse(&self, denial: Denial, rule: Option<&Rule>) -> Step {
        Step::Respond(Reply::new(denial, rule, &self.realm))
    }

    /// Whether a port decides which rule applies, the request's or one in `hosts`, and no entry of that rule
    /// names the host with just this port: Envoy may be told to compare hosts without ports.
    fn port_is_ambiguous(&self, found: Option<&Arc<Rule>>, target: &Target<'_>) -> bool {
        !found.is_some_and(|rule| rule.names_host_of(target))
            && self.policy.find_without_ports(target).map(Arc::as_ptr) != found.map(Arc::as_ptr)
    }

    /// The server of a protected rule. `Config` has checked that it exists.
    fn server(&self, rule: &Rule) -> Option<Arc<Server>> {
        match rule.access {
            Access::Public => None,
            Access::Protected { server, .. } => self.servers.get(server).cloned(),
        }
    }
}
