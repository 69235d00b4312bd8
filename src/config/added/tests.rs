//! Added hosts: what is resolved, what is refused and where, and what survives.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::config::{load_to_start, load_with};

fn file(text: &str) -> SourceFile {
    SourceFile { path: "/data/config/added.toml".into(), text: text.to_owned() }
}

/// Writes the admin's file and hands its path on.
fn with_admins<T>(text: &str, test: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noroshi.toml");
    fs::write(&path, text).unwrap();
    test(&path)
}

const ADMINS: &str = "\
[defaults]
interval = \"30s\"
[template.host.linux]
groups = [\"linux\"]
[check.ssh]
groups = [\"linux\"]
tcp = \"22\"
[host.db1]
address = \"192.0.2.1\"
";

#[test]
fn an_added_host_has_templates_groups_defaults_and_its_place() {
    let added = file("[host.web1]\nuse = [\"linux\"]\nparents = [\"db1\"]\ncheck.x.ping = true\n");
    let config = with_admins(ADMINS, |path| load_with(Some(path), Some(&added))).unwrap();
    let gets = config.gets("web1");
    let names: Vec<&str> = gets.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["ssh", "x"]);
    let (place, is_added) = config.place_of("web1").unwrap();
    assert_eq!((place.to_string().as_str(), is_added), ("/data/config/added.toml:1", true));
    let site = config.site(&[], false);
    let own = site.checks.checks.iter().find(|check| check.id.to_string() == "web1/x").unwrap();
    assert_eq!(own.timing.interval.as_secs(), 30, "the defaults of the admin's only file");
    assert!(!config.place_of("db1").unwrap().1);
}

#[test]
fn a_host_of_the_admins_files_holds_and_the_added_one_is_shown_as_overridden() {
    let added = file("[host.db1]\naddress = \"192.0.2.99\"\nuse = [\"nothing\"]\n[host.web1]\n");
    let config = with_admins(ADMINS, |path| load_with(Some(path), Some(&added))).unwrap();
    let site = config.site(&[], false);
    let db1 = site.checks.hosts.iter().find(|host| host.name == "db1").unwrap();
    assert_eq!(db1.address, "192.0.2.1");
    assert!(config.overridden["db1"].to_string().ends_with("noroshi.toml:8"));
    let notes = config.notes();
    assert!(notes[0].contains("noroshi.toml:8 has one too, which holds"), "{notes:?}");
}

#[test]
fn faults_of_added_hosts_refuse_a_reload_but_not_a_start() {
    let added = file(
        "[host.a]\nuse = [\"linxu\"]\n[host.b]\nparents = [\"a\"]\n[host.c]\n[host.d]\nx = 1\n",
    );
    with_admins(ADMINS, |path| {
        let faults = load_with(Some(path), Some(&added)).unwrap_err();
        assert!(faults[0].to_string().contains("did you mean `linux`?"), "{faults:?}");
        let config = load_to_start(Some(path), Some(&added)).unwrap();
        let site = config.site(&[], false);
        let names: Vec<&str> = site.checks.hosts.iter().map(|host| host.name.as_str()).collect();
        // b hangs on a, which is left out.
        assert_eq!(names, ["db1", "c", "localhost"]);
        assert_eq!(config.left_out.len(), 3, "{:?}", config.left_out);
        let broken = file("[host.a\n");
        let config = load_to_start(Some(path), Some(&broken)).unwrap();
        assert_eq!(config.left_out.len(), 1);
        assert!(load_to_start(Some(Path::new("/nowhere.toml")), Some(&added)).is_err());
    });
}

#[test]
fn what_is_no_host_does_not_belong_into_the_file() {
    let added = file("[contact.me]\nemail = \"me@example.net\"\n");
    let faults = load_with(None, Some(&added)).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].to_string().starts_with("/data/config/added.toml:1:"), "{}", faults[0]);
}

#[test]
fn a_fault_is_told_by_the_field_that_it_is_about() {
    let submitted = json!({
        "address": "192.0.2.7",
        "parents": ["swich"],
        "check": { "ssh": { "tcp": "22", "interval": "5" }, "odd one": {} },
        "poll": { "nginx": { "urrl": "http://a/" } },
    });
    let cases = [
        (json!({ "parents": ["swich"] }), "parents"),
        (json!({ "check": { "ssh": { "tcp": "22", "interval": "5" } } }), "check.ssh.interval"),
        (json!({ "check": { "odd one": {} } }), "check.odd one"),
        (json!({ "poll": { "nginx": { "url": "http://a/", "urrl": "x" } } }), "poll.nginx.urrl"),
        (json!({ "alive": "pnig" }), "alive"),
        (json!({ "adress": "x" }), "adress"),
    ];
    assert!(of_json(submitted.as_object().unwrap()).is_ok());
    for (table, field) in cases {
        let mut hosts = AddedHosts::default();
        hosts.host.insert("other".to_owned(), Table::new());
        hosts.host.insert("web 1".to_owned(), of_json(table.as_object().unwrap()).unwrap());
        let added = file(&hosts.to_text().unwrap());
        let faults = load_with(None, Some(&added)).unwrap_err();
        let fault = &faults[0];
        let owner = owner_of(&added.text, fault.line, fault.column);
        assert_eq!(owner.as_deref(), Some("web 1"), "{fault}\n{}", added.text);
        assert_eq!(field_at(&added.text, fault.line, fault.column), field, "{fault}");
    }
}

#[test]
fn programs_files_and_secrets_of_the_server_are_refused_but_names_are_free() {
    let table: Table = toml::from_str(
        "alive = [\"/bin/sh\"]\nlabels.command = \"x\"\nvariables.A = \"$USER1$\"\n\
         on_change.command = [\"x\"]\n\
         [check.command]\nhttp = { url = \"http://a/$USER3$\" }\n\
         [check.load]\ncommand = [\"check_load\"]\n\
         [check.remote.nrpe]\ncommand = \"check_load\"\ntls.key_file = \"/etc/key\"\n\
         [check.money]\ntext = \"$USER\"\ntcp = \"1\"\n\
         [poll.prometheus.token_file]\nurl = \"http://a/\"\ntoken_file = \"/etc/shadow\"\n",
    )
    .unwrap();
    let refused: Vec<String> = guard(&table).into_iter().map(|(path, _)| path).collect();
    let expected = [
        "alive",
        "check.command.http.url",
        "check.load.command",
        "check.remote.nrpe.tls.key_file",
        "on_change.command",
        "poll.prometheus.token_file.token_file",
        "variables.A",
    ];
    assert_eq!(refused, expected);
}

#[test]
fn a_secret_is_masked_and_a_mask_keeps_it() {
    let kept: Table =
        toml::from_str("poll.nginx = { url = \"http://a/\", password = \"hunter2\" }").unwrap();
    let shown = shown(&kept);
    assert!(!format!("{shown:?}").contains("hunter2"));
    let mut again = of_json(&shown).unwrap();
    unmasked(&mut again, &kept);
    assert_eq!(again, kept);
}

#[test]
fn the_file_is_read_back_and_only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = path_in(folder.path());
    let mut hosts = AddedHosts::default();
    let table =
        of_json(json!({ "address": "a", "check": { "x": { "ping": true } } }).as_object().unwrap());
    hosts.host.insert("a.b \"c\"".to_owned(), table.unwrap());
    let by = Signature { by: "ann".to_owned(), at: "2026-01-02T03:04:05Z".to_owned() };
    let signed = Signed { added: Some(by), changed: None };
    hosts.signed.insert("a.b \"c\"".to_owned(), signed);
    write(&path, &hosts.to_text().unwrap()).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let read = read(&path).unwrap();
    assert_eq!(AddedHosts::of(read.as_ref()).unwrap(), hosts);
    let other = tempfile::tempdir().unwrap();
    assert!(copy(folder.path(), other.path()).unwrap().is_some());
    assert_eq!(copy(&folder.path().join("none"), other.path()).unwrap(), None);
    assert_eq!(fs::read(path_in(other.path())).unwrap(), fs::read(&path).unwrap());
}
