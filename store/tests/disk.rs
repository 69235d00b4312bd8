//! Full disks and power cuts, on file systems that the test mounts: needs root (and says so).
//!
//! A power cut is simulated by ext4's shutdown ioctl on a loop device: everything that was not
//! synced is gone, as if the plug had been pulled. `NOROSHI_POWER_CUTS=100` for the long run.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

const LOAD: &str = env!("CARGO_BIN_EXE_store-load");
/// Longest wait for a state of the load.
const PATIENCE: Duration = Duration::from_mins(1);

fn run(words: &[&str]) -> Output {
    Command::new(words[0]).args(&words[1..]).output().unwrap()
}

fn must(words: &[&str]) {
    let output = run(words);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?} failed (this test needs root): {error}");
}

/// A mounted file system; unmounted at the end.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        self.unmount();
    }
}

impl Mounted {
    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn unmount(&self) {
        let deadline = Instant::now() + PATIENCE;
        while run(&["mountpoint", "-q", self.path()]).status.success() {
            assert!(Instant::now() < deadline, "cannot unmount {}", self.path());
            if !run(&["umount", self.path()]).status.success() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// A load that writes, and the lines it prints.
struct Load {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Load {
    fn start(directory: &Path, series: &str) -> Self {
        let mut child = Command::new(LOAD)
            .args(["write", directory.to_str().unwrap(), series])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(100_000);
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).take_while(|l| sender.send(l.clone()).is_ok()).count()
        });
        Self { child, lines, said: Vec::new() }
    }

    /// Waits for a line that starts so, from now on.
    fn wait_for(&mut self, start: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("the load never said {start:?}"));
            self.said.push(line);
            if self.said.last().is_some_and(|line| line.starts_with(start)) {
                return;
            }
        }
    }

    /// Takes what was said up to now.
    fn drain(&mut self) {
        self.said.extend(self.lines.try_iter());
    }

    /// Kills the load and returns all it said, also what was still on its way.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.said.extend(self.lines.iter());
        self.said
    }
}

fn verify(directory: &Path, series: &str, said: &[String]) -> Result<String, String> {
    let mut child = Command::new(LOAD)
        .args(["verify", directory.to_str().unwrap(), series])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let written = child.stdin.take().unwrap().write_all(said.join("\n").as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() && written.is_ok() { Ok(text) } else { Err(text) }
}

/// Fills a file system to the last byte.
fn fill(ballast: &Path) {
    let mut file = std::fs::File::options().create(true).append(true).open(ballast).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        let zeros = vec![0_u8; size];
        while file.write_all(&zeros).is_ok() {}
    }
}

#[test]
fn a_full_disk_stops_the_intake_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Mounted(folder.path().to_owned());
    must(&["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk.path()]);
    let directory = folder.path().join("store");
    let series = "200";
    let mut load = Load::start(&directory, series);
    load.wait_for("T 0 20");
    // To the brim while it writes: its own reserve is taken by somebody else.
    fill(&folder.path().join("ballast"));
    load.wait_for("FULL");
    fill(&folder.path().join("ballast"));
    load.wait_for("FULL");
    must(&["mount", "-o", "remount,size=256m", disk.path()]);
    load.wait_for("T 1");
    load.wait_for("T 2");
    let said = load.kill();
    verify(&directory, series, &said).unwrap();

    // Killed while the disk is full, opened while it is full, opened when there is room again.
    let mut load = Load::start(&directory, series);
    load.wait_for("T 0");
    fill(&folder.path().join("ballast"));
    load.wait_for("FULL");
    let mut said = said;
    said.extend(load.kill());
    let while_full = verify(&directory, series, &said);
    must(&["mount", "-o", "remount,size=512m", disk.path()]);
    verify(&directory, series, &said).unwrap();
    if let Err(text) = while_full {
        assert!(text.contains("cannot"), "the error while full says what failed: {text}");
    }
}

#[test]
fn power_cuts_lose_nothing_acknowledged_and_always_leave_a_store_that_opens() {
    let cuts = std::env::var("NOROSHI_POWER_CUTS").ok().and_then(|text| text.parse().ok());
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let disk = Mounted(folder.path().join("disk"));
    std::fs::create_dir(&disk.0).unwrap();
    std::fs::File::create(&image).unwrap().set_len(1 << 30).unwrap();
    let image = image.to_str().unwrap();
    must(&["mkfs.ext4", "-q", "-F", image]);
    must(&["mount", "-o", "loop", image, disk.path()]);
    let directory = disk.0.join("store");
    let (mut said, mut rebuilt) = (Vec::new(), 0);
    for cut in 0..cuts.unwrap_or(5_u64) {
        let mut load = Load::start(&directory, "50");
        load.wait_for("T");
        // The moment of the cut is what is random here; nothing is waited for.
        std::thread::sleep(Duration::from_millis(100 + cut * 379 % 2000));
        load.drain();
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (linux/fs/ext4/ext4.h).
        let shutdown = "sysopen(D, $ARGV[0], 0) or die $!; my $flags = pack('I', 2); \
                        defined(ioctl(D, 0x8004587d, $flags)) or die $!";
        must(&["perl", "-e", shutdown, disk.path()]);
        // Only what was said before the cut counts; the rest may never have reached the disk.
        said.append(&mut load.said);
        load.kill();
        disk.unmount();
        must(&["mount", "-o", "loop", image, disk.path()]);
        let text = verify(&directory, "50", &said).unwrap_or_else(|e| panic!("cut {cut}: {e}"));
        rebuilt += u32::from(text.contains("rebuilt_catalogue: Some"));
    }
    eprintln!("catalogue rebuilt after {rebuilt} of the cuts");
}
