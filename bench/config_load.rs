//! Times what a reload does: reads, validates and applies a configuration.
//!
//! `config_load generate FOLDER HOSTS` writes the same site three times: `groups.toml` (ten checks
//! for groups of hosts), `tables.toml` (a table for every check) and `nagios/` (a service object for
//! every check). `config_load reload FILE` applies the file, changes one line of it, and applies it
//! again; it ends with an error when a check is lost or its phase moves. `bench/config.sh` runs it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may fail")]
#![allow(dead_code, unused_imports, reason = "the server uses what the bench does not")]

#[path = "../src/clock.rs"]
mod clock;
#[path = "../src/config/mod.rs"]
mod config;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use noroshi_checks::{Checks, Deps};
use noroshi_model::{CheckId, Clock, Timestamp};
use noroshi_store::{Store, StoreConfig};

/// The checks of every host: name, our keys, Nagios' command with arguments.
const CHECKS: [(&str, &str, &str); 10] = [
    ("ping", "ping = true", "check_ping!100.0,20%!500.0,60%"),
    ("ssh", "tcp = \"22\"", "check_ssh"),
    ("http", "http = \"http://$HOSTADDRESS$/\"\ntext = \"Welcome\"", "check_http!-s Welcome"),
    ("load", "command = [\"check_load\", \"-w\", \"15,10,5\"]", "check_load!15,10,5!30,25,20"),
    ("users", "command = [\"check_users\", \"-w\", \"20\", \"-c\", \"50\"]", "check_users!20!50"),
    (
        "disk",
        "expr = \"disk_used_ratio\"\nwarning = \"> 0.8 until 0.75\"\ncritical = \"> 0.9\"",
        "check_disk!20%!10%",
    ),
    (
        "memory",
        "expr = \"100 * (1 - available_bytes / total_bytes)\"\nwarning = \"> 90\"",
        "check_mem!10!5",
    ),
    (
        "requests",
        "expr = \"sum(rate(http_requests_total{code=~'5..'}[5m])) / \
      sum(rate(http_requests_total[5m])) > 0.05\"\nfor = 3",
        "check_requests!5",
    ),
    (
        "procs",
        "command = [\"check_procs\", \"-w\", \"250\", \"-c\", \"400\"]",
        "check_procs!250!400",
    ),
    ("backup", "passive = \"26h\"", "check_backup"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["generate", folder, hosts] => {
            generate(&fs::canonicalize(folder).unwrap(), hosts.parse().unwrap());
        }
        ["reload", file] => reload(Path::new(file)),
        _ => panic!("write: generate FOLDER HOSTS, or reload FILE"),
    }
}

/// Writes the site in three ways.
fn generate(folder: &Path, hosts: usize) {
    let common = "[template.host.linux]\nalive = \"ping\"\ngroups = [\"linux\"]\n\
                  labels = { site = \"hel\" }\n\n[template.check.usual]\ninterval = \"1m\"\n\n";
    let (mut groups, mut tables) = (common.to_owned(), common.to_owned());
    for (name, keys, _) in CHECKS {
        let choice = "use = \"usual\"\ngroups = [\"linux\"]";
        writeln!(groups, "[check.{name}]\n{choice}\n{keys}\n").unwrap();
    }
    let mut objects = nagios_common();
    for i in 0..hosts {
        let address = format!("10.{}.{}.{}", i / 62_500, i / 250 % 250, i % 250 + 1);
        let host = format!("[host.h{i:05}]\nuse = \"linux\"\naddress = \"{address}\"\n\n");
        groups += &host;
        tables += &host;
        write!(objects, "define host {{\nuse linux\nhost_name h{i:05}\naddress {address}\n}}\n")
            .unwrap();
        for (name, keys, command) in CHECKS {
            write!(tables, "[host.h{i:05}.check.{name}]\nuse = \"usual\"\n{keys}\n\n").unwrap();
            write!(
                objects,
                "define service {{\nuse usual\nhost_name h{i:05}\nservice_description {name}\n\
                 check_command {command}\n}}\n"
            )
            .unwrap();
        }
    }
    fs::write(folder.join("groups.toml"), groups).unwrap();
    fs::write(folder.join("tables.toml"), tables).unwrap();
    fs::create_dir_all(folder.join("nagios")).unwrap();
    fs::write(folder.join("nagios/objects.cfg"), objects).unwrap();
    let main = format!(
        "cfg_file={0}/nagios/objects.cfg\nlog_file={0}/nagios/log\n\
         check_result_path={0}/nagios\nobject_cache_file={0}/nagios/cache\n\
         lock_file={0}/nagios/lock\ntemp_path={0}/nagios\n",
        folder.display()
    );
    fs::write(folder.join("nagios/nagios.cfg"), main).unwrap();
}

/// Returns templates, commands, contacts and the period of Nagios' objects.
fn nagios_common() -> String {
    let mut text = "define timeperiod {\ntimeperiod_name always\nalias always\n\
         monday 00:00-24:00\n}\ndefine contact {\ncontact_name ops\n\
         host_notification_period always\nservice_notification_period always\n\
         host_notification_commands check_ping\nservice_notification_commands check_ping\n}\n\
         define host {\nname linux\nregister 0\ncheck_command check_ping!1!2\n\
         max_check_attempts 3\ncheck_period always\nnotification_period always\ncontacts ops\n}\n\
         define service {\nname usual\nregister 0\ncheck_interval 1\nmax_check_attempts 3\n\
         check_period always\nnotification_period always\ncontacts ops\n}\n"
        .to_owned();
    for (_, _, command) in CHECKS {
        let name = command.split('!').next().unwrap();
        let line = "/usr/lib/nagios/plugins/check_dummy 0 $ARG1$ $ARG2$";
        write!(text, "define command {{\ncommand_name {name}\ncommand_line {line}\n}}\n").unwrap();
    }
    text
}

/// What applying took, in milliseconds of the processor: other programs do not count.
struct Took {
    read: f64,
    site: f64,
    apply: f64,
}

/// Applies a file, changes one line of it, applies it again.
fn reload(file: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(clock::SystemClock);
    let config = StoreConfig::default();
    let (store, _) = Store::open(folder.path(), config, Arc::clone(&clock)).unwrap();
    let deps = Deps { clock, records: store.clone(), series: store.clone(), sink: store.clone() };
    let checks = Checks::new(deps).unwrap();
    let first = apply(&checks, file);
    let before = planned(&checks);
    assert_spread(&before);
    // One host has another interval: its table is at the end of the file.
    let changed = folder.path().join("changed.toml");
    let mut text = fs::read_to_string(file).unwrap();
    text += "\n[host.h99999]\nuse = \"linux\"\n";
    fs::write(&changed, text).unwrap();
    let second = apply(&checks, &changed);
    let after = planned(&checks);
    for (id, due) in &before {
        let moved = after[id].as_millis() - due.as_millis();
        // Both were put on the wall clock, on a machine that may be busy.
        assert!(moved.abs() <= 500, "the phase of {id} moved by {moved} ms");
    }
    println!("checks and hosts: {}, after the change {}", before.len(), after.len());
    for (what, took) in [("start", first), ("reload", second)] {
        let Took { read, site, apply } = took;
        let all = read + site + apply;
        println!("{what}: read {read:.0} ms, site {site:.0} ms, apply {apply:.0} ms: {all:.0} ms");
    }
}

fn apply(checks: &Arc<Checks>, file: &Path) -> Took {
    let begun = processor_ms();
    let config = config::load_with(Some(file), None).unwrap();
    let read = processor_ms() - begun;
    let begun = processor_ms();
    let site = config.site(&[], false);
    // As the server does for what alerts remember.
    let ids: HashSet<CheckId> = site.checks.checks.iter().map(|check| check.id.clone()).collect();
    let site_took = processor_ms() - begun;
    let begun = processor_ms();
    checks.apply(site.checks);
    let applied = processor_ms() - begun;
    drop((ids, config));
    Took { read, site: site_took, apply: applied }
}

/// Returns when each check and host runs next.
fn planned(checks: &Checks) -> BTreeMap<String, Timestamp> {
    let mut planned = BTreeMap::new();
    for host in checks.hosts() {
        planned.extend(host.state.next_check.map(|due| (host.name.clone(), due)));
        for check in checks.checks_of(&host.name) {
            let id = format!("{}/{}", host.name, check.check.unwrap_or_default());
            planned.extend(check.next_check.map(|due| (id, due)));
        }
    }
    planned
}

/// Asserts that no second has more than twice its share of the runs of the first minute.
fn assert_spread(planned: &BTreeMap<String, Timestamp>) {
    let start = planned.values().min().unwrap().as_millis();
    let mut seconds: HashMap<i64, usize> = HashMap::new();
    for due in planned.values().filter(|due| due.as_millis() < start + 60_000) {
        *seconds.entry((due.as_millis() - start) / 1000).or_default() += 1;
    }
    let (most, all) = (seconds.values().max().unwrap(), seconds.values().sum::<usize>());
    println!("runs in a second: {} on average, {most} at most", all / seconds.len());
    assert!(*most < 2 * all / seconds.len() + 10, "checks are bunched");
}

/// Returns how long this thread has run, in milliseconds (`schedstat`, first field).
fn processor_ms() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
}
