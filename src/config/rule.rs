//! `[[agents.rule]]`: what becomes of a machine that reports by itself. The first rule that fits
//! decides. Each is resolved when the files are read, as a host without name, so that what is wrong
//! in it is told then and not when a machine reports.

use std::net::IpAddr;

use noroshi_checks::{HostSpec, Network, Probe};
use noroshi_model::Matcher;
use regex::Regex;
use serde::Deserialize;
use serde_spanned::Spanned;
use toml::de::DeTable;

use super::check::Faults;
use super::handed::networks;
use super::host::{Alive, HostConfig};
use super::pattern::Pattern;
use super::raw::Text;
use super::resolve::Config;
use super::scope::{Expressions, INSTANCE, selector};
use super::site::RegisteredHost;
use super::source::Place;
use super::table::{Table, read};
use super::{depends, poll};

/// The keys of a rule that are no keys of a host.
const CHOICE: [&str; 4] = ["hosts", "match", "networks", "refuse"];
/// The label that stands for the address in `match`.
const ADDRESS: &str = "address";

/// For which machines a rule is, and whether it refuses them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRule {
    /// Names with `*` and `?`.
    hosts: Vec<Text>,
    /// What they report, as `PromQL` selects series.
    r#match: Option<Text>,
    /// Networks, such as `10.1.0.0/16`.
    networks: Vec<Text>,
    /// Why such a machine does not become a host.
    refuse: Option<Spanned<RawRefuse>>,
}

/// `true`, or the reason.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawRefuse {
    Switch(bool),
    Why(String),
}

/// A rule.
#[derive(Debug)]
pub(crate) struct Rule {
    place: Option<Place>,
    choice: Choice,
    /// Why it refuses; `None`: it takes them.
    refuse: Option<String>,
    /// What they become, without name.
    host: HostConfig,
    /// Its own checks, those that groups bring left out.
    checks: Vec<Pattern>,
    /// The expression by which is seen that they are up, as it was written.
    alive_expr: Option<String>,
}

/// What a machine must be: all that is said.
#[derive(Debug, Default)]
struct Choice {
    names: Vec<Regex>,
    matchers: Vec<Matcher>,
    networks: Vec<Network>,
}

/// What becomes of a machine that reports.
#[derive(Clone, Debug)]
pub(crate) enum Verdict<'a> {
    /// A rule says what.
    By(&'a Rule),
    /// A host without more.
    Plain,
    /// None: why.
    Refused(String),
}

/// Whether machines become hosts by reporting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Register {
    /// Each, with what the first rule that fits says.
    #[default]
    All,
    /// Those that a rule takes.
    ByRule,
    /// None.
    None,
}

/// Takes apart what a rule's table says of its choice and of the host.
pub(super) fn split(table: Table<'_>) -> (Table<'_>, Table<'_>) {
    let span = table.span();
    let (mut choice, mut host) = (DeTable::new(), DeTable::new());
    for (key, value) in table.into_inner() {
        let is_choice = CHOICE.contains(&key.get_ref().as_ref());
        if is_choice { &mut choice } else { &mut host }.insert(key, value);
    }
    (Spanned::new(span.clone(), choice), Spanned::new(span, host))
}

impl Rule {
    /// Makes a rule of its choice and of the host that it makes; `None` after a fault.
    pub(super) fn resolve(
        faults: &mut Faults<'_>,
        choice: Table<'_>,
        (host, checks): (HostConfig, Vec<Pattern>),
        alive_expr: Option<String>,
    ) -> Option<Self> {
        let place = faults.sources.place(choice.span().start);
        let raw = read::<RawRule>(faults, choice)?;
        let refuse = raw.refuse.and_then(|refuse| match refuse.into_inner() {
            RawRefuse::Switch(false) => None,
            RawRefuse::Switch(true) => Some("a rule refuses it".to_owned()),
            RawRefuse::Why(why) => Some(why),
        });
        let mut choice = Choice::default();
        for name in &raw.hosts {
            choice.names.extend(glob(name.get_ref()));
        }
        choice.networks = networks(faults, &raw.networks);
        if let Some(text) = &raw.r#match {
            match selector(text.get_ref()) {
                Ok(matchers) => choice.matchers = matchers,
                Err(error) => faults.at(
                    &text.span(),
                    format!("{:?} chooses no machines: {}", text.get_ref(), error.message),
                    r#"write matchers of what agents tell, such as {os=~"Debian.*", token="web"}"#,
                ),
            }
        }
        Some(Self { place, choice, refuse, host, checks, alive_expr })
    }

    /// Tells whether it is for a machine.
    fn fits(&self, agent: &RegisteredHost) -> bool {
        let Choice { names, matchers, networks } = &self.choice;
        let told = |name: &str| match name {
            INSTANCE => agent.name.as_str(),
            ADDRESS => agent.address.as_str(),
            // A label cannot have the name of a fact: what the server knows is not overridden.
            name => {
                let said = agent.facts.get(name).or_else(|| agent.labels.get(name));
                said.map_or("", String::as_str)
            }
        };
        let address: Option<IpAddr> = agent.address.parse().ok();
        let is_within = |network: &Network| address.is_some_and(|address| network.holds(address));
        (names.is_empty() || names.iter().any(|name| name.is_match(&agent.name)))
            && (networks.is_empty() || networks.iter().any(is_within))
            && matchers.iter().all(|matcher| matcher.matches(told(matcher.name())))
    }

    /// Returns what a machine becomes, without the checks that its groups bring.
    pub(super) fn host_of(&self, agent: &RegisteredHost) -> HostConfig {
        let expressions = Expressions::default();
        let mut spec: HostSpec = self.host.spec.clone();
        spec.name.clone_from(&agent.name);
        depends::on_host(&mut spec.depends, &agent.name);
        let mut host = HostConfig::new(spec);
        host.alive = self.host.alive.clone();
        // What can be read for a host without name can be read for every host.
        if let (Alive::Probe(said), Some(expr)) = (&mut host.alive, &self.alive_expr)
            && let Probe::Expression(probe) = &mut said.0
            && let Ok(expr) = expressions.scoped(expr, &agent.name)
        {
            probe.expr = expr;
        }
        let name = agent.name.as_str().into();
        let checks = self.checks.iter().map(|check| check.on_host(&name, &expressions));
        host.checks = checks.collect();
        host.polls.clone_from(&self.host.polls);
        for poll in &mut host.polls {
            poll.instance.clone_from(&agent.name);
        }
        let mut spec = host.spec.clone();
        if spec.address.is_empty() {
            spec.address.clone_from(&agent.address);
        }
        poll::expand(&mut host.polls, &spec);
        host
    }

    /// Returns where it stands.
    pub(crate) fn place(&self) -> String {
        self.place.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

impl Config {
    /// Tells what becomes of a machine that reports and of which the files say nothing.
    pub(crate) fn judge(&self, agent: &RegisteredHost) -> Verdict<'_> {
        if self.agents.register == Register::None {
            let why = "[agents] register = false: only hosts of the configuration are watched";
            return Verdict::Refused(why.to_owned());
        }
        match self.agents.rules.iter().find(|rule| rule.fits(agent)) {
            Some(rule) => match &rule.refuse {
                Some(why) => Verdict::Refused(format!("{why} ({})", rule.place())),
                None => Verdict::By(rule),
            },
            None if self.agents.register == Register::ByRule => {
                Verdict::Refused("no [[agents.rule]] is for it".to_owned())
            }
            None => Verdict::Plain,
        }
    }
}

/// Makes a pattern of a name with `*` and `?`, which fits the whole name.
fn glob(text: &str) -> Option<Regex> {
    let pattern = regex::escape(text).replace(r"\*", ".*").replace(r"\?", ".");
    Regex::new(&format!("^{pattern}$")).ok()
}

#[cfg(test)]
mod tests;
