//! How a check looks: the kinds of probe and their configuration.

pub(crate) mod cluster;
mod connect;
pub(crate) mod dns;
mod expression;
mod finding;
pub(crate) mod http;
pub(crate) mod icmp;
mod names;
pub(crate) mod nrpe;
pub(crate) mod ntp;
mod passive;
mod pattern;
mod plugin;
mod secret;
pub(crate) mod tcp;
pub(crate) mod tls;
mod trust;

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_model::Status;

use crate::on_host::HostLook;

pub use cluster::{ClusterLimit, ClusterProbe, ClusterSelect};
pub(crate) use cluster::{Counted, Member};
pub use connect::Family;
pub(crate) use expression::Judged;
pub(crate) use finding::{Finding, Judging, Measure, More};
pub use http::{HttpProbe, JsonWish};
pub use nrpe::{NrpeCertificates, NrpeTls, NrpeVersion};
pub(crate) use passive::{look as look_passive, look_agent};
pub(crate) use plugin::look as look_plugin;
pub use secret::Secret;
pub use tcp::{Protocol, Security, TcpProbe};

/// How a check looks.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// Runs a Nagios plug-in.
    Plugin(PluginProbe),
    /// Evaluates an expression over stored series.
    Expression(ExpressionProbe),
    /// Asks an HTTP server.
    Http(Box<HttpProbe>),
    /// Connects by TCP, and may read a greeting.
    Tcp(TcpProbe),
    /// Sends echo requests.
    Icmp(IcmpProbe),
    /// Asks a DNS server.
    Dns(DnsProbe),
    /// Looks at a TLS server's certificates.
    Tls(TlsProbe),
    /// Asks an NTP server what time it is.
    Ntp(NtpProbe),
    /// Has a plug-in run by an NRPE server.
    Nrpe(Box<NrpeProbe>),
    /// Waits for the results of a plug-in that the host's agent runs.
    Agent(AgentProbe),
    /// Looks at processes, ports or files of the machine that the server runs on.
    OnHost(HostLook),
    /// Counts how many of several checks or hosts are OK.
    Cluster(Box<ClusterProbe>),
    /// Waits for results from outside.
    Passive(PassiveProbe),
}

impl Probe {
    /// Tells whether it can be asked to look at any time.
    pub fn is_active(&self) -> bool {
        !matches!(self, Self::Agent(_) | Self::Passive(_))
    }

    /// Returns after which time without a result it is stale; `None`: never, or it looks by itself.
    pub(crate) fn freshness(&self) -> Option<Duration> {
        match self {
            Self::Passive(passive) => passive.freshness,
            Self::Agent(agent) => Some(agent.freshness),
            _ => None,
        }
    }

    /// Tells whether UNKNOWN means that the server itself could not look: no right to open a
    /// socket, a URL that is none. Plug-ins and expressions mean something else by it.
    pub(crate) fn is_own_fault(&self) -> bool {
        let is_of_others =
            matches!(self, Self::Plugin(_) | Self::Expression(_) | Self::Nrpe(_) | Self::OnHost(_));
        self.is_active() && !is_of_others
    }

    /// Returns the texts in which macros are expanded.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Plugin(probe) => {
                let texts = probe.argv.iter().chain(&probe.arguments).chain(probe.env.values());
                texts.map(String::as_str).collect()
            }
            Self::Http(probe) => probe.texts(),
            Self::Tcp(probe) => probe.texts(),
            Self::Icmp(probe) => vec![&probe.address],
            Self::Dns(probe) => vec![&probe.name, &probe.server],
            Self::Tls(probe) => vec![&probe.target, &probe.server_name],
            Self::Ntp(probe) => vec![&probe.server],
            Self::Nrpe(probe) => {
                let own = [probe.address.as_str(), &probe.command];
                own.into_iter().chain(probe.arguments.iter().map(String::as_str)).collect()
            }
            Self::Expression(_)
            | Self::Cluster(_)
            | Self::Agent(_)
            | Self::OnHost(_)
            | Self::Passive(_) => Vec::new(),
        }
    }

    /// Returns the name of the kind: in views and in the label `kind` of self-metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Plugin(_) => "plugin",
            Self::Expression(_) => "expression",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Icmp(_) => "icmp",
            Self::Dns(_) => "dns",
            Self::Tls(_) => "tls",
            Self::Ntp(_) => "ntp",
            Self::Nrpe(_) => "nrpe",
            Self::Agent(agent) if agent.look.is_some() => "on_host",
            Self::Agent(_) => "agent",
            Self::OnHost(_) => "on_host",
            Self::Cluster(_) => "cluster",
            Self::Passive(passive) if passive.is_heartbeat => "heartbeat",
            Self::Passive(_) => "passive",
        }
    }
}

/// A plug-in's command line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginProbe {
    /// Program and arguments; macros (`$HOSTADDRESS$`, `$USER1$`, `$_HOSTX$`) are expanded in each
    /// by itself, so that no value can become two arguments. A program without slash is searched
    /// in the folders of Debian's monitoring plug-ins and in `/usr/local/bin:/usr/bin:/bin`.
    pub argv: Vec<String>,
    /// `$ARG1$`, `$ARG2$`, ...: macros are expanded in them first.
    pub arguments: Vec<String>,
    /// Environment variables added to `PATH` and `LC_CTYPE=C.UTF-8`; the server's own are not passed.
    pub env: BTreeMap<String, String>,
}

/// An expression and how its values are judged.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpressionProbe {
    /// `PromQL`.
    pub expr: String,
    /// How its values are judged.
    pub judge: Judge,
    /// Unit of the values as texts show them: `bytes`, `seconds`, `percent`, `ratio`, or empty.
    pub unit: String,
    /// Which labels name a series in the output, such as `mountpoint`. Empty: those that differ.
    pub name_labels: Vec<String>,
    /// What a value is, for texts: `used`, `since the last report`. Empty: the value says it.
    pub meaning: String,
    /// What is found when there is no data.
    pub missing: Missing,
}

/// How an expression's values are judged.
#[derive(Clone, Debug, PartialEq)]
pub enum Judge {
    /// Every series that the expression returns is a problem of this status, as an alert rule of
    /// Prometheus. A comparison with a number at the top (`x > 100`) becomes a threshold, so that
    /// the value is shown when all is well too.
    Firing {
        /// [`Status::Warning`] or [`Status::Critical`].
        status: Status,
    },
    /// The values are compared.
    Thresholds {
        /// When to warn.
        warning: Option<Threshold>,
        /// When it is critical.
        critical: Option<Threshold>,
    },
}

/// One threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// On which side of the value the problem lies.
    pub op: Compare,
    /// Where the problem begins.
    pub value: f64,
    /// Where it ends: a value that is still on the problem's side of this keeps the problem
    /// (hysteresis). `None`: it ends where it begins.
    pub leave: Option<f64>,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Compare {
    /// Tells whether `value` is on the problem's side. NaN never is.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
            Self::Equal => value == limit,
            Self::NotEqual => !value.is_nan() && value != limit,
        }
    }
}

/// What an expression check finds when there is no data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// UNKNOWN, with the time since when there is none.
    #[default]
    Unknown,
    /// OK: the absence is what is wished for.
    Ok,
}

/// Echo requests.
#[derive(Clone, Debug, PartialEq)]
pub struct IcmpProbe {
    /// Where to; macros are expanded. Empty: the host's address.
    pub address: String,
    /// How many requests, 1 to 100.
    pub count: u16,
    /// From one request to the next.
    pub spacing: Duration,
    /// Bytes of payload.
    pub payload_bytes: u16,
    /// Warn above this share of lost requests, in per cent.
    pub loss_warning: f64,
    /// Critical above this share, in per cent.
    pub loss_critical: f64,
    /// Warn when the mean round trip takes longer.
    pub rtt_warning: Option<Duration>,
    /// Critical when it takes longer.
    pub rtt_critical: Option<Duration>,
}

impl Default for IcmpProbe {
    /// Three requests to the host's address, 100 ms apart; critical when none is answered.
    fn default() -> Self {
        Self {
            address: String::new(),
            count: 3,
            spacing: Duration::from_millis(100),
            payload_bytes: 56,
            loss_warning: 34.0,
            loss_critical: 99.0,
            rtt_warning: None,
            rtt_critical: None,
        }
    }
}

/// A DNS question.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsProbe {
    /// The server: `address` or `address:port`; macros are expanded. Empty: the host's address.
    pub server: String,
    /// The name that is asked for.
    pub name: String,
    /// `A`, `AAAA`, `MX`, `NS`, `SOA`, `TXT`, `CNAME`, `PTR`, `SRV`.
    pub record: String,
    /// Answers of which each must be there; empty: any answer.
    pub expect: Vec<String>,
    /// Whether the server must be one with authority for the name.
    pub is_authoritative: bool,
    /// Warn when it takes longer.
    pub warning: Option<Duration>,
    /// Critical when it takes longer.
    pub critical: Option<Duration>,
}

impl DnsProbe {
    /// Tells whether there is such a type of record.
    pub fn is_record(record: &str) -> bool {
        dns::record_type(record).is_some()
    }
}

/// A TLS server's certificates.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsProbe {
    /// Where to: `host`, `host:port` or `port`; macros are expanded. Without port it is 443.
    pub target: String,
    /// The name that the certificate must be for; empty: the host of `target`.
    pub server_name: String,
    /// Warn when fewer days are left.
    pub days_warning: f64,
    /// Critical when fewer days are left.
    pub days_critical: f64,
    /// Whether a chain that leads to no known root is only told, not critical.
    pub is_insecure: bool,
    /// Which addresses of the name are used.
    pub family: Family,
}

/// A question to an NTP server.
#[derive(Clone, Debug, PartialEq)]
pub struct NtpProbe {
    /// The server: `address` or `address:port`; macros are expanded. Empty: the host's address.
    pub server: String,
    /// Warn when the clocks differ by more.
    pub offset_warning: Duration,
    /// Critical when the clocks differ by more.
    pub offset_critical: Duration,
    /// Critical when the server's stratum is greater.
    pub stratum_max: u8,
}

impl Default for NtpProbe {
    /// Asks the host's address; what certificates and logs bear is 100 ms, Kerberos fails at more.
    fn default() -> Self {
        Self {
            server: String::new(),
            offset_warning: Duration::from_millis(100),
            offset_critical: Duration::from_secs(1),
            stratum_max: 5,
        }
    }
}

/// A plug-in on another host, run by its NRPE server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NrpeProbe {
    /// The server: address or DNS name; macros are expanded. Empty: the host's address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Name of the command in the server's `nrpe.cfg`; macros are expanded.
    pub command: String,
    /// `$ARG1$` and so on of that command, for servers that allow it; macros are expanded.
    pub arguments: Vec<String>,
    /// How the connection is protected.
    pub tls: NrpeTls,
    /// The version of the packets; `None`: the newest that the server understands.
    pub version: Option<NrpeVersion>,
}

impl NrpeProbe {
    /// The usual port.
    pub const PORT: u16 = 5666;
}

/// What the host's agent runs or looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentProbe {
    /// Its name in the agent's config, or the name of the look.
    pub plugin: String,
    /// After this time without a result the check is unknown.
    pub freshness: Duration,
    /// What the agent is told to look at; `None`: a plug-in that its own config names.
    pub look: Option<HostLook>,
}

/// Results from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PassiveProbe {
    /// After this time without a result the check is stale; `None`: never.
    pub freshness: Option<Duration>,
    /// What is found when it is stale; `None`: UNKNOWN. A heartbeat is critical.
    pub stale: Option<Status>,
    /// Whether something must call in: only then calls are taken.
    pub is_heartbeat: bool,
}

impl PassiveProbe {
    /// Makes a heartbeat: something must call in at least once in `every`.
    pub fn heartbeat(every: Duration) -> Self {
        Self { freshness: Some(every), stale: Some(Status::Critical), is_heartbeat: true }
    }
}
