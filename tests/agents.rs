//! What agents tell of their hosts besides measurements: the real server and the real agent.
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

mod house;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;

use house::noroshi::{Server, program};
use house::{PATIENCE, Process, http, wait_for};
use noroshi_model::frame::{self, Frame, HostIdentity};
use noroshi_model::{Batch, Labels, Sample, Timestamp};
use serde_json::{Value, json};

/// A folder with an agent's token and config.
struct Agent {
    folder: tempfile::TempDir,
    process: Option<Process>,
}

impl Agent {
    fn new(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = server.command_text(&["token", "create", "agent", "--role", "agent"]);
        std::fs::write(folder.path().join("token"), token).unwrap();
        Self { folder, process: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it, or starts it anew, with this at the end of its config.
    fn start(&mut self, server: &Server, host: &str, more: &str) {
        self.process.take();
        let (config, token) = (self.path("agent.toml"), self.path("token"));
        let token = token.display();
        let address = &server.address;
        let said = format!(
            "server = \"http://{address}\"\ntoken_file = \"{token}\"\nhost = {host:?}\nstep = \"1s\"\n{more}"
        );
        std::fs::write(&config, said).unwrap();
        let mut command = agent(&config);
        command.stderr(Stdio::null());
        self.process = Some(Process::start("noroshi-agent", &mut command));
    }
}

fn agent(config: &Path) -> Command {
    let mut command = Command::new(program("noroshi-agent"));
    command.arg("--config").arg(config);
    command
}

fn host(server: &Server, name: &str) -> Option<Value> {
    let answer = server.ask(&format!("/api/v1/hosts/{name}"))?;
    (answer.status == 200).then(|| answer.json()["host"].clone())
}

fn wait_for_labels(server: &Server, name: &str, labels: &Value, of_agent: &Value) {
    wait_for(&format!("{name} to be {labels}"), PATIENCE, || {
        let host = host(server, name)?;
        // Left out when there are none.
        let its = if of_agent == &json!([]) { Value::Null } else { of_agent.clone() };
        (host["labels"] == *labels && host["labels_of_agent"] == its).then_some(())
    });
}

/// Goal: labels of an agent's config become its host's: they choose rule and checks, are on its page
/// and in a series, follow a change, outlive a restart of the server, and yield to the server's.
#[test]
fn an_agents_labels_are_its_hosts() {
    let config = "
        [agents]
        register = \"rules\"
        [[agents.rule]]
        match = '{role=~\"web|db\"}'
        labels = {site = \"tokyo\"}
        [check.page]
        match = '{role=\"web\"}'
        passive = \"1h\"
        [check.dump]
        match = '{role=\"db\", site=\"tokyo\"}'
        passive = \"1h\"
        ";
    let mut server = Server::start(Some(config));
    let mut agent = Agent::new(&server);
    agent.start(&server, "far", "[labels]\nrole = \"web\"\nsite = \"osaka\"\nrack = \"b4\"\n");
    let labels = json!({"rack": "b4", "role": "web", "site": "tokyo"});
    wait_for_labels(&server, "far", &labels, &json!(["rack", "role"]));
    assert!(!server.check("far", "page").is_null() && server.check("far", "dump").is_null());
    // They are matched in expressions by the series that tells them.
    let joined =
        "node_load1 * on(instance) group_left(role) noroshi_agent_labels_info{role=\"web\"}";
    server.wait_for_value(joined, |load| load >= 0.0);
    assert_eq!(server.check("far", "page")["labels"]["role"], "web");

    // Another role: other checks. It holds while the server is away and comes back.
    agent.start(&server, "far", "[labels]\nrole = \"db\"\n");
    let labels = json!({"role": "db", "site": "tokyo"});
    wait_for_labels(&server, "far", &labels, &json!(["role"]));
    assert!(server.check("far", "page").is_null() && !server.check("far", "dump").is_null());
    agent.process.take();
    server.kill();
    server.begin();
    wait_for_labels(&server, "far", &labels, &json!(["role"]));

    // The server's configuration says otherwise of the host: that holds.
    agent.start(&server, "far", "[labels]\nrole = \"db\"\n");
    server.write_config(&format!("{config}[host.far]\nlabels = {{role = \"web\"}}\n"));
    wait_for_labels(&server, "far", &json!({"role": "web"}), &json!([]));
    assert!(!server.check("far", "page").is_null() && server.check("far", "dump").is_null());
}

/// Goal: an agent does not start with labels that pass for something else, and says which.
#[test]
fn labels_that_mean_something_else_are_refused_with_a_text() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("agent.toml");
    let said = "server = \"http://127.0.0.1:1\"\ntoken_file = \"x\"\n\
                [labels]\njob = \"x\"\nmy-role = \"y\"\nrole = \"web\"\n";
    std::fs::write(&config, said).unwrap();
    for more in [&[][..], &["--once"]] {
        let output = agent(&config).args(more).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        let job = "[labels]: `job` means something else; call the label otherwise";
        let role = "[labels]: \"my-role\" is no name of a label: letters, digits and _";
        assert!(text.contains(job) && text.contains(role), "{text}");
    }
}

/// Sends the first frame of a host as its agent does; returns the answer's status.
fn report(server: &Server, token: &str, host: &str) -> u16 {
    let at = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
    let load = Sample { labels: Labels::new([("__name__", "node_load1")]), at, value: 0.5 };
    let batch = Batch { samples: vec![load], ..Batch::default() };
    let identity = HostIdentity { name: host.to_owned(), ..HostIdentity::default() };
    let frame = Frame { host: identity, run: 1, sequence: 1, batch, ..Frame::default() };
    let packed = zstd::encode_all(&frame::encode(&frame)[..], 3).unwrap();
    let (mime, request) = ("application/vnd.noroshi.frames", "POST /agent/v1/frames");
    let body = frame::encode_body(at, &packed);
    http::send_as(mime, &server.address, request, Some(token), &body).map_or(0, |a| a.status)
}

/// Goal: a rack whose machines begin at the same time is put in force a few times and not once a
/// machine, and none of them is lost. Method: each reports from its own thread, all at once, to a
/// site so large that putting it in force takes longer than a report.
#[test]
fn agents_that_begin_at_the_same_time_become_hosts_together() {
    const AGENTS: usize = 60;
    let hosts = (0..1500).map(|n| format!("[host.h{n}]\n[host.h{n}.check.x]\npassive = \"1h\"\n"));
    let mut server =
        Server::start(Some(&format!("[local]\nwatch = false\n{}", hosts.collect::<String>())));
    let token = server.command_text(&["token", "create", "agent", "--role", "agent"]);
    let token = token.trim();
    let count = |server: &Server, what: &str| server.log().matches(what).count();
    // Alone, so that the token is known and the site in force.
    assert_eq!(report(&server, token, "first"), 200);
    wait_for("the first host", PATIENCE, || host(&server, "first"));
    wait_for("its site", PATIENCE, || (count(&server, "site applied") > 0).then_some(()));
    let before = count(&server, "site applied");

    let (begin, names) = (Barrier::new(AGENTS), (0..AGENTS).map(|n| format!("rack{n}")));
    let names: Vec<String> = names.collect();
    std::thread::scope(|scope| {
        for name in &names {
            let (server, begin) = (&server, &begin);
            scope.spawn(move || {
                begin.wait();
                assert_eq!(report(server, token, name), 200, "{name}");
            });
        }
    });
    let all_known = |server: &Server| {
        wait_for("all hosts", PATIENCE, || {
            names.iter().all(|name| host(server, name).is_some()).then_some(())
        });
    };
    all_known(&server);
    assert_eq!(count(&server, "a host registered itself"), AGENTS + 1);
    let applied = count(&server, "site applied") - before;
    assert!(applied <= AGENTS / 4, "the site was applied {applied} times for {AGENTS} hosts");
    // They are remembered, each by itself.
    server.kill();
    server.begin();
    all_known(&server);
}
