//! Lines in, commands out; and a real pipe.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use noroshi_model::Status;

use super::*;
use crate::harness::House;
use crate::{CheckSpec, HostSpec, PassiveProbe, Probe, Site};

fn ack(author: &str, comment: &str, is_sticky: bool, until: Option<i64>) -> Acknowledge {
    let until = until.map(Timestamp::from_secs);
    Acknowledge { author: author.to_owned(), comment: comment.to_owned(), is_sticky, until }
}

#[test]
fn the_commands_that_people_script_are_understood() {
    let id = CheckId::check("web1", "disk /var");
    let submit = |id: &CheckId, status, output: &str| {
        Command::Submit(PassiveResult {
            id: id.clone(),
            status,
            output: output.to_owned(),
            at: Some(Timestamp::from_secs(5)),
            origin: Origin::Passive,
        })
    };
    let cases = [
        (
            r"[5] PROCESS_SERVICE_CHECK_RESULT;web1;disk /var;2;full; really\nmore\\n|a=1",
            submit(&id, Status::Critical, "full; really\nmore\\n|a=1"),
        ),
        (
            "[5] process_host_check_result;web1;1;down",
            submit(&CheckId::host("web1"), Status::Down, "down"),
        ),
        (
            "[5] ACKNOWLEDGE_SVC_PROBLEM;web1;disk /var;2;1;1;ann;on it; soon\n",
            Command::Acknowledge(id.clone(), ack("ann", "on it; soon", true, None)),
        ),
        (
            "[5] ACKNOWLEDGE_HOST_PROBLEM_EXPIRE;web1;1;0;0;99;ann;later",
            Command::Acknowledge(CheckId::host("web1"), ack("ann", "later", false, Some(99))),
        ),
        ("[5] DEL_SVC_DOWNTIME;7", Command::CancelDowntime(7)),
        ("[5] SCHEDULE_FORCED_SVC_CHECK;web1;disk /var;1", Command::Recheck(id.clone())),
        ("[5] SCHEDULE_HOST_SVC_CHECKS;web1;1", Command::RecheckChecks("web1".to_owned())),
        (
            "[5] ADD_SVC_COMMENT;web1;disk /var;1;ann;new disk ordered",
            Command::Comment {
                id: id.clone(),
                author: "ann".to_owned(),
                text: "new disk ordered".to_owned(),
            },
        ),
        (
            "[5] SCHEDULE_SVC_DOWNTIME;web1;disk /var;10;20;0;3;60;ann;move",
            Command::Downtime(Downtime {
                duration: Some(Duration::from_mins(1)),
                triggered_by: Some(3),
                ..Downtime::fixed(
                    id.clone(),
                    Timestamp::from_secs(10),
                    Timestamp::from_secs(20),
                    "ann",
                    "move",
                )
            }),
        ),
    ];
    for (line, want) in cases {
        assert_eq!(Command::parse(line), Ok(want), "{line}");
    }
}

#[test]
fn a_deletion_of_downtimes_names_what_they_have_in_common() {
    let cases = [
        (
            "[5] DEL_DOWNTIME_BY_HOST_NAME;web1;;30;move",
            Command::CancelDowntimes(Which {
                host: Some("web1".to_owned()),
                start: Some(Timestamp::from_secs(30)),
                comment: Some("move".to_owned()),
                ..Which::default()
            }),
        ),
        (
            "[5] DEL_DOWNTIME_BY_HOSTGROUP_NAME;web;web1;disk /var",
            Command::CancelDowntimes(Which {
                group: Some("web".to_owned()),
                host: Some("web1".to_owned()),
                check: Some("disk /var".to_owned()),
                ..Which::default()
            }),
        ),
    ];
    for (line, want) in cases {
        assert_eq!(Command::parse(line), Ok(want), "{line}");
    }
}

#[test]
fn what_is_no_command_is_told() {
    let wrong =
        |name: &str, position| Err(CommandError::Argument { name: name.to_owned(), position });
    for (line, want) in [
        ("PROCESS_HOST_CHECK_RESULT;a;0;x", Err(CommandError::NoTime)),
        ("[now] DEL_SVC_DOWNTIME;7", Err(CommandError::NoTime)),
        ("[1] MAKE_COFFEE", Err(CommandError::Unknown { name: "MAKE_COFFEE".to_owned() })),
        ("[1] DEL_SVC_DOWNTIME;x", wrong("DEL_SVC_DOWNTIME", 1)),
        ("[1] PROCESS_SERVICE_CHECK_RESULT;a;b;4;x", wrong("PROCESS_SERVICE_CHECK_RESULT", 3)),
        ("[1] PROCESS_SERVICE_CHECK_RESULT;a", wrong("PROCESS_SERVICE_CHECK_RESULT", 2)),
        ("[1] PROCESS_HOST_CHECK_RESULT;a;4;x", wrong("PROCESS_HOST_CHECK_RESULT", 2)),
        ("[1] DEL_DOWNTIME_BY_START_TIME_COMMENT", wrong("DEL_DOWNTIME_BY_START_TIME_COMMENT", 2)),
    ] {
        assert_eq!(Command::parse(line), want, "{line}");
    }
}

#[test]
fn what_is_done_otherwise_is_told_with_what_to_do() {
    for (name, words) in [
        ("DISABLE_SVC_NOTIFICATIONS", "downtime"),
        ("ENABLE_NOTIFICATIONS", "downtime"),
        ("SEND_CUSTOM_HOST_NOTIFICATION", "comment"),
        ("DISABLE_SVC_CHECK", "period"),
        ("STOP_EXECUTING_SVC_CHECKS", "period"),
        ("STOP_ACCEPTING_PASSIVE_SVC_CHECKS", "period"),
        ("DISABLE_HOST_EVENT_HANDLER", "on_change"),
        ("ENABLE_FLAP_DETECTION", "flapping"),
        ("DEL_ALL_SVC_COMMENTS", "history"),
        ("SCHEDULE_SERVICEGROUP_SVC_DOWNTIME", "group of hosts"),
        ("CHANGE_NORMAL_SVC_CHECK_INTERVAL", "configuration"),
        ("RESTART_PROGRAM", "service manager"),
    ] {
        let error = Command::parse(&format!("[1] {name};a;b;c")).unwrap_err();
        assert!(matches!(error, CommandError::Elsewhere { .. }), "{name}: {error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// Runs one line and waits until it is done.
async fn execute(house: &House, line: &str) {
    house.checks.execute(Command::parse(line).unwrap()).await.unwrap();
}

#[tokio::test]
async fn downtimes_are_set_and_ended_for_groups_and_by_what_they_are() {
    let probe = || Probe::Passive(PassiveProbe::default());
    let host = |name: &str, group: &str| HostSpec {
        groups: vec![group.to_owned()],
        ..HostSpec::new(name, "192.0.2.1")
    };
    let check = |host: &str| CheckSpec::new(CheckId::check(host, "job"), probe());
    let house = House::start(Site {
        hosts: vec![host("a", "web"), host("b", "web"), host("c", "db")],
        checks: vec![check("a"), check("b"), check("c")],
        ..Site::default()
    });
    let count = |id: &str| house.checks.check(&CheckId::parse(id)).unwrap().downtimes.len();
    let counts = || ["a", "b", "c", "a/job", "b/job", "c/job"].map(count);
    // The clock of the test stands at 1,800,000,000.
    let span = "1800000010;1800009999;1;0;0;ann";
    execute(&house, &format!("[1] SCHEDULE_HOSTGROUP_HOST_DOWNTIME;web;{span};hosts")).await;
    // A host's downtime holds for its checks.
    assert_eq!(counts(), [1, 1, 0, 1, 1, 0]);
    execute(&house, &format!("[1] SCHEDULE_HOSTGROUP_SVC_DOWNTIME;web;{span};checks")).await;
    execute(&house, &format!("[1] SCHEDULE_SVC_DOWNTIME;c;job;{span};checks")).await;
    assert_eq!(counts(), [1, 1, 0, 2, 2, 1]);
    execute(&house, "[1] DEL_DOWNTIME_BY_HOST_NAME;a;job").await;
    assert_eq!(counts(), [1, 1, 0, 1, 2, 1]);
    execute(&house, "[1] DEL_DOWNTIME_BY_START_TIME_COMMENT;;checks").await;
    assert_eq!(counts(), [1, 1, 0, 1, 1, 0]);
    execute(&house, "[1] DEL_DOWNTIME_BY_START_TIME_COMMENT;1800000011").await;
    execute(&house, "[1] DEL_DOWNTIME_BY_HOSTGROUP_NAME;db").await;
    assert_eq!(counts(), [1, 1, 0, 1, 1, 0]);
    execute(&house, "[1] DEL_DOWNTIME_BY_HOSTGROUP_NAME;web").await;
    assert_eq!(counts(), [0; 6]);
    let unknown = Command::parse(&format!("[1] SCHEDULE_HOSTGROUP_HOST_DOWNTIME;x;{span};y"));
    let refused = house.checks.execute(unknown.unwrap()).await;
    assert!(matches!(refused, Err(ActionError::NoSuchGroup { .. })));
    house.stop().await;
}

/// Numbers of the downtimes of a host or check that hold or are to come, each with whether it holds.
fn downtimes(house: &House, id: &str) -> Vec<(u64, bool)> {
    let view = house.checks.check(&CheckId::parse(id)).unwrap();
    view.downtimes.iter().map(|downtime| (downtime.id, downtime.is_active)).collect()
}

#[tokio::test]
async fn a_downtime_that_holds_is_ended_by_its_planned_start_and_with_those_it_triggers() {
    let probe = || Probe::Passive(PassiveProbe::default());
    let site = Site {
        hosts: vec![HostSpec::new("a", "192.0.2.1")],
        checks: ["x", "y", "z"]
            .map(|name| CheckSpec::new(CheckId::check("a", name), probe()))
            .into(),
        ..Site::default()
    };
    let house = House::start(site);
    // Planned for a moment before the clock of the test, so each begins later than planned.
    let of = |check: &str, trigger: u64| {
        let times = format!("1799999990;1800009999;1;{trigger};0;ann;move");
        format!("[1] SCHEDULE_SVC_DOWNTIME;a;{check};{times}")
    };
    execute(&house, &of("x", 0)).await;
    let [(first, true)] = downtimes(&house, "a/x")[..] else { panic!() };
    execute(&house, &of("y", first)).await;
    execute(&house, &of("z", 0)).await;
    let count = || ["a/x", "a/y", "a/z"].map(|id| downtimes(&house, id).len());
    assert_eq!(count(), [1, 1, 1]);
    execute(&house, "[1] DEL_DOWNTIME_BY_START_TIME_COMMENT;1799999991;move").await;
    assert_eq!(count(), [1, 1, 1]);
    // The second goes with the first, and the third after it all the same.
    execute(&house, "[1] DEL_DOWNTIME_BY_START_TIME_COMMENT;1799999990;move").await;
    assert_eq!(count(), [0, 0, 0]);
    house.stop().await;
}

#[tokio::test]
async fn hosts_behind_are_in_downtime_when_the_host_is() {
    let passive = || Some(Probe::Passive(PassiveProbe::default()));
    let host = |name: &str, parents: &[&str]| HostSpec {
        parents: parents.iter().map(|name| (*name).to_owned()).collect(),
        probe: passive(),
        ..HostSpec::new(name, "192.0.2.1")
    };
    let hosts = vec![host("root", &[]), host("leaf", &["root"])];
    let house = House::start(Site { hosts, ..Site::default() });
    let name = "SCHEDULE_AND_PROPAGATE_TRIGGERED_HOST_DOWNTIME";
    // Flexible; trigger and duration may be empty.
    execute(&house, &format!("[1] {name};root;1799999990;1800009999;0;;60;ann;move")).await;
    let is_active = |id: &str| downtimes(&house, id).iter().map(|d| d.1).collect::<Vec<_>>();
    assert_eq!((is_active("root"), is_active("leaf")), (vec![false], vec![false]));
    for _ in 0..3 {
        execute(&house, "[1800000000] PROCESS_HOST_CHECK_RESULT;root;1;gone").await;
    }
    assert_eq!((is_active("root"), is_active("leaf")), (vec![true], vec![true]));
    execute(&house, "[1] SCHEDULE_HOST_DOWNTIME;leaf;1799999990;1800009999;1;;;ann;own").await;
    assert_eq!(is_active("leaf"), [true, true]);
    house.stop().await;
}

#[tokio::test]
async fn a_result_may_name_its_host_by_the_address() {
    let probe = Probe::Passive(PassiveProbe::default());
    let site = Site {
        hosts: vec![HostSpec::new("web1", "192.0.2.7"), HostSpec::new("web2", "192.0.2.8")],
        checks: vec![CheckSpec::new(CheckId::check("web2", "job"), probe)],
        ..Site::default()
    };
    let house = House::start(site);
    execute(&house, "[1] PROCESS_SERVICE_CHECK_RESULT;192.0.2.8;job;1;by address").await;
    let view = house.checks.check(&CheckId::check("web2", "job")).unwrap();
    assert_eq!(view.output, "by address");
    for host in ["192.0.2.7", "192.0.2.9"] {
        let line = format!("[1] PROCESS_SERVICE_CHECK_RESULT;{host};job;1;x");
        let refused = house.checks.execute(Command::parse(&line).unwrap()).await;
        assert!(matches!(refused, Err(ActionError::NoSuchCheck { .. })), "{host}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_read_from_a_pipe_by_one_writer_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noroshi.cmd");
    let probe = Probe::Passive(PassiveProbe::default());
    let site = Site {
        hosts: vec![HostSpec::new("web1", "192.0.2.1")],
        checks: vec![CheckSpec::new(CheckId::check("web1", "job"), probe)],
        ..Site::default()
    };
    let house = House::start(site);
    let stop = CancellationToken::new();
    let serving = tokio::spawn({
        let (path, checks, stop) = (path.clone(), Arc::clone(&house.checks), stop.clone());
        async move { serve_commands(&path, checks, stop).await }
    });
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (turn, text) in [
        "nonsense\n[1] PROCESS_SERVICE_CHECK_RESULT;web1;job;1;first",
        "\n[1] PROCESS_SERVICE_CHECK_RESULT;web1;job;2;second\n",
    ]
    .into_iter()
    .enumerate()
    {
        // As people's scripts do it.
        let script = format!("printf '%s' '{text}' > {}", path.display());
        let mut shell = std::process::Command::new("sh");
        assert!(shell.arg("-c").arg(script).status().unwrap().success());
        if turn == 1 {
            house.wait("web1/job", |view| view.output == "second").await;
        }
    }
    let meta = std::fs::metadata(&path).unwrap();
    assert!(meta.file_type().is_fifo());
    assert_eq!(meta.permissions().mode() & 0o777, 0o660, "for owner and group alone");
    let view = house.checks.check(&CheckId::check("web1", "job")).unwrap();
    assert_eq!((view.status, view.attempt), (Some(Status::Critical), 2));
    stop.cancel();
    serving.await.unwrap().unwrap();
    house.stop().await;
}
