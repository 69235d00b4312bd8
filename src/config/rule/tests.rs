//! Rules for agents: which fits, what a machine becomes by it, and what is told at load.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::config::{Config, load_with};

fn loaded(text: &str) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noroshi.toml");
    fs::write(&path, text).unwrap();
    let name = format!("{}/", folder.path().display());
    load_with(Some(&path), None)
        .map_err(|faults| faults.iter().map(|fault| fault.to_string().replace(&name, "")).collect())
}

fn agent(name: &str, address: &str, token: &str) -> RegisteredHost {
    let facts = [("os", "Debian GNU/Linux 12"), ("token", token)];
    RegisteredHost {
        name: name.to_owned(),
        address: address.to_owned(),
        facts: facts.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        plugins: BTreeMap::new(),
    }
}

const RULES: &str = r#"
[agents]
register = "rules"
[[agents.rule]]
hosts = ["lab-*"]
refuse = "the lab is not watched"
[[agents.rule]]
match = '{os=~"Debian.*", token="web"}'
use = ["linux"]
groups = ["+", "web"]
parents = ["switch1"]
depends = ["$HOSTNAME$/load"]
alive = { expr = "up == 0" }
check.load.expr = "node_load1 > 9"
poll.nginx.url = "http://192.0.2.1/status"
[[agents.rule]]
networks = ["10.1.0.0/16", "2001:db8::/32"]
notify = false
[template.host.linux]
groups = ["linux"]
labels.role = "front"
[check.disk]
groups = ["web"]
expr = "node_disk > 1"
[check.role]
match = '{role="front", instance="web7"}'
ping = true
[host.switch1]
alive = "none"
"#;

#[test]
fn the_first_rule_that_fits_says_what_a_machine_becomes() {
    let config = loaded(RULES).unwrap();
    let agents = [
        agent("lab-web", "10.1.2.3", "web"),
        agent("web7", "192.0.2.7", "web"),
        agent("old", "10.1.2.4", "db"),
        agent("six", "2001:db8:1::1", "db"),
        agent("other", "10.2.0.1", "db"),
    ];
    let verdict = |agent: &RegisteredHost| match config.judge(agent) {
        Verdict::By(rule) => rule.place().rsplit(':').next().unwrap().to_owned(),
        Verdict::Plain => "plain".to_owned(),
        Verdict::Refused(why) => why,
    };
    let verdicts: Vec<String> = agents.iter().map(verdict).collect();
    assert!(verdicts[0].starts_with("the lab is not watched ("), "{verdicts:?}");
    assert!(verdicts[0].ends_with("noroshi.toml:4)"), "{verdicts:?}");
    assert_eq!(verdicts[1..], ["7", "16", "16", "no [[agents.rule]] is for it"]);

    let site = config.site(&agents, false);
    let names: Vec<&str> = site.checks.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["switch1", "web7", "old", "six", "localhost"]);
    let web7 = &site.checks.hosts[1];
    assert_eq!(web7.groups, ["linux", "web"]);
    assert_eq!(web7.address, "192.0.2.7");
    assert_eq!(web7.depends[0].to_string(), "web7/load");
    let Some(Probe::Expression(alive)) = &web7.probe else { panic!("{:?}", web7.probe) };
    assert_eq!(alive.expr, r#"up{instance="web7"} == 0"#);
    assert!(site.checks.hosts[2].is_quiet);
    let of_web7 = site.checks.checks.iter().filter(|check| &*check.id.host == "web7");
    let exprs: BTreeMap<String, String> = of_web7
        .map(|check| {
            let expr = match &check.probe {
                Probe::Expression(probe) => probe.expr.clone(),
                other => other.kind().to_owned(),
            };
            (check.id.check.as_deref().unwrap().to_owned(), expr)
        })
        .collect();
    assert_eq!(exprs["disk"], r#"node_disk{instance="web7"} > 1"#);
    assert_eq!(exprs["load"], r#"node_load1{instance="web7"} > 9"#, "above the built-in one");
    assert_eq!(exprs["role"], "icmp");
    assert!(exprs.contains_key("file systems"), "{exprs:?}");
    assert_eq!(site.polls[0].instance, "web7");
}

#[test]
fn faults_of_rules_are_told_when_the_files_are_read() {
    let cases = [
        (
            "[[agents.rule]]\nuse = [\"linxu\"]\n[template.host.linux]\n",
            "2:8: there is no template",
        ),
        ("[[agents.rule]]\nparents = [\"gone\"]\n", "2:12: there is no host `gone`"),
        ("[[agents.rule]]\ndepends = [\"gone/x\"]\n", "2:12: there is no check `gone/x`"),
        ("[[agents.rule]]\nadress = \"x\"\n", "2:1: unknown field `adress`; did you mean"),
        ("[[agents.rule]]\nnetworks = [\"10.1.0.0/33\"]\n", "2:13: \"10.1.0.0/33\" is no network"),
        ("[[agents.rule]]\nmatch = '{os=}'\n", "2:9: \"{os=}\" chooses no machines"),
        ("[agents]\nregister = \"rule\"\n", "2:12: invalid value: string \"rule\", expected true"),
        ("[[agents.rule]]\n[agents.rule.check.x]\n", "2:20: check `x` does not say how to look"),
        ("[agents]\nrule = 1\n", "2:8: `rule` is no list of tables"),
    ];
    for (text, expected) in cases {
        let faults = loaded(text).unwrap_err();
        let expected = format!("noroshi.toml:{expected}");
        let is_told = faults.len() == 1 && faults[0].starts_with(&expected);
        assert!(is_told, "{text}\nexpected {expected}\nbut told  {faults:#?}");
    }
}

#[test]
fn names_and_networks_fit_as_a_whole() {
    let fits = |pattern: &str, name: &str| glob(pattern).unwrap().is_match(name);
    assert!(fits("web-?", "web-1") && !fits("web-?", "web-12") && !fits("web", "web1"));
    assert!(fits("*.example.org", "a.b.example.org") && !fits("*.example.org", "aXexampleYorg"));
    let within = |network: &str, address: &str| {
        let (network, bits) = parse_network(network).unwrap();
        has_prefix(address.parse().unwrap(), network, bits)
    };
    assert!(within("10.0.0.0/8", "10.255.0.1") && !within("10.0.0.0/8", "11.0.0.1"));
    assert!(within("0.0.0.0/0", "203.0.113.1") && !within("0.0.0.0/0", "2001:db8::1"));
    assert!(within("192.0.2.1", "192.0.2.1") && !within("192.0.2.1", "192.0.2.2"));
    assert!(within("2001:db8::/33", "2001:db8:7fff::1"));
    assert!(!within("2001:db8::/33", "2001:db8:8000::1"));
    assert_eq!(parse_network("10.0.0.0/x"), None);
}
