//! Words in messages: user input, escaped and bounded, and "did you mean".

use std::time::Duration;

/// User input in a message: escaped, at most 60 characters and an ellipsis.
pub(crate) fn quote(text: &str) -> String {
    let mut quote: String = text.chars().flat_map(char::escape_debug).take(61).collect();
    if quote.chars().count() > 60 {
        quote = quote.chars().take(60).chain(['…']).collect();
    }
    quote
}

/// The remedy for an unknown word: the known word that is most similar to it, and at most 30 of all `known` words
/// after `label`.
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
/// its characters at most.
fn most_similar<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let length = word.chars().count();
    if !(2..=MAX_COMPARED).contains(&length) {
        return None;
    }
    let candidates = known.iter().filter(|known| known.len() <= MAX_COMPARED).filter_map(|known| {
        let begins = length > 3 && known.starts_with(word);
        let distance = if begins { 1 } else { distance(word, known) };
        (distance.saturating_mul(3) <= length.max(known.chars().count()).saturating_add(1))
            .then_some((distance, *known))
    });
    candidates.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// How many characters to insert, remove or replace to get from `a` to `b`, letter case aside (Levenshtein); letters in
/// another order count once.
fn distance(a: &str, b: &str) -> usize {
    let [mut letters, mut others] = [a, b].map(|word| word.chars().collect::<Vec<_>>());
    letters.sort_unstable();
    others.sort_unstable();
    if a != b && letters == others {
        return 1;
    }
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (index, x) in a.chars().enumerate() {
        let mut left = index.saturating_add(1);
        let mut next = vec![left];
        for (y, pair) in b.chars().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            let replaced = diagonal.saturating_add(usize::from(!x.eq_ignore_ascii_case(&y)));
            left = replaced.min(above.saturating_add(1)).min(left.saturating_add(1));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// A duration as a configuration has it: `500ms`, `30s`, `24h`.
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
/// Longer words are not compared, in characters.
const MAX_COMPARED: usize = 60;

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
            assert_eq!(distance(a, b), expected, "{a} {b}");
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
    fn long_words_are_not_compared() {
        let long = "x".repeat(61);
        assert_eq!(most_similar(&long, &[&long]), None);
        let longest = "x".repeat(60);
        assert_eq!(most_similar(&longest, &[&longest]), Some(longest.as_str()));
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
