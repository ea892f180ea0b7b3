//! Presets: what kinds of authorization servers expect and answer, as a document beneath the configuration.

use super::diagnostics::Read;
use super::document::{Node, Object, gather};
use super::wording::{known_words, quote};
use crate::base::Json;
use crate::server::PRESETS;

/// The presets, as a document.
pub(super) struct Presets(Json);

impl Presets {
    /// Reads the presets of this version. `node` is where a defect of them is reported; a test rules it out.
    pub(super) fn load(node: &Node<'_>) -> Read<Self> {
        load(PRESETS, node).map(Self)
    }

    pub(super) fn named<'n>(&self, node: &Node<'n>) -> Read<&'n str> {
        let name = node.string(BASE)?;
        if self.0.member(name).is_some() {
            return Ok(name);
        }
        let Json::Object(known) = &self.0 else { return Err(node.report("no presets", DEFECT)) };
        let known: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        Err(node.report(format!("unknown preset `{}`", quote(name)), known_words(name, "known presets", &known)))
    }

    /// The `own` values over those of a preset over those of RFC 7662.
    pub(super) fn overlay<'a>(&'a self, own: Object<'a>, preset: &str) -> Read<PresetOverlay<'a>> {
        let presets = own.node().other_document(&self.0).members()?;
        let preset = presets.required(preset, DEFECT, Node::members)?;
        self.overlay_of(own, preset)
    }

    /// The `own` values over those of `preset` over those of RFC 7662.
    pub(super) fn overlay_of<'a>(&'a self, own: Object<'a>, preset: Object<'a>) -> Read<PresetOverlay<'a>> {
        let presets = own.node().other_document(&self.0).members()?;
        let base = presets.required(BASE, DEFECT, Node::members)?;
        Ok(PresetOverlay { own: Some(own), preset: Some(preset), base })
    }
}

/// Reads a document that is part of this version.
pub(super) fn load(document: &str, node: &Node<'_>) -> Read<Json> {
    Json::parse(document.as_bytes()).map_err(|_| node.report("the presets of this version are not JSON", DEFECT))
}

/// The configuration over a preset over the preset on which all others are based, key by key.
pub(super) struct PresetOverlay<'a> {
    own: Option<Object<'a>>,
    preset: Option<Object<'a>>,
    base: Object<'a>,
}

impl<'a> PresetOverlay<'a> {
    fn layers(&self) -> impl Iterator<Item = &Object<'a>> {
        [&self.own, &self.preset].into_iter().flatten().chain([&self.base])
    }

    /// The value of a key. A value of a preset is as valid as one of the operator.
    #[inline(never)]
    pub(super) fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.layers().find_map(|layer| layer.get(key))
    }

    /// The value of a key that RFC 7662 has, as `read` returns it.
    pub(super) fn read<T>(&self, key: &str, read: impl FnOnce(&Node<'a>) -> Read<T>) -> Read<T> {
        match self.get(key) {
            Some(node) => read(node),
            None => self.base.required(key, DEFECT, read),
        }
    }

    /// The first of `keys` that the operator set, else the object that may have them: where to report a conflict.
    pub(super) fn own_node(&self, keys: &[&str]) -> &Node<'a> {
        let own = self.own.as_ref();
        let set = own.and_then(|own| keys.iter().find_map(|key| own.get(key)));
        set.unwrap_or_else(|| own.unwrap_or(&self.base).node())
    }

    /// The text that the preset itself has under a key.
    pub(super) fn preset_text(&self, key: &str) -> Option<&'a str> {
        self.preset.as_ref()?.get(key)?.text()
    }

    /// Whether the preset itself has `true` under a key.
    pub(super) fn preset_is_true(&self, key: &str) -> bool {
        self.preset.as_ref().and_then(|object| object.get(key)).is_some_and(Node::is_true)
    }

    /// Parameters by name, those of the configuration over those of the preset; `null` removes one. None of them may
    /// have the name of the parameter that holds the token.
    pub(super) fn parameters(&self, key: &str, token_parameter: Read<&str>) -> Read<Vec<(String, String)>> {
        let own = self.own.as_ref().and_then(|object| object.get(key));
        // Those of a preset replace all of those of RFC 7662: they are what its server accepts.
        let below =
            [&self.preset, &Some(self.base.clone())].into_iter().flatten().find_map(|layer| layer.get(key).cloned());
        let mut parameters: Vec<(String, String)> = Vec::new();
        for node in below.iter().chain(own) {
            let read = |(name, value): (&str, Node<'_>)| {
                if Some(name) == token_parameter.ok() {
                    let hint = "remove it, or set another token_parameter, such as access_token";
                    let place = if own.is_some_and(|own| own.innermost(&[name]).json() == value.json()) {
                        &value
                    } else {
                        self.own_node(&["token_parameter"])
                    };
                    return Err(place.report(format!("`{name}` is the parameter that holds the token"), hint));
                }
                let value = if value.is_null() { None } else { Some(value.string("introspect")?.to_owned()) };
                Ok((name.to_owned(), value))
            };
            for (name, value) in gather(node.free_members(PARAMETERS)?.into_iter().map(read))? {
                parameters.retain(|(known, _)| *known != name);
                parameters.extend(value.map(|value| (name, value)));
            }
        }
        token_parameter.map(|_| parameters)
    }

    /// The layers of an object inside.
    pub(super) fn inner(&self, key: &str, known: &[&str]) -> Read<Self> {
        let own = self.own.as_ref().and_then(|object| object.get(key)).map(|node| node.object(known)).transpose()?;
        let preset = self.preset.as_ref().and_then(|object| object.get(key)).map(Node::members).transpose()?;
        Ok(Self { own, preset, base: self.base.required(key, DEFECT, Node::members)? })
    }
}

/// Names and texts; may be empty, to send none of the parameters of a preset.
pub(super) fn read_parameters(node: &Node<'_>) -> Read<Vec<(String, String)>> {
    let read = |(name, value): (&str, Node<'_>)| Ok((name.to_owned(), value.string("introspect")?.to_owned()));
    gather(node.free_members(PARAMETERS)?.into_iter().map(read))
}

/// The preset on which all others are based.
pub(super) const BASE: &str = "rfc7662";
const PARAMETERS: &str = "{ scope: introspect }";
const DEFECT: &str = "this is a defect of this version of Scopegate: report it";

#[cfg(test)]
mod tests {
    use super::super::diagnostics::Diagnostics;
    use super::*;

    /// The parameters of `own` over a preset with the parameter `hint`, and every problem.
    fn parameters(own: &str) -> Result<Vec<(String, String)>, String> {
        let [own, preset] = [own, r#"{"parameters":{"hint":"a"}}"#].map(|text| Json::parse(text.as_bytes()).unwrap());
        let read = Diagnostics::collect(|diagnostics| {
            let root = Node::root(diagnostics, &own);
            let presets = Presets::load(&root)?;
            let preset = root.other_document(&preset).members()?;
            let overlay = presets.overlay_of(root.members()?, preset)?;
            let token_parameter = overlay.get("token_parameter").map_or(Ok("token"), |node| node.string("token"));
            overlay.parameters("parameters", token_parameter)
        });
        read.map_err(|problems| problems.to_string())
    }

    #[test]
    fn null_removes_a_parameter_of_the_preset() {
        assert_eq!(parameters("{}"), Ok(vec![("hint".to_owned(), "a".to_owned())]));
        assert_eq!(parameters(r#"{"parameters":{"hint":null}}"#), Ok(Vec::new()));
    }

    #[test]
    fn a_parameter_that_holds_the_token_is_reported_where_the_operator_set_it() {
        for (own, name, path) in [
            (r#"{"parameters":{"token":"x"}}"#, "token", "parameters.token"),
            (r#"{"token_parameter":"hint"}"#, "hint", "token_parameter"),
        ] {
            let expected = format!(
                "{path}: `{name}` is the parameter that holds the token; remove it, or set another token_parameter, such as access_token"
            );
            assert_eq!(parameters(own), Err(expected));
        }
    }
}
