//! Each probe as a text and as a table, and what each mistake is told.

use std::fs;
use std::time::Duration;

use noroshi_checks::{Family, Probe, Protocol, Security};
use noroshi_model::CheckId;

use crate::config::load;

fn read(check: &str) -> Result<Probe, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noroshi.toml");
    fs::write(&path, format!("[host.a]\naddress = \"192.0.2.7\"\n[host.a.check.c]\n{check}\n"))
        .unwrap();
    let folder_name = format!("{}/noroshi.toml:", folder.path().display());
    let config = load(Some(&path)).map_err(|faults| {
        faults.iter().map(|fault| fault.to_string().replace(&folder_name, "")).collect::<Vec<_>>()
    })?;
    let id = CheckId::check("a", "c");
    let checks = config.site(&[], true).checks.checks;
    Ok(checks.into_iter().find(|check| check.id == id).unwrap().probe.clone())
}

#[test]
fn a_page_is_asked_for_by_a_text_or_with_every_option() {
    let Probe::Http(short) = read("http = \"http://$HOSTADDRESS$/\"\ntext = \"up\"").unwrap()
    else {
        panic!("no http");
    };
    assert_eq!((short.method.as_str(), short.text.as_deref()), ("GET", Some("up")));
    let long = r#"[host.a.check.c.http]
url = "https://shop.example/api"
method = "POST"
headers = { Accept = "application/json", "X-Site" = "$HOSTNAME$" }
body = "{}"
basic_auth = { user = "ann", password = "$USER3$" }
statuses = [200, 201]
text = "up"
not_text = "error"
regex = '^\{'
json = [{ path = "$.queue", warning = "> 10", critical = "> 100", name = "queue" },
        { path = "$.state", equals = "ok" }, { path = "$.n", equals = 3 }]
redirects = 3
connect_to = "192.0.2.9:8443"
ip = 4
insecure = true
certificate_days_warning = 30
certificate_days_critical = 10.5
warning = "500ms"
critical = "2s""#;
    let Probe::Http(long) = read(long).unwrap() else { panic!("no http") };
    assert_eq!((long.method.as_str(), long.redirects_max, long.headers.len()), ("POST", 3, 2));
    assert_eq!((long.family, long.is_insecure), (Family::V4, true));
    assert_eq!(long.certificate_days_critical, Some(10.5));
    assert_eq!(long.warning, Some(Duration::from_millis(500)));
    assert_eq!(long.json[0].critical.unwrap().value, 100.0);
    assert_eq!(long.json[1].equals, Some("ok".into()));
    assert!(!format!("{long:?}").contains("USER3"), "passwords are not shown");
}

#[test]
fn services_are_named_by_true_by_a_target_or_by_a_table() {
    let tcp = |text: &str| match read(text).unwrap() {
        Probe::Tcp(probe) => probe,
        other => panic!("{other:?}"),
    };
    for (text, target, protocol, security) in [
        ("tcp = 22", "22", Protocol::Connect, Security::None),
        ("tcp = \"db1:5432\"", "db1:5432", Protocol::Connect, Security::None),
        ("smtp = true", "", Protocol::Smtp, Security::None),
        ("imap = { security = \"starttls\" }", "", Protocol::Imap, Security::StartTls),
        ("pop3 = { security = \"tls\" }", "", Protocol::Pop3, Security::Tls),
        ("ssh = \"2222\"", "2222", Protocol::Ssh, Security::None),
        ("ftp = \"ftp.example\"", "ftp.example", Protocol::Ftp, Security::None),
        ("ldap = true", "", Protocol::Ldap { base: String::new() }, Security::None),
        ("mysql = 3307", "3307", Protocol::Mysql { user: "noroshi".into() }, Security::None),
    ] {
        let probe = tcp(text);
        let found = (probe.target.as_str(), probe.protocol, probe.security);
        assert_eq!(found, (target, protocol, security), "{text}");
    }
    let probe = tcp("postgresql = { user = \"mon\", database = \"shop\", critical = \"1s\" }");
    let wanted = Protocol::Postgresql { user: "mon".into(), database: "shop".into() };
    assert_eq!((probe.protocol, probe.critical), (wanted, Some(Duration::from_secs(1))));
    let probe = tcp("tcp = { target = 6379, send = 'PING\\r\\n', expect = \"+PONG\" }"
        .replace("6379", "\"6379\"")
        .as_str());
    assert!(matches!(probe.protocol, Protocol::Expect { .. }));
}

#[test]
fn ping_dns_tls_and_ntp_have_all_their_options() {
    let ping = "ping = { count = 10, spacing = \"50ms\", payload_bytes = 1000, loss_warning = 20, \
                loss_critical = 60.5, rtt_warning = \"10ms\", rtt_critical = \"50ms\" }";
    let Probe::Icmp(ping) = read(ping).unwrap() else { panic!("no ping") };
    assert_eq!((ping.count, ping.payload_bytes, ping.loss_critical), (10, 1000, 60.5));
    assert!(matches!(read("ping = true").unwrap(), Probe::Icmp(_)));
    let dns = "dns = { name = \"example.org\", record = \"mx\", server = \"192.0.2.1:5353\", \
               expect = [\"10 mail.example.org.\"], authority = true, warning = \"100ms\" }";
    let Probe::Dns(dns) = read(dns).unwrap() else { panic!("no dns") };
    assert_eq!((dns.record.as_str(), dns.is_authoritative), ("MX", true));
    let Probe::Dns(dns) = read("dns = \"example.org\"").unwrap() else { panic!("no dns") };
    assert_eq!((dns.record.as_str(), dns.server.as_str()), ("A", ""));
    let tls = "tls = { target = \"8443\", server_name = \"x.example\", ip = 6, \
               certificate_days_warning = 40 }";
    let Probe::Tls(tls) = read(tls).unwrap() else { panic!("no tls") };
    assert_eq!((tls.target.as_str(), tls.days_warning, tls.family), ("8443", 40.0, Family::V6));
    let ntp = "ntp = { server = \"ntp1\", offset_warning = \"5ms\", stratum_max = 3 }";
    let Probe::Ntp(ntp) = read(ntp).unwrap() else { panic!("no ntp") };
    assert_eq!((ntp.offset_warning, ntp.stratum_max), (Duration::from_millis(5), 3));
}

#[test]
fn a_cluster_names_its_members_or_chooses_them_and_needs_no_second_look() {
    let text = "cluster = { members = [\"$HOSTNAME$/d\", \"b\"], warning = \"< 100 %\", \
                critical = \"1\", skip_downtime = true }\n[host.a.check.d]\ntcp = 22\n[host.b]";
    let Probe::Cluster(cluster) = read(text).unwrap() else { panic!("no cluster") };
    assert_eq!(cluster.members, [CheckId::check("a", "d"), CheckId::host("b")]);
    assert!(cluster.warning.unwrap().is_percent && cluster.skips_downtime);
    let text = "cluster = { match = { check = \"http\", groups = [\"web\"] } }";
    let Probe::Cluster(cluster) = read(text).unwrap() else { panic!("no cluster") };
    assert_eq!(cluster.select.unwrap().groups, ["web"]);
    let Probe::Passive(heartbeat) = read("heartbeat = \"10m\"").unwrap() else { panic!() };
    assert!(heartbeat.is_heartbeat && heartbeat.freshness == Some(Duration::from_mins(10)));
}

#[test]
fn each_mistake_is_told_with_its_place_and_what_to_do() {
    for (check, expected) in [
        ("http = true", "4:8: `true` does not say what to ask; write a URL"),
        ("http = { method = \"GET\" }", "4:8: missing field `url`; add it to this table"),
        ("http = \"ftp://x\"", "4:8: \"ftp://x\" is no address of a page; begin with http://"),
        ("http = { urk = \"http://x\" }", "4:10: unknown field `urk`; did you mean `url`?"),
        (
            "http = { url = \"http://x\", method = \"get\" }",
            "4:37: \"get\" is no method; write one such as GET",
        ),
        (
            "http = { url = \"http://x\", regex = \"(\" }",
            "4:36: \"(\" is no regular expression: error: unclosed group; correct",
        ),
        (
            "http = { url = \"http://x\", json = { path = \"queue\" } }",
            "4:44: \"queue\" is no JSON path: ",
        ),
        (
            "http = { url = \"http://x\", json = { path = \"$.q\", warning = \"> 5 until 4\" } }",
            "4:61: a value of an answer has no \"until\"; ",
        ),
        (
            "http = { url = \"http://x\", warning = \"2s\", critical = \"1s\" }",
            "4:55: critical comes before warning; ",
        ),
        ("tcp = true", "4:7: `true` does not say what to ask; write a port"),
        ("tcp = \"web1\"", "4:7: \"web1\" is no port and no host:port; "),
        ("smtp = { send = \"x\" }", "4:17: smtp has no `send`; remove it"),
        (
            "smtp = { security = \"ssl\" }",
            "4:21: smtp has no security \"ssl\"; write \"starttls\" or",
        ),
        ("ssh = { security = \"tls\" }", "4:20: ssh has no security \"tls\"; write \"none\""),
        ("ssh = { ip = 5 }", "4:14: there is no IP version 5; write 4 or 6"),
        ("ping = false", "4:8: `false` does not say how to look; remove the line"),
        ("ping = { count = 0 }", "4:18: 0 requests is out of range; write 1 to 100"),
        ("dns = { name = \"x\", record = \"MXX\" }", "4:30: \"MXX\" is no type of record; "),
        ("ntp = { stratum_max = 16 }", "4:23: 16 as a stratum is out of range; write 1 to 15"),
        (
            "tls = { certificate_days_critical = 30 }",
            "4:37: critical at 30 days comes before warning at 21; ",
        ),
        ("cluster = { warning = \"< 2\" }", "4:11: a cluster needs members; add members = "),
        ("cluster = { members = [\"a/x\"] }", "4:24: there is no check `a/x`; write a check"),
        ("cluster = { members = [\"a/c\"] }", "4:24: a circle of dependencies: a/c needs a/c; "),
        (
            "cluster = { members = [\"a\"], critical = \"few\" }",
            "4:41: \"few\" is no number of members; write how many must be OK",
        ),
        ("heartbeat = \"10ms\"", "4:13: a heartbeat has at least a second; "),
        ("tcp = 22\nping = true", "3:15: check `c` has tcp and ping at once; "),
        (
            "agent = \"noroshi:disk\"",
            "4:9: \"noroshi:disk\" cannot be a plug-in: `noroshi:` is reserved; write process, port",
        ),
    ] {
        assert_told(check, expected);
    }
}

/// Asserts that a check has one fault, which begins as expected.
fn assert_told(check: &str, expected: &str) {
    let faults = read(check).unwrap_err();
    assert!(
        faults.len() == 1 && faults[0].starts_with(expected),
        "{check}\nexpected {expected}\nbut told  {faults:#?}"
    );
}

#[test]
fn mistakes_in_looks_at_a_host_are_told_too() {
    for (check, expected) in [
        ("process = [\"sshd\"]", "4:11: invalid type: sequence, "),
        ("process = true", "4:11: `true` does not say what to ask; write the name of a program"),
        ("process = false", "4:11: `false` does not say how to look; remove the line"),
        ("process = \"\"", "4:11: an empty text does not say what to ask; write the name"),
        ("process = { nam = \"x\" }", "4:13: unknown field `nam`; did you mean `name`?"),
        ("process = { name = \"x\", min = \"2\" }", "4:31: invalid type: string \"2\""),
        ("process = { name = \"x\", min = 3, max = 2 }", "4:11: `max` is below `min`; write the"),
        (
            "process = { name = \"x\", memory_critical = \"much\" }",
            "4:43: \"much\" is no size; write it with its unit, such as \"2 GiB\"",
        ),
        ("process = {}", "4:11: "),
        ("port = true", "4:8: `true` does not say what to ask; write a number such as 3306"),
        ("port = \"ssh\"", "4:8: \"ssh\" is no port; write a number such as 3306, or \"53/udp\""),
        ("port = 0", "4:8: \"0\" is no port; "),
        ("port = \"53/sctp\"", "4:8: \"53/sctp\" is no port; "),
        ("port = { port = 70000 }", "4:17: \"70000\" is no port; "),
        (
            "port = { port = 22, address = \"web1\" }",
            "4:31: \"web1\" is no IP address; write one such as 127.0.0.1, or leave it out",
        ),
        ("port = { prt = 22 }", "4:10: unknown field `prt`; did you mean `port`?"),
        ("port = { port = 22, listening = 1 }", "4:33: invalid type: integer `1`"),
        ("file = true", "4:8: `true` does not say what to ask; write a path"),
        ("file = 5", "4:8: "),
        ("file = { pth = \"/x\" }", "4:10: unknown field `pth`; did you mean `path`?"),
        ("file = { path = \"/x\", age_critical = 25 }", "4:38: invalid type: integer `25`"),
        (
            "file = { path = \"/x\", age_warning = \"2h\", age_critical = \"1h\" }",
            "4:58: critical comes before warning; ",
        ),
        ("file = { path = \"/x\", size_max = \"big\" }", "4:34: \"big\" is no size; "),
        ("process = \"x\"\nport = 22", "3:15: check `c` has process and port at once; give one"),
        ("file = \"/x\"\ncommand = [\"true\"]", "3:15: check `c` has command and file at once; "),
    ] {
        assert_told(check, expected);
    }
    // On a host without an agent nobody looks; that shows as soon as it is looked at.
    let Probe::Agent(look) = read("process = \"sshd\"").unwrap() else { panic!("no look") };
    assert_eq!(look.plugin, "noroshi:c");
    assert!(look.look.is_some());
}
