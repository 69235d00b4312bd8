//! Which kernel and which operating system.

use std::collections::BTreeMap;

use super::files::{Files, SourceError};
use super::{Kept, Metric, Output, Source};

/// Names the kernel and the host: `/proc/sys/kernel`.
#[derive(Default)]
pub(super) struct Uname {
    kept: Kept,
}

const UNAME: [Metric; 1] =
    [Metric::gauge("node_uname_info", "", "1, with what the kernel says of itself.")];

impl Source for Uname {
    fn name(&self) -> &'static str {
        "uname"
    }

    fn metrics(&self) -> &'static [Metric] {
        &UNAME
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        self.kept.tell(out, |out| read_uname(files, out))
    }
}

fn read_uname(files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
    let mut line = |name: &str| files.proc_line(&format!("sys/kernel/{name}")).map(str::to_owned);
    let release = line("osrelease")?;
    // The file is there since Linux 6.1; before that, what this program was built for.
    let machine = line("arch").unwrap_or_else(|_| std::env::consts::ARCH.to_owned());
    let labels = [
        ("domainname", line("domainname").unwrap_or_default()),
        ("machine", machine),
        ("nodename", line("hostname").unwrap_or_default()),
        ("release", release),
        ("sysname", line("ostype").unwrap_or_default()),
        ("version", line("version").unwrap_or_default()),
    ];
    let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
    out.push("node_uname_info", &labels, 1.0);
    Ok(())
}

/// Names the operating system: `/etc/os-release`.
#[derive(Default)]
pub(super) struct Os {
    kept: Kept,
}

const OS: [Metric; 2] = [
    Metric::gauge("node_os_info", "", "1, with what the operating system says of itself."),
    Metric::gauge("node_os_version", "", "Version: its first number and its second."),
];

/// Label and key of `os-release(5)`.
const OS_LABELS: [(&str, &str); 12] = [
    ("build_id", "BUILD_ID"),
    ("id", "ID"),
    ("id_like", "ID_LIKE"),
    ("image_id", "IMAGE_ID"),
    ("image_version", "IMAGE_VERSION"),
    ("name", "NAME"),
    ("pretty_name", "PRETTY_NAME"),
    ("variant", "VARIANT"),
    ("variant_id", "VARIANT_ID"),
    ("version", "VERSION"),
    ("version_codename", "VERSION_CODENAME"),
    ("version_id", "VERSION_ID"),
];

impl Source for Os {
    fn name(&self) -> &'static str {
        "os"
    }

    fn metrics(&self) -> &'static [Metric] {
        &OS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        self.kept.tell(out, |out| read_os(files, out))
    }
}

fn read_os(files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
    let release = os_release(files)?;
    let text = |key: &str| release.get(key).map_or("", String::as_str);
    let labels = OS_LABELS.map(|(label, key)| (label, text(key)));
    out.push("node_os_info", &labels, 1.0);
    if let Some(version) = version_number(text("VERSION_ID")) {
        let labels = [("id", text("ID")), ("id_like", text("ID_LIKE")), ("name", text("NAME"))];
        out.push("node_os_version", &labels, version);
    }
    Ok(())
}

/// Reads `/etc/os-release`, or `/usr/lib/os-release` when that is missing.
pub(crate) fn os_release(files: &mut Files) -> Result<BTreeMap<String, String>, SourceError> {
    let path = files.root_path("etc/os-release");
    if let Ok(text) = files.read(&path) {
        return Ok(parse_os_release(text));
    }
    let path = files.root_path("usr/lib/os-release");
    files.read(&path).map(parse_os_release)
}

/// Reads lines `KEY=value`, the value bare or in quotes.
///
/// Source: `os-release(5)`. Escapes within quotes occur in no distribution's file; the backslash
/// before a quote, dollar or backslash is dropped all the same.
fn parse_os_release(text: &str) -> BTreeMap<String, String> {
    let mut release = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| {
            value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote))
        });
        let value = quoted.unwrap_or(value);
        let plain = value.replace("\\\"", "\"").replace("\\$", "$").replace("\\\\", "\\");
        release.insert(key.trim().to_owned(), plain);
    }
    release
}

/// `22.04.1` becomes 22.04, `12` becomes 12.
fn version_number(id: &str) -> Option<f64> {
    let end = id.match_indices('.').nth(1).map_or(id.len(), |(place, _)| place);
    id[..end].parse().ok().filter(|version: &f64| version.is_finite())
}
