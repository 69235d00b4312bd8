//! Reads the configuration again when it was changed, on SIGHUP, or when somebody asks.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Daemon;
use crate::config;

/// How often the files are looked at; a changed one is read once it rested this long, since
/// editors write in several steps.
const REST: Duration = Duration::from_millis(300);

/// Applies changed configurations until `stop`.
pub(super) async fn run(
    daemon: Arc<Daemon>,
    mut asked: mpsc::Receiver<()>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let mut ticks = tokio::time::interval(REST);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_read = look(&daemon).await?;
    let mut seen = is_read.clone();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = hangups.recv() => {
                tracing::info!("SIGHUP: reading the configuration again");
                (is_read, seen) = look(&daemon).await.map(|now| (now.clone(), now))?;
            }
            Some(()) = asked.recv() => {
                (is_read, seen) = look(&daemon).await.map(|now| (now.clone(), now))?;
            }
            _ = ticks.tick() => {
                let now = look(&daemon).await?;
                let is_resting = now == seen;
                seen.clone_from(&now);
                if !is_resting || now == is_read {
                    continue;
                }
                is_read = now;
            }
        }
        daemon.reload().await;
    }
}

/// What tells that a file is another one than before. Files are looked at, not watched by the
/// kernel: that sees no change behind a symbolic link, in a folder put in the old one's place, or
/// on a network's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    /// Device, inode, bytes, and nanoseconds of the last change; `None`: not there.
    state: Option<(u64, u64, u64, i64, i64)>,
}

async fn look(daemon: &Daemon) -> anyhow::Result<Vec<Stamp>> {
    let path = daemon.config_path();
    Ok(tokio::task::spawn_blocking(move || path.map_or_else(Vec::new, |path| stamps(&path)))
        .await?)
}

fn stamps(path: &Path) -> Vec<Stamp> {
    let files = config::files_of(path).unwrap_or_default();
    let stamp = |file: PathBuf| {
        let state = fs::metadata(&file).ok().map(|found| {
            (found.dev(), found.ino(), found.len(), found.ctime(), found.ctime_nsec())
        });
        Stamp { path: file, state }
    };
    files.into_iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_change_a_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("noroshi.toml");
        let missing = stamps(&file);
        fs::write(&file, "[server]\n").unwrap();
        let written = stamps(&file);
        assert_ne!(written, missing);
        assert_eq!(stamps(&file), written);
        // An editor puts a new file of the same size in its place.
        let new = folder.path().join("new");
        fs::write(&new, "[macros]\n").unwrap();
        fs::rename(&new, &file).unwrap();
        assert_ne!(stamps(&file), written);
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let behind_link = stamps(&link);
        fs::write(&file, "[server]\n\n").unwrap();
        assert_ne!(stamps(&link), behind_link);
    }

    #[test]
    fn a_folder_that_is_made_again_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        fs::create_dir(&site).unwrap();
        fs::write(site.join("a.toml"), "").unwrap();
        let before = stamps(&site);
        fs::remove_dir_all(&site).unwrap();
        assert_ne!(stamps(&site), before);
        fs::create_dir(&site).unwrap();
        fs::write(site.join("a.toml"), "").unwrap();
        fs::write(site.join("b.toml"), "").unwrap();
        assert_eq!(stamps(&site).len(), 2);
    }
}
