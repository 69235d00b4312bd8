//! `tcp`, and the services that speak over it: one table for all, what does not fit is told.

use noroshi_checks::{Probe, Protocol, Security, TcpProbe};
use serde_spanned::Spanned;

use super::{Brief, RawService, days, family, table, times};
use crate::config::check::Faults;
use crate::config::raw::{RawCheck, Text};

/// As whom a database is greeted; nobody signs in.
const USER: &str = "noroshi";

/// Makes the probe of the service that a table names.
pub(super) fn service(faults: &mut Faults<'_>, raw: &RawCheck) -> Option<Probe> {
    let services = [
        ("tcp", &raw.tcp),
        ("smtp", &raw.smtp),
        ("imap", &raw.imap),
        ("pop3", &raw.pop3),
        ("ssh", &raw.ssh),
        ("ftp", &raw.ftp),
        ("ldap", &raw.ldap),
        ("mysql", &raw.mysql),
        ("postgresql", &raw.postgresql),
    ];
    let (kind, said) = services.iter().find_map(|(kind, said)| Some((*kind, said.as_ref()?)))?;
    // Only a plain connection has no usual port.
    let put = |table: &mut RawService, text: &str| {
        table.target = Some(Spanned::new(said.span(), text.to_owned()));
        kind != "tcp" || !text.is_empty()
    };
    let raw = table(faults, said, put, "write a port or host:port")?;
    let protocol = protocol(kind, &raw);
    for (key, text) in misplaced(kind, &raw) {
        let what = format!("{kind} has no `{key}`");
        faults.at(&text.span(), what, "remove it");
    }
    let mut probe = TcpProbe::new(raw.target.as_ref().map_or("", |t| t.get_ref()), protocol);
    if let Some(security) = &raw.security {
        probe.security = self::security(faults, kind, security, &probe.protocol);
    }
    check_target(faults, said, &raw, &probe);
    probe.server_name = raw.server_name;
    probe.is_insecure = raw.insecure;
    let days =
        days(faults, raw.certificate_days_warning.as_ref(), raw.certificate_days_critical.as_ref());
    probe.certificate_days_warning = Some(days.0);
    probe.certificate_days_critical = Some(days.1);
    probe.greeting = raw.greeting.map(Spanned::into_inner).unwrap_or_default();
    probe.family = family(faults, raw.ip.as_ref());
    (probe.warning, probe.critical) = times(faults, raw.warning.as_ref(), raw.critical.as_ref());
    Some(Probe::Tcp(probe))
}

fn protocol(kind: &str, raw: &RawService) -> Protocol {
    let text = |text: &Option<Text>| text.as_ref().map(|t| t.get_ref().clone());
    let user = || text(&raw.user).unwrap_or_else(|| USER.to_owned());
    match kind {
        "smtp" => Protocol::Smtp,
        "imap" => Protocol::Imap,
        "pop3" => Protocol::Pop3,
        "ssh" => Protocol::Ssh,
        "ftp" => Protocol::Ftp,
        "ldap" => Protocol::Ldap { base: text(&raw.base).unwrap_or_default() },
        "mysql" => Protocol::Mysql { user: user() },
        "postgresql" => {
            Protocol::Postgresql { user: user(), database: text(&raw.database).unwrap_or_default() }
        }
        _ if raw.send.is_some() || raw.expect.is_some() => Protocol::Expect {
            send: text(&raw.send).unwrap_or_default(),
            expect: text(&raw.expect).unwrap_or_default(),
        },
        _ => Protocol::Connect,
    }
}

/// Returns the keys that are there and mean nothing to the service.
fn misplaced<'a>(kind: &str, raw: &'a RawService) -> Vec<(&'static str, &'a Text)> {
    let is_greeting = matches!(kind, "smtp" | "imap" | "pop3" | "ssh" | "ftp");
    let keys = [
        ("send", &raw.send, kind == "tcp"),
        ("expect", &raw.expect, kind == "tcp"),
        ("greeting", &raw.greeting, is_greeting),
        ("base", &raw.base, kind == "ldap"),
        ("user", &raw.user, matches!(kind, "mysql" | "postgresql")),
        ("database", &raw.database, kind == "postgresql"),
    ];
    let wrong = keys.into_iter().filter(|(_, _, is_allowed)| !is_allowed);
    wrong.filter_map(|(key, text, _)| Some((key, text.as_ref()?))).collect()
}

fn security(faults: &mut Faults<'_>, kind: &str, said: &Text, protocol: &Protocol) -> Security {
    let can = |is_able: bool, security| is_able.then_some(security);
    let has_tls = !matches!(protocol, Protocol::Ssh | Protocol::Mysql { .. })
        && !matches!(protocol, Protocol::Postgresql { .. });
    let security = match said.get_ref().as_str() {
        "none" => Some(Security::None),
        "starttls" => can(protocol.has_start_tls(), Security::StartTls),
        "tls" => can(has_tls, Security::Tls),
        _ => None,
    };
    security.unwrap_or_else(|| {
        let words = [("\"starttls\"", protocol.has_start_tls()), ("\"tls\"", has_tls)];
        let known: Vec<&str> =
            words.iter().filter(|(_, is)| *is).map(|(word, _)| *word).chain(["\"none\""]).collect();
        let what = format!("{kind} has no security {:?}", said.get_ref());
        faults.at(&said.span(), what, &format!("write {}", known.join(" or ")));
        Security::None
    })
}

/// Notes a target without a port where there is no usual one.
fn check_target(
    faults: &mut Faults<'_>,
    said: &Spanned<Brief<RawService>>,
    raw: &RawService,
    probe: &TcpProbe,
) {
    let span = raw.target.as_ref().map_or(said.span(), Spanned::span);
    // What macros make of it is seen when it runs.
    if !probe.target.contains('$') && !probe.has_port() {
        let what = format!("{:?} is no port and no host:port", probe.target);
        faults.at(&span, what, "write one such as 5432 or db1.example.org:5432");
    }
}
