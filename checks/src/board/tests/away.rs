//! After the server was away, and where it cannot tell: nothing is concluded from what it did not
//! see by its own fault.

use noroshi_model::CheckResult;
use noroshi_model::seam::MemoryRecords;

use super::*;
use crate::Heartbeat;
use crate::board::Board;
use crate::probe::Judging;

/// A host whose agent must have sent something in the last 40 seconds, as the server makes it.
fn with_agent(name: &str, parents: &[&str]) -> HostSpec {
    let mut host = host(name, parents);
    host.probe = Some(Probe::Expression(ExpressionProbe {
        expr: format!("time() - max(timestamp(boot{{instance={name:?}}}))"),
        judge: Judge::Thresholds {
            warning: None,
            critical: Some(Threshold { op: Compare::Above, value: 40.0, leave: None }),
        },
        unit: "seconds".to_owned(),
        name_labels: Vec::new(),
        meaning: String::new(),
        missing: Missing::Unknown,
    }));
    let (interval, retry_interval) = (Duration::from_secs(10), Duration::from_secs(5));
    host.timing = Timing { interval, retry_interval, attempts_max: 2, ..Timing::default() };
    host
}

/// Lets the agents of these hosts report.
async fn report(house: &House, seconds: u64, hosts: &[&str]) {
    for _ in 0..seconds.div_ceil(5) {
        for host in hosts {
            let labels = [("__name__", "boot"), ("instance", host)];
            house.series.add(&labels, house.clock.now(), 1.0);
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

fn status(house: &House, id: &str) -> Option<Status> {
    house.checks.check(&CheckId::parse(id)).unwrap().status
}

#[tokio::test(start_paused = true)]
async fn agents_that_come_back_after_the_server_did_were_never_down() {
    let site =
        || Site { hosts: vec![with_agent("a", &[]), with_agent("gone", &[])], ..Site::default() };
    let house = House::start(site());
    report(&house, 60, &["a", "gone"]).await;
    assert_eq!(status(&house, "a"), Some(Status::Up));
    let (clock, records, series) = house.stop().await;
    tokio::time::sleep(Duration::from_mins(10)).await;

    let house = House::start_with(site(), clock, records, series);
    // An agent tries every 45 seconds at the latest.
    report(&house, 45, &[]).await;
    assert_eq!(status(&house, "a"), Some(Status::Up), "it could not report yet");
    report(&house, 200, &["a"]).await;
    assert_eq!(told(&house), [("gone".to_owned(), ChangeKind::HardProblem)]);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_short_restart_makes_an_agents_silence_no_later_known() {
    let site = || Site { hosts: vec![with_agent("a", &[])], ..Site::default() };
    let house = House::start(site());
    report(&house, 60, &["a"]).await;
    let (clock, records, series) = house.stop().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let house = House::start_with(site(), clock, records, series);
    report(&house, 65, &[]).await;
    assert_eq!(told(&house), [("a".to_owned(), ChangeKind::HardProblem)]);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_each_night_forgives_no_job_that_stays_away() {
    let site = || {
        let probe = PassiveProbe {
            freshness: Some(Duration::from_hours(25)),
            stale: Some(Status::Critical),
            is_heartbeat: true,
        };
        let mut job = CheckSpec::new(CheckId::parse("a/backup"), Probe::Passive(probe));
        job.timing.attempts_max = 1;
        Site { hosts: vec![HostSpec::new("a", "")], checks: vec![job], ..Site::default() }
    };
    let mut house = House::start(site());
    let call = Heartbeat::Done { status: Status::Ok, output: String::new() };
    house.checks.heartbeat(&CheckId::parse("a/backup"), call).await.unwrap();
    // It is stopped for a minute every 20 hours; the job never calls again.
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_hours(20)).await;
        let (clock, records, series) = house.stop().await;
        tokio::time::sleep(Duration::from_mins(1)).await;
        house = House::start_with(site(), clock, records, series);
    }
    let due = house.checks.check(&CheckId::parse("a/backup")).unwrap().next_check.unwrap();
    assert!(due.since(house.clock.now()) <= Duration::from_mins(7), "not another 25 hours");
    tokio::time::sleep(Duration::from_mins(8)).await;
    assert_eq!(status(&house, "a/backup"), Some(Status::Critical));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_no_excuse_for_a_check_that_is_changed_hours_later() {
    let site = |hours: u64| {
        let probe = PassiveProbe::heartbeat(Duration::from_hours(hours));
        let job = CheckSpec::new(CheckId::parse("a/backup"), Probe::Passive(probe));
        Site { hosts: vec![HostSpec::new("a", "")], checks: vec![job], ..Site::default() }
    };
    let house = House::start(site(25));
    let call = Heartbeat::Done { status: Status::Ok, output: String::new() };
    house.checks.heartbeat(&CheckId::parse("a/backup"), call).await.unwrap();
    let (clock, records, series) = house.stop().await;
    tokio::time::sleep(Duration::from_hours(20)).await;
    let house = House::start_with(site(25), clock, records, series);
    tokio::time::sleep(Duration::from_hours(1)).await;
    house.checks.apply(site(24));
    let due = house.checks.check(&CheckId::parse("a/backup")).unwrap().next_check.unwrap();
    let left = due.since(house.clock.now()).as_secs();
    assert!((10_000..=10_800).contains(&left), "three hours are left of 24: {left} s");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn checks_of_a_host_that_does_not_answer_for_itself_are_cut_off_with_it() {
    let mut silent = HostSpec::new("silent", "192.0.2.1");
    silent.parents = vec!["router".to_owned()];
    let mut behind = HostSpec::new("behind", "192.0.2.1");
    behind.parents = vec!["silent".to_owned()];
    let names = ["router", "silent/http", "behind/http", "agent/http", "free/http"];
    let site = Site {
        hosts: vec![
            host("router", &[]),
            silent,
            behind,
            with_agent("agent", &["router"]),
            HostSpec::new("free", "192.0.2.1"),
        ],
        checks: names[1..].iter().map(|id| check(id, id, 1)).collect(),
        ..Site::default()
    };
    let house = House::start(site);
    for _ in 0..12 {
        set(&house, &names, 1.0);
        report(&house, 5, &["agent"]).await;
    }
    pass(&house, 90, &[], &names).await;
    let told = told(&house);
    let mut ids: Vec<&str> = told.iter().map(|(id, _)| id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["free/http", "router"], "{told:#?}");
    let blocked = |id: &str| house.checks.check(&CheckId::parse(id)).unwrap().blocked_by;
    assert_eq!(blocked("silent/http"), ["router"]);
    assert_eq!(blocked("behind/http"), ["router"]);
    assert_eq!(status(&house, "silent"), Some(Status::Up), "nothing looks at it");

    // What still does not answer when the router is back is told then.
    pass(&house, 120, &["router", "silent/http", "agent/http"], &["behind/http"]).await;
    let told: Vec<(String, ChangeKind)> =
        told_since(&house, told.len()).into_iter().filter(|(id, _)| id != "agent").collect();
    let recovered = ("router".to_owned(), ChangeKind::HardRecovery);
    assert_eq!(told, [recovered, ("behind/http".to_owned(), ChangeKind::HardProblem)]);
    house.stop().await;
}

fn told_since(house: &House, seen: usize) -> Vec<(String, ChangeKind)> {
    told(house).split_off(seen)
}

#[test]
fn a_plugin_that_the_server_cannot_start_says_nothing_of_a_host() {
    let now = Timestamp::from_secs(1_800_000_000);
    let mut looked_at = HostSpec::new("a", "192.0.2.1");
    let argv = vec!["/bin/true".to_owned()];
    looked_at.probe = Some(Probe::Plugin(PluginProbe { argv, ..PluginProbe::default() }));
    looked_at.timing = timing(1);
    let mut board = Board::load(&MemoryRecords::new()).unwrap();
    let site = Site { hosts: vec![looked_at], ..Site::default() };
    board.apply(site, now, now.as_millis());
    let mut take = |status: Status, is_own_fault: bool| {
        let found = CheckResult { status, ..reload::fine(&CheckId::host("a"), now) };
        let judging = Judging { is_own_fault, ..Judging::default() };
        board.take_result(&found, judging, now, now.as_millis());
        board.entries[&CheckId::host("a")].state.status
    };
    assert_eq!(take(Status::Ok, false), Some(Status::Up));
    assert_eq!(take(Status::Unknown, true), Some(Status::Up), "the server's own fault");
    assert_eq!(take(Status::Unknown, false), Some(Status::Down), "what the plug-in says");
}

#[test]
fn a_result_that_waited_to_be_judged_makes_a_check_fresh() {
    let now = Timestamp::from_secs(1_800_000_000);
    let id = CheckId::check("a", "job");
    let freshness = Some(Duration::from_mins(2));
    let probe = PassiveProbe { freshness, ..PassiveProbe::default() };
    let site = Site {
        hosts: vec![HostSpec::new("a", "")],
        checks: vec![CheckSpec::new(id.clone(), Probe::Passive(probe))],
        ..Site::default()
    };
    let mut board = Board::load(&MemoryRecords::new()).unwrap();
    board.apply(site, now, now.as_millis());
    let mut take = |minutes: u64, status: Status, origin: Origin| {
        let at = now + Duration::from_mins(minutes);
        let found = CheckResult { status, origin, ..reload::fine(&id, at) };
        board.take_result(&found, Judging::default(), at, at.as_millis());
        (board.entries[&id].state.status, board.entries[&id].due.unwrap() - at.as_millis())
    };
    assert_eq!(take(0, Status::Ok, Origin::Passive), (Some(Status::Ok), 120_000));
    // The disk was full: a look found it stale at two minutes, but a result of then came before it.
    assert_eq!(take(3, Status::Ok, Origin::Passive), (Some(Status::Ok), 120_000));
    assert_eq!(take(4, Status::Unknown, Origin::Stale), (Some(Status::Ok), 60_000));
    assert_eq!(take(5, Status::Unknown, Origin::Stale), (Some(Status::Unknown), 120_000));
}
