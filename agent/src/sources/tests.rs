//! Reads small trees of files in the place of `/proc`, `/sys` and `/`.

use std::collections::BTreeSet;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_500);

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
