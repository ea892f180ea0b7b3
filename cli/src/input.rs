//! Reads files into documents.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use scopegate::{Json, Problem};

use crate::place::{Place, Places};
use crate::yaml;

/// Much more than the largest configuration with which Envoy starts in a reasonable time.
const MAX_BYTES: u64 = 16 << 20;

/// The documents of a file, and the problem that ended the reading early.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) documents: Vec<Document>,
    pub(crate) problem: Option<Finding>,
}

/// A document and the places of its values, if these are known.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) json: Json,
    pub(crate) places: Option<Places>,
}

/// A problem and its place in the file, if that is known.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) place: Option<Place>,
    pub(crate) problem: Problem,
}

impl Finding {
    /// A problem of a file as such.
    pub(crate) fn in_file(place: Option<Place>, problem: impl Into<String>, hint: &str) -> Self {
        let (problem, hint) = (problem.into(), hint.to_owned());
        Self { place, problem: Problem { path: "file".to_owned(), position: Vec::new(), problem, hint } }
    }
}

/// Reads a file like Envoy: as JSON if it is named so, else as YAML.
pub(crate) fn read(file: &Path) -> Input {
    let text = match text(file) {
        Ok(text) => text,
        Err((problem, hint)) => return Input::stopped(problem, hint),
    };
    let (mut documents, problem) = yaml::read(&text);
    if !file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        return Input { documents, problem };
    }
    match Json::parse(text.as_bytes()) {
        Ok(json) => {
            // JSON is YAML too, with few exceptions: those have no places.
            let places = documents.pop().filter(|_| documents.is_empty() && problem.is_none());
            let places = places.and_then(|document| document.places);
            Input { documents: vec![Document { json, places }], problem: None }
        }
        Err(error) => Input::stopped(format!("invalid JSON: {error}"), "correct it: nothing was checked"),
    }
}

impl Input {
    fn stopped(problem: String, hint: &str) -> Self {
        Self { documents: Vec::new(), problem: Some(Finding::in_file(None, problem, hint)) }
    }
}

fn text(file: &Path) -> Result<String, (String, &'static str)> {
    let bytes = if file == Path::new("-") { bytes(io::stdin().lock()) } else { File::open(file).and_then(bytes) };
    let bytes = bytes
        .map_err(|error| (format!("cannot be read: {error}"), "check the name and the permissions of the file"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_BYTES) {
        return String::from_utf8(bytes).map_err(|_| ("not UTF-8".to_owned(), "save the file as UTF-8"));
    }
    Err((format!("larger than {} MiB", MAX_BYTES >> 20), "check the configuration on its own"))
}

fn bytes(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
