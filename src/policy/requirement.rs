//! The requirements of a rule on a token: scopes, roles, clients, audiences, claims, and `all` or `any` of these.
//!
//! A new requirement is a variant of [`Condition`], its arm in [`Condition::check`], its line in the table of keys in
//! `config/requirement.rs`, its documentation and its test.

use std::sync::Arc;

use super::path_pattern::PathPattern;
use super::request_match::RequestMatch;
use super::scope_template::ScopeTemplate;
use crate::claims::{ClaimValue, Claims};
use crate::decision::UnmetRequirement;
use crate::request::Target;
use crate::token::{ScopeStrategy, ScopeToken};

/// A combination of conditions. Every valid token meets [`Requirement::All`] of nothing, none meets
/// [`Requirement::Any`] of nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Requirement {
    All(Vec<Requirement>),
    Any(Vec<Requirement>),
    Token(Condition),
    /// [`Requirement::resolve`] replaces it by conditions.
    PerRequest(RequestScope),
}

/// A condition that depends on the token alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Scope(ScopeToken),
    Role(String),
    /// The token was issued to one of these clients.
    Client(Vec<String>),
    /// The token is meant for one of these audiences.
    Audience(Vec<String>),
    Claim {
        index: usize,
        test: ClaimTest,
    },
    /// The authorization server with this index verified the token.
    Server(usize),
}

/// A scope that depends on the request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RequestScope {
    Template(ScopeTemplate),
    /// A scope that is mapped to the resource of the request.
    Mapped(Arc<[ScopeMapping]>),
}

/// A test of one claim.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ClaimTest {
    /// The claim is present, or absent.
    Exists(bool),
    /// The claim is one of these values, or a list that contains one of them.
    OneOf(Vec<ClaimValue>),
}

/// A scope of an authorization server and the resources that it opens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ScopeMapping {
    pub(crate) server: usize,
    pub(crate) scope: ScopeToken,
    /// The audience that the token must have, too.
    pub(crate) audience: Option<String>,
    /// `None` for every resource of the API.
    pub(crate) resources: Option<Vec<RequestMatch>>,
}

/// The claims of a token and the authorization server that verified it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented<'a> {
    pub(crate) claims: &'a Claims,
    /// The index of the authorization server.
    pub(crate) server: usize,
    pub(crate) strategy: ScopeStrategy,
}

impl Requirement {
    /// Every valid token meets it.
    pub(crate) const NONE: Self = Self::All(Vec::new());

    /// The parts of a combination.
    fn parts(&self) -> &[Self] {
        match self {
            Self::All(parts) | Self::Any(parts) => parts,
            Self::Token(_) | Self::PerRequest(_) => &[],
        }
    }

    /// Whether it depends on the request.
    pub(crate) fn is_dynamic(&self) -> bool {
        matches!(self, Self::PerRequest(_)) || self.parts().iter().any(Self::is_dynamic)
    }

    /// Replaces the conditions that depend on the request. `pattern` is the path pattern that selected its rule.
    pub(crate) fn resolve(&self, target: &Target<'_>, pattern: Option<&PathPattern>) -> Self {
        let resolve = |parts: &[Self]| parts.iter().map(|part| part.resolve(target, pattern)).collect();
        match self {
            Self::All(parts) => Self::All(resolve(parts)),
            Self::Any(parts) => Self::Any(resolve(parts)),
            Self::Token(_) => self.clone(),
            Self::PerRequest(scope) => scope.resolve(target, pattern),
        }
    }

    /// Whether the token meets the requirement.
    ///
    /// # Errors
    /// The first unmet condition; of several alternatives a scope, if one is among them: a client can request that.
    pub(crate) fn check(&self, token: Presented<'_>) -> Result<(), UnmetRequirement> {
        match self {
            Self::All(parts) => parts.iter().try_for_each(|part| part.check(token)),
            Self::Any(parts) => {
                let mut unmet = Vec::new();
                for part in parts {
                    match part.check(token) {
                        Ok(()) => return Ok(()),
                        Err(condition) => unmet.push(condition),
                    }
                }
                let scope = unmet.contains(&UnmetRequirement::Scope);
                Err(unmet.first().copied().filter(|_| !scope).unwrap_or(UnmetRequirement::Scope))
            }
            Self::Token(condition) => condition.check(token),
            // Not resolved for a request, so no token meets it.
            Self::PerRequest(_) => Err(UnmetRequirement::Scope),
        }
    }

    /// Every scope token in it, once, that a token of `server` could have; for the challenge's `scope` attribute
    /// (RFC 6750 §3). A token with all of them passes; of alternatives one is enough.
    pub(crate) fn scopes(&self, server: Option<usize>) -> Vec<&ScopeToken> {
        let mut scopes = Vec::new();
        self.collect_scopes(server, &mut scopes);
        scopes
    }

    fn collect_scopes<'a>(&'a self, server: Option<usize>, scopes: &mut Vec<&'a ScopeToken>) {
        let is_foreign = server.is_some_and(|server| self.own_servers().any(|own| own != server));
        if let Self::Token(Condition::Scope(scope)) = self
            && !scopes.contains(&scope)
        {
            scopes.push(scope);
        } else if !is_foreign {
            self.parts().iter().for_each(|part| part.collect_scopes(server, scopes));
        }
    }

    /// The authorization servers that parts of [`Requirement::All`] name: only their tokens can meet all parts.
    fn own_servers(&self) -> impl Iterator<Item = usize> {
        let parts = if let Self::All(parts) = self { parts.as_slice() } else { &[] };
        parts
            .iter()
            .filter_map(|part| if let Self::Token(Condition::Server(server)) = part { Some(*server) } else { None })
    }

    /// Whether it names clients without their authorization server: a client of another server may have the same id.
    pub(crate) fn names_clients_of_any_server(&self) -> bool {
        matches!(self, Self::Token(Condition::Client(_)))
            || self.own_servers().next().is_none() && self.parts().iter().any(Self::names_clients_of_any_server)
    }

    /// The path segments that scope templates need.
    pub(crate) fn template_segments(&self) -> Vec<&str> {
        match self {
            Self::PerRequest(RequestScope::Template(template)) => template.segments().collect(),
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::template_segments).collect(),
            Self::Token(_) | Self::PerRequest(RequestScope::Mapped(_)) => Vec::new(),
        }
    }

    /// Whether some scopes are alternatives, even a single one, so that a token does not need all of them.
    pub(crate) fn offers_alternatives(&self) -> bool {
        match self {
            Self::Any(parts) => match parts.as_slice() {
                [Self::Token(Condition::Scope(_))] => true,
                [part] => part.offers_alternatives(),
                // Alternatives of other kinds, such as roles, do not make scopes alternatives.
                parts => parts.iter().any(|part| !part.scopes(None).is_empty()),
            },
            Self::All(_) | Self::Token(_) | Self::PerRequest(_) => self.parts().iter().any(Self::offers_alternatives),
        }
    }
}

impl From<Condition> for Requirement {
    fn from(condition: Condition) -> Self {
        Self::Token(condition)
    }
}

impl Condition {
    fn check(&self, token: Presented<'_>) -> Result<(), UnmetRequirement> {
        let claims = token.claims;
        let (met, unmet) = match self {
            Self::Scope(scope) => (claims.scope.grants(scope, token.strategy), UnmetRequirement::Scope),
            Self::Role(role) => (claims.roles.contains(role), UnmetRequirement::Role),
            Self::Client(clients) => {
                (claims.client_id.as_ref().is_some_and(|client| clients.contains(client)), UnmetRequirement::Client)
            }
            Self::Audience(accepted) => {
                (claims.audience.iter().any(|audience| accepted.contains(audience)), UnmetRequirement::Audience)
            }
            Self::Claim { index, test } => {
                (test.is_met_by(claims.asked.get(*index).and_then(Option::as_ref)), UnmetRequirement::Claim)
            }
            Self::Server(server) => (*server == token.server, UnmetRequirement::Server),
        };
        if met { Ok(()) } else { Err(unmet) }
    }
}

impl RequestScope {
    fn resolve(&self, target: &Target<'_>, pattern: Option<&PathPattern>) -> Requirement {
        match self {
            // No token has what is not a scope token.
            Self::Template(template) => template
                .fill(target, pattern)
                .map_or(Requirement::Any(Vec::new()), |scope| Condition::Scope(scope).into()),
            Self::Mapped(mappings) => {
                let opening = mappings.iter().filter(|mapping| mapping.opens(target));
                Requirement::Any(opening.map(ScopeMapping::requirement).collect())
            }
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

    fn requirement(&self) -> Requirement {
        let mut parts = vec![Condition::Server(self.server), Condition::Scope(self.scope.clone())];
        parts.extend(self.audience.iter().map(|audience| Condition::Audience(vec![audience.clone()])));
        Requirement::All(parts.into_iter().map(Requirement::from).collect())
    }
}

#[cfg(test)]
mod tests;
