//! Converts the settings of other gateways into configurations.
//!
//! A setting without a counterpart becomes a comment or a remark: nothing is dropped silently, no secret is printed, and
//! no resource becomes accessible. Values that only the operator knows stay empty, so that `check` reports them.

mod alias;
mod endpoint;
mod settings;
mod webmethods;
mod write;

use std::io::{self, Write};
use std::path::Path as File;

use scopegate::{Config, Problem};

use crate::input::{Document, Input};
use crate::{find, printable, yaml};

/// A converted file.
#[derive(Debug, Default)]
pub(crate) struct Import {
    /// The configuration as YAML; `None` if there is nothing to configure.
    configuration: Option<String>,
    remarks: Vec<Remark>,
}

/// A remark about a value in the file.
#[derive(Debug)]
struct Remark {
    /// The number of the document, if the file has several.
    document: Option<usize>,
    problem: Problem,
    /// Whether something is missing from the configuration because of it.
    serious: bool,
}

impl Import {
    /// Reads the settings of a webMethods Microgateway.
    pub(crate) fn webmethods(input: &Input) -> Self {
        let settings = settings::Settings::read(input);
        let (configuration, remarks) = webmethods::configure(settings);
        Self { configuration, remarks }
    }

    /// Prints the configuration on `out` and everything else on `err`; returns whether the whole file was converted.
    pub(crate) fn print(&self, file: &File, out: &mut impl Write, err: &mut impl Write) -> io::Result<bool> {
        for remark in &self.remarks {
            let place = match remark.document {
                Some(number) => format!("{} (document {number})", file.display()),
                None => file.display().to_string(),
            };
            let path = if remark.problem.path.is_empty() { "file" } else { &remark.problem.path };
            let note = if remark.serious { "" } else { "note: " };
            let line = format!("{place}: {path}: {note}{}; {}", remark.problem.problem, remark.problem.hint);
            writeln!(err, "{}", printable(&line))?;
        }
        if let Some(configuration) = &self.configuration {
            for problem in left_open(configuration) {
                writeln!(err, "{}", printable(&format!("left to fill in: {problem}")))?;
            }
            out.write_all(configuration.as_bytes())?;
        }
        out.flush()?;
        err.flush()?;
        Ok(self.remarks.iter().all(|remark| !remark.serious))
    }
}

/// The problems that `check` finds until the operator completes the configuration.
fn left_open(configuration: &str) -> Vec<Problem> {
    let (documents, problem) = yaml::read(configuration);
    let environment = |_: &str| Some(find::STAND_IN.to_owned());
    let of = |document: &Document| Config::read(&document.json, &environment).err();
    let found = documents.iter().filter_map(of).flat_map(|problems| problems.iter().cloned().collect::<Vec<_>>());
    problem.into_iter().map(|finding| finding.problem).chain(found).collect()
}
