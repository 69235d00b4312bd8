//! Kills a store under load, again and again, and asks after each kill for all that it had
//! acknowledged. `NOROSHI_KILLS=200 cargo test -p noroshi-store --test crash` for the long run.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const LOAD: &str = env!("CARGO_BIN_EXE_store-load");
const SERIES: &str = "50";

/// Lets the load run for a while after its first acknowledgement, kills it, and returns all lines.
fn run_and_kill(directory: &Path, time: Duration) -> String {
    let mut load = Command::new(LOAD)
        .args(["write", directory.to_str().unwrap(), SERIES])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(load.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    if first.is_empty() {
        let mut error = String::new();
        load.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        panic!("the load ended by itself: {error}");
    }
    let reader = std::thread::spawn(move || {
        let mut rest = Vec::new();
        lines.read_to_end(&mut rest).unwrap();
        String::from_utf8(rest).unwrap()
    });
    // The moment of the kill is what is random here; nothing is waited for.
    std::thread::sleep(time);
    load.kill().unwrap();
    load.wait().unwrap();
    first + &reader.join().unwrap()
}

/// Tells whether a checkpoint was finished.
fn has_checkpoint(directory: &Path) -> bool {
    let Ok(mut files) = std::fs::read_dir(directory.join("checkpoint")) else { return false };
    files.any(|file| file.unwrap().path().extension().is_some_and(|end| end == "checkpoint"))
}

fn verify(directory: &Path, lines: &str) {
    let mut verify = Command::new(LOAD)
        .args(["verify", directory.to_str().unwrap(), SERIES])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    verify.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = verify.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("rebuilt_catalogue: Some"), "{text}");
}

#[test]
fn nothing_acknowledged_is_lost_by_kills_under_load() {
    let kills = std::env::var("NOROSHI_KILLS").ok().and_then(|text| text.parse().ok());
    let directory = tempfile::tempdir().unwrap();
    for kill in 0..kills.unwrap_or(20_u64) {
        // 40 to 640 ms, spread over the whole by a number that has no common factor with it.
        let time = Duration::from_millis(40 + kill * 379 % 600);
        let lines = run_and_kill(directory.path(), time);
        verify(directory.path(), &lines);
    }
}

#[test]
fn a_store_whose_catalogue_does_not_open_is_rebuilt_with_everything() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = run_and_kill(directory.path(), Duration::from_millis(2500));
    // Without a checkpoint the journal alone has everything, and nothing needs to be rebuilt.
    while !has_checkpoint(directory.path()) {
        lines += &run_and_kill(directory.path(), Duration::from_millis(2500));
    }
    for damage in ["gone", "zeroes", "garbage", "empty"] {
        let database = directory.path().join("catalogue/db");
        let length = std::fs::metadata(&database).unwrap().len() as usize;
        match damage {
            "gone" => std::fs::remove_dir_all(directory.path().join("catalogue")).unwrap(),
            "zeroes" => std::fs::write(&database, vec![0; length]).unwrap(),
            "garbage" => {
                let mut bytes = std::fs::read(&database).unwrap();
                for index in (0..bytes.len()).step_by(61) {
                    bytes[index] ^= 0x55;
                }
                std::fs::write(&database, bytes).unwrap();
            }
            _ => std::fs::write(&database, b"").unwrap(),
        }
        let mut verify = Command::new(LOAD)
            .args(["verify", directory.path().to_str().unwrap(), SERIES])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        verify.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = verify.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{damage}: {text}");
        assert!(text.contains("rebuilt_catalogue: Some"), "{damage}: {text}");
        lines += &run_and_kill(directory.path(), Duration::from_millis(300));
    }
}
