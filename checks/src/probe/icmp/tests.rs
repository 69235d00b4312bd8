//! Loopback answers; where the machine forbids ICMP, that is what must be told.

use super::*;

#[tokio::test]
async fn loopback_answers_or_the_lack_of_rights_is_told() {
    let probe = IcmpProbe {
        address: "127.0.0.1".to_owned(),
        spacing: Duration::from_millis(5),
        ..IcmpProbe::default()
    };
    let pingers = Pingers::new();
    let finding = look(&probe, &Macros::default(), &pingers).await;
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
    let finding = look(&probe, &Macros::default(), &Pingers::new()).await;
    assert_eq!(finding.status, Status::Critical, "{}", finding.output);
}
