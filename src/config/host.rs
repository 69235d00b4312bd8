//! `[host.NAME]`: a host with what it inherits, and all its checks.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use noroshi_checks::{CheckSpec, HostSpec, IcmpProbe, PluginProbe, Probe, Timing};
use noroshi_collector::PollSpec;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::{Faults, check, flapping, kinds, probe, timing};
use super::depends::{Need, Needs};
use super::group::{EVERY, GroupCheck, has_choice, refuse_choice, without_choice};
use super::handler::handler;
use super::pattern::Pattern;
use super::probe::Brief;
use super::raw::{Many, RawAlive, RawCheck, RawHost, RawTiming, Text};
use super::resolve::{Config, Known, check_host_name, look_up, once_each};
use super::rule::Rule;
use super::source::Place;
use super::split::CheckText;
use super::table::{Named, Table, lay_check_over, read, settle, take_named};
use super::template::Templates;
use super::{Part, depends, poll, rule};

/// A host of the configuration.
#[derive(Debug)]
pub(super) struct HostConfig {
    pub(super) spec: HostSpec,
    pub(super) alive: Alive,
    pub(super) checks: Vec<CheckSpec>,
    /// Built-in checks as `[check.NAME]` changes them: the host gets them when it has an agent.
    pub(super) changed: Vec<CheckSpec>,
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
        let (checks, changed, polls) = (Vec::new(), Vec::new(), Vec::new());
        Self { spec, alive: Alive::Unsaid, checks, changed, polls, place: None, is_added: false }
    }
}

/// What hosts are made with.
struct Maker<'a, 'k> {
    known: &'k Known,
    templates: Templates<'a>,
    /// Checks for many hosts, each with the table that is laid under that of one host.
    groups: Vec<(GroupCheck, DeTable<'a>)>,
    /// What was written alike and is read already: the name, the lines, where the file begins.
    alike: HashMap<(&'a str, &'a str, usize), Option<Pattern>>,
    /// Names of checks that some host may inherit something for.
    inherited: BTreeSet<String>,
    /// Who needs whom, with the place where it is said.
    needs: Needs,
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
) -> Needs {
    once_each(faults, "check", parts.iter().flat_map(|part| part.checks.keys()));
    once_each(faults, "template", parts.iter().flat_map(|part| part.host_templates.keys()));
    once_each(faults, "template", parts.iter().flat_map(|part| part.check_templates.keys()));
    let (mut host_templates, mut check_templates) = (Named::new(), Named::new());
    let mut parts = parts;
    for part in &mut parts {
        host_templates.extend(std::mem::take(&mut part.host_templates));
        check_templates.extend(std::mem::take(&mut part.check_templates));
    }
    let templates = Templates::new(faults, host_templates, check_templates);
    let mut maker = Maker {
        known,
        inherited: templates.names_of_checks_of_hosts(),
        templates,
        groups: Vec::new(),
        alike: HashMap::new(),
        needs: Needs::default(),
        is_trial: false,
        patterns: None,
    };
    maker.try_templates(faults);
    for part in &mut parts {
        for (name, table) in std::mem::take(&mut part.checks) {
            maker.add_group(faults, &name, table, &part.raw.defaults);
            maker.inherited.insert(name.into_inner());
        }
    }
    for part in &mut parts {
        for rule in std::mem::take(&mut part.rules) {
            config.agents.rules.extend(maker.rule(faults, rule, &part.raw.defaults));
        }
    }
    for mut part in parts {
        for (name, table) in std::mem::take(&mut part.hosts) {
            let host = maker.host(faults, &name, table, &part);
            config.hosts.extend(host.map(|host| HostConfig {
                place: faults.sources.place(name.span().start),
                is_added: part.is_added,
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
        self.needs = Needs::default();
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
        if !self.templates.checks.complete(faults, &mut table) && !has_choice(&table) {
            // The template that is missing may say it.
            let every = Spanned::new(0..0, DeValue::String(Cow::Borrowed(EVERY)));
            let list = Spanned::new(0..0, DeValue::Array([every].into_iter().collect()));
            table.insert(Spanned::new(0..0, Cow::Borrowed("hosts")), list);
        }
        let under = without_choice(&table);
        settle(&mut table);
        let raw = read::<RawCheck>(faults, Spanned::new(span, table));
        let group =
            raw.and_then(|raw| GroupCheck::resolve(faults, name, &raw, defaults, self.known));
        if group.is_none() {
            self.needs.doubtful_checks.insert(name.get_ref().clone());
        }
        self.groups.extend(group.map(|group| (group, under)));
    }

    /// Makes a host with all that it inherits.
    fn host(
        &mut self,
        faults: &mut Faults<'_>,
        name: &Text,
        table: Table<'a>,
        part: &Part<'a>,
    ) -> Option<HostConfig> {
        check_host_name(faults, name);
        let span = table.span();
        let mut table = table.into_inner();
        let texts = part.texts.get(name.get_ref().as_str()).map(Vec::as_slice).unwrap_or_default();
        let is_inherited = |text: &&CheckText<'_>| self.inherited.contains(text.name.0);
        let (inherited, alike): (Vec<_>, Vec<_>) = texts.iter().partition(is_inherited);
        if !texts.is_empty() && table.contains_key("check") {
            // The reader of TOML says what is wrong with that.
            faults.at(&span, "checks are written in two ways".to_owned(), "write all in one");
        }
        put_back(faults, &mut table, &inherited, part.base);
        if !self.templates.complete_host(faults, &mut table) {
            self.needs.doubtful_hosts.insert(name.get_ref().clone());
        }
        let table = Spanned::new(span, table);
        let mut host = self.host_of(faults, name, table, &part.raw.defaults)?;
        let host_name: Arc<str> = name.get_ref().as_str().into();
        for text in alike {
            host.checks.extend(self.alike(faults, &host_name, text, part));
        }
        Some(host)
    }

    /// Returns the check of a text that was taken out of its file: that of the first host of which
    /// the same is said, on this host.
    fn alike(
        &mut self,
        faults: &mut Faults<'_>,
        host: &Arc<str>,
        text: &CheckText<'a>,
        part: &Part<'a>,
    ) -> Option<CheckSpec> {
        let key = (text.name.0, text.body.0, part.base);
        if !self.alike.contains_key(&key) {
            let pattern = self.read_alike(faults, text, part);
            self.alike.insert(key, pattern);
        }
        let pattern = self.alike.get(&key)?.as_ref()?;
        let check = pattern.on_host(host, faults.expressions);
        self.needs.all.extend(Need::of_check(&check, pattern.places_of_depends()));
        Some(check)
    }

    fn read_alike(
        &self,
        faults: &mut Faults<'_>,
        text: &CheckText<'a>,
        part: &Part<'a>,
    ) -> Option<Pattern> {
        let mut table = text.read(faults, part.base)?;
        self.templates.checks.complete(faults, table.get_mut());
        settle(table.get_mut());
        let raw = read::<RawCheck>(faults, table)?;
        self.known.look_up_of_check(faults, &raw);
        refuse_choice(faults, &raw);
        let name = Spanned::new(text.place_of_name(part.base), text.name.0.to_owned());
        Pattern::resolve(faults, &name, &raw, &part.raw.defaults)
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
        let before = self.needs.all.len();
        self.patterns = Some(Vec::new());
        let span = host.span();
        let mut table = host.into_inner();
        self.templates.complete_host(faults, &mut table);
        let alive = table.get("alive").and_then(|alive| alive.get_ref().get("expr"));
        let alive_expr = alive.and_then(|expr| Some(expr.get_ref().as_str()?.to_owned()));
        let host = self.host_of(faults, &name, Spanned::new(span, table), defaults);
        let patterns = self.patterns.take().unwrap_or_default();
        // What is on the host itself is there when there is a host.
        let needs = self.needs.all.split_off(before);
        self.needs.all.extend(needs.into_iter().filter_map(|need| need.of_rule(before)));
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
        self.needs.all.extend(Need::of_host(&spec, &raw));
        let mut host = HostConfig::new(spec);
        if let Some(said) = &raw.alive {
            let own = RawTiming { period: raw.period.clone(), ..RawTiming::default() };
            host.alive = alive(faults, name.get_ref(), said, &own, defaults)?;
        }
        let host_name: Arc<str> = name.get_ref().as_str().into();
        for (group, under) in &self.groups {
            if !group.is_for(&host.spec) {
                continue;
            }
            if let Some(own) = own_checks.get_mut(group.name()) {
                lay_check_over(own.get_mut(), under);
                continue;
            }
            let pattern = group.pattern();
            let check = pattern.on_host(&host_name, faults.expressions);
            self.needs.all.extend(Need::of_check(&check, pattern.places_of_depends()));
            if pattern.is_builtin() { &mut host.changed } else { &mut host.checks }.push(check);
        }
        for (check_name, mut table) in own_checks {
            settle(table.get_mut());
            let Some(mut raw) = read::<RawCheck>(faults, table) else {
                self.needs.doubtful_checks.insert(check_name.into_inner());
                continue;
            };
            self.known.look_up_of_check(faults, &raw);
            refuse_choice(faults, &raw);
            if self.is_trial {
                look_somehow(&mut raw);
            }
            let check = check(faults, name.get_ref(), &check_name, &raw, defaults);
            if check.is_none() {
                self.needs.doubtful_checks.insert(check_name.get_ref().clone());
            }
            if let Some(check) = &check {
                self.needs.all.extend(Need::of_check(check, depends::places(&raw)));
            }
            if let (Some(patterns), true) = (&mut self.patterns, check.is_some()) {
                patterns.extend(Pattern::resolve(faults, &check_name, &raw, defaults));
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

/// Puts tables of checks that were taken out of their file back into that of their host.
fn put_back<'a>(
    faults: &mut Faults<'_>,
    host: &mut DeTable<'a>,
    texts: &[&CheckText<'a>],
    base: usize,
) {
    let mut checks = DeTable::new();
    for text in texts {
        let name = Spanned::new(text.place_of_name(base), Cow::Borrowed(text.name.0));
        let Some(table) = text.read(faults, base) else { continue };
        let span = table.span();
        checks.insert(name, Spanned::new(span, DeValue::Table(table.into_inner())));
    }
    if !checks.is_empty() {
        let key = Spanned::new(base..base, Cow::Borrowed("check"));
        host.insert(key, Spanned::new(base..base, DeValue::Table(checks)));
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
