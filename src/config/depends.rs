//! What needs what: `parents` and `depends` as one graph, whose names exist and which has no
//! circle.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use noroshi_checks::CheckSpec;
use noroshi_model::CheckId;

use super::group::GroupCheck;
use super::raw::Text;
use super::resolve::{Config, HostConfig};
use super::scope::HOST_MACRO;
use super::source::{Fault, SourceFile, nearest};
use super::{Part, builtin};

/// Returns what a list of `host` or `host/check` names, for the host whose table it stands in; an
/// empty `host` leaves `$HOSTNAME$` for [`on_host`].
pub(super) fn named(list: &[Text], host: &str) -> Vec<CheckId> {
    let mut ids: Vec<CheckId> = list.iter().map(|text| CheckId::parse(text.get_ref())).collect();
    if !host.is_empty() {
        on_host(&mut ids, host);
    }
    ids
}

/// Puts the host's name for `$HOSTNAME$`.
pub(super) fn on_host(ids: &mut [CheckId], host: &str) {
    for id in ids.iter_mut().filter(|id| &*id.host == HOST_MACRO) {
        id.host = host.into();
    }
}

/// Notes names that do not exist, and circles.
pub(super) fn check(parts: &[Part], config: &Config, faults: &mut Vec<Fault>) {
    let graph = Graph::new(config);
    let hosts: BTreeMap<&str, &HostConfig> =
        config.hosts.iter().map(|host| (host.spec.name.as_str(), host)).collect();
    let targets: BTreeSet<&CheckId> = graph.depends().map(|(_, to)| to).collect();
    let is_missing = |to: &CheckId| Some((to.clone(), missing(config, &hosts, to)?));
    let missing: BTreeMap<CheckId, String> = targets.into_iter().filter_map(is_missing).collect();
    let mut told = BTreeSet::new();
    for (from, to) in graph.depends() {
        let Some(advice) = missing.get(to) else { continue };
        let kind = if to.is_host() { "host" } else { "check" };
        let fault = fault(parts, from, to, format!("there is no {kind} `{to}`"), advice.clone());
        // A check for many hosts names it once.
        faults.extend(fault.filter(|f| told.insert((f.path.clone(), f.line, f.column))));
    }
    for circle in graph.circles() {
        let names: Vec<String> = circle.iter().map(ToString::to_string).collect();
        let what = format!("a circle of dependencies: {}", names.join(" needs "));
        let advice = "take one of them out: nothing in a circle could ever be the root";
        let mut edges = circle.windows(2);
        let placed = edges.rfind(|edge| place(parts, &edge[0], &edge[1]).is_some());
        let edge = placed.unwrap_or(&circle[..2]);
        faults.extend(fault(parts, &edge[0], &edge[1], what, advice.to_owned()));
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
        let own = host.checks.iter().map(|check| check.id.clone());
        let of_groups = config.checks_for(&host.spec).into_iter().map(|check| check.id);
        names.extend(own.chain(of_groups).filter_map(|id| id.check.map(|c| c.to_string())));
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
    /// Of `edges`, how many from the front are parents: those are looked up elsewhere.
    parents: BTreeMap<CheckId, usize>,
}

impl Graph {
    fn new(config: &Config) -> Self {
        let mut graph = Self { edges: BTreeMap::new(), parents: BTreeMap::new() };
        let is_for_many = config.group_checks.iter().any(GroupCheck::has_depends);
        for host in &config.hosts {
            let spec = &host.spec;
            let parents = spec.parents.iter().map(|parent| CheckId::host(parent));
            let above: Vec<CheckId> = parents.chain(spec.depends.iter().cloned()).collect();
            let id = CheckId::host(&spec.name);
            graph.parents.insert(id.clone(), spec.parents.len());
            graph.add(id, above);
            let mut add = |check: &CheckSpec| graph.add(check.id.clone(), check.depends.clone());
            if is_for_many {
                config.checks_for(spec).iter().for_each(&mut add);
            }
            host.checks.iter().for_each(&mut add);
        }
        graph
    }

    fn add(&mut self, id: CheckId, above: Vec<CheckId>) {
        if above.is_empty() {
            self.edges.remove(&id);
        } else {
            self.edges.insert(id, above);
        }
    }

    /// Walks over all that is named by `depends`.
    fn depends(&self) -> impl Iterator<Item = (&CheckId, &CheckId)> {
        self.edges.iter().flat_map(|(from, above)| {
            let parents = self.parents.get(from).copied().unwrap_or(0);
            above.iter().skip(parents).map(move |to| (from, to))
        })
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

/// Returns where `from` names `to`: a check for many hosts says it in one place for all.
fn place<'a>(
    parts: &'a [Part],
    from: &CheckId,
    to: &CheckId,
) -> Option<(&'a SourceFile, Range<usize>)> {
    for (file, raw) in parts {
        let host = raw.host.iter().find(|(name, _)| *name.get_ref() == *from.host);
        let mut lists: Vec<&Vec<Text>> = Vec::new();
        match &from.check {
            None => lists.extend(host.iter().flat_map(|(_, host)| [&host.parents, &host.depends])),
            Some(check) => {
                let own = host.iter().flat_map(|(_, host)| &host.check);
                let of_that_name =
                    own.chain(&raw.check).filter(|(name, _)| **name.get_ref() == **check);
                lists.extend(of_that_name.map(|(_, check)| &check.depends));
            }
        }
        let is_it = |text: &&Text| named(std::slice::from_ref(*text), &from.host)[0] == *to;
        if let Some(text) = lists.into_iter().flatten().find(is_it) {
            return Some((file, text.span()));
        }
    }
    None
}

fn fault(
    parts: &[Part],
    from: &CheckId,
    to: &CheckId,
    what: String,
    advice: String,
) -> Option<Fault> {
    let (file, span) = match place(parts, from, to) {
        Some(place) => place,
        None => (&parts.first()?.0, 0..0),
    };
    Some(file.fault(&span, what, advice))
}
