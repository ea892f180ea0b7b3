//! The decision: do these facts about a token satisfy what the rule demands, now?
//!
//! It judges claims, however they were won, and runs on every request: caches keep facts, never decisions.

use std::sync::Arc;

use crate::claims::{Claims, TokenKind};
use crate::config::{Audience, AuthorizationServer};
use crate::denial::Denial;
use crate::policy::{Access, Rule};
use crate::time::UnixTime;

/// That a request may pass, and by which rule. Only this module can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    rule: Arc<str>,
    public: bool,
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
}

/// What a rule says before any token is looked at: a permit if it is public.
pub(crate) fn authorize_anonymous(rule: &Rule) -> Option<Permit> {
    match rule.access {
        Access::Public => Some(Permit { rule: Arc::clone(&rule.name), public: true }),
        Access::Protected { .. } => None,
    }
}

/// What a rule says of a token whose claims `server` vouches for.
///
/// # Errors
/// The first thing that is wrong. What is wrong with the token itself comes before what it lacks.
pub(crate) fn authorize(
    rule: &Rule,
    server: &AuthorizationServer,
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
    if claims.not_before.is_some_and(|not_before| now.saturating_add(crate::NOT_BEFORE_LEEWAY) < not_before) {
        return Err(Denial::NotYetValid);
    }
    if let (Some(expected), Some(found)) = (&server.issuer, &claims.issuer)
        && expected != found
    {
        return Err(Denial::WrongIssuer);
    }
    match &server.audience {
        Audience::Any => {}
        Audience::OneOf(accepted) => {
            if !claims.audience.iter().any(|audience| accepted.contains(audience)) {
                return Err(Denial::WrongAudience);
            }
        }
    }
    match &rule.access {
        Access::Public => {}
        Access::Protected { requirement, .. } => {
            if !requirement.is_met_by(&claims.scope) {
                return Err(Denial::InsufficientScope);
            }
        }
    }
    Ok(Permit { rule: Arc::clone(&rule.name), public: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::scope::Scope;

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
        authorize(&config.policy.rules[0], &config.servers[0], claims, NOW)
    }

    fn good() -> Claims {
        Claims {
            expires_at: Some(NOW.saturating_add(MILLISECOND)),
            not_before: Some(NOW),
            issuer: Some("https://as".to_owned()),
            audience: vec!["x".to_owned(), "api".to_owned()],
            scope: Scope::from_lists(["view"]),
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
        let late = NOW.saturating_add(crate::NOT_BEFORE_LEEWAY);
        for (claims, denial) in [
            (Claims { expires_at: Some(NOW), ..good() }, Denial::Expired),
            (Claims { not_before: Some(late.saturating_add(MILLISECOND)), ..good() }, Denial::NotYetValid),
            (Claims { issuer: Some("https://as/".to_owned()), ..good() }, Denial::WrongIssuer),
            (Claims { audience: vec!["x".to_owned()], ..good() }, Denial::WrongAudience),
            (Claims { audience: Vec::new(), ..good() }, Denial::WrongAudience),
            (Claims { kind: TokenKind::NotAccess, ..good() }, Denial::NotAnAccessToken),
            (Claims { kind: TokenKind::SenderConstrained, ..good() }, Denial::SenderConstrained),
            (Claims { scope: Scope::from_lists(["VIEW viewer"]), ..good() }, Denial::InsufficientScope),
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
}
