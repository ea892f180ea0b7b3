//! YAML, written line by line.

use scopegate::Json;

use crate::yaml;

/// A document under construction.
#[derive(Debug, Default)]
pub(super) struct Yaml(String);

impl Yaml {
    /// Lines of YAML, `depth` levels deep.
    pub(super) fn line(&mut self, depth: usize, line: &str) {
        self.0.push_str(&"  ".repeat(depth));
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// A comment, as many lines as the text has. No text can end a comment early.
    pub(super) fn comment(&mut self, depth: usize, text: &str) {
        for line in text.lines() {
            self.line(depth, format!("# {}", escaped(line)).trim_end());
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Whether a YAML reader may treat it as the end of a line, or skip it.
fn is_special(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn escaped(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    for c in line.chars() {
        if is_special(c) { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
    }
    escaped
}

/// A string as a value or a key: unquoted if every reader reads it as that string, else in quotes.
pub(super) fn scalar(text: &str) -> String {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let is_word = starts_well && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./-".contains(&b));
    if is_word && matches!(yaml::read(text).0.as_slice(), [document] if document.json == Json::String(text.to_owned()))
    {
        return text.to_owned();
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            c if u32::from(c) <= 0xFFFF => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// A list on one line.
pub(super) fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", items.into_iter().map(scalar).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_read_back_unchanged() {
        for text in [
            "view",
            "/a/b?c=d",
            "as.test:443",
            "yes",
            "No",
            "null",
            "~",
            "12",
            "0x1F",
            "1.5",
            "-",
            "- a",
            "a: b",
            "#a",
            "a #b",
            "",
            " ",
            "'",
            "\"",
            "\\",
            "a\nb",
            "\t",
            "é",
            "🚆",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "{a}",
            "[a]",
            "*a",
            "&a",
            "!a",
            "%a",
            "---",
            "...",
            "a,b",
            "<<",
        ] {
            for document in [format!("k: {}\n", scalar(text)), format!("k: {}\n", list([text]))] {
                let (documents, problem) = yaml::read(&document);
                assert!(problem.is_none(), "{document}");
                let text = Json::String(text.to_owned());
                let value = if document.starts_with("k: [") { Json::Array(vec![text]) } else { text };
                let found: Vec<Json> = documents.into_iter().map(|document| document.json).collect();
                assert_eq!(found, [Json::Object(vec![("k".to_owned(), value)])], "{document}");
            }
        }
    }

    #[test]
    fn a_comment_stays_one_whatever_it_says() {
        let mut yaml = Yaml::default();
        yaml.comment(1, "a\nrules: []\r\nb\rrules: []\u{85}c\u{2028}d\u{0}");
        let text = yaml.finish();
        assert!(text.lines().all(|line| line.starts_with("  #")), "{text}");
        let (documents, problem) = yaml::read(&text);
        assert!(documents.is_empty() && problem.is_none(), "{text}");
        assert_eq!(text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{0}']).count(), 4, "{text}");
    }
}
