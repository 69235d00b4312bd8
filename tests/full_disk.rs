//! A server whose disk fills up: it says so itself, refuses so that agents wait, and goes on by
//! itself with nothing lost. Mounts a file system: needs root (and says so).
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

mod house;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use house::noroshi::{Server, start_agent};
use house::{PATIENCE, wait_for};

/// A small file system under a server's data folder; unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Self {
        fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        let output = mount.args(["-t", "tmpfs", "-o", "size=256m", "tmpfs"]).arg(at).output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "this test needs root: {error}");
        Self(at.to_owned())
    }

    fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    /// Fills it until only so many bytes are left.
    fn fill(&self, left: u64) {
        let mut ballast =
            fs::File::options().create(true).append(true).open(self.0.join("ballast")).unwrap();
        let piece = vec![0; 65_536];
        while self.free() > left + piece.len() as u64 {
            ballast.write_all(&piece).unwrap();
        }
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that a failed test left may still write there.
        let output = Command::new("umount").arg("-l").arg(&self.0).output();
        assert!(output.is_ok_and(|output| output.status.success()) || std::thread::panicking());
    }
}

const CONFIG: &str = r#"
[local]
step = "1s"

[[store.retention]]
name = "short"
archives = ["1s for 10m", "1m for 1h"]
"#;

#[test]
fn a_full_disk_is_a_problem_of_the_server_and_loses_nothing_that_an_agent_sends() {
    let mut server = Server::prepared(Some(CONFIG));
    let folder = server.folder.path().to_owned();
    let disk = Disk::mount(&folder.join("noroshi-data"));
    server.begin();
    let token = server.command_text(&["token", "create", "agents", "--role", "agent"]);
    let token_file = folder.join("token");
    fs::write(&token_file, token.trim()).unwrap();
    let mut agent = start_agent(&server, "far", &token_file, &folder.join("spool"));
    let count = "sum(count_over_time(node_load1{instance=\"far\"}[9m]))";
    server.wait_for_value(count, |count| count >= 3.0);
    server.wait_for_check("localhost", "noroshi store", "ok", "hard");

    disk.fill(4 << 20);
    let view = server.wait_for_check("localhost", "noroshi store", "critical", "hard");
    let output = view["output"].as_str().unwrap();
    assert!(output.contains("is full") && output.contains("are free"), "{view}");
    let problems = server.command_text(&["problems"]);
    assert!(problems.contains("noroshi store"), "{problems}");
    // The agent is refused and keeps what it has; a query is answered all the same.
    wait_for("frames to be refused", PATIENCE, || {
        server.log().contains("frames refused").then_some(())
    });
    let stands = server.query(count)[0];
    let full_since = server.query("vector(time())")[0];
    server.wait_for_value("vector(time())", |now| now > full_since + 12.0);
    assert!(server.query(count)[0] <= stands + 1.0, "something was taken in");
    let log = server.log();
    let lines = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    // Of the server's own machine every second one would be refused: it is said once.
    assert_eq!(lines("samples of this machine were refused"), 1, "{log}");

    disk.empty();
    server.wait_for_check("localhost", "noroshi store", "ok", "hard");
    // Every second since is there: what came meanwhile waited in the agent's spool.
    let span = server.query("vector(time())")[0] - full_since + 15.0;
    let since = format!("count_over_time(node_load1{{instance=\"far\"}}[{span:.0}s])");
    server.wait_for_value(&since, |taken| taken >= span - 4.0);
    agent.kill();
    server.stop();
    drop(disk);
}
