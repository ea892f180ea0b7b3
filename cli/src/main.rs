//! `scopegate`: checks configurations before Envoy loads them, with the code that the filter itself runs, shows the
//! presets that they may name, and makes them out of the settings of other gateways.

mod check;
mod find;
mod import;
mod input;
mod path;
mod presets;
mod yaml;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::check::Findings;
use self::import::Import;

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
    /// Prints every problem as `FILE: PATH: PROBLEM; HINT`. Exits with 0 if all is well, with 1 if there are
    /// problems, with 2 if the arguments are wrong.
    Check {
        /// YAML or JSON files; - is the standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Also refuse what is no error, and not meant to stay: mode: report_only
        #[arg(long)]
        strict: bool,
    },
    /// List the presets for `introspection.preset`, or show one in full
    ///
    /// With a name, prints what may stand under `introspection`, ready to be changed. Exits with 1 if there is no such
    /// preset.
    Presets {
        /// A preset
        name: Option<String>,
    },
    /// Make a configuration out of the settings of another gateway
    ///
    /// Prints the configuration on the standard output, and on the standard error what is left to do. Exits with 0 if
    /// all of the file was understood, with 1 if something is missing on that account, with 2 if the arguments are
    /// wrong.
    Import {
        #[command(subcommand)]
        source: Source,
    },
}

/// Whose settings they are.
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
        // An error: nobody is there to read what is printed.
        Ok(false) | Err(_) => ExitCode::from(1),
    }
}

/// Prints what is to be said about `files`; whether all is well with all of them.
fn check_all(files: &[PathBuf], strict: bool, out: &mut impl Write) -> io::Result<bool> {
    let mut well = true;
    for file in files {
        let findings = Findings::of(&input::read(file), strict);
        for (document, problem) in &findings.problems {
            let place = match document {
                Some(number) => format!("{} (document {number})", file.display()),
                None => file.display().to_string(),
            };
            writeln!(out, "{}", printable(&format!("{place}: {problem}")))?;
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

/// One line stays one line, whatever a file or its name contains.
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
