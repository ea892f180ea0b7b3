//! The decision: do the claims of a token meet the requirement of the rule now?
//!
//! It runs on every request, because caches store states of tokens and never decisions.

use std::sync::Arc;

use super::application::{ApplicationPolicy, Applications, UNKNOWN};
use super::requirement::{Presented, Requirement};
use super::rule::{Access, Rule};
use super::token_policy::{Audience, TokenPolicy};
use crate::base::UnixTime;
use crate::claims::{Claims, TokenKind};
use crate::decision::{Denial, UnmetRequirement};

/// The permission for a request to pass. Only this module can create one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    rule: Arc<str>,
    public: bool,
    application: Option<Arc<str>>,
}

impl Permit {
    /// Returns the name of the rule that permitted the request.
    pub fn rule(&self) -> &Arc<str> {
        &self.rule
    }

    /// Returns whether the request passed without a token.
    pub fn is_public(&self) -> bool {
        self.public
    }

    /// Returns the application of the client, or [`UNKNOWN`] where clients without an application are permitted.
    pub(crate) fn application(&self) -> Option<&str> {
        self.application.as_deref()
    }
}

/// Decides without a token: a permit if the rule is public, or if the request is a CORS preflight that the rule
/// permits.
pub(crate) fn authorize_anonymous(rule: &Rule, is_preflight: bool) -> Option<Permit> {
    let public = match rule.access {
        Access::Public => true,
        Access::Protected { .. } => is_preflight && rule.cors_preflight,
    };
    public.then(|| Permit { rule: Arc::clone(&rule.name), public: true, application: None })
}

/// The rule of a request, and its requirement resolved for this request.
#[derive(Clone, Debug)]
pub(crate) struct EffectiveRule {
    pub(crate) rule: Arc<Rule>,
    pub(crate) requirement: Arc<Requirement>,
}

/// Decides about a token with these claims. `server` is the index of the authorization server that issued the token,
/// `policy` the requirements on every token of that server.
///
/// # Errors
/// The first reason for a refusal: a defect of the token itself, then its client, then a missing scope or another unmet
/// requirement.
pub(crate) fn authorize(
    effective: &EffectiveRule,
    applications: &Applications,
    (server, policy): (usize, &TokenPolicy),
    claims: &Claims,
    now: UnixTime,
) -> Result<Permit, Denial> {
    match claims.kind {
        TokenKind::Bearer => {}
        TokenKind::SenderConstrained => return Err(Denial::SenderConstrained),
        TokenKind::NotAccess => return Err(Denial::NotAnAccessToken),
    }
    // Times (RFC 7662 §2.2, RFC 7519 §4.1.4 and §4.1.5): valid before `exp`, and from `nbf` on.
    if claims.expires_at.is_some_and(|expires_at| now >= expires_at) {
        return Err(Denial::Expired);
    }
    if claims.not_before.is_some_and(|not_before| now.saturating_add(policy.not_before_leeway) < not_before) {
        return Err(Denial::NotYetValid);
    }
    if let (Some(expected), Some(found)) = (&policy.issuer, &claims.issuer)
        && expected != found
    {
        return Err(Denial::WrongIssuer);
    }
    match &policy.audience {
        Audience::Any => {}
        Audience::OneOf(accepted) => {
            if !claims.audience.iter().any(|audience| accepted.contains(audience)) {
                return Err(Denial::WrongAudience);
            }
        }
    }
    let Access::Protected { identification, .. } = effective.rule.access else {
        return Err(Denial::Misconfigured);
    };
    let application = applications.find(server, claims.client_id.as_deref());
    let is_registered = application
        .is_some_and(|application| application.is_registered_for(&effective.rule.name, effective.rule.api.as_deref()));
    let fallback = match identification {
        None => None,
        Some(ApplicationPolicy::Registered) if is_registered => None,
        Some(ApplicationPolicy::Any) if application.is_some() => None,
        Some(ApplicationPolicy::Anonymous) => application.is_none().then(|| Arc::from(UNKNOWN)),
        Some(ApplicationPolicy::Registered | ApplicationPolicy::Any) => return Err(Denial::UnregisteredClient),
    };
    let token = Presented { claims, server, strategy: policy.scope_strategy };
    effective.requirement.check(token).map_err(|unmet| match unmet {
        UnmetRequirement::Scope => Denial::InsufficientScope,
        UnmetRequirement::Audience => Denial::WrongAudience,
        UnmetRequirement::Role | UnmetRequirement::Client | UnmetRequirement::Claim | UnmetRequirement::Server => {
            Denial::Unmet(unmet)
        }
    })?;
    let application = application.map(|application| Arc::clone(&application.name)).or(fallback);
    Ok(Permit { rule: Arc::clone(&effective.rule.name), public: false, application })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::policy::INTROSPECTED_NOT_BEFORE_LEEWAY;
    use crate::token::Scope;

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);
    const MILLISECOND: std::time::Duration = std::time::Duration::from_millis(1);

    fn decide(claims: &Claims) -> Result<Permit, Denial> {
        let config = Config::parse(
            br#"{"authorization_servers":[{"name":"a","cluster":"c","issuer":"https://as","audience":["api","other"],
                 "introspection":{"path":"/i","client_id":"g","client_secret":"s"}}],
                "rules":[{"name":"r","match":[{"path":"/x"}],"require":{"scope":"view"}}]}"#,
            &|_| None,
        )
        .unwrap();
        let rule = Arc::clone(&config.policy.rules[0]);
        let effective = EffectiveRule { requirement: rule_requirement(&rule), rule };
        authorize(&effective, &config.applications, (0, &config.servers[0].tokens), claims, NOW)
    }

    fn good() -> Claims {
        Claims {
            expires_at: Some(NOW.saturating_add(MILLISECOND)),
            not_before: Some(NOW),
            issuer: Some("https://as".to_owned()),
            audience: vec!["x".to_owned(), "api".to_owned()],
            scope: Scope::from_lists(["view"], false),
            ..Claims::default()
        }
    }

    #[test]
    fn permit_names_the_rule() {
        let permit = decide(&good()).unwrap();
        assert_eq!((&**permit.rule(), permit.is_public()), ("r", false));
        assert!(decide(&Claims { issuer: None, expires_at: None, not_before: None, ..good() }).is_ok());
    }

    #[test]
    fn each_invalid_claim_has_its_own_reason() {
        let late = NOW.saturating_add(INTROSPECTED_NOT_BEFORE_LEEWAY);
        for (claims, denial) in [
            (Claims { expires_at: Some(NOW), ..good() }, Denial::Expired),
            (Claims { not_before: Some(late.saturating_add(MILLISECOND)), ..good() }, Denial::NotYetValid),
            (Claims { issuer: Some("https://as/".to_owned()), ..good() }, Denial::WrongIssuer),
            (Claims { audience: vec!["x".to_owned()], ..good() }, Denial::WrongAudience),
            (Claims { audience: Vec::new(), ..good() }, Denial::WrongAudience),
            (Claims { kind: TokenKind::NotAccess, ..good() }, Denial::NotAnAccessToken),
            (Claims { kind: TokenKind::SenderConstrained, ..good() }, Denial::SenderConstrained),
            (Claims { scope: Scope::from_lists(["VIEW viewer"], false), ..good() }, Denial::InsufficientScope),
        ] {
            assert_eq!(decide(&claims), Err(denial));
        }
        assert!(decide(&Claims { not_before: Some(late), ..good() }).is_ok());
    }

    #[test]
    fn invalid_tokens_are_reported_before_missing_scopes() {
        let claims = Claims { expires_at: Some(NOW), scope: Scope::default(), ..good() };
        assert_eq!(decide(&claims), Err(Denial::Expired));
    }

    #[test]
    fn only_permitted_applications_pass() {
        let decide = |mode: &str, client: &str| {
            let text = format!(
                r#"{{"authorization_servers":[{{"name":"a","cluster":"c","audience":"any",
                     "introspection":{{"path":"/i","client_id":"g","client_secret":"s"}}}}],
                    "apis":[{{"name":"x","application":"{mode}"}},{{"name":"y"}}],
                    "applications":[{{"name":"Agency","clients":[{{"client_id":"web"}}],"apis":["x"]}},
                                    {{"name":"Other","clients":[{{"client_id":"other"}}],"apis":["y"]}}],
                    "rules":[{{"name":"r","api":"x","match":[{{"path":"/x"}}],"require":{{"authenticated":true}}}}]}}"#
            );
            let config = Config::parse(text.as_bytes(), &|_| None).unwrap();
            let rule = Arc::clone(&config.policy.rules[0]);
            let effective = EffectiveRule { requirement: rule_requirement(&rule), rule };
            let claims = Claims { client_id: Some(client.to_owned()), ..Claims::default() };
            let permit = authorize(&effective, &config.applications, (0, &config.servers[0].tokens), &claims, NOW);
            permit.map(|permit| permit.application().map(str::to_owned))
        };
        let named = |name: &str| Ok(Some(name.to_owned()));
        for (mode, client, expected) in [
            ("registered", "web", named("Agency")),
            ("registered", "other", Err(Denial::UnregisteredClient)),
            ("registered", "other-client", Err(Denial::UnregisteredClient)),
            ("any", "other", named("Other")),
            ("any", "other-client", Err(Denial::UnregisteredClient)),
            ("anonymous", "web", named("Agency")),
            ("anonymous", "other-client", named(UNKNOWN)),
        ] {
            assert_eq!(decide(mode, client), expected, "{mode} {client}");
        }
    }

    fn rule_requirement(rule: &Rule) -> Arc<Requirement> {
        let Access::Protected { requirement, .. } = &rule.access else { panic!("a protected rule") };
        Arc::clone(requirement)
    }
}
