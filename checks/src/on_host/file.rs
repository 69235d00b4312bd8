//! Files: whether they are there, how many, how old and how large. None is opened.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use noroshi_model::quantity::{format_duration, format_value};
use noroshi_model::{Status, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Ground, Verdict, expected};

/// How many entries of folders are looked at for one pattern.
const ENTRIES_MAX: usize = 20_000;

/// Which files must be there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileLook {
    /// From `/` on; `*` and `?` stand for any letters but `/`.
    pub path: String,
    /// How many there must be at least.
    pub min: u32,
    /// How many there may be at most.
    pub max: Option<u32>,
    /// How old the newest may be, in seconds since its last change: for warning.
    pub age_warning: Option<f64>,
    /// For critical.
    pub age_critical: Option<f64>,
    /// How large the newest must be at least, in bytes.
    pub size_min: Option<f64>,
    /// How large the newest may be, in bytes.
    pub size_max: Option<f64>,
}

/// A file that is there.
struct Found {
    path: PathBuf,
    modified: Timestamp,
    bytes: u64,
}

impl FileLook {
    pub(super) fn fault(&self) -> Option<String> {
        let path = Path::new(&self.path);
        let has_steps = path.components().any(|part| part == Component::ParentDir);
        (!path.is_absolute() || has_steps)
            .then(|| format!("{:?} is no path from / on without ..", self.path))
    }

    pub(super) fn look(&self, ground: &Ground) -> Result<(Status, String), String> {
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        let folders = self.folders(ground)?;
        let mut paths = Vec::new();
        let mut entries = ENTRIES_MAX;
        let parts: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        expand(PathBuf::from("/"), &parts, &mut paths, &mut entries)?;
        let mut found = Vec::new();
        for path in paths {
            // Where a link leads counts, not where it stands.
            let Ok(real) = fs::canonicalize(&path) else { continue };
            if !folders.as_ref().is_none_or(|folders| folders.iter().any(|f| real.starts_with(f))) {
                return Err(format!("{} leads out of the folders it may be in", path.display()));
            }
            let Ok(metadata) = fs::metadata(&real) else { continue };
            let since = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let millis = since.unwrap_or_default().as_millis() as i64;
            let modified = Timestamp::from_secs(0) + Duration::from_millis(millis as u64);
            found.push(Found { path, modified, bytes: metadata.len() });
        }
        Ok(self.judge(&found, ground.now))
    }

    /// Returns the allowed folders as they really are; `None`: all are.
    fn folders(&self, ground: &Ground) -> Result<Option<Vec<PathBuf>>, String> {
        let Some(folders) = &ground.folders else { return Ok(None) };
        // The part before the first wildcard tells where the look begins.
        let fixed = self.path.split(['*', '?']).next().unwrap_or_default();
        let begins = |folder: &&PathBuf| {
            let folder = folder.to_string_lossy();
            let folder = folder.trim_end_matches('/');
            fixed.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !folders.iter().any(|folder| begins(&folder)) {
            let folder = Path::new(fixed).parent().unwrap_or(Path::new("/"));
            return Err(format!(
                "the agent may not look at {}: its config needs files = [{:?}]",
                self.path,
                folder.display().to_string()
            ));
        }
        Ok(Some(folders.iter().filter_map(|folder| fs::canonicalize(folder).ok()).collect()))
    }

    fn judge(&self, found: &[Found], now: Timestamp) -> (Status, String) {
        let is_pattern = self.path.contains(['*', '?']);
        let mut verdict = Verdict::default();
        verdict.measure("files", &found.len().to_string(), (None, None));
        let counted = match (is_pattern, found.len()) {
            (false, 0) => format!("{} does not exist", self.path),
            (false, _) => format!("{} exists", self.path),
            (true, 0) => format!("nothing matches {}", self.path),
            (true, 1) => format!("1 file matches {}", self.path),
            (true, count) => format!("{count} files match {}", self.path),
        };
        if let Some(expected) = expected(found.len(), self.min, self.max) {
            let text = if is_pattern { format!("{counted}; {expected}") } else { counted.clone() };
            verdict.worsen(Status::Critical, text);
        }
        let Some(newest) = found.iter().max_by_key(|file| file.modified) else {
            return verdict.print(counted);
        };
        let name = newest.path.display();
        let age = now.since(newest.modified);
        let span = |seconds: f64| format_duration(Duration::from_secs_f64(seconds));
        let bytes = |value: f64| format_value(value, "bytes");
        let (seconds, size) = (age.as_secs_f64(), newest.bytes as f64);
        let limits = (self.age_warning, self.age_critical);
        verdict.limit(seconds, limits, &format!("{name} is {} old", format_duration(age)), span);
        verdict.limit(size, (None, self.size_max), &format!("{name} has {}", bytes(size)), bytes);
        if let Some(least) = self.size_min.filter(|least| size < *least) {
            let text = format!("{name} has {}, at least {} expected", bytes(size), bytes(least));
            verdict.worsen(Status::Critical, text);
        }
        verdict.measure("age", &format!("{seconds:.0}s"), limits);
        verdict.measure("size", &format!("{size}B"), (None, self.size_max));
        let about = format!("{} old, {}", format_duration(age), bytes(size));
        let fine = if is_pattern {
            format!("{counted}, newest {name}: {about}")
        } else {
            format!("{name}: {about}")
        };
        verdict.print(fine)
    }
}

/// Finds what a pattern means, part by part.
fn expand(
    base: PathBuf,
    parts: &[&str],
    found: &mut Vec<PathBuf>,
    entries: &mut usize,
) -> Result<(), String> {
    let Some((part, rest)) = parts.split_first() else {
        found.push(base);
        return Ok(());
    };
    if !part.contains(['*', '?']) {
        return expand(base.join(part), rest, found, entries);
    }
    let listing = match fs::read_dir(&base) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(format!("may not list {}", base.display()));
        }
        Err(_) => return Ok(()),
    };
    for entry in listing.flatten() {
        *entries = entries
            .checked_sub(1)
            .ok_or_else(|| format!("more than {ENTRIES_MAX} entries; write a narrower path"))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // As in a shell, what begins with a dot must be named.
        let is_hidden = name.starts_with('.') && !part.starts_with('.');
        if !is_hidden && matches(part.as_bytes(), name.as_bytes()) {
            expand(entry.path(), rest, found, entries)?;
        }
    }
    Ok(())
}

/// Tells whether a name fits a pattern of `*` and `?`; linear but for one step back.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, n) = (at + 1, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}
