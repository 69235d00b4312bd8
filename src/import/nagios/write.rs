//! The TOML files: `site.toml`, `contacts.toml`, and a file of hosts for each rhythm of host
//! checks, because `[defaults]` is where that stands.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Value;

use super::ImportError;
use super::convert::{CheckOut, Converted, Flapping, HostOut, Look, Times};
use super::nrpe::Nrpe;

/// Writes the files; returns their paths.
pub(super) fn write(converted: &Converted, out: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| ImportError::Write { path, source }
    };
    fs::create_dir_all(out).map_err(fault(out))?;
    for entry in fs::read_dir(out).map_err(fault(out))? {
        let path = entry.map_err(fault(out))?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            return Err(ImportError::NotEmpty { path: out.to_owned() });
        }
    }
    let mut files = vec![
        ("site.toml".to_owned(), site(converted)),
        ("contacts.toml".to_owned(), contacts(converted)),
    ];
    let mut rhythms: BTreeMap<&Times, Vec<&HostOut>> = BTreeMap::new();
    for host in &converted.hosts {
        rhythms.entry(&host.times).or_default().push(host);
    }
    for (index, (times, hosts)) in rhythms.into_iter().enumerate() {
        files.push((format!("hosts-{}.toml", index + 1), hosts_file(times, &hosts)));
    }
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = out.join(name);
        write_new(&path, &text).map_err(fault(&path))?;
        paths.push(path);
    }
    Ok(paths)
}

/// Writes a file that only its owner may read: macros and variables hold passwords.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn site(converted: &Converted) -> String {
    let mut text = "# Imported from Nagios: what is for the whole site.\n".to_owned();
    text += "# Add [smtp] when mail shall be sent; until then nobody is told.\n";
    if let Some(remind) = converted.remind {
        text += &format!("\n[alerts]\nremind = {}\n", humane(remind));
    }
    if !converted.macros.is_empty() {
        text += "\n[macros]\n";
        for (number, value) in &converted.macros {
            text += &format!("USER{number} = {}\n", quoted(value));
        }
    }
    for (name, period) in &converted.periods {
        text += &format!("\n[period.{}]\n", key(name));
        let rules: Vec<String> = period.rules.iter().map(|rule| quoted(rule)).collect();
        text += &format!("rules = [{}]\n", rules.join(", "));
        list(&mut text, "exclude", period.exclude.iter());
    }
    text
}

fn contacts(converted: &Converted) -> String {
    let mut text = "# Imported from Nagios: who is told.\n".to_owned();
    for contact in &converted.contacts {
        text += &format!("\n[contact.{}]\n", key(&contact.name));
        list(&mut text, "email", contact.email.iter());
        list(&mut text, "pager", contact.pager.iter());
        list(&mut text, "statuses", contact.statuses.iter());
    }
    text
}

fn hosts_file(times: &Times, hosts: &[&HostOut]) -> String {
    let mut text = "# Imported from Nagios: hosts whose own check has these times.\n".to_owned();
    text += "\n[defaults]\n";
    text += &written_times(times);
    for host in hosts {
        text += &host_table(host);
        for check in &host.checks {
            text += &check_table(host, check);
        }
    }
    text
}

fn written_times(times: &Times) -> String {
    format!(
        "interval = {}\nretry = {}\ntimeout = {}\nattempts = {}\n",
        humane(times.interval),
        humane(times.retry),
        humane(times.timeout),
        times.attempts
    )
}

fn host_table(host: &HostOut) -> String {
    let mut text = format!("\n[host.{}]\n", key(&host.name));
    said(&mut text, "address", &host.address);
    said(&mut text, "alias", &host.alias);
    list(&mut text, "groups", host.groups.iter());
    list(&mut text, "parents", host.parents.iter());
    list(&mut text, "depends", host.depends.iter());
    handler(&mut text, host.on_change.as_deref());
    list(&mut text, "contacts", host.contacts.iter());
    if host.is_quiet {
        text += "notify = false\n";
    }
    said(&mut text, "notes", &host.notes);
    said(&mut text, "notes_url", &host.notes_url);
    match &host.alive {
        Some(argv) => list(&mut text, "alive", argv.iter()),
        None => text += "alive = \"none\"\n",
    }
    said(&mut text, "period", host.period.as_deref().unwrap_or_default());
    text += &flapping(&host.flapping);
    for (name, value) in &host.variables {
        text += &format!("variables.{} = {}\n", key(name), quoted(value));
    }
    text
}

fn check_table(host: &HostOut, check: &CheckOut) -> String {
    let mut text = format!("\n[host.{}.check.{}]\n", key(&host.name), key(&check.name));
    match &check.look {
        Look::Command(argv) => list(&mut text, "command", argv.iter()),
        Look::Nrpe(nrpe) => text += &nrpe_table(nrpe),
        Look::Passive(silence) => text += &format!("passive = {}\n", humane(*silence)),
    }
    text += &written_times(&check.times);
    list(&mut text, "depends", check.depends.iter());
    handler(&mut text, check.on_change.as_deref());
    if !check.servicegroups.is_empty() {
        let groups: Vec<&str> = check.servicegroups.iter().map(String::as_str).collect();
        text += &format!("labels.servicegroups = {}\n", quoted(&groups.join(",")));
    }
    if check.is_volatile {
        text += "volatile = true\n";
    }
    said(&mut text, "period", check.period.as_deref().unwrap_or_default());
    text += &flapping(&check.flapping);
    for (name, value) in &check.variables {
        text += &format!("variables.{} = {}\n", key(name), quoted(value));
    }
    if check.contacts != host.contacts {
        list(&mut text, "contacts", check.contacts.iter());
    }
    if check.is_quiet != host.is_quiet {
        text += &format!("notify = {}\n", !check.is_quiet);
    }
    said(&mut text, "notes", &check.notes);
    said(&mut text, "notes_url", &check.notes_url);
    text
}

/// Writes what runs when a state changes.
fn handler(text: &mut String, argv: Option<&[String]>) {
    if let Some(argv) = argv {
        let argv: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
        *text += &format!("on_change = {{ command = [{}] }}\n", argv.join(", "));
    }
}

/// Writes a check by NRPE; `check_nrpe` takes any certificate and none.
fn nrpe_table(nrpe: &Nrpe) -> String {
    let mut keys = vec![format!("command = {}", quoted(&nrpe.command))];
    if !nrpe.arguments.is_empty() {
        let list: Vec<String> = nrpe.arguments.iter().map(|text| quoted(text)).collect();
        keys.push(format!("arguments = [{}]", list.join(", ")));
    }
    if !nrpe.host.is_empty() {
        keys.push(format!("host = {}", quoted(&nrpe.host)));
    }
    keys.extend(nrpe.port.map(|port| format!("port = {port}")));
    keys.push(if nrpe.is_plain { "tls = false" } else { "tls = \"anonymous\"" }.to_owned());
    keys.extend(nrpe.is_version_2.then(|| "version = 2".to_owned()));
    format!("nrpe = {{ {} }}\n", keys.join(", "))
}

/// Writes when flapping is looked for.
fn flapping(flapping: &Flapping) -> String {
    match flapping {
        Flapping::Usual => String::new(),
        Flapping::Off => "flapping = false\n".to_owned(),
        Flapping::Limits(low, high) => {
            format!("flapping = {{ low = {low:?}, high = {high:?} }}\n")
        }
    }
}

/// Writes a text that is not empty.
fn said(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        *text += &format!("{name} = {}\n", quoted(value));
    }
}

/// Writes a list that is not empty.
fn list(text: &mut String, name: &str, values: impl Iterator<Item = impl AsRef<str>>) {
    let values: Vec<String> = values.map(|value| quoted(value.as_ref())).collect();
    if !values.is_empty() {
        *text += &format!("{name} = [{}]\n", values.join(", "));
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// Writes a key, in quotes where it needs them.
fn key(name: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    if !name.is_empty() && name.chars().all(is_bare) {
        return name.to_owned();
    }
    // A key in quotes may not span lines as a value may; names have no line ends.
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
    format!("\"{escaped}\"")
}

/// Writes a duration with the largest unit that keeps it exact.
pub(super) fn humane(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let (size, unit) = units
        .into_iter()
        .find(|(size, _)| ms >= *size && ms.is_multiple_of(*size))
        .unwrap_or((1, "ms"));
    format!("\"{}{unit}\"", ms / size)
}
