//! What disks did: `/proc/diskstats`.

use std::collections::BTreeMap;

use super::files::{Files, SourceError, number};
use super::{Metric, Output, Source};

/// Bytes of a sector in `/proc/diskstats`, whatever the disk's own.
///
/// Source: Linux, `include/linux/blk_types.h`, `SECTOR_SIZE`.
const SECTOR_BYTES: f64 = 512.0;

/// Milliseconds in seconds.
const MILLIS: f64 = 1e-3;

/// Fewer columns have only partitions of kernels before 2.6.25.
const COLUMNS_MIN: usize = 11;

/// `node_disk_info`, and then the columns after the name.
///
/// Source: Linux, `Documentation/admin-guide/iostats.rst`.
const METRICS: [Metric; 18] = [
    Metric::gauge("node_disk_info", "", "1 for each disk, with what it is."),
    Metric::counter("node_disk_reads_completed_total", "", "Reads that ended well."),
    Metric::counter("node_disk_reads_merged_total", "", "Reads that were joined to others."),
    Metric::counter("node_disk_read_bytes_total", "bytes", "Bytes read."),
    Metric::counter("node_disk_read_time_seconds_total", "seconds", "Time of all reads together."),
    Metric::counter("node_disk_writes_completed_total", "", "Writes that ended well."),
    Metric::counter("node_disk_writes_merged_total", "", "Writes that were joined to others."),
    Metric::counter("node_disk_written_bytes_total", "bytes", "Bytes written."),
    Metric::counter(
        "node_disk_write_time_seconds_total",
        "seconds",
        "Time of all writes together.",
    ),
    Metric::gauge("node_disk_io_now", "", "Reads and writes under way."),
    Metric::counter(
        "node_disk_io_time_seconds_total",
        "seconds",
        "Time in which something was under way.",
    ),
    Metric::counter(
        "node_disk_io_time_weighted_seconds_total",
        "seconds",
        "Time in which something was under way, times how much.",
    ),
    Metric::counter("node_disk_discards_completed_total", "", "Discards that ended well."),
    Metric::counter("node_disk_discards_merged_total", "", "Discards that were joined to others."),
    Metric::counter("node_disk_discarded_sectors_total", "", "Sectors discarded."),
    Metric::counter(
        "node_disk_discard_time_seconds_total",
        "seconds",
        "Time of all discards together.",
    ),
    Metric::counter("node_disk_flush_requests_total", "", "Flushes that ended well."),
    Metric::counter(
        "node_disk_flush_requests_time_seconds_total",
        "seconds",
        "Time of all flushes together.",
    ),
];

/// By what the columns are multiplied.
const SCALES: [f64; 17] = [
    1.0,
    1.0,
    SECTOR_BYTES,
    MILLIS,
    1.0,
    1.0,
    SECTOR_BYTES,
    MILLIS,
    1.0,
    MILLIS,
    MILLIS,
    1.0,
    1.0,
    1.0,
    MILLIS,
    1.0,
    MILLIS,
];

/// Reads disks; remembers what udev says of each.
#[derive(Default)]
pub(super) struct Diskstats {
    /// By name, major and minor number.
    kinds: BTreeMap<[String; 3], DiskKind>,
}

/// What a disk is, as far as udev knows; empty where it does not.
#[derive(Clone, Default)]
struct DiskKind {
    model: String,
    path: String,
    revision: String,
    serial: String,
    wwn: String,
}

impl Source for Diskstats {
    fn name(&self) -> &'static str {
        "diskstats"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let mut disks = Vec::new();
        for line in files.proc("diskstats")?.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(major), Some(minor), Some(device)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            if is_skipped(device) {
                continue;
            }
            // A line that is cut short or odd is one disk less, not all of them.
            let columns: Option<Vec<f64>> = words.map(number).collect();
            let Some(columns) = columns.filter(|columns| columns.len() >= COLUMNS_MIN) else {
                continue;
            };
            for ((column, scale), metric) in columns.iter().zip(SCALES).zip(&METRICS[1..]) {
                // Division keeps 1.292 what it is; times 0.001 it would not.
                let value = if scale == MILLIS { column / 1000.0 } else { column * scale };
                out.push(metric.name, &[("device", device)], value);
            }
            disks.push([device, major, minor].map(str::to_owned));
        }
        self.kinds.retain(|disk, _| disks.contains(disk));
        for disk in disks {
            self.push_info(disk, files, out);
        }
        Ok(())
    }
}

impl Diskstats {
    fn push_info(&mut self, disk: [String; 3], files: &mut Files, out: &mut Output) {
        let [device, major, minor] = disk.clone();
        let kind = self.kinds.entry(disk).or_insert_with(|| {
            let path = files.root_path(&format!("run/udev/data/b{major}:{minor}"));
            files.read(&path).map(parse_udev).unwrap_or_default()
        });
        let labels = [
            ("device", device.as_str()),
            ("major", &major),
            ("minor", &minor),
            ("model", &kind.model),
            ("path", &kind.path),
            ("revision", &kind.revision),
            ("serial", &kind.serial),
            ("wwn", &kind.wwn),
        ];
        out.push("node_disk_info", &labels, 1.0);
    }
}

/// Reads udev's database: lines `E:KEY=VALUE`.
fn parse_udev(text: &str) -> DiskKind {
    let mut kind = DiskKind::default();
    for line in text.lines() {
        let Some((key, value)) = line.strip_prefix("E:").and_then(|e| e.split_once('=')) else {
            continue;
        };
        let place = match key {
            "ID_MODEL" => &mut kind.model,
            "ID_PATH" => &mut kind.path,
            "ID_REVISION" => &mut kind.revision,
            "ID_SERIAL_SHORT" => &mut kind.serial,
            "ID_WWN" => &mut kind.wwn,
            _ => continue,
        };
        value.clone_into(place);
    }
    kind
}

/// Tells whether a device is left out: RAM disks, loops, floppies, and partitions, whose disk is
/// counted already.
fn is_skipped(device: &str) -> bool {
    let stem = device.trim_end_matches(|character: char| character.is_ascii_digit());
    if stem.len() == device.len() {
        return false;
    }
    if matches!(stem, "ram" | "loop" | "fd") {
        return true;
    }
    // sda1, hdb2, vdc3, xvda1: one letter names the disk.
    let disk = stem.strip_suffix(|character: char| character.is_ascii_lowercase());
    if matches!(disk, Some("sd" | "hd" | "vd" | "xvd")) {
        return true;
    }
    // nvme0n1p2
    let Some(numbers) = stem.strip_prefix("nvme").and_then(|rest| rest.strip_suffix('p')) else {
        return false;
    };
    numbers.split('n').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}
