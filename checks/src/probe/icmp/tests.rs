//! Loopback answers; where the machine forbids ICMP, that is what must be told.

use std::net::{Ipv4Addr, Ipv6Addr};

use surge_ping::{Icmpv4Packet, Icmpv6Packet};

use super::*;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn loopback_answers_or_the_lack_of_rights_is_told() {
    let probe = IcmpProbe {
        address: "127.0.0.1".to_owned(),
        spacing: Duration::from_millis(5),
        ..IcmpProbe::default()
    };
    let pingers = Pingers::new();
    let finding = look(&probe, &Macros::default(), &pingers, LIMIT).await;
    if finding.status == Status::Unknown {
        assert!(finding.output.contains("ping_group_range"), "{}", finding.output);
        return;
    }
    assert_eq!(finding.status, Status::Ok, "{}", finding.output);
    let labels: Vec<&str> = finding.perfdata.iter().map(|data| data.label.as_str()).collect();
    assert_eq!(labels, ["rta", "pl"]);
    assert_eq!(finding.perfdata[1].value, Some(0.0));
}

#[test]
fn loss_and_round_trip_are_judged_the_worse_counts() {
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let ms = Duration::from_millis;
    let probe = IcmpProbe {
        loss_warning: 20.0,
        loss_critical: 60.0,
        rtt_warning: Some(ms(50)),
        rtt_critical: Some(ms(200)),
        ..IcmpProbe::default()
    };
    // Answers of four requests, and what that is.
    for (times, status, words) in [
        (&[10, 20, 30, 40][..], Status::Ok, "25.0 ms, 0 % lost"),
        (&[10, 20, 30][..], Status::Warning, "20.0 ms, 25 % lost"),
        (&[10][..], Status::Critical, "10.0 ms, 75 % lost"),
        (&[60, 60, 60, 60][..], Status::Warning, "60.0 ms, 0 % lost"),
        (&[300, 300, 300][..], Status::Critical, "300.0 ms, 25 % lost"),
        (&[][..], Status::Critical, "does not answer: 4 of 4 lost"),
    ] {
        let times: Vec<Duration> = times.iter().map(|time| ms(*time)).collect();
        let finding = judge(&probe, address, &times, 4, None);
        assert_eq!(finding.status, status, "{}", finding.output);
        assert!(finding.output.ends_with(words), "{}", finding.output);
    }
}

#[tokio::test]
async fn a_name_without_address_is_critical() {
    let address = "no-such-host.invalid".to_owned();
    let probe = IcmpProbe { address, ..IcmpProbe::default() };
    let finding = look(&probe, &Macros::default(), &Pingers::new(), LIMIT).await;
    assert_eq!(finding.status, Status::Critical, "{}", finding.output);
}

/// Reads an `ICMPv4` message that came from the router 192.0.2.1.
fn packet(message: &[u8]) -> IcmpPacket {
    let (router, kind) = (Ipv4Addr::new(192, 0, 2, 1), Config::default().sock_type_hint);
    let own = Ipv4Addr::new(10, 0, 0, 1);
    IcmpPacket::V4(Icmpv4Packet::decode(message, kind, router, own).unwrap())
}

/// An `ICMPv4` message of a router about our echo request to 192.0.2.77.
fn about_request(kind: u8, code: u8) -> IcmpPacket {
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 192, 0, 2, 77]);
    message.extend([8, 0, 0, 0, 0, 7, 0, 1]);
    packet(&message)
}

fn about_request_v6(kind: u8, code: u8) -> IcmpPacket {
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend([0x60, 0, 0, 0, 0, 8, 58, 64]);
    message.extend([[0xfd; 16], [0xfe; 16]].concat());
    message.extend([128, 0, 0, 0, 0, 7, 0, 1]);
    IcmpPacket::V6(Icmpv6Packet::decode(&message, Ipv6Addr::LOCALHOST).unwrap())
}

/// A router says after three seconds that a dead host cannot be reached: that is no answer of it.
#[test]
fn only_an_echo_reply_is_an_answer() {
    assert_eq!(reply(&packet(&[0, 0, 0, 0, 0, 7, 0, 1])), Reply::Echo);
    let echo = Icmpv6Packet::decode(&[129, 0, 0, 0, 0, 7, 0, 1], Ipv6Addr::LOCALHOST).unwrap();
    assert_eq!(reply(&IcmpPacket::V6(echo)), Reply::Echo);
    for (kind, code, words) in [
        (3, 0, "192.0.2.1 says: no way to its network (code 0)"),
        (3, 1, "192.0.2.1 says: the host is unreachable (code 1)"),
        (3, 13, "192.0.2.1 says: forbidden on the way (code 13)"),
        (11, 0, "192.0.2.1 says: the way is too long or goes in a circle (code 0)"),
        (12, 0, "192.0.2.1 says: it refuses the request (code 0)"),
    ] {
        assert_eq!(reply(&about_request(kind, code)), Reply::Unreachable(words.to_owned()));
    }
    for (kind, code) in [(4, 0), (5, 1)] {
        assert_eq!(reply(&about_request(kind, code)), Reply::Remark, "type {kind}");
    }
    for (kind, code, words) in [(1, 3, "the host is unreachable"), (3, 0, "the way is too long")] {
        let Reply::Unreachable(why) = reply(&about_request_v6(kind, code)) else { panic!() };
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn a_part_that_is_lost_is_told_with_its_reason() {
    let address: IpAddr = "192.0.2.77".parse().unwrap();
    let why = Some("192.0.2.1 says: the host is unreachable (code 1)".to_owned());
    let times = [Duration::from_millis(10)];
    let finding = judge(&IcmpProbe::default(), address, &times, 2, why.clone());
    assert!(
        finding.output.ends_with("50 % lost: 192.0.2.1 says: the host is unreachable (code 1)")
    );
    let finding = judge(&IcmpProbe::default(), address, &[], 2, why);
    assert_eq!(finding.status, Status::Critical);
    assert!(finding.output.starts_with("192.0.2.77 does not answer: 192.0.2.1 says"));
}

/// Two hundred requests of silent targets are under way, and none keeps a place: with places held
/// for two seconds the last of them would wait for six.
#[tokio::test(start_paused = true)]
async fn silent_targets_give_their_places_back_soon() {
    let places = Semaphore::new(AT_ONCE);
    let begun = Instant::now();
    let waits = futures::future::join_all((0..200).map(|_| {
        let places = &places;
        async move {
            let place = places.acquire().await.ok();
            let waited = begun.elapsed();
            held_while_fresh(place, sleep(ANSWER_TIMEOUT)).await;
            waited
        }
    }));
    // 200 by 64 places are four turns, so the last waits for three times FRESH.
    let longest = waits.await.into_iter().max().unwrap();
    assert!(longest <= 3 * FRESH + Duration::from_millis(5), "{longest:?}");
    // An answer that comes while the request is fresh gives the place back at once.
    let place = places.acquire().await.ok();
    held_while_fresh(place, sleep(Duration::from_millis(5))).await;
    assert_eq!(places.available_permits(), AT_ONCE);
}

/// The kernel's sockets know the requests of one target by their sequence only.
#[tokio::test]
async fn several_looks_at_one_target_do_not_take_each_others_answers() {
    let probe = IcmpProbe {
        address: "127.0.0.1".to_owned(),
        spacing: Duration::from_millis(1),
        ..IcmpProbe::default()
    };
    let (pingers, macros) = (Pingers::new(), Macros::default());
    let looks = (0..50).map(|_| look(&probe, &macros, &pingers, LIMIT));
    for finding in futures::future::join_all(looks).await {
        if finding.status == Status::Unknown {
            assert!(finding.output.contains("ping_group_range"), "{}", finding.output);
            continue;
        }
        assert!(finding.output.ends_with(" 0 % lost"), "{}", finding.output);
    }
}
