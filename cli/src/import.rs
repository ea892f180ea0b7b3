//! Configurations out of the settings of other gateways.
//!
//! What Scopegate has no counterpart for becomes a comment or a remark: nothing is dropped in silence, no secret
//! is printed, and nothing opens by itself. What only the operator knows is left empty, so that `check` asks for it.

mod endpoint;
mod settings;
mod webmethods;
mod write;

use std::io::{self, Write};
use std::path::Path as File;

use scopegate::{Config, Problem};

use crate::input::Input;
use crate::{find, printable, yaml};

/// What becomes of a file.
#[derive(Debug, Default)]
pub(crate) struct Import {
    /// The configuration as YAML; `None` if there is nothing to configure.
    configuration: Option<String>,
    remarks: Vec<Remark>,
}

/// Something to be said about a place in the file.
#[derive(Debug)]
struct Remark {
    /// The number of the document, if the file has several.
    document: Option<usize>,
    problem: Problem,
    /// Whether something is missing from the configuration on account of it.
    serious: bool,
}

impl Import {
    /// Reads the settings of a webMethods Microgateway.
    pub(crate) fn webmethods(input: &Input) -> Self {
        let settings = settings::Settings::read(input);
        let (configuration, remarks) = webmethods::configure(settings);
        Self { configuration, remarks }
    }

    /// Prints the configuration on `out` and everything else on `err`; whether all of the file was understood.
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

/// What `check` will say of the configuration until somebody fills it in.
fn left_open(configuration: &str) -> Vec<Problem> {
    let (documents, problem) = yaml::read(configuration);
    let environment = |_: &str| Some(find::STAND_IN.to_owned());
    let of = |document| Config::read(document, &environment).err();
    let found = documents.iter().filter_map(of).flat_map(|problems| problems.iter().cloned().collect::<Vec<_>>());
    problem.into_iter().chain(found).collect()
}
