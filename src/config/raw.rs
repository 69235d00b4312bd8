//! The configuration as it is written: one struct a table, every key known, places kept.
//!
//! Nothing is decided here but the shape; [`super::resolve`] gives the values their meaning.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use noroshi_collector::PollTargets;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_spanned::Spanned;

use super::remote::RawNrpe;

/// A text with its place.
pub(crate) type Text = Spanned<String>;

/// A whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawConfig {
    pub(crate) server: RawServer,
    pub(crate) local: RawLocal,
    pub(crate) agents: RawAgents,
    pub(crate) store: RawStore,
    pub(crate) smtp: Option<Spanned<RawSmtp>>,
    pub(crate) alerts: RawAlerts,
    pub(crate) defaults: RawTiming,
    pub(crate) macros: BTreeMap<Text, String>,
    pub(crate) contact: BTreeMap<Text, RawContact>,
    pub(crate) host: BTreeMap<Text, RawHost>,
    /// Checks for many hosts: those of `hosts` and `groups`.
    pub(crate) check: BTreeMap<Text, RawCheck>,
}

/// `[server]`: the HTTP side.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawServer {
    /// Address and port to listen on.
    pub(crate) listen: Option<Text>,
    /// How people reach it: the beginning of every link in a mail.
    pub(crate) url: Option<Text>,
    /// Whether a proxy in front speaks TLS, so that cookies are sent by TLS only.
    pub(crate) behind_tls: bool,
}

/// `[local]`: the machine that the server runs on.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawLocal {
    pub(crate) watch: Option<bool>,
    pub(crate) name: Option<Text>,
    pub(crate) step: Option<Spanned<Humane>>,
}

/// `[agents]`: hosts that report by themselves.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawAgents {
    /// Whether a host that was never heard of becomes a host by reporting.
    pub(crate) register: Option<bool>,
    /// Whether hosts with an agent get the built-in checks.
    pub(crate) checks: Option<bool>,
    /// Silence after which the host counts as down.
    pub(crate) silence: Option<Spanned<Humane>>,
}

/// `[store]`: where samples go and for how long.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawStore {
    /// Longest time a power cut may take back; a kill of the process never takes anything back.
    pub(crate) commit_interval: Option<Spanned<Humane>>,
    /// Most that the series may take on the disk.
    pub(crate) disk_max: Option<Text>,
    /// Retention classes, the first that matches a series decides.
    pub(crate) retention: Vec<RawRetention>,
}

/// `[[store.retention]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRetention {
    pub(crate) name: Text,
    /// A series selector such as `{job="node"}`; every series when left out.
    pub(crate) series: Option<Text>,
    /// `"10s for 2d"`, finest first.
    pub(crate) archives: Vec<Text>,
}

/// `[smtp]`: who takes the mail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSmtp {
    pub(crate) server: Text,
    pub(crate) port: Option<u16>,
    pub(crate) security: Option<Text>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) password_file: Option<Text>,
    pub(crate) from: Option<Text>,
    pub(crate) ca_file: Option<Text>,
}

/// `[alerts]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawAlerts {
    /// Say it again after this long while a problem is neither over nor acknowledged.
    pub(crate) remind: Option<Spanned<Humane>>,
}

/// `[contact.NAME]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawContact {
    pub(crate) email: Many,
    pub(crate) pager: Many,
    /// Which statuses they are told of; all when left out.
    pub(crate) statuses: Vec<Text>,
    /// IANA name of their time zone.
    pub(crate) zone: Option<Text>,
}

/// The times of a check, and `[defaults]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawTiming {
    pub(crate) interval: Option<Spanned<Humane>>,
    pub(crate) retry: Option<Spanned<Humane>>,
    pub(crate) timeout: Option<Spanned<Humane>>,
    pub(crate) attempts: Option<Spanned<u32>>,
}

/// `[host.NAME]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawHost {
    pub(crate) address: Option<Text>,
    pub(crate) alias: Option<String>,
    pub(crate) groups: Vec<Text>,
    pub(crate) parents: Vec<Text>,
    /// Hosts and checks, `host` or `host/check`, without which it cannot work.
    pub(crate) depends: Vec<Text>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) contacts: Vec<Text>,
    pub(crate) notes: String,
    pub(crate) notes_url: String,
    /// How it is told whether the host is up: `"ping"`, `"agent"`, `"none"`, or a plug-in's argv.
    pub(crate) alive: Option<Spanned<Many>>,
    pub(crate) poll: PollTargets,
    pub(crate) check: BTreeMap<Text, RawCheck>,
}

/// `[host.NAME.check.NAME]`, or `[check.NAME]` for many hosts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawCheck {
    /// Of `[check.NAME]` only: names of hosts; `*` stands for all.
    pub(crate) hosts: Vec<Text>,
    /// Of `[check.NAME]` only: groups whose hosts get it.
    pub(crate) groups: Vec<Text>,
    /// A plug-in: its argv, no shell.
    pub(crate) command: Option<Spanned<Many>>,
    /// `PromQL`. With a comparison it is a problem when true; else `warning`, `critical` judge.
    pub(crate) expr: Option<Text>,
    pub(crate) warning: Option<Text>,
    pub(crate) critical: Option<Text>,
    /// The status of a true comparison: `critical` unless said otherwise.
    pub(crate) status: Option<Text>,
    /// How many runs in a row: the same as `attempts`, in a rule's words.
    pub(crate) r#for: Option<Spanned<u32>>,
    pub(crate) unit: Option<String>,
    /// Native probes.
    pub(crate) tcp: Option<Text>,
    pub(crate) http: Option<Text>,
    /// Of `http`: a text that the answer must hold.
    pub(crate) text: Option<String>,
    /// Of `http`: statuses that are fine instead of 200 to 399.
    pub(crate) statuses: Vec<u16>,
    pub(crate) ping: Option<bool>,
    /// Results are handed in; without one for this long the check is unknown.
    pub(crate) passive: Option<Spanned<Humane>>,
    /// Looked at on the host itself.
    pub(crate) nrpe: Option<Spanned<RawNrpe>>,
    pub(crate) interval: Option<Spanned<Humane>>,
    pub(crate) retry: Option<Spanned<Humane>>,
    pub(crate) timeout: Option<Spanned<Humane>>,
    pub(crate) attempts: Option<Spanned<u32>>,
    pub(crate) volatile: bool,
    /// Hosts and checks, `host` or `host/check`, without which it cannot work; `$HOSTNAME$` stands
    /// for its own host.
    pub(crate) depends: Vec<Text>,
    pub(crate) contacts: Vec<Text>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) notes: String,
    pub(crate) notes_url: String,
    /// What to draw beside it, when it is not the expression itself.
    pub(crate) graph: Option<Text>,
}

/// A duration as people write it: `10s`, `5m`, `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Humane(pub(crate) Duration);

impl<'de> Deserialize<'de> for Humane {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HumaneVisitor;
        impl Visitor<'_> for HumaneVisitor {
            type Value = Humane;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as \"10s\", \"5m\" or \"1h30m\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Humane, E> {
                noroshi_model::quantity::parse_duration(text)
                    .map(Humane)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(HumaneVisitor)
    }
}

/// One text or a list of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Many {
    pub(crate) texts: Vec<String>,
    /// Whether it was written as a list.
    pub(crate) is_list: bool,
}

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ManyVisitor;
        impl<'de> Visitor<'de> for ManyVisitor {
            type Value = Many;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Many, E> {
                Ok(Many { texts: vec![text.to_owned()], is_list: false })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Many, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(Many { texts, is_list: true })
            }
        }
        deserializer.deserialize_any(ManyVisitor)
    }
}
