//! Regular expressions of checks, compiled once: that takes longer than most answers.

use std::collections::HashMap;
use std::sync::LazyLock;

use parking_lot::Mutex;
use regex::Regex;

/// How many are kept; beyond that all are compiled anew.
const KEPT_MAX: usize = 1024;

static COMPILED: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);

/// Returns a pattern ready for use.
///
/// Errors: it is none.
pub(crate) fn compiled(text: &str) -> Result<Regex, regex::Error> {
    if let Some(known) = COMPILED.lock().get(text) {
        return Ok(known.clone());
    }
    let regex = Regex::new(text)?;
    let mut all = COMPILED.lock();
    if all.len() >= KEPT_MAX {
        all.clear();
    }
    all.insert(text.to_owned(), regex.clone());
    Ok(regex)
}
