//! Macros in the addresses that are polled: what templates of hosts say once for many.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::ops::Range;

use noroshi_checks::HostSpec;
use noroshi_collector::PollSpec;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::Faults;

/// The keys whose texts are expanded.
const ADDRESSES: [&str; 2] = ["url", "address"];

/// Finds the addresses in a host's table `poll`, with their places.
pub(super) fn addresses(table: &DeTable<'_>) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    if let Some(DeValue::Table(polls)) = table.get("poll").map(Spanned::get_ref) {
        collect(polls, &mut found);
    }
    found
}

fn collect(table: &DeTable<'_>, found: &mut Vec<(Range<usize>, String)>) {
    for (key, value) in table {
        match value.get_ref() {
            DeValue::Table(table) => collect(table, found),
            DeValue::String(text) if ADDRESSES.contains(&key.get_ref().as_ref()) => {
                found.push((value.span(), text.to_string()));
            }
            _ => {}
        }
    }
}

/// Notes addresses whose macros cannot be expanded for a host.
pub(super) fn check(
    faults: &mut Faults<'_>,
    addresses: &[(Range<usize>, String)],
    host: &HostSpec,
) {
    for (place, text) in addresses {
        if let Err(what) = expanded(text, host) {
            let advice = "write $HOSTADDRESS$, $HOSTNAME$, $HOSTALIAS$ or $_HOSTX$ for \
                          variables.X; $$ is a $";
            faults.at(place, what, advice);
        }
    }
}

/// Expands the macros in the addresses of polls; [`check`] has told what cannot be.
pub(super) fn expand(polls: &mut [PollSpec], host: &HostSpec) {
    for poll in polls {
        let address = poll.target.address_mut();
        if let Ok(text) = expanded(address, host) {
            *address = text;
        }
    }
}

/// Expands the macros of an address. A value becomes no other part of it than where it stands:
/// in the place of the host only what hosts and ports are made of is taken, and IPv6 gets its
/// brackets; behind that everything is percent-encoded (RFC 3986, sections 3.2.2 and 2.1).
fn expanded(text: &str, host: &HostSpec) -> Result<String, String> {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        whole.push_str(before);
        // As in the texts of checks: what is no macro stays as it is.
        let named = after.split_once('$').filter(|(name, _)| is_name(name));
        let Some((name, after)) = named else {
            whole.push('$');
            rest = after.strip_prefix('$').unwrap_or(after);
            continue;
        };
        rest = after;
        let value = value(name, host)
            .ok_or_else(|| format!("${name}$ means nothing for host `{}`", host.name))?;
        let behind_scheme = whole.split_once("://").map_or(whole.as_str(), |(_, rest)| rest);
        if behind_scheme.contains(['/', '?', '#']) {
            whole.push_str(&encoded(&value));
        } else {
            let is_bracketed = whole.ends_with('[');
            let value = authority(&value, is_bracketed).ok_or_else(|| {
                format!("${name}$ is {value:?} for host `{}`, which is no host", host.name)
            })?;
            whole.push_str(&value);
        }
    }
    whole.push_str(rest);
    Ok(whole)
}

/// Tells whether it could be a macro's name.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_') && text.chars().all(is_part)
}

/// Returns what a macro stands for; `None` when it stands for nothing.
fn value<'a>(name: &str, host: &'a HostSpec) -> Option<Cow<'a, str>> {
    let or_name = |text: &'a str| Cow::from(if text.is_empty() { &host.name } else { text });
    match name {
        "HOSTNAME" => Some(Cow::from(&host.name)),
        "HOSTALIAS" => Some(or_name(&host.alias)),
        "HOSTADDRESS" => Some(or_name(&host.address)),
        _ => {
            let name = name.strip_prefix("_HOST")?;
            let named = host.variables.iter().chain(&host.labels);
            let mut named = named.filter(|(key, _)| key.eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| Cow::from(value))
        }
    }
}

/// Returns a value as host or port of an address; `None` when it cannot be one.
fn authority(value: &str, is_bracketed: bool) -> Option<String> {
    if value.parse::<Ipv6Addr>().is_ok() {
        return Some(if is_bracketed { value.to_owned() } else { format!("[{value}]") });
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (!value.is_empty() && value.chars().all(is_part)).then(|| value.to_owned())
}

/// Encodes all but the unreserved characters.
fn encoded(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn host(address: &str) -> HostSpec {
        let mut host = HostSpec::new("web1", address);
        host.variables.insert("port".to_owned(), "8080".to_owned());
        host.labels.insert("path".to_owned(), "a/b?c=d&e".to_owned());
        host
    }

    #[test]
    fn macros_are_expanded_where_they_stand_and_become_nothing_else() {
        for (text, address, want) in [
            ("http://$HOSTADDRESS$/status", "192.0.2.7", "http://192.0.2.7/status"),
            ("http://$HOSTADDRESS$:$_HOSTPORT$/", "192.0.2.7", "http://192.0.2.7:8080/"),
            ("http://$HOSTADDRESS$:81/", "2001:db8::7", "http://[2001:db8::7]:81/"),
            ("http://[$HOSTADDRESS$]:81/", "2001:db8::7", "http://[2001:db8::7]:81/"),
            ("$HOSTADDRESS$:11211", "2001:db8::7", "[2001:db8::7]:11211"),
            ("http://x/$HOSTNAME$?of=$_HOSTPATH$", "", "http://x/web1?of=a%2Fb%3Fc%3Dd%26e"),
            ("http://$HOSTADDRESS$/a$$b", "", "http://web1/a$b"),
            ("http://x/$metadata?a=$b", "", "http://x/$metadata?a=$b"),
            ("http://x/", "", "http://x/"),
        ] {
            assert_eq!(expanded(text, &host(address)).as_deref(), Ok(want), "{text}");
        }
        for (text, address, want) in [
            ("http://$HOSTADDRES$/", "x", "$HOSTADDRES$ means nothing for host `web1`"),
            ("http://$_HOSTNONE$/", "x", "$_HOSTNONE$ means nothing for host `web1`"),
            (
                "http://$HOSTADDRESS$/",
                "a@b",
                "$HOSTADDRESS$ is \"a@b\" for host `web1`, which is no",
            ),
            (
                "http://$HOSTADDRESS$/",
                "a/b#",
                "$HOSTADDRESS$ is \"a/b#\" for host `web1`, which is",
            ),
        ] {
            let told = expanded(text, &host(address)).unwrap_err();
            assert!(told.starts_with(want), "{text}: {told}");
        }
    }

    #[test]
    fn a_template_polls_each_of_its_hosts_and_a_mistake_is_told_with_its_place() {
        let read = |text: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("noroshi.toml");
            std::fs::write(&path, text).unwrap();
            load(Some(&path))
        };
        let template = "[template.host.web.poll.nginx]\nurl = \"http://$HOSTADDRESS$/status\"\n";
        let config = read(&format!(
            "{template}[host.a]\nuse = \"web\"\naddress = \"192.0.2.1\"\n\
             [host.b]\nuse = \"web\"\naddress = \"2001:db8::2\"\n\
             [host.c]\nuse = \"web\"\npoll.nginx.url = \"http://192.0.2.3/s\"\n"
        ));
        let polls = config.unwrap().site(&[], true).polls;
        let url = |name: &str| {
            let mut poll = polls.iter().find(|poll| poll.instance == name).unwrap().clone();
            poll.target.address_mut().clone()
        };
        assert_eq!(url("a"), "http://192.0.2.1/status");
        assert_eq!(url("b"), "http://[2001:db8::2]/status");
        assert_eq!(url("c"), "http://192.0.2.3/s");
        let wrong = "[host.a.poll.nginx]\nurl = \"http://$HOSTADRESS$/\"\n";
        let faults = read(wrong).unwrap_err();
        let told = faults[0].to_string();
        assert!(
            told.contains("noroshi.toml:2:7: $HOSTADRESS$ means nothing for host `a`"),
            "{told}"
        );
        assert_eq!(faults.len(), 1);
    }
}
