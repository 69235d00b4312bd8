//! Runs the cases in `testdata`.

mod support;

use std::fs;
use std::path::Path;

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
