//! The decision: do these facts about a token satisfy what the rule demands, now?
//!
//! It judges claims, however they were won, and runs on every request: caches keep facts, never decisions.

use std::sync::Arc;

use super::application::{ApplicationPolicy, Applications, UNKNOWN};
use super::requirement::{Presented, Requirement};
use super::rule::{Access, Rule};
use super::token_policy::{Audience, TokenPolicy};
use crate::base::UnixTime;
use crate::claims::{Claims, TokenKind};
use crate::decision::{Denial, UnmetRequirement};

/// That a request may pass, and by which rule. Only this module can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    rule: Arc<str>,
    public: bool,
    application: Option<Arc<str>>,
}

impl Permit {
    /// The name of the rule that let the request pass.
    pub fn rule(&self) -> &Arc<str> {
        &self.rule
    }

    /// Whether it passed without a token.
    pub fn is_public(&self) -> bool {
        self.public
    }

    /// The application that called, if it is known; a mark in its place where anonymous calls pass.
    pub(crate) fn application(&self) -> Option<&str> {
        self.application.as_deref()
    }
}

/// What a rule says before any token is looked at: a permit if it is public, or if this is a CORS preflight and
/// such may pass.
pub(crate) fn authorize_anonymous(rule: &Rule, is_preflight: bool) -> Option<Permit> {
    let public = match rule.access {
        Access::Public => true,
        Access::Protected { .. } => is_preflight && rule.cors_preflight,
    };
    public.then(|| Permit { rule: Arc::clone(&rule.name), public: true, application: None })
}

/// What is demanded of one request: by its rule, and by what the rule's requirement means for this request.
#[derive(Clone, Debug)]
pub(crate) struct EffectiveRule {
    pub(crate) rule: Arc<Rule>,
    pub(crate) requirement: Arc<Requirement>,
}

/// What a rule says of a token with these claims; `server` is the index of the authorization server that issued it,
/// `policy` what that server's tokens must meet.
///
/// # Errors
/// The first thing that is wrong. What is wrong with the token itself comes first, then who it was issued to,
/// then what it lacks.
pub(crate) fn authorize(
    demand: &EffectiveRule,
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
    // Times (RFC 7662 §2.2, RFC 7519 §4.1.4 and §4.1.5): valid before `exp`, from `nbf` on.
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
    let Access::Protected { identification, .. } = demand.rule.access else {
        return Err(Denial::Misconfigured);
    };
    let application = applications.find(server, claims.client_id.as_deref());
    let registered = application
        .is_some_and(|application| application.is_registered_for(&demand.rule.name, demand.rule.api.as_deref()));
    let mark = match identification {
        None => None,
        Some(ApplicationPolicy::Registered) if registered => None,
        Some(ApplicationPolicy::Any) if application.is_some() => None,
        Some(ApplicationPolicy::Anonymous) => application.is_none().then(|| Arc::from(UNKNOWN)),
        Some(ApplicationPolicy::Registered | ApplicationPolicy::Any) => return Err(Denial::UnregisteredClient),
    };
    let token = Presented { claims, server, strategy: policy.scope_strategy };
    demand.requirement.check(token).map_err(|lack| match lack {
        UnmetRequirement::Scope => Denial::InsufficientScope,
        UnmetRequirement::Audience => Denial::WrongAudience,
        UnmetRequirement::Role | UnmetRequirement::Client | UnmetRequirement::Claim | UnmetRequirement::Server => {
            Denial::Lacks(lack)
        }
    })?;
    let application = application.map(|application| Arc::clone(&application.name)).or(mark);
    Ok(Permit { rule: Arc::clone(&demand.rule.name), public: false, application })
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
        let demand = EffectiveRule { requirement: rule_requirement(&rule), rule };
        authorize(&demand, &config.applications, (0, &config.servers[0].tokens), claims, NOW)
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
    fn good_claims_are_permitted_and_the_permit_names_the_rule() {
        let permit = decide(&good()).unwrap();
        assert_eq!((&**permit.rule(), permit.is_public()), ("r", false));
        assert!(decide(&Claims { issuer: None, expires_at: None, not_before: None, ..good() }).is_ok());
    }

    #[test]
    fn each_wrong_claim_is_denied_for_its_own_reason() {
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
    fn a_bad_token_is_invalid_before_its_scope_is_insufficient() {
        let claims = Claims { expires_at: Some(NOW), scope: Scope::default(), ..good() };
        assert_eq!(decide(&claims), Err(Denial::Expired));
    }

    #[test]
    fn only_applications_that_a_rule_is_open_to_may_pass_and_they_are_named() {
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
            let demand = EffectiveRule { requirement: rule_requirement(&rule), rule };
            let claims = Claims { client_id: Some(client.to_owned()), ..Claims::default() };
            let permit = authorize(&demand, &config.applications, (0, &config.servers[0].tokens), &claims, NOW);
            permit.map(|permit| permit.application().map(str::to_owned))
        };
        let named = |name: &str| Ok(Some(name.to_owned()));
        for (mode, client, expected) in [
            ("registered", "web", named("Agency")),
            ("registered", "other", Err(Denial::UnregisteredClient)),
            ("registered", "nobody", Err(Denial::UnregisteredClient)),
            ("any", "other", named("Other")),
            ("any", "nobody", Err(Denial::UnregisteredClient)),
            ("anonymous", "web", named("Agency")),
            ("anonymous", "nobody", named(UNKNOWN)),
        ] {
            assert_eq!(decide(mode, client), expected, "{mode} {client}");
        }
    }

    fn rule_requirement(rule: &Rule) -> Arc<Requirement> {
        let Access::Protected { requirement, .. } = &rule.access else { panic!("a protected rule") };
        Arc::clone(requirement)
    }
}
