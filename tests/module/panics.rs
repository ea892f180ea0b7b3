//! Checks the panic locations in the module against a fixed list, which gives the reason why no input reaches each
//! location. A panic stops the filter on a worker.
//!
//! For each panic that the compiler could not rule out, the data of the module contains its source location: file, line
//! and column, even for inlined code. Locations in this repository are compared by line text, or as a borrow;
//! locations in dependencies by crate. Running out of memory has no location, and it ends the VM as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use wasmparser::{DataKind, Operator, Parser, Payload};

const LIST: &str = "tests/module/panics.json";

#[test]
fn the_module_panics_nowhere_but_where_no_input_gets() {
    let list = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(LIST);
    let list: Value = serde_json::from_slice(&std::fs::read(list).expect("the list")).expect("JSON");
    let mut listed = BTreeSet::new();
    for (place, reason) in list.as_object().expect("an object") {
        assert!(reason.as_str().is_some_and(|reason| reason.len() > 20), "{LIST}: `{place}` has no reason");
        listed.insert(place.clone());
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for location in locations(&super::module()) {
        let shown = format!("{}:{}:{}", location.file, location.line, location.column);
        found.entry(location.place()).or_default().push(shown);
    }
    // Guards against a parser that no longer finds the locations.
    assert!(found.len() > 20 && found.values().flatten().count() > 500, "{found:#?}");
    let new: Vec<String> = found
        .iter()
        .filter(|(place, _)| !listed.contains(*place))
        .map(|(place, at)| format!("`{place}` can panic now, at {}", at.join(" ")))
        .collect();
    let gone: Vec<&String> = listed.iter().filter(|place| !found.contains_key(*place)).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "{}\nReplace it with code that returns an Option or saturates, or add it to {LIST} with the reason why no \
         input reaches it. Remove these entries, which cannot panic any more: {gone:?}. If lines look wrong, the \
         module was built from another source: run `make build`.",
        new.join("\n")
    );
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Location {
    file: String,
    line: u32,
    column: u32,
}

impl Location {
    /// Returns its entry in the list.
    fn place(&self) -> String {
        let Some(text) = self.our_line() else { return self.crate_name() };
        let column = usize::try_from(self.column).unwrap_or_default().saturating_sub(1);
        let expression: String = text.chars().skip(column).collect();
        if expression.starts_with("borrow()") || expression.starts_with("borrow_mut()") {
            return format!("{}: borrow", self.file);
        }
        format!("{}: {}", self.file, text.trim())
    }

    /// Returns the source line, if the file is in this repository.
    fn our_line(&self) -> Option<String> {
        let file = Path::new(&self.file);
        if file.is_absolute() {
            return None;
        }
        let text = std::fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(file)).ok()?;
        let line = usize::try_from(self.line).ok()?.checked_sub(1)?;
        Some(text.lines().nth(line).unwrap_or_default().to_owned())
    }

    /// The crate: of `…/serde_json-1.0.1/src/de.rs`, or of `…/library/core/src/cell.rs`.
    fn crate_name(&self) -> String {
        let parts: Vec<&str> = self.file.split('/').collect();
        let versioned = parts.iter().rev().find_map(|part| {
            let (name, version) = part.rsplit_once('-')?;
            (version.contains('.') && version.starts_with(|c: char| c.is_ascii_digit())).then_some(name)
        });
        let library = parts.iter().position(|part| *part == "library").and_then(|at| parts.get(at.saturating_add(1)));
        versioned.or_else(|| library.copied()).unwrap_or(&self.file).to_owned()
    }
}

/// Every `core::panic::Location` in the data of a module: address and length of the file's name, line, column.
fn locations(module: &[u8]) -> BTreeSet<Location> {
    let segments = segments(module);
    let text = |address: u32, length: u32| {
        let name = segments.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(u64::from(address).checked_sub(*start)?).ok()?;
            bytes.get(from..from.checked_add(usize::try_from(length).ok()?)?)
        })?;
        std::str::from_utf8(name).ok().filter(|name| name.ends_with(".rs") && !name.contains(char::is_control))
    };
    let mut found = BTreeSet::new();
    for (start, bytes) in &segments {
        let unaligned = usize::try_from(start.wrapping_neg() % 4).unwrap_or_default();
        let words: Vec<u32> = bytes
            .get(unaligned..)
            .unwrap_or_default()
            .as_chunks()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect();
        for window in words.windows(4) {
            let [address, length, line, column] = window else { continue };
            if (4..500).contains(length) && *line > 0 && *column > 0 {
                let file = text(*address, *length);
                found.extend(file.map(|file| Location { file: file.to_owned(), line: *line, column: *column }));
            }
        }
    }
    found
}

/// The data of a module, and where in its memory it stands.
fn segments(module: &[u8]) -> Vec<(u64, &[u8])> {
    let mut segments = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::DataSection(section) = payload.expect("a valid module") else { continue };
        for data in section {
            let data = data.expect("valid data");
            let DataKind::Active { offset_expr, .. } = data.kind else { continue };
            let Ok(Operator::I32Const { value }) = offset_expr.get_operators_reader().read() else {
                panic!("data at a place that is computed")
            };
            segments.push((u64::from(value.cast_unsigned()), data.data));
        }
    }
    segments
}
