//! Which hosts have which services, groups and contacts.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::names::{Chosen, Rules};
use super::read::{Definition, Source};
use super::report::Notes;
use super::resolve::{identity, objects};

/// Members by the name of their group.
pub(super) type Groups = BTreeMap<String, BTreeSet<String>>;

/// All objects, expanded: nothing points to a template, a pattern or a group any more.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) hosts: BTreeMap<String, Host>,
    pub(super) hostgroups: Groups,
    pub(super) contactgroups: Groups,
    pub(super) contacts: BTreeMap<String, Definition>,
    pub(super) commands: BTreeMap<String, Definition>,
    pub(super) timeperiods: BTreeMap<String, Definition>,
}

/// A host with its services.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) definition: Definition,
    pub(super) parents: BTreeSet<String>,
    pub(super) contacts: BTreeSet<String>,
    pub(super) services: BTreeMap<String, Service>,
}

/// A service of one host.
#[derive(Debug)]
pub(super) struct Service {
    /// With what the host implies: notification period and interval.
    pub(super) definition: Definition,
    pub(super) contacts: BTreeSet<String>,
    /// It came by a group: a service that names the host itself takes its place.
    is_by_group: bool,
}

/// Resolves and expands all objects.
pub(super) fn expand(source: &Source, notes: &mut Notes) -> Site {
    let rules = Rules::new(source);
    let hosts = by_name(source, "host", notes);
    let contacts = by_name(source, "contact", notes);
    let hostgroups = groups(source, rules, "hostgroup", ("hostgroups", &hosts), notes);
    let contactgroups = groups(source, rules, "contactgroup", ("contactgroups", &contacts), notes);
    let mut site = Site {
        hosts: BTreeMap::new(),
        hostgroups,
        contactgroups,
        contacts,
        commands: by_name(source, "command", notes),
        timeperiods: by_name(source, "timeperiod", notes),
    };
    let names: BTreeSet<String> = hosts.keys().cloned().collect();
    for (name, definition) in hosts {
        let parents = definition.values.get("parents");
        let parents = rules.choose(parents, &names.iter(), "host", notes).rest();
        let contacts = contacts_of(&definition, rules, &site, notes);
        let services = BTreeMap::new();
        site.hosts.insert(name, Host { definition, parents, contacts, services });
    }
    for service in objects(&source.definitions, "service", notes) {
        add_service(&mut site, &service, rules, notes);
    }
    site
}

/// Returns the objects of a kind by their names; of two with one name the first counts.
fn by_name(source: &Source, kind: &str, notes: &mut Notes) -> BTreeMap<String, Definition> {
    let mut named = BTreeMap::new();
    for object in objects(&source.definitions, kind, notes) {
        let Some(name) = object.text(identity(kind)).map(str::to_owned) else {
            notes.add(&object.place, format!("the {kind} has no name"));
            continue;
        };
        match named.entry(name) {
            Entry::Occupied(before) => {
                notes.add(&object.place, format!("{kind} {:?} is defined before", before.key()));
            }
            Entry::Vacant(free) => drop(free.insert(object)),
        }
    }
    named
}

/// Returns who is in each group: by its `members`, by the members' own word (`joins`), and by
/// groups inside groups.
fn groups(
    source: &Source,
    rules: Rules,
    kind: &str,
    (joins, members): (&str, &BTreeMap<String, Definition>),
    notes: &mut Notes,
) -> Groups {
    let definitions = by_name(source, kind, notes);
    let what = kind.trim_end_matches("group");
    let mut groups = BTreeMap::new();
    for (name, definition) in &definitions {
        let list = definition.values.get("members");
        groups.insert(name.clone(), rules.choose(list, &members.keys(), what, notes));
    }
    for (member, definition) in members {
        let joined = rules.choose(definition.values.get(joins), &definitions.keys(), kind, notes);
        for group in joined.rest() {
            groups.entry(group).or_default().named.insert(member.clone());
        }
    }
    // The group's own exclusion is stronger than a member's wish to join.
    let groups: Groups = groups.into_iter().map(|(name, chosen)| (name, chosen.rest())).collect();
    let list = format!("{kind}_members");
    let inner: Groups = definitions
        .iter()
        .map(|(name, definition)| {
            let value = definition.values.get(&list);
            (name.clone(), rules.choose(value, &definitions.keys(), kind, notes).rest())
        })
        .collect();
    let with_inner = |name: &String| {
        // Each group is visited once, so that groups inside each other come to an end.
        let mut seen = BTreeSet::from([name.clone()]);
        let mut open = vec![name];
        let mut all = BTreeSet::new();
        while let Some(group) = open.pop() {
            all.extend(groups[group].iter().cloned());
            open.extend(inner[group].iter().filter(|group| seen.insert((*group).clone())));
        }
        all
    };
    definitions.keys().map(|name| (name.clone(), with_inner(name))).collect()
}

/// Returns the contacts that an object names, by themselves and by their groups.
fn contacts_of(
    definition: &Definition,
    rules: Rules,
    site: &Site,
    notes: &mut Notes,
) -> BTreeSet<String> {
    let own = definition.values.get("contacts");
    let own = rules.choose(own, &site.contacts.keys(), "contact", notes);
    let groups = definition.values.get("contact_groups");
    let groups = rules.choose(groups, &site.contactgroups.keys(), "contactgroup", notes);
    members_too(own, &groups, &site.contactgroups).rest()
}

/// Adds the members of groups; those of an excluded group are excluded.
pub(super) fn members_too(mut own: Chosen, groups: &Chosen, members: &Groups) -> Chosen {
    let of = |names: &BTreeSet<String>| -> Vec<String> {
        names.iter().filter_map(|name| members.get(name)).flatten().cloned().collect()
    };
    own.named.extend(of(&groups.named));
    own.excluded.extend(of(&groups.excluded));
    own
}

/// Adds a service to each of its hosts.
fn add_service(site: &mut Site, service: &Definition, rules: Rules, notes: &mut Notes) {
    let Some(description) = service.text("service_description") else {
        return notes.add(&service.place, "the service has no service_description");
    };
    let own = service.values.get("host_name");
    let own = rules.choose(own, &site.hosts.keys(), "host", notes);
    let directly = own.named.clone();
    let groups = service.values.get("hostgroup_name");
    let groups = rules.choose(groups, &site.hostgroups.keys(), "hostgroup", notes);
    let hosts = members_too(own, &groups, &site.hostgroups).rest();
    if hosts.is_empty() {
        notes.add(&service.place, format!("service {description:?} is on no host"));
    }
    for name in hosts {
        let Some(host) = site.hosts.get(&name) else { continue };
        let is_by_group = !directly.contains(&name);
        if let Some(before) = host.services.get(description) {
            if is_by_group || !before.is_by_group {
                let what = format!("service {description:?} of host {name:?} is defined before");
                notes.add(&service.place, what);
                continue;
            }
            let what = format!("service {description:?} of host {name:?} has a definition itself");
            notes.add(&before.definition.place, what);
        }
        let (definition, implies_contacts) = with_implied(service, &host.definition);
        let contacts = if implies_contacts {
            host.contacts.clone()
        } else {
            contacts_of(service, rules, site, notes)
        };
        let service = Service { definition, contacts, is_by_group };
        if let Some(host) = site.hosts.get_mut(&name) {
            host.services.insert(description.to_owned(), service);
        }
    }
}

/// Gives a service what it takes from its host when it does not say; and whether its contacts are
/// among that.
fn with_implied(service: &Definition, host: &Definition) -> (Definition, bool) {
    let mut service = service.clone();
    for name in ["notification_interval", "notification_period"] {
        if let (false, Some(value)) = (service.values.contains_key(name), host.values.get(name)) {
            service.values.insert(name.to_owned(), value.clone());
        }
    }
    let says = |name: &str| service.values.contains_key(name);
    let implies_contacts = !says("contacts") && !says("contact_groups");
    (service, implies_contacts)
}
