//! `retention.json`: what a store was last opened with, for programs that open it without the
//! server's configuration. To open it with other classes would remove the rings of those that are
//! missing.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use noroshi_model::{Matcher, MatcherOp};
use serde::{Deserialize, Serialize};

use crate::config::{ArchiveSpec, RetentionClass, StoreConfig};
use crate::disk;

/// Name of the file.
pub(crate) const FILE: &str = "retention.json";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    classes: Vec<KeptClass>,
    disk_bytes_max: Option<u64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct KeptClass {
    name: String,
    /// Label, operator, value.
    matchers: Vec<(String, String, String)>,
    /// Step in milliseconds, rows.
    archives: Vec<(u64, u32)>,
    unknown_share_max: f64,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heartbeat: Option<u64>,
}

/// Writes the file, whole or not at all; nothing when it says so already.
pub(crate) fn write(directory: &Path, config: &StoreConfig) -> io::Result<()> {
    let text = serde_json::to_vec(&kept_of(config)).map_err(io::Error::other)?;
    let path = directory.join(FILE);
    if fs::read(&path).is_ok_and(|before| before == text) {
        return Ok(());
    }
    disk::replace(directory, FILE, &text)
}

/// Reads the file; the default when there is none: the folder is new, or from before there was one.
pub(crate) fn read(directory: &Path) -> io::Result<StoreConfig> {
    let text = match fs::read(directory.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(StoreConfig::default());
        }
        Err(error) => return Err(error),
    };
    let kept: Kept = serde_json::from_slice(&text)?;
    let classes = kept.classes.into_iter().map(class_of).collect::<io::Result<_>>()?;
    let disk_bytes_max = kept.disk_bytes_max;
    Ok(StoreConfig { classes, disk_bytes_max, ..StoreConfig::default() })
}

fn symbol(op: MatcherOp) -> &'static str {
    match op {
        MatcherOp::Equal => "=",
        MatcherOp::NotEqual => "!=",
        MatcherOp::Match => "=~",
        MatcherOp::NotMatch => "!~",
    }
}

fn kept_of(config: &StoreConfig) -> Kept {
    let matcher = |matcher: &Matcher| {
        let (name, op) = (matcher.name().to_owned(), symbol(matcher.op()).to_owned());
        (name, op, matcher.value().to_owned())
    };
    let class = |class: &RetentionClass| KeptClass {
        name: class.name.clone(),
        matchers: class.matchers.iter().map(matcher).collect(),
        archives: class
            .archives
            .iter()
            .map(|archive| (archive.step.as_millis() as u64, archive.rows))
            .collect(),
        unknown_share_max: class.unknown_share_max,
        heartbeat: class.heartbeat.map(|heartbeat| heartbeat.as_millis() as u64),
    };
    let classes = config.classes.iter().map(class).collect();
    Kept { classes, disk_bytes_max: config.disk_bytes_max }
}

fn class_of(kept: KeptClass) -> io::Result<RetentionClass> {
    let mut matchers = Vec::new();
    for (name, op, value) in &kept.matchers {
        let all = [MatcherOp::Equal, MatcherOp::NotEqual, MatcherOp::Match, MatcherOp::NotMatch];
        let op = all.into_iter().find(|known| symbol(*known) == op);
        let op = op.ok_or_else(|| io::Error::other("no such operator of a matcher"))?;
        matchers.push(Matcher::new(name, op, value).map_err(io::Error::other)?);
    }
    let archives = kept.archives.into_iter().map(|(step, rows)| {
        let step = Duration::from_millis(step);
        ArchiveSpec { step, rows }
    });
    Ok(RetentionClass {
        name: kept.name,
        matchers,
        archives: archives.collect(),
        unknown_share_max: kept.unknown_share_max,
        heartbeat: kept.heartbeat.map(Duration::from_millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_was_opened_with_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let before = read(folder.path()).unwrap();
        assert_eq!(kept_of(&before), kept_of(&StoreConfig::default()));
        let matchers = vec![
            Matcher::equal("job", "node"),
            Matcher::new("instance", MatcherOp::NotMatch, "web.*").unwrap(),
        ];
        let archives = vec![ArchiveSpec { step: Duration::from_secs(5), rows: 100 }];
        let name = "fine".to_owned();
        let heartbeat = Some(Duration::from_secs(90));
        let class = RetentionClass { name, matchers, archives, unknown_share_max: 0.5, heartbeat };
        let config = StoreConfig {
            classes: vec![class, RetentionClass::default()],
            disk_bytes_max: Some(7 << 30),
            ..StoreConfig::default()
        };
        write(folder.path(), &config).unwrap();
        assert_eq!(kept_of(&read(folder.path()).unwrap()), kept_of(&config));
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(read(folder.path()).is_err());
    }
}
