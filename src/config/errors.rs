//! `errors`: the responses to refused requests.

use std::collections::BTreeMap;

use super::common::read_realm;
use super::diagnostics::Read;
use super::document::{Node, all, gather};
use super::wording::{known_words, quote};
use crate::decision::DenialClass;
use crate::response::{ContentType, ErrorProfile, Response, Template, TemplateError, Vendor};

/// Reads the name of a profile, or a profile and its differences. `realm` is that of the configuration, if it has one.
#[inline(never)]
pub(super) fn read(node: &Node<'_>, realm: Read<Option<&str>>) -> Read<ErrorProfile> {
    let profile = |base: Vendor, own: Option<String>| {
        let realm = own.map_or_else(|| realm.map(|realm| realm.unwrap_or(base.default_realm()).to_owned()), Ok)?;
        Ok(ErrorProfile { base, realm, responses: BTreeMap::new(), default_response: None })
    };
    if node.text().is_some() {
        return node.one_of(&Vendor::WORDS).and_then(|base| profile(base, None));
    }
    let object = node.object(&["profile", "realm", "responses"])?;
    let (base, own, responses) = all((
        object.or_default("profile", Vendor::default(), |node| node.one_of(&Vendor::WORDS)),
        object.optional("realm", read_realm),
        object.or_default("responses", Vec::new(), read_responses),
    ))?;
    let mut profile = profile(base, own)?;
    for (outcome, response) in responses {
        match outcome {
            Some(outcome) => drop(profile.responses.insert(outcome, response)),
            None => profile.default_response = Some(response),
        }
    }
    Ok(profile)
}

/// The response for each outcome, and for all others (`None`).
fn read_responses(node: &Node<'_>) -> Read<Vec<(Option<DenialClass>, Response)>> {
    let read = |(name, node): (&str, Node<'_>)| {
        // A configuration that is refused cannot set how that looks.
        let mut classes = DenialClass::ALL.iter().filter(|class| **class != DenialClass::Misconfigured);
        let outcome = match classes.find(|class| class.as_str() == name) {
            Some(class) => Some(*class),
            None if name == "default" => None,
            None => {
                let classes = DenialClass::ALL.iter().filter(|class| **class != DenialClass::Misconfigured);
                let known: Vec<&str> = ["default"].into_iter().chain(classes.map(|class| class.as_str())).collect();
                return Err(node.report("unknown outcome of a decision", known_words(name, "known outcomes", &known)));
            }
        };
        let response = read_response(&node)?;
        if outcome == Some(DenialClass::Unavailable) && response.status.is_some_and(|status| status < 500) {
            let problem = "a 4xx status would blame the client for a failure of the authorization server";
            return Err(node.report(problem, "set a status from 500 to 599, as in status: 503"));
        }
        Ok((outcome, response))
    };
    let max = DenialClass::ALL.len().saturating_add(1);
    gather(node.map(max, "{ default: { status: 403 } }")?.into_iter().map(read))
}

#[inline(never)]
fn read_response(node: &Node<'_>) -> Read<Response> {
    let object = node.object(&["status", "content_type", "body", "challenge"])?;
    let content_type = object.optional("content_type", |node| node.one_of(&ContentType::WORDS));
    let (status, body, challenge, content_type) = all((
        object.optional("status", |node| node.integer(400, 599, 403)),
        object.optional("body", |node| match content_type? {
            Some(content_type) => read_body(node, content_type),
            None => Err(node.report(
                "a body needs a `content_type`",
                "set content_type beside it, as in content_type: application/json",
            )),
        }),
        object.optional("challenge", Node::boolean),
        content_type,
    ))?;
    let status = status.and_then(|status| u16::try_from(status).ok());
    Ok(Response { status, content_type, body, challenge })
}

fn read_body(node: &Node<'_>, content_type: ContentType) -> Read<Template> {
    let text = node.string("{error_description}")?;
    if text.len() > MAX_BODY_BYTES {
        let hint = format!("shorten it to {MAX_BODY_BYTES} bytes, such as \"{{error_description}}\"");
        return Err(node.report(format!("too long: {} bytes", text.len()), hint));
    }
    Template::parse(text, content_type).map_err(|error| match error {
        TemplateError::Unknown(word) => {
            let known = ["status", "error", "error_description", "realm", "scope"];
            let hint = known_words(&word, "known placeholders", &known);
            node.report(format!("unknown placeholder `{{{}}}`", quote(&word)), hint)
        }
        TemplateError::NotJson => node.report(
            "not valid JSON once the placeholders are replaced",
            "put placeholders inside strings, as in {\"error\":\"{error}\"}, or set another content_type",
        ),
    })
}

const MAX_BODY_BYTES: usize = 8_192;
