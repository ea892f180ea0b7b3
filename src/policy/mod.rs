//! Rules: which rule applies to a request, what it requires, and whether a token meets the requirement.

mod application;
mod authorize;
mod forward;
mod host_pattern;
mod index;
mod method;
mod path_pattern;
mod request_match;
mod requirement;
mod rule;
mod rule_set;
mod scope_template;
mod token_policy;
mod trie;

pub(crate) use application::{Application, ApplicationPolicy, Applications, UNKNOWN};
pub(crate) use authorize::{EffectiveRule, authorize, authorize_anonymous};
pub use forward::Forward;
pub(crate) use forward::{UpstreamSettings, cleaning, forward, has_identity_headers};
pub(crate) use host_pattern::HostPattern;
pub(crate) use method::Method;
pub(crate) use path_pattern::{PathPattern, PatternError};
pub(crate) use request_match::RequestMatch;
pub(crate) use requirement::{ClaimTest, Condition, RequestScope, Requirement, ScopeMapping};
pub(crate) use rule::{Access, Mode, Rule};
pub(crate) use rule_set::{RuleMatch, RuleSet};
pub(crate) use scope_template::ScopeTemplate;
pub(crate) use token_policy::{Audience, INTROSPECTED_NOT_BEFORE_LEEWAY, TokenPolicy};
