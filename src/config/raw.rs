//! The configuration as it is written: one struct a table, every key known, places kept.
//!
//! Nothing is decided here but the shape; [`super::resolve`] gives the values their meaning.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use noroshi_collector::PollTargets;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_spanned::Spanned;

use super::handed::{RawCommandFile, RawNsca, RawResultFiles};
use super::handler::RawHandler;
use super::history::RawHistory;
use super::probe::{
    RawCluster, RawDns, RawFile, RawHttp, RawNtp, RawPing, RawPort, RawProcess, RawService, RawTls,
    Said,
};
use super::remote::RawNrpe;
use super::rule::Register;
use super::spawner::RawPlugins;

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
    pub(crate) plugins: RawPlugins,
    pub(crate) defaults: RawTiming,
    pub(crate) command_file: RawCommandFile,
    pub(crate) nsca: Option<Spanned<RawNsca>>,
    pub(crate) result_files: RawResultFiles,
    pub(crate) history: RawHistory,
    pub(crate) macros: BTreeMap<Text, String>,
    pub(crate) contact: BTreeMap<Text, RawContact>,
    pub(crate) period: BTreeMap<Text, RawPeriod>,
    // Taken out before, because a table of these inherits before it has a shape; named here so
    // that they are known.
    host: IgnoredAny,
    check: IgnoredAny,
    template: IgnoredAny,
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
    /// Whether hosts added in the UI, by the API or by `noroshi host` may name programs and files.
    pub(crate) added_commands: bool,
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
    /// Whether a machine that was never heard of becomes a host by reporting.
    pub(crate) register: Option<RawRegister>,
    /// Whether hosts with an agent get the built-in checks.
    pub(crate) checks: Option<bool>,
    /// Whether the plug-ins that an agent runs become checks by themselves.
    pub(crate) plugins: Option<bool>,
    /// Silence after which the host counts as down.
    pub(crate) silence: Option<Spanned<Humane>>,
    // Taken out before, as in `RawConfig`.
    rule: IgnoredAny,
}

/// `true`, `false` or `"rules"`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRegister(pub(crate) Register);

impl<'de> Deserialize<'de> for RawRegister {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RegisterVisitor;
        impl Visitor<'_> for RegisterVisitor {
            type Value = RawRegister;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or \"rules\"")
            }
            fn visit_bool<E: de::Error>(self, is: bool) -> Result<RawRegister, E> {
                Ok(RawRegister(if is { Register::All } else { Register::None }))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawRegister, E> {
                match text {
                    "rules" => Ok(RawRegister(Register::ByRule)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(RegisterVisitor)
    }
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
    /// Longest time between two samples before the series is unknown in between.
    pub(crate) heartbeat: Option<Spanned<Humane>>,
    /// Share of a row's samples that may be missing before the row is unknown, 0 to 1.
    pub(crate) xff: Option<Spanned<f64>>,
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

/// `[period.NAME]`: times that have a name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPeriod {
    /// IANA name of the zone whose clock counts; the server's when left out.
    pub(crate) zone: Option<Text>,
    /// Days and times, such as `"monday 09:00-17:00"`; an empty list: never.
    pub(crate) rules: Option<Vec<Text>>,
    /// Names of periods during which it does not hold.
    pub(crate) exclude: Vec<Text>,
}

/// The times of a check, and `[defaults]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawTiming {
    pub(crate) interval: Option<Spanned<Humane>>,
    pub(crate) retry: Option<Spanned<Humane>>,
    pub(crate) timeout: Option<Spanned<Humane>>,
    pub(crate) attempts: Option<Spanned<u32>>,
    /// How long a problem must last to be hard.
    pub(crate) r#for: Option<Spanned<Lasts>>,
    /// The period in which checks run; always when left out.
    pub(crate) period: Option<Text>,
    /// What runs when a state changes.
    pub(crate) on_change: Option<Spanned<RawHandler>>,
}

impl RawTiming {
    /// Tells whether it says when a problem is hard.
    pub(crate) fn says_when_hard(&self) -> bool {
        self.attempts.is_some() || self.r#for.is_some()
    }
}

/// `[host.NAME]`, without its checks.
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
    /// `false`: nobody is told of it, nor of its checks that do not say.
    pub(crate) notify: Option<bool>,
    pub(crate) notes: String,
    pub(crate) notes_url: String,
    /// How it is told whether the host is up.
    pub(crate) alive: Option<Spanned<RawAlive>>,
    /// What runs when its state changes.
    pub(crate) on_change: Option<Spanned<RawHandler>>,
    pub(crate) poll: PollTargets,
    /// The period in which it is looked at whether it is up.
    pub(crate) period: Option<Text>,
    /// The period in which it is in downtime, again and again.
    pub(crate) maintenance: Option<Text>,
    pub(crate) flapping: Option<Spanned<RawFlapping>>,
    // Taken out before, as in `RawConfig`.
    check: IgnoredAny,
    r#use: IgnoredAny,
}

/// `"ping"`, `"agent"`, `"none"`, a plug-in's argv, or a table as of a check.
#[derive(Debug)]
pub(crate) enum RawAlive {
    Said(Many),
    Check(Box<RawCheck>),
}

/// `[host.NAME.check.NAME]`, or `[check.NAME]` for many hosts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawCheck {
    /// Of `[check.NAME]` only: names of hosts; `*` stands for all.
    pub(crate) hosts: Vec<Text>,
    /// Of `[check.NAME]` only: groups whose hosts get it.
    pub(crate) groups: Vec<Text>,
    /// Of `[check.NAME]` only: labels that a host has, as in `{role="web"}`.
    pub(crate) r#match: Option<Text>,
    /// Of `[check.NAME]` only: hosts that do not get it all the same.
    pub(crate) except_hosts: Vec<Text>,
    /// A plug-in: its argv, no shell.
    pub(crate) command: Option<Spanned<Many>>,
    /// Of `command`: `$ARG1$`, `$ARG2$` and so on.
    pub(crate) arguments: Vec<String>,
    /// `PromQL`. With a comparison it is a problem when true; else `warning`, `critical` judge.
    pub(crate) expr: Option<Text>,
    pub(crate) warning: Option<Text>,
    pub(crate) critical: Option<Text>,
    /// The status of a true comparison: `critical` unless said otherwise.
    pub(crate) status: Option<Text>,
    /// How long a problem must last to be hard.
    pub(crate) r#for: Option<Spanned<Lasts>>,
    pub(crate) unit: Option<String>,
    /// Native probes: `true`, a text, or a table with all options (`probe/table.rs`).
    pub(crate) http: Said<RawHttp>,
    /// Of `http` as a text: a text that the answer must hold.
    pub(crate) text: Option<String>,
    /// Of `http` as a text: statuses that are fine instead of 200 to 399.
    pub(crate) statuses: Vec<u16>,
    pub(crate) tcp: Said<RawService>,
    pub(crate) smtp: Said<RawService>,
    pub(crate) imap: Said<RawService>,
    pub(crate) pop3: Said<RawService>,
    pub(crate) ssh: Said<RawService>,
    pub(crate) ftp: Said<RawService>,
    pub(crate) ldap: Said<RawService>,
    pub(crate) mysql: Said<RawService>,
    pub(crate) postgresql: Said<RawService>,
    pub(crate) ping: Said<RawPing>,
    pub(crate) dns: Said<RawDns>,
    pub(crate) tls: Said<RawTls>,
    pub(crate) ntp: Said<RawNtp>,
    /// Looked at on the host itself, by its agent.
    pub(crate) process: Said<RawProcess>,
    pub(crate) port: Said<RawPort>,
    pub(crate) file: Said<RawFile>,
    /// How many of several checks or hosts are OK.
    pub(crate) cluster: Option<Spanned<RawCluster>>,
    /// Something calls in: critical when it is silent for this long.
    pub(crate) heartbeat: Option<Spanned<Humane>>,
    /// Results are handed in; without one for this long the check is unknown.
    pub(crate) passive: Option<Spanned<Humane>>,
    /// Looked at on the host itself.
    pub(crate) nrpe: Option<Spanned<RawNrpe>>,
    /// A plug-in that the host's agent runs: its name in the agent's own config.
    pub(crate) agent: Option<Text>,
    pub(crate) interval: Option<Spanned<Humane>>,
    pub(crate) retry: Option<Spanned<Humane>>,
    pub(crate) timeout: Option<Spanned<Humane>>,
    pub(crate) attempts: Option<Spanned<u32>>,
    /// Instead of `attempts`: so many of the last `window` results make a problem hard.
    pub(crate) fails: Option<Spanned<u32>>,
    pub(crate) window: Option<Spanned<u32>>,
    /// What runs when its state changes.
    pub(crate) on_change: Option<Spanned<RawHandler>>,
    pub(crate) volatile: bool,
    /// Hosts and checks, `host` or `host/check`, without which it cannot work; `$HOSTNAME$` stands
    /// for its own host.
    pub(crate) depends: Vec<Text>,
    pub(crate) contacts: Vec<Text>,
    /// `false`: nobody is told of it; as for its host when left out.
    pub(crate) notify: Option<bool>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) notes: String,
    pub(crate) notes_url: String,
    /// What to draw beside it, when it is not the expression itself.
    pub(crate) graph: Option<Text>,
    /// The period in which it runs.
    pub(crate) period: Option<Text>,
    /// The period in which it is in downtime, again and again.
    pub(crate) maintenance: Option<Text>,
    pub(crate) flapping: Option<Spanned<RawFlapping>>,
    /// Custom variables: `PORT` is `$_SERVICEPORT$`.
    pub(crate) variables: BTreeMap<String, String>,
    // Taken out before, as in `RawConfig`.
    r#use: IgnoredAny,
}

impl RawCheck {
    /// Returns when it runs.
    pub(crate) fn timing(&self) -> RawTiming {
        RawTiming {
            interval: self.interval.clone(),
            retry: self.retry.clone(),
            timeout: self.timeout.clone(),
            attempts: self.attempts.clone().or_else(|| self.fails.clone()),
            r#for: self.r#for.clone(),
            period: self.period.clone(),
            on_change: self.on_change.clone(),
        }
    }
}

/// `flapping = false`, or the shares between which it begins and ends.
#[derive(Clone, Debug)]
pub(crate) enum RawFlapping {
    Switch(bool),
    Limits(RawLimits),
}

/// `{ low = 20, high = 30 }`, in per cent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawLimits {
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
}

impl<'de> Deserialize<'de> for RawFlapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlappingVisitor;
        impl<'de> Visitor<'de> for FlappingVisitor {
            type Value = RawFlapping;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("false, or a table such as { low = 20, high = 30 }")
            }
            fn visit_bool<E: de::Error>(self, is_on: bool) -> Result<RawFlapping, E> {
                Ok(RawFlapping::Switch(is_on))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RawFlapping, M::Error> {
                RawLimits::deserialize(MapAccessDeserializer::new(map)).map(RawFlapping::Limits)
            }
        }
        deserializer.deserialize_any(FlappingVisitor)
    }
}

impl<'de> Deserialize<'de> for RawAlive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AliveVisitor;
        impl<'de> Visitor<'de> for AliveVisitor {
            type Value = RawAlive;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "\"ping\", \"agent\", \"none\", a plug-in as a list, or a check's table",
                )
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawAlive, E> {
                Ok(RawAlive::Said(Many { texts: vec![text.to_owned()], is_list: false }))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawAlive, A::Error> {
                let texts = Vec::deserialize(SeqAccessDeserializer::new(list))?;
                Ok(RawAlive::Said(Many { texts, is_list: true }))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RawAlive, M::Error> {
                let check = RawCheck::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RawAlive::Check(Box::new(check)))
            }
        }
        deserializer.deserialize_any(AliveVisitor)
    }
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

/// How long a problem lasts: a duration, and no count of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lasts(pub(crate) Duration);

impl<'de> Deserialize<'de> for Lasts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LastsVisitor;
        impl Visitor<'_> for LastsVisitor {
            type Value = Lasts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("how long a problem must last, such as \"5m\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Lasts, E> {
                noroshi_model::quantity::parse_duration(text)
                    .map(Lasts)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Lasts, E> {
                Err(E::custom(format!(
                    "`for` is how long a problem must last, such as \"5m\"; {count} results in a \
                     row are attempts = {count}"
                )))
            }
        }
        deserializer.deserialize_any(LastsVisitor)
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
