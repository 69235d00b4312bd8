//! Runs the cases in `testdata`.

mod support;

use std::fs;
use std::path::Path;

#[test]
fn every_function_and_aggregation_has_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut cases = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        cases.extend(text.lines().filter(|l| !l.starts_with([' ', '#'])).flat_map(|l| [l, "\n"]));
    }
    let names = noroshi_expr::functions().iter().map(|function| function.name);
    for name in names.chain(noroshi_expr::aggregations().iter().map(|a| a.name)) {
        let is_called = |(at, _): (usize, &str)| {
            let is_start = !cases[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            is_start && cases[at + name.len()..].starts_with(['(', ' '])
        };
        assert!(cases.match_indices(name).any(is_called), "{name} has no case");
    }
}

#[test]
fn every_case_in_testdata_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let (mut failures, mut cases, mut files) = (Vec::new(), 0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "test") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (failed, ran) = support::run(&name, &fs::read_to_string(&path).unwrap());
        failures.extend(failed);
        cases += ran;
        files += 1;
    }
    assert!(failures.is_empty(), "{} of {cases} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(files >= 1 && cases >= 10, "{files} files, {cases} cases");
}
