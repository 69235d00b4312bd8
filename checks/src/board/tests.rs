//! Root first, downtimes, restarts: what follows from one result for others.
//!
//! Hosts are looked at by an expression over `up`, which a test sets; time is tokio's paused one.

mod away;
mod cluster;
mod depends;
mod difference;
mod lasting;
mod maintenance;
mod reload;

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
async fn a_triggered_downtime_begins_and_ends_with_the_one_that_triggers_it() {
    let mut site = one_job();
    site.hosts.push(HostSpec::new("web2", "192.0.2.2"));
    let house = House::start(site);
    let now = house.clock.now();
    let end = now + Duration::from_hours(8);
    let (job, web2) = (CheckId::parse("web1/job"), CheckId::host("web2"));
    // One that begins with a problem, and one that begins with it, for an hour.
    let mut first = Downtime::fixed(job.clone(), now, end, "ann", "some time tonight");
    first.duration = Some(Duration::from_mins(30));
    let first = house.checks.downtime(first).await.unwrap();
    let mut other = Downtime::fixed(web2.clone(), now, end, "ann", "the same work");
    (other.duration, other.triggered_by) = (Some(Duration::from_hours(1)), Some(first));
    let other = house.checks.downtime(other).await.unwrap();
    let is_in = |id: &CheckId| house.checks.check(id).unwrap().is_in_downtime;
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(!is_in(&job) && !is_in(&web2));
    submit(&house, "web1/job", Status::Critical).await;
    assert!(is_in(&job) && is_in(&web2));
    tokio::time::sleep(Duration::from_mins(31)).await;
    assert!(!is_in(&job) && is_in(&web2), "each has its own duration");
    tokio::time::sleep(Duration::from_mins(30)).await;
    assert!(!is_in(&web2));
    assert!(house.checks.cancel_downtime(other, "ann").await.is_err(), "it is over");
    // Whoever takes the first back takes back what it would trigger.
    let mut third = Downtime::fixed(job.clone(), house.clock.now(), end, "ann", "again");
    third.duration = Some(Duration::from_mins(30));
    let third = house.checks.downtime(third).await.unwrap();
    let mut fourth = Downtime::fixed(web2.clone(), house.clock.now(), end, "ann", "again");
    fourth.triggered_by = Some(third);
    let fourth = house.checks.downtime(fourth).await.unwrap();
    house.checks.cancel_downtime(third, "ann").await.unwrap();
    assert!(house.checks.cancel_downtime(fourth, "ann").await.is_err());
    let nowhere = Downtime { triggered_by: Some(999), ..Downtime::fixed(web2, now, end, "a", "b") };
    assert!(house.checks.downtime(nowhere).await.is_err());
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
