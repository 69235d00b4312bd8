//! Rules for agents: which fits, what a machine becomes by it, and what is told at load.

use std::collections::BTreeMap;
use std::fs;

use noroshi_model::CheckId;

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
        labels: BTreeMap::new(),
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
        (
            "[[agents.rule]]\nnetworks = [\"10.1.2.0/16\"]\n",
            "2:13: \"10.1.2.0/16\" is no network: bits after the first 16 are set; the network is 10",
        ),
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
fn names_fit_as_a_whole() {
    let fits = |pattern: &str, name: &str| glob(pattern).unwrap().is_match(name);
    assert!(fits("web-?", "web-1") && !fits("web-?", "web-12") && !fits("web", "web1"));
    assert!(fits("*.example.org", "a.b.example.org") && !fits("*.example.org", "aXexampleYorg"));
}

const BY_LABEL: &str = r#"
[agents]
register = "rules"
[[agents.rule]]
match = '{role="web"}'
labels = {env = "test"}
[check.page]
match = '{role="web"}'
ping = true
[check.own]
match = '{role="web", env="test"}'
ping = true
[check.unmarked]
match = '{role="", instance=~"w.*"}'
ping = true
[host.web2]
labels = {env = "prod"}
check.page.expr = "x > 1"
[host.web3]
labels = {role = "db"}
"#;

/// Goal: labels of agents choose rules and checks as those of the configuration do, which holds
/// where both speak.
#[test]
fn an_agents_labels_choose_rules_and_checks() {
    let config = loaded(BY_LABEL).unwrap();
    let labels = |labels: &[(&str, &str)]| -> BTreeMap<String, String> {
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let said = [
        ("web1", labels(&[("role", "web"), ("env", "prod"), ("os", "mine"), ("rack", "b4")])),
        ("web2", labels(&[("role", "web"), ("env", "test")])),
        ("web3", labels(&[("role", "web")])),
        ("web4", labels(&[("role", "mail")])),
    ];
    let agents = said.map(|(name, labels)| RegisteredHost { labels, ..agent(name, "", "x") });
    assert!(matches!(config.judge(&agents[0]), Verdict::By(_)));
    assert!(matches!(config.judge(&agents[3]), Verdict::Refused(_)));

    let site = config.site(&agents, false);
    let shown = |name: &str| {
        let host = site.checks.hosts.iter().find(|host| host.name == name).unwrap();
        let labels = host.labels.iter().map(|(name, value)| {
            let mark = if host.labels_of_agent.contains(name) { "*" } else { "" };
            format!("{name}={value}{mark}")
        });
        let mine = ["page", "own", "unmarked"];
        let checks = site.checks.checks.iter().filter(|check| *check.id.host == *name);
        let checks = checks.filter_map(|check| check.id.check.as_deref());
        let mut checks: Vec<&str> = checks.filter(|check| mine.contains(check)).collect();
        checks.sort_unstable();
        format!("{} | {}", labels.collect::<Vec<_>>().join(" "), checks.join(" "))
    };
    // The rule says env=test, which holds against the agent's prod. (The fixture's `os` cannot come
    // from an agent: the name is reserved.)
    assert_eq!(shown("web1"), "env=test os=mine* rack=b4* role=web* | own page");
    // The host's own table says prod, so `own` is not for it; of `page` its own expression holds,
    // and `unmarked`, which it had without a role, is gone.
    assert_eq!(shown("web2"), "env=prod role=web* | page");
    let page = site.checks.checks.iter().find(|check| check.id == CheckId::check("web2", "page"));
    assert!(matches!(page.unwrap().probe, Probe::Expression(_)));
    assert_eq!(shown("web3"), "role=db | ");
    // Without the agent, web2 is as it is written.
    let site = config.site(&[], false);
    let has =
        |check: &str| site.checks.checks.iter().any(|c| c.id == CheckId::check("web2", check));
    assert!(has("unmarked") && has("page") && !has("own"));
}
