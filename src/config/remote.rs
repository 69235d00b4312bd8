//! Checks that run on the host itself: by its NRPE server.

use std::fmt;
use std::path::PathBuf;

use noroshi_checks::{NrpeCertificates, NrpeProbe, NrpeTls, NrpeVersion, Probe};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_spanned::Spanned;

use super::check::Faults;
use super::raw::Text;

/// `nrpe = "check_load"`, or a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawNrpe {
    /// Name of the command in the server's `nrpe.cfg`.
    command: String,
    /// Its arguments.
    arguments: Vec<String>,
    /// Where the server is; the host's address when left out.
    host: Option<String>,
    port: Option<u16>,
    tls: RawNrpeTls,
    /// Version of the packets: 2, 3 or 4; found out when left out.
    version: Option<Spanned<u16>>,
}

/// The table as serde reads it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNrpeTable {
    command: String,
    #[serde(default)]
    arguments: Vec<String>,
    host: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    tls: RawNrpeTls,
    version: Option<Spanned<u16>>,
}

impl<'de> Deserialize<'de> for RawNrpe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NrpeVisitor;
        impl<'de> Visitor<'de> for NrpeVisitor {
            type Value = RawNrpe;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command of nrpe.cfg, or a table with `command`")
            }
            fn visit_str<E: de::Error>(self, command: &str) -> Result<RawNrpe, E> {
                Ok(RawNrpe { command: command.to_owned(), ..RawNrpe::default() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawNrpe, A::Error> {
                let table = RawNrpeTable::deserialize(MapAccessDeserializer::new(map))?;
                let RawNrpeTable { command, arguments, host, port, tls, version } = table;
                Ok(RawNrpe { command, arguments, host, port, tls, version })
            }
        }
        deserializer.deserialize_any(NrpeVisitor)
    }
}

/// `tls = true`, `false`, `"anonymous"`, or a table.
#[derive(Clone, Debug)]
enum RawNrpeTls {
    Switch(bool),
    Anonymous,
    Table(Box<RawNrpeCertificates>),
}

impl Default for RawNrpeTls {
    fn default() -> Self {
        Self::Switch(true)
    }
}

/// `tls = {...}`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNrpeCertificates {
    ca_file: Option<Text>,
    server_name: Option<String>,
    certificate_file: Option<Text>,
    key_file: Option<Text>,
    #[serde(default)]
    insecure: bool,
}

impl<'de> Deserialize<'de> for RawNrpeTls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TlsVisitor;
        impl<'de> Visitor<'de> for TlsVisitor {
            type Value = RawNrpeTls;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, \"anonymous\", or a table with `ca_file`")
            }
            fn visit_bool<E: de::Error>(self, is_on: bool) -> Result<RawNrpeTls, E> {
                Ok(RawNrpeTls::Switch(is_on))
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<RawNrpeTls, E> {
                if word == "anonymous" {
                    return Ok(RawNrpeTls::Anonymous);
                }
                Err(E::invalid_value(de::Unexpected::Str(word), &self))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawNrpeTls, A::Error> {
                let table = RawNrpeCertificates::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RawNrpeTls::Table(Box::new(table)))
            }
        }
        deserializer.deserialize_any(TlsVisitor)
    }
}

/// Makes the probe of `nrpe = ...`; `None` after a fault.
pub(super) fn nrpe(faults: &mut Faults<'_>, raw: &Spanned<RawNrpe>) -> Option<Probe> {
    let span = raw.span();
    let raw = raw.get_ref();
    if raw.command.is_empty() || raw.command.contains(['!', ' ']) {
        faults.at(
            &span,
            format!("{:?} is no command of an nrpe.cfg", raw.command),
            "name what stands in command[...]; arguments go into `arguments = [...]`",
        );
        return None;
    }
    let version = match &raw.version {
        None => None,
        Some(number) => {
            let version = NrpeVersion::of(*number.get_ref());
            if version.is_none() {
                let what = format!("NRPE has no version {}", number.get_ref());
                faults.at(&number.span(), what, "write 2, 3 or 4, or leave it out");
            }
            version
        }
    };
    let tls = match &raw.tls {
        RawNrpeTls::Switch(false) => NrpeTls::Plain,
        RawNrpeTls::Switch(true) => NrpeTls::Certificates(NrpeCertificates::default()),
        RawNrpeTls::Anonymous => NrpeTls::Anonymous,
        RawNrpeTls::Table(table) => NrpeTls::Certificates(certificates(faults, table)?),
    };
    Some(Probe::Nrpe(Box::new(NrpeProbe {
        address: raw.host.clone().unwrap_or_default(),
        port: raw.port.unwrap_or(NrpeProbe::PORT),
        command: raw.command.clone(),
        arguments: raw.arguments.clone(),
        tls,
        version,
    })))
}

/// Reads whom to trust and who we are; files stand beside the configuration.
fn certificates(faults: &mut Faults<'_>, raw: &RawNrpeCertificates) -> Option<NrpeCertificates> {
    let mut file = |text: &Text| -> PathBuf {
        let path = faults.sources.folder_at(text.span().start).join(text.get_ref());
        if !path.is_file() {
            let what = format!("there is no file {}", path.display());
            faults.at(&text.span(), what, "write it there, or correct the path");
        }
        path
    };
    let ca_file = raw.ca_file.as_ref().map(&mut file);
    let own = match (&raw.certificate_file, &raw.key_file) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((file(certificate), file(key))),
        (Some(only), None) | (None, Some(only)) => {
            faults.at(
                &only.span(),
                "a certificate needs its key, and a key its certificate".to_owned(),
                "give both certificate_file and key_file",
            );
            return None;
        }
    };
    let server_name = raw.server_name.clone().unwrap_or_default();
    Some(NrpeCertificates { ca_file, server_name, own, is_insecure: raw.insecure })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Config, Fault, load};

    /// Reads a check of host `a` in a folder that holds `a.pem`.
    fn read(check: &str) -> Result<Config, Vec<Fault>> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.pem"), "").unwrap();
        let path = folder.path().join("noroshi.toml");
        fs::write(&path, format!("[host.a.check.c]\n{check}\n")).unwrap();
        load(Some(&path))
    }

    fn probe_of(check: &str) -> NrpeProbe {
        let site = read(check).unwrap().site(&[], true);
        let of_c = site.checks.checks.into_iter().find(|spec| spec.id.to_string() == "a/c");
        match of_c.unwrap().probe.clone() {
            Probe::Nrpe(probe) => *probe,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_of_nrpe_is_a_name_or_a_table() {
        let short = probe_of(r#"nrpe = "check_load""#);
        assert_eq!((short.command.as_str(), short.port, short.version), ("check_load", 5666, None));
        assert_eq!(short.tls, NrpeTls::Certificates(NrpeCertificates::default()));
        let long = probe_of(
            r#"nrpe = {command = "check_disk", arguments = ["10%", "/"], port = 5667, version = 2,
               host = "192.0.2.9", tls = "anonymous"}"#,
        );
        assert_eq!(long.arguments, ["10%", "/"]);
        assert_eq!((long.address.as_str(), long.port), ("192.0.2.9", 5667));
        assert_eq!((long.tls, long.version), (NrpeTls::Anonymous, Some(NrpeVersion::V2)));
        assert_eq!(probe_of(r#"nrpe = {command = "x", tls = false}"#).tls, NrpeTls::Plain);
        let known = probe_of(
            r#"nrpe = {command = "x", tls = {ca_file = "a.pem", server_name = "web1",
               certificate_file = "a.pem", key_file = "a.pem"}}"#,
        );
        let NrpeTls::Certificates(certificates) = known.tls else { panic!("{:?}", known.tls) };
        assert!(certificates.ca_file.unwrap().ends_with("a.pem") && certificates.own.is_some());
        assert_eq!(certificates.server_name, "web1");
    }

    #[test]
    fn what_nrpe_cannot_mean_is_told_with_its_place() {
        for (check, expected) in [
            (r#"nrpe = "check_load -w 5""#, ":2:8: \"check_load -w 5\" is no command"),
            (r#"nrpe = {command = "x", version = 5}"#, ":2:34: NRPE has no version 5"),
            (r#"nrpe = {command = "x", tls = "adh"}"#, ":2:30: invalid value: string \"adh\""),
            (r#"nrpe = {command = "x", tls = {ca_file = "b.pem"}}"#, ":2:41: there is no file"),
            (
                r#"nrpe = {command = "x", tls = {key_file = "a.pem"}}"#,
                ":2:42: a certificate needs its key",
            ),
            (r#"nrpe = {comand = "x"}"#, "did you mean `command`?"),
            ("nrpe = \"x\"\ntcp = \"1\"", "tcp and nrpe at once"),
        ] {
            let faults = read(check).err().unwrap_or_default();
            let texts: Vec<String> = faults.iter().map(Fault::to_string).collect();
            assert!(texts.len() == 1 && texts[0].contains(expected), "{expected}: {texts:?}");
        }
    }
}
