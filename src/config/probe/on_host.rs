//! `process`, `port`, `file`: what is looked at on the host itself.

use noroshi_checks::Probe;
use noroshi_checks::on_host::{FileLook, HostLook, PortLook, PortProtocol, ProcessLook};
use serde::Deserialize;
use serde_spanned::Spanned;

use super::{Brief, table, times};
use crate::config::check::Faults;
use crate::config::raw::{Humane, RawCheck, Text};
use crate::config::storage::parse_bytes;

/// `process = { ... }`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawProcess {
    name: Option<String>,
    cmdline: Option<String>,
    user: Option<String>,
    min: Option<u32>,
    max: Option<u32>,
    memory_warning: Option<Text>,
    memory_critical: Option<Text>,
    cpu_warning: Option<f64>,
    cpu_critical: Option<f64>,
}

/// `port = { ... }`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPort {
    /// The number, or `"53/udp"`.
    port: Option<Spanned<Brief<()>>>,
    address: Option<Text>,
    listening: Option<bool>,
}

/// `file = { ... }`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawFile {
    path: String,
    min: Option<u32>,
    max: Option<u32>,
    age_warning: Option<Spanned<Humane>>,
    age_critical: Option<Spanned<Humane>>,
    size_min: Option<Text>,
    size_max: Option<Text>,
}

/// Makes the probe of what a table names; `None` when it names none of these, or after a fault.
pub(super) fn on_host(faults: &mut Faults<'_>, raw: &RawCheck) -> Option<Probe> {
    let (look, place) = if let Some(said) = &raw.process {
        (HostLook::Process(process(faults, said)?), said.span())
    } else if let Some(said) = &raw.port {
        (HostLook::Port(port(faults, said)?), said.span())
    } else {
        let said = raw.file.as_ref()?;
        (HostLook::File(file(faults, said)?), said.span())
    };
    if let Some(fault) = look.fault() {
        faults.at(&place, fault, "correct it");
        return None;
    }
    Some(Probe::OnHost(look))
}

fn process(faults: &mut Faults<'_>, said: &Spanned<Brief<RawProcess>>) -> Option<ProcessLook> {
    let put = |table: &mut RawProcess, text: &str| {
        table.name = Some(text.to_owned());
        !text.is_empty()
    };
    let advice = "write the name of a program, or { cmdline = \"...\", user = \"...\" }";
    let raw = table(faults, said, put, advice)?;
    check_count(faults, said.span(), raw.min, raw.max);
    Some(ProcessLook {
        name: raw.name,
        cmdline: raw.cmdline,
        user: raw.user,
        min: least(raw.min, raw.max),
        max: raw.max,
        memory_warning: size(faults, raw.memory_warning.as_ref()),
        memory_critical: size(faults, raw.memory_critical.as_ref()),
        cpu_warning: raw.cpu_warning,
        cpu_critical: raw.cpu_critical,
    })
}

fn port(faults: &mut Faults<'_>, said: &Spanned<Brief<RawPort>>) -> Option<PortLook> {
    let put = |table: &mut RawPort, text: &str| {
        table.port = Some(Spanned::new(said.span(), Brief::Text(text.to_owned())));
        !text.is_empty()
    };
    let advice = "write a number such as 3306, or \"53/udp\"";
    let raw = table(faults, said, put, advice)?;
    let place = raw.port.as_ref().map_or(said.span(), Spanned::span);
    let text = match raw.port.as_ref().map(Spanned::get_ref) {
        Some(Brief::Text(text)) => text.as_str(),
        _ => "",
    };
    let (number, protocol) = match text.split_once('/') {
        None => (text, Some(PortProtocol::Tcp)),
        Some((number, "tcp")) => (number, Some(PortProtocol::Tcp)),
        Some((number, "udp")) => (number, Some(PortProtocol::Udp)),
        Some((number, _)) => (number, None),
    };
    let (Ok(port @ 1..), Some(protocol)) = (number.parse(), protocol) else {
        faults.at(&place, format!("{text:?} is no port"), advice);
        return None;
    };
    let mut address = None;
    if let Some(text) = &raw.address {
        address = text.get_ref().parse().ok();
        if address.is_none() {
            let what = format!("{:?} is no IP address", text.get_ref());
            faults.at(&text.span(), what, "write one such as 127.0.0.1, or leave it out");
        }
    }
    Some(PortLook { port, protocol, address, is_listening: raw.listening.unwrap_or(true) })
}

fn file(faults: &mut Faults<'_>, said: &Spanned<Brief<RawFile>>) -> Option<FileLook> {
    let put = |table: &mut RawFile, text: &str| {
        text.clone_into(&mut table.path);
        !text.is_empty()
    };
    let advice = "write a path, or { path = \"...\", age_critical = \"25h\" }";
    let raw = table(faults, said, put, advice)?;
    check_count(faults, said.span(), raw.min, raw.max);
    let ages = times(faults, raw.age_warning.as_ref(), raw.age_critical.as_ref());
    Some(FileLook {
        path: raw.path,
        min: least(raw.min, raw.max),
        max: raw.max,
        age_warning: ages.0.map(|age| age.as_secs_f64()),
        age_critical: ages.1.map(|age| age.as_secs_f64()),
        size_min: size(faults, raw.size_min.as_ref()),
        size_max: size(faults, raw.size_max.as_ref()),
    })
}

/// Returns how many there must be: one, unless none may be there.
fn least(min: Option<u32>, max: Option<u32>) -> u32 {
    min.unwrap_or(u32::from(max != Some(0)))
}

fn check_count(
    faults: &mut Faults<'_>,
    place: std::ops::Range<usize>,
    min: Option<u32>,
    max: Option<u32>,
) {
    if max.is_some_and(|max| max < least(min, Some(max))) {
        let what = "`max` is below `min`".to_owned();
        faults.at(&place, what, "write the smaller number as min");
    }
}

/// Reads a size.
fn size(faults: &mut Faults<'_>, text: Option<&Text>) -> Option<f64> {
    let text = text?;
    let bytes = parse_bytes(text.get_ref());
    if bytes.is_none() {
        let what = format!("{:?} is no size", text.get_ref());
        faults.at(&text.span(), what, "write it with its unit, such as \"2 GiB\"");
    }
    bytes.map(|bytes| bytes as f64)
}
