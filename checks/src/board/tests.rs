//! Root first, downtimes, restarts: what follows from one result for others.
//!
//! Hosts are looked at by an expression over `up`, which a test sets; time is tokio's paused one.

use std::sync::Arc;
use std::time::Duration;

use noroshi_model::{
    ChangeKind, CheckId, Clock, Event, EventBody, Origin, StateChange, StateType, Status, Timestamp,
};

use crate::harness::House;
use crate::{
    Acknowledge, CheckSpec, Compare, Downtime, ExpressionProbe, HostSpec, HttpProbe, Judge,
    Missing, PassiveProbe, PassiveResult, PeriodSpec, PluginProbe, Probe, Site, Threshold, Timing,
};

/// A probe that is critical while the newest `up` of an instance is 0.
fn up(instance: &str) -> Probe {
    Probe::Expression(ExpressionProbe {
        expr: format!("up{{instance={instance:?}}}"),
        judge: Judge::Thresholds {
            warning: None,
            critical: Some(Threshold { op: Compare::Below, value: 1.0, leave: None }),
        },
        unit: String::new(),
        name_labels: Vec::new(),
        meaning: String::new(),
        missing: Missing::Unknown,
    })
}

fn timing(attempts_max: u32) -> Timing {
    let (interval, retry_interval) = (Duration::from_mins(1), Duration::from_secs(10));
    Timing { interval, retry_interval, attempts_max, ..Timing::default() }
}

fn host(name: &str, parents: &[&str]) -> HostSpec {
    let mut host = HostSpec::new(name, "192.0.2.1");
    host.parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
    host.probe = Some(up(name));
    host.timing = timing(3);
    host
}

fn check(id: &str, instance: &str, attempts_max: u32) -> CheckSpec {
    let mut check = CheckSpec::new(CheckId::parse(id), up(instance));
    check.timing = timing(attempts_max);
    check
}

fn set(house: &House, instances: &[&str], value: f64) {
    for instance in instances {
        let labels = [("__name__", "up"), ("instance", instance)];
        house.series.add(&labels, house.clock.now(), value);
    }
}

/// Keeps `up` fed: every 30 s each instance has its value, as a collector would do.
async fn pass(house: &House, seconds: u64, up: &[&str], down: &[&str]) {
    for _ in 0..seconds.div_ceil(5) {
        set(house, up, 1.0);
        set(house, down, 0.0);
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

fn events(house: &House) -> Vec<Event> {
    let mut events = house.checks.events(None, None, 1000);
    events.reverse();
    events
}

fn changes(house: &House) -> Vec<(String, StateChange)> {
    let change = |event: Event| match event.body {
        EventBody::State(change) => Some((event.id.to_string(), *change)),
        _ => None,
    };
    events(house).into_iter().filter_map(change).collect()
}

/// Returns what somebody would be told: confirmed changes that nothing blocks.
fn told(house: &House) -> Vec<(String, ChangeKind)> {
    let changes = changes(house).into_iter();
    let is_told = |change: &StateChange| {
        let is_hard = matches!(change.kind, ChangeKind::HardProblem | ChangeKind::HardRecovery);
        is_hard && change.blocked_by.is_empty()
    };
    changes.filter(|(_, change)| is_told(change)).map(|(id, change)| (id, change.kind)).collect()
}

#[tokio::test(start_paused = true)]
async fn one_dead_router_is_told_once_and_nothing_behind_it() {
    let names = ["router", "switch", "web1", "web2"];
    let site = Site {
        hosts: vec![
            host("router", &[]),
            host("switch", &["router"]),
            host("web1", &["switch"]),
            host("web2", &["switch"]),
        ],
        // Confirmed at the first failure: the hardest case, nothing gives the host time.
        checks: vec![check("web1/http", "web1", 1), check("web2/http", "web2", 1)],
        ..Site::default()
    };
    let house = House::start(site);
    pass(&house, 120, &names, &[]).await;
    assert!(changes(&house).is_empty(), "{:#?}", changes(&house));

    pass(&house, 300, &[], &names).await;
    assert_eq!(told(&house), [("router".to_owned(), ChangeKind::HardProblem)]);
    let blocked = |id: &str| house.checks.check(&CheckId::parse(id)).unwrap().blocked_by;
    assert_eq!(blocked("web1/http"), ["web1", "switch", "router"]);
    assert_eq!(blocked("web2"), ["switch", "router"]);
    assert!(blocked("router").is_empty());
    let status = |id: &str| house.checks.check(&CheckId::parse(id)).unwrap().status;
    assert_eq!(status("web1"), Some(Status::Unreachable));
    assert_eq!(status("router"), Some(Status::Down));

    // The router is back, web2 never comes back: it is told, but only after it was confirmed anew.
    pass(&house, 300, &["router", "switch", "web1"], &["web2"]).await;
    let told = told(&house);
    let problems: Vec<&str> = told
        .iter()
        .filter(|(_, kind)| *kind == ChangeKind::HardProblem)
        .map(|(id, _)| id.as_str())
        .collect();
    assert_eq!(problems, ["router", "web2"], "{told:#?}");
    assert_eq!(status("web2"), Some(Status::Down));
    assert_eq!(status("web1/http"), Some(Status::Ok));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_with_one_of_two_parents_up_is_down_and_not_unreachable() {
    let site = Site {
        hosts: vec![host("a", &[]), host("b", &[]), host("c", &["a", "b"])],
        ..Site::default()
    };
    let house = House::start(site);
    pass(&house, 60, &["a", "b", "c"], &[]).await;
    pass(&house, 200, &["b"], &["a", "c"]).await;
    let view = house.checks.check(&CheckId::host("c")).unwrap();
    assert_eq!(view.status, Some(Status::Down));
    assert!(view.blocked_by.is_empty());
    pass(&house, 200, &[], &["a", "b", "c"]).await;
    let view = house.checks.check(&CheckId::host("c")).unwrap();
    assert_eq!(view.status, Some(Status::Unreachable));
    assert_eq!(view.blocked_by, ["a", "b"]);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_check_hangs_holds_a_problem_for_ten_seconds_at_most() {
    let mut hanging = HostSpec::new("web1", "192.0.2.1");
    let argv = ["/bin/sleep", "1000"].map(str::to_owned).to_vec();
    hanging.probe = Some(Probe::Plugin(PluginProbe { argv, ..PluginProbe::default() }));
    let hour = Duration::from_hours(1);
    hanging.timing = Timing { interval: hour, timeout: hour, ..timing(1) };
    let passive = Probe::Passive(PassiveProbe::default());
    let mut job = CheckSpec::new(CheckId::parse("web1/job"), passive);
    job.timing.attempts_max = 1;
    let house = House::start(Site { hosts: vec![hanging], checks: vec![job], ..Site::default() });
    tokio::time::sleep(Duration::from_secs(3)).await;
    submit(&house, "web1/job", Status::Critical).await;
    let begun = house.clock.now();
    assert!(changes(&house).is_empty(), "it waits for its host");
    assert_eq!(house.checks.check(&CheckId::parse("web1/job")).unwrap().problem, None);
    tokio::time::sleep(Duration::from_secs(11)).await;
    let events = events(&house);
    assert_eq!(events.len(), 1, "{events:#?}");
    let waited = events[0].at.since(begun);
    assert!(waited >= Duration::from_secs(10) && waited < Duration::from_secs(11), "{waited:?}");
    house.stop().await;
}

async fn submit(house: &House, id: &str, status: Status) {
    let result = PassiveResult {
        id: CheckId::parse(id),
        status,
        output: "handed in".to_owned(),
        at: None,
        origin: Origin::Passive,
    };
    house.checks.submit(result).await.unwrap();
}

fn one_job() -> Site {
    let mut job =
        CheckSpec::new(CheckId::parse("web1/job"), Probe::Passive(PassiveProbe::default()));
    job.timing.attempts_max = 1;
    Site { hosts: vec![HostSpec::new("web1", "192.0.2.1")], checks: vec![job], ..Site::default() }
}

#[tokio::test(start_paused = true)]
async fn a_fixed_downtime_of_the_host_holds_for_its_checks_and_ends() {
    let house = House::start(one_job());
    let now = house.clock.now();
    let (start, end) = (now + Duration::from_secs(10), now + Duration::from_mins(1));
    let downtime = Downtime::fixed(CheckId::host("web1"), start, end, "ann", "new disks");
    let number = house.checks.downtime(downtime.clone()).await.unwrap();
    let is_in = || house.checks.check(&CheckId::parse("web1/job")).unwrap().is_in_downtime;
    assert!(!is_in());
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(is_in());
    submit(&house, "web1/job", Status::Critical).await;
    assert!(changes(&house)[0].1.is_in_downtime);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(!is_in());
    let ended = events(&house).pop().unwrap();
    let want =
        EventBody::DowntimeEnded { downtime: number, is_cancelled: false, status: Status::Up };
    assert_eq!(ended.body, want);
    let late = house.checks.downtime(downtime).await;
    assert!(late.is_err(), "it would end before now");
    assert!(house.checks.cancel_downtime(number, "ann").await.is_err(), "it is over");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_maintenance_period_is_a_downtime_again_and_again() {
    // From Friday, 2027-01-15, 08:00 UTC on.
    let nightly = PeriodSpec {
        rules: vec!["friday 09:00-09:30,10:30-11:00".to_owned()],
        ..PeriodSpec::default()
    };
    let mut site = one_job();
    site.hosts[0].maintenance = Some("nightly".to_owned());
    site.periods = [("nightly".to_owned(), nightly)].into();
    let house = House::start(site);
    tokio::time::sleep(Duration::from_mins(5)).await;
    let mut held = Vec::new();
    for _ in 0..14 {
        tokio::time::sleep(Duration::from_mins(15)).await;
        let job = house.checks.check(&CheckId::parse("web1/job")).unwrap();
        held.push(if job.is_in_downtime { 'd' } else { '-' });
    }
    // Looked at each quarter of an hour from 08:20 on.
    let held: String = held.into_iter().collect();
    assert_eq!(held, "---dd----dd---");
    let bodies: Vec<EventBody> = events(&house).into_iter().map(|event| event.body).collect();
    assert_eq!(bodies.len(), 4, "{bodies:#?}");
    assert!(
        matches!(&bodies[0], EventBody::DowntimeStarted { comment, .. } if comment == "nightly")
    );
    assert!(matches!(bodies[1], EventBody::DowntimeEnded { is_cancelled: false, .. }));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_flexible_downtime_begins_with_the_problem_and_outlives_a_restart() {
    let house = House::start(one_job());
    let now = house.clock.now();
    let id = CheckId::parse("web1/job");
    let mut downtime =
        Downtime::fixed(id.clone(), now, now + Duration::from_hours(8), "ann", "some time tonight");
    downtime.duration = Some(Duration::from_mins(30));
    house.checks.downtime(downtime).await.unwrap();
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(!house.checks.check(&id).unwrap().is_in_downtime);
    submit(&house, "web1/job", Status::Critical).await;
    let change = changes(&house).pop().unwrap().1;
    assert!(change.is_in_downtime, "it began before the problem was logged");
    let (clock, records, series) = house.stop().await;
    let house = House::start_with(one_job(), clock, records, series);
    assert!(house.checks.check(&id).unwrap().is_in_downtime);
    tokio::time::sleep(Duration::from_mins(31)).await;
    assert!(!house.checks.check(&id).unwrap().is_in_downtime);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_in_the_middle_loses_no_state_no_event_and_no_number() {
    let house = House::start(one_job());
    submit(&house, "web1/job", Status::Critical).await;
    submit(&house, "web1/job", Status::Warning).await;
    let before = events(&house);
    let (clock, records, series) = house.kill().await;
    let house = House::start_with(one_job(), clock, records, series);
    assert_eq!(events(&house), before);
    let view = house.checks.check(&CheckId::parse("web1/job")).unwrap();
    assert_eq!((view.status, view.problem), (Some(Status::Warning), Some(1)));
    submit(&house, "web1/job", Status::Ok).await;
    let last = events(&house).pop().unwrap();
    assert_eq!(last.sequence, 3);
    assert!(matches!(last.body, EventBody::State(change) if change.problem == 1));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_taken_out_and_put_back_knows_its_state() {
    let house = House::start(one_job());
    submit(&house, "web1/job", Status::Critical).await;
    let without = Site { checks: Vec::new(), ..one_job() };
    house.checks.apply(without.clone());
    assert!(house.checks.check(&CheckId::parse("web1/job")).is_none());
    let missing = house.checks.recheck(&CheckId::parse("web1/job")).await;
    assert!(missing.is_err());
    let (clock, records, series) = house.stop().await;
    let house = House::start_with(without, clock, records, series);
    house.checks.apply(one_job());
    let view = house.checks.check(&CheckId::parse("web1/job")).unwrap();
    assert_eq!((view.status, view.problem), (Some(Status::Critical), Some(1)));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_passive_check_becomes_stale_once_and_recovers() {
    let probe = PassiveProbe::heartbeat(Duration::from_mins(5));
    let mut site = one_job();
    site.checks[0].probe = Probe::Passive(probe);
    let house = House::start(site);
    submit(&house, "web1/job", Status::Ok).await;
    tokio::time::sleep(Duration::from_mins(4)).await;
    submit(&house, "web1/job", Status::Ok).await;
    tokio::time::sleep(Duration::from_mins(4)).await;
    let view = house.checks.check(&CheckId::parse("web1/job")).unwrap();
    assert_eq!(view.status, Some(Status::Ok), "{}", view.output);
    tokio::time::sleep(Duration::from_mins(20)).await;
    let view = house.checks.check(&CheckId::parse("web1/job")).unwrap();
    assert_eq!(view.status, Some(Status::Critical));
    assert_eq!(view.output, "last called 20 min ago; it must call every 5 min");
    submit(&house, "web1/job", Status::Ok).await;
    let kinds: Vec<ChangeKind> = changes(&house).into_iter().map(|(_, c)| c.kind).collect();
    assert_eq!(kinds, [ChangeKind::HardProblem, ChangeKind::HardRecovery]);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_rests_outside_its_period_but_runs_when_asked() {
    // 1,800,000,000 s is Friday, 2027-01-15, 08:00 UTC.
    let hours =
        PeriodSpec { rules: vec!["friday 09:00-10:00".to_owned()], ..PeriodSpec::default() };
    let mut resting = check("a/c", "a", 3);
    resting.timing.period = Some("hours".to_owned());
    let site = Site {
        hosts: vec![HostSpec::new("a", "192.0.2.1")],
        checks: vec![resting],
        periods: [("hours".to_owned(), hours)].into(),
        ..Site::default()
    };
    let house = House::start(site);
    let runs = || house.series.count("noroshi_check_status");
    pass(&house, 3000, &["a"], &[]).await;
    assert_eq!(runs(), 0);
    house.checks.recheck(&CheckId::parse("a/c")).await.unwrap();
    pass(&house, 60, &["a"], &[]).await;
    assert_eq!(runs(), 1);
    pass(&house, 1800, &["a"], &[]).await;
    assert!((18..=22).contains(&runs()), "20 minutes within the period: {}", runs());
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_looked_at_is_not_taken_to_be_down() {
    let mut host = HostSpec::new("a", "192.0.2.1");
    host.probe = Some(Probe::Http(Box::new(HttpProbe::get("ftp://x/"))));
    host.timing = timing(1);
    let house = House::start(Site { hosts: vec![host], ..Site::default() });
    let view = house.wait("a", |view| !view.output.is_empty()).await;
    assert_eq!((view.status, view.problem), (None, None));
    assert!(view.output.contains("no http or https URL"), "{}", view.output);
    assert!(view.next_check.is_some());
    assert!(events(&house).is_empty());
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_runs_out() {
    let house = House::start(one_job());
    let id = CheckId::parse("web1/job");
    submit(&house, "web1/job", Status::Critical).await;
    let asked = |minutes: u64| Acknowledge {
        author: "ann".to_owned(),
        comment: String::new(),
        is_sticky: true,
        until: Some(house.clock.now() + Duration::from_mins(minutes)),
    };
    // The second takes the place of the first, whose time no longer counts.
    house.checks.acknowledge(&id, asked(5)).await.unwrap();
    house.checks.acknowledge(&id, asked(10)).await.unwrap();
    tokio::time::sleep(Duration::from_mins(6)).await;
    assert!(house.checks.check(&id).unwrap().is_acknowledged);
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert!(!house.checks.check(&id).unwrap().is_acknowledged);
    let last = events(&house).pop().unwrap();
    assert!(matches!(last.body, EventBody::Unacknowledged { problem: 1, .. }), "{last:?}");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_states_and_phases_and_counts_what_changed() {
    let site = || Site {
        hosts: vec![host("a", &[])],
        checks: (0..50).map(|i| check(&format!("a/c{i}"), "a", 3)).collect(),
        ..Site::default()
    };
    let house = House::start(site());
    pass(&house, 120, &["a"], &[]).await;
    let due = |house: &House| -> Vec<Option<Timestamp>> {
        house.checks.checks_of("a").iter().map(|view| view.next_check).collect()
    };
    let before = due(&house);
    let mut next = site();
    next.checks.truncate(49);
    next.checks[0].notes = "call ann".to_owned();
    next.checks.push(check("a/new", "a", 3));
    let gone = house.checks.checks_of("a").iter().position(|v| v.check.as_deref() == Some("c49"));
    let applied = house.checks.apply(next);
    assert_eq!((applied.added, applied.changed, applied.removed), (1, 1, 1));
    let mut kept = before;
    kept.remove(gone.unwrap());
    let mut after = due(&house);
    // "new" sorts last.
    assert!(after.pop().unwrap().is_some());
    assert_eq!(after, kept);
    assert!(house.checks.checks_of("a").iter().take(49).all(|v| v.status == Some(Status::Ok)));
    house.stop().await;
}

/// A database on one host, and a shop on another that cannot work without it.
fn shop(attempts_max: u32) -> Site {
    let mut http = check("web1/http", "http", attempts_max);
    http.depends = vec![CheckId::parse("db1/mysql")];
    Site {
        hosts: vec![host("db1", &[]), host("web1", &[])],
        checks: vec![check("db1/mysql", "mysql", 3), http],
        ..Site::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_depends_on_a_failing_check_is_behind_it_and_the_root_alone_is_told() {
    // Told at its first failure when it stood alone: it must wait for a look at what it needs.
    let house = House::start(shop(1));
    pass(&house, 120, &["db1", "web1", "mysql", "http"], &[]).await;
    pass(&house, 180, &["db1", "web1"], &["mysql", "http"]).await;
    assert_eq!(told(&house), [("db1/mysql".to_owned(), ChangeKind::HardProblem)]);
    let view = house.checks.check(&CheckId::parse("web1/http")).unwrap();
    assert_eq!(view.status, Some(Status::Critical), "what was seen is shown");
    assert_eq!(view.blocked_by, ["db1/mysql"]);

    // The database is back, the shop is not: that is a problem of its own now.
    pass(&house, 180, &["db1", "web1", "mysql"], &["http"]).await;
    let now_told = told(&house);
    let want = [
        ("db1/mysql".to_owned(), ChangeKind::HardProblem),
        ("db1/mysql".to_owned(), ChangeKind::HardRecovery),
        ("web1/http".to_owned(), ChangeKind::HardProblem),
    ];
    assert_eq!(now_told, want);
    assert!(house.checks.check(&CheckId::parse("web1/http")).unwrap().blocked_by.is_empty());
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_root_is_named_last_whatever_the_ways_to_it() {
    // The shop needs the database and the switch; the database's host is behind the switch.
    let mut site = shop(3);
    site.hosts.push(host("switch", &[]));
    site.hosts[0].parents = vec!["switch".to_owned()];
    site.checks[1].depends = vec![CheckId::host("switch"), CheckId::parse("db1/mysql")];
    let house = House::start(site);
    pass(&house, 120, &["db1", "web1", "mysql", "http", "switch"], &[]).await;
    pass(&house, 180, &["web1"], &["db1", "mysql", "http", "switch"]).await;
    assert_eq!(told(&house), [("switch".to_owned(), ChangeKind::HardProblem)]);
    let view = house.checks.check(&CheckId::parse("web1/http")).unwrap();
    assert_eq!(view.blocked_by, ["db1/mysql", "db1", "switch"]);
    // Everything is back: nobody hears of what nobody had heard of.
    pass(&house, 180, &["db1", "web1", "mysql", "http", "switch"], &[]).await;
    let problems: Vec<(String, ChangeKind)> =
        told(&house).into_iter().filter(|(_, kind)| *kind == ChangeKind::HardProblem).collect();
    assert_eq!(problems, [("switch".to_owned(), ChangeKind::HardProblem)]);
    assert!(house.checks.problems().is_empty());
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_depends_on_a_failing_check_is_unreachable_and_a_warning_hinders_nobody() {
    let mut site = shop(3);
    site.hosts[1].depends = vec![CheckId::parse("db1/mysql")];
    site.checks[0] =
        CheckSpec::new(CheckId::parse("db1/mysql"), Probe::Passive(PassiveProbe::default()));
    site.checks[0].timing.attempts_max = 1;
    let house = House::start(site);
    submit(&house, "db1/mysql", Status::Warning).await;
    pass(&house, 150, &["db1"], &["web1", "http"]).await;
    let status = || house.checks.check(&CheckId::host("web1")).unwrap().status;
    assert_eq!(status(), Some(Status::Down));
    submit(&house, "db1/mysql", Status::Critical).await;
    assert_eq!(status(), Some(Status::Unreachable), "at once, without a result of its own");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_told_and_is_confirmed_anew_ends_for_those_who_were_told() {
    let house = House::start(shop(2));
    pass(&house, 120, &["db1", "web1", "mysql", "http"], &[]).await;
    // The shop fails by itself and is told; then its host is gone for a while.
    pass(&house, 120, &["db1", "web1", "mysql"], &["http"]).await;
    assert_eq!(told(&house).len(), 1);
    pass(&house, 600, &["db1", "mysql"], &["web1"]).await;
    let shop = || house.checks.check(&CheckId::parse("web1/http")).unwrap();
    assert_eq!(shop().status, Some(Status::Unknown), "a change behind its host, told to nobody");
    // The host is back; the shop begins to be confirmed anew, and then is back too.
    while shop().state_type == StateType::Hard {
        pass(&house, 1, &["db1", "web1", "mysql"], &["http"]).await;
    }
    pass(&house, 120, &["db1", "web1", "mysql", "http"], &[]).await;
    let mut of_shop = told(&house);
    of_shop.retain(|(id, _)| id == "web1/http");
    let kinds: Vec<ChangeKind> = of_shop.into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [ChangeKind::HardProblem, ChangeKind::HardRecovery]);
    house.stop().await;
}

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
async fn a_heartbeat_that_is_late_says_when_it_last_called_also_after_a_restart() {
    let site = || {
        let probe = Probe::Passive(PassiveProbe::heartbeat(Duration::from_mins(10)));
        let mut check = CheckSpec::new(CheckId::check("db1", "backup"), probe);
        check.timing.attempts_max = 1;
        let hosts = vec![HostSpec::new("db1", "192.0.2.1")];
        Site { hosts, checks: vec![check], ..Site::default() }
    };
    let id = CheckId::check("db1", "backup");
    let house = crate::harness::House::start(site());
    house.checks.heartbeat(&id, crate::Heartbeat::Begun).await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    let output = "42 GB saved | size=42GB".to_owned();
    let done = crate::Heartbeat::Done { status: Status::Ok, output };
    house.checks.heartbeat(&id, done).await.unwrap();
    let view = house.wait("db1/backup", |view| view.status == Some(Status::Ok)).await;
    assert_eq!(view.output, "42 GB saved");
    let run_time = view.perfdata.iter().find(|data| data.label == "run_time").unwrap();
    assert!(run_time.value.is_some_and(|seconds| (89.0..92.0).contains(&seconds)));

    tokio::time::sleep(Duration::from_mins(5)).await;
    // Away for an hour: nothing was expected of it meanwhile, and it has its ten minutes again.
    let (clock, records, series) = house.stop().await;
    clock.jump(3600);
    let house = crate::harness::House::start_with(site(), clock, records, series);
    tokio::time::sleep(Duration::from_mins(9)).await;
    assert_eq!(house.checks.check(&id).unwrap().status, Some(Status::Ok));
    let late = house.wait("db1/backup", |view| view.status == Some(Status::Critical)).await;

    assert_eq!(late.output, "last called 1 h 15 min ago; it must call every 10 min");
    // It stays late, and tells the truth about since when.
    tokio::time::sleep(Duration::from_mins(11)).await;
    let later = house.checks.check(&id).unwrap().output;
    assert_eq!(later, "last called 1 h 25 min ago; it must call every 10 min");
    let call = crate::Heartbeat::Done { status: Status::Ok, output: String::new() };
    house.checks.heartbeat(&id, call).await.unwrap();
    house.wait("db1/backup", |view| view.output == "called").await;
    let wrong = house.checks.heartbeat(&CheckId::host("db1"), crate::Heartbeat::Begun).await;
    assert!(matches!(wrong, Err(crate::ActionError::NotAHeartbeat { .. })));
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
