//! The room as a whole: plug-ins run, states are judged, events are committed.

use std::time::Duration;

use noroshi_model::{ChangeKind, CheckId, EventBody, Origin, StateType, Status};

use crate::harness::House;
use crate::{
    Acknowledge, ActionError, CheckSpec, Compare, ExpressionProbe, HostSpec, Judge, Missing,
    PassiveProbe, PassiveResult, PluginProbe, Probe, Protocol, Site, TcpProbe, Threshold, Timing,
};

fn plugin(argv: &[&str]) -> Probe {
    let argv = argv.iter().map(|text| (*text).to_owned()).collect();
    Probe::Plugin(PluginProbe { argv, ..PluginProbe::default() })
}

fn passive(id: &str) -> CheckSpec {
    CheckSpec::new(CheckId::parse(id), Probe::Passive(PassiveProbe::default()))
}

fn site(checks: Vec<CheckSpec>) -> Site {
    Site { hosts: vec![HostSpec::new("web1", "127.0.0.1")], checks, ..Site::default() }
}

async fn submit(house: &House, id: &str, status: Status, output: &str) {
    let result = PassiveResult {
        id: CheckId::parse(id),
        status,
        output: output.to_owned(),
        at: None,
        origin: Origin::Passive,
    };
    house.checks.submit(result).await.unwrap();
}

fn kinds(house: &House, id: &str) -> Vec<ChangeKind> {
    let mut events = house.checks.events(Some(&CheckId::parse(id)), None, 100);
    events.reverse();
    let kind = |body: EventBody| match body {
        EventBody::State(change) => Some(change.kind),
        _ => None,
    };
    events.into_iter().filter_map(|event| kind(event.body)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_plugin_is_run_and_its_performance_data_become_series() {
    let probe = plugin(&["/bin/echo", "$HOSTNAME$ is fine | time=250ms;500;1000;0 size=3KB"]);
    let mut check = CheckSpec::new(CheckId::check("web1", "echo"), probe);
    check.timing.interval = Duration::from_millis(200);
    let house = House::start(site(vec![check]));
    let view = house.wait("web1/echo", |view| view.status.is_some()).await;
    assert_eq!(view.status, Some(Status::Ok));
    assert_eq!(view.output, "web1 is fine");
    assert_eq!(view.perfdata.len(), 2);
    assert_eq!(view.graphs.len(), 2);
    assert!(view.next_check.is_some() && view.last_check.is_some());
    let series = std::sync::Arc::clone(&house.series);
    house.stop().await;
    let perfdata = series.newest("noroshi_perfdata");
    let wanted = [("bytes", 3072.0), ("seconds", 0.25)];
    let found: Vec<(&str, f64)> =
        perfdata.iter().map(|(labels, v)| (labels.get("unit").unwrap(), *v)).collect();
    assert_eq!(found, wanted);
    assert_eq!(series.newest("noroshi_check_status")[0].1, 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_problem_is_soft_then_hard_then_over_and_a_restart_knows_all_of_it() {
    let house = House::start(site(vec![passive("web1/job")]));
    for (status, state_type, attempt) in [
        (Status::Critical, StateType::Soft, 1),
        (Status::Critical, StateType::Soft, 2),
        (Status::Critical, StateType::Hard, 3),
        (Status::Warning, StateType::Hard, 3),
    ] {
        submit(&house, "web1/job", status, "broken").await;
        let view = house.checks.check(&CheckId::parse("web1/job")).unwrap();
        assert_eq!(
            (view.status, view.state_type, view.attempt),
            (Some(status), state_type, attempt)
        );
    }
    let problem = house.checks.check(&CheckId::parse("web1/job")).unwrap().problem;
    assert_eq!(problem, Some(1));
    let (clock, records, series) = house.stop().await;

    let house = House::start_with(site(vec![passive("web1/job")]), clock, records, series);
    let view = house.checks.check(&CheckId::parse("web1/job")).unwrap();
    assert_eq!((view.status, view.attempt, view.problem), (Some(Status::Warning), 3, problem));
    submit(&house, "web1/job", Status::Ok, "fine").await;
    let want = [
        ChangeKind::SoftProblem,
        ChangeKind::HardProblem,
        ChangeKind::HardProblem,
        ChangeKind::HardRecovery,
    ];
    assert_eq!(kinds(&house, "web1/job"), want);
    assert_eq!(*house.checks.committed().borrow(), 4);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_in_becomes_series_too() {
    let house = House::start(site(vec![passive("web1/job")]));
    submit(&house, "web1/job", Status::Warning, "slow | time=3s;2;5").await;
    assert_eq!(house.checks.stats().results, 1);
    let series = std::sync::Arc::clone(&house.series);
    house.stop().await;
    let perfdata = series.newest("noroshi_perfdata");
    let labels = perfdata[0].0.to_string();
    assert_eq!(
        labels,
        r#"noroshi_perfdata{check="job",instance="web1",label="time",unit="seconds"}"#
    );
    assert_eq!(perfdata[0].1, 3.0);
    assert_eq!(series.newest("noroshi_check_status")[0].1, 1.0);
    assert!(series.newest("noroshi_check_run_seconds").is_empty(), "nobody here ran it");
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_host_is_written_as_a_hosts() {
    let mut site = site(Vec::new());
    site.hosts[0].timing.attempts_max = 1;
    let house = House::start(site);
    for (status, code) in [(Status::Critical, 1.0), (Status::Warning, 0.0), (Status::Down, 1.0)] {
        submit(&house, "web1", status, "handed in").await;
        let wanted = [("noroshi_check_status{instance=\"web1\"}".to_owned(), code)];
        let begun = tokio::time::Instant::now();
        loop {
            let newest = house.series.newest("noroshi_check_status");
            let found: Vec<(String, f64)> =
                newest.into_iter().map(|(labels, value)| (labels.to_string(), value)).collect();
            if found == wanted {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(9), "{found:?} is not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_problem_is_acknowledged_and_others_are_not() {
    let house = House::start(site(vec![passive("web1/job")]));
    let id = CheckId::parse("web1/job");
    let asked = Acknowledge {
        author: "ann".to_owned(),
        comment: "on it".to_owned(),
        is_sticky: false,
        until: None,
    };
    let refused = house.checks.acknowledge(&id, asked.clone()).await;
    assert!(matches!(refused, Err(ActionError::NoProblem { .. })));
    submit(&house, "web1/job", Status::Critical, "broken").await;
    house.checks.acknowledge(&id, asked).await.unwrap();
    let view = house.checks.check(&id).unwrap();
    assert!(view.is_acknowledged && view.acknowledgement.unwrap().author == "ann");
    submit(&house, "web1/job", Status::Ok, "fine").await;
    assert!(!house.checks.check(&id).unwrap().is_acknowledged);
    let missing = house.checks.recheck(&CheckId::parse("web1/nothing")).await;
    assert!(matches!(missing, Err(ActionError::NoSuchCheck { .. })));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_expression_is_judged_and_its_threshold_drawn() {
    let probe = ExpressionProbe {
        expr: "disk_used_percent".to_owned(),
        judge: Judge::Thresholds {
            warning: Some(Threshold { op: Compare::Above, value: 90.0, leave: Some(85.0) }),
            critical: Some(Threshold { op: Compare::Above, value: 95.0, leave: None }),
        },
        unit: "percent".to_owned(),
        name_labels: vec!["mountpoint".to_owned()],
        meaning: String::new(),
        missing: Missing::Unknown,
    };
    let mut check = CheckSpec::new(CheckId::check("web1", "disk"), Probe::Expression(probe));
    check.timing =
        Timing { attempts_max: 1, interval: Duration::from_secs(10), ..check.timing.clone() };
    let house = House::start(site(vec![check]));
    let view = house.wait("web1/disk", |view| view.status.is_some()).await;
    assert_eq!(view.status, Some(Status::Unknown));
    assert!(view.output.contains("no such series"), "{}", view.output);

    let expected = |value: f64, status: Status| {
        let now = noroshi_model::Clock::now(&*house.clock);
        let labels = [("__name__", "disk_used_percent"), ("mountpoint", "/var")];
        house.series.add(&labels, now, value);
        status
    };
    // Up over the warning, down but not below where it is left, and then below.
    for (value, status) in [
        (70.0, Status::Ok),
        (93.1, Status::Warning),
        (87.0, Status::Warning),
        (84.0, Status::Ok),
        (97.0, Status::Critical),
        (87.0, Status::Warning),
    ] {
        let status = expected(value, status);
        house.checks.recheck(&CheckId::parse("web1/disk")).await.unwrap();
        let text = format!("{value}").chars().take(4).collect::<String>();
        let is_so = |view: &crate::CheckView| view.output.contains(&format!("/var {text}"));
        let view = house.wait("web1/disk", is_so).await;
        assert_eq!(view.status, Some(status), "{value}: {}", view.output);
    }
    let view = house.checks.check(&CheckId::parse("web1/disk")).unwrap();
    assert_eq!(view.graphs[0].warning, Some(90.0));
    assert_eq!(view.graphs[0].expr, "disk_used_percent");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_wall_clock_neither_stalls_nor_bursts() {
    let mut check = CheckSpec::new(CheckId::check("web1", "tcp"), plugin(&["/bin/true"]));
    check.probe = Probe::Expression(ExpressionProbe {
        expr: "vector(1)".to_owned(),
        judge: Judge::Thresholds { warning: None, critical: None },
        unit: String::new(),
        name_labels: Vec::new(),
        meaning: String::new(),
        missing: Missing::Unknown,
    });
    check.timing.interval = Duration::from_secs(10);
    let house = House::start(site(vec![check]));
    house.wait("web1/tcp", |view| view.status.is_some()).await;
    for jump in [86_400, -2 * 86_400] {
        house.clock.jump(jump);
        let before = house.series.count("noroshi_check_status");
        tokio::time::sleep(Duration::from_secs(100)).await;
        let runs = house.series.count("noroshi_check_status") - before;
        assert!((9..=11).contains(&runs), "{runs} runs in 100 s after a jump of {jump} s");
        let view = house.checks.check(&CheckId::parse("web1/tcp")).unwrap();
        let ahead = view.next_check.unwrap().since(noroshi_model::Clock::now(&*house.clock));
        assert!(ahead <= Duration::from_secs(10), "next in {ahead:?}");
    }
    house.stop().await;
}

/// An expression that is always fine, every second.
fn steady(id: &str) -> CheckSpec {
    let probe = Probe::Expression(ExpressionProbe {
        expr: "vector(1)".to_owned(),
        judge: Judge::Thresholds { warning: None, critical: None },
        unit: String::new(),
        name_labels: Vec::new(),
        meaning: String::new(),
        missing: Missing::Unknown,
    });
    let mut check = CheckSpec::new(CheckId::parse(id), probe);
    check.timing.interval = Duration::from_secs(1);
    check
}

#[tokio::test(start_paused = true)]
async fn a_hundred_hanging_targets_delay_nobody_else() {
    let mut checks = vec![steady("web1/steady")];
    for index in 0..100 {
        let id = CheckId::check("web1", &format!("hanging{index}"));
        let mut check = CheckSpec::new(id, plugin(&["/bin/sleep", "1000"]));
        check.timing.interval = Duration::from_mins(1);
        check.timing.timeout = Duration::from_mins(1);
        checks.push(check);
    }
    let house = House::start(site(checks));
    house.wait("web1/steady", |view| view.status.is_some()).await;
    let runs = || {
        let status = house.series.0.lock();
        let is_steady = |labels: &noroshi_model::Labels| {
            labels.name() == "noroshi_check_status" && labels.get("check") == Some("steady")
        };
        status.iter().filter(|sample| is_steady(&sample.labels)).count()
    };
    let before = runs();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let done = runs() - before;
    assert!((29..=31).contains(&done), "{done} runs in 30 s");
    assert!(house.checks.stats().runs_under_way >= 90, "{:?}", house.checks.stats());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_never_runs_twice_at_once_not_even_when_it_does_not_want_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    // Notes when the run before it is still there; then ignores the polite signal.
    let script = format!(
        "[ -e {path}/pid ] && kill -0 $(cat {path}/pid) && echo twice >> {path}/twice; \
         echo $$ > {path}/pid; echo run >> {path}/runs; trap '' TERM; sleep 20"
    );
    let mut check =
        CheckSpec::new(CheckId::check("web1", "stubborn"), plugin(&["/bin/sh", "-c", &script]));
    check.timing.interval = Duration::from_millis(200);
    check.timing.retry_interval = Duration::from_millis(200);
    let house = House::start(site(vec![check]));
    let id = CheckId::check("web1", "stubborn");
    let runs = || std::fs::read_to_string(folder.path().join("runs")).unwrap_or_default();
    let begun = std::time::Instant::now();
    while runs().lines().count() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(30), "only {:?}", runs());
        house.checks.recheck(&id).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!folder.path().join("twice").exists());
    let view = house.checks.check(&id).unwrap();
    assert_eq!(view.status, Some(Status::Critical), "{}", view.output);
    assert!(view.output.contains("timed out after 0.2 s"), "{}", view.output);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_handler_runs_on_soft_and_hard_changes_with_its_macros() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("handled");
    let script = format!("echo \"$@\" >> {}", file.display());
    let argv = [
        "/bin/sh",
        "-c",
        script.as_str(),
        "handler",
        "$SERVICEDESC$",
        "$SERVICESTATE$",
        "$SERVICESTATETYPE$",
        "$SERVICEATTEMPT$",
        "$SERVICEOUTPUT$",
    ];
    let mut check = passive("web1/job");
    check.on_change = Some(crate::HandlerSpec {
        action: crate::HandlerAction::Command { argv: argv.map(str::to_owned).to_vec() },
        timeout: Duration::from_secs(10),
        is_for_soft: true,
        is_for_hard: true,
    });
    let house = House::start(site(vec![check]));
    let mut wanted = Vec::new();
    for (status, line) in [
        (Status::Critical, "job CRITICAL SOFT 1 it's $(broken)"),
        (Status::Critical, "job CRITICAL SOFT 2 it's $(broken)"),
        (Status::Critical, "job CRITICAL HARD 3 it's $(broken)"),
        // With the end, the attempt that was reached: as Nagios counts.
        (Status::Ok, "job OK HARD 3 it's $(broken)"),
        (Status::Critical, "job CRITICAL SOFT 1 it's $(broken)"),
        (Status::Ok, "job OK SOFT 2 it's $(broken)"),
    ] {
        submit(&house, "web1/job", status, "it's $(broken)").await;
        wanted.push(line);
        let begun = std::time::Instant::now();
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if text.lines().collect::<Vec<_>>() == wanted {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{text:?} is not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_hanging_targets_delay_none_of_five_hundred_that_answer() {
    // As the server does at its start.
    let mut files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    files.current = files.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, files).unwrap();
    // One port answers nothing: its connections wait in the kernel. The other is all right.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (silent_port, good_port) =
        (silent.local_addr().unwrap().port(), good.local_addr().unwrap().port());
    let accepting = tokio::spawn(async move { while good.accept().await.is_ok() {} });
    let tcp =
        |port: u16, protocol| Probe::Tcp(TcpProbe::new(&format!("127.0.0.1:{port}"), protocol));
    let mut checks = Vec::new();
    for index in 0..500 {
        let id = CheckId::check("web1", &format!("hanging{index}"));
        let mut check = CheckSpec::new(id, tcp(silent_port, Protocol::Smtp));
        check.timing.interval = Duration::from_mins(1);
        check.timing.timeout = Duration::from_mins(1);
        checks.push(check);
        let id = CheckId::check("web1", &format!("good{index}"));
        let mut check = CheckSpec::new(id, tcp(good_port, Protocol::Connect));
        check.timing.interval = Duration::from_secs(5);
        check.timing.timeout = Duration::from_secs(2);
        checks.push(check);
    }
    let house = House::start(site(checks));
    // First runs are spread over ten seconds; then each good one is looked at every five.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let hanging = house.checks.stats().runs_under_way;
    assert!(hanging >= 490, "only {hanging} hang");
    for view in house.checks.checks_of("web1") {
        if view.check.as_deref().is_some_and(|name| name.starts_with("good")) {
            assert_eq!(view.status, Some(Status::Ok), "{view:#?}");
            assert!(view.latency_ms < 1500.0, "{} ms late: {view:#?}", view.latency_ms);
        }
    }
    let late = house.checks.last_runs();
    assert!(late.count >= 500 && late.latency.0 < 0.5, "{late:?}");
    house.stop().await;
    accepting.abort();
    drop(silent);
}
