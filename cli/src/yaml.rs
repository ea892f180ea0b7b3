//! Reads YAML like Envoy, except that duplicate keys are kept, so that a check can report them.
//!
//! Envoy composes YAML with yaml-cpp, which is neither YAML 1.1 nor the core schema of 1.2:
//! - `yes`, `no`, `on`, `off`, `y` and `n` are booleans
//! - whole numbers are `12`, `0x1F` and `017` (octal); beyond 32 bits they become strings
//! - everything else unquoted is a string, fractions too; a tag such as `!!str` changes nothing of this
//! - `<<` is a key like any other: nothing is merged
//! - a member whose key is tagged `!ignore` is left out

use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Tag};
use scopegate::Json;

use crate::input::{Document, Finding};
use crate::place::{Place, Places};

/// The nesting limit of `Json::parse`.
const MAX_DEPTH: usize = 128;
/// The maximum of values in one file. An alias counts as its value, a long text as several values.
const MAX_VALUES: usize = 2_000_000;

/// The documents of a YAML stream up to the first error, and the error.
pub(crate) fn read(text: &str) -> (Vec<Document>, Option<Finding>) {
    let mut documents = Vec::new();
    let mut composer = Composer::default();
    for event in Parser::new_from_str(text) {
        let (place, wrong) = match event {
            Ok((event, span)) => {
                let place = Place::new(span.start.line(), span.start.col());
                match composer.take(event, place, span.end.index() <= span.start.index()) {
                    Ok(document) => {
                        documents.extend(document);
                        continue;
                    }
                    Err(wrong) => (place, wrong),
                }
            }
            Err(error) => {
                let problem = format!("invalid YAML: {}", error.info());
                let hint = "correct it: the rest of the file was not checked";
                (Place::new(error.marker().line(), error.marker().col()), Wrong { problem, hint })
            }
        };
        return (documents, Some(Finding::in_file(Some(place), wrong.problem, wrong.hint)));
    }
    (documents, None)
}

#[derive(Debug)]
struct Wrong {
    problem: String,
    hint: &'static str,
}

fn wrong<T>(problem: &str, hint: &'static str) -> Result<T, Wrong> {
    Err(Wrong { problem: problem.to_owned(), hint })
}

/// A value, and the properties of it that an alias needs.
#[derive(Clone, Debug)]
struct Node {
    value: Json,
    places: Places,
    /// The text of a scalar, if `value` does not have it: as a key, `0x1F` is a string.
    written: Option<String>,
    size: usize,
    depth: usize,
}

impl Node {
    fn into_key(self) -> Option<String> {
        match (self.written, self.value) {
            (Some(written), _) => Some(written),
            (None, Json::String(text)) => Some(text),
            (None, Json::Null) => Some("null".to_owned()),
            (None, Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => None,
        }
    }
}

/// A list or an object that is not complete yet.
#[derive(Debug)]
struct Frame {
    places: Places,
    anchor: usize,
    ignored: bool,
    items: Items,
    size: usize,
    depth: usize,
}

#[derive(Debug)]
enum Items {
    List(Vec<Json>),
    Map(Vec<(String, Json)>, Option<Key>),
}

#[derive(Debug)]
struct Key {
    name: String,
    place: Place,
    ignored: bool,
}

/// Puts values together from the parser's events.
#[derive(Debug, Default)]
struct Composer {
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, Node>,
    document: Option<Document>,
    size: usize,
}

impl Composer {
    /// The document that `event` completes; `absent` if the value at `place` has no text.
    fn take(&mut self, event: Event<'_>, place: Place, absent: bool) -> Result<Option<Document>, Wrong> {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::Anchor(..) => {}
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::DocumentEnd => return Ok(self.document.take()),
            Event::UnresolvedAlias(_) => {
                return wrong("alias to an undefined anchor", "define the anchor above the alias, as in &view");
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id) else {
                    return wrong("alias to a value that contains it", "write the value instead of the alias");
                };
                self.size = self.size.saturating_add(node.size);
                let node = node.clone();
                self.put(node, 0, false)?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref();
                // The parser takes what is absent for null; Envoy does so only without a tag.
                let text = if absent { Cow::Borrowed("") } else { text };
                let node = scalar(text, style, tag, place);
                self.size = self.size.saturating_add(node.size);
                self.put(node, anchor, is_ignore(tag))?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(anchor, tag.as_deref(), place, Items::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(anchor, tag.as_deref(), place, Items::Map(Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            _ => return wrong("unsupported YAML", "write plain lists, objects and scalars"),
        }
        Ok(None)
    }

    fn open(&mut self, anchor: usize, tag: Option<&Tag>, place: Place, items: Items) -> Result<(), Wrong> {
        if self.stack.len() >= MAX_DEPTH {
            return too_deep();
        }
        self.size = self.size.saturating_add(1);
        let places = Places { place, inner: Vec::new() };
        self.stack.push(Frame { places, anchor, ignored: is_ignore(tag), items, size: 1, depth: 1 });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Wrong> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        let value = match frame.items {
            Items::List(values) => Json::Array(values),
            Items::Map(members, _) => Json::Object(members),
        };
        let node = Node { value, places: frame.places, written: None, size: frame.size, depth: frame.depth };
        self.put(node, frame.anchor, frame.ignored)
    }

    /// Puts a complete value where it belongs.
    fn put(&mut self, node: Node, anchor: usize, ignored: bool) -> Result<(), Wrong> {
        if anchor != 0 {
            self.size = self.size.saturating_add(node.size);
            self.anchors.insert(anchor, node.clone());
        }
        if self.size > MAX_VALUES {
            return wrong("too many values, each alias counted as its value", "use fewer aliases");
        }
        if self.stack.len().saturating_add(node.depth) > MAX_DEPTH {
            return too_deep();
        }
        let Some(frame) = self.stack.last_mut() else {
            self.document = Some(Document { json: node.value, places: Some(node.places) });
            return Ok(());
        };
        frame.size = frame.size.saturating_add(node.size);
        frame.depth = frame.depth.max(node.depth.saturating_add(1));
        match &mut frame.items {
            Items::List(values) => {
                values.push(node.value);
                frame.places.inner.push(node.places);
            }
            Items::Map(members, key) => match key.take() {
                Some(key) if key.ignored => {}
                Some(key) => {
                    members.push((key.name, node.value));
                    frame.places.inner.push(Places { place: key.place, ..node.places });
                }
                None => {
                    let place = node.places.place;
                    let Some(name) = node.into_key() else {
                        return wrong("a list or an object as a key", "write a string as the key");
                    };
                    *key = Some(Key { name, place, ignored });
                }
            },
        }
        Ok(())
    }
}

fn too_deep<T>() -> Result<T, Wrong> {
    wrong("nested too deeply", "nest at most 128 levels")
}

fn is_ignore(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.original() == "!ignore")
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Node {
    let plain = matches!(style, ScalarStyle::Plain);
    let string = match tag {
        None => !plain,
        Some(tag) => tag.original() == "!",
    };
    let typed = if string { None } else { typed(&text, tag.is_none()) };
    let size = 1_usize.saturating_add(text.len() / 16);
    let places = Places { place, inner: Vec::new() };
    match typed {
        Some(value) => {
            let written = (!matches!(value, Json::Null)).then(|| text.into_owned());
            Node { value, places, written, size, depth: 0 }
        }
        None => Node { value: Json::String(text.into_owned()), places, written: None, size, depth: 0 },
    }
}

/// The value of an unquoted text, unless it is a string.
fn typed(text: &str, may_be_null: bool) -> Option<Json> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" if may_be_null => return Some(Json::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some(Json::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(Json::Bool(false));
        }
        _ => {}
    }
    let number = integer(text)?;
    Some(match i32::try_from(number) {
        Ok(number) => Json::Number(number.into()),
        Err(_) => Json::String(number.to_string()),
    })
}

fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let (radix, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (16, digits),
        None if digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    // `from_str_radix` would accept a second sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Json {
        let (mut documents, problem) = read(text);
        assert!(problem.is_none(), "{text}");
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0).json
    }

    fn problem(text: &str) -> String {
        let Finding { place, problem, .. } = read(text).1.unwrap();
        format!("{}: {problem}", place.unwrap())
    }

    /// Every line is from Envoy 1.40: a value in `node.metadata`, and the value in its configuration dump.
    #[test]
    fn scalars_have_envoys_types() {
        for (yaml, json) in [
            (
                r#"[1s, any, on, off, y, n, Yes, NO, True, TRUE, tRue, "true", 'no', ~, null, Null, NULL, 12, -3, +4]"#,
                r#"["1s","any",true,false,true,false,true,false,true,true,"tRue","true","no",null,null,null,null,12,-3,4]"#,
            ),
            (
                "[0x1F, 0o17, 017, 1_000, 1.5, 1e3, .5, .inf, 2147483648, 99999999999999999999, 08, 0b11, -0, 007]",
                r#"[31,"0o17",15,"1_000","1.5","1e3",".5",".inf","2147483648","99999999999999999999","08","0b11",0,7]"#,
            ),
            (
                r#"[!!str 5, !!str true, !!int "7", !foo 7, ! 8, ! true, !!bool "true", !!str ~, !!null x, !!null '']"#,
                r#"[5,true,7,7,"8","true",true,"~","x",""]"#,
            ),
            (
                r#"[+5, -0x1F, 0x, 1., YES, nO, yES, On, oN, Y, N, 2147483647, -2147483648, -2147483649, 0X1f, 00, 09]"#,
                r#"[5,-31,"0x","1.",true,"nO","yES",true,"oN",true,false,2147483647,-2147483648,"-2147483649",31,0,"09"]"#,
            ),
            (
                "[!!str , !foo , &a , 1e, 0x1G, ' 1', 0xFFFFFFFFFFFFFFFF, 0x7fffffffffffffff, -9223372036854775808]",
                r#"["","",null,"1e","0x1G"," 1","0xFFFFFFFFFFFFFFFF","9223372036854775807","-9223372036854775808"]"#,
            ),
            ("[+-5, --5, 0x-5, '', 0777777777777777777777]", r#"["+-5","--5","0x-5","","9223372036854775807"]"#),
            ("block: |\n  12\nfolded: >-\n  true\nnone:\n", r#"{"block":"12\n","folded":"true","none":null}"#),
            ("{ 1: a, true: b, ~: c, q: d }", r#"{"1":"a","true":"b","null":"c","q":"d"}"#),
            ("{ !ignore z: &z { a: 1 }, w: *z }", r#"{"w":{"a":1}}"#),
            ("b: &b { a: 1 }\nm: { <<: *b, c: 3 }", r#"{"b":{"a":1},"m":{"<<":{"a":1},"c":3}}"#),
            ("[&a x, &a z, *a]", r#"["x","z","z"]"#),
            ("[&k 017, { *k : v }]", r#"[15,{"017":"v"}]"#),
        ] {
            assert_eq!(one(yaml), Json::parse(json.as_bytes()).unwrap(), "{yaml}");
        }
    }

    #[test]
    fn duplicate_keys_are_kept() {
        let expected = Json::Object(vec![("k".to_owned(), Json::Number(1.into())), ("k".to_owned(), Json::Null)]);
        assert_eq!(one("k: 1\nk:\n"), expected);
    }

    #[test]
    fn documents_before_an_error_are_kept() {
        let text = "a: 1\n---\nb: [1\nc: 2\n";
        assert_eq!(read(text).0.len(), 1);
        assert!(problem(text).starts_with("4:2: file: invalid YAML: "), "{}", problem(text));
    }

    #[test]
    fn errors_have_lines_and_columns() {
        for (text, expected) in [
            ("&a [*a]", "1:5: file: alias to a value that contains it; write the value instead of the alias"),
            ("a: 1\n[b]: 2", "2:3: file: a list or an object as a key; write a string as the key"),
        ] {
            assert_eq!(problem(text), expected);
        }
    }

    #[test]
    fn places_are_those_of_keys_and_items() {
        let text = "a: 1\nb:\n  - x: [7, {y: 8}]\n    !ignore i: 0\n    z: &z { k: 1 }\n  -   *z\na: 2\n";
        let (documents, _) = read(text);
        let places = documents[0].places.as_ref().unwrap();
        for (position, expected) in [
            (&[][..], "1:1"),
            (&[0], "1:1"),
            (&[1], "2:1"),
            (&[1, 0], "3:5"),
            (&[1, 0, 0], "3:5"),
            (&[1, 0, 0, 0], "3:9"),
            (&[1, 0, 0, 1, 0], "3:13"),
            (&[1, 0, 1], "5:5"),
            (&[1, 0, 1, 0], "5:13"),
            // The value of an alias is where it is written.
            (&[1, 1, 0], "5:13"),
            (&[2], "7:1"),
            // Nothing is inside a scalar.
            (&[2, 9, 9], "7:1"),
        ] {
            assert_eq!(places.find(position).to_string(), expected, "{position:?}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded_through_aliases() {
        let nested = format!("{}{}", "[".repeat(128), "]".repeat(128));
        one(&nested);
        assert!(problem(&format!("[{nested}]")).contains("nested too deeply"));
        let mut chain = String::from("- &a0 []\n");
        for level in 1..200 {
            chain.push_str(&format!("- &a{level} [*a{}]\n", level - 1));
        }
        assert!(problem(&chain).contains("nested too deeply"));
        let mut bomb = String::from("- &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..20 {
            bomb.push_str(&format!("- &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", ")));
        }
        assert!(problem(&bomb).contains("too many values"));
        let long = format!("- &a {}\n{}", "x".repeat(1 << 20), "- *a\n".repeat(1 << 16));
        assert!(problem(&long).contains("too many values"));
    }
}
