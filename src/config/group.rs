//! `[check.NAME]`: one check for many hosts.

use std::ops::Range;

use noroshi_checks::{CheckSpec, HostSpec, Probe};
use noroshi_model::{CheckId, Matcher, MatcherOp};
use toml::de::DeTable;

use super::check::{Faults, check};
use super::depends;
use super::raw::{RawCheck, RawTiming, Text};
use super::resolve::{Known, look_up};
use super::scope::{Expressions, INSTANCE, selector};
use super::table::remove;

/// Stands for all hosts.
const EVERY: &str = "*";
/// The label that stands for the groups of a host in `match`.
const GROUPS: &str = "groups";
/// The keys that say for which hosts a check is.
const CHOICE: [&str; 4] = ["hosts", "groups", "match", "except_hosts"];

/// A check as it would be on a host without name.
#[derive(Debug)]
pub(super) struct Pattern {
    template: CheckSpec,
    /// The expression and that of the graph as they were written: each host gets its own.
    expr: Option<String>,
    graph: Option<String>,
}

/// A check and the hosts that get it.
#[derive(Debug)]
pub(super) struct GroupCheck {
    pattern: Pattern,
    choice: Choice,
    /// Where each of what it depends on is written.
    places_of_depends: Vec<Range<usize>>,
}

/// For which hosts a check is: for those that any of the first three names, without the last.
#[derive(Debug)]
struct Choice {
    hosts: Vec<String>,
    groups: Vec<String>,
    matchers: Option<Vec<Matcher>>,
    except: Vec<String>,
}

impl GroupCheck {
    /// Makes it; `None` after a fault.
    pub(super) fn resolve(
        faults: &mut Faults<'_>,
        name: &Text,
        raw: &RawCheck,
        defaults: &RawTiming,
        known: &Known,
    ) -> Option<Self> {
        let choice = Choice::resolve(faults, name, raw, known);
        known.look_up_of_check(faults, raw);
        let template = check(faults, "", name, raw, defaults)?;
        let places_of_depends = depends::places(raw).collect();
        Some(Self { pattern: Pattern::new(template, raw), choice, places_of_depends })
    }

    /// Returns where each of what it depends on is written.
    pub(super) fn places_of_depends(&self) -> impl Iterator<Item = Range<usize>> {
        self.places_of_depends.iter().cloned()
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        self.pattern.name()
    }

    /// Returns the groups whose hosts get it.
    pub(super) fn groups(&self) -> &[String] {
        &self.choice.groups
    }

    /// Tells whether it is for this host.
    pub(super) fn is_for(&self, host: &HostSpec) -> bool {
        self.choice.has(host)
    }

    /// Returns the check as this host gets it.
    pub(super) fn on_host(&self, host: &HostSpec, expressions: &Expressions) -> CheckSpec {
        self.pattern.on_host(&host.name, expressions)
    }
}

impl Pattern {
    /// Takes the check of a host without name, and its table.
    pub(super) fn new(template: CheckSpec, raw: &RawCheck) -> Self {
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.get_ref().clone());
        Self { template, expr: text(&raw.expr), graph: text(&raw.graph) }
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        self.template.id.check.as_deref().unwrap_or_default()
    }

    /// Returns the check as this host gets it.
    pub(super) fn on_host(&self, host: &str, expressions: &Expressions) -> CheckSpec {
        let mut check = self.template.clone();
        check.id = CheckId::check(host, self.name());
        depends::on_host(&mut check.depends, host);
        if let Probe::Cluster(cluster) = &mut check.probe {
            depends::on_host(&mut cluster.members, host);
        }
        // What can be read for a host without name can be read for every host.
        if let (Probe::Expression(probe), Some(expr)) = (&mut check.probe, &self.expr)
            && let Ok(expr) = expressions.scoped(expr, host)
        {
            probe.expr = expr;
        }
        if let (Some(hint), Some(graph)) = (check.graphs.first_mut(), &self.graph)
            && let Ok(graph) = expressions.scoped(graph, host)
        {
            hint.expr = graph;
        }
        check
    }
}

impl Choice {
    fn resolve(faults: &mut Faults<'_>, name: &Text, raw: &RawCheck, known: &Known) -> Self {
        let hosts: Vec<Text> =
            raw.hosts.iter().filter(|host| host.get_ref() != EVERY).cloned().collect();
        look_up(faults, "host", &hosts, &known.hosts);
        look_up(faults, "host", &raw.except_hosts, &known.hosts);
        if raw.hosts.is_empty() && raw.groups.is_empty() && raw.r#match.is_none() {
            faults.at(
                &name.span(),
                format!("check `{}` is for no host", name.get_ref()),
                r#"give it hosts = ["web1"], groups = ["web"], match = '{role="web"}', or hosts = ["*"] for all"#,
            );
        }
        let texts = |list: &[Text]| list.iter().map(|text| text.get_ref().clone()).collect();
        Self {
            hosts: texts(&raw.hosts),
            groups: texts(&raw.groups),
            matchers: raw.r#match.as_ref().and_then(|text| matchers(faults, text)),
            except: texts(&raw.except_hosts),
        }
    }

    fn has(&self, host: &HostSpec) -> bool {
        let is_chosen = self.hosts.iter().any(|name| name == EVERY || *name == host.name)
            || self.groups.iter().any(|group| host.groups.contains(group))
            || self.matchers.as_ref().is_some_and(|all| all.iter().all(|m| fits(m, host)));
        is_chosen && !self.except.contains(&host.name)
    }
}

/// Reads the matchers of `match`.
fn matchers(faults: &mut Faults<'_>, text: &Text) -> Option<Vec<Matcher>> {
    match selector(text.get_ref()) {
        Ok(matchers) if !matchers.iter().any(|matcher| matcher.name() == "__name__") => {
            Some(matchers)
        }
        found => {
            let why = found.err().map_or("hosts have no metric".to_owned(), |error| error.message);
            faults.at(
                &text.span(),
                format!("{:?} chooses no hosts: {why}", text.get_ref()),
                r#"write matchers of labels, such as {role="web", groups=~"prod.*"}"#,
            );
            None
        }
    }
}

/// Tells whether a host has what a matcher asks for: a label of it, its name as `instance`, and of
/// its `groups` any; that something is not so must hold for all of them.
fn fits(matcher: &Matcher, host: &HostSpec) -> bool {
    match matcher.name() {
        INSTANCE => matcher.matches(&host.name),
        GROUPS if host.groups.is_empty() => matcher.matches(""),
        GROUPS => match matcher.op() {
            MatcherOp::Equal | MatcherOp::Match => {
                host.groups.iter().any(|group| matcher.matches(group))
            }
            MatcherOp::NotEqual | MatcherOp::NotMatch => {
                host.groups.iter().all(|group| matcher.matches(group))
            }
        },
        name => matcher.matches(host.labels.get(name).map_or("", String::as_str)),
    }
}

/// Takes out of a table for which hosts it is: what is left is laid under the check of a host.
pub(super) fn without_choice<'a>(table: &DeTable<'a>) -> DeTable<'a> {
    let mut table = table.clone();
    remove(&mut table, &CHOICE);
    table
}

/// Refuses in a check of one host what says for which hosts it is.
pub(super) fn refuse_choice(faults: &mut Faults<'_>, raw: &RawCheck) {
    let lists = raw.hosts.iter().chain(&raw.groups).chain(&raw.except_hosts);
    for misplaced in lists.chain(&raw.r#match) {
        faults.at(
            &misplaced.span(),
            "a check of one host does not choose hosts".to_owned(),
            "move it to [check.NAME] or remove the key",
        );
    }
}
