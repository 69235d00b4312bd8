//! One cause is told once: nothing that follows from a fault is told as a second one.

use super::*;

#[test]
fn a_template_that_is_not_there_is_the_only_fault() {
    let cases = [
        (
            "[host.a.check.c]\nuse = \"slwo\"\n[template.check.slow]\nping = true\n",
            "noroshi.toml:2:7: there is no template `slwo` for a check; did you mean `slow`?",
        ),
        (
            "[check.c]\nuse = \"nope\"\n",
            "noroshi.toml:2:7: there is no template `nope` for a check; add [template.check.nope] or",
        ),
        (
            "[check.c]\nuse = \"nope\"\ngroups = [\"g\"]\ncritical = \"> 5\"\n",
            "noroshi.toml:2:7: there is no template `nope` for a check; ",
        ),
        (
            "[template.check.b]\nuse = \"nope\"\n[host.a.check.c]\nuse = \"b\"\n",
            "noroshi.toml:2:7: there is no template `nope` for a check; ",
        ),
        // What it would have brought is needed by others.
        (
            "[host.a]\nuse = \"linxu\"\n[template.host.linux.check.ssh]\ntcp = \"22\"\n\
          [host.b]\ndepends = [\"a/ssh\"]\n",
            "noroshi.toml:2:7: there is no template `linxu` for a host; did you mean `linux`?",
        ),
    ];
    assert_told(&cases);
}

#[test]
fn what_is_named_is_not_missed_when_its_own_table_is_wrong() {
    let cases = [
        (
            "[host.a]\nadress = \"x\"\n[host.b]\nparents = [\"a\"]\ndepends = [\"a/ssh\"]\n",
            "noroshi.toml:2:1: unknown field `adress`; did you mean `address`?",
        ),
        (
            "[host.a.check.ssh]\ntpc = \"22\"\n[host.b]\ndepends = [\"a/ssh\"]\n",
            "noroshi.toml:2:1: unknown field `tpc`; did you mean `tcp`?",
        ),
        (
            "[check.ssh]\nhosts = [\"*\"]\n[host.a]\n[host.b]\ndepends = [\"a/ssh\"]\n",
            "noroshi.toml:1:8: check `ssh` does not say how to look; give one of command, ",
        ),
        (
            "[host.a.check.up]\nexpr = \"rate(up[5m)\"\n[host.b]\ndepends = [\"a/up\"]\n",
            "noroshi.toml:2:19: ",
        ),
        // The tables of the file that names stand in.
        (
            "[server]\nlissten = \"127.0.0.1:1\"\n[contact.ops]\nemail = \"a@example.net\"\n\
          [period.night]\nrules = [\"monday 00:00-06:00\"]\n\
          [host.a]\ncontacts = [\"ops\"]\nperiod = \"night\"\n",
            "noroshi.toml:2:1: unknown field `lissten`; did you mean `listen`?",
        ),
    ];
    assert_told(&cases);
}

#[test]
fn a_value_that_is_wrong_makes_no_other_wrong() {
    let cases = [
        (
            "[host.a.check.c]\nping = true\ninterval = \"50ms\"\ntimeout = \"10s\"\n",
            "noroshi.toml:3:12: an interval is at least 100 ms; write a longer one",
        ),
        (
            "[host.a.check.c]\nping = true\nperiod = \"nihgt\"\n[period.night]\n\
          rules = [\"monday 00:00-06:00\"]\n",
            "noroshi.toml:3:10: there is no period `nihgt`; did you mean `night`?",
        ),
        (
            "[defaults]\ninterval = \"10ms\"\n[host.a.check.c]\nping = true\n[host.b.check.c]\n\
          ping = true\n",
            "noroshi.toml:2:12: an interval is at least 100 ms; ",
        ),
        (
            "[check.c]\npign = true\nhosts = [\"*\"]\n[host.a]\n",
            "noroshi.toml:2:1: unknown field `pign`; did you mean `ping`?",
        ),
        (
            "[check.c]\nping = true\nhosts = [\"wbe1\"]\n[host.web1]\n",
            "noroshi.toml:3:10: there is no host `wbe1`; did you mean `web1`?",
        ),
    ];
    assert_told(&cases);
}

#[test]
fn a_file_that_cannot_be_read_makes_no_faults_in_others() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), "[contact.ops]\nemail = \"a@example.net\n").unwrap();
    let hosts = "[host.a]\ncontacts = [\"ops\"]\nuse = \"linux\"\nparents = [\"router\"]\n";
    fs::write(folder.path().join("b.toml"), hosts).unwrap();
    let faults = load(Some(folder.path())).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].path.ends_with("a.toml") && faults[0].line == 2, "{}", faults[0]);
}
