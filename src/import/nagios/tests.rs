//! Tables of the traps. The whole is compared with real Nagios in `tests/nagios_import.rs`.

use std::path::Path;

use super::command::{Variables, make, split_arguments, words};
use super::expand::{Site, expand};
use super::read::{Source, lines, read_objects, without_comment};
use super::report::Notes;

/// Expands object definitions.
fn site(text: &str, settings: &[(&str, &str)]) -> (Site, Vec<String>) {
    let (mut source, mut notes) = (Source::default(), Notes::default());
    for (name, value) in settings {
        source.settings.insert((*name).to_owned(), (*value).to_owned());
    }
    let included = read_objects(&mut source, Path::new("t.cfg"), text, &mut notes);
    assert!(included.is_empty());
    let site = expand(&source, &mut notes);
    (site, notes.lines().collect())
}

/// Returns the hosts that have a service, in order.
fn hosts_with(site: &Site, service: &str) -> String {
    let has = site.hosts.iter().filter(|(_, host)| host.services.contains_key(service));
    has.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",")
}

#[test]
fn lines_are_joined_and_comments_cut() {
    let text = "a \\\n   b\nc\\\\\nd\n";
    let joined: Vec<(usize, String)> = lines(text);
    let expected = [(1, "a b"), (3, "c\\"), (4, "d")];
    assert_eq!(joined, expected.map(|(line, text)| (line, text.to_owned())));
    let cases = [
        ("  alias  x ; why", "alias  x"),
        (r"notes a\;b ; c", "notes a;b"),
        ("# all", ""),
        ("; all", ""),
        ("notes #1", "notes #1"),
    ];
    for (line, expected) in cases {
        assert_eq!(without_comment(line), expected, "{line:?}");
    }
}

#[test]
fn templates_give_what_is_missing_and_plus_adds() {
    // Each case: what the host says, and the groups it is in. `one` says a, `two` says b,
    // `more` says +b.
    let cases = [
        ("use one,two", "a"),
        ("use two,one", "b"),
        ("use one\nhostgroups c", "c"),
        ("use one\nhostgroups +c", "a,c"),
        ("use one,two\nhostgroups +c", "a,c"),
        ("use more,one\nhostgroups +c", "a,b,c"),
        ("use more,one", "a,b"),
        ("use one\nhostgroups null", ""),
        ("use nothing,one", ""),
        ("use deep", "a,c"),
        ("hostgroups +c", "c"),
    ];
    for (says, expected) in cases {
        let text = format!(
            "define host {{\nname one\nhostgroups a\nregister 0\n}}\n\
             define host {{\nname two\nhostgroups b\nregister 0\n}}\n\
             define host {{\nname more\nhostgroups +b\nregister 0\n}}\n\
             define host {{\nname nothing\nhostgroups null\nregister 0\n}}\n\
             define host {{\nname deep\nuse one\nhostgroups +c\nregister 0\n}}\n\
             define hostgroup {{\nhostgroup_name a\n}}\ndefine hostgroup {{\nhostgroup_name b\n}}\n\
             define hostgroup {{\nhostgroup_name c\n}}\n\
             define host {{\nhost_name h\n{says}\n}}\n"
        );
        let (site, notes) = site(&text, &[]);
        let groups = site.hostgroups.iter().filter(|(_, members)| members.contains("h"));
        let groups: Vec<&str> = groups.map(|(name, _)| name.as_str()).collect();
        assert_eq!(groups.join(","), expected, "{says}");
        assert!(notes.is_empty(), "{notes:?}");
        assert_eq!(site.hosts.len(), 1, "templates are no hosts");
    }
}

#[test]
fn templates_that_are_missing_or_circular_are_noted() {
    let text = "define host {\nname a\nuse b\nregister 0\n}\ndefine host {\nname b\nuse a\n\
                register 0\n}\ndefine host {\nhost_name h\nuse a,gone\n}\n";
    let (_, notes) = site(text, &[]);
    let expected = [
        "t.cfg:1: template \"a\" uses itself".to_owned(),
        "t.cfg:11: there is no template \"gone\"".to_owned(),
    ];
    assert_eq!(notes, expected);
}

#[test]
fn services_are_on_the_hosts_that_lists_groups_and_exclusions_leave() {
    let groups = "define hostgroup {\nhostgroup_name web\nmembers w1,w2\n}\n\
                  define hostgroup {\nhostgroup_name old\nmembers w2\n}\n\
                  define hostgroup {\nhostgroup_name all\nhostgroup_members web,db\n}\n\
                  define hostgroup {\nhostgroup_name db\nmembers d1\nhostgroup_members all\n}\n";
    let hosts = ["w1", "w2", "d1", "x"].map(|n| format!("define host {{\nhost_name {n}\n}}\n"));
    let cases = [
        ("host_name w1,x", "w1,x"),
        ("host_name *", "d1,w1,w2,x"),
        ("host_name *,!w2", "d1,w1,x"),
        ("hostgroup_name web", "w1,w2"),
        ("hostgroup_name web,!old", "w1"),
        ("hostgroup_name *", "d1,w1,w2"),
        ("hostgroup_name all", "d1,w1,w2"),
        ("hostgroup_name web\nhost_name x,!w1", "w2,x"),
        ("host_name w.*\nhostgroup_name d.+", "d1,w1,w2"),
    ];
    for (says, expected) in cases {
        let text = format!(
            "{groups}{}define service {{\nservice_description s\n{says}\n}}\n",
            hosts.concat()
        );
        let (site, notes) = site(&text, &[("use_regexp_matching", "1")]);
        assert_eq!(hosts_with(&site, "s"), expected, "{says}");
        assert!(notes.is_empty(), "{notes:?}");
    }
}

#[test]
fn a_service_takes_its_hosts_contacts_only_when_it_says_nothing_of_contacts() {
    let people = ["a", "b"].map(|n| format!("define contact {{\ncontact_name {n}\n}}\n"));
    let cases = [
        ("", "a"),
        ("contacts b", "b"),
        ("contacts +b", "b"),
        ("contacts null", ""),
        ("contact_groups g", "b"),
    ];
    for (says, expected) in cases {
        let text = format!(
            "{}define contactgroup {{\ncontactgroup_name g\nmembers b\n}}\n\
             define host {{\nhost_name h\ncontacts a\n}}\n\
             define service {{\nservice_description s\nhost_name h\n{says}\n}}\n",
            people.concat()
        );
        let (site, _) = site(&text, &[]);
        let contacts: Vec<&str> =
            site.hosts["h"].services["s"].contacts.iter().map(String::as_str).collect();
        assert_eq!(contacts.join(","), expected, "{says}");
    }
}

#[test]
fn command_lines_become_words_as_in_a_shell() {
    let cases: [(&str, Result<&[&str], &str>); 14] = [
        ("a  -w 20% -p /", Ok(&["a", "-w", "20%", "-p", "/"])),
        (r#"a "b c" 'd "e"' f\ g"#, Ok(&["a", "b c", "d \"e\"", "f g"])),
        (r#"a "" x''y"#, Ok(&["a", "", "xy"])),
        (r#"a "q\"\n\\""#, Ok(&["a", r#"q"\n\"#])),
        ("a $HOSTADDRESS$ '$ARG9$'", Ok(&["a", "$HOSTADDRESS$", "$ARG9$"])),
        ("a '^x$'", Ok(&["a", "^x$"])),
        ("a -u http://x/?q", Err("pattern")),
        ("a '?q=1&r'", Ok(&["a", "?q=1&r"])),
        ("a | b", Err("pipe")),
        ("a 2>&1", Err("redirection")),
        ("LANG=C a", Err("variable")),
        ("a $$HOME", Err("variable")),
        ("a `b`", Err("backquotes")),
        ("a 'b", Err("not closed")),
    ];
    for (line, expected) in cases {
        match (words(line), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{line}"),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{line}: {why}"),
            (found, expected) => panic!("{line}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn arguments_and_custom_variables_are_put_in_before_the_words_are_split() {
    let arguments = split_arguments(r"check!-l c -w 80!a\!b!");
    assert_eq!(arguments, ["check", "-l c -w 80", "a!b", ""]);
    let mut variables = Variables::default();
    variables.host.insert("_HOSTOPTS".to_owned(), "-p 'a b'".to_owned());
    variables.host.insert("_HOSTPORT".to_owned(), "8080".to_owned());
    variables.service.insert("_SERVICEURL".to_owned(), "/x".to_owned());
    let line = "x $ARG1$ \"$ARG2$\" $ARG3$ $ARG4$ $_HOSTOPTS$ $_HOSTPORT$ $_SERVICEURL$ $TIMET$";
    let made = make(line, &arguments[1..], &variables);
    let expected = ["x", "-l", "c", "-w", "80", "a!b", "-p", "a b", "$_HOSTPORT$", "/x", "$TIMET$"];
    assert_eq!(made.argv, expected);
    assert!(made.unknown.is_empty());
    let made = make("a $ARG1$ | b", &["x y".to_owned()], &variables);
    assert_eq!(made.argv, ["sh", "-c", "a x y | b"]);
}

#[test]
fn what_a_handler_pipes_is_handed_to_its_shell_as_an_argument() {
    let line = r#"/usr/bin/printf "%b" "$SERVICEOUTPUT$" | mail -s "$HOSTNAME$" ops"#;
    let made = make(line, &[], &Variables::default());
    let script = r#"/usr/bin/printf "%b" "${1}" | mail -s "${2}" ops"#;
    assert_eq!(made.argv, ["sh", "-c", script, "sh", "$SERVICEOUTPUT$", "$HOSTNAME$"]);
    assert_eq!(made.handed_over, ["SERVICEOUTPUT", "HOSTNAME"]);
    // The shell that Nagios calls finds one word here, which another shell reads.
    let made = make("/bin/sh -c 'echo $SERVICEOUTPUT$'", &[], &Variables::default());
    assert_eq!(made.argv, ["/bin/sh", "-c", "echo ${1}", "sh", "$SERVICEOUTPUT$"]);
    assert_eq!(make("a $SERVICEOUTPUT$", &[], &Variables::default()).handed_over, [""; 0]);
}

#[test]
fn macros_that_are_expanded_are_known() {
    for name in [
        "TIMET",
        "SERVICEPERFDATA",
        "HOSTSTATE:web1",
        "SERVICEOUTPUT:web1:disk",
        "LASTSERVICESTATE",
        "TOTALHOSTSDOWN",
        "HOSTMAXATTEMPTS",
        "_HOSTRACK",
    ] {
        let made = make(&format!("a ${name}$"), &[], &Variables::default());
        assert!(made.unknown.is_empty(), "{name}");
    }
    for name in ["CONTACTEMAIL", "NOTIFICATIONTYPE", "USER7", "HOSTNOSUCH"] {
        let made = make(&format!("a ${name}$"), &[], &Variables::default());
        assert_eq!(made.unknown, [name]);
    }
}

/// Imports one host with one service; returns what was written of it, and the notes.
fn import_one(main: &str, host: &str, service: &str) -> (toml::Table, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("nagios.cfg"), format!("{main}\ncfg_file=objects.cfg\n")).unwrap();
    let objects = format!(
        "define host {{\nhost_name h\n{host}\n}}\ndefine command {{\ncommand_name c\n\
         command_line /bin/c\n}}\ndefine service {{\nhost_name h\nservice_description s\n\
         check_command c\n{service}\n}}\n"
    );
    std::fs::write(path("objects.cfg"), objects).unwrap();
    let imported = super::import(&path("nagios.cfg"), &path("out")).unwrap();
    let texts = imported.files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    let table = texts.collect::<Vec<_>>().join("\n").parse().unwrap();
    (table, imported.notes.lines().collect())
}

#[test]
fn a_passive_check_that_must_be_fresh_without_saying_how_may_be_silent_for_an_interval() {
    let passive = "active_checks_enabled 0\ncheck_interval 10\ncheck_freshness";
    for (says, main, expected) in [
        // Ten minutes, and the 15 s that Nagios adds.
        ("1", "", "615s"),
        ("1\nfreshness_threshold 0", "interval_length=1", "25s"),
        ("1\nfreshness_threshold 300", "additional_freshness_latency=5", "305s"),
        ("0\nfreshness_threshold 300", "", "8760h"),
    ] {
        let (table, _) = import_one(main, "", &format!("{passive} {says}"));
        let check = &table["host"]["h"]["check"]["s"];
        let written = check["passive"].as_str();
        let seconds = |text: &str| noroshi_model::quantity::parse_duration(text).unwrap();
        assert_eq!(written.map(seconds), Some(seconds(expected)), "{says}: {check}");
    }
}

#[test]
fn settings_of_the_main_file_that_change_what_happens_are_noted() {
    let main = "use_aggressive_host_checking=1\nenable_notifications=0\nexecute_host_checks=1\n\
                enable_environment_macros=1";
    let (table, notes) = import_one(main, "", "");
    for name in
        ["use_aggressive_host_checking", "enable_notifications", "enable_environment_macros"]
    {
        assert!(notes.iter().any(|note| note.contains(name)), "{name}: {notes:?}");
    }
    assert!(!notes.iter().any(|note| note.contains("execute_host_checks")), "{notes:?}");
    // Without a word of it Nagios does not look for flapping.
    assert_eq!(table["host"]["h"]["flapping"].as_bool(), Some(false));
    let (table, _) = import_one("enable_flap_detection=1", "", "");
    assert!(!table["host"]["h"].as_table().unwrap().contains_key("flapping"));
}
