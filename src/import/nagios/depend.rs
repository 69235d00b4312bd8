//! Dependencies and groups of services: what is said of objects from outside of them.
//!
//! Source: Nagios Core 4.4.6 `xdata/xodtemplate.c` (expansion: without a dependent host a dependency
//! of services is within each host) and `base/checks.c`, `base/notifications.c` (criteria).

use std::collections::{BTreeMap, BTreeSet};

use super::convert::usable;
use super::expand::{Site, members_too};
use super::names::Rules;
use super::read::{Definition, Source};
use super::report::Notes;
use super::resolve::objects;

/// A host, or one of its services.
pub(super) type Object = (String, Option<String>);

/// What is said of objects from outside of them.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// What each needs, as our `depends` names it.
    pub(super) depends: BTreeMap<Object, BTreeSet<String>>,
    /// The groups of each service, by host and description.
    pub(super) servicegroups: BTreeMap<(String, String), BTreeSet<String>>,
}

/// The statuses that hinder what depends: those that `depends` counts as well.
const OF_HOSTS: [&str; 2] = ["d", "u"];
const OF_SERVICES: [&str; 2] = ["c", "u"];

/// Reads what is said of objects from outside of them.
pub(super) fn collect(site: &Site, source: &Source, notes: &mut Notes) -> Outside {
    let mut outside = Outside::default();
    let mut reader = Reader { site, rules: Rules::new(source), notes };
    for object in objects(&source.definitions, "hostdependency", reader.notes) {
        if reader.is_carried(&object, OF_HOSTS) {
            let masters = reader.hosts(&object, "");
            for dependent in reader.hosts(&object, "dependent_") {
                let others = masters.iter().filter(|master| **master != dependent);
                let needs = others.map(|master| usable(master)).collect::<Vec<_>>();
                outside.depends.entry((dependent, None)).or_default().extend(needs);
            }
        }
    }
    for object in objects(&source.definitions, "servicedependency", reader.notes) {
        if reader.is_carried(&object, OF_SERVICES) {
            for ((host, service), need) in reader.pairs(&object) {
                outside.depends.entry((host, Some(service))).or_default().insert(need);
            }
        }
    }
    for object in objects(&source.definitions, "servicegroup", reader.notes) {
        reader.members(&object, &mut outside.servicegroups);
    }
    outside
}

struct Reader<'a> {
    site: &'a Site,
    rules: Rules,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    /// Tells whether a dependency means what `depends` means; notes where it does not.
    fn is_carried(&mut self, object: &Definition, counted: [&str; 2]) -> bool {
        let letters = |name: &str| -> Vec<String> {
            let text = object.text(name).unwrap_or_default().to_lowercase();
            let parts = text.split(',').map(|part| part.trim().chars().take(1).collect());
            parts.filter(|letter: &String| !letter.is_empty() && letter != "n").collect()
        };
        let told = letters("notification_failure_criteria");
        let run = letters("execution_failure_criteria");
        let all = told.iter().chain(&run);
        if all.clone().any(|letter| letter == "o") {
            let what = "the dependency counts while its master is fine: not carried over";
            self.notes.add(&object.place, format!("{}: {what}", object.kind));
            return false;
        }
        if all.clone().next().is_none() {
            let what = "the dependency has no criteria: it does nothing in Nagios either";
            self.notes.add(&object.place, format!("{}: {what}", object.kind));
            return false;
        }
        if !run.is_empty() {
            let what = "execution_failure_criteria: checks go on running; nobody is told";
            self.notes.add(&object.place, format!("{}: {what}", object.kind));
        }
        let is_as_here = told.len() == 2 && counted.iter().all(|c| told.iter().any(|l| l == c));
        if !told.is_empty() && !is_as_here {
            let what = format!(
                "notification_failure_criteria {}: {} count here",
                told.join(","),
                counted.join(",")
            );
            self.notes.add(&object.place, format!("{}: {what}", object.kind));
        }
        if let Some(period) = object.text("dependency_period") {
            let what = format!("dependency_period {period}: it holds at any time");
            self.notes.add(&object.place, format!("{}: {what}", object.kind));
        }
        true
    }

    /// Returns the hosts that an object names, by themselves and by groups.
    fn hosts(&mut self, object: &Definition, prefix: &str) -> BTreeSet<String> {
        let own = object.values.get(&format!("{prefix}host_name"));
        let own = self.rules.choose(own, &self.site.hosts.keys(), "host", self.notes);
        let groups = object.values.get(&format!("{prefix}hostgroup_name"));
        let groups =
            self.rules.choose(groups, &self.site.hostgroups.keys(), "hostgroup", self.notes);
        members_too(own, &groups, &self.site.hostgroups).rest()
    }

    /// Returns each service that depends, with what it needs.
    fn pairs(&mut self, object: &Definition) -> Vec<((String, String), String)> {
        for name in ["servicegroup_name", "dependent_servicegroup_name"] {
            if let Some(group) = object.text(name) {
                let what = format!("servicedependency: {name} {group}: write `depends` by hand");
                self.notes.add(&object.place, what);
            }
        }
        let masters = self.hosts(object, "");
        let dependents = self.hosts(object, "dependent_");
        let is_within = dependents.is_empty();
        let mut pairs = Vec::new();
        for master in &masters {
            let needed = self.services(object, "service_description", master);
            let on_same = BTreeSet::from([master.clone()]);
            for dependent in if is_within { &on_same } else { &dependents } {
                let hindered = self.services(object, "dependent_service_description", dependent);
                for service in hindered {
                    let others = needed.iter().filter(|n| (master, *n) != (dependent, &service));
                    let needs = others.map(|need| format!("{}/{need}", usable(master)));
                    pairs.extend(needs.map(|need| ((dependent.clone(), service.clone()), need)));
                }
            }
        }
        pairs
    }

    fn services(&mut self, object: &Definition, name: &str, host: &str) -> BTreeSet<String> {
        let Some(host) = self.site.hosts.get(host) else { return BTreeSet::new() };
        let value = object.values.get(name);
        self.rules.choose(value, &host.services.keys(), "service", self.notes).rest()
    }

    /// Adds the members of a group of services: pairs of host and service.
    fn members(
        &mut self,
        group: &Definition,
        groups: &mut BTreeMap<(String, String), BTreeSet<String>>,
    ) {
        let Some(name) = group.text("servicegroup_name") else { return };
        if let Some(inner) = group.text("servicegroup_members") {
            let what = format!("servicegroup: servicegroup_members {inner}: not in the label");
            self.notes.add(&group.place, what);
        }
        let members: Vec<&str> =
            group.text("members").unwrap_or_default().split(',').map(str::trim).collect();
        for pair in members.chunks_exact(2) {
            let member = (pair[0].to_owned(), pair[1].to_owned());
            groups.entry(member).or_default().insert(name.to_owned());
        }
    }
}
