//! Files in, documents out.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use scopegate::{Json, Problem};

use crate::yaml;

/// Much more than the largest configuration Envoy starts with in a reasonable time.
const MAX_BYTES: u64 = 16 << 20;

/// What could be read of a file, and what stopped it.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) documents: Vec<Json>,
    pub(crate) problem: Option<Problem>,
}

/// Reads a file as Envoy does: by its name as JSON, or else as YAML.
pub(crate) fn read(file: &Path) -> Input {
    let text = match text(file) {
        Ok(text) => text,
        Err((problem, hint)) => return Input::stopped("file", problem, hint),
    };
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        return match Json::parse(text.as_bytes()) {
            Ok(document) => Input { documents: vec![document], problem: None },
            Err(error) => Input::stopped("file", format!("is not JSON: {error}"), "mend it; nothing was checked"),
        };
    }
    let (documents, problem) = yaml::read(&text);
    Input { documents, problem }
}

impl Input {
    fn stopped(path: &str, problem: String, hint: &str) -> Self {
        let problem = Problem { path: path.to_owned(), problem, hint: hint.to_owned() };
        Self { documents: Vec::new(), problem: Some(problem) }
    }
}

fn text(file: &Path) -> Result<String, (String, &'static str)> {
    let bytes = if file == Path::new("-") { bytes(io::stdin().lock()) } else { File::open(file).and_then(bytes) };
    let bytes = bytes.map_err(|error| (format!("cannot be read: {error}"), "name a file that you may read"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_BYTES) {
        return String::from_utf8(bytes).map_err(|_| ("is not UTF-8".to_owned(), "save it as UTF-8"));
    }
    Err((format!("is larger than {} MiB", MAX_BYTES >> 20), "check the configuration on its own"))
}

fn bytes(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
