//! Parts of a page of figures other than the figures.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// Puts a text into a document, between the two marks of this name: `<!-- name -->` and `<!-- /name -->`.
pub fn insert(document: &Path, name: &str, text: &str) -> Result<()> {
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let before = std::fs::read_to_string(document).with_context(|| document.display().to_string())?;
    let (head, rest) = before.split_once(&begin).with_context(|| format!("no mark {begin}"))?;
    let (_, tail) = rest.split_once(&end).with_context(|| format!("no mark {end}"))?;
    std::fs::write(document, format!("{head}{begin}\n{text}{end}{tail}"))?;
    Ok(())
}

/// A number with its thousands apart.
#[must_use]
pub fn shown(figure: f64, decimals: usize) -> String {
    let text = format!("{figure:.decimals$}");
    let whole = text.split('.').next().unwrap_or_default().len();
    let spaced = |(index, digit): (usize, char)| {
        let apart = index > 0 && index < whole && (whole - index).is_multiple_of(3);
        apart.then_some(' ').into_iter().chain([digit])
    };
    text.chars().enumerate().flat_map(spaced).collect()
}

/// The machine, as far as it matters.
pub fn machine() -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo: this takes Linux")?;
    let model = cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let model = model.map_or("unknown", |(_, model)| model);
    Ok(format!("{model}, {cores} cores, Linux {}", kernel.trim()))
}

/// The first line of what a program says of itself; of wrk that goes with a status of 1.
#[must_use]
pub fn version(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").split(" Copyright").next().unwrap_or_default().trim().to_owned()
}
