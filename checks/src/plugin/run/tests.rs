//! Real programs: `/bin/sh` as a plug-in that misbehaves, and Debian's own plug-ins.

use noroshi_model::Status;
use rustix::process::{Pid, Signal};
use tokio::time::timeout;

use super::*;
use crate::plugin::{Understood, understand};

async fn shell(script: &str, seconds: f64) -> Ran {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned);
    run(&argv, &BTreeMap::new(), Duration::from_secs_f64(seconds)).await
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Tells whether a process is there and not a zombie.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits until a process is gone; fails after ten seconds.
async fn wait_until_gone(pid: &str) {
    let begun = Instant::now();
    while is_alive(pid) {
        assert!(begun.elapsed() < Duration::from_secs(10), "{pid} is still there");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn code_output_and_errors_are_kept_apart() {
    let ran = shell("echo out; echo err >&2; exit 2", 5.0).await;
    assert_eq!((ran.exit, text(&ran.stdout), text(&ran.stderr)), (Exit::Code(2), "out\n", "err\n"));
    assert_eq!(shell("kill -9 $$", 5.0).await.exit, Exit::Signal(9));
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_are() {
    let argv = ["/bin/echo", "a b", "$(id)", "`id`; rm -rf /", "*", ""].map(str::to_owned);
    let ran = run(&argv, &BTreeMap::new(), Duration::from_secs(5)).await;
    assert_eq!(text(&ran.stdout), "a b $(id) `id`; rm -rf / * \n");
}

#[tokio::test]
async fn the_environment_is_only_what_is_given() {
    let env = BTreeMap::from([("COMMUNITY".to_owned(), "public".to_owned())]);
    let argv = ["/usr/bin/env".to_owned()];
    let ran = run(&argv, &env, Duration::from_secs(5)).await;
    let mut names: Vec<&str> =
        text(&ran.stdout).lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["COMMUNITY", "LC_CTYPE", "PATH"]);
}

#[tokio::test]
async fn a_timeout_ends_the_whole_process_group() {
    // The shell and its child both ignore the polite signal.
    let script = "trap '' TERM; (trap '' TERM; echo $$ >&2; sh -c 'echo $PPID; sleep 100') & wait; sleep 100";
    let begun = Instant::now();
    let ran = shell(script, 0.3).await;
    assert_eq!(ran.exit, Exit::TimedOut(Duration::from_millis(300)));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let pids = format!("{}{}", text(&ran.stdout), text(&ran.stderr));
    assert_eq!(pids.lines().count(), 2, "{pids:?}");
    for pid in pids.lines() {
        wait_until_gone(pid).await;
    }
    let said = understand(&ran.exit, b"half", b"");
    assert_eq!(said.status, Status::Critical);
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_any_longer_is_ended_with_its_children() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let script = format!("sleep 100 & echo $! > {path}; wait");
    drop(timeout(Duration::from_millis(300), shell(&script, 50.0)).await);
    let pid = std::fs::read_to_string(&path).unwrap();
    assert!(!pid.is_empty());
    wait_until_gone(&pid).await;
}

#[tokio::test]
async fn what_is_left_in_the_background_does_not_hold_the_result_up() {
    let begun = Instant::now();
    let ran = shell("echo started; sleep 30 & echo $! >&2; exit 0", 20.0).await;
    assert_eq!((ran.exit, text(&ran.stdout)), (Exit::Code(0), "started\n"));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let pid = text(&ran.stderr).trim().to_owned();
    assert!(is_alive(&pid), "what a handler starts must stay");
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_flood_of_output_is_read_to_its_end_and_cut() {
    // 10 MB: far more than a pipe holds.
    let ran = shell("echo first; head -c 10000000 /dev/zero | tr '\\0' x; exit 1", 20.0).await;
    assert_eq!((ran.exit, ran.stdout.len()), (Exit::Code(1), OUTPUT_BYTES_MAX));
    assert!(ran.stdout.starts_with(b"first\nxxx"));
}

#[tokio::test]
async fn programs_that_cannot_be_run_are_named() {
    let one = |program: &str| {
        let argv = [program.to_owned()];
        async move { run(&argv, &BTreeMap::new(), Duration::from_secs(5)).await.exit }
    };
    assert_eq!(one("/no/such/program").await, Exit::NotFound("/no/such/program".to_owned()));
    assert_eq!(one("no-such-program").await, Exit::NotFound("no-such-program".to_owned()));
    assert_eq!(one("/etc/passwd").await, Exit::NotExecutable("/etc/passwd".to_owned()));
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), "echo no first line").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(script.path(), mode).unwrap();
    let exit = one(&script.into_temp_path().display().to_string()).await;
    assert!(matches!(exit, Exit::NotExecutable(_)), "{exit:?}");
    assert!(matches!(one("").await, Exit::NotFound(_)));
    let argv = ["/bin/echo".to_owned(), "a\0b".to_owned()];
    let ran = run(&argv, &BTreeMap::new(), Duration::from_secs(5)).await;
    assert!(matches!(ran.exit, Exit::CannotStart(_)), "{:?}", ran.exit);
}

async fn debian(argv: &[&str]) -> Understood {
    assert!(resolve(argv[0]).is_some(), "apt-get install monitoring-plugins-basic");
    let argv: Vec<String> = argv.iter().map(|text| (*text).to_owned()).collect();
    let ran = run(&argv, &BTreeMap::new(), Duration::from_secs(20)).await;
    understand(&ran.exit, &ran.stdout, &ran.stderr)
}

#[tokio::test]
async fn debians_plugins_are_found_run_and_understood() {
    let dummy = debian(&["check_dummy", "1", "a text"]).await;
    assert_eq!((dummy.status, dummy.output.as_str()), (Status::Warning, "WARNING: a text"));
    let load = debian(&["check_load", "-w", "900,900,900", "-c", "999,999,999"]).await;
    assert_eq!(load.status, Status::Ok, "{}", load.output);
    let labels: Vec<&str> = load.perfdata.iter().map(|data| data.label.as_str()).collect();
    assert_eq!(labels, ["load1", "load5", "load15"]);
    let disk = debian(&["check_disk", "-w", "0%", "-c", "0%", "-p", "/"]).await;
    assert_eq!(disk.perfdata[0].label, "/", "{disk:?}");
    // In MB of 1024 * 1024 by the plug-in; in bytes here: as large as the file system says.
    let root = rustix::fs::statvfs("/").unwrap();
    let bytes = (root.f_blocks * root.f_frsize) as f64;
    let max = disk.perfdata[0].max.unwrap();
    assert!((max / bytes - 1.0).abs() < 0.1, "{max} against {bytes}");
    let wrong = debian(&["check_tcp", "--no-such-option"]).await;
    assert_eq!(wrong.status, Status::Unknown, "{}", wrong.output);
}
