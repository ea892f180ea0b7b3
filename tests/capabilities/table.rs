//! docs/capabilities.md: what the reference gateways do, and which tests show that it is done here.
//!
//! The texts of the rows are data (`rows.json`); whether a row says yes is not: the output of `cargo test` says so.
//!
//! ```text
//! capabilities write LOG    writes the document
//! capabilities check LOG    fails if the document is another
//! ```

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
        ["write", log] => document(Path::new(log)).and_then(|text| write(&text)),
        ["check", log] => document(Path::new(log)).and_then(|text| check(&text)),
        _ => Err("usage: capabilities write|check LOG".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("scopegate: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn document(log: &Path) -> Result<String, String> {
    let log = fs::read_to_string(log).map_err(|error| format!("{}: {error}: run `make test`", log.display()))?;
    document::write(&document::rows()?, &Results::read(&log))
}

fn place() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT)
}

fn write(text: &str) -> Result<(), String> {
    fs::write(place(), text).map_err(|error| format!("{DOCUMENT}: {error}"))
}

fn check(text: &str) -> Result<(), String> {
    let found = fs::read_to_string(place()).unwrap_or_default();
    if found == text {
        return Ok(());
    }
    let differs = found.lines().zip(text.lines()).find(|(found, expected)| found != expected);
    let (found, expected) = differs.unwrap_or(("another number of lines", "this one"));
    Err(format!(
        "{DOCUMENT} is not what the tests say; run `make capabilities` and look at the change\n- {found}\n+ {expected}"
    ))
}
