//! Reads small trees of files in the place of `/proc`, `/sys` and `/`.

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

const STAT: &str = "\
cpu  1 2 3 4 5 6 7 8 9 10
cpu0 100 2 3 1000 5 6 7 8 9 10
cpu2 1 0 0 18446744073709551615 0 0 0
intr 1234567890123 5 0 0 99
ctxt 42
btime 1699990000
processes 77
procs_running 3
procs_blocked 1
softirq 9 9 9
";

#[test]
fn processors_keep_their_numbers_and_old_kernels_their_columns() {
    // Ticks of 1/100 s; 2^64 - 1 ticks are 184467440737095516.15 s, as a double 184467440737095520.
    check(
        &[("proc/stat", STAT)],
        "node_cpu_",
        &[
            r#"node_cpu_guest_seconds_total{cpu="0",mode="nice"} 0.1"#,
            r#"node_cpu_guest_seconds_total{cpu="0",mode="user"} 0.09"#,
            r#"node_cpu_guest_seconds_total{cpu="2",mode="nice"} 0"#,
            r#"node_cpu_guest_seconds_total{cpu="2",mode="user"} 0"#,
            r#"node_cpu_seconds_total{cpu="0",mode="idle"} 10"#,
            r#"node_cpu_seconds_total{cpu="0",mode="iowait"} 0.05"#,
            r#"node_cpu_seconds_total{cpu="0",mode="irq"} 0.06"#,
            r#"node_cpu_seconds_total{cpu="0",mode="nice"} 0.02"#,
            r#"node_cpu_seconds_total{cpu="0",mode="softirq"} 0.07"#,
            r#"node_cpu_seconds_total{cpu="0",mode="steal"} 0.08"#,
            r#"node_cpu_seconds_total{cpu="0",mode="system"} 0.03"#,
            r#"node_cpu_seconds_total{cpu="0",mode="user"} 1"#,
            r#"node_cpu_seconds_total{cpu="2",mode="idle"} 184467440737095520"#,
            r#"node_cpu_seconds_total{cpu="2",mode="iowait"} 0"#,
            r#"node_cpu_seconds_total{cpu="2",mode="irq"} 0"#,
            r#"node_cpu_seconds_total{cpu="2",mode="nice"} 0"#,
            r#"node_cpu_seconds_total{cpu="2",mode="softirq"} 0"#,
            r#"node_cpu_seconds_total{cpu="2",mode="steal"} 0"#,
            r#"node_cpu_seconds_total{cpu="2",mode="system"} 0"#,
            r#"node_cpu_seconds_total{cpu="2",mode="user"} 0.01"#,
        ],
    );
}

#[test]
fn processor_times_do_not_run_backwards_but_for_a_processor_put_in_anew() {
    let mut machine = Machine::new(&[("proc/stat", "cpu0 50 0 0 1000 30\n")]);
    let mut times = |stat: &str| {
        machine.write(&[("proc/stat", stat)]);
        let lines = machine.read("node_cpu_seconds_total");
        let value = |mode: &str| {
            let line = lines.iter().find(|line| line.contains(&format!("\"{mode}\""))).unwrap();
            line.rsplit(' ').next().unwrap().to_owned()
        };
        [value("idle"), value("iowait"), value("user")].join(" ")
    };
    assert_eq!(times("cpu0 50 0 0 1000 30\n"), "10 0.3 0.5");
    // iowait fell by one tick: held. The others go on.
    assert_eq!(times("cpu0 51 0 0 1010 29\n"), "10.1 0.3 0.51");
    // Idle fell by 3 s: held; by 3.01 s and more: counts from the start.
    assert_eq!(times("cpu0 52 0 0 710 31\n"), "10.1 0.31 0.52");
    assert_eq!(times("cpu0 1 0 0 709 0\n"), "7.09 0 0.01");
}

#[test]
fn the_kernels_counters_are_read_and_boot_starts_them() {
    let mut machine = Machine::new(&[("proc/stat", STAT)]);
    assert_eq!(machine.reader.read(NOW).started_at, Some(Timestamp::from_secs(1_699_990_000)));
    assert_eq!(machine.read("node_intr"), ["node_intr_total 1234567890123"]);
    assert_eq!(machine.read("node_context"), ["node_context_switches_total 42"]);
    assert_eq!(machine.read("node_forks"), ["node_forks_total 77"]);
    assert_eq!(machine.read("node_procs"), ["node_procs_blocked 1", "node_procs_running 3"]);
    assert_eq!(machine.read("node_boot"), ["node_boot_time_seconds 1699990000"]);
}

#[test]
fn memory_is_in_bytes_and_counts_are_counts() {
    // 2 kB are 2048 bytes; 2^54 kB are 2^64 bytes.
    let text = "MemTotal:  2 kB\nActive(anon):  3 kB\nHugePages_Total:    7\nNew-1: 1 kB\n\
                Huge: 18014398509481984 kB\nBad: x kB\n";
    check(
        &[("proc/meminfo", text)],
        "node_memory_",
        &[
            "node_memory_Active_anon_bytes 3072",
            "node_memory_HugePages_Total 7",
            "node_memory_Huge_bytes 18446744073709552000",
            "node_memory_MemTotal_bytes 2048",
            "node_memory_New_1_bytes 1024",
        ],
    );
}

#[test]
fn load_needs_all_three_numbers_or_none() {
    let mut machine = Machine::new(&[("proc/loadavg", "0.25 1.50 30.00 2/345 6789\n")]);
    assert_eq!(machine.read("node_load"), ["node_load1 0.25", "node_load15 30", "node_load5 1.5"]);
    assert!(machine.is_success("loadavg"));
    machine.write(&[("proc/loadavg", "0.25 1.50\n")]);
    assert_eq!(machine.read("node_load"), [""; 0], "what was pushed before the error is gone");
    assert!(!machine.is_success("loadavg"));
    let failures = machine.reader.failures();
    let (_, error) = failures.iter().find(|(name, _)| *name == "loadavg").unwrap();
    let path = machine.path("proc/loadavg");
    assert_eq!(error.to_string(), format!("{} has no load where one is expected", path.display()));
}

#[test]
fn disks_are_read_whatever_the_kernel_and_partitions_are_not() {
    // sda: Linux 5.5 and later, 17 columns. sdb: before 4.18, 11 columns. sda1, nvme0n1p2 and
    // loop0 are parts of others; dm-0 and mmcblk0 end in digits and are disks. sdc is torn off.
    let text = "\
   8       0 sda 10 1 16 1292 20 2 32 2500 3 4000 5000 6 7 8 1 9 2\n\
   8      16 sdb 1 0 2 0 0 0 0 0 0 4294967295 0\n\
   8       1 sda1 1 1 1 1 1 1 1 1 1 1 1\n\
 259       2 nvme0n1p2 1 1 1 1 1 1 1 1 1 1 1\n\
   7       0 loop0 1 1 1 1 1 1 1 1 1 1 1\n\
 253       0 dm-0 0 0 0 0 0 0 0 0 0 0 0\n\
 179       0 mmcblk0 0 0 0 0 0 0 0 0 0 0 0\n\
 259       0 nvme0n1 0 0 0 0 0 0 0 0 0 0 0\n\
   8      32 sdc 1 2 3\n";
    let udev = "S:disk/by-id/x\nE:ID_MODEL=Fast_One\nE:ID_SERIAL_SHORT=S1\nE:ID_WWN=0x5\nE:X\n";
    let mut machine = Machine::new(&[("proc/diskstats", text), ("run/udev/data/b8:0", udev)]);
    let sda: Vec<String> =
        machine.read("node_disk_").into_iter().filter(|l| l.contains("\"sda\"")).collect();
    assert_eq!(
        sda,
        [
            r#"node_disk_discard_time_seconds_total{device="sda"} 0.001"#,
            r#"node_disk_discarded_sectors_total{device="sda"} 8"#,
            r#"node_disk_discards_completed_total{device="sda"} 6"#,
            r#"node_disk_discards_merged_total{device="sda"} 7"#,
            r#"node_disk_flush_requests_time_seconds_total{device="sda"} 0.002"#,
            r#"node_disk_flush_requests_total{device="sda"} 9"#,
            r#"node_disk_info{device="sda",major="8",minor="0",model="Fast_One",serial="S1",wwn="0x5"} 1"#,
            r#"node_disk_io_now{device="sda"} 3"#,
            r#"node_disk_io_time_seconds_total{device="sda"} 4"#,
            r#"node_disk_io_time_weighted_seconds_total{device="sda"} 5"#,
            r#"node_disk_read_bytes_total{device="sda"} 8192"#,
            r#"node_disk_read_time_seconds_total{device="sda"} 1.292"#,
            r#"node_disk_reads_completed_total{device="sda"} 10"#,
            r#"node_disk_reads_merged_total{device="sda"} 1"#,
            r#"node_disk_write_time_seconds_total{device="sda"} 2.5"#,
            r#"node_disk_writes_completed_total{device="sda"} 20"#,
            r#"node_disk_writes_merged_total{device="sda"} 2"#,
            r#"node_disk_written_bytes_total{device="sda"} 16384"#,
        ]
    );
    // 2^32 - 1 ms, as far as the column goes.
    let expected = [
        r#"node_disk_io_time_seconds_total{device="dm-0"} 0"#,
        r#"node_disk_io_time_seconds_total{device="mmcblk0"} 0"#,
        r#"node_disk_io_time_seconds_total{device="nvme0n1"} 0"#,
        r#"node_disk_io_time_seconds_total{device="sda"} 4"#,
        r#"node_disk_io_time_seconds_total{device="sdb"} 4294967.295"#,
    ];
    assert_eq!(machine.read("node_disk_io_time_seconds"), expected);

    // A disk is taken out and another put in under its number: what was known of it is gone.
    machine.write(&[("proc/diskstats", "8 16 sdb 1 0 2 0 0 0 0 0 0 1 0\n")]);
    let info = [r#"node_disk_info{device="sdb",major="8",minor="16"} 1"#];
    assert_eq!(machine.read("node_disk_info"), info);
    machine.write(&[
        ("proc/diskstats", "8 0 sda 0 0 0 0 0 0 0 0 0 0 0\n"),
        ("run/udev/data/b8:0", "E:ID_MODEL=Other\n"),
    ]);
    let info = [r#"node_disk_info{device="sda",major="8",minor="0",model="Other"} 1"#];
    assert_eq!(machine.read("node_disk_info"), info);
}

#[test]
fn network_interfaces_are_read_with_aliases_and_huge_counters() {
    let text = "Inter-|   Receive        |  Transmit\n \
                face |bytes    packets errs |bytes packets\n  \
                eth0:1: 18446744073709551615 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n\
                short: 1 2 3\n";
    let mut machine = Machine::new(&[("proc/net/dev", text)]);
    let lines = machine.read("node_network_");
    assert_eq!(lines.len(), 16);
    for expected in [
        r#"node_network_receive_bytes_total{device="eth0:1"} 18446744073709552000"#,
        r#"node_network_receive_drop_total{device="eth0:1"} 4"#,
        r#"node_network_receive_multicast_total{device="eth0:1"} 8"#,
        r#"node_network_transmit_bytes_total{device="eth0:1"} 9"#,
        r#"node_network_transmit_errs_total{device="eth0:1"} 11"#,
        r#"node_network_transmit_compressed_total{device="eth0:1"} 16"#,
    ] {
        assert!(lines.contains(&expected.to_owned()), "{expected} in {lines:?}");
    }
}

#[test]
fn interfaces_are_described_and_unknown_speeds_are_left_out() {
    let mut machine = Machine::new(&[
        ("sys/class/net/bonding_masters", "bond0\n"),
        ("sys/class/net/eth0/operstate", "up\n"),
        ("sys/class/net/eth0/speed", "1000\n"),
        ("sys/class/net/eth0/mtu", "1500\n"),
        ("sys/class/net/eth0/flags", "0x1003\n"),
        ("sys/class/net/eth0/address", "02:00:00:00:00:01\n"),
        ("sys/class/net/eth0/ifalias", "\n"),
        ("sys/class/net/tun0/operstate", "unknown\n"),
        ("sys/class/net/tun0/speed", "-1\n"),
    ]);
    // 1,000 Mbit/s are 125,000,000 bytes/s; 0x1003 is 4099.
    assert_eq!(
        machine.read("node_network_"),
        [
            r#"node_network_flags{device="eth0"} 4099"#,
            r#"node_network_info{address="02:00:00:00:00:01",device="eth0",operstate="up"} 1"#,
            r#"node_network_info{device="tun0",operstate="unknown"} 1"#,
            r#"node_network_mtu_bytes{device="eth0"} 1500"#,
            r#"node_network_speed_bytes{device="eth0"} 125000000"#,
            r#"node_network_up{device="eth0"} 1"#,
            r#"node_network_up{device="tun0"} 0"#,
        ]
    );
    // A cable is pulled, and the interface goes.
    machine.write(&[("sys/class/net/eth0/operstate", "down\n")]);
    assert!(
        machine.read("node_network_up").contains(&r#"node_network_up{device="eth0"} 0"#.into())
    );
    fs::remove_dir_all(machine.path("sys/class/net/eth0")).unwrap();
    assert_eq!(machine.read("node_network_up"), [r#"node_network_up{device="tun0"} 0"#]);
}

#[test]
fn what_seldom_changes_on_an_interface_is_read_again_after_a_minute_or_a_change_of_link() {
    let mut machine = Machine::new(&[
        ("sys/class/net/eth0/operstate", "up\n"),
        ("sys/class/net/eth0/carrier_changes", "1\n"),
        ("sys/class/net/eth0/mtu", "1500\n"),
    ]);
    let mut mtu_after = |seconds: i64, changes: &str, mtu: &str| {
        machine.write(&[
            ("sys/class/net/eth0/carrier_changes", changes),
            ("sys/class/net/eth0/mtu", mtu),
        ]);
        let now = Timestamp::from_secs(1_700_000_000 + seconds);
        let line = machine.read_at(now, "node_network_mtu").remove(0);
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(mtu_after(0, "1", "1500"), "1500");
    assert_eq!(mtu_after(59, "1", "9000"), "1500");
    assert_eq!(mtu_after(60, "1", "9000"), "9000");
    assert_eq!(mtu_after(61, "2", "1400"), "1400");
    assert_eq!(mtu_after(-5, "2", "1300"), "1300", "the clock was set back");
}

#[test]
fn protocols_are_read_with_and_without_ipv6() {
    let snmp = "Ip: Forwarding DefaultTTL\nIp: 2 64\n\
                Tcp: MaxConn ActiveOpens CurrEstab InErrs\nTcp: -1 7 3 1\nUdp: A\nUdpLite: 1\n";
    let netstat = "TcpExt: SyncookiesSent Other ListenDrops\nTcpExt: 1 2 3\n";
    let snmp6 = "Ip6InOctets \t 128\nIp6InReceives 9\nUdpLite6InErrors 4\nIcmp6InMsgs 5\n";
    let mut machine = Machine::new(&[("proc/net/snmp", snmp), ("proc/net/netstat", netstat)]);
    let ipv4 = [
        "node_netstat_Ip_Forwarding 2",
        "node_netstat_TcpExt_ListenDrops 3",
        "node_netstat_TcpExt_SyncookiesSent 1",
        "node_netstat_Tcp_ActiveOpens 7",
        "node_netstat_Tcp_CurrEstab 3",
        "node_netstat_Tcp_InErrs 1",
    ];
    assert_eq!(machine.read("node_netstat_"), ipv4);
    machine.write(&[("proc/net/snmp6", snmp6)]);
    let with_ipv6 = machine.read("node_netstat_");
    for line in ["Icmp6_InMsgs 5", "Ip6_InOctets 128", "UdpLite6_InErrors 4"] {
        assert!(with_ipv6.contains(&format!("node_netstat_{line}")), "{with_ipv6:?}");
    }
    assert_eq!(with_ipv6.len(), ipv4.len() + 3);
}

#[test]
fn sockets_and_their_memory_are_read() {
    let text = "sockets: used 16\nTCP: inuse 1 orphan 0 mem 3\nFRAG: inuse 0 memory 5\n";
    let bytes = 3 * rustix::param::page_size();
    check(
        &[("proc/net/sockstat", text)],
        "node_sockstat_",
        &[
            "node_sockstat_FRAG_inuse 0",
            "node_sockstat_FRAG_memory 5",
            "node_sockstat_TCP_inuse 1",
            "node_sockstat_TCP_mem 3",
            &format!("node_sockstat_TCP_mem_bytes {bytes}"),
            "node_sockstat_TCP_orphan 0",
            "node_sockstat_sockets_used 16",
        ],
    );
}

#[test]
fn pressure_is_in_seconds_and_interrupts_are_optional() {
    let some = "some avg10=0.35 avg60=1.54 avg300=3.97 total=58313159\n";
    let both = "some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\n\
                full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
    check(
        &[("proc/pressure/cpu", some), ("proc/pressure/io", both), ("proc/pressure/memory", both)],
        "node_pressure_",
        &[
            "node_pressure_cpu_waiting_seconds_total 58.313159",
            "node_pressure_io_stalled_seconds_total 0.000001",
            "node_pressure_io_waiting_seconds_total 2",
            "node_pressure_memory_stalled_seconds_total 0.000001",
            "node_pressure_memory_waiting_seconds_total 2",
        ],
    );
}

#[test]
fn packet_processing_is_counted_by_the_processors_own_numbers() {
    // Linux 5.10 and later: column 13 is the processor; 3 is there, 1 and 2 are offline.
    let new = "00000048 00000001 00000002 0 0 0 0 0 3 4 5 6 00000000 0 0\n\
               ffffffff 0 0 0 0 0 0 0 0 0 0 0 00000003 0 0\n";
    let mut machine = Machine::new(&[("proc/net/softnet_stat", new)]);
    assert_eq!(
        machine.read("node_softnet_processed"),
        [
            r#"node_softnet_processed_total{cpu="0"} 72"#,
            r#"node_softnet_processed_total{cpu="3"} 4294967295"#,
        ]
    );
    machine.write(&[("proc/net/softnet_stat", "10 0 0\n11 0 0\n")]);
    assert_eq!(machine.read("node_softnet_processed").len(), 2);
    assert_eq!(machine.read("node_softnet_").len(), 6, "old kernels have three columns");
}

#[test]
fn small_counts_of_the_kernel_are_read() {
    let arp = "IP address HW type Flags HW address Mask Device\n\
               192.0.2.1 0x1 0x2 02:00:00:00:00:01 * eth0\n\
               192.0.2.2 0x1 0x2 02:00:00:00:00:02 * eth0\n";
    let conntrack = "entries  searched found new invalid ignore\n\
                     00000010 0 1 0 ff 0\n00000010 0 2 0 01 0\n";
    let mut machine = Machine::new(&[
        ("proc/net/arp", arp),
        ("proc/sys/net/netfilter/nf_conntrack_count", "16\n"),
        ("proc/sys/net/netfilter/nf_conntrack_max", "262144\n"),
        ("proc/net/stat/nf_conntrack", conntrack),
        ("proc/sys/fs/file-nr", "637\t0\t9223372036854775807\n"),
        ("proc/sys/kernel/random/entropy_avail", "256\n"),
        ("proc/sys/kernel/random/poolsize", "256\n"),
        ("proc/vmstat", "nr_free_pages 1\npgfault 5\npgmajfault 6\npswpin 7\noom_kill 8\n"),
    ]);
    assert_eq!(machine.read("node_arp"), [r#"node_arp_entries{device="eth0"} 2"#]);
    // Hexadecimal, and summed up over the processors: 1 + 2, 255 + 1, 0 + 0.
    assert_eq!(
        machine.read("node_nf_"),
        [
            "node_nf_conntrack_entries 16",
            "node_nf_conntrack_entries_limit 262144",
            "node_nf_conntrack_stat_found 3",
            "node_nf_conntrack_stat_ignore 0",
            "node_nf_conntrack_stat_invalid 256",
        ]
    );
    let filefd = ["node_filefd_allocated 637", "node_filefd_maximum 9223372036854776000"];
    assert_eq!(machine.read("node_filefd"), filefd);
    assert_eq!(machine.read("node_entropy").len(), 2);
    assert_eq!(
        machine.read("node_vmstat_"),
        [
            "node_vmstat_oom_kill 8",
            "node_vmstat_pgfault 5",
            "node_vmstat_pgmajfault 6",
            "node_vmstat_pswpin 7",
        ]
    );
}

#[test]
fn bonds_and_arrays_tell_how_much_of_them_works() {
    let mdstat = "md0 : active raid1 sdb1[1](F) sda1[0]\n      100 blocks [2/1] [U_]\n";
    let mut machine = Machine::new(&[
        ("proc/mdstat", mdstat),
        ("sys/class/net/bonding_masters", "bond0 bond1\n"),
        ("sys/class/net/bond0/bonding/slaves", "eth0 eth1 eth2\n"),
        ("sys/class/net/bond0/lower_eth0/bonding_slave/mii_status", "up\n"),
        ("sys/class/net/bond0/lower_eth1/bonding_slave/mii_status", "down\n"),
        ("sys/class/net/bond0/slave_eth2/bonding_slave/mii_status", "up\n"),
        ("sys/class/net/bond1/bonding/slaves", "\n"),
    ]);
    assert_eq!(
        machine.read("node_bonding_"),
        [
            r#"node_bonding_active{master="bond0"} 2"#,
            r#"node_bonding_active{master="bond1"} 0"#,
            r#"node_bonding_slaves{master="bond0"} 3"#,
            r#"node_bonding_slaves{master="bond1"} 0"#,
        ]
    );
    let disks = [
        r#"node_md_disks_required{device="md0"} 2"#,
        r#"node_md_disks{device="md0",state="active"} 1"#,
        r#"node_md_disks{device="md0",state="down"} 1"#,
        r#"node_md_disks{device="md0",state="failed"} 1"#,
        r#"node_md_disks{device="md0",state="spare"} 0"#,
    ];
    assert_eq!(machine.read("node_md_disks"), disks);
    let state: Vec<String> = machine.read("node_md_state");
    assert_eq!(state.iter().filter(|line| line.ends_with(" 1")).count(), 1);
    assert!(state.contains(&r#"node_md_state{device="md0",state="active"} 1"#.to_owned()));
}

#[test]
fn kernel_and_operating_system_are_named() {
    let mut machine = Machine::new(&[
        ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"),
        ("proc/sys/kernel/ostype", "Linux\n"),
        ("proc/sys/kernel/hostname", "web1\n"),
        ("proc/sys/kernel/arch", "x86_64\n"),
        ("usr/lib/os-release", "# comment\nID=ubuntu\nVERSION_ID=\"22.04.1\"\nNAME='U \\$x'\n"),
    ]);
    let uname = r#"node_uname_info{machine="x86_64",nodename="web1",release="6.1.0-18-amd64",sysname="Linux"} 1"#;
    assert_eq!(machine.read("node_uname"), [uname]);
    assert_eq!(
        machine.read("node_os"),
        [
            r#"node_os_info{id="ubuntu",name="U $x",version_id="22.04.1"} 1"#,
            r#"node_os_version{id="ubuntu",name="U $x"} 22.04"#,
        ]
    );
}

#[test]
fn the_clock_is_judged_only_where_somebody_can_tell() {
    let mut machine = Machine::new(&[]);
    assert_eq!(machine.read("node_timex"), [""; 0]);
    fs::create_dir_all(machine.path("run/systemd/timesync")).unwrap();
    assert_eq!(machine.read("node_timex"), ["node_timex_sync_status 0"]);
    machine.write(&[("run/systemd/timesync/synchronized", "")]);
    assert_eq!(machine.read("node_timex"), ["node_timex_sync_status 1"]);
}

#[test]
fn sensors_are_named_by_where_they_sit() {
    let mut machine = Machine::new(&[
        ("sys/devices/platform/coretemp.0/hwmon/hwmon3/name", "coretemp\n"),
        ("sys/devices/platform/coretemp.0/hwmon/hwmon3/temp1_input", "45500\n"),
        ("sys/devices/platform/coretemp.0/hwmon/hwmon3/temp1_crit", "100000\n"),
        ("sys/devices/platform/coretemp.0/hwmon/hwmon3/temp1_label", "Core 0\n"),
        ("sys/devices/platform/coretemp.0/hwmon/hwmon3/temp2_input", "no probe\n"),
        ("sys/devices/platform/coretemp.0/hwmon/hwmon3/in0_input", "-1250\n"),
        ("sys/class/hwmon/hwmon4/name", "Odd-Name\n"),
        ("sys/class/hwmon/hwmon4/fan1_input", "900\n"),
        ("sys/class/thermal/thermal_zone0/type", "acpitz\n"),
        ("sys/class/thermal/thermal_zone0/temp", "27800\n"),
        ("sys/class/thermal/cooling_device0/type", "Fan\n"),
    ]);
    let chip = machine.path("sys/devices/platform/coretemp.0");
    symlink(chip.join("hwmon/hwmon3"), machine.path("sys/class/hwmon/hwmon3")).unwrap();
    symlink(Path::new("../.."), chip.join("hwmon/hwmon3/device")).unwrap();
    assert_eq!(
        machine.read("node_hwmon_"),
        [
            r#"node_hwmon_chip_names{chip="odd_name",chip_name="Odd-Name"} 1"#,
            r#"node_hwmon_chip_names{chip="platform_coretemp_0",chip_name="coretemp"} 1"#,
            r#"node_hwmon_fan_rpm{chip="odd_name",sensor="fan1"} 900"#,
            r#"node_hwmon_in_volts{chip="platform_coretemp_0",sensor="in0"} -1.25"#,
            r#"node_hwmon_sensor_label{chip="platform_coretemp_0",label="Core 0",sensor="temp1"} 1"#,
            r#"node_hwmon_temp_celsius{chip="platform_coretemp_0",sensor="temp1"} 45.5"#,
            r#"node_hwmon_temp_crit_celsius{chip="platform_coretemp_0",sensor="temp1"} 100"#,
        ]
    );
    let thermal = [r#"node_thermal_zone_temp{type="acpitz",zone="0"} 27.8"#];
    assert_eq!(machine.read("node_thermal"), thermal);
}

#[test]
fn file_systems_are_asked_below_the_root_and_a_missing_one_is_an_error_of_its_own() {
    let mounts = "27 1 254:0 / /here rw - ext4 /dev/vda rw\n\
                  28 1 254:1 / /read\\040only ro - xfs /dev/vdb rw\n\
                  29 1 254:2 / /gone rw - nfs4 server:/export rw\n";
    let mut machine = Machine::new(&[("proc/self/mountinfo", mounts)]);
    for folder in ["here", "read only"] {
        fs::create_dir(machine.path(folder)).unwrap();
    }
    assert_eq!(
        machine.read("node_filesystem_device_error"),
        [
            r#"node_filesystem_device_error{device="/dev/vda",fstype="ext4",mountpoint="/here"} 0"#,
            r#"node_filesystem_device_error{device="/dev/vdb",fstype="xfs",mountpoint="/read only"} 0"#,
            r#"node_filesystem_device_error{device="server:/export",fstype="nfs4",mountpoint="/gone"} 1"#,
        ]
    );
    let readonly = machine.read("node_filesystem_readonly");
    assert_eq!(readonly.len(), 2);
    assert!(readonly[1].ends_with("mountpoint=\"/read only\"} 1"), "{readonly:?}");
    // Those of the first process are the machine's and go before our own.
    machine.write(&[("proc/1/mountinfo", "27 1 254:0 / /here rw - ext4 /dev/vda rw\n")]);
    assert_eq!(machine.read("node_filesystem_device_error").len(), 1);
}

#[test]
fn a_file_larger_than_any_real_one_is_refused() {
    let mut machine = Machine::new(&[("proc/vmstat", &"pgfault 1\n".repeat(500_000))]);
    assert!(!machine.is_success("vmstat"));
    let failures = machine.reader.failures();
    assert!(failures.iter().any(|(_, error)| matches!(error, SourceError::TooLarge { .. })));
}

#[test]
fn the_way_out_and_own_addresses_are_told() {
    // 192.0.2.1 as the machine's own number: a big-endian one writes it the other way.
    let gateway = format!("{:08X}", u32::from_ne_bytes([192, 0, 2, 1]));
    let route = format!(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
         eth0\t00000000\t{gateway}\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
         eth0\t000200C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
    );
    let zeros = "0".repeat(32);
    let v6 = format!(
        "{zeros} 00 {zeros} 00 fe80000000000000000000000000000a 00000400 00000001 00000000 \
         00000003     eth0\n\
         {zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200       lo\n"
    );
    let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.7\n        /32 host LOCAL\n     \
                |-- 192.0.2.255\n        /32 link BROADCAST\n     |-- 127.0.0.1\n        \
                /32 host LOCAL\nLocal:\n     |-- 192.0.2.7\n        /32 host LOCAL\n";
    let inet6 = "20010db8000000000000000000000007 02 40 00 80     eth0\n\
                 fe800000000000000000000000000007 02 40 20 80     eth0\n";
    let mut machine = Machine::new(&[
        ("proc/net/route", &route),
        ("proc/net/ipv6_route", &v6),
        ("proc/net/fib_trie", trie),
        ("proc/net/if_inet6", inet6),
    ]);
    let expected = [
        r#"node_network_address_info{address="192.0.2.7"} 1"#,
        r#"node_network_address_info{address="2001:db8::7"} 1"#,
    ];
    assert_eq!(machine.read("node_network_address_info"), expected);
    let expected = [
        r#"node_network_route_info{dest="default",device="eth0",gw="192.0.2.1"} 1"#,
        r#"node_network_route_info{dest="default",device="eth0",gw="fe80::a"} 1"#,
    ];
    assert_eq!(machine.read("node_network_route_info"), expected);
}
