//! Plug-ins that misbehave, run by the spawner of the real program under its limits.
//!
//! Needs root: plug-ins run as `nobody`.
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

mod house;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use house::noroshi::{Server, program};
use house::{PATIENCE, wait_for};
use noroshi_checks::plugin::{
    Exit, Limits, OUTPUT_BYTES_MAX, PluginSpec, Plugins, Ran, SpawnerSpec, understand,
};
use noroshi_model::Status;
use tokio_util::sync::CancellationToken;

/// How many processes `nobody` may have: enough for the spawner and a few plug-ins.
const PROCESSES_MAX: u64 = 60;
const MEBIBYTE: u64 = 1 << 20;

/// Held by each test that runs plug-ins as `nobody`: the limit counts the processes of all.
static NOBODY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A spawner of the real program with its supervisor.
struct House {
    _alone: Option<tokio::sync::MutexGuard<'static, ()>>,
    plugins: Arc<Plugins>,
    stop: CancellationToken,
    supervisor: tokio::task::JoinHandle<()>,
}

impl House {
    fn start(user: Option<(u32, u32)>) -> Self {
        let argv = [program("noroshi").display().to_string(), "spawner".to_owned()].to_vec();
        let limits = Limits {
            memory_bytes_max: Some(128 * MEBIBYTE),
            processes_max: Some(PROCESSES_MAX),
            runs_at_once: 100,
        };
        let spawner = Some(SpawnerSpec { argv, limits, user });
        let plugins = Arc::new(Plugins::default());
        plugins.apply(PluginSpec { spawner, ..PluginSpec::default() });
        let stop = CancellationToken::new();
        let (supervised, token) = (Arc::clone(&plugins), stop.clone());
        let supervisor = tokio::spawn(async move { supervised.supervise(token).await });
        Self { _alone: None, plugins, stop, supervisor }
    }

    /// As `nobody`: the limit of processes holds, which it does not for root.
    async fn start_as_nobody() -> Self {
        assert!(rustix::process::getuid().is_root(), "run this test as root");
        let alone = NOBODY.lock().await;
        Self { _alone: Some(alone), ..Self::start(Some((65534, 65534))) }
    }

    async fn run(&self, argv: &[&str], seconds: f64) -> Ran {
        let argv = argv.iter().map(|&text| text.to_owned()).collect();
        self.plugins.run(argv, BTreeMap::new(), Duration::from_secs_f64(seconds)).await
    }

    async fn shell(&self, script: &str, seconds: f64) -> Ran {
        self.run(&["/bin/sh", "-c", script], seconds).await
    }

    /// Returns the process that runs plug-ins: the parent of one.
    async fn spawner(&self) -> i32 {
        let said = self.shell("echo $PPID", 10.0).await;
        text(&said.stdout).trim().parse().unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.supervisor.await.unwrap();
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Tells whether a process is there and not a zombie.
fn is_alive(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_until_gone(processes: &str) {
    for process in processes.split_whitespace() {
        wait_for(&format!("the end of {process}"), PATIENCE, || (!is_alive(process)).then_some(()));
    }
}

#[tokio::test]
async fn what_a_plugin_says_comes_through_as_it_is() {
    let house = House::start(None);
    let ran = house.shell("printf 'a\\377\\000b'; echo err >&2; exit 2", 10.0).await;
    assert_eq!((&ran.exit, &*ran.stdout), (&Exit::Code(2), &b"a\xff\0b"[..]));
    assert_eq!(ran.stderr, b"err\n");
    let said = understand(&ran.exit, &ran.stdout, &ran.stderr);
    assert_eq!((said.status, said.output.as_str()), (Status::Critical, "a\u{fffd}"));
    assert_eq!(house.shell("kill -SEGV $$", 10.0).await.exit, Exit::Signal(11));
    // Standard input is empty, not the line to the server.
    let ran = house.shell("cat; echo read $?", 10.0).await;
    assert_eq!(text(&ran.stdout), "read 0\n");
    let ran = house.run(&["/usr/bin/env"], 10.0).await;
    assert_eq!(text(&ran.stdout).lines().count(), 2, "{ran:?}");
    house.stop().await;
}

#[tokio::test]
async fn a_hundred_megabytes_of_output_are_read_and_cut() {
    let house = House::start(None);
    let ran = house.shell("head -c 100000000 /dev/zero | tr '\\0' x; exit 1", 60.0).await;
    assert_eq!((ran.exit, ran.stdout.len()), (Exit::Code(1), OUTPUT_BYTES_MAX));
    house.stop().await;
}

#[tokio::test]
async fn programs_that_cannot_be_run_are_named() {
    let house = House::start(None);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::copy("/bin/true", path("busy")).unwrap();
    std::fs::write(path("plain"), "text").unwrap();
    let plain = path("plain");
    for (program, want) in [
        ("/no/such/program", Exit::NotFound("/no/such/program".to_owned())),
        ("no-such-program", Exit::NotFound("no-such-program".to_owned())),
        (plain.as_str(), Exit::NotExecutable(plain.clone())),
    ] {
        assert_eq!(house.run(&[program], 10.0).await.exit, want);
    }
    // Somebody writes the program at this moment.
    let open = std::fs::File::options().append(true).open(path("busy")).unwrap();
    let busy = house.run(&[&path("busy")], 10.0).await.exit;
    assert!(matches!(&busy, Exit::CannotStart(why) if why.contains("busy")), "{busy:?}");
    drop(open);
    assert_eq!(house.run(&[&path("busy")], 10.0).await.exit, Exit::Code(0));
    let long = house.run(&["/bin/true", &"x".repeat(5_000_000)], 10.0).await.exit;
    assert!(matches!(&long, Exit::CannotStart(why) if why.contains("longer")), "{long:?}");
    let too_long = house.run(&["/bin/true", &"x".repeat(1_000_000)], 10.0).await.exit;
    assert!(matches!(&too_long, Exit::CannotStart(_)), "{too_long:?}");
    house.stop().await;
}

#[tokio::test]
async fn a_plugin_runs_as_the_user_without_groups_rights_and_core_files() {
    let house = House::start_as_nobody().await;
    let limits = "sed -nE 's/^Max (core|data|processes).* ([0-9]+) .*/\\1 \\2/p' /proc/self/limits";
    let ran = house.shell(&format!("id -un; id -G; cat /etc/shadow; {limits}"), 10.0).await;
    let lines: Vec<&str> = text(&ran.stdout).lines().collect();
    let want = ["nobody", "65534", "data 134217728", "core 0", "processes 60"];
    assert_eq!(lines, want, "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("Permission denied"));
    house.stop().await;
}

#[tokio::test]
async fn a_plugin_that_wants_too_much_memory_fails_alone() {
    let house = House::start_as_nobody().await;
    let hog = "my $x = 'x' x 300_000_000; print 'has it'";
    let ran = house.run(&["/usr/bin/perl", "-e", hog], 20.0).await;
    assert!(ran.exit != Exit::Code(0) && ran.stdout.is_empty(), "{ran:?}");
    let modest = "my $x = 'x' x 20_000_000; print 'has it'";
    assert_eq!(house.run(&["/usr/bin/perl", "-e", modest], 20.0).await.stdout, b"has it");
    house.stop().await;
}

#[tokio::test]
async fn a_fork_bomb_is_stopped_by_the_limit_and_ended_with_its_time() {
    let house = House::start_as_nobody().await;
    // Bounded, should the limit not hold: 300 children that each live a minute.
    let bomb = "$| = 1; for my $n (1 .. 300) { my $p = fork; \
                if (!defined $p) { print \"refused\\n\"; last } \
                if (!$p) { sleep 60; exit } print \"$p \" } sleep 60";
    let ran = house.run(&["/usr/bin/perl", "-e", bomb], 3.0).await;
    assert!(matches!(ran.exit, Exit::TimedOut(_)), "{ran:?}");
    let said = text(&ran.stdout);
    let children = said.split_whitespace().filter(|word| *word != "refused").count() as u64;
    assert!(said.ends_with("refused\n") && children < PROCESSES_MAX, "{said}");
    wait_until_gone(said.trim_end_matches("refused\n"));
    // And the next one has its processes.
    let begun = Instant::now();
    while house.shell("echo a | cat", 10.0).await.stdout != b"a\n" {
        assert!(begun.elapsed() < PATIENCE, "what was killed still counts");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_timeout_ends_grandchildren_that_hold_the_pipe_and_ignore_the_polite_signal() {
    let house = House::start(None);
    let script = "trap '' TERM; (trap '' TERM; sh -c 'echo $PPID $$; exec sleep 100') & \
                  echo $!; wait; sleep 100";
    let begun = Instant::now();
    let ran = house.shell(script, 0.5).await;
    assert!(matches!(ran.exit, Exit::TimedOut(_)), "{ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(text(&ran.stdout).split_whitespace().count(), 3, "{ran:?}");
    wait_until_gone(text(&ran.stdout));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_waits_for_any_longer_is_ended() {
    let house = House::start(None);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 100", file.display());
    let run = house.shell(&script, 50.0);
    let pid = tokio::select! {
        ran = run => panic!("{ran:?}"),
        pid = written(&file) => pid,
    };
    wait_until_gone(&pid);
    house.stop().await;
}

/// Waits for a file with a line in it.
async fn written(file: &Path) -> String {
    let begun = Instant::now();
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => assert!(begun.elapsed() < PATIENCE, "nothing in {}", file.display()),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_spawner_that_is_killed_takes_its_plugins_along_and_is_started_again() {
    let house = House::start(None);
    let spawner = house.spawner().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("(echo $$; sleep 100) > {} & wait; echo late", file.display());
    let (ran, pid) = tokio::join!(house.shell(&script, 50.0), async {
        let pid = written(&file).await;
        let process = rustix::process::Pid::from_raw(spawner).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
        pid
    });
    assert_eq!(ran.exit, Exit::NotRun("spawner_ended".to_owned()));
    let said = understand(&ran.exit, &ran.stdout, &ran.stderr);
    assert_eq!(said.status, Status::Unknown);
    assert!(said.output.contains("spawner_ended"), "{}", said.output);
    wait_until_gone(&pid);
    // The next run waits for the next spawner.
    assert_eq!(house.shell("echo again", 10.0).await.stdout, b"again\n");
    assert_ne!(house.spawner().await, spawner);
    assert_eq!(house.plugins.starts(), 2);
    house.stop().await;
}

#[tokio::test]
async fn a_spawner_that_never_starts_gives_a_reason_and_not_a_hung_check() {
    let argv = vec!["/bin/false".to_owned()];
    let spawner = Some(SpawnerSpec { argv, limits: Limits::default(), user: None });
    let house = House::start(None);
    house.plugins.apply(PluginSpec { spawner, ..PluginSpec::default() });
    let begun = Instant::now();
    loop {
        let ran = house.shell("echo never", 5.0).await;
        match ran.exit {
            Exit::NotRun(reason) if reason == "spawner_not_started" => break,
            Exit::NotRun(reason) => assert_eq!(reason, "spawner_ended"),
            // The spawner before may have taken it.
            other => assert_eq!(other, Exit::Code(0)),
        }
        assert!(begun.elapsed() < PATIENCE, "no reason");
    }
    house.stop().await;
}

#[tokio::test]
async fn another_configuration_lets_what_runs_end_as_it_began() {
    let house = House::start_as_nobody().await;
    assert_eq!(house.shell("id -u", 10.0).await.stdout, b"65534\n");
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let (file, go) = (folder.path().join("begun"), folder.path().join("go"));
    let wait = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let script = format!("echo > {}; {wait}; id -u", file.display());
    let (ran, ()) = tokio::join!(house.shell(&script, 50.0), async {
        written(&file).await;
        let argv = [program("noroshi").display().to_string(), "spawner".to_owned()].to_vec();
        let spawner = Some(SpawnerSpec { argv, limits: Limits::default(), user: None });
        house.plugins.apply(PluginSpec { spawner, ..PluginSpec::default() });
        assert_eq!(house.shell("id -u", 10.0).await.stdout, b"0\n");
        std::fs::write(&go, "").unwrap();
    });
    assert_eq!(ran.stdout, b"65534\n");
    house.stop().await;
}

#[test]
fn a_killed_server_leaves_neither_spawner_nor_plugins_behind() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let file = folder.path().join("pids");
    let config = format!(
        r#"
        [local]
        watch = false
        [plugins]
        user = "nobody"
        environment_macros = true
        [host.web1]
        address = "192.0.2.7"
        variables.RACK = "b 7"
        [host.web1.check.slow]
        command = ["sh", "-c", "echo $$ $PPID > {0}.new; mv {0}.new {0}; sleep 100"]
        [host.web1.check.env]
        command = ["sh", "-c", "echo $(id -un) $NAGIOS_HOSTADDRESS $NAGIOS__HOSTRACK"]
        interval = "1s"
        "#,
        file.display()
    );
    let mut server = Server::start(Some(&config));
    let said = wait_for("the plug-in", PATIENCE, || {
        let check = server.check("web1", "env");
        (check["status"] == "ok").then(|| check["output"].as_str().unwrap().to_owned())
    });
    assert_eq!(said, "nobody 192.0.2.7 b 7");
    let pids = wait_for("the slow plug-in", PATIENCE, || std::fs::read_to_string(&file).ok());
    let spawner = pids.split_whitespace().nth(1).unwrap();
    let arguments = std::fs::read_to_string(format!("/proc/{spawner}/cmdline")).unwrap();
    assert!(arguments.contains("spawner"), "{arguments}");
    let owner = Command::new("stat").args(["-c", "%U", &format!("/proc/{spawner}")]).output();
    assert_eq!(text(&owner.unwrap().stdout), "nobody\n");
    server.kill();
    wait_until_gone(&pids);
}

#[test]
fn an_agent_looks_at_processes_ports_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let (open, name) = (folder.path().join("open"), "noroshi-far-away");
    std::fs::create_dir(&open).unwrap();
    let port = house::free_port();
    let check = |name: &str, look: &str| {
        format!(
            "[check.{name}]\nhosts = [\"far\", \"localhost\"]\ninterval = \"1s\"\nretry = \"1s\"\n{look}\n"
        )
    };
    let checks = |age: &str| {
        [
            check("sleepers", &format!("process = {{ name = {name:?}, min = 2 }}")),
            check("port", &format!("port = {port}")),
            check(
                "backup",
                &format!("file = {{ path = \"{}/*.gz\", age_critical = {age:?} }}", open.display()),
            ),
            check("passwd", "file = \"/etc/passwd\""),
            "[host.far]\n".to_owned(),
        ]
        .concat()
    };
    let server = Server::start(Some(&checks("1h")));
    let token = server.command_text(&["token", "create", "far", "--role", "agent"]);
    let (token_file, config) = (folder.path().join("token"), folder.path().join("agent.toml"));
    std::fs::write(&token_file, token).unwrap();
    let said = format!(
        "server = \"http://{}\"\ntoken_file = {token_file:?}\nhost = \"far\"\nstep = \"1s\"\nfiles = [{open:?}]\n",
        server.address
    );
    std::fs::write(&config, said).unwrap();
    let mut command = Command::new(program("noroshi-agent"));
    command.arg("--config").arg(&config).stderr(std::process::Stdio::null());
    let mut agent = house::Process::start("noroshi-agent", &mut command);

    // Of both hosts: the one that an agent looks at, and the server's own.
    let both = |check: &str, status: &str, output: &str| {
        for host in ["far", "localhost"] {
            let seen = wait_for(output, PATIENCE, || {
                let seen = server.check(host, check);
                (seen["status"] == status).then_some(seen)
            });
            assert_eq!(seen["output"], output, "{host}/{check}");
        }
    };
    both("sleepers", "critical", &format!("no process {name}; at least 2 expected"));
    both("port", "critical", &format!("nothing listens at TCP port {port}"));
    let pattern = format!("{}/*.gz", open.display());
    both("backup", "critical", &format!("nothing matches {pattern}; at least 1 expected"));
    let refused = server.wait_for_check("far", "passwd", "unknown", "hard");
    let expected = "the agent may not look at /etc/passwd: its config needs files = [\"/etc\"]";
    assert_eq!(refused["output"], expected);
    server.wait_for_check("localhost", "passwd", "ok", "hard");

    let sleeper = folder.path().join(name);
    std::fs::copy("/bin/sleep", &sleeper).unwrap();
    let mut sleepers: Vec<_> =
        (0..2).map(|_| house::Process::start(name, Command::new(&sleeper).arg("1000"))).collect();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let dump = std::fs::File::create(open.join("dump.gz")).unwrap();
    for check in ["sleepers", "port", "backup"] {
        server.wait_for_check("far", check, "ok", "hard");
        server.wait_for_check("localhost", check, "ok", "hard");
    }
    both("port", "ok", &format!("TCP port {port} is listened to at 127.0.0.1"));
    let counted = "noroshi_perfdata{instance=\"far\",check=\"sleepers\",label=\"processes\"}";
    assert_eq!(server.wait_for_value(counted, |count| count > 0.0) as u32, 2);

    // One ends, and the file is old; another limit is known to the agent by a reload.
    sleepers.pop();
    both("sleepers", "critical", &format!("1 process {name}; at least 2 expected"));
    let old = dump.metadata().unwrap().modified().unwrap() - Duration::from_mins(2881);
    dump.set_modified(old).unwrap();
    both("backup", "critical", &format!("{}/dump.gz is 2 d old, limit 1 h", open.display()));
    server.write_config(&checks("3d"));
    for host in ["far", "localhost"] {
        server.wait_for_check(host, "backup", "ok", "hard");
    }
    drop(listener);
    agent.kill();
}

/// Sends one result by the real `send_nsca`; tells whether it could.
fn send_nsca(port: u16, config: &Path, result: &str) -> bool {
    let script = "printf '%s' \"$1\" | /usr/sbin/send_nsca -H 127.0.0.1 -p \"$2\" -c \"$3\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", result, &port.to_string()]).arg(config);
    shell.output().unwrap().status.success()
}

#[test]
fn results_come_by_nsca_and_by_files_and_those_for_nobody_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (results, ports) =
        (folder.path().join("results"), [house::free_port(), house::free_port()]);
    std::fs::create_dir(&results).unwrap();
    let sender = folder.path().join("send_nsca.cfg");
    std::fs::write(&sender, "password=open sesame\nencryption_method=3\n").unwrap();
    let config = |port: u16| {
        format!(
            "[nsca]\nlisten = \"127.0.0.1:{port}\"\nencryption = \"3des\"\n\
             password = \"open sesame\"\n[result_files]\npath = {results:?}\n\
             [host.web1.check.backup]\npassive = \"25h\"\n"
        )
    };
    let server = Server::start(Some(&config(ports[0])));
    let shown = server.wait_for_check("localhost", "noroshi results", "ok", "hard");
    assert_eq!(shown["output"], "what was handed in was taken");

    let sent = || send_nsca(ports[0], &sender, "web1\tbackup\t1\tslow | took=90s");
    wait_for("NSCA", PATIENCE, || sent().then_some(()));
    let backup = server.wait_for_check("web1", "backup", "warning", "soft");
    assert_eq!(backup["output"], "slow");
    assert!(send_nsca(ports[0], &sender, "web9\tbackup\t0\tfine"));
    let shown = server.wait_for_check("localhost", "noroshi results", "warning", "hard");
    assert_eq!(shown["output"], "nsca: there is no check web9/backup (1 times)");
    let metrics = server.ask("/metrics").unwrap().text();
    for line in [
        "noroshi_handed_in_total{road=\"nsca\",result=\"taken\"} 1\n",
        "noroshi_handed_in_total{road=\"nsca\",result=\"no_such_check\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }

    // Nagios' check result files: taken and removed, once they are whole.
    let text = "host_name=web1\nservice_description=backup\nreturn_code=0\noutput=done\\ntwo\n";
    std::fs::write(results.join("cABCDEF"), text).unwrap();
    std::fs::write(results.join("cABCDEF.ok"), "").unwrap();
    let backup = server.wait_for_check("web1", "backup", "ok", "hard");
    assert_eq!((&backup["output"], &backup["long_output"]), (&"done".into(), &"two".into()));
    let left = || std::fs::read_dir(&results).unwrap().count();
    wait_for("an empty folder", PATIENCE, || (left() == 0).then_some(()));

    // Another port, by a reload.
    server.write_config(&config(ports[1]));
    let sent = || send_nsca(ports[1], &sender, "web1\tbackup\t2\tfailed");
    wait_for("NSCA at another port", PATIENCE, || sent().then_some(()));
    server.wait_for_check("web1", "backup", "critical", "soft");
    assert!(!send_nsca(ports[0], &sender, "web1\tbackup\t0\tfine"));
}
