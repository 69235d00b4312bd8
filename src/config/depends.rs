//! What needs what: `parents` and `depends` as one graph, whose names exist and which has no
//! circle.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use noroshi_checks::{CheckSpec, HostSpec, Probe};
use noroshi_model::CheckId;
use serde_spanned::Spanned;

use super::builtin;
use super::check::Faults;
use super::host::HostConfig;
use super::probe::cluster::said_members;
use super::raw::{RawCheck, RawHost, Text};
use super::resolve::Config;
use super::scope::HOST_MACRO;
use super::source::nearest;

/// Returns what a list of `host` or `host/check` names, for the host whose table it stands in; an
/// empty `host` leaves `$HOSTNAME$` for [`on_host`].
pub(super) fn named(list: &[Text], host: &str) -> Vec<CheckId> {
    let mut ids: Vec<CheckId> = list.iter().map(|text| CheckId::parse(text.get_ref())).collect();
    if !host.is_empty() {
        on_host(&mut ids, host);
    }
    ids
}

/// Tells whether any of what is named stands on a check's own host.
pub(super) fn speak_of_host(ids: &[CheckId]) -> bool {
    ids.iter().any(|id| &*id.host == HOST_MACRO)
}

/// Puts the host's name for `$HOSTNAME$`.
pub(super) fn on_host(ids: &mut [CheckId], host: &str) {
    for id in ids.iter_mut().filter(|id| &*id.host == HOST_MACRO) {
        id.host = host.into();
    }
}

/// Returns what a check names: what it depends on, and a cluster its members.
fn named_by(check: &CheckSpec) -> impl Iterator<Item = &CheckId> {
    let members = match &check.probe {
        Probe::Cluster(cluster) => &cluster.members[..],
        _ => &[],
    };
    check.depends.iter().chain(members)
}

/// Returns where a check's table says what [`named_by`] returns.
pub(super) fn places(raw: &RawCheck) -> impl Iterator<Item = Range<usize>> {
    raw.depends.iter().chain(said_members(raw)).map(Spanned::span)
}

/// That something needs something else, and where it is said.
#[derive(Debug)]
pub(super) struct Need {
    from: CheckId,
    to: CheckId,
    /// Whether it is a parent: those are looked up with the hosts.
    is_parent: bool,
    span: Range<usize>,
}

/// All that is needed, and of what nothing can be said because its own table is wrong.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub(super) all: Vec<Need>,
    /// Hosts that may have further checks.
    pub(super) doubtful_hosts: BTreeSet<String>,
    /// Names of checks that could not be made.
    pub(super) doubtful_checks: BTreeSet<String>,
}

impl Need {
    /// Returns what a host needs.
    pub(super) fn of_host(host: &HostSpec, raw: &RawHost) -> Vec<Self> {
        let from = CheckId::host(&host.name);
        let need = |to: CheckId, span, is_parent| Self { from: from.clone(), to, is_parent, span };
        let parents =
            raw.parents.iter().map(|text| need(CheckId::host(text.get_ref()), text.span(), true));
        let others = host.depends.iter().zip(&raw.depends);
        parents.chain(others.map(|(to, text)| need(to.clone(), text.span(), false))).collect()
    }

    /// Returns what the hosts of a rule need that is not on themselves; `number` tells rules apart.
    pub(super) fn of_rule(self, number: usize) -> Option<Self> {
        let is_own = &*self.to.host == HOST_MACRO || self.to.host.is_empty();
        let from = CheckId::host(&format!("hosts of a rule {number}"));
        (!is_own).then_some(Self { from, ..self })
    }

    /// Returns what a check needs; `said` is the list as it was written.
    pub(super) fn of_check<'a>(
        check: &'a CheckSpec,
        said: impl IntoIterator<Item = Range<usize>> + 'a,
    ) -> impl Iterator<Item = Self> + 'a {
        named_by(check).zip(said).map(|(to, span)| Self {
            from: check.id.clone(),
            to: to.clone(),
            is_parent: false,
            span,
        })
    }
}

/// Notes names that do not exist, and circles.
///
/// `known`: the names of all hosts, those included that could not be made.
pub(super) fn check(
    needs: &Needs,
    config: &Config,
    known: &BTreeSet<String>,
    faults: &mut Faults<'_>,
) {
    let Needs { all: needs, doubtful_hosts, doubtful_checks } = needs;
    let hosts: BTreeMap<&str, &HostConfig> =
        config.hosts.iter().map(|host| (host.spec.name.as_str(), host)).collect();
    let named = || needs.iter().filter(|need| !need.is_parent);
    let targets: BTreeSet<&CheckId> = named().map(|need| &need.to).collect();
    // What is wrong with a table is told there, and not once more by what names it.
    let is_doubtful = |to: &CheckId| {
        doubtful_hosts.contains(&*to.host)
            || (known.contains(&*to.host)
                && !hosts.contains_key(&*to.host)
                && !config.is_local(&to.host))
            || to.check.as_ref().is_some_and(|check| doubtful_checks.contains(&**check))
    };
    let is_missing = |to: &CheckId| Some((to.clone(), missing(config, &hosts, to)?));
    let targets = targets.into_iter().filter(|to| !faults.is_partial && !is_doubtful(to));
    let missing: BTreeMap<CheckId, String> = targets.filter_map(is_missing).collect();
    for Need { to, span, .. } in named() {
        if let Some(advice) = missing.get(to) {
            let kind = if to.is_host() { "host" } else { "check" };
            faults.at(span, format!("there is no {kind} `{to}`"), advice);
        }
    }
    for circle in Graph::new(needs).circles() {
        let names: Vec<String> = circle.iter().map(ToString::to_string).collect();
        let what = format!("a circle of dependencies: {}", names.join(" needs "));
        let advice = "take one of them out: nothing in a circle could ever be the root";
        let said =
            |edge: &[CheckId]| needs.iter().find(|need| need.from == edge[0] && need.to == edge[1]);
        // That a check needs its host is said nowhere.
        if let Some(need) = circle.windows(2).rev().find_map(said) {
            faults.at(&need.span, what, advice);
        }
    }
}

/// Returns what to do when there is nothing of that name; `None` when there is.
fn missing(config: &Config, hosts: &BTreeMap<&str, &HostConfig>, to: &CheckId) -> Option<String> {
    let host = hosts.get(&*to.host);
    let is_local = config.local.is_watched && config.local.name == *to.host;
    if host.is_none() && !is_local {
        let advice = "write a host of the configuration, or \"host/check\"";
        return Some(did_you_mean(&to.host, hosts.keys().copied(), advice));
    }
    let check = to.check.as_ref()?;
    let mut names: BTreeSet<String> = builtin::names().into_iter().map(str::to_owned).collect();
    if let Some(host) = host {
        names.extend(
            host.checks.iter().filter_map(|check| Some(check.id.check.as_ref()?.to_string())),
        );
    }
    let advice = "write a check that this host has";
    (!names.contains(&**check))
        .then(|| did_you_mean(check, names.iter().map(String::as_str), advice))
}

fn did_you_mean<'a>(name: &str, names: impl Iterator<Item = &'a str>, advice: &str) -> String {
    match nearest(name, names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => advice.to_owned(),
    }
}

/// Who needs whom.
struct Graph {
    /// What each needs by its own words; a check's host is not listed.
    edges: BTreeMap<CheckId, Vec<CheckId>>,
}

impl Graph {
    fn new(needs: &[Need]) -> Self {
        let mut edges: BTreeMap<CheckId, Vec<CheckId>> = BTreeMap::new();
        for need in needs {
            edges.entry(need.from.clone()).or_default().push(need.to.clone());
        }
        Self { edges }
    }

    /// Returns each circle once, as a walk that ends where it began.
    fn circles(&self) -> Vec<Vec<CheckId>> {
        let mut done: BTreeSet<&CheckId> = BTreeSet::new();
        let mut circles = Vec::new();
        for start in self.edges.keys() {
            // The walk so far, each with how many of its edges were taken.
            let mut path: Vec<(CheckId, usize)> = vec![(start.clone(), 0)];
            while let Some((id, taken)) = path.last_mut() {
                let next = self.above(id, *taken);
                *taken += 1;
                match next {
                    _ if done.contains(id) => drop(path.pop()),
                    None => {
                        done.extend(self.edges.get_key_value(id).map(|(id, _)| id));
                        path.pop();
                    }
                    Some(next) => match path.iter().position(|(on, _)| *on == next) {
                        Some(at) => {
                            let circle = path[at..].iter().map(|(id, _)| id.clone());
                            circles.push(circle.chain([next]).collect());
                        }
                        None => path.push((next, 0)),
                    },
                }
            }
        }
        circles
    }

    /// Returns the nth that something needs: what it names, then for a check its host.
    fn above(&self, id: &CheckId, nth: usize) -> Option<CheckId> {
        let named = self.edges.get(id).map_or(&[][..], Vec::as_slice);
        let host = || CheckId { host: Arc::clone(&id.host), check: None };
        match named.get(nth) {
            Some(id) => Some(id.clone()),
            None => (nth == named.len() && !id.is_host()).then(host),
        }
    }
}
