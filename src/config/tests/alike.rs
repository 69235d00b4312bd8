//! What is written alike is read once, and means what it means when each is read by itself.

use super::*;

const SITE: &str = r#"
[[store.retention]]
name = "all"
archives = ["10s for 2d"]
[defaults]
attempts = 4
[template.host.linux]
groups = ["linux"]
[template.host.linux.check.ssh]
tcp = "22"
interval = "5m"
[template.check.slow]
interval = "10m"
labels = { pace = "slow" }
[check.ntp]
groups = ["linux"]
ntp = true
[check.load]
groups = ["linux"]
attempts = 9

[host.a]
use = "linux"
address = "192.0.2.1"
[host.a.check.web]
use = "slow"
http = "http://$HOSTADDRESS$/"
text = "Welcome"
[host.a.check."disk /"]
expr = "used"
warning = "> 80 until 75"
graph = "free"
[host.a.check.plain]
expr = "vector(1) > 2"
[host.a.check.ssh]
attempts = 2
[host.a.check.memory]
critical = "> 99"
[host.a.check.behind]
ping = true
depends = ["$HOSTNAME$/web", "b"]
[host.a.check.two]
cluster = { members = ["$HOSTNAME$/web", "b/web"], critical = "< 1" }

[host.b]
use = "linux"
[host.b.check.web]
use = "slow"
http = "http://$HOSTADDRESS$/"
text = "Welcome"
[host.b.check."disk /"]
expr = "used"
warning = "> 80 until 75"
graph = "free"
[host.b.check.plain]
expr = "vector(1) > 2"
[host.b.check.ntp]
interval = "1h"
[host.b.check.behind]
ping = true
depends = ["$HOSTNAME$/web", "a"]

[host.c]
[host.c.check.web]
tcp = "80"
[host.c.check.web.labels]
kept = "whole"
"#;

/// Loads a text in both ways.
fn both(text: &str) -> (Config, Config) {
    let file = SourceFile { path: "/etc/site.toml".into(), text: text.to_owned() };
    let (sources, bases) = Sources::of(vec![file]);
    let left_out = BTreeSet::new();
    let files = Files { sources: &sources, bases: &bases, of_admin: 1, left_out: &left_out };
    let (rest, checks) = split::split(sources.texts().next().unwrap());
    assert!(!checks.is_empty(), "nothing was taken out");
    let apart = read(&files, vec![(rest.as_str(), checks.clone())], Vec::new());
    let whole = sources.texts().map(|text| (text, CheckTexts::new())).collect();
    (apart.unwrap(), read(&files, whole, Vec::new()).unwrap())
}

#[test]
fn both_ways_of_reading_come_to_the_same_site() {
    let (apart, whole) = both(SITE);
    let agent = RegisteredHost { name: "a".to_owned(), ..RegisteredHost::default() };
    let (apart, whole) =
        (apart.site(std::slice::from_ref(&agent), true), whole.site(&[agent], true));
    for (one, other) in apart.checks.checks.iter().zip(&whole.checks.checks) {
        assert_eq!(one, other);
    }
    assert_eq!(apart.checks, whole.checks);
    let find = |id: &str| {
        let id = CheckId::parse(id);
        apart.checks.checks.iter().find(|check| check.id == id).unwrap()
    };
    let Probe::Expression(disk) = &find("b/disk /").probe else { panic!("no expression") };
    assert_eq!(disk.expr, r#"used{instance="b"}"#);
    assert_eq!(find("b/behind").depends[0], CheckId::check("b", "web"));
    // What speaks of no host is there once.
    for name in ["web", "plain"] {
        let (a, b) = (find(&format!("a/{name}")), find(&format!("b/{name}")));
        assert!(std::ptr::eq(&raw const **a, &raw const **b), "{name} is not shared");
    }
}

#[test]
fn every_place_is_told_of_what_is_written_alike_and_wrong() {
    let hosts = ["a", "b", "c"].map(|host| {
        format!("[host.{host}]\n[host.{host}.check.c]\nping = true\ndepends = [\"nope\"]\n")
    });
    let told = faults(&hosts.concat());
    let lines: Vec<&str> = told.iter().map(|fault| &fault[..18]).collect();
    let expected = ["noroshi.toml:4:12:", "noroshi.toml:8:12:", "noroshi.toml:12:12"];
    assert_eq!(lines, expected, "{told:#?}");
}

#[test]
fn checks_that_are_written_in_two_ways_are_all_there() {
    let site =
        loaded("[host.a]\ncheck.x.ping = true\n[host.a.check.y]\nping = true\n").site(&[], true);
    let of_a = site.checks.checks.iter().filter(|check| &*check.id.host == "a");
    let names: Vec<&str> = of_a.filter_map(|check| check.id.check.as_deref()).collect();
    assert_eq!(names, ["x", "y"]);
}
