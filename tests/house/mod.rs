//! What tests of the whole house share: processes that end with the test, and waiting for states.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(unreachable_pub, missing_docs, reason = "a module of tests, shared by files")]
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

pub mod browser;
pub mod http;
pub mod nginx;
pub mod noroshi;
pub mod remote_write;
pub mod smtp;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Longest that a test waits for a state before it says what it waited for.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A process that ends with the value.
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts a program.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot start {name} ({command:?}): {error}; tests/run installs what is needed")
        });
        Self { child, name: name.to_owned() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal by its name.
    pub fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &id]).status().unwrap();
        assert!(status.success(), "cannot send {signal} to {}", self.name);
    }

    /// Kills the process as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        // An error means that it is gone already.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }

    /// Waits until the process has ended by itself.
    pub fn wait_for_end(&mut self, patience: Duration) -> std::process::ExitStatus {
        let name = self.name.clone();
        wait_for(&format!("the end of {name}"), patience, || self.child.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks until there is an answer; says what was waited for when there is none in time.
#[track_caller]
pub fn wait_for<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns a port that was free a moment ago, for programs that cannot tell which one they took.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns the project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns where screenshots and the like go; git ignores it.
pub fn output() -> PathBuf {
    let folder = root().join("tests/output");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
