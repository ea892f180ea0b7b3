//! Generates docs/capabilities.md: the capabilities of the reference gateways and the tests that verify them here.
//!
//! The texts of the rows are data (`rows.json`). The status of a row comes from the output of `cargo test`.
//!
//! ```text
//! capabilities write LOG INTEROP_LOG      writes the document
//! capabilities check LOG [INTEROP_LOG]    fails if the document is out of date
//! ```
//!
//! Some tests need identity servers that are not installed on every machine: `make test-interop`. Without the log of
//! those tests, a row that needs them is compared only with the tests that ran.

mod document;
mod results;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use self::results::Results;

/// Path of the document, relative to the root of the repository.
const DOCUMENT: &str = "docs/capabilities.md";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["write", log, interop] => document(&[log, interop]).and_then(|text| write(&text)),
        ["check", log] => document(&[log]).and_then(|text| check(&text, false)),
        ["check", log, interop] => document(&[log, interop]).and_then(|text| check(&text, true)),
        _ => Err("usage: capabilities write LOG INTEROP_LOG, or capabilities check LOG [INTEROP_LOG]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("scopegate: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn document(logs: &[&str]) -> Result<String, String> {
    let read = |log: &&str| {
        fs::read_to_string(log).map_err(|error| format!("{log}: {error}: run `make test` and `make test-interop`"))
    };
    let logs = logs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    document::write(&document::rows()?, &Results::read(&logs.concat()))
}

fn place() -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(DOCUMENT)
}

fn write(text: &str) -> Result<(), String> {
    fs::write(place(), text).map_err(|error| format!("{DOCUMENT}: {error}"))
}

fn check(text: &str, is_complete: bool) -> Result<(), String> {
    let found = fs::read_to_string(place()).unwrap_or_default();
    let rows = document::rows()?;
    document::difference(&rows, &found, text, is_complete).map_or(Ok(()), |(found, expected)| {
        Err(format!(
            "{DOCUMENT} is not what the tests say; run `make capabilities` and look at the change\n- {found}\n+ {expected}"
        ))
    })
}
