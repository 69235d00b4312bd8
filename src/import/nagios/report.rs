//! What could not be carried over, with its places.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The file.
    pub(super) file: Arc<Path>,
    /// The line, from 1; of a joined line the first.
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Notes in the order of files and lines. What a template says for a thousand services is one note.
#[derive(Debug, Default)]
pub(crate) struct Notes(BTreeSet<(Place, String)>);

impl Notes {
    /// Notes what was not carried over from a place.
    pub(super) fn add(&mut self, place: &Place, what: impl Into<String>) {
        self.0.insert((place.clone(), what.into()));
    }

    /// Returns how many notes there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the notes as lines `file:line: what`.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(place, what)| format!("{place}: {what}"))
    }
}
