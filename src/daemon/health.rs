//! Whether the store takes everything in: a check of the server's own machine, handed in here so
//! that it also speaks when nothing else can be measured. A store that has ended ends the server.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use noroshi_checks::PassiveResult;
use noroshi_model::quantity::format_value;
use noroshi_model::{CheckId, Origin, Status};
use noroshi_store::StoreStats;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Daemon;
use crate::config;

/// How often the store is looked at: a full disk is told within this time.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// While nothing changes the result is handed in this often.
const TELL_EVERY: Duration = Duration::from_mins(1);
/// Looks that are compared: what was refused within five minutes counts.
const LOOKS: usize = 60;

impl Daemon {
    /// Tells how the store is, until `stop`. Errors: a thread of the store has ended.
    pub(super) async fn watch_store(&self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut looks: VecDeque<StoreStats> = VecDeque::new();
        let mut told: Option<(Status, Instant)> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            if let Some(thread) = self.store.ended_thread() {
                bail!(
                    "the thread {thread} ended by a fault, told above; nothing could be kept any \
                     more, so the server ends and is to be started again"
                );
            }
            let now = self.store.stats();
            let before = looks.front().unwrap_or(&now);
            let (status, output) = verdict(&now, before, &self.data);
            looks.push_back(now);
            if looks.len() > LOOKS {
                looks.pop_front();
            }
            let is_news = told.is_none_or(|(last, at)| last != status || at.elapsed() > TELL_EVERY);
            if is_news && self.hand_in(config::STORE_CHECK, status, output).await {
                told = Some((status, Instant::now()));
            }
        }
    }

    /// Hands in the result of a check of the server's own machine; tells whether it was taken.
    pub(super) async fn hand_in(&self, check: &str, status: Status, output: String) -> bool {
        let host = self.applied.lock().await.config.local.name.clone();
        let id = CheckId::check(&host, check);
        let result = PassiveResult { id, status, output, at: None, origin: Origin::Passive };
        let taken = self.checks.submit(result).await;
        if let Err(error) = &taken {
            tracing::debug!(%error, check, "no check shows this");
        }
        taken.is_ok()
    }
}

/// Judges the store by what it is now and what it was some minutes ago.
fn verdict(now: &StoreStats, before: &StoreStats, data: &Path) -> (Status, String) {
    let bytes = |bytes: u64| format_value(bytes as f64, "bytes");
    if now.is_broken {
        let output = "the disk failed a write: nothing is taken in until the server is started \
                      again. Agents keep what they measure.\nLook for the cause in the kernel's \
                      log (dmesg) and in the server's own.";
        return (Status::Critical, output.to_owned());
    }
    if now.is_disk_full {
        let output = format!(
            "the disk of {} is full: {} are free, less than the {} that the store needs to work. \
             Nothing is taken in.\nFree some space or enlarge the file system; the server goes on \
             by itself then. Agents and remote writers keep what they have and send it later; \
             what is polled meanwhile is lost.",
            data.display(),
            bytes(now.disk_free_bytes),
            bytes(now.disk_reserve_bytes),
        );
        return (Status::Critical, output);
    }
    let lines = complaints(now, before);
    if lines.is_empty() {
        let used = bytes(now.used_bytes());
        let (planned, free) = (bytes(now.planned_bytes), bytes(now.disk_free_bytes));
        let output = format!(
            "everything is taken in: {} series, {used} of {planned} planned on disk, {free} free",
            now.series,
        );
        return (Status::Ok, output);
    }
    (Status::Warning, lines.join("\n"))
}

/// Says what was refused or went wrong between two looks.
fn complaints(now: &StoreStats, before: &StoreStats) -> Vec<String> {
    let bytes = |bytes: u64| format_value(bytes as f64, "bytes");
    let mut lines = Vec::new();
    let grown = |of: fn(&StoreStats) -> u64| of(now).saturating_sub(of(before));
    let over_budget = grown(|stats| stats.over_budget);
    if over_budget > 0 {
        lines.push(format!(
            "no room for {} new series ({over_budget} samples refused in five minutes): the {} \
             that are there may take {} of at most {}; raise [store] disk_max, keep less, or \
             enlarge the disk",
            now.series_refused,
            now.series,
            bytes(now.planned_bytes),
            bytes(now.budget_bytes),
        ));
    }
    let in_future = grown(|stats| stats.in_future);
    if in_future > 0 {
        lines.push(format!(
            "{in_future} samples refused in five minutes because they are in the future: the clock \
             of a host is ahead, or the server's is behind"
        ));
    }
    let too_old = grown(|stats| stats.too_old);
    if too_old > 0 {
        lines.push(format!(
            "{too_old} samples dropped in five minutes because they are older than the first \
             archive reaches back: a host was cut off for long, or its clock is behind"
        ));
    }
    let failures = grown(|stats| stats.checkpoint_failures);
    if failures > 0 && now.checkpoints == before.checkpoints {
        lines.push(format!(
            "{failures} checkpoints failed in five minutes: the journal keeps everything and \
             grows; the server's log says why"
        ));
    }
    if now.damaged_blocks > before.damaged_blocks {
        lines.push(format!(
            "{} damaged blocks were met since the start and left out: the server's log names the \
             series; is the disk failing?",
            now.damaged_blocks
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use noroshi_store::{Store, StoreConfig};

    use super::*;
    use crate::clock::SystemClock;

    fn stats() -> StoreStats {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let (store, _) = Store::open(folder.path(), StoreConfig::default(), clock).unwrap();
        StoreStats { is_disk_full: false, ..store.stats() }
    }

    #[test]
    fn what_is_wrong_with_the_store_is_named_with_what_to_do() {
        let quiet = stats();
        let judge = |now: &StoreStats| verdict(now, &quiet, Path::new("/data"));
        assert_eq!(judge(&quiet).0, Status::Ok);
        let full = StoreStats {
            is_disk_full: true,
            disk_free_bytes: 3 << 20,
            disk_reserve_bytes: 256 << 20,
            ..quiet.clone()
        };
        let (status, output) = judge(&full);
        assert_eq!(status, Status::Critical);
        for word in ["/data", "3", "256", "Free some space", "by itself"] {
            assert!(output.contains(word), "{output}");
        }
        let broken = StoreStats { is_broken: true, ..quiet.clone() };
        assert_eq!(judge(&broken).0, Status::Critical);
        let cases = [
            (
                StoreStats { over_budget: 70, series_refused: 7, ..quiet.clone() },
                "7 new series (70",
            ),
            (StoreStats { in_future: 3, ..quiet.clone() }, "3 samples refused"),
            (StoreStats { too_old: 5, ..quiet.clone() }, "5 samples dropped"),
            (StoreStats { checkpoint_failures: 2, ..quiet.clone() }, "2 checkpoints failed"),
            (StoreStats { damaged_blocks: 1, ..quiet.clone() }, "1 damaged blocks"),
        ];
        for (now, words) in cases {
            let (status, output) = judge(&now);
            assert!(status == Status::Warning && output.contains(words), "{output}");
            // What was so before is not news, but for a problem of the moment.
            assert_eq!(verdict(&now, &now, Path::new("/data")).0, Status::Ok);
        }
    }
}
