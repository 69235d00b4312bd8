//! The server and the agent under test: the real programs, on ephemeral ports.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{self, Answer, encode};
use super::{PATIENCE, Process, wait_for};

/// A server with its folder.
pub struct Server {
    pub folder: tempfile::TempDir,
    pub address: String,
    pub sign_in_link: Option<String>,
    process: Option<Process>,
}

/// Returns one of the programs that cargo built beside this test.
pub fn program(name: &str) -> PathBuf {
    let server = Path::new(env!("CARGO_BIN_EXE_noroshi"));
    let program = server.with_file_name(name);
    assert!(program.exists(), "{name} is not built: cargo build --workspace --bins");
    program
}

impl Server {
    /// Starts a server with this configuration (none: built-in) in a new folder.
    pub fn start(config: Option<&str>) -> Self {
        let mut server = Self::prepared(config);
        server.begin();
        server
    }

    /// Makes the folder and the configuration, and leaves it to the caller to begin.
    pub fn prepared(config: Option<&str>) -> Self {
        let server = Self {
            folder: tempfile::tempdir().unwrap(),
            address: "127.0.0.1:0".to_owned(),
            sign_in_link: None,
            process: None,
        };
        if let Some(config) = config {
            server.write_config(config);
        }
        server
    }

    pub fn write_config(&self, config: &str) {
        fs::write(self.folder.path().join("noroshi.toml"), config).unwrap();
    }

    /// Starts the program, at first on a free port, later on the same.
    pub fn begin(&mut self) {
        let mut command = Command::new(program("noroshi"));
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("server.log"))
            .unwrap();
        command
            .current_dir(self.folder.path())
            .args(["serve", "--listen", &self.address])
            .env("NOROSHI_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut process = Process::start("noroshi", &mut command);
        let mut lines = BufReader::new(process.child().stdout.take().unwrap()).lines();
        let mut welcome = String::new();
        self.sign_in_link = None;
        // The last line of the welcome tells the configuration.
        for line in &mut lines {
            let line = line.unwrap();
            let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            match word {
                "open" => {
                    let url = rest.trim().trim_start_matches("http://");
                    url.trim_end_matches('/').clone_into(&mut self.address);
                }
                "sign" => {
                    let link = rest.trim_start_matches("in").trim();
                    self.sign_in_link = link.starts_with("http").then(|| link.to_owned());
                }
                _ => {}
            }
            welcome += &line;
            if word == "config" {
                break;
            }
        }
        assert!(welcome.contains("config"), "no welcome: {welcome}\n{}", self.log());
        // What is printed later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        self.process = Some(process);
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the server runs")
    }

    /// Kills the server as a power button would.
    pub fn kill(&mut self) {
        self.process().kill();
        self.process = None;
    }

    /// Stops the server by SIGTERM and returns how long that took.
    pub fn stop(&mut self) -> Duration {
        let start = std::time::Instant::now();
        self.process().signal("TERM");
        let status = self.process().wait_for_end(PATIENCE);
        assert!(status.success(), "ended with {status}\n{}", self.log());
        self.process = None;
        start.elapsed()
    }

    /// Returns the key that the server left for commands on this machine.
    pub fn token(&self) -> String {
        let file = self.folder.path().join("noroshi-data/local-access");
        fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned()
    }

    /// Asks the API; `None` when nobody answers.
    pub fn ask(&self, path: &str) -> Option<Answer> {
        http::send(&self.address, &format!("GET {path}"), Some(&self.token()), "")
    }

    #[track_caller]
    pub fn read(&self, path: &str) -> Value {
        self.ask(path).unwrap_or_else(|| panic!("no answer: {}", self.log())).json()
    }

    /// Acts on a host or check.
    #[track_caller]
    pub fn act(&self, action: &str, body: &Value) -> Value {
        let request = format!("POST /api/v1/actions/{action}");
        http::send(&self.address, &request, Some(&self.token()), &body.to_string()).unwrap().json()
    }

    /// Returns what is shown of a check; null when there is none.
    pub fn check(&self, host: &str, check: &str) -> Value {
        let path = format!("/api/v1/check?host={}&check={}", encode(host), encode(check));
        match self.ask(&path) {
            Some(answer) if answer.status == 200 => answer.json()["check"].clone(),
            _ => json!(null),
        }
    }

    /// Waits until a check has this status and state type.
    #[track_caller]
    pub fn wait_for_check(&self, host: &str, check: &str, status: &str, kind: &str) -> Value {
        let what = format!("{host}/{check} to be {status} {kind}");
        let mut last = json!(null);
        let start = std::time::Instant::now();
        loop {
            let view = self.check(host, check);
            if view["status"] == status && view["state_type"] == kind {
                return view;
            }
            last = if view.is_null() { last } else { view };
            assert!(start.elapsed() < PATIENCE, "waited for {what}; it is {last}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Evaluates an expression and returns the value of each series.
    pub fn query(&self, expr: &str) -> Vec<f64> {
        let answer = self.ask(&format!("/prometheus/api/v1/query?query={}", encode(expr)));
        let Some(answer) = answer.filter(|answer| answer.status == 200) else { return Vec::new() };
        let result = answer.json()["data"]["result"].clone();
        let series = result.as_array().cloned().unwrap_or_default();
        series.iter().filter_map(|one| one["value"][1].as_str()?.parse().ok()).collect()
    }

    /// Waits until an expression has a value that pleases.
    #[track_caller]
    pub fn wait_for_value(&self, expr: &str, is_fine: impl Fn(f64) -> bool) -> f64 {
        wait_for(expr, PATIENCE, || self.query(expr).into_iter().find(|value| is_fine(*value)))
    }

    /// Runs a subcommand in the server's folder.
    pub fn command(&self, args: &[&str]) -> Output {
        Command::new(program("noroshi"))
            .current_dir(self.folder.path())
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a subcommand that must succeed and returns what it printed.
    #[track_caller]
    pub fn command_text(&self, args: &[&str]) -> String {
        let output = self.command(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "noroshi {args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Starts an agent that reports as `host`.
pub fn start_agent(server: &Server, host: &str, token_file: &Path, spool: &Path) -> Process {
    let mut command = Command::new(program("noroshi-agent"));
    command
        .args(["--server", &format!("http://{}", server.address)])
        .args(["--host", host, "--step", "1s"])
        .arg("--token-file")
        .arg(token_file)
        .arg("--spool")
        .arg(spool)
        .stdout(Stdio::null())
        .stderr(fs::File::create(spool.with_extension("log")).unwrap());
    Process::start("noroshi-agent", &mut command)
}
