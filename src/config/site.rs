//! What the rooms are given: configured hosts and those that registered themselves, together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use noroshi_checks::{CheckSpec, HostSpec, Probe};
use noroshi_collector::PollSpec;
use noroshi_web::configuration::{CheckGets, HostChoices, HostGets};

use super::group::GroupCheck;
use super::host::{Alive, HostConfig};
use super::resolve::Config;
use super::rule::{Register, Verdict};
use super::scope::Expressions;
use super::source::Place;
use super::{builtin, plugins};

/// Where the server's own machine is reached when nothing else is said.
const LOCAL_ADDRESS: &str = "127.0.0.1";

/// A host that became known by reporting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RegisteredHost {
    /// Its name.
    pub(crate) name: String,
    /// Where its agent reported from; empty when not known.
    pub(crate) address: String,
    /// The plug-ins that its agent's config names, and how often each is run.
    pub(crate) plugins: BTreeMap<String, Duration>,
    /// What its agent tells of it, for rules: `os`, `kernel`, `version`, `token`.
    pub(crate) facts: BTreeMap<String, String>,
    /// The labels that its agent's config gives it.
    pub(crate) labels: BTreeMap<String, String>,
}

/// What is watched, for the rooms that watch.
#[derive(Debug, Default)]
pub(crate) struct Site {
    /// For checks.
    pub(crate) checks: noroshi_checks::Site,
    /// For the collector.
    pub(crate) polls: Vec<PollSpec>,
    is_measured: bool,
}

impl Config {
    /// Tells whether the configuration has a host of that name.
    pub(crate) fn has_host(&self, name: &str) -> bool {
        self.hosts.iter().any(|host| host.spec.name == name)
    }

    /// Returns where a host's table stands, and whether it was added while the server ran; `None`
    /// when the configuration says nothing of it.
    pub(crate) fn place_of(&self, name: &str) -> Option<(&Place, bool)> {
        let host = self.hosts.iter().find(|host| host.spec.name == name)?;
        host.place.as_ref().map(|place| (place, host.is_added))
    }

    /// Tells whether a host is the machine that the server runs on.
    pub(crate) fn is_local(&self, name: &str) -> bool {
        self.local.is_watched && self.local.name == name
    }

    /// Returns what a host's table may name.
    pub(crate) fn choices(&self) -> HostChoices {
        let of_hosts = self.hosts.iter().flat_map(|host| &host.spec.groups);
        let of_checks = self.group_checks.iter().flat_map(GroupCheck::groups);
        let groups: BTreeSet<&String> = of_hosts.chain(of_checks).collect();
        let names = self.names.clone();
        HostChoices {
            templates: names.host_templates,
            check_templates: names.check_templates,
            groups: groups.into_iter().cloned().collect(),
            contacts: names.contacts,
            periods: names.periods,
            may_add_commands: self.server.may_add_commands,
        }
    }

    /// Returns what a host of the configuration gets.
    pub(crate) fn gets(&self, name: &str) -> HostGets {
        let Some(host) = self.hosts.iter().find(|host| host.spec.name == name) else {
            return HostGets::default();
        };
        let kind = |check: &CheckSpec| CheckGets {
            name: check.id.check.as_deref().unwrap_or_default().to_owned(),
            kind: check.probe.kind().to_owned(),
        };
        let mut checks: Vec<CheckGets> = host.checks.iter().map(kind).collect();
        checks.sort_by(|a, b| a.name.cmp(&b.name));
        let alive = match &host.alive {
            Alive::Unsaid => "agent when it has one",
            Alive::None => "none",
            Alive::Agent => "agent",
            Alive::Probe(said) => said.0.kind(),
        };
        let polls = host.polls.iter().map(|poll| poll.target.kind().to_owned()).collect();
        HostGets { alive: alive.to_owned(), checks, polls }
    }

    /// Returns what is in force otherwise than somebody may think, a line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let left_out = self.left_out.iter().map(|fault| format!("left out: {fault}"));
        let overridden = self.overridden.iter().map(|(name, place)| {
            format!(
                "host `{name}` was added here, but {place} has one too, which holds; remove one:                  the added one by `noroshi host remove {name}`"
            )
        });
        left_out.chain(overridden).collect()
    }

    /// Puts configured and registered hosts together with the checks that they get.
    ///
    /// `is_measured` tells whether the server's own measurements are there to be judged: before
    /// the first of them its checks could only say that nothing is known.
    pub(crate) fn site(&self, registered: &[RegisteredHost], is_measured: bool) -> Site {
        let mut site = Site { is_measured, ..Site::default() };
        let with_agent: BTreeMap<&str, &RegisteredHost> =
            registered.iter().map(|host| (host.name.as_str(), host)).collect();
        for host in &self.hosts {
            self.add(&mut site, host, with_agent.get(host.spec.name.as_str()).copied());
        }
        let configured: BTreeSet<&str> =
            self.hosts.iter().map(|host| host.spec.name.as_str()).collect();
        for host in registered.iter().filter(|host| !configured.contains(host.name.as_str())) {
            let mut config = match self.judge(host) {
                Verdict::By(rule) => rule.host_of(host),
                // Who registered before that was forbidden stays.
                Verdict::Refused(_) if self.agents.register != Register::None => continue,
                _ => HostConfig::new(HostSpec::new(&host.name, &host.address)),
            };
            label(&mut config.spec, host);
            let own: BTreeSet<_> = config.checks.iter().map(|c| c.id.clone()).collect();
            let of_groups = self.checks_for(&config.spec);
            config.checks.extend(of_groups.into_iter().filter(|c| !own.contains(&c.id)));
            self.add(&mut site, &config, Some(host));
        }
        if self.local.is_watched && !configured.contains(self.local.name.as_str()) {
            let host = HostSpec::new(&self.local.name, LOCAL_ADDRESS);
            let mut host = HostConfig::new(host);
            host.checks = self.checks_for(&host.spec);
            self.add(&mut site, &host, None);
        }
        site.checks.periods.clone_from(&self.periods);
        site.checks.user_macros.clone_from(&self.user_macros);
        site.checks.plugins.clone_from(&self.plugins);
        site.checks.history = self.history;
        site
    }

    /// Returns the checks for many hosts that a host gets of which the configuration says nothing.
    fn checks_for(&self, host: &HostSpec) -> Vec<CheckSpec> {
        let its = self.group_checks.iter().filter(|group| group.is_for(host));
        let (name, expressions) = (host.name.as_str().into(), Expressions::default());
        its.map(|group| group.pattern().on_host(&name, &expressions)).collect()
    }

    /// Adds one host with all that it gets.
    fn add(&self, site: &mut Site, host: &HostConfig, agent: Option<&RegisteredHost>) {
        let is_local = self.local.is_watched && host.spec.name == self.local.name;
        let mut spec = host.spec.clone();
        if let Some(agent) = agent {
            label(&mut spec, agent);
        }
        if let (true, Some(agent)) = (spec.address.is_empty(), agent) {
            spec.address.clone_from(&agent.address);
        } else if spec.address.is_empty() && is_local {
            LOCAL_ADDRESS.clone_into(&mut spec.address);
        }
        let has_agent = agent.is_some() || is_local;
        match &host.alive {
            Alive::Probe(said) => {
                let (probe, timing) = (**said).clone();
                (spec.probe, spec.timing) = (Some(probe), timing);
            }
            Alive::Agent => self.watch_agent(&mut spec),
            Alive::Unsaid if has_agent => self.watch_agent(&mut spec),
            Alive::Unsaid | Alive::None => {}
        }
        let mut checks: BTreeMap<String, CheckSpec> = BTreeMap::new();
        let mut keep = |mut check: CheckSpec| {
            if is_local {
                builtin::on_the_server(&mut check);
            } else {
                plugins::let_agent_look(&mut check);
            }
            let name = check.id.check.as_deref().unwrap_or_default().to_owned();
            checks.insert(name, check);
        };
        if is_local {
            builtin::of_the_machine(&spec.name).into_iter().for_each(&mut keep);
            if self.handed_in.is_any() {
                keep(builtin::handed_in(&spec.name));
            }
            if site.is_measured {
                builtin::of_the_server(&spec.name).into_iter().for_each(&mut keep);
            }
        } else if has_agent && self.agents.has_checks {
            builtin::of_an_agent(&spec.name).into_iter().for_each(&mut keep);
        }
        self.chosen(host, &spec, has_agent).into_iter().for_each(&mut keep);
        if let Some(agent) = agent {
            plugins::tie(&mut checks, agent, self.agents.has_plugins);
        }
        site.polls.extend(host.polls.iter().cloned());
        site.checks.checks.extend(checks.into_values());
        site.checks.hosts.push(spec);
    }

    /// Returns the checks of a host whose labels are those of `spec`, which its agent's are among.
    fn chosen(&self, host: &HostConfig, spec: &HostSpec, has_agent: bool) -> Vec<CheckSpec> {
        // What changes a built-in check for many hosts is for those that have it.
        let changed = host.changed.iter().filter(|_| has_agent);
        let mut checks: Vec<CheckSpec> = changed.chain(&host.checks).cloned().collect();
        if spec.labels == host.spec.labels {
            return checks;
        }
        let (name, expressions) = (spec.name.as_str().into(), Expressions::default());
        for group in &self.group_checks {
            match (group.is_for(&host.spec), group.is_for(spec)) {
                (false, true) => {
                    let check = group.pattern().on_host(&name, &expressions);
                    // What the host's own table says of a check of that name holds.
                    if checks.iter().all(|own| own.id != check.id) {
                        checks.push(check);
                    }
                }
                (true, false) => {
                    let check = group.pattern().on_host(&name, &expressions);
                    checks.retain(|own| *own != check);
                }
                _ => {}
            }
        }
        checks
    }

    /// Makes the host's state depend on its agent's reports.
    fn watch_agent(&self, spec: &mut HostSpec) {
        let (probe, timing) = builtin::agent_reports(&spec.name, self.agents.silence);
        let is_named = matches!(probe, Probe::Expression(_));
        debug_assert!(is_named, "an agent is watched by its series");
        (spec.probe, spec.timing) = (Some(probe), timing);
    }
}

/// Adds the labels that an agent gives its host; what the configuration says of a name holds.
fn label(spec: &mut HostSpec, agent: &RegisteredHost) {
    for (name, value) in &agent.labels {
        if !spec.labels.contains_key(name) {
            spec.labels.insert(name.clone(), value.clone());
            spec.labels_of_agent.insert(name.clone());
        }
    }
}
