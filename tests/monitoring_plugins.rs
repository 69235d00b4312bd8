//! Every plug-in of Debian's `monitoring-plugins-basic` and `-standard` through the runner: what we
//! understand is compared with what a shell sees of the same program.
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

mod house;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use house::nginx::Nginx;
use noroshi_checks::plugin::{Exit, Ran, run, understand};
use noroshi_model::Status;

const FOLDER: &str = "/usr/lib/nagios/plugins";
/// Libraries and helpers that lie beside the plug-ins and are none.
const NO_PLUGINS: [&str; 3] = ["utils.pm", "utils.sh", "urlize"];

async fn ran(argv: &[&str]) -> Ran {
    let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
    run(&argv, &BTreeMap::new(), Duration::from_secs(30)).await
}

/// Returns the status that an exit code stands for, by the plug-in guidelines.
fn status_of(code: i32) -> Status {
    match code {
        0 => Status::Ok,
        1 => Status::Warning,
        3 => Status::Unknown,
        _ => Status::Critical,
    }
}

fn plugins() -> Vec<String> {
    let folder = fs::read_dir(FOLDER).expect("install monitoring-plugins-basic and -standard");
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| !NO_PLUGINS.contains(&name.as_str())).collect();
    names.sort();
    assert!(names.len() >= 50, "only {names:?}; install monitoring-plugins-standard");
    names
}

#[tokio::test]
async fn every_plugin_runs_and_is_understood_as_a_shell_sees_it() {
    let mut wrong = Vec::new();
    for name in plugins() {
        let path = format!("{FOLDER}/{name}");
        let ran = ran(&[&path, "--version"]).await;
        let mut command = Command::new(&path);
        command.arg("--version").stdin(Stdio::null()).env_clear().env("LC_ALL", "C.UTF-8");
        let seen = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap();
        let said = understand(&ran.exit, &ran.stdout, &ran.stderr);
        let code = seen.status.code().unwrap();
        let text = String::from_utf8_lossy(&seen.stdout).into_owned();
        let first = text.lines().next().unwrap_or("").split('|').next().unwrap_or("").trim();
        // Impossible codes are told of before the text, and standard error stands for no text.
        let is_same_text = if code > 3 || first.is_empty() {
            said.output.contains(first)
        } else {
            said.output == first
        };
        let is_same = ran.exit == Exit::Code(code)
            && said.status == status_of(code)
            && ran.stdout == seen.stdout
            && is_same_text;
        if !is_same {
            wrong.push(format!("{name}: {code} {first:?} is {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What one run of a plug-in against something real must be.
struct Case<'a> {
    argv: Vec<&'a str>,
    status: Status,
    /// What the output begins with.
    begins: &'a str,
    /// The labels of the performance data.
    labels: &'a [&'a str],
}

#[tokio::test]
async fn plugins_find_what_is_there_on_this_machine_and_at_a_real_server() {
    let nginx = Nginx::start();
    let port = nginx.port.to_string();
    let closed = house::free_port().to_string();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").display().to_string();
    let case = |argv: &[&'static str], status, begins, labels| Case {
        argv: argv.to_vec(),
        status,
        begins,
        labels,
    };
    let mut cases = vec![
        case(&["check_dummy", "0", "fine"], Status::Ok, "OK: fine", &[]),
        case(&["check_dummy", "1"], Status::Warning, "WARNING", &[]),
        case(&["check_dummy", "2"], Status::Critical, "CRITICAL", &[]),
        case(&["check_dummy", "3"], Status::Unknown, "UNKNOWN", &[]),
        case(
            &["check_load", "-w", "9999,9999,9999", "-c", "9999,9999,9999"],
            Status::Ok,
            "LOAD OK",
            &["load1", "load5", "load15"],
        ),
        case(&["check_procs", "-c", "1:99999"], Status::Ok, "PROCS OK", &["procs"]),
        case(&["check_procs", "-c", "99999:"], Status::Critical, "PROCS CRITICAL", &["procs"]),
        case(&["check_disk", "-w", "0%", "-c", "0%", "-p", "/"], Status::Ok, "DISK OK", &["/"]),
        case(&["check_users", "-w", "999", "-c", "999"], Status::Ok, "USERS OK", &["users"]),
        case(
            &["check_cluster", "--service", "-c", "1", "-d", "0,2,2"],
            Status::Critical,
            "CLUSTER CRITICAL",
            &[],
        ),
        case(&["negate", "/usr/lib/nagios/plugins/check_dummy", "2"], Status::Ok, "CRITICAL", &[]),
    ];
    let at_nginx = |name, status, begins, labels, port| Case {
        argv: vec![name, "-H", "127.0.0.1", "-p", port],
        status,
        begins,
        labels,
    };
    cases.extend([
        at_nginx("check_http", Status::Ok, "HTTP OK", &["time", "size"], port.as_str()),
        at_nginx("check_tcp", Status::Ok, "TCP OK", &["time"], port.as_str()),
        at_nginx("check_tcp", Status::Critical, "connect to address", &[], closed.as_str()),
        at_nginx("check_http", Status::Critical, "connect to address", &[], closed.as_str()),
        at_nginx("check_ssh", Status::Critical, "connect to address", &[], closed.as_str()),
        at_nginx("check_smtp", Status::Critical, "connect to address", &["time"], closed.as_str()),
        Case {
            argv: vec!["check_file_age", "-w", "999999999", "-c", "999999999", "-f", &own],
            status: Status::Ok,
            begins: "FILE_AGE OK",
            labels: &["age", "size"],
        },
    ]);
    for case in cases {
        let ran = ran(&case.argv).await;
        let said = understand(&ran.exit, &ran.stdout, &ran.stderr);
        let labels: Vec<&str> = said.perfdata.iter().map(|item| item.label.as_str()).collect();
        let is_same = said.status == case.status
            && said.output.starts_with(case.begins)
            && labels == case.labels
            && said.perfdata.iter().all(|item| item.value.is_some());
        assert!(is_same, "{:?} gave {said:#?}", case.argv);
    }
}
