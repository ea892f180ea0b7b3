//! The layers of the core: imports run downwards, and no files import one another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test stops by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// From the bottom up: each may import those before it.
const LAYERS: [&str; 14] = [
    "base", "host", "token", "jose", "request", "claims", "decision", "cache", "response", "policy", "server",
    "config", "flow", "worker",
];

/// A file of `src/` without its tests, by its module path: `["cache", "local"]`.
type Module = Vec<String>;

#[test]
fn imports_run_downwards() {
    let modules = modules();
    let mut upwards = Vec::new();
    for (module, text) in &modules {
        let Some(layer) = layer(module) else { continue };
        for path in paths(module, text) {
            let Some(target) = self::layer(&path) else { continue };
            if target > layer {
                upwards.push(format!("{} imports {}", module.join("::"), path.join("::")));
            }
        }
    }
    assert!(upwards.is_empty(), "{}", upwards.join("\n"));
}

#[test]
fn no_files_import_one_another() {
    let modules = modules();
    let edges: BTreeMap<&Module, BTreeSet<&Module>> = modules
        .iter()
        .map(|(module, text)| {
            let targets = paths(module, text).into_iter().filter_map(|path| file_of(&modules, &path));
            (module, targets.filter(|target| *target != module).collect())
        })
        .collect();
    // Without these nothing has been looked at.
    assert!(edges.len() > 80 && edges.values().map(BTreeSet::len).sum::<usize>() > 300);
    for start in edges.keys() {
        let mut reached = BTreeSet::new();
        let mut open: Vec<(&Module, Vec<String>)> = vec![(start, vec![start.join("::")])];
        while let Some((module, way)) = open.pop() {
            for target in &edges[module] {
                let way = [way.as_slice(), &[target.join("::")]].concat();
                assert_ne!(target, start, "an import circle: {}", way.join(" -> "));
                if reached.insert(*target) {
                    open.push((target, way));
                }
            }
        }
    }
}

#[test]
fn every_folder_has_a_layer() {
    let folders: BTreeSet<String> = modules().keys().filter_map(|module| module.first().cloned()).collect();
    assert_eq!(folders, LAYERS.iter().map(|layer| (*layer).to_owned()).collect());
}

fn layer(path: &[String]) -> Option<usize> {
    LAYERS.iter().position(|layer| path.first().is_some_and(|first| first == layer))
}

/// Every file but `lib.rs` and tests.
fn modules() -> BTreeMap<Module, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
                let relative = path.strip_prefix(&root).expect("below src").with_extension("");
                let mut module: Module = relative.iter().map(|part| part.to_str().expect("UTF-8").to_owned()).collect();
                if module.last().is_some_and(|last| last == "mod") {
                    module.pop();
                }
                let text = std::fs::read_to_string(&path).expect("a file");
                found.insert(module, without_tests(&text));
            }
        }
    }
    found.remove(&vec!["lib".to_owned()]);
    found
}

/// The code of a file: without its unit tests, and without comments.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Every path in a file that leads to another one, from the root of the crate. A facade may re-export what is below it.
fn paths(module: &Module, text: &str) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut expressions = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let is_facade = line.starts_with("pub use ") || line.starts_with("pub(crate) use ");
        if !is_facade && !line.starts_with("use ") {
            expressions.push_str(line);
            expressions.push('\n');
            continue;
        }
        let mut statement = line.to_owned();
        while !statement.ends_with(';') {
            statement.push_str(lines.next().expect("the end of a `use`"));
        }
        if !is_facade {
            let tree: String = statement.trim_start_matches("use ").trim_end_matches(';').split_whitespace().collect();
            leaves(&tree).into_iter().for_each(|leaf| found.extend(resolve(module, &leaf)));
        }
    }
    // Paths within expressions: `crate::a::b`, `super::a::b`, and those that begin with a module below this one.
    for word in expressions.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        let parts: Vec<String> = word.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let first = parts.first().map(String::as_str);
        let is_child = |name: &str| text.contains(&format!("mod {name};"));
        if word.contains("::") && first.is_some_and(is_child) {
            found.extend(resolve(module, &[vec!["self".to_owned()], parts].concat()));
        } else if word.contains("::") && matches!(first, Some("crate" | "super")) {
            found.extend(resolve(module, &parts));
        }
    }
    found
}

/// `a::{b, c::{d}}` as `a::b` and `a::c::d`.
fn leaves(tree: &str) -> Vec<Vec<String>> {
    let (prefix, inner) = match tree.split_once('{') {
        Some((prefix, inner)) => (prefix, inner.strip_suffix('}').expect("braces pair up")),
        None => return vec![tree.split("::").map(str::to_owned).collect()],
    };
    let prefix: Vec<String> = prefix.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let item = &inner[start..at];
                start = at + 1;
                if !item.is_empty() {
                    found.extend(leaves(item).into_iter().map(|leaf| [prefix.clone(), leaf].concat()));
                }
            }
            _ => {}
        }
    }
    found
}

/// A path from the root of the crate; `None` if it leads out of it.
fn resolve(module: &Module, path: &[String]) -> Option<Module> {
    let mut base = module.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        _ => return None,
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// The file that a path leads to: the longest beginning of it that is a file.
fn file_of<'m>(modules: &'m BTreeMap<Module, String>, path: &Module) -> Option<&'m Module> {
    (1..=path.len()).rev().find_map(|length| modules.get_key_value(&path[..length]).map(|(module, _)| module))
}
