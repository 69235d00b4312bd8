//! Reads small trees of files in the place of `/proc`, `/sys` and `/`.

mod disks;
mod network;
mod system;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_500);

/// Files that stand for a machine: `proc/...`, `sys/...`, and the root's own.
struct Machine {
    folder: TempDir,
    reader: Reader,
}

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let roots = Roots { proc: root.join("proc"), sys: root.join("sys"), root: root.into() };
        let machine = Self { reader: Reader::new(roots), folder };
        machine.write(files);
        machine
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// Reads once and returns the samples of names that start so, as text, sorted.
    fn read(&mut self, start: &str) -> Vec<String> {
        self.read_at(NOW, start)
    }

    fn read_at(&mut self, now: Timestamp, start: &str) -> Vec<String> {
        let batch = self.reader.read(now);
        let wanted = batch.samples.iter().filter(|s| s.labels.name().starts_with(start));
        let mut lines: Vec<String> =
            wanted.map(|sample| format!("{} {}", sample.labels, sample.value)).collect();
        lines.sort();
        lines
    }

    /// Tells whether a source could be read the last time.
    fn is_success(&mut self, collector: &str) -> bool {
        let line = format!("node_scrape_collector_success{{collector=\"{collector}\"}} 1");
        self.read("node_scrape_collector_success").contains(&line)
    }
}

/// Reads files once and compares the samples whose names start with `start`.
fn check(files: &[(&str, &str)], start: &str, expected: &[&str]) {
    assert_eq!(Machine::new(files).read(start), expected);
}

#[test]
fn this_machine_can_be_read() {
    let mut reader = Reader::new(Roots::default());
    let batch = reader.read(NOW);
    let names: BTreeSet<&str> = batch.samples.iter().map(|s| s.labels.name()).collect();
    for name in [
        "node_cpu_seconds_total",
        "node_load1",
        "node_memory_MemTotal_bytes",
        "node_disk_read_bytes_total",
        "node_filesystem_avail_bytes",
        "node_network_receive_bytes_total",
        "node_boot_time_seconds",
        "node_uname_info",
    ] {
        assert!(names.contains(name), "{name} is missing: {:?}", reader.failures());
    }
    assert!(batch.started_at.is_some());
    let described: BTreeSet<&str> = batch.metas.iter().map(|meta| meta.name.as_str()).collect();
    let undescribed: Vec<_> = names.difference(&described).collect();
    assert_eq!(undescribed, [&""; 0]);
    assert_eq!(reader.read(NOW).metas, [], "metas come once");
    reader.describe_again();
    assert_eq!(reader.read(NOW).metas.len(), batch.metas.len());
}

#[test]
fn no_series_stands_twice_in_a_reading() {
    let batch = Reader::new(Roots::default()).read(NOW);
    let series: BTreeSet<&noroshi_model::Labels> =
        batch.samples.iter().map(|sample| &sample.labels).collect();
    assert_eq!(series.len(), batch.samples.len());
}

#[test]
fn a_machine_without_any_file_gives_the_time_and_failures() {
    let mut machine = Machine::new(&[]);
    assert_eq!(machine.read("node_time"), ["node_time_seconds 1700000000.5"]);
    let failed = machine.read("node_scrape_collector_success");
    assert_eq!(failed.iter().filter(|line| line.ends_with(" 1")).count(), 1, "{failed:?}");
    let others = machine.read("node_").len() - machine.read("node_scrape_").len();
    assert_eq!(others, 1);
    let is_absent = |failure: &(_, SourceError)| matches!(failure.1, SourceError::Absent { .. });
    assert!(machine.reader.failures().iter().all(is_absent));
}

#[test]
fn garbage_in_every_file_never_panics() {
    let garbage = ["\0\0", "\n\n\n", ": : :", "cpu\ncpu0\n", "a: b c\n-1 -1 -1", "é\u{fffd}=\"'"];
    let paths = [
        "proc/stat",
        "proc/loadavg",
        "proc/meminfo",
        "proc/vmstat",
        "proc/diskstats",
        "proc/pressure/cpu",
        "proc/net/dev",
        "proc/net/snmp",
        "proc/net/netstat",
        "proc/net/snmp6",
        "proc/net/sockstat",
        "proc/net/softnet_stat",
        "proc/net/arp",
        "proc/net/stat/nf_conntrack",
        "proc/mdstat",
        "sys/class/net/bonding_masters",
        "proc/1/mountinfo",
        "proc/sys/fs/file-nr",
        "proc/sys/kernel/osrelease",
        "etc/os-release",
        "sys/class/net/e/mtu",
        "sys/class/hwmon/h/temp1_input",
        "run/udev/data/b8:0",
    ];
    for text in garbage {
        let files = paths.map(|path| (path, text));
        let mut machine = Machine::new(&files);
        machine.read("node_");
        for path in paths {
            fs::write(machine.path(path), b"\xff\xfe 1 \xff").unwrap();
        }
        machine.read("node_");
    }
}

#[test]
fn a_file_larger_than_any_real_one_is_refused() {
    let mut machine = Machine::new(&[("proc/vmstat", &"pgfault 1\n".repeat(500_000))]);
    assert!(!machine.is_success("vmstat"));
    let failures = machine.reader.failures();
    assert!(failures.iter().any(|(_, error)| matches!(error, SourceError::TooLarge { .. })));
}
