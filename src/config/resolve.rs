//! What the tables mean: names looked up, defaults filled in, all faults noted at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use noroshi_checks::{CheckSpec, HostSpec, IcmpProbe, PluginProbe, Probe, Timing};
use noroshi_collector::PollSpec;
use noroshi_store::StoreConfig;

use super::check::{Faults, check, timing};
use super::group::GroupCheck;
use super::raw::{Many, RawConfig, RawHost, RawTiming, Text};
use super::source::{Fault, SourceFile, nearest};
use super::{Part, depends, people, storage};

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
    /// Who is told, and through whom.
    pub(crate) alerts: noroshi_alerts::Config,
    /// `$USER1$` and so on.
    pub(super) user_macros: BTreeMap<u16, String>,
    pub(super) hosts: Vec<HostConfig>,
    pub(super) group_checks: Vec<GroupCheck>,
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
}

/// The port that people and agents expect.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8420);

impl Default for Server {
    fn default() -> Self {
        Self { listen: LISTEN, url: None, is_behind_tls: false }
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

/// Hosts that report by themselves.
#[derive(Debug)]
pub(crate) struct Agents {
    /// Whether an unknown host becomes known by reporting.
    pub(crate) may_register: bool,
    /// Whether they get the built-in checks.
    pub(crate) has_checks: bool,
    /// Silence after which the host counts as down.
    pub(crate) silence: Duration,
}

impl Default for Agents {
    /// Four missed reports of the usual ten seconds: one lost packet is no failure.
    fn default() -> Self {
        Self { may_register: true, has_checks: true, silence: Duration::from_secs(40) }
    }
}

/// A host of the configuration.
#[derive(Debug)]
pub(super) struct HostConfig {
    pub(super) spec: HostSpec,
    pub(super) alive: Alive,
    pub(super) checks: Vec<CheckSpec>,
    pub(super) polls: Vec<PollSpec>,
}

/// How it is told whether a host is up.
#[derive(Debug)]
pub(super) enum Alive {
    /// Nothing is said: by its agent when it has one, else it is taken to be up.
    Unsaid,
    /// It is taken to be up.
    None,
    /// By its agent's reports.
    Agent,
    /// By a probe.
    Probe(Box<(Probe, Timing)>),
}

impl HostConfig {
    /// Makes a host of which the configuration says nothing.
    pub(super) fn new(spec: HostSpec) -> Self {
        Self { spec, alive: Alive::Unsaid, checks: Vec::new(), polls: Vec::new() }
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
            counted(checks + self.group_checks.len(), "check"),
            counted(polls, "poll"),
            counted(self.alerts.contacts.len(), "contact"),
        )
    }

    /// Returns what would be told to nobody, and why.
    pub(crate) fn unreached(&self) -> Vec<String> {
        if self.alerts.contacts.is_empty() {
            return vec!["there is no [contact.NAME]".to_owned()];
        }
        if self.alerts.smtp.is_none() {
            return vec!["there is no mail server, [smtp]".to_owned()];
        }
        Vec::new()
    }

    /// Returns the checks that a host gets through `[check.NAME]`.
    pub(super) fn checks_for(&self, host: &HostSpec) -> Vec<CheckSpec> {
        self.group_checks.iter().filter_map(|group| group.for_host(host)).collect()
    }
}

/// Gives the tables of all files their meaning; what is wrong goes to `faults`.
pub(super) fn resolve(parts: &[Part], faults: &mut Vec<Fault>) -> Config {
    let mut config = Config::default();
    let known = Known::collect(parts, faults);
    for (file, raw) in parts {
        let mut faults = Faults { file, list: faults };
        resolve_server(&mut faults, raw, &mut config);
        storage::resolve(&mut faults, &raw.store, &mut config.store);
        people::resolve(&mut faults, raw, &mut config.alerts);
        resolve_macros(&mut faults, raw, &mut config.user_macros);
        for (name, host) in &raw.host {
            if let Some(host) = resolve_host(&mut faults, name, host, &raw.defaults, &known) {
                config.hosts.push(host);
            }
        }
        for (name, raw_check) in &raw.check {
            known.look_up_contacts(&mut faults, &raw_check.contacts);
            config.group_checks.extend(GroupCheck::resolve(
                &mut faults,
                name,
                raw_check,
                &raw.defaults,
                &known.hosts,
            ));
        }
    }
    people::check(parts, &config.alerts, faults);
    depends::check(parts, &config, faults);
    if let Some(url) = &config.server.url {
        config.alerts.base_url.clone_from(url);
    }
    config
}

/// Names that may be pointed to.
struct Known {
    hosts: BTreeSet<String>,
    contacts: BTreeSet<String>,
}

impl Known {
    /// Collects the names of all files; a name given twice is a fault.
    fn collect(parts: &[Part], faults: &mut Vec<Fault>) -> Self {
        let mut known = Self { hosts: BTreeSet::new(), contacts: BTreeSet::new() };
        for (file, raw) in parts {
            let mut note = |what: &str, name: &Text, is_new: bool| {
                if !is_new {
                    let what = format!("{what} `{}` is already in another file", name.get_ref());
                    faults.push(file.fault(&name.span(), what, "keep one of them".to_owned()));
                }
            };
            for name in raw.host.keys() {
                note("host", name, known.hosts.insert(name.get_ref().clone()));
            }
            for name in raw.contact.keys() {
                note("contact", name, known.contacts.insert(name.get_ref().clone()));
            }
        }
        known
    }

    /// Notes contacts that do not exist.
    fn look_up_contacts(&self, faults: &mut Faults<'_>, names: &[Text]) {
        look_up(faults, "contact", names, &self.contacts);
    }
}

/// Notes names that do not exist.
pub(super) fn look_up(
    faults: &mut Faults<'_>,
    what: &str,
    names: &[Text],
    known: &BTreeSet<String>,
) {
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
    agents.may_register = raw.agents.register.unwrap_or(agents.may_register);
    agents.has_checks = raw.agents.checks.unwrap_or(agents.has_checks);
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
fn check_host_name(faults: &mut Faults<'_>, name: &Text) {
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

/// Resolves `[host.NAME]`.
fn resolve_host(
    faults: &mut Faults<'_>,
    name: &Text,
    raw: &RawHost,
    defaults: &RawTiming,
    known: &Known,
) -> Option<HostConfig> {
    check_host_name(faults, name);
    known.look_up_contacts(faults, &raw.contacts);
    look_up(faults, "host", &raw.parents, &known.hosts);
    let texts = |list: &[Text]| list.iter().map(|text| text.get_ref().clone()).collect::<Vec<_>>();
    let mut spec = HostSpec::new(name.get_ref(), "");
    spec.address = raw.address.as_ref().map(|text| text.get_ref().clone()).unwrap_or_default();
    spec.alias = raw.alias.clone().unwrap_or_default();
    spec.groups = texts(&raw.groups);
    spec.parents = texts(&raw.parents);
    spec.depends = depends::named(&raw.depends, name.get_ref());
    spec.labels = raw.labels.clone();
    spec.variables = raw.variables.clone();
    spec.contacts = texts(&raw.contacts);
    spec.notes.clone_from(&raw.notes);
    spec.notes_url.clone_from(&raw.notes_url);
    let mut host = HostConfig::new(spec);
    if let Some(said) = &raw.alive {
        let timing = timing(faults, &RawTiming::default(), defaults);
        host.alive = alive(faults, said.get_ref(), &said.span(), timing)?;
    }
    for (check_name, raw_check) in &raw.check {
        known.look_up_contacts(faults, &raw_check.contacts);
        for misplaced in raw_check.hosts.iter().chain(&raw_check.groups) {
            faults.at(
                &misplaced.span(),
                "a check of one host has no hosts or groups".to_owned(),
                "move it to [check.NAME] or remove the list",
            );
        }
        host.checks.extend(check(faults, name.get_ref(), check_name, raw_check, defaults));
    }
    host.polls = raw.poll.specs(name.get_ref());
    Some(host)
}

/// Resolves how it is told whether a host is up.
fn alive(
    faults: &mut Faults<'_>,
    said: &Many,
    span: &std::ops::Range<usize>,
    timing: Timing,
) -> Option<Alive> {
    if said.is_list && !said.texts.is_empty() {
        let probe = PluginProbe { argv: said.texts.clone(), ..PluginProbe::default() };
        return Some(Alive::Probe(Box::new((Probe::Plugin(probe), timing))));
    }
    match said.texts.first().map(String::as_str) {
        Some("ping") => Some(Alive::Probe(Box::new((Probe::Icmp(IcmpProbe::default()), timing)))),
        Some("agent") => Some(Alive::Agent),
        Some("none") => Some(Alive::None),
        _ => {
            faults.at(
                span,
                "this does not say how to see that the host is up".to_owned(),
                r#"write "ping", "agent", "none", or a plug-in as a list"#,
            );
            None
        }
    }
}

/// Returns where a file stands, for texts about it.
pub(super) fn folder_of(file: &SourceFile) -> &std::path::Path {
    file.path.parent().unwrap_or(std::path::Path::new("."))
}
