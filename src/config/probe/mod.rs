//! How a check looks: the native probes, from a text or a table with all options.
//!
//! | file | what |
//! |---|---|
//! | `table` | the tables as they are written |
//! | `cluster` | N of M members |
//! | `http` | what an HTTP check asks and wants |
//! | `on_host` | processes, ports and files of the host |
//! | `service` | TCP, and the services that speak over it |

pub(super) mod cluster;
mod http;
mod on_host;
mod service;
mod table;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use noroshi_checks::{DnsProbe, Family, IcmpProbe, NtpProbe, PassiveProbe, Probe, TlsProbe};
use serde_spanned::Spanned;

use super::check::Faults;
use super::raw::{Humane, RawCheck};
pub(crate) use on_host::{RawFile, RawPort, RawProcess};
pub(crate) use table::{
    Brief, RawCluster, RawDns, RawHttp, RawNtp, RawPing, RawService, RawTls, Said,
};

/// Makes the probe that a table names; `None` when it names none, or after a fault.
pub(super) fn native(faults: &mut Faults<'_>, raw: &RawCheck) -> Option<Probe> {
    if let Some(said) = &raw.http {
        return http::http(faults, said, raw);
    }
    if let Some(said) = &raw.cluster {
        return cluster::cluster(faults, said);
    }
    if let Some(every) = &raw.heartbeat {
        return heartbeat(faults, every);
    }
    if let Some(said) = &raw.ping {
        return ping(faults, said);
    }
    if let Some(said) = &raw.dns {
        return dns(faults, said);
    }
    if let Some(said) = &raw.tls {
        return tls(faults, said);
    }
    if let Some(said) = &raw.ntp {
        return ntp(faults, said);
    }
    if raw.process.is_some() || raw.port.is_some() || raw.file.is_some() {
        return on_host::on_host(faults, raw);
    }
    service::service(faults, raw)
}

/// Makes a table of what was said: the text goes where `text` puts it.
fn table<T: Clone + Default>(
    faults: &mut Faults<'_>,
    said: &Spanned<Brief<T>>,
    text: impl Fn(&mut T, &str) -> bool,
    advice: &str,
) -> Option<T> {
    let mut table = T::default();
    match said.get_ref() {
        Brief::Table(table) => return Some((**table).clone()),
        // What needs a text cannot do with `true`.
        Brief::Flag(true) if text(&mut T::default(), "") => return Some(table),
        Brief::Text(said) if text(&mut table, said) && !said.is_empty() => return Some(table),
        Brief::Flag(false) => {
            let what = "`false` does not say how to look".to_owned();
            faults.at(&said.span(), what, "remove the line");
        }
        Brief::Flag(true) => {
            faults.at(&said.span(), "`true` does not say what to ask".to_owned(), advice);
        }
        Brief::Text(_) => {
            faults.at(&said.span(), "an empty text does not say what to ask".to_owned(), advice);
        }
    }
    None
}

/// Tells whether a problem needs no second look: of a cluster each member has had its own, and
/// what did not call in did not.
pub(super) fn is_sure_at_once(probe: &Probe) -> bool {
    match probe {
        Probe::Cluster(_) => true,
        Probe::Passive(passive) => passive.is_heartbeat,
        _ => false,
    }
}

fn heartbeat(faults: &mut Faults<'_>, every: &Spanned<Humane>) -> Option<Probe> {
    let span = every.get_ref().0;
    if span < Duration::from_secs(1) {
        let what = "a heartbeat has at least a second".to_owned();
        faults.at(&every.span(), what, "write how long it may be silent, such as \"10m\"");
        return None;
    }
    Some(Probe::Passive(PassiveProbe::heartbeat(span)))
}

fn ping(faults: &mut Faults<'_>, said: &Spanned<Brief<RawPing>>) -> Option<Probe> {
    let put = |table: &mut RawPing, text: &str| {
        text.clone_into(&mut table.address);
        true
    };
    let raw = table(faults, said, put, "write true or an address")?;
    let mut probe = IcmpProbe { address: raw.address, ..IcmpProbe::default() };
    if let Some(count) = &raw.count {
        within(faults, count, 1..=100, "requests");
        probe.count = *count.get_ref();
    }
    if let Some(spacing) = &raw.spacing {
        probe.spacing = spacing.get_ref().0;
    }
    if let Some(bytes) = &raw.payload_bytes {
        within(faults, bytes, 0..=9000, "bytes");
        probe.payload_bytes = *bytes.get_ref();
    }
    for (raw, value) in [
        (&raw.loss_warning, &mut probe.loss_warning),
        (&raw.loss_critical, &mut probe.loss_critical),
    ] {
        if let Some(loss) = raw {
            within(faults, loss, 0.0..=100.0, "per cent");
            *value = *loss.get_ref();
        }
    }
    (probe.rtt_warning, probe.rtt_critical) =
        times(faults, raw.rtt_warning.as_ref(), raw.rtt_critical.as_ref());
    Some(Probe::Icmp(probe))
}

fn dns(faults: &mut Faults<'_>, said: &Spanned<Brief<RawDns>>) -> Option<Probe> {
    let put = |table: &mut RawDns, text: &str| {
        table.name = Some(Spanned::new(said.span(), text.to_owned()));
        !text.is_empty()
    };
    let advice = "write the name to ask for, or { name = \"...\", record = \"...\" }";
    let raw = table(faults, said, put, advice)?;
    let name = needed(faults, raw.name.as_ref(), "name", &said.span())?;
    let record = raw.record.as_ref().map_or("A", |record| record.get_ref()).to_uppercase();
    if let Some(written) = raw.record.as_ref().filter(|_| !DnsProbe::is_record(&record)) {
        let what = format!("{:?} is no type of record", written.get_ref());
        faults.at(&written.span(), what, "write one such as A, AAAA, MX, NS, SOA, TXT or SRV");
    }
    let (warning, critical) = times(faults, raw.warning.as_ref(), raw.critical.as_ref());
    Some(Probe::Dns(DnsProbe {
        server: raw.server,
        name,
        record,
        expect: raw.expect,
        is_authoritative: raw.authority,
        warning,
        critical,
    }))
}

fn tls(faults: &mut Faults<'_>, said: &Spanned<Brief<RawTls>>) -> Option<Probe> {
    let put = |table: &mut RawTls, text: &str| {
        table.target = Some(Spanned::new(said.span(), text.to_owned()));
        true
    };
    let raw = table(faults, said, put, "write true, a port, or host:port")?;
    let days =
        days(faults, raw.certificate_days_warning.as_ref(), raw.certificate_days_critical.as_ref());
    Some(Probe::Tls(TlsProbe {
        target: raw.target.map(Spanned::into_inner).unwrap_or_default(),
        server_name: raw.server_name,
        days_warning: days.0,
        days_critical: days.1,
        is_insecure: raw.insecure,
        family: family(faults, raw.ip.as_ref()),
    }))
}

fn ntp(faults: &mut Faults<'_>, said: &Spanned<Brief<RawNtp>>) -> Option<Probe> {
    let put = |table: &mut RawNtp, text: &str| {
        text.clone_into(&mut table.server);
        true
    };
    let raw = table(faults, said, put, "write true or a server")?;
    let (warning, critical) =
        times(faults, raw.offset_warning.as_ref(), raw.offset_critical.as_ref());
    let defaults = NtpProbe::default();
    if let Some(stratum) = &raw.stratum_max {
        within(faults, stratum, 1..=15, "as a stratum");
    }
    Some(Probe::Ntp(NtpProbe {
        server: raw.server,
        offset_warning: warning.unwrap_or(defaults.offset_warning),
        offset_critical: critical.unwrap_or(defaults.offset_critical),
        stratum_max: raw.stratum_max.map_or(defaults.stratum_max, Spanned::into_inner),
    }))
}

/// Returns a text that must be there.
fn needed(
    faults: &mut Faults<'_>,
    text: Option<&Spanned<String>>,
    key: &str,
    place: &Range<usize>,
) -> Option<String> {
    if text.is_none() {
        faults.at(place, format!("missing field `{key}`"), "add it to this table");
    }
    text.map(|text| text.get_ref().clone())
}

/// Returns the limits of a time; the one for critical is not below the one for warning.
fn times(
    faults: &mut Faults<'_>,
    warning: Option<&Spanned<Humane>>,
    critical: Option<&Spanned<Humane>>,
) -> (Option<Duration>, Option<Duration>) {
    let times = (warning.map(|time| time.get_ref().0), critical.map(|time| time.get_ref().0));
    if let ((Some(warning), Some(limit)), Some(critical)) = (times, critical)
        && limit < warning
    {
        faults.at(
            &critical.span(),
            "critical comes before warning".to_owned(),
            "give critical the longer time",
        );
    }
    times
}

/// Returns the limits of a certificate's days.
fn days(
    faults: &mut Faults<'_>,
    warning: Option<&Spanned<f64>>,
    critical: Option<&Spanned<f64>>,
) -> (f64, f64) {
    let days = (warning.map_or(21.0, |d| *d.get_ref()), critical.map_or(7.0, |d| *d.get_ref()));
    if let Some(place) = critical.or(warning).filter(|_| days.1 > days.0) {
        faults.at(
            &place.span(),
            format!("critical at {} days comes before warning at {}", days.1, days.0),
            "give warning the more days",
        );
    }
    days
}

/// Returns which addresses are used.
fn family(faults: &mut Faults<'_>, ip: Option<&Spanned<u8>>) -> Family {
    match ip.map(|ip| (*ip.get_ref(), ip.span())) {
        None => Family::Any,
        Some((4, _)) => Family::V4,
        Some((6, _)) => Family::V6,
        Some((other, span)) => {
            faults.at(&span, format!("there is no IP version {other}"), "write 4 or 6");
            Family::Any
        }
    }
}

/// Notes a number that is out of its range.
fn within<T: Copy + PartialOrd + std::fmt::Display>(
    faults: &mut Faults<'_>,
    value: &Spanned<T>,
    range: std::ops::RangeInclusive<T>,
    what: &str,
) {
    if !range.contains(value.get_ref()) {
        let advice = format!("write {} to {}", range.start(), range.end());
        faults.at(&value.span(), format!("{} {what} is out of range", value.get_ref()), &advice);
    }
}
