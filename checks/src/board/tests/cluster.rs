//! Clusters and their members, and macros that speak of them.

use super::*;

/// A host `lb` with a cluster of `http` on three web servers, each passive.
fn cluster_site() -> Site {
    let hosts = ["lb", "web1", "web2", "web3"].map(|name| {
        let mut host = HostSpec::new(name, "192.0.2.1");
        host.groups = vec![if name == "lb" { "edge" } else { "web" }.to_owned()];
        host
    });
    let passive = |host: &str| {
        let probe = Probe::Passive(PassiveProbe::default());
        let mut check = CheckSpec::new(CheckId::check(host, "http"), probe);
        check.timing.attempts_max = 2;
        check
    };
    let below =
        |value| Some(crate::ClusterLimit { op: crate::Compare::Below, value, is_percent: false });
    let cluster = crate::ClusterProbe {
        select: Some(crate::ClusterSelect {
            check: Some("http".to_owned()),
            groups: vec!["web".to_owned()],
        }),
        warning: below(3.0),
        critical: below(2.0),
        ..crate::ClusterProbe::default()
    };
    let probe = Probe::Cluster(Box::new(cluster));
    let mut check = CheckSpec::new(CheckId::check("lb", "http"), probe);
    check.timing.attempts_max = 1;
    let mut checks: Vec<CheckSpec> = ["web1", "web2", "web3"].map(passive).into();
    checks.push(check);
    Site { hosts: hosts.into(), checks, ..Site::default() }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_judged_anew_at_once_when_a_member_is_confirmed_to_have_failed() {
    let house = crate::harness::House::start(cluster_site());
    let hand_in = |host: &str, status| {
        let (id, checks) = (CheckId::check(host, "http"), Arc::clone(&house.checks));
        async move {
            let (output, origin) = (String::new(), Origin::Passive);
            let result = crate::PassiveResult { id, status, output, at: None, origin };
            checks.submit(result).await.unwrap();
        }
    };
    // Nobody was looked at yet: it waits instead of crying UNKNOWN.
    let waiting = house.wait("lb/http", |view| view.output.starts_with("0 of 3 OK")).await;
    assert_eq!(waiting.status, None);
    for host in ["web1", "web2", "web3"] {
        hand_in(host, Status::Ok).await;
    }
    let fine = house.wait("lb/http", |view| view.status.is_some()).await;
    assert_eq!((fine.status, fine.output.as_str()), (Some(Status::Ok), "3 of 3 OK"));

    // The first failure of a member is not yet confirmed; the second is.
    let begun = tokio::time::Instant::now();
    hand_in("web2", Status::Critical).await;
    hand_in("web2", Status::Critical).await;
    let warning = house.wait("lb/http", |view| view.status == Some(Status::Warning)).await;
    assert_eq!(warning.output, "2 of 3 OK; not OK: web2/http");
    assert_eq!(warning.state_type, StateType::Hard);
    assert!(begun.elapsed() < Duration::from_secs(2), "not at the next interval");
    hand_in("web3", Status::Unknown).await;
    hand_in("web3", Status::Unknown).await;
    // 1 or 2 of 3: a problem in both cases, of which the warning is sure.
    let unsure = house.wait("lb/http", |view| view.output.contains("unknown: web3")).await;
    assert_eq!(unsure.status, Some(Status::Warning), "{}", unsure.output);
    hand_in("web3", Status::Critical).await;
    let critical = house.wait("lb/http", |view| view.status == Some(Status::Critical)).await;
    assert_eq!(critical.output, "1 of 3 OK; not OK: web2/http, web3/http");
    hand_in("web2", Status::Ok).await;
    hand_in("web3", Status::Ok).await;
    house.wait("lb/http", |view| view.status == Some(Status::Ok)).await;
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn macros_speak_of_other_hosts_and_checks_and_values_are_never_expanded() {
    let mut site = cluster_site();
    site.hosts[1].address = "192.0.2.11".to_owned();
    site.hosts[1].variables.insert("RACK".to_owned(), "r1 $HOSTNAME$; rm -rf".to_owned());
    let argv = [
        "/bin/echo",
        "$HOSTADDRESS:web1$ $_HOSTRACK:web1$ $SERVICESTATE:web1:http$ $SERVICESTATE::http$",
        "$HOSTGROUPMEMBERS:web$ [$HOSTNAME:web:, $] $HOSTADDRESS:nobody$",
        "$TOTALHOSTSUP$ $TOTALSERVICESOK$ $HOSTDOWNTIME$ $LASTHOSTSTATE$ $ARG1$",
    ];
    let probe = PluginProbe {
        argv: argv.map(str::to_owned).into(),
        arguments: vec!["$HOSTNAME:web2$".to_owned()],
        ..PluginProbe::default()
    };
    let id = CheckId::check("lb", "echo");
    site.checks.push(CheckSpec::new(id.clone(), Probe::Plugin(probe)));
    let house = House::start(site);
    submit(&house, "web1/http", Status::Critical).await;
    house.checks.recheck(&id).await.unwrap();
    let wanted = "192.0.2.11 r1 $HOSTNAME$; rm -rf CRITICAL";
    let view = house.wait("lb/echo", |view| view.output.starts_with(wanted)).await;
    let rest = " PENDING web1,web2,web3 [web1, web2, web3]  4 0 0 PENDING web2";
    assert_eq!(view.output, format!("{wanted}{rest}"));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn macros_ask_of_any_period_whether_and_when_it_holds() {
    let mut site = cluster_site();
    // 2001-09-08 was a Saturday, the 9th a Sunday; 1000000000 is 01:46:40 of the 9th, in UTC.
    let period = |rule: &str| PeriodSpec { rules: vec![rule.to_owned()], ..PeriodSpec::default() };
    site.periods.insert("always".to_owned(), every_day());
    site.periods.insert("sunday".to_owned(), period("sunday 02:00-04:00"));
    site.periods.insert("past".to_owned(), period("2001-01-01 00:00-24:00"));
    let argv = [
        "/bin/echo",
        "$ISVALIDTIME:always$ $ISVALIDTIME:past$ $NEXTVALIDTIME:past$ [$NEXTVALIDTIME:none$]",
        "$ISVALIDTIME:sunday:1000000000$ $NEXTVALIDTIME:sunday:1000000000$",
        "$ISVALIDTIME:sunday:1000001000$ $NEXTVALIDTIME:sunday:1000001000$",
        "[$ISVALIDTIME:none$] [$NEXTVALIDTIME:sunday:noon$]",
        "$NEXTVALIDTIME:always$ $TIMET$",
    ];
    let argv = argv.map(str::to_owned).into();
    let id = CheckId::check("lb", "echo");
    let probe = PluginProbe { argv, ..PluginProbe::default() };
    site.checks.push(CheckSpec::new(id.clone(), Probe::Plugin(probe)));
    let house = House::start(site);
    house.checks.recheck(&id).await.unwrap();
    // The span begins 800 s after the first moment; the second is within it.
    let wanted = "1 0 0 [] 0 1000000800 1 1000001000 [] [] ";
    let view = house.wait("lb/echo", |view| view.output.starts_with(wanted)).await;
    // A period that holds begins now.
    let now = view.output[wanted.len()..].split_once(' ').unwrap();
    assert_eq!(now.0, now.1);
    house.stop().await;
}

fn every_day() -> PeriodSpec {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let rules = days.map(|day| format!("{day} 00:00-24:00")).into();
    PeriodSpec { rules, ..PeriodSpec::default() }
}
