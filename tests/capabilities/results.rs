//! Test results, parsed from the output of `cargo test`.

use std::collections::BTreeMap;

/// Every test that ran, and whether it passed.
#[derive(Debug, Default)]
pub(crate) struct Results<'a>(BTreeMap<&'a str, bool>);

impl<'a> Results<'a> {
    /// Reads the lines `test NAME ... OUTCOME`; a test that was ignored did not run.
    pub(crate) fn read(log: &'a str) -> Self {
        let mut results = BTreeMap::new();
        for line in log.lines() {
            let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) else {
                continue;
            };
            let name = name.split(" - ").next().unwrap_or(name);
            match outcome.split([' ', ',']).next() {
                Some("ignored") => {}
                // If a name occurs twice, the test has passed only if both runs passed.
                word => *results.entry(name).or_insert(true) &= word == Some("ok"),
            }
        }
        Self(results)
    }

    /// Returns every test whose name refers to a row: the row, the test, and whether it passed.
    pub(crate) fn of_rows(&self) -> impl Iterator<Item = (String, &'a str, bool)> {
        self.0.iter().filter_map(|(test, passed)| Some((row_of(test)?, *test, *passed)))
    }
}

/// `S2.14` for `capabilities::webmethods::s2_14_the_application_learns_who_called`.
fn row_of(test: &str) -> Option<String> {
    test.split("::").find_map(|part| {
        let mut words = part.strip_prefix('s')?.split('_');
        let number = |word: Option<&str>| word.and_then(|word| word.parse::<u8>().ok());
        let (gateway, row) = (number(words.next())?, number(words.next())?);
        Some(format!("S{gateway}.{row}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_by_their_rows() {
        let log = "\
running 7 tests
test capabilities::netiq::s0_1_a_public_route_is_open ... ok
test capabilities::netiq::s0_2_without_a_token ... FAILED
test capabilities::axway::s1_8_an_adapter_speaks - should panic ... ok
test capabilities::axway::s1_9_is_ignored ... ignored, because
test capabilities::axway::s1_10_lasts has been running for over 60 seconds
test capabilities::axway::s1_11::of_a_module ... ok <61.000s>
test cache::tests::s_has_no_number ... ok

test result: FAILED. 5 passed
";
        let found: Vec<_> = Results::read(log).of_rows().map(|(row, _, passed)| (row, passed)).collect();
        let expected = [("S1.11", true), ("S1.8", true), ("S0.1", true), ("S0.2", false)];
        assert_eq!(found, expected.map(|(row, passed)| (row.to_owned(), passed)));
    }

    #[test]
    fn a_test_that_fails_once_has_failed() {
        let log = "test s0_1_a ... FAILED\ntest s0_1_a ... ok\n";
        assert!(Results::read(log).of_rows().all(|(_, _, passed)| !passed));
    }
}
