//! `on_change` and `[plugins]`: what runs, as whom, and when.

use noroshi_checks::{HandlerAction, HandlerSpec};

use super::{assert_told, loaded};

/// Returns the handler of a check of `h` in a configuration.
fn handler(text: &str, check: &str) -> Option<HandlerSpec> {
    let site = loaded(text).site(&[], false);
    let found = site.checks.checks.iter().find(|spec| spec.id.to_string() == check);
    found.unwrap_or_else(|| panic!("no {check}")).on_change.clone()
}

#[test]
fn a_handler_comes_from_the_check_its_template_or_the_defaults() {
    let text = r#"
        [defaults]
        on_change = { command = ["default"] }
        [template.check.page]
        on_change = { url = "http://127.0.0.1/", on = ["hard"] }
        [host.h]
        [host.h.check.plain]
        ping = true
        [host.h.check.paged]
        use = ["page"]
        ping = true
        [host.h.check.own]
        use = ["page"]
        ping = true
        on_change = { command = ["own", "$HOSTNAME$"], on = ["soft"], timeout = "5s" }
        [host.h.check.none]
        ping = true
        on_change = false
    "#;
    let told = |check: &str| {
        handler(text, check).map(|spec| match spec.action {
            HandlerAction::Command { argv } => (argv.join(" "), spec.is_for_soft, spec.is_for_hard),
            HandlerAction::Url { url, method, .. } => {
                (format!("{method} {url}"), spec.is_for_soft, spec.is_for_hard)
            }
        })
    };
    assert_eq!(told("h/plain"), Some(("default".to_owned(), true, true)));
    assert_eq!(told("h/paged"), Some(("POST http://127.0.0.1/".to_owned(), false, true)));
    assert_eq!(told("h/own"), Some(("own $HOSTNAME$".to_owned(), true, false)));
    assert_eq!(told("h/none"), None);
}

#[test]
fn the_limits_of_plugins_have_defaults_and_are_read() {
    let spawner = |text: &str| loaded(text).site(&[], false).checks.plugins;
    let usual = spawner("").spawner.unwrap();
    assert_eq!(usual.limits.memory_bytes_max, Some(1 << 30));
    assert_eq!(usual.user, None);
    let text = "[plugins]\nat_once = 7\nmemory_max = \"64 MiB\"\nprocesses_max = 50\n\
                user = \"nobody\"\nenvironment_macros = true\n";
    let read = spawner(text);
    assert_eq!((read.at_once, read.has_environment_macros), (7, true));
    let own = read.spawner.unwrap();
    assert_eq!((own.limits.processes_max, own.limits.runs_at_once), (Some(50), 23));
    assert_eq!((own.limits.memory_bytes_max, own.user), (Some(64 << 20), Some((65534, 65534))));
}

#[test]
fn mistakes_are_told_with_their_place() {
    assert_told(&[
        ("[plugins]\nuser = \"no-such-user\"\n", "noroshi.toml:2:8: there is no user"),
        ("[plugins]\nmemory_max = \"1 MiB\"\n", "noroshi.toml:2:14: plug-ins need at least 64 MiB"),
        ("[plugins]\nmemory_max = \"much\"\n", "noroshi.toml:2:14: \"much\" is no size"),
        ("[plugins]\nat_once = 0\n", "noroshi.toml:2:11: 0 plug-ins cannot run at once"),
        ("[plugins]\nprocesses_max = 1\n", "noroshi.toml:2:17: the spawner alone has ten threads"),
        ("[host.h]\non_change = true\n", "noroshi.toml:2:13: invalid value"),
        ("[host.h]\non_change = {}\n", "noroshi.toml:2:13: on_change does not say what to do"),
        ("[host.h]\non_change = { url = \"x\" }\n", "noroshi.toml:2:21: \"x\" is no address"),
        ("[host.h]\non_change = { command = \"x\" }\n", "noroshi.toml:2:25: a command is a list"),
        (
            "[host.h]\non_change = { command = [\"x\"], on = [\"weak\"] }\n",
            "noroshi.toml:2:38: there are no \"weak\" changes",
        ),
        (
            "[host.h]\non_change = { command = [\"x\"], body = \"y\" }\n",
            "noroshi.toml:2:39: body is of a url",
        ),
        (
            "[host.h]\non_change = { comand = [\"x\"] }\n",
            "noroshi.toml:2:15: unknown field `comand`",
        ),
    ]);
}
