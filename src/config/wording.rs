//! Words in messages: user input, escaped and bounded, and "did you mean".

use std::time::Duration;

/// User input in a message: escaped, at most 60 characters and an ellipsis.
#[inline(never)]
pub(crate) fn quote(text: &str) -> String {
    let mut quote: String = text.chars().flat_map(char::escape_debug).take(61).collect();
    if quote.chars().count() > 60 {
        quote = quote.chars().take(60).chain(['…']).collect();
    }
    quote
}

/// The remedy for an unknown word: the known word that is most similar to it, and at most 30 of all `known` words
/// after `label`.
#[inline(never)]
pub(crate) fn known_words(word: &str, label: &str, known: &[&str]) -> String {
    let mut shown: Vec<String> = known.iter().take(MAX_SHOWN).map(|known| quote(known)).collect();
    if known.len() > MAX_SHOWN {
        shown.push("…".to_owned());
    }
    let shown = if shown.is_empty() { "none".to_owned() } else { shown.join(", ") };
    match most_similar(word, known) {
        Some(similar) => format!("did you mean `{}`? {label}: {shown}", quote(similar)),
        None => format!("{label}: {shown}"),
    }
}

/// The known word that `word` is most probably a misspelling of: it begins with `word`, or differs in about a third of
/// its bytes at most.
#[inline(never)]
fn most_similar<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let mut best: Option<(usize, &str)> = None;
    if !(2..=MAX_COMPARED).contains(&word.len()) {
        return None;
    }
    for known in known.iter().copied().take(MAX_COMPARISONS) {
        let begins = word.len() > 3 && known.starts_with(word);
        let distance = if begins { 1 } else { distance(word.as_bytes(), known.as_bytes()) };
        let is_similar = distance.saturating_mul(3) <= word.len().max(known.len()).saturating_add(1);
        if is_similar && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, known));
        }
    }
    best.map(|(_, known)| known)
}

/// How many bytes to insert, remove or replace to get from `a` to `b`, letter case aside (Levenshtein); the same bytes in
/// another order count once.
#[inline(never)]
fn distance(a: &[u8], b: &[u8]) -> usize {
    let count = |word: &[u8], byte: u8| word.iter().filter(|other| **other == byte).count();
    if a != b && a.len() == b.len() && a.iter().all(|byte| count(a, *byte) == count(b, *byte)) {
        return 1;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, x) in a.iter().enumerate() {
        let mut diagonal = index;
        let mut left = index.saturating_add(1);
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (y, cell) in b.iter().zip(cells) {
            let replaced = diagonal.saturating_add(usize::from(!x.eq_ignore_ascii_case(y)));
            diagonal = *cell;
            left = replaced.min(diagonal.saturating_add(1)).min(left.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// A duration as a configuration has it: `500ms`, `30s`, `24h`.
#[inline(never)]
pub(crate) fn format_duration(duration: Duration) -> String {
    match (duration.as_millis(), duration.as_secs()) {
        (0, _) => "0s".to_owned(),
        (millis @ 1..1000, _) => format!("{millis}ms"),
        (_, secs) if secs.is_multiple_of(3600) => format!("{}h", secs.div_euclid(3600)),
        (_, secs) => format!("{secs}s"),
    }
}

/// A configuration may have thousands of names.
const MAX_SHOWN: usize = 30;
/// Longer words have no suggestion, in bytes.
const MAX_COMPARED: usize = 60;
/// More known words are not compared: a broken configuration of thousands of rules is still refused quickly.
const MAX_COMPARISONS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_input_is_escaped_and_bounded() {
        assert_eq!(quote("a\nb"), "a\\nb");
        assert_eq!(quote(&"x".repeat(100)).chars().count(), 61);
    }

    #[test]
    fn distance_counts_insertions_removals_and_replacements() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("realms", "realm", 1),
            ("kitten", "sitting", 3),
            ("GET", "get", 0),
            ("main", "mian", 1),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_misspelt_word_has_a_suggestion() {
        let known = ["scope", "any_scope", "roles", "any_role", "enforce", "report_only"];
        for (word, expected) in [
            ("scopes", Some("scope")),
            ("socpe", Some("scope")),
            ("enforec", Some("enforce")),
            ("anyscope", Some("any_scope")),
            ("role", Some("roles")),
            ("Enforce", Some("enforce")),
            ("report", Some("report_only")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(most_similar(word, &known), expected, "{word}");
        }
    }

    #[test]
    fn comparisons_are_bounded() {
        let long = "x".repeat(61);
        assert_eq!(most_similar(&long, &[&long]), None);
        let short = "x".repeat(60);
        assert_eq!(most_similar(&short, &[&short]), Some(short.as_str()));
        let known = [vec!["other"; 1000], vec!["scope"]].concat();
        assert_eq!(most_similar("scopes", &known), None);
        assert_eq!(most_similar("scopes", &known[1..]), Some("scope"));
    }

    #[test]
    fn at_most_thirty_known_words_are_shown() {
        let names: Vec<String> = (0..31).map(|n| format!("name-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let shown = known_words("x", "known", &names);
        assert!(shown.starts_with("known: name-0, ") && shown.ends_with("name-29, …"), "{shown}");
        assert_eq!(known_words("x", "known", &[]), "known: none");
    }
}
