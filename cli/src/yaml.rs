//! YAML as Envoy reads it, except that duplicate keys are kept for whoever wants to refuse them.
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
use scopegate::{Json, Problem};

/// As deep as `Json::parse` goes.
const MAX_DEPTH: usize = 128;
/// Values of one file, those behind an alias counted wherever it is used, long texts as several.
const MAX_VALUES: usize = 2_000_000;

/// The documents of a YAML stream up to where it stops being YAML, and what is wrong there.
pub(crate) fn read(text: &str) -> (Vec<Json>, Option<Problem>) {
    let mut documents = Vec::new();
    let mut composer = Composer::default();
    for event in Parser::new_from_str(text) {
        let (line, column, wrong) = match event {
            Ok((event, span)) => match composer.take(event, span.end.index() <= span.start.index()) {
                Ok(document) => {
                    documents.extend(document);
                    continue;
                }
                Err(wrong) => (span.start.line(), span.start.col(), wrong),
            },
            Err(error) => (
                error.marker().line(),
                error.marker().col(),
                Wrong { problem: format!("is not YAML: {}", error.info()), hint: "mend it; the rest was not checked" },
            ),
        };
        let path = format!("line {line}, column {}", column.saturating_add(1));
        return (documents, Some(Problem { path, problem: wrong.problem, hint: wrong.hint.to_owned() }));
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

/// A value and what an alias to it takes.
#[derive(Clone, Debug)]
struct Node {
    value: Json,
    /// The text of a scalar, if `value` does not have it: `0x1F` as a key is no number.
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
    ignored: bool,
}

/// Puts values together from the parser's events.
#[derive(Debug, Default)]
struct Composer {
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, Node>,
    document: Option<Json>,
    size: usize,
}

impl Composer {
    /// A document that `event` completes; `absent` if nothing is written where it stands.
    fn take(&mut self, event: Event<'_>, absent: bool) -> Result<Option<Json>, Wrong> {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::Anchor(..) => {}
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::DocumentEnd => return Ok(self.document.take()),
            Event::UnresolvedAlias(_) => return wrong("is an alias to nothing", "define its anchor above"),
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id) else {
                    return wrong("is an alias to a value that contains it", "write the value out");
                };
                self.size = self.size.saturating_add(node.size);
                let node = node.clone();
                self.put(node, 0, false)?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref();
                // The parser takes what is absent for null; Envoy does so only without a tag.
                let text = if absent { Cow::Borrowed("") } else { text };
                let node = scalar(text, style, tag);
                self.size = self.size.saturating_add(node.size);
                self.put(node, anchor, is_ignore(tag))?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(anchor, tag.as_deref(), Items::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(anchor, tag.as_deref(), Items::Map(Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            _ => return wrong("is nothing that this tool knows", "write plain YAML"),
        }
        Ok(None)
    }

    fn open(&mut self, anchor: usize, tag: Option<&Tag>, items: Items) -> Result<(), Wrong> {
        if self.stack.len() >= MAX_DEPTH {
            return too_deep();
        }
        self.size = self.size.saturating_add(1);
        self.stack.push(Frame { anchor, ignored: is_ignore(tag), items, size: 1, depth: 1 });
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
        let node = Node { value, written: None, size: frame.size, depth: frame.depth };
        self.put(node, frame.anchor, frame.ignored)
    }

    /// Puts a complete value where it belongs.
    fn put(&mut self, node: Node, anchor: usize, ignored: bool) -> Result<(), Wrong> {
        if anchor != 0 {
            self.size = self.size.saturating_add(node.size);
            self.anchors.insert(anchor, node.clone());
        }
        if self.size > MAX_VALUES {
            return wrong("has too many values, each alias counted as what it stands for", "use fewer aliases");
        }
        if self.stack.len().saturating_add(node.depth) > MAX_DEPTH {
            return too_deep();
        }
        let Some(frame) = self.stack.last_mut() else {
            self.document = Some(node.value);
            return Ok(());
        };
        frame.size = frame.size.saturating_add(node.size);
        frame.depth = frame.depth.max(node.depth.saturating_add(1));
        match &mut frame.items {
            Items::List(values) => values.push(node.value),
            Items::Map(members, key) => match key.take() {
                Some(key) if key.ignored => {}
                Some(key) => members.push((key.name, node.value)),
                None => {
                    let Some(name) = node.into_key() else {
                        return wrong("a list or an object is a key", "write a string");
                    };
                    *key = Some(Key { name, ignored });
                }
            },
        }
        Ok(())
    }
}

fn too_deep<T>() -> Result<T, Wrong> {
    wrong("is nested too deeply", "nest at most 128 levels")
}

fn is_ignore(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.original() == "!ignore")
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Node {
    let plain = matches!(style, ScalarStyle::Plain);
    let string = match tag {
        None => !plain,
        Some(tag) => tag.original() == "!",
    };
    let typed = if string { None } else { typed(&text, tag.is_none()) };
    let size = 1_usize.saturating_add(text.len() / 16);
    match typed {
        Some(value) => {
            let written = (!matches!(value, Json::Null)).then(|| text.into_owned());
            Node { value, written, size, depth: 0 }
        }
        None => Node { value: Json::String(text.into_owned()), written: None, size, depth: 0 },
    }
}

/// What a text that is not quoted says, unless it is a string.
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
    // A second sign is none of `from_str_radix`'s business.
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
        assert_eq!(problem, None, "{text}");
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0)
    }

    fn problem(text: &str) -> String {
        read(text).1.unwrap().to_string()
    }

    /// Every line is from Envoy 1.40: what stood in `node.metadata`, and what it printed.
    #[test]
    fn scalars_are_what_envoy_takes_them_for() {
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
    fn what_precedes_an_error_is_kept() {
        let (documents, problem) = read("a: 1\n---\nb: [1\nc: 2\n");
        assert_eq!(documents.len(), 1);
        assert_eq!(problem.unwrap().path, "line 4, column 2");
    }

    #[test]
    fn what_cannot_be_composed_says_where_it_stands() {
        for (text, expected) in [
            ("&a [*a]", "line 1, column 5: is an alias to a value that contains it; write the value out"),
            ("a: 1\n[b]: 2", "line 2, column 3: a list or an object is a key; write a string"),
        ] {
            assert_eq!(problem(text), expected);
        }
    }

    #[test]
    fn depth_and_size_are_bounded_through_aliases() {
        let nested = format!("{}{}", "[".repeat(128), "]".repeat(128));
        one(&nested);
        assert!(problem(&format!("[{nested}]")).contains("is nested too deeply"));
        let mut chain = String::from("- &a0 []\n");
        for level in 1..200 {
            chain.push_str(&format!("- &a{level} [*a{}]\n", level - 1));
        }
        assert!(problem(&chain).contains("is nested too deeply"));
        let mut bomb = String::from("- &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..20 {
            bomb.push_str(&format!("- &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", ")));
        }
        assert!(problem(&bomb).contains("has too many values"));
        let long = format!("- &a {}\n{}", "x".repeat(1 << 20), "- *a\n".repeat(1 << 16));
        assert!(problem(&long).contains("has too many values"));
    }
}
