//! `errors`: how refusals look.

use std::collections::BTreeMap;

use super::common::read_realm;
use super::document::{Node, quote};
use crate::decision::DenialClass;
use crate::response::{ContentType, ErrorProfile, Response, Template, TemplateError, Vendor};

/// Reads the name of a profile, or a profile and what is different from it. `realm` is that of the
/// configuration, if it names one.
pub(super) fn read(node: &Node<'_>, realm: Option<&str>) -> Option<ErrorProfile> {
    let profile = |base: Vendor, own: Option<String>| ErrorProfile {
        base,
        realm: own.or_else(|| realm.map(str::to_owned)).unwrap_or_else(|| base.default_realm().to_owned()),
        responses: BTreeMap::new(),
        default_response: None,
    };
    if node.text().is_some() {
        return node.one_of(&Vendor::WORDS).map(|base| profile(base, None));
    }
    let object = node.object(&["profile", "realm", "responses"])?;
    let base = object.or_default("profile", Vendor::default(), |node| node.one_of(&Vendor::WORDS));
    let own = object.or_default("realm", None, |node| read_realm(node).map(Some));
    let responses = object.or_default("responses", Vec::new(), read_responses);
    let mut profile = profile(base?, own?);
    for (outcome, response) in responses? {
        match outcome {
            Some(outcome) => drop(profile.responses.insert(outcome, response)),
            None => profile.default_response = Some(response),
        }
    }
    Some(profile)
}

/// For each outcome, or for all others (`None`), what is said.
fn read_responses(node: &Node<'_>) -> Option<Vec<(Option<DenialClass>, Response)>> {
    let read = |(name, node): (&str, Node<'_>)| {
        // A configuration that is refused has no say in how that looks.
        let mut known = DenialClass::ALL.iter().filter(|class| **class != DenialClass::Misconfigured);
        let outcome = match known.find(|class| class.as_str() == name) {
            Some(class) => Some(*class),
            None if name == "default" => None,
            None => {
                let known = DenialClass::ALL.iter().map(|class| class.as_str()).collect::<Vec<_>>().join(", ");
                node.report("is no outcome of a decision", format!("known: default, {known}"));
                return None;
            }
        };
        let response = read_response(&node)?;
        if outcome == Some(DenialClass::Unavailable) && response.status.is_some_and(|status| status < 500) {
            node.report("would blame the caller for our trouble", "write a status from 500 to 599");
            return None;
        }
        Some((outcome, response))
    };
    node.map(DenialClass::ALL.len().saturating_add(1))?.into_iter().map(read).collect()
}

fn read_response(node: &Node<'_>) -> Option<Response> {
    let object = node.object(&["status", "content_type", "body", "challenge"])?;
    let status = object.or_default("status", None, |node| {
        node.integer(400, 599).and_then(|status| u16::try_from(status).ok()).map(Some)
    });
    let content_type = object.or_default("content_type", None, |node| node.one_of(&ContentType::WORDS).map(Some));
    let challenge = object.or_default("challenge", None, |node| node.boolean().map(Some));
    let body = object.or_default("body", None, |node| {
        let body_type = match content_type {
            Some(Some(content_type)) => content_type,
            Some(None) | None => {
                node.report("its type is not said", "write content_type beside it, such as application/json");
                return None;
            }
        };
        read_body(node, body_type).map(Some)
    });
    Some(Response { status: status?, content_type: content_type?, body: body?, challenge: challenge? })
}

fn read_body(node: &Node<'_>, content_type: ContentType) -> Option<Template> {
    let text = node.string()?;
    if text.len() > MAX_BODY_BYTES {
        node.report("is too long", format!("keep it to {MAX_BODY_BYTES} bytes"));
        return None;
    }
    match Template::parse(text, content_type) {
        Ok(template) => Some(template),
        Err(TemplateError::Unknown(word)) => {
            let problem = format!("there is no placeholder `{{{}}}`", quote(&word));
            node.report(problem, "known: {status}, {error}, {error_description}, {realm}, {scope}");
            None
        }
        Err(TemplateError::NotJson) => {
            node.report(
                "is not JSON when it is filled in",
                "put placeholders inside strings, or write another content_type",
            );
            None
        }
    }
}

const MAX_BODY_BYTES: usize = 8_192;
