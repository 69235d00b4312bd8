//! Processors, memory, the kernel, clock and sensors.

use super::*;

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
