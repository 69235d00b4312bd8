//! `noroshi import nagios` against Nagios itself: the same hosts, services, groups and contacts.
//!
//! Method: Nagios writes its expansion of a configuration (`nagios4 -vp`, the precached objects);
//! what our import wrote is read back as TOML; both are turned into the same sorted lines.
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use toml::Value;

/// Where Debian's package `nagios4-common` keeps its sample.
const DEBIAN: &str = "/etc/nagios4";

/// Runs a program that must succeed, and returns what it printed.
fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("cannot start {command:?}: {error}; tests/run installs what is needed")
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{:?}", output.stderr);
    text
}

/// Makes a folder in which Nagios may write, even as its own user.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

/// Writes a main file whose state stays in `folder`, and returns its path.
fn main_file(folder: &Path, body: &str) -> PathBuf {
    let here = folder.display();
    let path = folder.join("nagios.cfg");
    let own = format!(
        "precached_object_file={here}/objects.precache\nobject_cache_file={here}/objects.cache\n\
         log_file={here}/nagios.log\nlock_file={here}/lock\ncheck_result_path={here}\n\
         temp_path={here}\ntemp_file={here}/temp\nnagios_user=nagios\nnagios_group=nagios\n"
    );
    fs::write(&path, format!("{body}\n{own}")).unwrap();
    path
}

/// Returns Nagios' objects by kind: each a map of its directives.
fn objects_of_nagios(main: &Path) -> Vec<(String, BTreeMap<String, String>)> {
    output_of(Command::new("nagios4").arg("-vp").arg(main));
    let text = fs::read_to_string(main.with_file_name("objects.precache")).unwrap();
    let mut objects = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(kind) = line.strip_prefix("define ") {
            let kind = kind.trim_end_matches('{').trim().to_owned();
            objects.push((kind, BTreeMap::new()));
        } else if let (Some((name, value)), Some((_, object))) =
            (line.split_once('\t'), objects.last_mut())
        {
            object.insert(name.to_owned(), value.to_owned());
        }
    }
    objects
}

/// Returns the names of a list.
fn names(list: Option<&String>) -> BTreeSet<String> {
    let names = list.map(String::as_str).unwrap_or_default().split(',');
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// Tells in sorted lines what Nagios has.
fn told_by_nagios(main: &Path) -> BTreeSet<String> {
    let objects = objects_of_nagios(main);
    let of = |kind: &'static str| objects.iter().filter(move |(k, _)| k == kind).map(|(_, o)| o);
    let groups: BTreeMap<&String, BTreeSet<String>> = of("contactgroup")
        .map(|group| (&group["contactgroup_name"], names(group.get("members"))))
        .collect();
    let contacts = |object: &BTreeMap<String, String>| {
        let mut all = names(object.get("contacts"));
        for group in names(object.get("contact_groups")) {
            all.extend(groups[&group].iter().cloned());
        }
        joined(&all)
    };
    let mut lines = BTreeSet::new();
    for host in of("host") {
        let name = &host["host_name"];
        let parents = joined(&names(host.get("parents")));
        lines.insert(format!("host {name} parents {parents} contacts {}", contacts(host)));
        let minutes: f64 = host["check_interval"].parse().unwrap();
        lines.insert(format!("host {name} every {} s", minutes * 60.0));
        for (variable, value) in host.iter().filter(|(key, _)| key.starts_with('_')) {
            lines.insert(format!("host {name} {variable}={value}"));
        }
    }
    for group in of("hostgroup") {
        for member in names(group.get("members")) {
            lines.insert(format!("group {} has {member}", group["hostgroup_name"]));
        }
    }
    for service in of("service") {
        let name = format!("{};{}", service["host_name"], service["service_description"]);
        let (attempts, contacts) = (&service["max_check_attempts"], contacts(service));
        lines.insert(format!("service {name} attempts {attempts} contacts {contacts}"));
    }
    for contact in of("contact") {
        lines.insert(format!("contact {} {}", contact["contact_name"], contact["email"]));
    }
    lines
}

/// Reads a list of texts, sorted and joined.
fn list(table: &Value, name: &str) -> String {
    let texts = table.get(name).and_then(Value::as_array).into_iter().flatten();
    joined(&texts.map(|text| text.as_str().unwrap().to_owned()).collect())
}

/// Reads a duration that is written in minutes or hours, as seconds.
fn seconds(text: &str) -> f64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let size = BTreeMap::from([("s", 1.0), ("m", 60.0), ("h", 3600.0)])[unit];
    number.parse::<f64>().unwrap() * size
}

/// Tells in sorted lines what the files of a folder have. Tables are read as they stand: a check
/// without `contacts` has those of its host.
fn told_by_noroshi(folder: &Path) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let file: Value = toml::from_str(&text).unwrap();
        let tables = |name: &str| file.get(name).and_then(Value::as_table).cloned();
        for (name, contact) in tables("contact").unwrap_or_default() {
            lines.insert(format!("contact {name} {}", list(&contact, "email")));
        }
        for (name, host) in tables("host").unwrap_or_default() {
            let own = list(&host, "contacts");
            lines.insert(format!("host {name} parents {} contacts {own}", list(&host, "parents")));
            let interval = seconds(file["defaults"]["interval"].as_str().unwrap());
            lines.insert(format!("host {name} every {interval} s"));
            let empty = toml::Table::new();
            let table = |key: &str| host.get(key).and_then(Value::as_table).unwrap_or(&empty);
            for (variable, value) in table("variables") {
                let value = value.as_str().unwrap();
                lines.insert(format!("host {name} _{variable}={value}"));
            }
            for group in list(&host, "groups").split(',').filter(|group| !group.is_empty()) {
                lines.insert(format!("group {group} has {name}"));
            }
            for (check, table) in table("check") {
                let attempts = table["attempts"].as_integer().unwrap();
                let contacts = match table.get("contacts") {
                    Some(_) => list(table, "contacts"),
                    None => own.clone(),
                };
                let line =
                    format!("service {name};{check} attempts {attempts} contacts {contacts}");
                lines.insert(line);
            }
        }
    }
    lines
}

/// Imports, lets our own reader check the result, and returns what was printed and where it is.
fn import(main: &Path) -> (String, PathBuf) {
    let out = main.with_file_name("imported");
    let noroshi = env!("CARGO_BIN_EXE_noroshi");
    let mut command = Command::new(noroshi);
    let printed = output_of(command.args(["import", "nagios"]).arg(main).arg("--out").arg(&out));
    output_of(Command::new(noroshi).arg("check-config").arg("--config").arg(&out));
    (printed, out)
}

/// Returns Debian's main file with its state in `folder`, and with all files of samples.
fn debian(folder: &Path) -> PathBuf {
    let text = fs::read_to_string(Path::new(DEBIAN).join("nagios.cfg")).unwrap_or_else(|error| {
        panic!("cannot read {DEBIAN}/nagios.cfg: {error}; install nagios4-common")
    });
    let states = ["precached_object_file", "object_cache_file", "log_file", "lock_file"];
    let states = [&states[..], &["check_result_path", "temp_path", "temp_file"]].concat();
    let is_kept = |line: &&str| !states.iter().any(|name| line.starts_with(*name));
    let mut body = text.lines().filter(is_kept).collect::<Vec<_>>().join("\n");
    for sample in ["printer", "switch", "windows"] {
        body += &format!("\ncfg_file={DEBIAN}/objects/{sample}.cfg");
    }
    main_file(folder, &body)
}

#[test]
fn debians_samples_expand_as_in_nagios() {
    let folder = folder();
    let main = debian(folder.path());
    let (printed, out) = import(&main);
    let expected = told_by_nagios(&main);
    assert!(expected.len() > 30, "the sample has 4 hosts and 21 services: {expected:#?}");
    assert_eq!(told_by_noroshi(&out), expected, "{printed}");
    let workhours = "templates.cfg:76: notification_period workhours";
    assert!(printed.contains(workhours), "{printed}");
    assert!(printed.contains("carried over: 4 hosts, "), "{printed}");
}

#[test]
fn traps_expand_as_in_nagios() {
    for name in ["lists", "templates", "patterns"] {
        let folder = folder();
        let traps = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nagios");
        let objects = folder.path().join("objects");
        fs::create_dir_all(objects.join("deep/er")).unwrap();
        fs::copy(traps.join(format!("{name}.cfg")), objects.join("deep/er/traps.cfg")).unwrap();
        fs::write(objects.join("not.txt"), "this is no definition").unwrap();
        let regexps = u8::from(name == "patterns");
        let body = format!(
            "cfg_dir={}\nuse_regexp_matching={regexps}\n\
             illegal_object_name_chars=`~!$%^&*|'\"<>?,()=",
            objects.display()
        );
        let main = main_file(folder.path(), &body);
        let (printed, out) = import(&main);
        // Whom nobody is told of in Nagios has no `contacts` here: the report says so.
        let silent = |line: &String| line.starts_with("service") && line.ends_with("contacts ");
        let expected = told_by_nagios(&main);
        let (nobody, expected): (BTreeSet<_>, BTreeSet<_>) = expected.into_iter().partition(silent);
        let mut found = told_by_noroshi(&out);
        for line in &nobody {
            let before = found.len();
            found.retain(|found| !found.starts_with(line));
            assert_eq!(found.len() + 1, before, "{name}: {line}");
            assert!(printed.contains("nobody is told in Nagios"), "{printed}");
        }
        assert_eq!(found, expected, "{name}: {printed}");
    }
}

/// Goal: every form of a day reaches our configuration, which loads, and each object has its period.
#[test]
fn time_periods_and_who_runs_in_them_are_those_of_nagios() {
    let folder = folder();
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nagios/periods.cfg");
    let main = main_file(
        folder.path(),
        &format!("enable_flap_detection=1\ncfg_file={}", objects.display()),
    );
    let (printed, out) = import(&main);
    let read = |file: &str| -> toml::Table {
        toml::from_str(&fs::read_to_string(out.join(file)).unwrap()).unwrap()
    };
    let site = read("site.toml");
    let periods = site["period"].as_table().unwrap();
    let names: Vec<&str> = periods.keys().map(String::as_str).collect();
    assert_eq!(names, ["forms", "holidays", "never", "work"], "`always` needs none: {printed}");
    for (_, nagios) in objects_of_nagios(&main).iter().filter(|(kind, _)| kind == "timeperiod") {
        let Some(ours) = periods.get(&nagios["timeperiod_name"]) else { continue };
        let rules: BTreeSet<String> = ours["rules"]
            .as_array()
            .unwrap()
            .iter()
            // Nagios writes the month of the end again.
            .map(|rule| rule.as_str().unwrap().replace("july 10 - 15", "july 10 - july 15"))
            .collect();
        let others = ["timeperiod_name", "alias", "exclude"];
        let expected = nagios.iter().filter(|(name, _)| !others.contains(&name.as_str()));
        let expected: BTreeSet<String> =
            expected.map(|(days, times)| format!("{days} {times}")).collect();
        assert_eq!(rules, expected, "{}", nagios["timeperiod_name"]);
    }
    assert_eq!(periods["forms"]["exclude"][0].as_str(), Some("holidays"));
    let host = &read("hosts-1.toml")["host"]["a"];
    assert_eq!((host["period"].as_str(), host["flapping"].as_bool()), (Some("work"), Some(false)));
    let checks = &host["check"];
    assert_eq!(checks["one"]["period"].as_str(), Some("forms"));
    assert_eq!(checks["one"]["flapping"]["low"].as_float(), Some(5.0));
    assert_eq!(checks["one"]["flapping"]["high"].as_float(), Some(12.5));
    assert_eq!(checks["one"]["variables"]["PORT"].as_str(), Some("8080"));
    assert_eq!(checks["two"]["period"].as_str(), Some("never"));
    assert!(checks["three"].get("period").is_none());
}

/// Goal: what has no place in our configuration is said, with file and line, and the rest loads.
#[test]
fn what_cannot_be_carried_over_is_reported_with_file_and_line() {
    let folder = folder();
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nagios/reported.cfg");
    let main = main_file(folder.path(), &format!("cfg_file={}", objects.display()));
    let (printed, out) = import(&main);
    let place = objects.display();
    let expected = [
        "11: email \"5551234\" is no mail address",
        "15: contact \"ghost\" is left out",
        "20: check_interval 0",
        "22: notification_period nights",
        "28: piped: run by a shell",
        "34: piped: run by a shell, because it holds a pipe",
        "37: stalking_options o",
        "40: freshness: a stale check is unknown",
        "47: service \"nowhere\" is on no host",
        "48: there is no host \"gone\"",
        "52: hostdependency: the dependency has no criteria",
        "56: serviceescalation",
    ];
    for text in expected {
        assert!(printed.contains(&format!("{place}:{text}")), "{text}: {printed}");
    }
    let hosts: Vec<toml::Table> = ["hosts-1.toml"]
        .iter()
        .map(|file| toml::from_str(&fs::read_to_string(out.join(file)).unwrap()).unwrap())
        .collect();
    let hosts = &hosts[0]["host"];
    assert_eq!(hosts["b_c"]["parents"][0].as_str(), Some("a"));
    assert_eq!(hosts["b_c"]["variables"]["RACK"].as_str(), Some("\"r 1\""));
    let check = &hosts["a"]["check"]["one"];
    assert_eq!(check["command"][2].as_str(), Some("/bin/echo x | /bin/cat"));
    assert_eq!(check["interval"].as_str(), Some("15s"));
    assert_eq!(check["timeout"].as_str(), Some("15s"), "60 s would be over the interval");
    assert_eq!(check["volatile"].as_bool(), Some(true));
    assert_eq!(check["notes"].as_str(), Some("see a (one)"));
    let passive = &hosts["a"]["check"]["handed in"]["passive"];
    assert_eq!(passive.as_str(), Some("615s"), "the threshold and Nagios' 15 s of latency");
    // A second import does not mix with the first.
    let noroshi = env!("CARGO_BIN_EXE_noroshi");
    let again = Command::new(noroshi)
        .args(["import", "nagios"])
        .arg(&main)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert!(!again.status.success());
    let error = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(error.contains("name an empty folder"), "{error}");
}

/// Tells in sorted lines what needs what, as Nagios expands its dependencies.
fn needs_told_by_nagios(main: &Path) -> BTreeSet<String> {
    let mut needs = BTreeSet::new();
    for (kind, object) in objects_of_nagios(main) {
        let name = |host: &str, service: &str| match object.get(service) {
            Some(service) => format!("{}/{service}", object[host]),
            None => object[host].clone(),
        };
        // One that counts while its master is fine is not carried over.
        let is_opposite = object.get("notification_failure_options").is_some_and(|o| o == "o");
        if kind.ends_with("dependency") && !is_opposite {
            let dependent = name("dependent_host_name", "dependent_service_description");
            needs.insert(format!("{dependent} needs {}", name("host_name", "service_description")));
        }
    }
    needs
}

#[test]
fn what_is_said_from_outside_is_as_in_nagios() {
    let folder = folder();
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nagios/outside.cfg");
    let main = main_file(folder.path(), &format!("cfg_file={}", objects.display()));
    let (printed, out) = import(&main);
    let text = fs::read_to_string(out.join("hosts-1.toml")).unwrap();
    let hosts = toml::from_str::<toml::Table>(&text).unwrap()["host"].clone();
    let words = |value: &Value, key: &str| -> Vec<String> {
        let list = value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let mut needs = BTreeSet::new();
    for (host, table) in hosts.as_table().unwrap() {
        needs.extend(words(table, "depends").iter().map(|need| format!("{host} needs {need}")));
        for (check, table) in table["check"].as_table().into_iter().flatten() {
            let needed = words(table, "depends");
            needs.extend(needed.iter().map(|need| format!("{host}/{check} needs {need}")));
        }
    }
    assert_eq!(needs, needs_told_by_nagios(&main), "{printed}");
    assert_eq!(needs.len(), 5, "a host's, two within hosts, two of another host: {needs:?}");

    let (db1, db2, switch) = (&hosts["db1"], &hosts["db2"], &hosts["switch"]);
    let (nrpe, disk) = (&db1["check"]["nrpe"], &db1["check"]["disk"]);
    assert_eq!(nrpe["nrpe"]["command"].as_str(), Some("check_load"));
    assert_eq!(words(&nrpe["nrpe"], "arguments"), ["5"]);
    assert_eq!(nrpe["nrpe"]["tls"].as_str(), Some("anonymous"));
    assert_eq!(words(disk, "command")[3..], ["-C", "/etc/cert.pem", "-c", "check_disk"]);
    assert_eq!(nrpe["labels"]["servicegroups"].as_str(), Some("remote"));
    assert_eq!(disk["labels"]["servicegroups"].as_str(), Some("disks"));
    let handler = words(&nrpe["on_change"], "command");
    assert_eq!(handler, ["/usr/local/bin/act", "$SERVICESTATE$", "$SERVICEDESC$"]);
    assert!(disk.get("on_change").is_none());
    assert_eq!(words(&db1["on_change"], "command")[..2], ["/usr/local/bin/act", "reboot"]);
    assert_eq!(db2["notify"].as_bool(), Some(false));
    assert_eq!(switch["check"]["ports"]["notify"].as_bool(), Some(false));
    assert!(db1.get("notify").is_none() && nrpe.get("notify").is_none());
    let place = objects.display();
    for text in [
        "114: servicedependency: execution_failure_criteria: checks go on running",
        "114: servicedependency: notification_failure_criteria w,u,c: c,u count here",
        "128: servicedependency: the dependency counts while its master is fine",
    ] {
        assert!(printed.contains(&format!("{place}:{text}")), "{text}: {printed}");
    }
}
