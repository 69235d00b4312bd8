//! Event handlers against real services: `HAProxy` and BIND change with what checks find, through
//! the scripts of `examples/handlers`; a URL is told of every change.
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

mod house;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use house::nginx::Nginx;
use house::noroshi::Server;
use house::{PATIENCE, Process, free_port, http, root, wait_for};
use serde_json::{Value, json};

/// A real `HAProxy` in front of two servers, both of which it believes in.
struct Haproxy {
    folder: tempfile::TempDir,
    port: u16,
    _process: Process,
}

impl Haproxy {
    fn start(servers: [&Nginx; 2]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let (config, socket) = (folder.path().join("haproxy.cfg"), folder.path().join("admin"));
        let [web1, web2] = servers.map(Nginx::address);
        let text = format!(
            "global\n  stats socket {} mode 600 level admin\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 5s\n  timeout server 5s\n\
             frontend in\n  bind 127.0.0.1:{port}\n  default_backend web\n\
             backend web\n  balance roundrobin\n  retries 0\n  server web1 {web1}\n  server web2 {web2}\n",
            socket.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("/usr/sbin/haproxy");
        command.arg("-db").arg("-f").arg(config).stdout(Stdio::null());
        let process = Process::start("haproxy", &mut command);
        let haproxy = Self { folder, port, _process: process };
        wait_for("HAProxy to answer", PATIENCE, || haproxy.status());
        haproxy
    }

    fn socket(&self) -> String {
        self.folder.path().join("admin").display().to_string()
    }

    /// Asks for a page through it and returns the status.
    fn status(&self) -> Option<u16> {
        let address = format!("127.0.0.1:{}", self.port);
        http::send(&address, "GET /", None, "").map(|answer| answer.status)
    }

    /// Returns how many of twenty requests were answered with 200.
    fn answered(&self) -> usize {
        (0..20).filter(|_| self.status() == Some(200)).count()
    }
}

/// A real BIND with a zone that a key may change.
struct Bind {
    folder: tempfile::TempDir,
    port: u16,
    _process: Process,
}

const WWW: &str = "www.example.org.";

impl Bind {
    fn start() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let at = |name: &str| folder.path().join(name);
        let key = Command::new("tsig-keygen").arg("noroshi").output().expect("install bind9");
        fs::write(at("key"), &key.stdout).unwrap();
        let zone = "$TTL 60\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n\
                    www A 192.0.2.1\nwww A 192.0.2.2\n";
        fs::write(at("zone"), zone).unwrap();
        let here = folder.path().display();
        let config = format!(
            "include \"{here}/key\";\n\
             options {{ directory \"{here}\"; pid-file \"{here}/pid\"; \
             session-keyfile \"{here}/session.key\"; listen-on port {port} {{ 127.0.0.1; }}; \
             listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; }};\n\
             controls {{ }};\n\
             zone \"example.org\" {{ type primary; file \"{here}/zone\"; \
             update-policy {{ grant noroshi name {WWW} A; }}; }};\n"
        );
        fs::write(at("named.conf"), config).unwrap();
        let mut command = Command::new("/usr/sbin/named");
        command.arg("-g").arg("-n1").arg("-c").arg(at("named.conf")).stderr(Stdio::null());
        let process = Process::start("named", &mut command);
        let bind = Self { folder, port, _process: process };
        wait_for("BIND to answer", PATIENCE, || (bind.addresses().len() == 2).then_some(()));
        bind
    }

    fn key(&self) -> String {
        self.folder.path().join("key").display().to_string()
    }

    /// Returns the addresses of the name.
    fn addresses(&self) -> Vec<String> {
        let port = self.port.to_string();
        let arguments = ["+short", "+time=1", "@127.0.0.1", "-p", &port, WWW, "A"];
        let output = Command::new("dig").args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut addresses: Vec<String> = text.lines().map(str::to_owned).collect();
        addresses.sort();
        addresses
    }
}

fn example(name: &str) -> String {
    let path = root().join("examples/handlers").join(name);
    assert!(path.exists(), "{}", path.display());
    path.display().to_string()
}

/// Returns the runs of event handlers in the history of a check, oldest first.
fn handled(server: &Server, host: &str, check: &str) -> Vec<Value> {
    let path = format!("/api/v1/events?host={host}&check={check}");
    let events = server.read(&path)["events"].as_array().unwrap().clone();
    let bodies = events.into_iter().rev().map(|event| event["body"].clone());
    bodies.filter(|body| body["type"] == "handler_ran").collect()
}

#[test]
fn a_server_that_fails_leaves_the_pool_and_the_name_and_comes_back() {
    let (mut web1, web2) = (Nginx::start(), Nginx::start());
    let (haproxy, bind) = (Haproxy::start([&web1, &web2]), Bind::start());
    assert_eq!(haproxy.answered(), 20);
    let host = |name: &str, address: &str, nginx: &Nginx| {
        format!(
            r#"
            [host.{name}]
            address = "{address}"
            [host.{name}.check.http]
            http = "http://{web}/"
            on_change = {{ on = ["hard"], command = ["{pool}", "{socket}", "web", "$HOSTNAME$",
                "$SERVICESTATE$"] }}
            [host.{name}.check.tcp]
            tcp = "{web}"
            on_change = {{ on = ["hard"], command = ["{dns}", "{key}", "127.0.0.1", "{port}",
                "example.org.", "{WWW}", "$HOSTADDRESS$", "$SERVICESTATE$"] }}
            "#,
            web = nginx.address(),
            pool = example("haproxy-pool"),
            socket = haproxy.socket(),
            dns = example("dns-record"),
            key = bind.key(),
            port = bind.port,
        )
    };
    let config = format!(
        "[local]\nwatch = false\n[defaults]\ninterval = \"500ms\"\nretry = \"200ms\"\n{}{}",
        host("web1", "192.0.2.1", &web1),
        host("web2", "192.0.2.2", &web2),
    );
    let server = Server::start(Some(&config));
    for (host, check) in [("web1", "http"), ("web1", "tcp"), ("web2", "http"), ("web2", "tcp")] {
        wait_for("the first result", PATIENCE, || {
            (server.check(host, check)["status"] == "ok").then_some(())
        });
    }

    web1.stop();
    wait_for("the pool to be without web1", PATIENCE, || (haproxy.answered() == 20).then_some(()));
    wait_for("the name to be without web1", PATIENCE, || {
        (bind.addresses() == ["192.0.2.2"]).then_some(())
    });
    let runs = wait_for("the history", PATIENCE, || {
        let runs = handled(&server, "web1", "http");
        (!runs.is_empty()).then_some(runs)
    });
    assert_eq!(runs.len(), 1, "only the hard change: {runs:?}");
    assert_eq!(runs[0]["is_ok"], true, "{runs:?}");
    assert_eq!(runs[0]["output"], "web/web1 is set to maint");
    assert_eq!((&runs[0]["status"], &runs[0]["state_type"]), (&json!("critical"), &json!("hard")));

    web1.begin();
    wait_for("the name to have web1 again", PATIENCE, || {
        (bind.addresses() == ["192.0.2.1", "192.0.2.2"]).then_some(())
    });
    let runs = wait_for("web1 in the pool again", PATIENCE, || {
        let runs = handled(&server, "web1", "http");
        (runs.len() == 2).then_some(runs)
    });
    assert_eq!(runs[1]["output"], "web/web1 is set to ready");
    assert_eq!(haproxy.answered(), 20);
    assert!(handled(&server, "web2", "http").is_empty(), "nothing happened to web2");
    let metrics = server.ask("/metrics").unwrap().text();
    let line = "noroshi_event_handlers_total{result=\"ok\"} 4";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
}

#[test]
fn a_handler_that_cannot_do_its_work_says_so_in_the_history() {
    let mut web1 = Nginx::start();
    let web2 = Nginx::start();
    let haproxy = Haproxy::start([&web1, &web2]);
    // The pool has web2 alone: the script refuses to take the last one out.
    let socket = haproxy.socket();
    let script = example("haproxy-pool");
    let arguments = [socket.as_str(), "web", "web2", "CRITICAL"];
    assert!(Command::new(&script).args(arguments).status().unwrap().success());
    let config = format!(
        r#"
        [local]
        watch = false
        [defaults]
        attempts = 1
        interval = "500ms"
        on_change = {{ command = ["{script}", "{socket}", "web", "$HOSTNAME$", "$SERVICESTATE$"] }}
        [host.web1.check.http]
        http = "http://{web}/"
        [host.web1.check.quiet]
        http = "http://{web}/"
        on_change = false
        "#,
        web = web1.address(),
    );
    let server = Server::start(Some(&config));
    wait_for("the first result", PATIENCE, || {
        (server.check("web1", "http")["status"] == "ok").then_some(())
    });
    web1.stop();
    let run = wait_for("the history", PATIENCE, || handled(&server, "web1", "http").pop());
    assert_eq!(run["is_ok"], false);
    assert_eq!(run["output"], "exit 1: web/web1 stays: no other server of web runs");
    wait_for("the other check", PATIENCE, || {
        (server.check("web1", "quiet")["status"] == "critical").then_some(())
    });
    assert!(handled(&server, "web1", "quiet").is_empty());
    let metrics = server.ask("/metrics").unwrap().text();
    assert!(metrics.contains("noroshi_event_handlers_total{result=\"failed\"} 1\n"), "{metrics}");
}

/// Answers calls with the given statuses, one after the other, and hands out what was sent.
fn listen(statuses: Vec<u16>) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (calls, heard) = mpsc::sync_channel(16);
    std::thread::spawn(move || {
        for status in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let (mut call, mut buffer) = (Vec::new(), [0; 4096]);
            // Every body of these tests ends with a brace, and no header does.
            while !call.ends_with(b"}") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => call.extend_from_slice(&buffer[..count]),
                }
            }
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            if calls.send(String::from_utf8(call).unwrap()).is_err() {
                return;
            }
        }
    });
    (port, heard)
}

#[test]
fn a_url_is_told_of_soft_and_hard_changes_in_their_order() {
    let (port, heard) = listen(vec![200, 200, 500, 200]);
    let (own_port, own_heard) = listen(vec![200]);
    let config = format!(
        r#"
        [local]
        watch = false
        [host.web1]
        address = "192.0.2.7"
        groups = ["web"]
        [host.web1.check."disk /var"]
        passive = "1h"
        attempts = 2
        on_change = {{ url = "http://127.0.0.1:{port}/hook?of=$SERVICEDESC$",
            headers = {{ X-State = "$SERVICESTATE$ $SERVICESTATETYPE$" }} }}
        [host.web1.check.own]
        passive = "1h"
        on_change = {{ url = "http://127.0.0.1:{own_port}/", method = "PUT",
            body = '{{"text": "$SERVICEOUTPUT$"}}' }}
        "#
    );
    let server = Server::start(Some(&config));
    let submit = |check: &str, status: &str, output: &str| {
        let result = json!({"host": "web1", "check": check, "status": status, "output": output});
        let request = "POST /api/v1/actions/submit";
        let token = server.token();
        http::send(&server.address, request, Some(&token), &result.to_string()).unwrap();
    };
    let next = || heard.recv_timeout(PATIENCE).expect("a call");
    submit("disk /var", "critical", "full");
    let call = next();
    assert!(call.starts_with("POST /hook?of=disk%20%2Fvar HTTP/1.1\r\n"), "{call}");
    assert!(call.to_lowercase().contains("x-state: critical soft\r\n"), "{call}");
    assert!(call.to_lowercase().contains("content-type: application/json\r\n"), "{call}");
    let body: Value = serde_json::from_str(call.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(
        json!({
            "version": body["version"], "host": body["host"], "check": body["check"],
            "address": body["address"], "groups": body["groups"], "status": body["status"],
            "state_type": body["state_type"], "attempt": body["attempt"],
            "attempts_max": body["attempts_max"], "output": body["output"],
        }),
        json!({
            "version": 1, "host": "web1", "check": "disk /var", "address": "192.0.2.7",
            "groups": ["web"], "status": "critical", "state_type": "soft", "attempt": 1,
            "attempts_max": 2, "output": "full",
        })
    );
    submit("disk /var", "ok", "fine");
    assert!(next().to_lowercase().contains("x-state: ok soft\r\n"), "the end of a soft problem");
    submit("disk /var", "critical", "full");
    next();
    submit("disk /var", "critical", "full");
    assert!(next().to_lowercase().contains("x-state: critical hard\r\n"));
    let runs = wait_for("the history", PATIENCE, || {
        let runs = handled(&server, "web1", "disk%20%2Fvar");
        (runs.len() == 4).then_some(runs)
    });
    let said: Vec<&str> = runs.iter().map(|run| run["output"].as_str().unwrap()).collect();
    assert_eq!((said[0], said[1], said[3]), ("HTTP 200", "HTTP 200", "HTTP 200"));
    assert!(said[2].starts_with("HTTP 500"), "{said:?}");
    assert_eq!(runs[2]["is_ok"], false);

    submit("own", "critical", "a \"quote\"");
    let call = own_heard.recv_timeout(PATIENCE).expect("a call");
    assert!(call.starts_with("PUT / HTTP/1.1\r\n"), "{call}");
    assert!(call.ends_with(r#"{"text": "a \"quote\""}"#), "{call}");
}

#[test]
fn the_examples_are_programs_that_a_shell_understands() {
    for entry in fs::read_dir(root().join("examples/handlers")).unwrap() {
        let path = entry.unwrap().path();
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o111, 0o111, "{} may not be executed", path.display());
        let output = Command::new("sh").arg("-n").arg(Path::new(&path)).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}
