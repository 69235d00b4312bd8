//! Whole configurations: what is read, and what each mistake is told.

mod alike;
mod doubles;
mod inherit;
mod programs;

use std::fs;

use noroshi_checks::{Judge, Probe};
use noroshi_model::CheckId;

use super::site::Site;
use super::*;

/// Returns the faults of a configuration without the path of its file.
fn faults(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noroshi.toml");
    fs::write(&path, text).unwrap();
    let folder_name = format!("{}/", folder.path().display());
    let faults = load(Some(&path)).err().unwrap_or_default();
    faults.iter().map(|fault| fault.to_string().replace(&folder_name, "")).collect()
}

fn loaded(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noroshi.toml");
    fs::write(&path, text).unwrap();
    load(Some(&path)).unwrap()
}

#[test]
fn the_history_has_bounds() {
    let history = |text: &str| loaded(text).site(&[], true).checks.history;
    assert_eq!(history("").events_max, 100_000);
    let said = history("[history]\nevents = 500000\nage = \"30d\"\n");
    assert_eq!((said.events_max, said.age_max.as_secs()), (500_000, 30 * 86_400));
    let no = "noroshi.toml:2:10: 10 events cannot be kept; write a number from 1000 to 10000000";
    assert_eq!(faults("[history]\nevents = 10\n"), [no]);
}

#[test]
fn the_built_in_configuration_watches_this_machine() {
    let site = load(None).unwrap().site(&[], true);
    let names: Vec<&str> = site.checks.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["localhost"]);
    let has = |check: &str| {
        let id = CheckId::check("localhost", check);
        site.checks.checks.iter().any(|spec| spec.id == id)
    };
    for check in ["file systems", "memory", "load", "clock", "noroshi store", "configuration"] {
        assert!(has(check), "localhost has no check {check}");
    }
}

#[test]
fn a_built_in_check_may_get_other_thresholds_alone() {
    let text = "[host.web1.check.memory]\ncritical = \"> 98 until 95\"\nattempts = 5\n\
                [host.localhost.check.clock]\nwarning = \"> 9\"\n\
                [host.web1.check.load]\nnotify = false\n";
    let site = loaded(text).site(&[], true);
    let find = |id: &str| {
        let id = CheckId::parse(id);
        site.checks.checks.iter().find(|check| check.id == id).unwrap()
    };
    let thresholds = |id: &str| {
        let Probe::Expression(probe) = &find(id).probe else { panic!("no expression") };
        let Judge::Thresholds { warning, critical } = &probe.judge else { panic!("no thresholds") };
        let number = |t: &noroshi_checks::Threshold| (t.value, t.leave);
        (warning.as_ref().map(number), critical.as_ref().map(number))
    };
    assert_eq!(thresholds("web1/memory"), (Some((90.0, Some(87.0))), Some((98.0, Some(95.0)))));
    let memory = find("web1/memory");
    assert_eq!((memory.timing.attempts_max, memory.timing.interval.as_secs()), (5, 30));
    assert!(memory.notes.contains("kill a process"));
    assert_eq!(thresholds("localhost/clock"), (Some((9.0, None)), None));
    let Probe::Expression(clock) = &find("localhost/clock").probe else { panic!("no expression") };
    assert!(clock.expr.contains("node_boot_time_seconds"), "{}", clock.expr);
    assert_eq!(find("web1/load").is_quiet, Some(true));
}

#[test]
fn a_built_in_check_may_be_changed_for_a_group_by_a_template_and_by_a_rule() {
    let text = "[check.memory]\ngroups = [\"web\"]\nuse = \"calm\"\ncritical = \"> 98\"\n\
                [template.check.calm]\nattempts = 7\n\
                [template.host.big.check.load]\nwarning = \"> 9\"\n\
                [host.web1]\ngroups = [\"web\"]\nuse = \"big\"\n\
                [host.web2]\ngroups = [\"web\"]\n[host.web2.check.memory]\nnotify = false\n\
                [host.silent]\ngroups = [\"web\"]\n\
                [[agents.rule]]\nhosts = [\"db*\"]\ngroups = [\"web\"]\n\
                [agents.rule.check.clock]\nwarning = \"> 5\"\n";
    let agent = |name: &str| RegisteredHost { name: name.to_owned(), ..RegisteredHost::default() };
    let site = loaded(text).site(&[agent("web1"), agent("web2"), agent("db1")], true);
    let line = |id: &str| {
        let id = CheckId::parse(id);
        let check = site.checks.checks.iter().find(|check| check.id == id)?;
        let Probe::Expression(probe) = &check.probe else { return None };
        let Judge::Thresholds { warning, critical } = &probe.judge else { return None };
        assert!(probe.expr.contains(&format!("{{instance={:?}", &*id.host)), "{}", probe.expr);
        let at = |limit: &Option<noroshi_checks::Threshold>| limit.map(|limit| limit.value);
        Some((at(warning), at(critical), check.timing.attempts_max, check.is_quiet))
    };
    assert_eq!(line("web1/memory"), Some((Some(90.0), Some(98.0), 7, None)));
    assert_eq!(line("web2/memory"), Some((Some(90.0), Some(98.0), 7, Some(true))), "laid under");
    assert_eq!(line("db1/memory"), Some((Some(90.0), Some(98.0), 7, None)), "by rule and group");
    assert_eq!(line("web1/load"), Some((Some(9.0), None, 5, None)));
    assert_eq!(line("db1/clock"), Some((Some(5.0), Some(30.0), 3, None)));
    assert_eq!(line("silent/memory"), None, "without an agent there is nothing to change");
    // The server's own machine has another clock; what the group does not say stays as it is there.
    let own = loaded("[check.clock]\nhosts = [\"*\"]\nattempts = 4\n").site(&[], true);
    let clock =
        own.checks.checks.iter().find(|check| check.id == CheckId::check("localhost", "clock"));
    let clock = clock.unwrap();
    let Probe::Expression(probe) = &clock.probe else { panic!("no expression") };
    assert!(
        probe.expr.contains("node_boot_time_seconds{instance=\"localhost\"}"),
        "{}",
        probe.expr
    );
    assert_eq!(clock.timing.attempts_max, 4);
}

/// Asserts that each text has one fault, which begins as expected.
fn assert_told(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let faults = faults(text);
        assert!(
            faults.len() == 1 && faults[0].starts_with(expected),
            "{text}\nexpected {expected}\nbut told  {faults:#?}"
        );
    }
}

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_do() {
    let cases = [
        (
            "[[store.retention]]\nname = \"a\"\narchives = [\"10s for 2d\"]\nheartbeat = \"9s\"\n",
            "noroshi.toml:2:8: retention class \"a\": the heartbeat must be at least as long as the step",
        ),
        (
            "[[store.retention]]\nname = \"a\"\narchives = [\"10s for 2d\"]\nxff = 1.5\n",
            "noroshi.toml:2:8: retention class \"a\": xff must be from 0 to 1",
        ),
        (
            "[server]\nlissten = \"127.0.0.1:1\"\n",
            "noroshi.toml:2:1: unknown field `lissten`; did you mean `listen`?",
        ),
        ("[host.a.check.c]\nexpr = \"rate(up[5m)\"\n", "noroshi.toml:2:19: "),
        (
            "[host.a]\nparents = [\"swich1\"]\n[host.switch1]\n",
            "noroshi.toml:2:12: there is no host `swich1`; did you mean `switch1`?",
        ),
        (
            "[host.a.check.c]\nexpr = \"up\"\ninterval = \"5\"\n",
            "noroshi.toml:3:12: invalid value: string \"5\", expected a duration with its unit, \
             such as \"10s\", \"5m\" or \"1h30m\"; correct the value",
        ),
        (
            "[host.a.check.c]\n",
            "noroshi.toml:1:15: check `c` does not say how to look; give one of command, expr, \
             http, tcp, ping, passive, nrpe, dns,",
        ),
        (
            "[host.a.check.c]\ncommand = \"check_load -w 5\"\n",
            "noroshi.toml:2:11: a command is a list of program and arguments; there is no shell; \
             write [\"check_http\", \"-H\", \"$HOSTADDRESS$\"]; for a shell [\"sh\", \"-c\", \
             \"...\"]",
        ),
        (
            "[contact.ops]\nemail = \"ops\"\n",
            "noroshi.toml:1:10: contact \"ops\" has \"ops\", which is no mail address",
        ),
        ("[host.a]\ncontacts = [\"ops\"]\n", "noroshi.toml:2:13: there is no contact `ops`; "),
        ("[smtp]\n", "noroshi.toml:1:1: missing field `server`; add it to this table"),
        ("[host\n", "noroshi.toml:1:6: "),
        (
            "[store]\ndisk_max = \"much\"\n",
            "noroshi.toml:2:12: \"much\" is no size; write it with its unit, such as \"20 GiB\"",
        ),
        (
            "[host.a.check.c]\nexpr = \"up\"\nwindow = 3\nfails = 5\n",
            "noroshi.toml:3:10: a window is at most 64 results, and at least `fails`; ",
        ),
        (
            "[host.a.check.c]\nexpr = \"up\"\nfails = 3\n",
            "noroshi.toml:3:9: `window` and `fails` belong together; write window = 5, fails = 3",
        ),
        (
            "[host.a.check.c]\nexpr = \"up\"\nfor = 3\n",
            "noroshi.toml:3:7: `for` is how long a problem must last, such as \"5m\"; 3 results in \
             a row are attempts = 3",
        ),
        (
            "[host.a.check.c]\nexpr = \"up\"\nfor = \"long\"\n",
            "noroshi.toml:3:7: invalid value: string \"long\", expected how long a problem must \
             last, such as \"5m\"; correct the value",
        ),
        (
            "[host.a.check.c]\nexpr = \"up\"\nfor = \"5m\"\nwindow = 5\nfails = 3\n",
            "noroshi.toml:3:7: `fails` takes the place of `attempts` and `for`; remove one of them",
        ),
    ];
    assert_told(&cases);
}

#[test]
fn mistakes_in_what_needs_what_are_told_too() {
    let cases = [
        (
            "[host.a]\nparents = [\"b\"]\n[host.b]\nparents = [\"a\"]\n",
            "noroshi.toml:4:12: a circle of dependencies: a needs b needs a; take one of them out",
        ),
        (
            "[host.a]\n[host.a.check.c]\nexpr = \"up\"\ndepends = [\"a/c\"]\n",
            "noroshi.toml:4:12: a circle of dependencies: a/c needs a/c; ",
        ),
        (
            "[host.a]\ndepends = [\"b/c\"]\n[host.b.check.c]\nexpr = \"up\"\ndepends = [\"a\"]\n",
            "noroshi.toml:5:12: a circle of dependencies: a needs b/c needs a; ",
        ),
        (
            "[host.a]\ndepends = [\"b/mysql\"]\n[host.b.check.mysqld]\nexpr = \"up\"\n",
            "noroshi.toml:2:12: there is no check `b/mysql`; did you mean `mysqld`?",
        ),
        (
            "[host.a]\n[host.b]\n[check.c]\nhosts = [\"*\"]\nexpr = \"up\"\ndepends = [\"x\"]\n",
            "noroshi.toml:6:12: there is no host `x`; write a host of the configuration",
        ),
        ("[check.c]\nexpr = \"up\"\n", "noroshi.toml:1:8: check `c` is for no host; "),
    ];
    assert_told(&cases);
}

#[test]
fn mistakes_in_periods_templates_and_choices_are_told_too() {
    let cases = [
        (
            "[host.a.check.c]\nping = true\nperiod = \"nihgts\"\n\
             [period.nights]\nrules = [\"monday 22:00-24:00\"]\n",
            "noroshi.toml:3:10: there is no period `nihgts`; did you mean `nights`?",
        ),
        (
            "[defaults]\nperiod = \"p\"\n",
            "noroshi.toml:2:10: there is no period `p`; add [period.p]",
        ),
        (
            "[period.p]\nrules = [\"monday 9:00-17:00\", \"mondey 9:00-17:00\"]\n",
            "noroshi.toml:2:31: \"mondey 9:00-17:00\" is no rule of a time period; write days and times",
        ),
        (
            "[period.p]\nzone = \"Europe/Berlni\"\nrules = [\"monday 09:00-17:00\"]\n",
            "noroshi.toml:2:8: there is no time zone \"Europe/Berlni\"; write an IANA name",
        ),
        (
            "[period.p]\nrules = [\"monday 09:00-17:00\"]\nexclude = [\"p\"]\n",
            "noroshi.toml:3:12: period `p` excludes itself; ",
        ),
        ("[period.p]\n", "noroshi.toml:1:9: period `p` does not say when it holds; "),
        (
            "[host.a]\nuse = [\"linxu\"]\n[template.host.linux]\n",
            "noroshi.toml:2:8: there is no template `linxu` for a host; did you mean `linux`?",
        ),
        (
            "[template.check.a]\nuse = [\"b\"]\n[template.check.b]\nuse = \"a\"\n",
            "noroshi.toml:4:7: a circle of templates: a uses b uses a; take one of them out",
        ),
        (
            "[template.check.a]\nintervall = \"1m\"\n[host.x.check.c]\nping = true\nuse = \"a\"\n\
             [host.y.check.c]\nping = true\nuse = \"a\"\n",
            "noroshi.toml:2:1: unknown field `intervall`; did you mean `interval`?",
        ),
        ("[template.check.a]\nexpr = \"rate(up[5m)\"\n", "noroshi.toml:2:19: "),
        ("[template.contact.a]\n", "noroshi.toml:1:11: there are no templates of `contact`; "),
        ("host = 1\n", "noroshi.toml:1:8: `host` is no table of tables; write [host.NAME]"),
        (
            "[check.c]\nping = true\nmatch = \"web\"\n",
            "noroshi.toml:3:9: \"web\" chooses no hosts: hosts have no metric; write matchers",
        ),
        (
            "[host.a.check.c]\nping = true\nmatch = '{a=\"b\"}'\n",
            "noroshi.toml:3:9: a check of one host does not choose hosts; ",
        ),
        (
            "[host.a]\nflapping = { low = 40 }\n",
            "noroshi.toml:2:12: flapping cannot end at 40 % and begin at 30 %; ",
        ),
    ];
    assert_told(&cases);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "[server]\nlisten = \"x\"\n[host.a]\nparents = [\"nope\"]\n[contact.b]\n";
    assert_eq!(faults(text).len(), 3, "{:#?}", faults(text));
}

#[test]
fn a_fault_that_a_table_inherits_stands_where_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), "[host.web1.check.c]\nuse = \"slow\"\n").unwrap();
    let template = "# a comment\n[template.check.slow]\nping = true\ncontacts = [\"nobody\"]\n";
    fs::write(folder.path().join("b.toml"), template).unwrap();
    let faults = load(Some(folder.path())).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].to_string().contains("b.toml:4:13: there is no contact `nobody`"));
}

#[test]
fn a_folder_is_read_in_the_order_of_its_names_and_doubles_are_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), "[host.web1]\n").unwrap();
    fs::write(folder.path().join("b.toml"), "[host.web2]\nparents = [\"web1\"]\n").unwrap();
    fs::write(folder.path().join("b.toml.bak"), "not read").unwrap();
    assert_eq!(load(Some(folder.path())).unwrap().hosts.len(), 2);
    fs::write(folder.path().join("c.toml"), "[host.web1]\n").unwrap();
    let faults = load(Some(folder.path())).unwrap_err();
    assert!(faults[0].to_string().contains("c.toml:1:7: host `web1` is already in another file"));
}

#[test]
fn a_comparison_and_thresholds_are_two_ways_to_judge() {
    let config = loaded(
        "[host.a.check.c]\nexpr = \"x > 5\"\nstatus = \"warning\"\nattempts = 2\n\
         [host.a.check.t]\nexpr = \"x\"\nwarning = \"> 5 until 4\"\ninterval = \"10s\"\n",
    );
    let site = config.site(&[], true);
    let find = |name: &str| {
        let id = CheckId::check("a", name);
        site.checks.checks.iter().find(|spec| spec.id == id).unwrap()
    };
    let Probe::Expression(comparison) = &find("c").probe else { panic!("no expression") };
    assert!(matches!(comparison.judge, Judge::Firing { .. }));
    assert_eq!(comparison.expr, "x{instance=\"a\"} > 5");
    assert_eq!(find("c").timing.attempts_max, 2);
    let Probe::Expression(thresholds) = &find("t").probe else { panic!("no expression") };
    let Judge::Thresholds { warning, critical } = thresholds.judge else { panic!("no threshold") };
    assert_eq!((warning.unwrap().leave, critical), (Some(4.0), None));
    // What is left out follows the interval: a retry is never slower, a run never longer.
    let timing = &find("t").timing;
    assert!(timing.retry_interval <= timing.interval && timing.timeout <= timing.interval);
}

#[test]
fn who_says_when_a_problem_is_hard_takes_nothing_of_it_from_elsewhere() {
    let config = loaded(
        "[defaults]\nattempts = 4\n\
         [template.check.slow]\nfor = \"10m\"\nattempts = 5\n\
         [host.a]\ngroups = [\"web\"]\nalive = { tcp = \"22\", for = \"2m\" }\n\
         [host.a.check.defaults]\nexpr = \"x\"\n\
         [host.a.check.lasting]\nexpr = \"x\"\nfor = \"5m\"\n\
         [host.a.check.both]\nexpr = \"x\"\nfor = \"5m\"\nattempts = 2\n\
         [host.a.check.template]\nexpr = \"x\"\nuse = \"slow\"\n\
         [host.a.check.own]\nexpr = \"x\"\nuse = \"slow\"\nattempts = 2\n\
         [host.a.check.window]\nexpr = \"x\"\nuse = \"slow\"\nwindow = 5\nfails = 3\n\
         [host.a.check.memory]\nwarning = \"> 80\"\nfor = \"3m\"\n\
         [check.group]\ngroups = [\"web\"]\nexpr = \"x\"\nfor = \"1h\"\n\
         [check.pings]\nhosts = [\"*\"]\nping = true\nfor = \"30s\"\n",
    );
    let site = config.site(&[], true);
    let seconds = |timing: &noroshi_checks::Timing| timing.lasting.map(|lasting| lasting.as_secs());
    for (name, want) in [
        ("defaults", (4, None)),
        ("lasting", (1, Some(300))),
        ("both", (2, Some(300))),
        ("template", (5, Some(600))),
        ("own", (2, None)),
        ("window", (3, None)),
        ("memory", (1, Some(180))),
        ("group", (1, Some(3600))),
        ("pings", (1, Some(30))),
    ] {
        let id = CheckId::check("a", name);
        let timing = &site.checks.checks.iter().find(|spec| spec.id == id).unwrap().timing;
        assert_eq!((timing.attempts_max, seconds(timing)), want, "{name}");
    }
    let host = &site.checks.hosts.iter().find(|host| host.name == "a").unwrap().timing;
    assert_eq!((host.attempts_max, seconds(host)), (1, Some(120)));
    let config = loaded("[defaults]\nfor = \"5m\"\n[host.a.check.c]\nexpr = \"x\"\n");
    let site = config.site(&[], true);
    let of_host = |spec: &&noroshi_checks::CheckSpec| &*spec.id.host == "a";
    assert_eq!(seconds(&site.checks.checks.iter().find(of_host).unwrap().timing), Some(300));
}

#[test]
fn a_check_for_a_group_is_each_hosts_own() {
    let config = loaded(
        "[host.a]\ngroups = [\"web\"]\n[host.b]\n[check.c]\ngroups = [\"web\"]\nexpr = \"x > 1\"\n",
    );
    let site = config.site(&[], true);
    let with: Vec<String> = site
        .checks
        .checks
        .iter()
        .filter(|spec| spec.id.check.as_deref() == Some("c"))
        .map(|spec| match &spec.probe {
            Probe::Expression(probe) => format!("{}: {}", spec.id, probe.expr),
            _ => String::new(),
        })
        .collect();
    assert_eq!(with, ["a/c: x{instance=\"a\"} > 1"]);
}

#[test]
fn a_host_that_registered_itself_gets_checks_and_its_own_take_their_place() {
    let registered = RegisteredHost {
        name: "web2".to_owned(),
        address: "192.0.2.7".to_owned(),
        ..RegisteredHost::default()
    };
    let site = loaded("").site(std::slice::from_ref(&registered), true);
    let host = site.checks.hosts.iter().find(|host| host.name == "web2").unwrap();
    assert_eq!(host.address, "192.0.2.7");
    assert!(matches!(host.probe, Some(Probe::Expression(_))), "its agent tells that it is up");
    let count = |site: &Site, name: &str| {
        let id = CheckId::check("web2", name);
        site.checks.checks.iter().filter(|spec| spec.id == id).count()
    };
    assert_eq!(count(&site, "memory"), 1);

    let own =
        "[host.web2]\naddress = \"web2.example\"\n[host.web2.check.memory]\nexpr = \"x > 1\"\n";
    let site = loaded(own).site(&[registered], true);
    let host = site.checks.hosts.iter().find(|host| host.name == "web2").unwrap();
    assert_eq!(host.address, "web2.example");
    assert_eq!(count(&site, "memory"), 1);
}

#[test]
fn what_a_check_for_many_hosts_needs_may_be_on_each_of_them() {
    let config = loaded(
        "[host.db.check.mysql]\nexpr = \"x > 1\"\n[host.a]\ngroups = [\"web\"]\ndepends = [\"db\"]\n\
         [check.php]\ngroups = [\"web\"]\nexpr = \"y > 1\"\n\
         depends = [\"$HOSTNAME$/memory\", \"db/mysql\"]\n",
    );
    let site = config.site(&[], true);
    let php = site.checks.checks.iter().find(|spec| spec.id == CheckId::check("a", "php")).unwrap();
    assert_eq!(php.depends, [CheckId::check("a", "memory"), CheckId::check("db", "mysql")]);
    let host = site.checks.hosts.iter().find(|host| host.name == "a").unwrap();
    assert_eq!(host.depends, [CheckId::host("db")]);
}

#[test]
fn every_example_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = files_of(&folder).unwrap();
    let names: Vec<&str> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    assert_eq!(names, ["site.toml", "small.toml", "ten-hosts.toml"]);
    for file in &files {
        let config = load(Some(file)).unwrap_or_else(|faults| panic!("{faults:#?}"));
        assert!(config.unreached().is_empty(), "{}", file.display());
    }
    let site = load(Some(&folder.join("site.toml"))).unwrap().site(&[], true);
    let backups = site.checks.checks.iter().filter(|c| c.id.check.as_deref() == Some("backup"));
    let hosts: Vec<&str> = backups.map(|check| &*check.id.host).collect();
    assert_eq!(hosts, ["db1", "web1", "web2"]);
    let ten = load(Some(&folder.join("ten-hosts.toml"))).unwrap();
    assert_eq!(ten.hosts.len(), 10);
}
