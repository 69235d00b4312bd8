//! Interfaces, protocols, sockets, routes.

use super::*;

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
fn the_way_out_and_own_addresses_are_told() {
    // 192.0.2.1 as the machine's own number: a big-endian one writes it the other way.
    let gateway = format!("{:08X}", u32::from_ne_bytes([192, 0, 2, 1]));
    let route = format!(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
         eth0\t00000000\t{gateway}\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
         eth0\t000200C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
         tun0\t0000080A\t090200C0\t0003\t0\t0\t0\t0000FCFF\t0\t0\t0\n\
         tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n\
         eth0\t0000100A\t00000000\t0201\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    );
    let zeros = "0".repeat(32);
    let v6 = format!(
        "{zeros} 00 {zeros} 00 fe80000000000000000000000000000a 00000400 00000001 00000000 \
         00000003     eth0\n\
         {zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200       lo\n\
         20010db8000000000000000000000000 20 {zeros} 00 {zeros} 00000100 00000001 00000000 \
         00000001     eth0\n\
         20010db8000000000000000000000007 80 {zeros} 00 {zeros} 00000000 00000004 00000000 \
         80200001     eth0\n\
         fe800000000000000000000000000000 40 {zeros} 00 {zeros} 00000100 00000002 00000000 \
         00000001     eth0\n"
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
        r#"node_network_route_info{dest="10.8.0.0/14",device="tun0",gw="192.0.2.9"} 1"#,
        r#"node_network_route_info{dest="192.0.2.0/24",device="eth0"} 1"#,
        r#"node_network_route_info{dest="2001:db8::/32",device="eth0"} 1"#,
        r#"node_network_route_info{dest="default",device="eth0",gw="192.0.2.1"} 1"#,
        r#"node_network_route_info{dest="default",device="eth0",gw="fe80::a"} 1"#,
    ];
    assert_eq!(machine.read("node_network_route_info"), expected);

    // A router has more than is told: the widest count. What is read is told for a minute.
    let line = |i| format!("eth1\t0000{i:02X}0A\t090200C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n");
    let many = (0..200).map(line).collect::<Vec<String>>().concat();
    machine.write(&[("proc/net/route", &format!("{many}{route}"))]);
    assert_eq!(machine.read("node_network_route_info"), expected);
    let later = machine.read_at(NOW + std::time::Duration::from_mins(1), "node_network_route_info");
    assert_eq!(later.len(), 64);
    assert!(later.contains(&expected[4].to_owned()) && later.contains(&expected[3].to_owned()));
}
