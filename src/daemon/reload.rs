//! Reads the configuration again when it was changed, on SIGHUP, or when somebody asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::Daemon;

/// How long a file must rest before it is read: editors write in several steps.
const REST: Duration = Duration::from_millis(300);

/// Applies changed configurations until `stop`.
pub(super) async fn run(
    daemon: Arc<Daemon>,
    mut asked: mpsc::Receiver<()>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let changed = Arc::new(Notify::new());
    let _watcher = match &daemon.config_path {
        Some(path) => Some(watch(path, Arc::clone(&changed))?),
        None => None,
    };
    let mut hangups = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = hangups.recv() => tracing::info!("SIGHUP: reading the configuration again"),
            Some(()) = asked.recv() => {}
            () = changed.notified() => {
                // Further changes within the rest leave a permit: one reload follows, not many.
                tokio::time::sleep(REST).await;
            }
        }
        daemon.reload().await;
    }
}

/// Notices changes of a file, or of the files in a folder. The folder is watched, since editors
/// put a new file in the old one's place.
fn watch(path: &Path, changed: Arc<Notify>) -> anyhow::Result<RecommendedWatcher> {
    let is_folder = path.is_dir();
    let folder: PathBuf = match (is_folder, path.parent()) {
        (true, _) => path.to_owned(),
        (false, Some(parent)) if !parent.as_os_str().is_empty() => parent.to_owned(),
        (false, _) => PathBuf::from("."),
    };
    let name = path.file_name().map(ToOwned::to_owned);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        let is_ours = |changed: &PathBuf| {
            if is_folder {
                changed.extension().is_some_and(|ending| ending == "toml")
            } else {
                changed.file_name() == name.as_deref()
            }
        };
        let is_change = !matches!(event.kind, notify::EventKind::Access(_));
        if is_change && event.paths.iter().any(is_ours) {
            changed.notify_one();
        }
    })
    .context("cannot watch files for changes")?;
    watcher
        .watch(&folder, RecursiveMode::NonRecursive)
        .with_context(|| format!("cannot watch {} for changes", folder.display()))?;
    Ok(watcher)
}
