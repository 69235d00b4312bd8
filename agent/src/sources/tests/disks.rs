//! Disks, file systems, and the redundancy of disks and links.

use super::*;

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
