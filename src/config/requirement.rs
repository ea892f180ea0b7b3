//! `require`: what a token must have.

use std::sync::Arc;

use super::diagnostics::Read;
use super::dialect::parse_claim_path;
use super::document::{Node, all, gather};
use super::server_names::{ServerNames, read_server_name};
use super::wording::quote;
use crate::claims::{ClaimPath, ClaimValue};
use crate::policy::{ClaimTest, Condition, RequestScope, Requirement, ScopeMapping, ScopeTemplate};
use crate::token::ScopeToken;

/// The items to which a requirement may refer, or the proof that these could not be read.
#[derive(Clone, Copy)]
pub(super) struct References<'s> {
    pub(super) servers: ServerNames<'s>,
    /// The scope mappings of the rule's API; `None` without an API.
    pub(super) mappings: Read<Option<&'s Arc<[ScopeMapping]>>>,
}

/// Reads requirements, and collects the claims that these compare.
pub(super) struct RequirementReader<'r> {
    pub(super) references: References<'r>,
    pub(super) claims: &'r mut Vec<ClaimPath>,
}

/// Each key of `require` and its reader. A new requirement needs a line here.
const PARTS: &[(&str, PartReader)] = &[
    ("scope", |node, _| read_scope_list(node)),
    ("any_scope", |node, _| node.each("[view, admin]", read_scope).map(Requirement::Any)),
    ("scope_template", |node, _| read_template(node)),
    ("mapped_scope", |node, reader| read_mapped_scope(node, reader.references)),
    ("roles", |node, _| read_roles(node).map(Requirement::All)),
    ("any_role", |node, _| read_roles(node).map(Requirement::Any)),
    ("client_ids", |node, _| Ok(Condition::Client(node.strings("[web, mobile]")?).into())),
    ("audience", |node, _| Ok(Condition::Audience(node.strings("[bookings]")?).into())),
    ("claims", |node, reader| reader.read_claims(node)),
    ("authorization_server", |node, reader| {
        Ok(Condition::Server(read_server_name(node, reader.references.servers)?).into())
    }),
    ("all", |node, reader| node.each(PARTS_EXAMPLE, |node| reader.read(node)).map(Requirement::All)),
    ("any", |node, reader| node.each(PARTS_EXAMPLE, |node| reader.read(node)).map(Requirement::Any)),
];

type PartReader = fn(&Node<'_>, &mut RequirementReader<'_>) -> Read<Requirement>;

impl RequirementReader<'_> {
    pub(super) fn read(&mut self, node: &Node<'_>) -> Read<Requirement> {
        let keys: Vec<&str> = PARTS.iter().map(|(key, _)| *key).chain(["authenticated"]).collect();
        let object = node.object(&keys)?;
        if object.is_empty() {
            let hint =
                "name a scope, as in { scope: view }, or write { authenticated: true } to accept any active token";
            return Err(object.report("empty requirement", hint));
        }
        if let Some(node) = object.get("authenticated") {
            if object.len() > 1 {
                let hint = "remove `authenticated`: every other key requires an active token, too";
                return Err(object.report("`authenticated` has no effect beside other keys", hint));
            }
            return node.require_true().map(|()| Requirement::NONE);
        }
        let parts = PARTS.iter().filter_map(|(key, read)| Some(read(object.get(key)?, self)));
        gather(parts).map(Requirement::All)
    }

    fn read_claims(&mut self, node: &Node<'_>) -> Read<Requirement> {
        let mut members = node.map(MAX_CLAIMS, "{ department: { equals: sales } }")?;
        // Values are kept in the order in which claims are first compared; the order of keys has no meaning.
        members.sort_by_key(|(name, _)| *name);
        let read = |(name, node): (&str, Node<'_>)| {
            let (path, tests) = all((parse_claim_path(name, &node), read_claim_tests(&node)))?;
            let index = self.index_of(path);
            Ok(Requirement::All(tests.into_iter().map(|test| Condition::Claim { index, test }.into()).collect()))
        };
        gather(members.into_iter().map(read)).map(Requirement::All)
    }

    fn index_of(&mut self, path: ClaimPath) -> usize {
        self.claims.iter().position(|known| *known == path).unwrap_or_else(|| {
            self.claims.push(path);
            self.claims.len().saturating_sub(1)
        })
    }
}

fn read_roles(node: &Node<'_>) -> Read<Vec<Requirement>> {
    Ok(node.strings("[manager]")?.into_iter().map(|role| Condition::Role(role).into()).collect())
}

fn read_scope_list(node: &Node<'_>) -> Read<Requirement> {
    if node.is_list() {
        let hint = "to accept any of several scopes use any_scope: [view, admin]";
        return Err(node.report("expected a string such as \"view admin\", found a list", hint));
    }
    let tokens = node.string("view admin")?.split(' ').map(|text| parse_scope_token(text, node));
    let scopes = gather(tokens)?.into_iter().map(|scope| Condition::Scope(scope).into());
    Ok(Requirement::All(scopes.collect()))
}

fn read_scope(node: &Node<'_>) -> Read<Requirement> {
    Ok(Condition::Scope(read_scope_token(node)?).into())
}

pub(super) fn read_scope_token(node: &Node<'_>) -> Read<ScopeToken> {
    parse_scope_token(node.string("view")?, node)
}

#[inline(never)]
fn parse_scope_token(text: &str, node: &Node<'_>) -> Read<ScopeToken> {
    ScopeToken::parse(text).map_err(|bad| match bad {
        Some(bad) => node.report(
            format!("`{}` contains `{}`", quote(text), bad.escape_debug()),
            "a scope token has printable ASCII characters without space, \" and \\ (RFC 6749 §3.3), such as bookings:view",
        ),
        None => node.report("empty scope token", "separate scope tokens by one space, as in \"view admin\""),
    })
}

fn read_template(node: &Node<'_>) -> Read<Requirement> {
    let text = node.string("{method}:bookings")?;
    match ScopeTemplate::parse(text) {
        Some(template) if template.is_sound() => Ok(Requirement::PerRequest(RequestScope::Template(template))),
        Some(_) | None => Err(node.report(
            format!("invalid template of a scope token `{}`", quote(text)),
            "use {method}, {host} or the {name} of a segment of the rule's path in it, as in {method}:bookings",
        )),
    }
}

fn read_mapped_scope(node: &Node<'_>, references: References<'_>) -> Read<Requirement> {
    node.require_true()?;
    match references.mappings? {
        Some(mappings) if !mappings.is_empty() => {
            Ok(Requirement::PerRequest(RequestScope::Mapped(Arc::clone(mappings))))
        }
        Some(_) => Err(node.report(
            "no scope is mapped to this API",
            "add a mapping, as in scope_mappings: [{ scope: view, opens: [ViewBookings] }]",
        )),
        None => Err(node.report("the rule belongs to no API", "name one of `apis`, as in api: bookings")),
    }
}

fn read_claim_tests(node: &Node<'_>) -> Read<Vec<ClaimTest>> {
    let object = node.object(&["equals", "one_of", "exists"])?;
    if object.is_empty() {
        return Err(
            object.report("no test", "write { equals: sales }, { one_of: [sales, support] } or { exists: true }")
        );
    }
    let (equals, one_of, exists) = all((
        object.optional("equals", |node| Ok(ClaimTest::OneOf(vec![read_value(node)?]))),
        object.optional("one_of", |node| Ok(ClaimTest::OneOf(node.each("[sales, support]", read_value)?))),
        object.optional("exists", |node| Ok(ClaimTest::Exists(node.boolean()?))),
    ))?;
    Ok([equals, one_of, exists].into_iter().flatten().collect())
}

/// A value that a claim is compared with.
#[inline(never)]
fn read_value(node: &Node<'_>) -> Read<ClaimValue> {
    let value = ClaimValue::from(node.json());
    let is_large = |value: &ClaimValue| matches!(value, ClaimValue::Number(number) if number.abs() >= MAX_EXACT);
    let is_plain = |value: &ClaimValue| match value {
        ClaimValue::Boolean(_) | ClaimValue::Number(_) | ClaimValue::Text(_) => true,
        ClaimValue::Null | ClaimValue::List(_) | ClaimValue::Object => false,
    };
    let items = if let ClaimValue::List(items) = &value { items.as_slice() } else { std::slice::from_ref(&value) };
    if items.iter().any(is_large) {
        let hint = "let the server send the claim as a string, and compare it with one, such as \"9007199254740993\"";
        return Err(node.report("the number is too large to be compared exactly", hint));
    }
    if !items.iter().all(is_plain) {
        let hint = "expected a string, a number, true, false, or a list of these, such as [sales, 7]";
        return Err(node.report(format!("a claim cannot be compared with {}", node.json().kind()), hint));
    }
    Ok(value)
}

const MAX_CLAIMS: usize = 16;

/// 2^53: from here on, neighbouring integers are one floating-point number.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

const PARTS_EXAMPLE: &str = "[{ scope: view }, { roles: [manager] }]";
