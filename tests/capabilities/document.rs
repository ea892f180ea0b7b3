//! The document: one table for each gateway.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::results::Results;

/// The texts of a row. The test results decide its status.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    row: String,
    /// The capability of the reference gateway.
    reference: String,
    /// The feature of this filter that provides it.
    here: String,
    /// Why the capability does not apply to a filter.
    not_applicable: Option<String>,
    /// Why no test verifies it.
    missing: Option<String>,
    /// Whether some of its tests run only with `make test-interop`.
    #[serde(default)]
    interop: bool,
}

pub(crate) fn rows() -> Result<Vec<Row>, String> {
    serde_json::from_str(include_str!("rows.json")).map_err(|error| format!("rows.json: {error}"))
}

const GATEWAYS: [(&str, &str); 3] = [
    ("S0.", "NetIQ Secure API Manager with Access Manager"),
    ("S1.", "Axway API Gateway"),
    ("S2.", "webMethods API Gateway and Microgateway"),
];

const HEAD: &str = "\
# Capabilities

The OAuth 2.0 functions of three API gateways, and their counterparts in Scopegate. `make capabilities` writes the last two
columns from the results of `make test`: a row says yes if at least one test has its number and all of these have passed,
with a real Envoy and real identity servers.

An adapter stands in front of a real identity server where no open server has a vendor's wire format; it responds in the
format of the vendor's manual. The keys are explained in [configuration](configuration.md).
";

/// Returns the document for these results.
///
/// # Errors
/// A test name refers to a missing row or to a row that is not applicable, or no test name refers to any row.
pub(crate) fn write(rows: &[Row], results: &Results<'_>) -> Result<String, String> {
    let tests: Vec<_> = results.of_rows().collect();
    if tests.is_empty() {
        return Err("no test of a capability has run: run `make test`".to_owned());
    }
    for (number, test, _) in &tests {
        match rows.iter().find(|row| row.row == *number) {
            None => return Err(format!("{test}: rows.json has no row {number}")),
            Some(row) if row.not_applicable.is_some() => {
                return Err(format!("{test}: rows.json says that {number} is not applicable"));
            }
            Some(_) => {}
        }
    }
    let mut text = HEAD.to_owned();
    for (prefix, gateway) in GATEWAYS {
        let _ = write!(text, "\n## {gateway}\n\n| # | at the gateway | here | done | tests |\n|---|---|---|---|---|\n");
        for row in rows.iter().filter(|row| row.row.starts_with(prefix)) {
            let of_row = tests.iter().filter(|(number, ..)| *number == row.row);
            let of_row: Vec<_> = of_row.map(|(_, test, passed)| (*test, *passed)).collect();
            let names: Vec<String> = of_row.iter().map(|(test, _)| format!("`{}`", short(test))).collect();
            let cells = [&row.row, &row.reference, &row.here, &standing(row, &of_row), &names.join("<br>")];
            let cells = cells.map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    Ok(text)
}

/// Returns the first line of the document that differs from the test results, and the expected line. If some tests did
/// not run, a row that needs them must contain those that ran.
pub(crate) fn difference<'t>(
    rows: &[Row],
    found: &'t str,
    expected: &'t str,
    is_complete: bool,
) -> Option<(&'t str, &'t str)> {
    if found.lines().count() != expected.lines().count() {
        return Some(("another number of lines", "this one"));
    }
    let agrees = |found: &str, expected: &str| {
        let is_row = |row: &&Row| found.starts_with(&format!("| {} |", row.row));
        let is_partial = !is_complete && rows.iter().find(is_row).is_some_and(|row| row.interop);
        found == expected || is_partial && has_tests_of(found, expected)
    };
    found.lines().zip(expected.lines()).find(|(found, expected)| !agrees(found, expected))
}

/// Returns whether a row matches the expected one. The row may list more tests.
fn has_tests_of(found: &str, expected: &str) -> bool {
    let cells = |line: &str| line.trim_end_matches(" |").split(" | ").map(str::to_owned).collect::<Vec<_>>();
    let (found, expected) = (cells(found), cells(expected));
    let tests = |cells: &[String]| -> Vec<String> {
        cells
            .last()
            .iter()
            .flat_map(|cell| cell.split("<br>"))
            .filter(|test| test.starts_with('`'))
            .map(str::to_owned)
            .collect()
    };
    let (ran, known) = (tests(&expected), tests(&found));
    // If none of its tests ran, the status is not compared.
    let stands = ran.is_empty() || found.iter().rev().nth(1) == expected.iter().rev().nth(1);
    stands && ran.iter().all(|test| known.contains(test))
}

/// Returns the status of a row according to its tests.
fn standing(row: &Row, tests: &[(&str, bool)]) -> String {
    if let Some(reason) = &row.not_applicable {
        return format!("n/a: {reason}");
    }
    let failed: Vec<String> = tests.iter().filter(|(_, passed)| !passed).map(|(test, _)| short(test)).collect();
    if tests.is_empty() {
        format!("no: {}", row.missing.as_deref().unwrap_or("no test shows it yet"))
    } else if !failed.is_empty() {
        format!("no: `{}` failed", failed.join("`, `"))
    } else if tests.iter().any(|(test, _)| test.contains("adapter")) {
        "yes, with an adapter (wire format from the manual)".to_owned()
    } else {
        "yes".to_owned()
    }
}

/// Returns the test name without the common prefix.
fn short(test: &str) -> String {
    test.strip_prefix("capabilities::").unwrap_or(test).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = r#"[
        { "row": "S0.1", "reference": "a", "here": "`x` | `y`" },
        { "row": "S0.2", "reference": "b", "here": "c", "missing": "it is not built" },
        { "row": "S1.12", "reference": "d", "here": "–", "not_applicable": "no filter does" }
    ]"#;

    fn written(log: &str) -> Result<Vec<String>, String> {
        let rows: Vec<Row> = serde_json::from_str(ROWS).unwrap();
        let text = write(&rows, &Results::read(log))?;
        Ok(text.lines().filter(|line| line.starts_with("| S")).map(str::to_owned).collect())
    }

    #[test]
    fn a_row_says_yes_if_tests_ran_and_all_passed() {
        let [yes, no, not_applicable] =
            written("test capabilities::netiq::s0_1_x ... ok\ntest capabilities::netiq::s0_1_y ... ok\n")
                .unwrap()
                .try_into()
                .unwrap();
        assert_eq!(yes, "| S0.1 | a | `x` \\| `y` | yes | `netiq::s0_1_x`<br>`netiq::s0_1_y` |");
        assert_eq!(no, "| S0.2 | b | c | no: it is not built |  |");
        assert_eq!(not_applicable, "| S1.12 | d | – | n/a: no filter does |  |");
    }

    #[test]
    fn a_test_that_fails_or_is_missing_turns_its_row_to_no() {
        let first = |log: &str| written(log).unwrap().swap_remove(0);
        assert_eq!(
            first("test s0_1_x ... ok\ntest s0_1_y ... FAILED\n"),
            "| S0.1 | a | `x` \\| `y` | no: `s0_1_y` failed | `s0_1_x`<br>`s0_1_y` |"
        );
        let missing = "| S0.1 | a | `x` \\| `y` | no: no test shows it yet |  |";
        assert_eq!(first("test s0_2_x ... ok\ntest s0_1_x ... ignored\n"), missing);
    }

    #[test]
    fn an_adapter_is_said() {
        let rows = written("test s0_1_x ... ok\ntest s0_1_by_an_adapter ... ok\n").unwrap();
        assert!(rows[0].contains("| yes, with an adapter (wire format from the manual) |"), "{}", rows[0]);
    }

    #[test]
    fn without_the_other_suite_a_row_is_held_against_the_tests_that_ran() {
        let rows: Vec<Row> = serde_json::from_str(
            r#"[{ "row": "S0.1", "reference": "a", "here": "b", "interop": true }, { "row": "S0.2", "reference": "c", "here": "d" }]"#,
        )
        .unwrap();
        let of = |log: &str| write(&rows, &Results::read(log)).unwrap();
        let ran = "test s0_1_x ... ok\ntest s0_2_z ... ok\n";
        let all = of(&format!("{ran}test s0_1_y ... ok\n"));
        let differs = |expected: &str, is_complete| difference(&rows, &all, expected, is_complete).is_some();
        assert!(!differs(&all, true) && !differs(&all, false));
        assert!(!differs(&of(ran), false) && differs(&of(ran), true));
        assert!(!differs(&of("test s0_2_z ... ok\n"), false), "none of its tests ran");
        for wrong in [
            "test s0_1_x ... FAILED\ntest s0_2_z ... ok\n",
            "test s0_1_new ... ok\ntest s0_2_z ... ok\n",
            "test s0_1_x ... ok\n",
            "test s0_1_x ... ok\ntest s0_2_z ... ok\ntest s0_2_new ... ok\n",
        ] {
            assert!(differs(&of(wrong), false), "{wrong}");
        }
    }

    #[test]
    fn a_test_of_no_row_is_an_error() {
        assert_eq!(written("test s0_3_x ... ok\n").unwrap_err(), "s0_3_x: rows.json has no row S0.3");
        assert_eq!(
            written("test s1_12_x ... ok\n").unwrap_err(),
            "s1_12_x: rows.json says that S1.12 is not applicable"
        );
        assert!(written("test cache::tests::x ... ok\n").unwrap_err().starts_with("no test of a capability has run"));
    }

    #[test]
    fn the_rows_are_all_there_in_order_and_say_something() {
        let rows = rows().unwrap();
        let numbers: Vec<&str> = rows.iter().map(|row| row.row.as_str()).collect();
        let gateways = [(0, 14), (1, 13), (2, 25)];
        let expected: Vec<String> = gateways
            .iter()
            .flat_map(|(gateway, rows)| (1..=*rows).map(move |row| format!("S{gateway}.{row}")))
            .collect();
        assert_eq!(numbers, expected);
        assert!(rows.iter().all(|row| !row.reference.is_empty() && !row.here.is_empty()));
        let not_applicable: Vec<&str> =
            rows.iter().filter(|row| row.not_applicable.is_some()).map(|row| row.row.as_str()).collect();
        assert_eq!(not_applicable, ["S1.12", "S2.19", "S2.25"]);
    }
}
