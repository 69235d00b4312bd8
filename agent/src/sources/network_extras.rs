//! Three small views of the network: packet processing by processor, neighbours, and connection
//! tracking.

use std::collections::BTreeMap;

use super::files::{Files, SourceError, number};
use super::{Metric, Output, Source};

/// Reads how each processor took packets from the network: `/proc/net/softnet_stat`.
pub(super) struct Softnet;

/// Column and metric.
///
/// Source: Linux, `net/core/net-procfs.c`, `softnet_seq_show`.
const SOFTNET_COLUMNS: [usize; 7] = [0, 1, 2, 8, 9, 10, 11];

/// The column with the processor's number, since Linux 5.10.
const SOFTNET_CPU_COLUMN: usize = 12;

const SOFTNET: [Metric; 7] = [
    Metric::counter("node_softnet_processed_total", "", "Packets processed."),
    Metric::counter("node_softnet_dropped_total", "", "Packets dropped: the queue was full."),
    Metric::counter(
        "node_softnet_times_squeezed_total",
        "",
        "How often time or budget ended before the packets.",
    ),
    Metric::counter("node_softnet_cpu_collision_total", "", "Collisions on a device's lock."),
    Metric::counter("node_softnet_received_rps_total", "", "Wake-ups by another processor."),
    Metric::counter("node_softnet_flow_limit_count_total", "", "How often the limit was hit."),
    Metric::gauge("node_softnet_backlog_len", "", "Packets that wait."),
];

impl Source for Softnet {
    fn name(&self) -> &'static str {
        "softnet"
    }

    fn metrics(&self) -> &'static [Metric] {
        &SOFTNET
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        for (line, text) in files.proc("net/softnet_stat")?.lines().enumerate() {
            let hex = |word| u64::from_str_radix(word, 16).ok();
            let columns: Option<Vec<u64>> = text.split_ascii_whitespace().map(hex).collect();
            let Some(columns) = columns else { continue };
            let cpu = columns.get(SOFTNET_CPU_COLUMN).copied().unwrap_or(line as u64).to_string();
            for (metric, column) in SOFTNET.iter().zip(SOFTNET_COLUMNS) {
                if let Some(value) = columns.get(column) {
                    out.push(metric.name, &[("cpu", &cpu)], *value as f64);
                }
            }
        }
        Ok(())
    }
}

/// Counts neighbours: `/proc/net/arp`.
pub(super) struct Arp;

const ARP: [Metric; 1] =
    [Metric::gauge("node_arp_entries", "", "Neighbours known on the interface.")];

impl Source for Arp {
    fn name(&self) -> &'static str {
        "arp"
    }

    fn metrics(&self) -> &'static [Metric] {
        &ARP
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        // The first line has the headings; the last column is the interface.
        for line in files.proc("net/arp")?.lines().skip(1) {
            if let Some(device) = line.split_ascii_whitespace().last() {
                *counts.entry(device.to_owned()).or_default() += 1;
            }
        }
        for (device, count) in counts {
            out.push("node_arp_entries", &[("device", &device)], f64::from(count));
        }
        Ok(())
    }
}

/// Reads connection tracking; a machine without it has no files.
pub(super) struct Conntrack;

const CONNTRACK: [Metric; 10] = [
    Metric::gauge("node_nf_conntrack_entries", "", "Connections tracked."),
    Metric::gauge("node_nf_conntrack_entries_limit", "", "Most connections that are tracked."),
    Metric::counter("node_nf_conntrack_stat_found", "", "Searches that found something."),
    Metric::counter("node_nf_conntrack_stat_invalid", "", "Packets that cannot be tracked."),
    Metric::counter("node_nf_conntrack_stat_ignore", "", "Packets that belong to a connection."),
    Metric::counter("node_nf_conntrack_stat_insert", "", "Entries added."),
    Metric::counter("node_nf_conntrack_stat_insert_failed", "", "Entries that were there."),
    Metric::counter("node_nf_conntrack_stat_drop", "", "Packets dropped: no entry could be made."),
    Metric::counter("node_nf_conntrack_stat_early_drop", "", "Entries dropped to make room."),
    Metric::counter("node_nf_conntrack_stat_search_restart", "", "Searches begun again."),
];

/// The headings in `/proc/net/stat/nf_conntrack` of the metrics after the first two.
const CONNTRACK_HEADINGS: [&str; 8] = [
    "found",
    "invalid",
    "ignore",
    "insert",
    "insert_failed",
    "drop",
    "early_drop",
    "search_restart",
];

impl Source for Conntrack {
    fn name(&self) -> &'static str {
        "conntrack"
    }

    fn metrics(&self) -> &'static [Metric] {
        &CONNTRACK
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        for (file, metric) in ["count", "max"].into_iter().zip(&CONNTRACK) {
            let path = format!("sys/net/netfilter/nf_conntrack_{file}");
            if let Some(value) = number(files.proc_line(&path)?) {
                out.push(metric.name, &[], value);
            }
        }
        // Newer kernels need not have the file.
        let Ok(text) = files.proc("net/stat/nf_conntrack") else { return Ok(()) };
        let mut lines = text.lines();
        let headings: Vec<&str> = lines.next().unwrap_or("").split_ascii_whitespace().collect();
        let rows: Vec<Vec<u64>> = lines.map(hex_row).collect();
        for (metric, wanted) in CONNTRACK[2..].iter().zip(CONNTRACK_HEADINGS) {
            if let Some(column) = headings.iter().position(|heading| *heading == wanted) {
                let sum: u64 = rows.iter().filter_map(|row| row.get(column)).sum();
                out.push(metric.name, &[], sum as f64);
            }
        }
        Ok(())
    }
}

/// Reads a row of one processor; what is no number ends it. 32 bits each, so that the sum fits.
fn hex_row(line: &str) -> Vec<u64> {
    let hex = |word| u32::from_str_radix(word, 16).ok().map(u64::from);
    line.split_ascii_whitespace().map_while(hex).collect()
}
