//! `[command_file]`, `[nsca]`, `[result_files]`: results whose senders hear no answer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use noroshi_checks::{Network, NetworkError, NscaMethod, NscaSpec, ResultFilesSpec, Secret};
use serde::Deserialize;
use serde_spanned::Spanned;

use super::check::Faults;
use super::people::read;
use super::raw::{Humane, RawConfig, Text};

/// `[command_file]`: Nagios' external commands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawCommandFile {
    /// The named pipe.
    path: Option<Text>,
}

/// `[nsca]`: results by `send_nsca`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawNsca {
    /// Address and port to listen on.
    listen: Option<Text>,
    /// How senders encrypt: name or number of their `encryption_method`.
    encryption: Option<Text>,
    password: Option<Text>,
    password_file: Option<Text>,
    /// How old a packet may be.
    age_max: Option<Spanned<Humane>>,
    /// Networks whose senders are heard.
    allow: Option<Vec<Text>>,
}

/// `[result_files]`: Nagios' check result files.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawResultFiles {
    /// The folder.
    path: Option<Text>,
    /// How old a file may be.
    age_max: Option<Spanned<Humane>>,
}

/// How results come in whose senders hear no answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HandedIn {
    /// Where external commands are read.
    pub(crate) command_file: Option<PathBuf>,
    /// How `send_nsca` is listened to.
    pub(crate) nsca: Option<NscaSpec>,
    /// Where check result files are read.
    pub(crate) result_files: Option<ResultFilesSpec>,
}

impl HandedIn {
    /// Tells whether there is any such road.
    pub(crate) fn is_any(&self) -> bool {
        self.command_file.is_some() || self.nsca.is_some() || self.result_files.is_some()
    }
}

/// Where senders expect to be heard.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), NscaSpec::PORT);
/// Longest age of a packet: NSCA's own limit of `max_packet_age`.
const AGE_MAX: Duration = Duration::from_mins(15);

/// Adds what one file says.
pub(super) fn resolve(faults: &mut Faults<'_>, raw: &RawConfig, handed: &mut HandedIn) {
    let path = |faults: &Faults<'_>, text: &Text| {
        faults.sources.folder_at(text.span().start).join(text.get_ref())
    };
    if let Some(text) = &raw.command_file.path {
        handed.command_file = Some(path(faults, text));
    }
    if let Some(raw) = &raw.nsca {
        handed.nsca = nsca(faults, raw);
    }
    let files = &raw.result_files;
    if let Some(text) = &files.path {
        let folder = path(faults, text);
        if !folder.is_dir() {
            let what = format!("there is no folder {}", folder.display());
            faults.at(&text.span(), what, "make it, writable for whoever hands results in");
        }
        let age_max =
            files.age_max.as_ref().map_or(ResultFilesSpec::AGE_MAX, |age| age.get_ref().0);
        handed.result_files = Some(ResultFilesSpec { folder, age_max });
    }
}

fn nsca(faults: &mut Faults<'_>, spanned: &Spanned<RawNsca>) -> Option<NscaSpec> {
    let (span, raw) = (spanned.span(), spanned.get_ref());
    let listen = match &raw.listen {
        None => LISTEN,
        Some(text) => text.get_ref().parse().unwrap_or_else(|_| {
            let what = format!("{:?} is no address to listen on", text.get_ref());
            faults.at(&text.span(), what, "write address and port, such as 0.0.0.0:5667");
            LISTEN
        }),
    };
    let names: Vec<&str> = NscaMethod::ALL.iter().map(|(_, _, name)| *name).collect();
    let names = names.join(", ");
    let Some(said) = &raw.encryption else {
        let what = "[nsca] does not say how senders encrypt".to_owned();
        let advice = format!(
            "write encryption = \"...\" as encryption_method in their send_nsca.cfg says: {names}"
        );
        faults.at(&span, what, &advice);
        return None;
    };
    let Some(method) = NscaMethod::of(said.get_ref()) else {
        let what = format!("{:?} is no encryption that is spoken here", said.get_ref());
        let advice = format!("let senders use one of {names}, or its number as in send_nsca.cfg");
        faults.at(&said.span(), what, &advice);
        return None;
    };
    let password = match (&raw.password, &raw.password_file) {
        (Some(_), Some(file)) => {
            let what = "`password` and `password_file` at once".to_owned();
            faults.at(&file.span(), what, "remove one of them");
            return None;
        }
        (Some(password), None) => password.get_ref().clone(),
        (None, Some(file)) => read(faults, file)?.trim_end_matches(['\r', '\n']).to_owned(),
        (None, None) => String::new(),
    };
    if password.is_empty() != (method == NscaMethod::None) {
        let (what, advice) = if password.is_empty() {
            (
                "[nsca] has no password: anybody could hand results in",
                "give `password` or `password_file`, the same as in send_nsca.cfg; or, for senders \
                 on this machine alone, encryption = \"none\" with listen = \"127.0.0.1:5667\"",
            )
        } else {
            ("without encryption a password means nothing", "remove it, or choose an encryption")
        };
        faults.at(&span, what.to_owned(), advice);
        return None;
    }
    let age_max = raw.age_max.as_ref().map_or(NscaSpec::AGE_MAX, |age| age.get_ref().0);
    if let (Some(age), false) =
        (&raw.age_max, (Duration::from_secs(1)..=AGE_MAX).contains(&age_max))
    {
        let what = "a packet is at most 1 s to 15 min old".to_owned();
        faults.at(&age.span(), what, "write a time in between; 30 s is usual");
    }
    if raw.allow.as_ref().is_some_and(Vec::is_empty) {
        let what = "an empty `allow` lets nobody send".to_owned();
        faults.at(&span, what, "name the networks of the senders, or remove `allow`");
    }
    let allow = allow(faults, raw.allow.as_deref(), method);
    Some(NscaSpec { listen, method, password: Secret::new(&password), age_max, allow })
}

/// Reads the networks that may send. Without encryption that is this machine unless it is said:
/// there is nothing else that tells a sender from a stranger.
fn allow(faults: &mut Faults<'_>, said: Option<&[Text]>, method: NscaMethod) -> Vec<Network> {
    match said {
        Some(said) => networks(faults, said),
        None if method == NscaMethod::None => Network::LOOPBACK.to_vec(),
        None => Vec::new(),
    }
}

/// Reads networks; those that are none are faults and left out.
pub(super) fn networks(faults: &mut Faults<'_>, said: &[Text]) -> Vec<Network> {
    let mut networks = Vec::new();
    for text in said {
        match text.get_ref().parse::<Network>() {
            Ok(network) => networks.push(network),
            Err(error) => {
                let what = format!("{:?} is no network: {error}", text.get_ref());
                let advice = match error {
                    NetworkError::BitsAfter { bits, first } => format!("write \"{first}/{bits}\""),
                    _ => "write networks such as \"10.0.0.0/8\" or \"2001:db8::/32\"".to_owned(),
                };
                faults.at(&text.span(), what, &advice);
            }
        }
    }
    networks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Fault, load};

    fn read(text: &str) -> Result<Config, Vec<Fault>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "sesame\n").unwrap();
        std::fs::create_dir(folder.path().join("results")).unwrap();
        let path = folder.path().join("noroshi.toml");
        std::fs::write(&path, text).unwrap();
        load(Some(&path))
    }

    fn told(text: &str) -> Vec<String> {
        read(text).unwrap_err().into_iter().map(|fault| fault.what).collect()
    }

    #[test]
    fn nsca_needs_a_method_and_a_password() {
        let spec = |text: &str| read(text).unwrap().handed_in.nsca.unwrap();
        let usual = spec("[nsca]\nencryption = \"3\"\npassword_file = \"secret\"\n");
        let expected = NscaSpec {
            listen: "0.0.0.0:5667".parse().unwrap(),
            method: NscaMethod::TripleDes,
            password: Secret::new("sesame"),
            age_max: Duration::from_secs(30),
            allow: Vec::new(),
        };
        assert_eq!(usual, expected);
        let open = spec("[nsca]\nencryption = \"none\"\nlisten = \"[::1]:5668\"\n");
        assert_eq!(open.method, NscaMethod::None);
        assert_eq!(open.allow, Network::LOOPBACK, "without a password this machine alone");
        let some =
            spec("[nsca]\nencryption = \"none\"\nallow = [\"10.0.0.0/8\", \"2001:db8::/32\"]\n");
        let shown: Vec<String> = some.allow.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "2001:db8::/32"]);

        let cases = [
            ("", "[nsca] does not say how senders encrypt"),
            ("encryption = \"xor\"", "[nsca] has no password: anybody could hand results in"),
            ("encryption = \"xor\"\npassword = \"\"", "[nsca] has no password: anybody could hand"),
            ("encryption = \"none\"\npassword = \"x\"", "without encryption a password means"),
            ("encryption = \"5\"\npassword = \"x\"", "\"5\" is no encryption that is spoken here"),
            (
                "encryption = \"3des\"\npassword = \"x\"\nage_max = \"1h\"",
                "a packet is at most 1 s to 15 min old",
            ),
            (
                "encryption = \"3des\"\npassword = \"x\"\npassword_file = \"secret\"",
                "`password` and `password_file` at once",
            ),
            (
                "encryption = \"3des\"\npassword = \"x\"\nlisten = \"5667\"",
                "\"5667\" is no address to listen on",
            ),
            (
                "encryption = \"xor\"\npassword = \"x\"\nallow = [\"10.1.0.0/8\"]",
                "\"10.1.0.0/8\" is no network: bits after the first 8 are set; the network is 10",
            ),
            (
                "encryption = \"xor\"\npassword = \"x\"\nallow = [\"office\"]",
                "\"office\" is no network: it is no address such as 192.0.2.7 and no network",
            ),
            (
                "encryption = \"xor\"\npassword = \"x\"\nallow = []",
                "an empty `allow` lets nobody send",
            ),
        ];
        for (text, expected) in cases {
            let faults = told(&format!("[nsca]\n{text}\n"));
            assert!(faults.len() == 1 && faults[0].starts_with(expected), "{text}: {faults:?}");
        }
    }

    #[test]
    fn a_folder_of_results_must_be_there() {
        let config = read("[result_files]\npath = \"results\"\nage_max = \"10m\"\n").unwrap();
        let files = config.handed_in.result_files.unwrap();
        assert!(files.folder.ends_with("results"));
        assert_eq!(files.age_max, Duration::from_mins(10));
        let faults = told("[result_files]\npath = \"/nowhere/results\"\n");
        assert_eq!(faults, ["there is no folder /nowhere/results"]);
        assert!(!read("").unwrap().handed_in.is_any());
    }
}
