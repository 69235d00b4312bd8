//! What the store, the polls and the agents' door measure of themselves.

use std::time::Duration;

use noroshi_store::StoreStats;

use super::Page;
use crate::app::App;

/// Writes the store's counters.
pub(super) fn store(app: &App, page: &mut Page) {
    let stats = app.deps.store.stats();
    let name = "noroshi_store_samples_total";
    page.metric(name, "counter", "Samples since the start by what became of them.");
    let fates = [
        ("taken", stats.samples),
        ("repeated", stats.repeated),
        ("late", stats.late),
        ("too_old", stats.too_old),
        ("in_future", stats.in_future),
        ("over_budget", stats.over_budget),
    ];
    for (result, count) in fates {
        page.sample(name, &[("result", result)], count as f64);
    }
    for (name, help, count) in store_counters(&stats) {
        page.single(name, "counter", help, count as f64);
    }
    let help = "Time spent in fdatasync for the journal.";
    let synced = stats.sync_time.as_secs_f64();
    page.single("noroshi_store_sync_seconds_total", "counter", help, synced);
    for (name, help, value) in store_gauges(&stats) {
        page.single(name, "gauge", help, value);
    }
    let rings = |page: &mut Page, name, help, value: fn(&noroshi_store::RingStats) -> u64| {
        page.metric(name, "gauge", help);
        for ring in &stats.rings {
            let step = ring.step.as_secs().to_string();
            let labels = [("class", ring.class.as_str()), ("step_seconds", &step)];
            page.sample(name, &labels, value(ring) as f64);
        }
    };
    rings(page, "noroshi_store_ring_bytes", "Bytes of an archive's file.", |ring| ring.bytes);
    let help = "Bytes that an archive may have by plan.";
    rings(page, "noroshi_store_ring_planned_bytes", help, |ring| ring.planned_bytes);
}

fn store_counters(stats: &StoreStats) -> [(&'static str, &'static str, u64); 9] {
    [
        ("noroshi_store_batches_total", "Batches taken in.", stats.batches),
        ("noroshi_store_refused_total", "Batches refused as a whole.", stats.refused),
        (
            "noroshi_store_journal_written_bytes_total",
            "Bytes written to the journal.",
            stats.journal_written_bytes,
        ),
        ("noroshi_store_syncs_total", "Calls of fdatasync for the journal.", stats.syncs),
        ("noroshi_store_blocks_total", "Blocks written to rings.", stats.blocks),
        (
            "noroshi_store_damaged_blocks_total",
            "Damaged blocks that were met and left out.",
            stats.damaged_blocks,
        ),
        (
            "noroshi_store_overwritten_early_total",
            "Extents overwritten before their time.",
            stats.overwritten_early,
        ),
        ("noroshi_store_checkpoints_total", "Checkpoints written.", stats.checkpoints),
        (
            "noroshi_store_checkpoint_failures_total",
            "Checkpoints that failed.",
            stats.checkpoint_failures,
        ),
    ]
}

fn store_gauges(stats: &StoreStats) -> [(&'static str, &'static str, f64); 10] {
    [
        ("noroshi_store_series", "Series that are known.", stats.series as f64),
        (
            "noroshi_store_queue_samples",
            "Samples that wait for the writer.",
            stats.queue_samples as f64,
        ),
        (
            "noroshi_store_journal_bytes",
            "Bytes in the journal: what a restart would read.",
            stats.journal_bytes as f64,
        ),
        ("noroshi_store_catalogue_bytes", "Bytes of the catalogue.", stats.catalogue_bytes as f64),
        (
            "noroshi_store_checkpoint_bytes",
            "Bytes of the last checkpoint: what is in memory and in no ring.",
            stats.checkpoint_bytes as f64,
        ),
        (
            "noroshi_store_planned_bytes",
            "Bytes that all series may take by plan.",
            stats.planned_bytes as f64,
        ),
        ("noroshi_store_disk_free_bytes", "Bytes free on the disk.", stats.disk_free_bytes as f64),
        (
            "noroshi_store_disk_full",
            "1 while nothing is taken in because the disk is nearly full.",
            f64::from(u8::from(stats.is_disk_full)),
        ),
        (
            "noroshi_store_broken",
            "1 while nothing is taken in because the disk failed.",
            f64::from(u8::from(stats.is_broken)),
        ),
        (
            "noroshi_store_checkpoint_pause_seconds_max",
            "Longest time that a checkpoint kept the writer.",
            seconds(stats.checkpoint_pause_max),
        ),
    ]
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Writes what became of results whose senders hear no answer.
pub(super) fn handed_in(app: &App, page: &mut Page) {
    let name = "noroshi_handed_in_total";
    let help = "Results by NSCA, command file and result files since the start, by their fate.";
    page.metric(name, "counter", help);
    for (road, fate, count) in app.deps.checks.handed_in().counts() {
        page.sample(name, &[("road", road.as_str()), ("result", fate.as_str())], count as f64);
    }
}

/// Writes how the polls go.
pub(super) fn polls(app: &App, page: &mut Page) {
    let polls = app.deps.collector.status();
    page.metric("noroshi_polls", "gauge", "Targets that are polled, by how the last poll went.");
    let failing = polls.iter().filter(|poll| poll.failure.is_some()).count();
    let pending = polls.iter().filter(|poll| poll.last_run.is_none()).count();
    let fine = polls.len().saturating_sub(failing + pending);
    for (state, count) in [("ok", fine), ("failing", failing), ("pending", pending)] {
        page.sample("noroshi_polls", &[("state", state)], count as f64);
    }
    let name = "noroshi_polls_total";
    page.metric(name, "counter", "Polls since the start by what became of them.");
    let runs: u64 = polls.iter().map(|poll| poll.runs).sum();
    let failures: u64 = polls.iter().map(|poll| poll.failures).sum();
    let skipped: u64 = polls.iter().map(|poll| poll.skipped).sum();
    let fates = [("ok", runs.saturating_sub(failures)), ("failed", failures), ("skipped", skipped)];
    for (result, count) in fates {
        page.sample(name, &[("result", result)], count as f64);
    }
}

/// Writes how agents report.
pub(super) fn agents(app: &App, page: &mut Page) {
    let agents = app.deps.ingest.agents();
    let help = "Agents that have reported since the start.";
    page.single("noroshi_agents", "gauge", help, agents.len() as f64);
    let frames: u64 = agents.iter().map(|agent| agent.frames).sum();
    page.single("noroshi_agent_frames_total", "counter", "Frames taken in.", frames as f64);
    let missing: u64 = agents.iter().map(|agent| agent.frames_missing).sum();
    let help = "Frames that agents numbered and that did not come.";
    page.single("noroshi_agent_frames_missing_total", "counter", help, missing as f64);
}
