//! `require`: what a token must have.

use std::cell::RefCell;
use std::sync::Arc;

use super::document::{Node, Object, quote};
use super::server_names::read_server_name;
use crate::claims::{ClaimPath, ClaimValue};
use crate::policy::{ClaimTest, Requirement, ScopeMapping, ScopeTemplate};
use crate::token::ScopeToken;

/// What a requirement may refer to.
#[derive(Clone, Copy)]
pub(super) struct References<'s> {
    /// Names of the authorization servers; `None` where they could not be read.
    pub(super) servers: Option<&'s [&'s str]>,
    /// The scope mappings of the API that it is for; `None` where there is no API.
    pub(super) mappings: Option<&'s Arc<[ScopeMapping]>>,
    /// Every claim that is asked for.
    pub(super) claims: &'s RefCell<Vec<ClaimPath>>,
}

const KEYS: &[&str] = &[
    "scope",
    "any_scope",
    "scope_template",
    "mapped_scope",
    "roles",
    "any_role",
    "client_ids",
    "audience",
    "claims",
    "authorization_server",
    "all",
    "any",
    "authenticated",
];

pub(super) fn read(node: &Node<'_>, references: References<'_>) -> Option<Requirement> {
    let object = node.object(KEYS)?;
    if object.is_empty() {
        object.report("demands nothing", "name a scope, or write authenticated: true for any active token");
        return None;
    }
    if let Some(node) = object.optional("authenticated") {
        if object.len() > 1 {
            object.report("`authenticated` says less than what is beside it", "remove `authenticated`");
            return None;
        }
        return node.require_true().map(|()| Requirement::NONE);
    }
    // Every part is read before any is given up, so that all problems are found.
    let parts = [
        read_part(&object, "scope", read_scope_list),
        read_part(&object, "any_scope", |node| {
            node.each(|node| read_scope_token(node, node.string()?).map(Requirement::Scope)).map(Requirement::Any)
        }),
        read_part(&object, "scope_template", read_template),
        read_part(&object, "mapped_scope", |node| read_mapped_scope(node, references)),
        read_part(&object, "roles", |node| {
            read_texts(node)?.into_iter().map(Requirement::Role).map(Some).collect::<Option<_>>().map(Requirement::All)
        }),
        read_part(&object, "any_role", |node| {
            Some(Requirement::Any(read_texts(node)?.into_iter().map(Requirement::Role).collect()))
        }),
        read_part(&object, "client_ids", |node| read_texts(node).map(Requirement::Client)),
        read_part(&object, "audience", |node| read_texts(node).map(Requirement::Audience)),
        read_part(&object, "claims", |node| read_claims(node, references)),
        read_part(&object, "authorization_server", |node| {
            read_server_name(node, references.servers?).map(Requirement::Server)
        }),
        read_part(&object, "all", |node| node.each(|node| read(node, references)).map(Requirement::All)),
        read_part(&object, "any", |node| node.each(|node| read(node, references)).map(Requirement::Any)),
    ];
    let parts: Option<Vec<Vec<Requirement>>> = parts.into_iter().collect();
    Some(Requirement::All(parts?.into_iter().flatten().collect()))
}

/// Nothing if the key is not there, one requirement if it is, `None` if it is wrong.
fn read_part<'a>(
    object: &Object<'a>,
    key: &str,
    read: impl FnOnce(&Node<'a>) -> Option<Requirement>,
) -> Option<Vec<Requirement>> {
    object.or_default(key, Vec::new(), |node| read(node).map(|requirement| vec![requirement]))
}

fn read_texts(node: &Node<'_>) -> Option<Vec<String>> {
    node.each(|node| node.string().map(str::to_owned))
}

fn read_scope_list(node: &Node<'_>) -> Option<Requirement> {
    let tokens: Vec<_> = node.string()?.split(' ').map(|text| read_scope_token(node, text)).collect();
    let scopes: Option<Vec<_>> = tokens.into_iter().map(|token| token.map(Requirement::Scope)).collect();
    scopes.map(Requirement::All)
}

pub(super) fn read_scope_token(node: &Node<'_>, text: &str) -> Option<ScopeToken> {
    match ScopeToken::parse(text) {
        Ok(token) => Some(token),
        Err(Some(bad)) => {
            node.report(
                format!("`{}` contains `{}`", quote(text), bad.escape_debug()),
                "a scope token has printable ASCII characters without space, \" and \\ (RFC 6749 §3.3)",
            );
            None
        }
        Err(None) => {
            node.report("has an empty scope token", "separate scope tokens by one space");
            None
        }
    }
}

fn read_template(node: &Node<'_>) -> Option<Requirement> {
    let text = node.string()?;
    match ScopeTemplate::parse(text) {
        Some(template) if template.is_sound() => Some(Requirement::ScopeTemplate(template)),
        Some(_) | None => {
            node.report(
                format!("`{}` is no template of a scope token", quote(text)),
                "write {method}, {host} or the {name} of a segment of the rule's path in it, such as {method}:bookings",
            );
            None
        }
    }
}

fn read_mapped_scope(node: &Node<'_>, references: References<'_>) -> Option<Requirement> {
    node.require_true()?;
    match references.mappings {
        Some(mappings) if !mappings.is_empty() => Some(Requirement::MappedScope(Arc::clone(mappings))),
        Some(_) => {
            node.report("no scope is mapped to this API", "map one in scope_mappings: nothing is mapped by itself");
            None
        }
        None => {
            node.report("there is no API whose mapping it could be", "name the API of the rule: api");
            None
        }
    }
}

fn read_claims(node: &Node<'_>, references: References<'_>) -> Option<Requirement> {
    let read = |(name, node): (&str, Node<'_>)| {
        let path = ClaimPath::parse(name);
        if path.is_none() {
            node.report("is no path of a claim", "names separated by dots; a dot inside a name is written \\.");
        }
        let tests = read_claim_tests(&node)?;
        let index = index_of(path?, references.claims);
        Some(Requirement::All(tests.into_iter().map(|test| Requirement::Claim { index, test }).collect()))
    };
    let mut members = node.map(MAX_CLAIMS)?;
    // Facts keep the values in the order in which they are first asked for; two documents that differ in the
    // order of keys alone mean the same.
    members.sort_by_key(|(name, _)| *name);
    members.into_iter().map(read).collect::<Option<Vec<_>>>().map(Requirement::All)
}

fn index_of(path: ClaimPath, claims: &RefCell<Vec<ClaimPath>>) -> usize {
    let mut claims = claims.borrow_mut();
    claims.iter().position(|known| *known == path).unwrap_or_else(|| {
        claims.push(path);
        claims.len().saturating_sub(1)
    })
}

fn read_claim_tests(node: &Node<'_>) -> Option<Vec<ClaimTest>> {
    let object = node.object(&["equals", "one_of", "exists"])?;
    if object.is_empty() {
        object.report("tests nothing", "write equals: value, one_of: [values] or exists: true");
        return None;
    }
    let one = |test: Option<ClaimTest>| test.map(|test| vec![test]);
    let equals = object
        .or_default("equals", Vec::new(), |node| one(read_value(node).map(|value| ClaimTest::OneOf(vec![value]))));
    let one_of = object.or_default("one_of", Vec::new(), |node| one(node.each(read_value).map(ClaimTest::OneOf)));
    let exists = object.or_default("exists", Vec::new(), |node| one(node.boolean().map(ClaimTest::Exists)));
    Some([equals?, one_of?, exists?].concat())
}

/// A value that a claim is compared with.
fn read_value(node: &Node<'_>) -> Option<ClaimValue> {
    let fact = ClaimValue::from(node.json());
    if matches!(fact, ClaimValue::Number(number) if number.abs() >= MAX_EXACT) {
        node.report("is too large to be compared exactly", "have the server send it as a string");
        return None;
    }
    let is_plain = |fact: &ClaimValue| match fact {
        ClaimValue::Number(number) => number.abs() < MAX_EXACT,
        ClaimValue::Boolean(_) | ClaimValue::Text(_) => true,
        ClaimValue::Null | ClaimValue::List(_) | ClaimValue::Object => false,
    };
    let comparable = match &fact {
        ClaimValue::List(items) => items.iter().all(is_plain),
        ClaimValue::Null
        | ClaimValue::Boolean(_)
        | ClaimValue::Number(_)
        | ClaimValue::Text(_)
        | ClaimValue::Object => is_plain(&fact),
    };
    if !comparable {
        node.report("cannot be compared with a claim", "write a string, a number, true, false, or a list of these");
        return None;
    }
    Some(fact)
}

const MAX_CLAIMS: usize = 16;

/// 2^53: from here on, neighbouring integers are one floating-point number.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
