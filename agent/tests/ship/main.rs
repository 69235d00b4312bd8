//! The program `noroshi-agent` against a real HTTP server that answers, refuses, dies and comes
//! back.

#![cfg(feature = "ship")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use noroshi_model::Timestamp;
use server::{Answer, Server, TOKEN, now_ms};
use tempfile::TempDir;

/// A running agent; killed when the test ends.
struct Agent(Option<Child>);

impl Agent {
    fn start(place: &Place, server: &Server, more: &[&str]) -> Self {
        let child = place.command(server).args(more).stderr(Stdio::piped()).spawn().unwrap();
        Self(Some(child))
    }

    fn kill(mut self) {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends SIGTERM, waits, and returns what was logged.
    fn terminate(mut self) -> (Duration, String) {
        let child = self.0.take().unwrap();
        let begin = Instant::now();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        let log = String::from_utf8(stderr).unwrap();
        assert!(status.success(), "{status}: {log}");
        (begin.elapsed(), log)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A folder with a token and a place for the spool.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.token(), format!("{TOKEN}\n")).unwrap();
        place
    }

    fn token(&self) -> PathBuf {
        self.0.path().join("token")
    }

    fn spool(&self) -> PathBuf {
        self.0.path().join("spool")
    }

    /// Counts the frames on disk, as `PROTOCOL.md` draws them; zero before the folder is made.
    fn spooled_frames(&self) -> usize {
        let files = fs::read_dir(self.spool()).into_iter().flatten().flatten();
        let mut count = 0;
        for file in files.filter(|file| file.path().extension().is_some_and(|e| e == "spool")) {
            // A file that was sent meanwhile is gone.
            let bytes = fs::read(file.path()).unwrap_or_default();
            let mut rest = bytes.as_slice();
            while let Some((length, after)) = rest.split_first_chunk::<4>() {
                let length = u32::from_le_bytes(*length) as usize;
                rest = after.get(length..).unwrap_or_default();
                count += usize::from(after.len() >= length);
            }
        }
        count
    }

    /// Writes a config with plug-ins and returns its path.
    fn config(&self, text: &str) -> PathBuf {
        let path = self.0.path().join("agent.toml");
        fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, server: &Server) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_noroshi-agent"));
        command.args(["--server", &server.url(), "--step", "1s", "--host", "web1"]);
        command.arg("--token-file").arg(self.token()).arg("--spool").arg(self.spool());
        command
    }
}

/// Asserts that frames of one run came in order, none twice and none missing.
fn assert_in_order(names: &[(u64, u64)]) {
    let sequences: Vec<u64> = names.iter().map(|(_, sequence)| *sequence).collect();
    let expected: Vec<u64> = (1..=names.len() as u64).collect();
    assert_eq!(sequences, expected);
}

#[test]
fn readings_arrive_within_two_seconds_and_say_whose_they_are() {
    let (place, server) = (Place::new(), Server::start(&[Answer::Right]));
    let begin = Instant::now();
    let _agent = Agent::start(&place, &server, &["-v"]);
    server.wait_for_frames(1);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    server.wait_for_frames(2);

    let (first, second) = server.wait("frames", |seen| {
        assert!(seen.delays_ms.iter().all(|delay| (0..1000).contains(delay)));
        Some((seen.frames[0].clone(), seen.frames[1].clone()))
    });
    let line = |path| fs::read_to_string(path).unwrap().trim().to_owned();
    assert_eq!(first.host.name, "web1");
    assert_eq!(first.host.kernel, line("/proc/sys/kernel/osrelease"));
    assert_eq!(first.host.boot_id, line("/proc/sys/kernel/random/boot_id"));
    assert_eq!(first.host.agent_version, env!("CARGO_PKG_VERSION"));
    assert_eq!((first.run, first.sequence), (second.run, second.sequence - 1));
    assert_eq!(first.batch.interval, Some(Duration::from_secs(1)));
    assert!(first.batch.started_at.unwrap() < Timestamp::from_millis(first.run as i64));
    assert!(first.batch.metas.len() > 100);
    assert_eq!(second.batch.metas, [], "metas come once");
    let values = |name: &str| -> Vec<f64> {
        let samples = second.batch.samples.iter().filter(|sample| sample.labels.name() == name);
        samples.map(|sample| sample.value).collect()
    };
    assert_eq!(values("noroshi_agent_sent_frames_total"), [1.0]);
    assert_eq!(values("noroshi_agent_spool_bytes"), [0.0]);
    assert_eq!(values("node_load1").len(), 1);
}

#[test]
fn a_token_that_is_not_accepted_loses_nothing() {
    let (place, server) = (Place::new(), Server::start(&[Answer::Right]));
    fs::write(place.token(), "nrs_wrong").unwrap();
    let agent = Agent::start(&place, &server, &[]);
    server.wait_for_answers(401, 2);
    fs::write(place.token(), TOKEN).unwrap();
    assert_in_order(&server.wait_for_frames(3));
    let (_, log) = agent.terminate();
    assert!(log.contains("noroshi token create NAME --role agent"), "{log}");
    assert_eq!(log.matches("cannot send").count(), 1, "told once: {log}");
    assert!(!log.contains("nrs_"), "a token is in the log: {log}");
}

#[test]
fn a_name_that_another_machine_has_loses_nothing() {
    let conflict = Answer::Status(409, None);
    let (place, server) = (Place::new(), Server::start(&[conflict, Answer::Right]));
    let agent = Agent::start(&place, &server, &[]);
    assert_in_order(&server.wait_for_frames(2));
    let (_, log) = agent.terminate();
    assert!(log.contains("give one of the two another (--host)"), "{log}");
}

#[test]
fn a_busy_server_is_given_the_time_it_asks_for() {
    let answers = [Answer::Status(503, Some("3")), Answer::Status(429, None), Answer::Right];
    let (place, server) = (Place::new(), Server::start(&answers));
    let _agent = Agent::start(&place, &server, &[]);
    server.wait_for_answers(503, 1);
    let begin = Instant::now();
    server.wait_for_answers(429, 1);
    assert!(begin.elapsed() >= Duration::from_millis(2900), "{:?}", begin.elapsed());
    assert_in_order(&server.wait_for_frames(4));
}

#[test]
fn bodies_that_are_too_large_are_split() {
    let busy = Answer::Status(503, Some("4"));
    let (place, server) = (Place::new(), Server::start(&[busy, Answer::AtMost(1)]));
    let _agent = Agent::start(&place, &server, &[]);
    server.wait_for_answers(413, 1);
    assert_in_order(&server.wait_for_frames(5));
}

#[test]
fn a_frame_that_is_refused_alone_is_given_up_and_counted() {
    let busy = Answer::Status(503, Some("3"));
    let (place, server) = (Place::new(), Server::start(&[busy, Answer::Not(2)]));
    let _agent = Agent::start(&place, &server, &[]);
    let refused = server.wait("the count of a refused frame", |seen| {
        let samples = seen.frames.iter().flat_map(|frame| &frame.batch.samples);
        let mut dropped = samples.filter(|sample| {
            sample.labels.name() == "noroshi_agent_dropped_frames_total"
                && sample.labels.get("reason") == Some("refused")
        });
        dropped.find(|sample| sample.value > 0.0).map(|sample| sample.value)
    });
    assert_eq!(refused, 1.0);
    let sequences: Vec<u64> =
        server.wait_for_frames(3).into_iter().map(|(_, sequence)| sequence).collect();
    assert_eq!(sequences[..3], [1, 3, 4]);
    // The frame after the loss tells again what it may have told.
    server.wait("metas again", |seen| {
        seen.frames.iter().skip(1).any(|frame| !frame.batch.metas.is_empty()).then_some(())
    });
}

#[test]
fn a_server_that_dies_and_comes_back_gets_everything_in_order() {
    let (place, mut server) = (Place::new(), Server::start(&[Answer::Right]));
    let agent = Agent::start(&place, &server, &[]);
    server.wait_for_frames(2);
    server.die();
    wait_until("two frames on disk", || place.spooled_frames() >= 2);
    server.come_back();
    // Those of before, some from the spool, and one that did not wait.
    assert_in_order(&server.wait_for_frames(6));
    let (_, log) = agent.terminate();
    assert!(log.contains("takes readings again"), "{log}");
}

#[test]
fn readings_on_disk_outlive_a_kill() {
    let (place, mut server) = (Place::new(), Server::start(&[Answer::Right]));
    let address = server.url();
    server.die();
    let agent = Agent::start(&place, &server, &[]);
    wait_until("two frames on disk", || place.spooled_frames() >= 2);
    agent.kill();
    server.come_back();
    assert_eq!(server.url(), address);
    let _agent = Agent::start(&place, &server, &[]);
    let names = server.wait_for_frames(4);
    let old: Vec<_> = names.iter().copied().filter(|(run, _)| *run == names[0].0).collect();
    assert!(old.len() >= 2, "{names:?}");
    assert_in_order(&old);
    let new = &names[old.len()..];
    assert_in_order(new);
    assert!(new[0].0 > old[0].0, "the runs are told apart: {names:?}");
    wait_until("an empty spool", || place.spooled_frames() == 0);
}

#[test]
fn sigterm_ends_it_within_a_second_and_keeps_what_is_unsent() {
    let (place, server) = (Place::new(), Server::start(&[Answer::Silence]));
    let agent = Agent::start(&place, &server, &["--log-format", "json"]);
    server.wait("a body", |seen| (seen.bodies > 0).then_some(()));
    let (took, log) = agent.terminate();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(place.spooled_frames() > 0);
    assert!(log.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{log}");
    server.answer(Answer::Right);
    let _agent = Agent::start(&place, &server, &[]);
    let names = server.wait_for_frames(2);
    assert_ne!(names[0].0, names[1].0, "the first frame is of the run before");
}

#[test]
fn certificates_are_checked_and_own_authorities_can_be_trusted() {
    let (place, ca, config) = (Place::new(), Place::new(), tls());
    let ca = ca.0.path().join("ca.pem");
    fs::write(&ca, &config.0).unwrap();
    let server = Server::start_with(&[Answer::Right], Some(config.1));

    let agent = Agent::start(&place, &server, &[]);
    wait_until("a frame on disk", || place.spooled_frames() > 0);
    let (_, log) = agent.terminate();
    assert!(log.contains("--ca") && log.contains("kind=\"tls\""), "{log}");

    let agent = Agent::start(&place, &server, &["--ca", ca.to_str().unwrap()]);
    server.wait_for_frames(2);
    drop(agent);
}

/// Returns a certificate for `localhost` that signs itself, and a server's config with it.
fn tls() -> (String, Arc<rustls::ServerConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.unwrap())
        .unwrap();
    (made.cert.pem(), Arc::new(config))
}

/// Runs the program to its end.
fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_noroshi-agent")).args(arguments).output().unwrap()
}

#[test]
fn one_reading_can_be_printed_without_a_server() {
    let Output { status, stdout, .. } = run(&["--once"]);
    let text = String::from_utf8(stdout).unwrap();
    assert!(status.success());
    assert!(text.contains("\n# TYPE node_load1 gauge\nnode_load1 "), "{text}");
    assert!(text.contains("\nnode_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} "), "{text}");

    let json = run(&["--once", "--format", "json", "--host", "web1"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["host"]["name"], "web1");
    let load = |sample: &&serde_json::Value| sample["labels"]["__name__"] == "node_load1";
    let samples = json["samples"].as_array().unwrap();
    assert!(samples.iter().find(load).unwrap()["value"].is_f64());
}

#[test]
fn another_machines_saved_files_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("loadavg"), "0.25 1.50 3.00 2/345 6789\n").unwrap();
    let path = folder.path().to_str().unwrap();
    let text = String::from_utf8(run(&["--once", "--proc", path]).stdout).unwrap();
    assert!(text.contains("\nnode_load5 1.5\n"), "{text}");
    let failed = "\nnode_scrape_collector_success{collector=\"cpu\"} 0\n";
    assert!(text.contains(failed), "{text}");
}

#[test]
fn what_is_missing_or_wrong_is_told_and_ends_it() {
    let told = |arguments: &[&str]| {
        let Output { status, stderr, .. } = run(arguments);
        assert_eq!(status.code(), Some(1), "{arguments:?}");
        String::from_utf8(stderr).unwrap()
    };
    let missing = told(&[]);
    assert!(missing.contains("--server") && missing.contains("--token-file"), "{missing}");
    let place = Place::new();
    let token = place.token();
    let token = token.to_str().unwrap();
    let address = told(&["--server", "noroshi:8420", "--token-file", token]);
    assert!(address.contains("https://noroshi.example.org:8420"), "{address}");
    let no_token = told(&["--server", "http://a", "--token-file", "/nowhere/token"]);
    assert!(no_token.contains("cannot read the token in /nowhere/token"), "{no_token}");
    let config = place.0.path().join("agent.toml");
    fs::write(&config, "server = 'http://a'\nstep = 'often'\n").unwrap();
    let config = told(&["--config", config.to_str().unwrap()]);
    assert!(config.contains("agent.toml:2:8: "), "{config}");
}

/// Waits for a state that only the file system shows.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_example_config_names_options_that_exist() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("noroshi-agent.toml");
    let told = run(&["--config", example.to_str().unwrap()]).stderr;
    let told = String::from_utf8(told).unwrap();
    // It stops at the token that is not there, not at the file.
    assert!(told.contains("cannot read the token in /etc/noroshi-agent/token"), "{told}");
}

#[test]
fn plug_ins_run_by_themselves_and_by_name_and_wait_in_the_spool_with_their_time() {
    let place = Place::new();
    let mut server = Server::start(&[Answer::Right]);
    let counter = place.0.path().join("runs");
    let config = place.config(&format!(
        "[check.raid]\ninterval = \"1h\"\n\
         command = [\"sh\", \"-c\", \"echo x >> {0}; echo OK $(wc -l < {0}) '| a=1'\"]\n",
        counter.display()
    ));
    let agent = Agent::start(&place, &server, &["--config", config.to_str().unwrap()]);
    let outputs = |seen: &server::Seen| -> Vec<String> {
        let results = seen.frames.iter().flat_map(|frame| &frame.results);
        results.map(|result| format!("{}: {}", result.name, result.output)).collect()
    };
    let wait = |server: &Server, count: usize| {
        server.wait("results", |seen| Some(outputs(seen)).filter(|all| all.len() >= count))
    };
    assert_eq!(wait(&server, 1), ["raid: OK 1| a=1\n"]);
    // A reading tells which plug-ins there are.
    server.wait("the interval", |seen| {
        let samples = seen.frames.iter().flat_map(|frame| &frame.batch.samples);
        let mut told = samples.filter(|s| s.labels.get("plugin") == Some("raid"));
        told.next().filter(|sample| sample.value == 3600.0).map(drop)
    });
    // What the config does not name is not run, whatever the server says.
    server.ask("sh");
    server.wait("an answer", |seen| seen.ask.is_none().then_some(()));
    server.ask("raid");
    assert_eq!(wait(&server, 2).last().unwrap(), "raid: OK 2| a=1\n");
    agent.kill();

    server.die();
    let before = Timestamp::from_millis(now_ms());
    let agent = Agent::start(&place, &server, &["--config", config.to_str().unwrap()]);
    while place.spooled_frames() < 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let after = Timestamp::from_millis(now_ms());
    agent.kill();
    server.come_back();
    let _agent = Agent::start(&place, &server, &[]);
    let all = wait(&server, 3);
    assert_eq!(all.last().unwrap(), "raid: OK 3| a=1\n");
    let at = server.wait("its time", |seen| {
        seen.frames.iter().flat_map(|frame| &frame.results).last().map(|result| result.at)
    });
    assert!(before <= at && at <= after, "{before:?} {at:?} {after:?}");
}

#[test]
fn once_shows_what_the_plug_ins_of_the_config_find() {
    let place = Place::new();
    let config =
        place.config("[check.\"mail queue\"]\ncommand = [\"sh\", \"-c\", \"echo full; exit 2\"]\n");
    let run = |format: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_noroshi-agent"));
        let command = command.args(["--once", "--format", format, "--config"]).arg(&config);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let text = run("prometheus");
    assert!(text.ends_with("# check mail queue: critical: full\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
    assert_eq!(json["checks"][0]["name"], "mail queue");
    assert_eq!(json["checks"][0]["status"], "critical");
}
