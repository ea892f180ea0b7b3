//! `scopegate`: checks configurations before Envoy loads them, with the code of the filter itself, shows the presets, and
//! converts the settings of other gateways.

mod check;
mod find;
mod import;
mod input;
mod path;
mod place;
mod presets;
mod yaml;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::check::Findings;
use self::import::Import;
use self::input::Finding;

/// Checks and imports Scopegate configurations, and shows presets.
#[derive(Debug, Parser)]
#[command(name = "scopegate", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the configurations in Envoy, Istio and plugin configuration files
    ///
    /// Prints every problem as `FILE:LINE:COLUMN: PATH: PROBLEM; REMEDY`. Exits with 0 without problems, with 1
    /// if there are problems, with 2 if the arguments are invalid.
    Check {
        /// YAML or JSON files; - is the standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Report `mode: report_only`, too, which enforces nothing
        #[arg(long)]
        strict: bool,
    },
    /// List the presets for `introspection.preset`, or show one in full
    ///
    /// With a name, prints the keys for `introspection`, ready to be changed. Exits with 1 if the preset is unknown.
    Presets {
        /// A preset
        name: Option<String>,
    },
    /// Convert the settings of another gateway into a configuration
    ///
    /// Prints the configuration on the standard output, and the remaining work on the standard error. Exits with 0 if the
    /// whole file was converted, with 1 if something is missing, with 2 if the arguments are invalid.
    Import {
        #[command(subcommand)]
        source: Source,
    },
}

/// The gateway that the settings are from.
#[derive(Debug, Subcommand)]
enum Source {
    /// The auth servers of a webMethods Microgateway
    Webmethods {
        /// A YAML file with security_settings.auth_servers, or with an authServerAlias in each document; - is the
        /// standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let out = &mut io::stdout().lock();
    let done = match Arguments::parse().command {
        Command::Check { files, strict } => check_all(&files, strict, out),
        Command::Presets { name: None } => presets::list(out),
        Command::Presets { name: Some(name) } => presets::show(&name, out),
        Command::Import { source: Source::Webmethods { file } } => {
            Import::webmethods(&input::read(&file)).print(&file, out, &mut io::stderr().lock())
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        // An error: the output cannot be written.
        Ok(false) | Err(_) => ExitCode::from(1),
    }
}

/// Prints the findings about `files`; returns whether none of them has a problem.
fn check_all(files: &[PathBuf], strict: bool, out: &mut impl Write) -> io::Result<bool> {
    let mut well = true;
    for file in files {
        let findings = Findings::of(&input::read(file), strict);
        for Finding { place, problem } in &findings.problems {
            let place = place.map(|place| format!(":{place}")).unwrap_or_default();
            writeln!(out, "{}", printable(&format!("{}{place}: {problem}", file.display())))?;
        }
        if findings.problems.is_empty() {
            let configurations = counted(findings.configurations, "configuration");
            let rules = counted(findings.rules, "rule");
            writeln!(out, "{}", printable(&format!("{}: ok: {configurations}, {rules}", file.display())))?;
        } else {
            well = false;
        }
    }
    out.flush()?;
    Ok(well)
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Escapes control characters, so that a line stays one line.
fn printable(line: &str) -> String {
    let mut printable = String::with_capacity(line.len());
    for c in line.chars() {
        if c.is_control() {
            printable.extend(c.escape_debug());
        } else {
            printable.push(c);
        }
    }
    printable
}
