//! docs/capabilities.md: what the reference gateways do, and which tests show that it is done here.
//!
//! The texts of the rows are data (`rows.json`); whether a row says yes is not: the output of `cargo test` says so.
//!
//! ```text
//! capabilities write LOG INTEROP_LOG      writes the document
//! capabilities check LOG [INTEROP_LOG]    fails if the document is another
//! ```
//!
//! Some tests take identity servers that not every machine has: `make test-interop`. Without their log a row that needs
//! them is held only against the tests that ran.

mod document;
mod results;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use self::results::Results;

/// The document, from the root of the repository.
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
