//! The rules of the house that a program can check.
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms a room may depend on: the arrows of ARCHITECTURE.md.
const ARROWS: [(&str, &[&str]); 10] = [
    ("model", &[]),
    ("expr", &["model"]),
    ("graph", &["model"]),
    ("store", &["model", "expr"]),
    ("checks", &["model", "expr"]),
    ("collector", &["model"]),
    ("alerts", &["model", "expr", "graph"]),
    ("web", &["model", "expr", "graph", "store", "checks", "collector", "alerts"]),
    ("agent", &["model", "checks"]),
    (".", &["model", "expr", "graph", "store", "checks", "collector", "alerts", "web", "agent"]),
];

/// Rooms that may not wait, read files, open sockets or ask for the time.
const PURE_ROOMS: [&str; 3] = ["model", "expr", "graph"];

/// What the pure rooms may not name.
const IMPURE_WORDS: [&str; 6] =
    ["tokio", "std::fs", "std::net", "std::process", "SystemTime::now", "std::env"];

const FILE_LINES_MAX: usize = 500;
const LINE_CHARACTERS_MAX: usize = 100;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every file of the project's own with this ending, tests included.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let foreign = ["target", "node_modules", "output", "noroshi-data"];
            if !path.is_dir() {
                if name.ends_with(ending) {
                    found.push(path);
                }
            } else if !name.starts_with('.') && !foreign.contains(&name.as_str()) {
                folders.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {ending} files below {}", root().display());
    found
}

/// Returns a path as it is written from the project's root.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Tells whether a file holds tests or benchmarks only.
fn is_test_file(path: &Path) -> bool {
    let shown = shown(path);
    let folders = ["tests/", "benches/", "fuzz/", "examples/"];
    shown.ends_with("tests.rs")
        || shown.contains(".test.ts")
        || folders.iter().any(|f| shown.starts_with(f) || shown.contains(&format!("/{f}")))
}

/// Returns the lines of a Rust file before its inline tests.
fn code_of(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

#[test]
fn arrows_between_rooms_go_strictly_down() {
    let mut faults = Vec::new();
    for (room, allowed) in ARROWS {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        let package = manifest.split("[package]").nth(1).unwrap();
        let dependencies = package.split("[dependencies]").nth(1).unwrap();
        for line in dependencies.split("\n[").next().unwrap().lines() {
            let Some(target) = line.strip_prefix("noroshi-") else { continue };
            let target = target.split(['.', ' ']).next().unwrap();
            if !allowed.contains(&target) {
                faults.push(format!("{room} -> {target}"));
            }
        }
    }
    assert!(faults.is_empty(), "arrows that ARCHITECTURE.md does not allow: {faults:?}");
}

#[test]
fn pure_rooms_stay_pure() {
    let mut faults = Vec::new();
    for path in files(".rs").iter().filter(|path| !is_test_file(path)) {
        let place = shown(path);
        if !PURE_ROOMS.iter().any(|room| place.starts_with(&format!("{room}/src/"))) {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        for line in code_of(&text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            if let Some(word) = IMPURE_WORDS.iter().find(|word| line.contains(*word)) {
                faults.push(format!("{place}: {word}"));
            }
        }
    }
    assert!(faults.is_empty(), "not allowed in {PURE_ROOMS:?}: {faults:#?}");
}

#[test]
fn sled_is_named_in_one_file_of_the_store() {
    let names_sled = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .any(|line| line.contains(" sled::") || line.contains("(sled::"))
    };
    let named: Vec<String> = files(".rs")
        .iter()
        .filter(|path| !is_test_file(path) && names_sled(path))
        .map(|path| shown(path))
        .collect();
    assert!(named.len() == 1 && named[0].starts_with("store/src/"), "sled is named in {named:?}");
}

#[test]
fn files_and_lines_are_not_too_long() {
    let mut faults = Vec::new();
    for path in [files(".rs"), files(".ts"), files(".tsx")].concat() {
        if is_test_file(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines = code_of(&text).lines().count();
        if lines > FILE_LINES_MAX {
            faults.push(format!("{}: {lines} lines", shown(&path)));
        }
        // The browser program's lines are its own linter's affair.
        let is_rust = path.extension().is_some_and(|ending| ending == "rs");
        for (index, line) in text.lines().enumerate().filter(|_| is_rust) {
            // A long text in quotes cannot be broken by the formatter.
            if line.chars().count() > LINE_CHARACTERS_MAX && !line.contains(['"', '`', '<', '[']) {
                faults.push(format!("{}:{}: line too long", shown(&path), index + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = files(".rs")
        .iter()
        .filter(|path| !is_test_file(path))
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!"))
        .map(|path| shown(path))
        .collect();
    assert!(silent.is_empty(), "without a first `//!` line: {silent:#?}");
}

#[test]
fn tests_are_neither_skipped_nor_unfinished() {
    // Written in two pieces so that this file does not hold what it looks for.
    let words = [["#[", "ignore"], ["#[", "should_panic"], ["todo", "!("], ["FIX", "ME"]];
    let mut faults = Vec::new();
    for path in files(".rs") {
        let text = fs::read_to_string(&path).unwrap();
        for word in words.iter().map(|word| word.concat()) {
            if text.contains(&word) {
                faults.push(format!("{}: {word}", shown(&path)));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn names_in_the_architecture_document_exist() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(document.lines().count() <= 250, "ARCHITECTURE.md is over 250 lines");
    let sources: Vec<String> = [files(".rs"), files(".ts"), files(".tsx")]
        .concat()
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut missing = Vec::new();
    for name in document.split('`').skip(1).step_by(2) {
        let is_path = name.contains('/') && !name.contains([' ', '$']) && !name.starts_with('/');
        let is_type = name.starts_with(char::is_uppercase)
            && name.chars().all(|letter| letter.is_alphanumeric() || letter == ':');
        let word = name.rsplit("::").next().unwrap_or(name);
        let exists_as_type = || sources.iter().any(|text| text.contains(word));
        if (is_path && !root().join(name).exists()) || (is_type && !exists_as_type()) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md names what does not exist: {missing:?}");
}

#[test]
fn the_changelog_has_an_open_section_on_top() {
    let text = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let first = text.lines().find(|line| line.starts_with("## ")).unwrap();
    assert_eq!(first, "## Unreleased");
}
