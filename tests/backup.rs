//! Backup, restore, export and import through the real program.
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

mod house;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use house::noroshi::{Server, program};
use serde_json::Value;

/// Runs the program in a folder.
fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program("noroshi"));
    command.current_dir(folder).args(args).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn text(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "noroshi {args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the lines of an export that are samples or rows, in an order of their own.
fn series_lines(export: &str) -> Vec<String> {
    let is_series = |line: &&str| {
        let parsed: Value = serde_json::from_str(line).unwrap();
        parsed.get("labels").is_some()
    };
    let mut lines: Vec<String> = export.lines().filter(is_series).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_backup_of_a_running_server_is_restored_with_the_same_values() {
    let mut server = Server::start(None);
    let expr = "count(count_over_time(node_load1[5m]) > 1)";
    server.wait_for_value(expr, |value| value >= 1.0);
    // Samples come in while the copy is made; until `end` the two must agree.
    let end = server.query("vector(time())")[0].floor();
    let at = end.to_string();
    let past = format!("sum(count_over_time(node_cpu_seconds_total[5m] @ {at}))");
    let then = server.query(&past);
    assert_eq!(then.len(), 1);
    let before = server.command_text(&["export", "--match", "{instance!=\"\"}", "--end", &at]);
    let told = server.command_text(&["backup", "copy"]);
    assert!(told.contains("files"), "{told}");
    let again = server.command(&["backup", "copy"]);
    assert!(!again.status.success(), "a backup wrote over another");
    assert!(String::from_utf8_lossy(&again.stderr).contains("empty"), "{again:?}");
    server.kill();

    let folder = server.folder.path();
    text(folder, &["restore", "copy", "--data", "restored"]);
    assert!(!run(folder, &["restore", "copy", "--data", "restored"]).status.success());
    let args = ["export", "--match", "{instance!=\"\"}", "--end", &at, "--data", "restored"];
    let after = text(folder, &args);
    assert!(series_lines(&before).len() > 100, "{before}");
    assert_eq!(series_lines(&after), series_lines(&before));

    // A server runs on it, with the people and keys of the first.
    fs::rename(folder.join("noroshi-data"), folder.join("lost")).unwrap();
    fs::rename(folder.join("restored"), folder.join("noroshi-data")).unwrap();
    server.begin();
    let users = server.command_text(&["user", "list"]);
    assert!(users.contains("admin"), "{users}");
    assert_eq!(server.query(&past), then);
}

#[test]
fn an_export_is_imported_into_a_new_folder_with_the_same_samples() {
    let mut server = Server::start(None);
    server.wait_for_value("count(node_load1)", |value| value >= 1.0);
    server.stop();
    let folder = server.folder.path();
    text(folder, &["export", "-o", "all.json"]);
    let all = fs::read_to_string(folder.join("all.json")).unwrap();
    assert!(series_lines(&all).len() > 100, "{all}");
    let told = text(folder, &["import", "samples", "all.json", "--data", "new"]);
    assert!(told.contains("samples"), "{told}");
    assert_eq!(series_lines(&text(folder, &["export", "--data", "new"])), series_lines(&all));
    let one = text(folder, &["export", "--data", "new", "--match", "node_load1"]);
    assert_eq!(series_lines(&one).len(), 1, "{one}");
}

#[test]
fn an_export_is_imported_into_a_running_server_with_the_same_samples() {
    let mut first = Server::start(None);
    first.wait_for_value("count(node_load1)", |value| value >= 1.0);
    first.stop();
    let folder = first.folder.path();
    let exported = text(folder, &["export", "--match", "{__name__=~\"node_.*\"}"]);
    // As of another host: the server that takes them in watches this one itself.
    let exported = exported.replace("\"instance\":\"", "\"instance\":\"moved-");
    let second = Server::start(None);
    fs::write(second.folder.path().join("moved.json"), &exported).unwrap();
    for _ in 0..2 {
        let told = second.command_text(&["import", "samples", "moved.json"]);
        assert!(told.contains("samples and 0 rows taken in"), "{told}");
    }
    let moved = second.command_text(&["export", "--match", "{instance=~\"moved-.*\"}"]);
    assert!(series_lines(&moved).len() > 100, "{moved}");
    assert_eq!(series_lines(&moved), series_lines(&exported));
    // What cannot be understood is told with its line, and what the server says.
    fs::write(second.folder.path().join("bad.json"), format!("{exported}{{\"at\": 7}}\n")).unwrap();
    let bad = second.command(&["import", "samples", "bad.json"]);
    let told = String::from_utf8_lossy(&bad.stderr).into_owned();
    let line = format!("line {} cannot be understood", exported.lines().count() + 1);
    assert!(!bad.status.success() && told.contains(&line), "{told}");
}

/// Makes a file of `RRDtool` as its users do: a gauge and a counter every five minutes for a week,
/// up to an hour ago.
fn make_rrd(file: &Path, end: i64) {
    let rrdtool = |args: &[String]| {
        let output = Command::new("rrdtool").args(args).output();
        let output = output.expect("rrdtool is not installed: apt install rrdtool");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let start = end - 7 * 86_400;
    let file = file.to_str().unwrap().to_owned();
    let words = format!(
        "create {file} --start {start} --step 300 DS:temp:GAUGE:600:U:U DS:octets:COUNTER:600:0:U \
         RRA:AVERAGE:0.5:1:600 RRA:AVERAGE:0.5:6:700 RRA:MAX:0.5:6:700 RRA:LAST:0.5:24:775"
    );
    rrdtool(&words.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let value = |at: i64| format!("{at}:{}:{}", 20 + at / 300 % 10, (at - start) * 8);
    let mut update = vec!["update".to_owned(), file];
    update.extend((1..=7 * 288).map(|step| value(start + step * 300)));
    rrdtool(&update);
}

#[test]
fn files_of_rrdtool_are_imported_into_a_folder_and_into_a_running_server() {
    let mut server = Server::start(None);
    let end = (server.query("vector(time())")[0] as i64 - 3600) / 86_400 * 86_400;
    let folder = server.folder.path().to_owned();
    make_rrd(&folder.join("room.rrd"), end);
    let dump = Command::new("rrdtool").args(["dump", "room.rrd"]).current_dir(&folder).output();
    fs::write(folder.join("attic.xml"), dump.unwrap().stdout).unwrap();

    let told = server.command_text(&["import", "rrd", "room.rrd", "attic.xml", "--instance", "a"]);
    assert!(told.contains("room.rrd: ") && told.contains("rows taken in"), "{told}");
    // What RRDtool drew is what is drawn now: 20 + i % 10 every five minutes, 8 octets a second.
    let at = |expr: &str, at: i64| server.query(&format!("{expr} @ {at}"));
    for name in ["room", "attic"] {
        let selector = format!("{name}{{instance=\"a\",job=\"rrd\",ds=\"temp\"}}");
        // A gauge that is read at the borders of its steps: the step that ends then has its value.
        let step = (end - 3000) / 300;
        let expected = 20.0 + (step % 10) as f64;
        assert_eq!(at(&selector, step * 300), [expected]);
        // Three days ago only rows of half an hour are left: their greatest value is of six.
        let old = end - 3 * 86_400;
        let greatest = server.query(&format!("max_over_time({selector}[30m] @ {old})"));
        assert!(greatest.len() == 1 && greatest[0] >= 25.0, "{greatest:?}");
        let most = server.query(&format!("max_over_time({selector}[8d])"));
        assert_eq!(most, [29.0]);
        let octets = format!("{name}{{ds=\"octets\"}}");
        assert_eq!(at(&octets, end - 86_400), [8.0]);
    }
    server.stop();
    // The same into a folder without a server, and out of it again.
    let told = text(&folder, &["import", "rrd", "room.rrd", "--data", "new", "--label", "site=x"]);
    assert!(told.contains("rows taken in"), "{told}");
    let out = text(&folder, &["export", "--data", "new", "--match", "room{site=\"x\"}"]);
    let lines = series_lines(&out);
    assert!(lines.iter().any(|line| line.contains("\"step\":300000")), "{out}");
    fs::write(folder.join("bad.xml"), "<rrd></rrd>").unwrap();
    let bad = run(&folder, &["import", "rrd", "bad.xml", "missing.rrd", "--data", "new"]);
    let errors = String::from_utf8_lossy(&bad.stderr);
    assert!(!bad.status.success() && errors.contains("bad.xml: "), "{errors}");
    assert!(errors.contains("2 of 2 files"), "{errors}");
}
