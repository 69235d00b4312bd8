//! What tables inherit: from templates, from a check for many hosts, from defaults.

use noroshi_checks::{CheckSpec, HostSpec, Probe};

use super::*;

const TEMPLATES: &str = r#"
[template.host.base]
groups = ["all"]
contacts = ["ops"]
labels = { site = "hel", tier = "1" }
variables = { RACK = "r1" }
alive = "ping"

[template.host.base.check.ssh]
tcp = "22"
interval = "5m"

[template.host.linux]
use = "base"
groups = ["+", "linux"]
labels = { os = "linux" }

[template.check.slow]
interval = "10m"
attempts = 5
labels = { pace = "slow" }

[template.check.page]
http = "http://$HOSTADDRESS$/"
text = "Welcome"
notes = "look at the page"

[contact.ops]
email = "ops@example.net"
[contact.web]
email = "web@example.net"
"#;

/// Returns a host and its checks of a configuration on top of the templates.
fn host_of(text: &str, name: &str) -> (HostSpec, Vec<CheckSpec>) {
    let site = loaded(&format!("{TEMPLATES}{text}")).site(&[], true);
    let host = site.checks.hosts.iter().find(|host| host.name == name).unwrap().clone();
    let its = site.checks.checks.into_iter().filter(|check| &*check.id.host == name);
    (host, its.collect())
}

/// Writes a check in a line: name, way of looking, interval in seconds, attempts.
fn line(check: &CheckSpec) -> String {
    let how = match &check.probe {
        Probe::Tcp(probe) => format!("tcp {}", probe.target),
        Probe::Http(probe) => format!("http {} {:?}", probe.url, probe.text),
        Probe::Expression(probe) => probe.expr.clone(),
        other => other.kind().to_owned(),
    };
    let timing = &check.timing;
    format!("{} {how} {} {}", check.id, timing.interval.as_secs(), timing.attempts_max)
}

fn lines(checks: &[CheckSpec]) -> Vec<String> {
    checks.iter().map(line).collect()
}

#[test]
fn a_host_inherits_through_several_templates_and_its_own_keys_count() {
    let (host, checks) = host_of(
        "[host.web1]\nuse = \"linux\"\naddress = \"192.0.2.1\"\nlabels = { tier = \"2\" }\n",
        "web1",
    );
    assert_eq!(host.groups, ["all", "linux"], "`+` adds to what is inherited");
    assert_eq!(host.contacts, ["ops"]);
    let labels: Vec<String> = host.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["os=linux", "site=hel", "tier=2"], "labels are inherited one by one");
    assert_eq!(host.variables["RACK"], "r1");
    assert!(matches!(host.probe, Some(Probe::Icmp(_))));
    assert_eq!(lines(&checks), ["web1/ssh tcp 22 300 3"]);
}

#[test]
fn a_list_replaces_what_is_inherited_and_a_check_is_inherited_key_by_key() {
    let (host, checks) = host_of(
        "[host.web1]\nuse = \"linux\"\ngroups = [\"web\"]\nalive = \"none\"\n\
         [host.web1.check.ssh]\ninterval = \"30s\"\n",
        "web1",
    );
    assert_eq!((host.groups, host.probe), (vec!["web".to_owned()], None));
    assert_eq!(lines(&checks), ["web1/ssh tcp 22 30 3"]);
}

#[test]
fn of_two_templates_the_first_counts_and_another_way_to_look_takes_no_options_along() {
    let (_, checks) = host_of(
        "[host.a.check.first]\nuse = [\"page\", \"slow\"]\nattempts = 2\n\
         [host.a.check.same_way]\nuse = \"page\"\nhttp = \"http://b/\"\n\
         [host.a.check.other_way]\nuse = [\"page\", \"slow\"]\ntcp = \"80\"\nattempts = 4\n",
        "a",
    );
    assert_eq!(
        lines(&checks),
        [
            "a/first http http://$HOSTADDRESS$/ Some(\"Welcome\") 600 2",
            "a/other_way tcp 80 600 4",
            "a/same_way http http://b/ Some(\"Welcome\") 60 3",
        ]
    );
    assert_eq!(checks[1].notes, "look at the page", "notes belong to no way of looking");
    assert_eq!(checks[1].labels["pace"], "slow");
}

#[test]
fn one_host_has_other_thresholds_than_its_group() {
    let text = "[host.a]\ngroups = [\"web\"]\n[host.b]\ngroups = [\"web\"]\n\
         [host.b.check.busy]\nwarning = \"> 9\"\n\
         [check.busy]\ngroups = [\"web\"]\nexpr = \"x\"\nwarning = \"> 5\"\ninterval = \"2m\"\n";
    let warning = |name: &str| {
        let (_, checks) = host_of(text, name);
        let Probe::Expression(probe) = &checks[0].probe else { panic!("no expression") };
        let Judge::Thresholds { warning, .. } = probe.judge else { panic!("no threshold") };
        (line(&checks[0]), warning.unwrap().value)
    };
    assert_eq!(warning("a"), ("a/busy x{instance=\"a\"} 120 3".to_owned(), 5.0));
    assert_eq!(warning("b"), ("b/busy x{instance=\"b\"} 120 3".to_owned(), 9.0));
}

#[test]
fn hosts_are_chosen_by_their_labels_and_groups() {
    let text = r#"
[host.web1]
labels = { role = "web", env = "prod" }
groups = ["g1", "g2"]
[host.web2]
labels = { role = "web", env = "test" }
groups = ["g1"]
[host.db1]
labels = { role = "db" }
"#;
    let cases = [
        (r#"match = '{role="web"}'"#, "web1 web2"),
        (
            r#"match = '{role="web"}'
            except_hosts = ["web2"]"#,
            "web1",
        ),
        (r#"match = '{role=~"web|db", env!="test"}'"#, "db1 web1"),
        (r#"match = '{instance=~"web.*"}'"#, "web1 web2"),
        (r#"match = '{groups="g2"}'"#, "web1"),
        (r#"match = '{groups!="g2", role="web"}'"#, "web2"),
        (
            r#"match = '{role="db"}'
            groups = ["g2"]"#,
            "db1 web1",
        ),
        (
            r#"hosts = ["*"]
            except_hosts = ["db1", "localhost"]"#,
            "web1 web2",
        ),
    ];
    for (choice, expected) in cases {
        let site = loaded(&format!("{text}[check.c]\nping = true\n{choice}\n")).site(&[], true);
        let its = site.checks.checks.iter().filter(|c| c.id.check.as_deref() == Some("c"));
        let mut hosts: Vec<&str> = its.map(|check| &*check.id.host).collect();
        hosts.sort_unstable();
        hosts.retain(|host| *host != "localhost");
        assert_eq!(hosts.join(" "), expected, "{choice}");
    }
}

#[test]
fn periods_maintenance_flapping_and_variables_reach_the_checks() {
    let (host, checks) = host_of(
        r#"
[defaults]
period = "work"
[period.work]
zone = "Europe/Berlin"
rules = ["monday 09:00-17:00"]
exclude = ["holidays"]
[period.holidays]
rules = ["december 25 00:00-24:00"]
[host.a]
alive = { tcp = "22", interval = "20s", attempts = 2 }
period = "holidays"
maintenance = "work"
flapping = false
[host.a.check.c]
ping = true
maintenance = "holidays"
flapping = { low = 5, high = 10 }
variables = { PORT = "80" }
"#,
        "a",
    );
    assert_eq!(host.timing.period.as_deref(), Some("holidays"));
    assert_eq!((host.timing.interval.as_secs(), host.timing.attempts_max), (20, 2));
    assert!(matches!(&host.probe, Some(Probe::Tcp(probe)) if probe.target == "22"));
    assert_eq!(host.maintenance.as_deref(), Some("work"));
    assert!(!host.flapping.is_enabled);
    let check = &checks[0];
    assert_eq!(check.timing.period.as_deref(), Some("work"));
    assert_eq!(check.maintenance.as_deref(), Some("holidays"));
    assert_eq!((check.flapping.low, check.flapping.high), (5.0, 10.0));
    assert_eq!(check.variables["PORT"], "80");
}
