//! What the tables mean: names looked up, defaults filled in, all faults noted at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use noroshi_checks::plugin::PluginSpec;
use noroshi_checks::{HistorySpec, PeriodSpec};
use noroshi_store::StoreConfig;

use super::check::Faults;
use super::group::GroupCheck;
use super::handed::HandedIn;
use super::host::HostConfig;
use super::raw::{RawCheck, RawConfig, Text};
use super::rule::{Register, Rule};
use super::source::{Fault, Place, nearest};
use super::table::Named;
use super::{Part, depends, handed, history, host, people, period, spawner, storage};

/// A configuration that makes sense.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The HTTP side.
    pub(crate) server: Server,
    /// The machine that the server runs on.
    pub(crate) local: Local,
    /// Hosts that report by themselves.
    pub(crate) agents: Agents,
    /// Where samples go.
    pub(crate) store: StoreConfig,
    /// How plug-ins are run.
    pub(super) plugins: PluginSpec,
    /// Who is told, and through whom.
    pub(crate) alerts: noroshi_alerts::Config,
    /// How results come in whose senders hear no answer.
    pub(crate) handed_in: HandedIn,
    /// How much of what happened is remembered.
    pub(super) history: HistorySpec,
    /// `$USER1$` and so on.
    pub(super) user_macros: BTreeMap<u16, String>,
    /// Times that have a name.
    pub(super) periods: BTreeMap<String, PeriodSpec>,
    pub(super) hosts: Vec<HostConfig>,
    pub(super) group_checks: Vec<GroupCheck>,
    /// Added hosts that are not in force because a file of the admin's has one of that name: where.
    pub(crate) overridden: BTreeMap<String, Place>,
    /// Why added hosts were left out at a start.
    pub(crate) left_out: Vec<Fault>,
    /// What may be named by a host: for whoever adds one.
    pub(crate) names: Names,
}

/// What a host's table may name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) host_templates: Vec<String>,
    pub(crate) check_templates: Vec<String>,
    pub(crate) contacts: Vec<String>,
    pub(crate) periods: Vec<String>,
}

/// The HTTP side.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// How people reach it, without slash at the end; `None`: at the address it listens on.
    pub(crate) url: Option<String>,
    /// Whether a proxy in front speaks TLS.
    pub(crate) is_behind_tls: bool,
    /// Whether hosts that are added while the server runs may name programs and files of it.
    pub(crate) may_add_commands: bool,
}

/// The port that people and agents expect.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8420);

impl Default for Server {
    fn default() -> Self {
        Self { listen: LISTEN, url: None, is_behind_tls: false, may_add_commands: false }
    }
}

/// The machine that the server runs on.
#[derive(Debug)]
pub(crate) struct Local {
    /// Whether it is watched.
    pub(crate) is_watched: bool,
    /// As which host.
    pub(crate) name: String,
    /// How often it is read.
    pub(crate) step: Duration,
}

impl Default for Local {
    fn default() -> Self {
        Self { is_watched: true, name: "localhost".to_owned(), step: Duration::from_secs(10) }
    }
}

/// How many of those that nobody is told of are named.
const QUIET_MAX: usize = 20;

/// Hosts that report by themselves.
#[derive(Debug)]
pub(crate) struct Agents {
    /// Whether an unknown machine becomes known by reporting.
    pub(crate) register: Register,
    /// What it becomes: the first that fits.
    pub(crate) rules: Vec<Rule>,
    /// Whether they get the built-in checks.
    pub(crate) has_checks: bool,
    /// Whether the plug-ins that they run become checks by themselves.
    pub(crate) has_plugins: bool,
    /// Silence after which the host counts as down.
    pub(crate) silence: Duration,
}

impl Default for Agents {
    /// Four missed reports of the usual ten seconds: one lost packet is no failure.
    fn default() -> Self {
        Self {
            register: Register::All,
            rules: Vec::new(),
            has_checks: true,
            has_plugins: true,
            silence: Duration::from_secs(40),
        }
    }
}

impl Config {
    /// Returns in a line what it holds.
    pub(crate) fn summary(&self) -> String {
        let checks: usize = self.hosts.iter().map(|host| host.checks.len()).sum();
        let polls: usize = self.hosts.iter().map(|host| host.polls.len()).sum();
        let counted = |count: usize, what: &str| {
            format!("{count} {what}{}", if count == 1 { "" } else { "s" })
        };
        format!(
            "{}, {}, {}, {}",
            counted(self.hosts.len(), "host"),
            counted(checks, "check"),
            counted(polls, "poll"),
            counted(self.alerts.contacts.len(), "contact"),
        )
    }

    /// Returns what would be told to nobody, and why.
    pub(crate) fn unreached(&self) -> Vec<String> {
        let quiet = self.quiet();
        if self.alerts.contacts.is_empty() {
            return vec!["there is no [contact.NAME]".to_owned()];
        }
        if self.alerts.smtp.is_none() {
            return vec!["there is no mail server, [smtp]".to_owned()];
        }
        if quiet.is_empty() {
            return Vec::new();
        }
        let more = quiet.len().saturating_sub(QUIET_MAX);
        let named = quiet[..quiet.len() - more].join(", ");
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        vec![format!("of {named}{more}: notify = false")]
    }

    /// Names what says that nobody is told of it; a quiet host stands for its quiet checks.
    fn quiet(&self) -> Vec<String> {
        let mut quiet = Vec::new();
        for host in &self.hosts {
            if host.spec.is_quiet {
                quiet.push(host.spec.name.clone());
            }
            let own = host.checks.iter().filter(|check| check.is_quiet == Some(true));
            quiet.extend(own.filter(|_| !host.spec.is_quiet).map(|check| check.id.to_string()));
        }
        quiet
    }
}

/// Gives the tables of all files their meaning; what is wrong goes to `faults`.
pub(super) fn resolve(parts: Vec<Part<'_>>, faults: &mut Faults<'_>) -> Config {
    let mut config = Config { plugins: spawner::usual(), ..Config::default() };
    let known = Known::collect(&parts, faults);
    for Part { raw, .. } in &parts {
        resolve_server(faults, raw, &mut config);
        storage::resolve(faults, &raw.store, &mut config.store);
        spawner::resolve(faults, &raw.plugins, &mut config.plugins);
        people::resolve(faults, raw, &mut config.alerts);
        handed::resolve(faults, raw, &mut config.handed_in);
        history::resolve(faults, &raw.history, &mut config.history);
        resolve_macros(faults, raw, &mut config.user_macros);
        period::resolve(faults, raw, &known.periods, &mut config.periods);
        known.look_up_period(faults, raw.defaults.period.as_ref());
    }
    let raws: Vec<&RawConfig> = parts.iter().map(|part| &part.raw).collect();
    period::check_circles(faults, &raws);
    people::check(&raws, &config.alerts, faults);
    config.names = names(&parts, &known);
    let needs = host::resolve(faults, parts, &known, &mut config);
    depends::check(&needs, &config, &known.hosts, faults);
    if let Some(url) = &config.server.url {
        config.alerts.base_url.clone_from(url);
    }
    config
}

/// Collects what a host's table may name.
fn names(parts: &[Part<'_>], known: &Known) -> Names {
    let all = |tables: &mut dyn Iterator<Item = &Named<'_>>| {
        tables.flat_map(|named| named.keys().map(|name| name.get_ref().clone())).collect()
    };
    Names {
        host_templates: all(&mut parts.iter().map(|part| &part.host_templates)),
        check_templates: all(&mut parts.iter().map(|part| &part.check_templates)),
        contacts: known.contacts.iter().cloned().collect(),
        periods: known.periods.iter().cloned().collect(),
    }
}

/// Names that may be pointed to.
pub(super) struct Known {
    pub(super) hosts: BTreeSet<String>,
    contacts: BTreeSet<String>,
    periods: BTreeSet<String>,
}

impl Known {
    /// Collects the names of all files; a name given twice is a fault.
    fn collect(parts: &[Part<'_>], faults: &mut Faults<'_>) -> Self {
        let hosts = parts.iter().flat_map(|part| part.hosts.keys());
        let contacts = parts.iter().flat_map(|part| part.raw.contact.keys());
        let periods = parts.iter().flat_map(|part| part.raw.period.keys());
        let mut hosts = once_each(faults, "host", hosts);
        // The machine that the server runs on is a host without being written.
        let local = parts.iter().fold(Local::default(), |local, part| Local {
            name: part.raw.local.name.as_ref().map_or(local.name, |name| name.get_ref().clone()),
            is_watched: part.raw.local.watch.unwrap_or(local.is_watched),
            ..local
        });
        hosts.extend(local.is_watched.then_some(local.name));
        Self {
            hosts,
            contacts: once_each(faults, "contact", contacts),
            periods: once_each(faults, "period", periods),
        }
    }

    /// Notes contacts that do not exist.
    pub(super) fn look_up_contacts(&self, faults: &mut Faults<'_>, names: &[Text]) {
        look_up(faults, "contact", names, &self.contacts);
    }

    /// Notes a period that does not exist.
    pub(super) fn look_up_period(&self, faults: &mut Faults<'_>, name: Option<&Text>) {
        look_up(
            faults,
            "period",
            name.map(std::slice::from_ref).unwrap_or_default(),
            &self.periods,
        );
    }

    /// Notes what a check names and does not exist.
    pub(super) fn look_up_of_check(&self, faults: &mut Faults<'_>, raw: &RawCheck) {
        self.look_up_contacts(faults, &raw.contacts);
        self.look_up_period(faults, raw.period.as_ref());
        self.look_up_period(faults, raw.maintenance.as_ref());
    }
}

/// Collects names; one that is given twice is a fault.
pub(super) fn once_each<'a>(
    faults: &mut Faults<'_>,
    what: &str,
    names: impl Iterator<Item = &'a Text>,
) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for name in names {
        if !known.insert(name.get_ref().clone()) {
            let what = format!("{what} `{}` is already in another file", name.get_ref());
            faults.at(&name.span(), what, "keep one of them");
        }
    }
    known
}

/// Notes names that do not exist.
pub(super) fn look_up(
    faults: &mut Faults<'_>,
    what: &str,
    names: &[Text],
    known: &BTreeSet<String>,
) {
    if faults.is_partial {
        return;
    }
    for name in names.iter().filter(|name| !known.contains(name.get_ref())) {
        let advice = match nearest(name.get_ref(), known.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("add [{what}.{}] or remove the name", name.get_ref()),
        };
        faults.at(&name.span(), format!("there is no {what} `{}`", name.get_ref()), &advice);
    }
}

/// Resolves `[server]`, `[local]` and `[agents]`.
fn resolve_server(faults: &mut Faults<'_>, raw: &RawConfig, config: &mut Config) {
    if let Some(listen) = &raw.server.listen {
        match listen.get_ref().parse() {
            Ok(address) => config.server.listen = address,
            Err(_) => faults.at(
                &listen.span(),
                format!("{:?} is no address to listen on", listen.get_ref()),
                "write address and port, such as 127.0.0.1:8420 or [::]:8420",
            ),
        }
    }
    if let Some(url) = &raw.server.url {
        let is_url = url.get_ref().starts_with("http://") || url.get_ref().starts_with("https://");
        if !is_url {
            faults.at(
                &url.span(),
                format!("{:?} is no address of this server", url.get_ref()),
                "write it as people type it, such as https://noc.example.org",
            );
        }
        config.server.url = Some(url.get_ref().trim_end_matches('/').to_owned());
    }
    config.server.is_behind_tls |= raw.server.behind_tls;
    config.server.may_add_commands |= raw.server.added_commands;
    if let Some(is_watched) = raw.local.watch {
        config.local.is_watched = is_watched;
    }
    if let Some(name) = &raw.local.name {
        check_host_name(faults, name);
        config.local.name.clone_from(name.get_ref());
    }
    if let Some(step) = &raw.local.step {
        config.local.step = step.get_ref().0;
        if config.local.step < Duration::from_secs(1) {
            faults.at(
                &step.span(),
                "a step is at least a second".to_owned(),
                "write \"1s\" or more",
            );
        }
    }
    let agents = &mut config.agents;
    agents.register = raw.agents.register.map_or(agents.register, |said| said.0);
    agents.has_checks = raw.agents.checks.unwrap_or(agents.has_checks);
    agents.has_plugins = raw.agents.plugins.unwrap_or(agents.has_plugins);
    if let Some(silence) = &raw.agents.silence {
        agents.silence = silence.get_ref().0;
    }
}

/// Resolves `[macros]`: `USER1 = "..."`.
fn resolve_macros(
    faults: &mut Faults<'_>,
    raw: &RawConfig,
    user_macros: &mut BTreeMap<u16, String>,
) {
    for (name, value) in &raw.macros {
        let number = name.get_ref().strip_prefix("USER").and_then(|number| number.parse().ok());
        match number {
            Some(number @ 1..=256) => drop(user_macros.insert(number, value.clone())),
            _ => faults.at(
                &name.span(),
                format!("`{}` is no macro of the configuration", name.get_ref()),
                "name it USER1 to USER256",
            ),
        }
    }
}

/// Refuses names of hosts that could not be written in `host/check`.
pub(super) fn check_host_name(faults: &mut Faults<'_>, name: &Text) {
    let is_usable = !name.get_ref().is_empty()
        && !name.get_ref().contains(['/', '\0'])
        && name.get_ref().trim() == name.get_ref();
    if !is_usable {
        faults.at(
            &name.span(),
            format!("{:?} cannot be the name of a host", name.get_ref()),
            "use a name without slash and without space at its ends",
        );
    }
}
