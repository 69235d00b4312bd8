//! `[host.NAME]`: a host with what it inherits, and all its checks.

use noroshi_checks::{CheckSpec, HostSpec, IcmpProbe, PluginProbe, Probe, Timing};
use noroshi_collector::PollSpec;
use serde_spanned::Spanned;
use toml::de::DeTable;

use super::check::{Faults, check, flapping, kinds, probe, timing};
use super::depends::Need;
use super::group::{GroupCheck, Pattern, refuse_choice, without_choice};
use super::handler::handler;
use super::probe::Brief;
use super::raw::{Many, RawAlive, RawCheck, RawHost, RawTiming, Text};
use super::resolve::{Config, Known, check_host_name, look_up, once_each};
use super::rule::Rule;
use super::source::Place;
use super::table::{Named, Table, lay_check_over, read, settle, take_named};
use super::template::Templates;
use super::{Part, depends, poll, rule};

/// A host of the configuration.
#[derive(Debug)]
pub(super) struct HostConfig {
    pub(super) spec: HostSpec,
    pub(super) alive: Alive,
    pub(super) checks: Vec<CheckSpec>,
    pub(super) polls: Vec<PollSpec>,
    /// Where its table stands; `None` for one without.
    pub(super) place: Option<Place>,
    /// Whether it was added while the server ran.
    pub(super) is_added: bool,
}

/// How it is told whether a host is up.
#[derive(Clone, Debug)]
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
        let (checks, polls) = (Vec::new(), Vec::new());
        Self { spec, alive: Alive::Unsaid, checks, polls, place: None, is_added: false }
    }
}

/// What hosts are made with.
struct Maker<'a, 'k> {
    known: &'k Known,
    templates: Templates<'a>,
    /// Checks for many hosts, each with the table that is laid under that of one host.
    groups: Vec<(GroupCheck, DeTable<'a>)>,
    /// Who needs whom, with the place where it is said.
    needs: Vec<Need>,
    /// Whether what it makes is seen by nobody, and may leave open how checks look.
    is_trial: bool,
    /// The own checks of the host that is made, while it is that of a rule.
    patterns: Option<Vec<Pattern>>,
}

/// Resolves the hosts and checks of all files; returns who needs whom.
pub(super) fn resolve(
    faults: &mut Faults<'_>,
    parts: Vec<Part<'_>>,
    known: &Known,
    config: &mut Config,
) -> Vec<Need> {
    once_each(faults, "check", parts.iter().flat_map(|part| part.checks.keys()));
    once_each(faults, "template", parts.iter().flat_map(|part| part.host_templates.keys()));
    once_each(faults, "template", parts.iter().flat_map(|part| part.check_templates.keys()));
    let (mut host_templates, mut check_templates) = (Named::new(), Named::new());
    let (mut tables, mut rules) = (Vec::with_capacity(parts.len()), Vec::new());
    for part in parts {
        host_templates.extend(part.host_templates);
        check_templates.extend(part.check_templates);
        rules.push(part.rules);
        tables.push((part.raw.defaults, part.hosts, part.checks, part.is_added));
    }
    let templates = Templates::new(faults, host_templates, check_templates);
    let (groups, needs) = (Vec::new(), Vec::new());
    let mut maker = Maker { known, templates, groups, needs, is_trial: false, patterns: None };
    maker.try_templates(faults);
    for (defaults, _, checks, _) in &mut tables {
        for (name, table) in std::mem::take(checks) {
            maker.add_group(faults, &name, table, defaults);
        }
    }
    for ((defaults, ..), rules) in tables.iter().zip(rules) {
        for rule in rules {
            config.agents.rules.extend(maker.rule(faults, rule, defaults));
        }
    }
    for (defaults, hosts, _, is_added) in tables {
        for (name, table) in hosts {
            let host = maker.host(faults, &name, table, &defaults);
            config.hosts.extend(host.map(|host| HostConfig {
                place: faults.sources.place(name.span().start),
                is_added,
                ..host
            }));
        }
    }
    config.group_checks = maker.groups.into_iter().map(|(group, _)| group).collect();
    maker.needs
}

impl<'a> Maker<'a, '_> {
    /// Makes of each template something that nobody sees, so that its faults are told when nothing
    /// uses it too.
    fn try_templates(&mut self, faults: &mut Faults<'_>) {
        self.is_trial = true;
        let defaults = RawTiming::default();
        let checks = self.templates.checks.tables.clone();
        for (name, mut table) in checks {
            settle(&mut table);
            let table = Spanned::new(name.span(), table);
            if let Some(mut raw) = read::<RawCheck>(faults, table) {
                self.known.look_up_of_check(faults, &raw);
                look_somehow(&mut raw);
                check(faults, "", &name, &raw, &defaults);
            }
        }
        let hosts = self.templates.hosts.tables.clone();
        for (name, table) in hosts {
            let table = Spanned::new(name.span(), table);
            self.host_of(faults, &name, table, &defaults);
        }
        self.is_trial = false;
        self.needs.clear();
    }

    /// Adds a check for many hosts.
    fn add_group(
        &mut self,
        faults: &mut Faults<'_>,
        name: &Text,
        table: Table<'a>,
        defaults: &RawTiming,
    ) {
        let span = table.span();
        let mut table = table.into_inner();
        self.templates.checks.complete(faults, &mut table);
        let under = without_choice(&table);
        settle(&mut table);
        let Some(raw) = read::<RawCheck>(faults, Spanned::new(span, table)) else { return };
        let group = GroupCheck::resolve(faults, name, &raw, defaults, self.known);
        self.groups.extend(group.map(|group| (group, under)));
    }

    /// Makes a host with all that it inherits.
    fn host(
        &mut self,
        faults: &mut Faults<'_>,
        name: &Text,
        table: Table<'a>,
        defaults: &RawTiming,
    ) -> Option<HostConfig> {
        check_host_name(faults, name);
        let span = table.span();
        let mut table = table.into_inner();
        self.templates.complete_host(faults, &mut table);
        self.host_of(faults, name, Spanned::new(span, table), defaults)
    }

    /// Makes a rule of its table: the keys of a host in it make one without name.
    fn rule(
        &mut self,
        faults: &mut Faults<'_>,
        table: Table<'a>,
        defaults: &RawTiming,
    ) -> Option<Rule> {
        let (choice, host) = rule::split(table);
        let name = Spanned::new(host.span(), String::new());
        let before = self.needs.len();
        self.patterns = Some(Vec::new());
        let span = host.span();
        let mut table = host.into_inner();
        self.templates.complete_host(faults, &mut table);
        let alive = table.get("alive").and_then(|alive| alive.get_ref().get("expr"));
        let alive_expr = alive.and_then(|expr| Some(expr.get_ref().as_str()?.to_owned()));
        let host = self.host_of(faults, &name, Spanned::new(span, table), defaults);
        let patterns = self.patterns.take().unwrap_or_default();
        // What is on the host itself is there when there is a host.
        let needs = self.needs.split_off(before);
        self.needs.extend(needs.into_iter().filter_map(|need| need.of_rule(before)));
        Rule::resolve(faults, choice, (host?, patterns), alive_expr)
    }

    /// Makes a host of a table that inherited what it may.
    fn host_of(
        &mut self,
        faults: &mut Faults<'_>,
        name: &Text,
        mut table: Table<'a>,
        defaults: &RawTiming,
    ) -> Option<HostConfig> {
        let mut own_checks = take_named(faults, table.get_mut(), "check");
        settle(table.get_mut());
        let polled = poll::addresses(table.get_ref());
        let raw = read::<RawHost>(faults, table)?;
        self.known.look_up_contacts(faults, &raw.contacts);
        self.known.look_up_period(faults, raw.period.as_ref());
        self.known.look_up_period(faults, raw.maintenance.as_ref());
        look_up(faults, "host", &raw.parents, &self.known.hosts);
        let spec = spec(faults, name, &raw);
        self.needs.extend(Need::of_host(&spec, &raw));
        let mut host = HostConfig::new(spec);
        if let Some(said) = &raw.alive {
            let own = RawTiming { period: raw.period.clone(), ..RawTiming::default() };
            host.alive = alive(faults, name.get_ref(), said, &own, defaults)?;
        }
        for (group, under) in &self.groups {
            if !group.is_for(&host.spec) {
                continue;
            }
            if let Some(own) = own_checks.get_mut(group.name()) {
                lay_check_over(own.get_mut(), under);
                continue;
            }
            let check = group.on_host(&host.spec, faults.expressions);
            self.needs.extend(Need::of_check(&check, group.places_of_depends()));
            host.checks.push(check);
        }
        for (check_name, mut table) in own_checks {
            settle(table.get_mut());
            let Some(mut raw) = read::<RawCheck>(faults, table) else { continue };
            self.known.look_up_of_check(faults, &raw);
            refuse_choice(faults, &raw);
            if self.is_trial {
                look_somehow(&mut raw);
            }
            let check = check(faults, name.get_ref(), &check_name, &raw, defaults);
            if let Some(check) = &check {
                self.needs.extend(Need::of_check(check, depends::places(&raw)));
                if let Some(patterns) = &mut self.patterns {
                    patterns.push(Pattern::new(check.clone(), &raw));
                }
            }
            host.checks.extend(check);
        }
        host.polls = raw.poll.specs(name.get_ref());
        // Of a template and a rule it is not known yet for which host.
        if !self.is_trial && self.patterns.is_none() {
            poll::check(faults, &polled, &host.spec);
            poll::expand(&mut host.polls, &host.spec);
        }
        Some(host)
    }
}

/// Makes what the checks room knows of a host.
fn spec(faults: &mut Faults<'_>, name: &Text, raw: &RawHost) -> HostSpec {
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
    spec.is_quiet = raw.notify == Some(false);
    spec.notes.clone_from(&raw.notes);
    spec.notes_url.clone_from(&raw.notes_url);
    spec.on_change = handler(faults, raw.on_change.as_ref());
    spec.flapping = flapping(faults, raw.flapping.as_ref());
    spec.maintenance = raw.maintenance.as_ref().map(|period| period.get_ref().clone());
    spec
}

/// Lets the check of a template look somehow when it leaves open how.
fn look_somehow(raw: &mut RawCheck) {
    if kinds(raw).is_empty() {
        raw.ping = Some(Spanned::new(0..0, Brief::Flag(true)));
    }
}

/// Resolves how it is told whether a host is up.
fn alive(
    faults: &mut Faults<'_>,
    host: &str,
    said: &Spanned<RawAlive>,
    own: &RawTiming,
    defaults: &RawTiming,
) -> Option<Alive> {
    let as_probe = |probe: Probe, timing: Timing| Alive::Probe(Box::new((probe, timing)));
    match said.get_ref() {
        RawAlive::Check(raw) => {
            let name = Spanned::new(said.span(), "alive".to_owned());
            let probe = probe(faults, host, &name, raw);
            let own = RawTiming {
                period: raw.period.clone().or_else(|| own.period.clone()),
                ..raw.timing()
            };
            let timing = timing(faults, &own, defaults);
            probe.map(|probe| as_probe(probe, timing))
        }
        RawAlive::Said(Many { texts, is_list: true }) if !texts.is_empty() => {
            let probe = PluginProbe { argv: texts.clone(), ..PluginProbe::default() };
            Some(as_probe(Probe::Plugin(probe), timing(faults, own, defaults)))
        }
        RawAlive::Said(Many { texts, .. }) => match texts.first().map(String::as_str) {
            Some("ping") => {
                let timing = timing(faults, own, defaults);
                Some(as_probe(Probe::Icmp(IcmpProbe::default()), timing))
            }
            Some("agent") => Some(Alive::Agent),
            Some("none") => Some(Alive::None),
            _ => {
                let what = "this does not say how to see that the host is up".to_owned();
                let advice =
                    r#"write "ping", "agent", "none", a plug-in as a list, or a check's table"#;
                faults.at(&said.span(), what, advice);
                None
            }
        },
    }
}
