//! The files of a configuration, and where in them something stands.
//!
//! The texts of all files stand one after the other in one space of offsets, so that a value which
//! a table inherited from another file still tells its own place.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file as it was read.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// All files of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// With the offset at which each begins, rising.
    files: Vec<(usize, SourceFile, Lines)>,
}

/// A file and where its lines begin: a site has thousands of hosts, each with its place.
#[derive(Debug)]
struct Lines {
    path: Arc<Path>,
    /// Offsets of the first bytes of all lines, rising.
    starts: Vec<usize>,
}

/// Where a table is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file.
    pub(crate) path: Arc<Path>,
    /// From 1.
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    /// Writes `file:line`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

impl Sources {
    /// Takes the files; returns with them the offset of each one's first byte.
    pub(crate) fn of(files: Vec<SourceFile>) -> (Self, Vec<usize>) {
        let mut sources = Self::default();
        let mut bases = Vec::with_capacity(files.len());
        let mut base = 0;
        for file in files {
            bases.push(base);
            // One byte between two files: the end of one is not the start of the next.
            let next = base + file.text.len() + 1;
            let lines = Lines { path: file.path.as_path().into(), starts: line_starts(&file.text) };
            sources.files.push((base, file, lines));
            base = next;
        }
        (sources, bases)
    }

    /// Returns the texts of the files.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(_, file, _)| file.text.as_str())
    }

    /// Makes a fault at a stretch of the texts.
    pub(crate) fn fault(&self, span: &Range<usize>, what: String, advice: String) -> Fault {
        match self.file_at(span.start) {
            Some((base, file, lines)) => {
                let (line, column) = lines.position(&file.text, span.start - base);
                Fault { path: file.path.clone(), line, column, what, advice }
            }
            None => Fault { path: PathBuf::new(), line: 0, column: 0, what, advice },
        }
    }

    /// Returns the folder of the file in which an offset stands: where its relative paths begin.
    pub(crate) fn folder_at(&self, offset: usize) -> &Path {
        let parent = self.file_at(offset).and_then(|(_, file, _)| file.path.parent());
        parent.unwrap_or(Path::new("."))
    }

    /// Returns the file and the line in which an offset stands.
    pub(crate) fn place(&self, offset: usize) -> Option<Place> {
        let (base, file, lines) = self.file_at(offset)?;
        let (line, _) = lines.position(&file.text, offset - base);
        Some(Place { path: Arc::clone(&lines.path), line })
    }

    fn file_at(&self, offset: usize) -> Option<(usize, &SourceFile, &Lines)> {
        let after = self.files.partition_point(|(base, ..)| *base <= offset);
        let (base, file, lines) = self.files.get(after.checked_sub(1)?)?;
        Some((*base, file, lines))
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    std::iter::once(0).chain(ends.map(|(end, _)| end + 1)).collect()
}

impl Lines {
    /// Returns line and column, from 1, of a byte offset; the end of the text for one beyond it.
    fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= end).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        (line, text[start..end].chars().count() + 1)
    }
}

/// Something wrong in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The file.
    pub(crate) path: PathBuf,
    /// From 1; 0 when it is about the whole file.
    pub(crate) line: usize,
    /// In characters, from 1; 0 when it is about the whole file.
    pub(crate) column: usize,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do; empty when `what` says it.
    pub(crate) advice: String,
}

impl fmt::Display for Fault {
    /// Writes `file:line:column: what; what to do`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.what)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, "; {}", self.advice) }
    }
}

impl SourceFile {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Fault> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(error) => Err(Fault {
                path: path.to_owned(),
                line: 0,
                column: 0,
                what: format!("cannot read the file: {error}"),
                advice: if error.kind() == std::io::ErrorKind::InvalidData {
                    "write it as UTF-8 text".to_owned()
                } else {
                    "check that it exists and that this user may read it".to_owned()
                },
            }),
        }
    }
}

/// Returns the candidate nearest to a mistyped word, when it is near enough to be meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let (distance, best) =
        candidates.into_iter().map(|candidate| (edits(word, candidate), candidate)).min()?;
    (distance * 2 < word.chars().count()).then_some(best)
}

/// Returns how many letters must be put in, taken out or exchanged, or neighbours swapped (optimal
/// string alignment: Levenshtein's distance with Damerau's swap, the most usual slip).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, other) in b.iter().enumerate() {
            let exchange = last[j] + usize::from(letter != other);
            row[j + 1] = exchange.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == b[j - 1] && a[i - 1] == *other {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_in_lines_and_characters() {
        let file = SourceFile { path: "a.toml".into(), text: "é = 1\nbad = 2\n".into() };
        let other = SourceFile { path: "b.toml".into(), text: "c = 3\n".into() };
        let (sources, bases) = Sources::of(vec![file, other]);
        let fault = |start: usize| sources.fault(&(start..start + 1), "x".into(), "do y".into());
        assert_eq!(fault(0).to_string(), "a.toml:1:1: x; do y");
        assert_eq!(fault(3).to_string(), "a.toml:1:3: x; do y");
        assert_eq!(fault(7).to_string(), "a.toml:2:1: x; do y");
        assert_eq!(fault(15).to_string(), "a.toml:3:1: x; do y");
        assert_eq!(fault(bases[1]).to_string(), "b.toml:1:1: x; do y");
        assert_eq!(fault(999).to_string(), "b.toml:2:1: x; do y");
    }

    #[test]
    fn a_mistyped_word_finds_its_neighbour() {
        let words = ["interval", "timeout", "attempts"];
        assert_eq!(nearest("intervall", words), Some("interval"));
        assert_eq!(nearest("tiemout", words), Some("timeout"));
        assert_eq!(nearest("tpc", ["tcp", "ftp"]), Some("tcp"), "a swap is one slip");
        assert_eq!(nearest("colour", words), None);
    }
}
