//! What a rule demands of a token beyond being good: scopes, roles, clients, audiences, claims, and `all` or
//! `any` of these.

use std::sync::Arc;

use super::path_pattern::PathPattern;
use super::request_match::RequestMatch;
use super::scope_template::ScopeTemplate;
use crate::claims::{ClaimValue, Claims};
use crate::decision::UnmetRequirement;
use crate::request::Target;
use crate::token::{ScopeStrategy, ScopeToken};

/// A demand. [`Requirement::All`] of nothing is met by every good token, [`Requirement::Any`] of nothing by none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Requirement {
    All(Vec<Requirement>),
    Any(Vec<Requirement>),
    Scope(ScopeToken),
    /// A scope token that depends on the request; [`Requirement::resolve`] makes it a [`Requirement::Scope`].
    ScopeTemplate(ScopeTemplate),
    /// A scope that is mapped to the resource of the request; resolved likewise.
    MappedScope(Arc<[ScopeMapping]>),
    Role(String),
    /// One of these clients.
    Client(Vec<String>),
    /// Meant for one of these.
    Audience(Vec<String>),
    Claim {
        index: usize,
        test: ClaimTest,
    },
    /// The authorization server, by its index, that vouches for the token.
    Server(usize),
}

/// What is demanded of one claim.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ClaimTest {
    /// It is there, or it is not.
    Exists(bool),
    /// It is one of these, or a list that holds one of them.
    OneOf(Vec<ClaimValue>),
}

/// A scope of an authorization server and the resources it opens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ScopeMapping {
    pub(crate) server: usize,
    pub(crate) scope: ScopeToken,
    /// What the token must be meant for, too, if this is set.
    pub(crate) audience: Option<String>,
    /// `None`: every resource of the API.
    pub(crate) resources: Option<Vec<RequestMatch>>,
}

/// A token's claims and who vouches for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented<'a> {
    pub(crate) claims: &'a Claims,
    /// Index of the authorization server.
    pub(crate) server: usize,
    pub(crate) strategy: ScopeStrategy,
}

impl Requirement {
    /// Met by every good token.
    pub(crate) const NONE: Self = Self::All(Vec::new());

    /// Whether it depends on the request.
    pub(crate) fn is_dynamic(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::is_dynamic),
            Self::ScopeTemplate(_) | Self::MappedScope(_) => true,
            Self::Scope(_)
            | Self::Role(_)
            | Self::Client(_)
            | Self::Audience(_)
            | Self::Claim { .. }
            | Self::Server(_) => false,
        }
    }

    /// The same demand for one request. `pattern` is the path pattern by which it fell under its rule.
    pub(crate) fn resolve(&self, target: &Target<'_>, pattern: Option<&PathPattern>) -> Self {
        let all = |parts: &[Self]| parts.iter().map(|part| part.resolve(target, pattern)).collect();
        match self {
            Self::All(parts) => Self::All(all(parts)),
            Self::Any(parts) => Self::Any(all(parts)),
            // What makes no scope token no token can have.
            Self::ScopeTemplate(template) => template.fill(target, pattern).map_or(Self::Any(Vec::new()), Self::Scope),
            Self::MappedScope(mappings) => {
                Self::Any(mappings.iter().filter(|mapping| mapping.opens(target)).map(ScopeMapping::demand).collect())
            }
            Self::Scope(_)
            | Self::Role(_)
            | Self::Client(_)
            | Self::Audience(_)
            | Self::Claim { .. }
            | Self::Server(_) => self.clone(),
        }
    }

    /// Whether the token meets the demand.
    ///
    /// # Errors
    /// What it lacks; of several alternatives a scope, if there is one: that a client can ask for.
    pub(crate) fn check(&self, token: Presented<'_>) -> Result<(), UnmetRequirement> {
        let claims = token.claims;
        let met = |met: bool, lack: UnmetRequirement| if met { Ok(()) } else { Err(lack) };
        match self {
            Self::All(parts) => parts.iter().try_for_each(|part| part.check(token)),
            Self::Any(parts) => {
                let mut lacks = Vec::new();
                for part in parts {
                    match part.check(token) {
                        Ok(()) => return Ok(()),
                        Err(lack) => lacks.push(lack),
                    }
                }
                let scope = lacks.contains(&UnmetRequirement::Scope);
                Err(lacks.first().copied().filter(|_| !scope).unwrap_or(UnmetRequirement::Scope))
            }
            Self::Scope(scope) => met(claims.scope.grants(scope, token.strategy), UnmetRequirement::Scope),
            Self::Role(role) => met(claims.roles.contains(role), UnmetRequirement::Role),
            Self::Client(clients) => {
                met(claims.client_id.as_ref().is_some_and(|client| clients.contains(client)), UnmetRequirement::Client)
            }
            Self::Audience(accepted) => {
                met(claims.audience.iter().any(|audience| accepted.contains(audience)), UnmetRequirement::Audience)
            }
            Self::Claim { index, test } => {
                met(test.is_met_by(claims.asked.get(*index).and_then(Option::as_ref)), UnmetRequirement::Claim)
            }
            Self::Server(server) => met(*server == token.server, UnmetRequirement::Server),
            // Unresolved: nobody asked for the request. Nothing meets it.
            Self::ScopeTemplate(_) | Self::MappedScope(_) => Err(UnmetRequirement::Scope),
        }
    }

    /// Every scope token named here, once, that a token of `server` could have; for the challenge's `scope`
    /// attribute (RFC 6750 §3). A token that holds them all passes; of alternatives one would do.
    pub(crate) fn scopes(&self, server: Option<usize>) -> Vec<&ScopeToken> {
        let mut scopes = Vec::new();
        self.collect_scopes(server, &mut scopes);
        scopes
    }

    fn collect_scopes<'a>(&'a self, server: Option<usize>, scopes: &mut Vec<&'a ScopeToken>) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                let foreign = |part: &Self| matches!((part, server), (Self::Server(a), Some(b)) if *a != b);
                if !(matches!(self, Self::All(_)) && parts.iter().any(foreign)) {
                    parts.iter().for_each(|part| part.collect_scopes(server, scopes));
                }
            }
            Self::Scope(scope) => {
                if !scopes.contains(&scope) {
                    scopes.push(scope);
                }
            }
            Self::ScopeTemplate(_)
            | Self::MappedScope(_)
            | Self::Role(_)
            | Self::Client(_)
            | Self::Audience(_)
            | Self::Claim { .. }
            | Self::Server(_) => {}
        }
    }

    /// Whether it names clients without saying whose: with several authorization servers, a client of another one
    /// may have the same id.
    pub(crate) fn names_anyones_clients(&self) -> bool {
        match self {
            Self::All(parts) => {
                let says_whose = parts.iter().any(|part| matches!(part, Self::Server(_)));
                !says_whose && parts.iter().any(Self::names_anyones_clients)
            }
            Self::Any(parts) => parts.iter().any(Self::names_anyones_clients),
            Self::Client(_) => true,
            Self::Scope(_)
            | Self::ScopeTemplate(_)
            | Self::MappedScope(_)
            | Self::Role(_)
            | Self::Audience(_)
            | Self::Claim { .. }
            | Self::Server(_) => false,
        }
    }

    /// The path segments that scope templates ask for.
    pub(crate) fn template_segments(&self) -> Vec<&str> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::template_segments).collect(),
            Self::ScopeTemplate(template) => template.segments().collect(),
            Self::Scope(_)
            | Self::MappedScope(_)
            | Self::Role(_)
            | Self::Client(_)
            | Self::Audience(_)
            | Self::Claim { .. }
            | Self::Server(_) => Vec::new(),
        }
    }

    /// Whether scopes are offered as alternatives, be it a choice of one, and not all demanded.
    pub(crate) fn offers_alternatives(&self) -> bool {
        match self {
            Self::Any(parts) => match parts.as_slice() {
                [Self::Scope(_)] => true,
                [part] => part.offers_alternatives(),
                // Alternatives of another kind, such as roles, are none of scopes.
                parts => parts.iter().any(|part| !part.scopes(None).is_empty()),
            },
            Self::All(parts) => parts.iter().any(Self::offers_alternatives),
            Self::Scope(_)
            | Self::ScopeTemplate(_)
            | Self::MappedScope(_)
            | Self::Role(_)
            | Self::Client(_)
            | Self::Audience(_)
            | Self::Claim { .. }
            | Self::Server(_) => false,
        }
    }
}

impl ClaimTest {
    fn is_met_by(&self, claim: Option<&ClaimValue>) -> bool {
        match self {
            Self::Exists(expected) => claim.is_some() == *expected,
            Self::OneOf(values) => claim.is_some_and(|claim| values.iter().any(|value| claim.is_or_contains(value))),
        }
    }
}

impl ScopeMapping {
    fn opens(&self, target: &Target<'_>) -> bool {
        self.resources.as_ref().is_none_or(|resources| resources.iter().any(|entry| entry.matches_as_spelled(target)))
    }

    fn demand(&self) -> Requirement {
        let mut parts = vec![Requirement::Server(self.server), Requirement::Scope(self.scope.clone())];
        parts.extend(self.audience.iter().map(|audience| Requirement::Audience(vec![audience.clone()])));
        Requirement::All(parts)
    }
}

#[cfg(test)]
mod tests;
