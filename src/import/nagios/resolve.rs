//! Templates: what `use` brings, `+` adds and `null` takes away.

use std::collections::BTreeMap;

use super::read::{Definition, Value};
use super::report::Notes;

/// Directives that `+` adds to.
const ADDITIVE: [&str; 14] = [
    "parents",
    "hostgroups",
    "servicegroups",
    "contacts",
    "contact_groups",
    "contactgroups",
    "host_name",
    "hostgroup_name",
    "members",
    "hostgroup_members",
    "servicegroup_members",
    "contactgroup_members",
    "servicegroup_name",
    "exclude",
];

/// Returns the definitions of a kind that are objects, with what their templates give them.
pub(super) fn objects(
    definitions: &[Definition],
    kind: &str,
    notes: &mut Notes,
) -> Vec<Definition> {
    let of_kind: Vec<&Definition> = definitions.iter().filter(|d| d.kind == kind).collect();
    let mut templates: BTreeMap<&str, &Definition> = BTreeMap::new();
    for definition in &of_kind {
        if let Some(name) = definition.text("name") {
            templates.entry(name).or_insert(definition);
        }
    }
    let is_object = |definition: &&&Definition| definition.text("register") != Some("0");
    let mut objects = Vec::new();
    for definition in of_kind.iter().filter(is_object) {
        let mut object = Definition {
            values: resolved(definition, &templates, &mut Vec::new(), notes),
            ..(*definition).clone()
        };
        for name in ADDITIVE {
            let text = object.values.get_mut(name).and_then(|value| value.text.as_mut());
            if let Some(text) = text.filter(|text| text.starts_with('+')) {
                text.remove(0);
            }
        }
        objects.push(object);
    }
    objects
}

/// Returns the values of a definition with those of its templates, the first template first.
/// `path` holds the templates on the way here: one that uses itself ends there.
fn resolved<'a>(
    definition: &'a Definition,
    templates: &BTreeMap<&str, &'a Definition>,
    path: &mut Vec<&'a str>,
    notes: &mut Notes,
) -> BTreeMap<String, Value> {
    let mut values = definition.values.clone();
    let used = definition.text("use").unwrap_or_default();
    for name in used.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let Some((name, template)) = templates.get_key_value(name) else {
            notes.add(&definition.place, format!("there is no template {name:?}"));
            continue;
        };
        if path.contains(name) {
            notes.add(&template.place, format!("template {name:?} uses itself"));
            continue;
        }
        path.push(template.text("name").unwrap_or_default());
        let from = resolved(template, templates, path, notes);
        path.pop();
        inherit(&mut values, &from, identity(&definition.kind));
    }
    values
}

/// Returns the directive that names objects of a kind; templates do not pass it on.
pub(super) fn identity(kind: &str) -> &'static str {
    match kind {
        "host" => "host_name",
        "contact" => "contact_name",
        "hostgroup" => "hostgroup_name",
        "contactgroup" => "contactgroup_name",
        "servicegroup" => "servicegroup_name",
        "command" => "command_name",
        "timeperiod" => "timeperiod_name",
        _ => "",
    }
}

/// Takes from a template what is missing, and adds where `+` says so.
fn inherit(own: &mut BTreeMap<String, Value>, from: &BTreeMap<String, Value>, identity: &str) {
    for (name, given) in from {
        if ["name", "use", "register", identity].contains(&name.as_str()) {
            continue;
        }
        let Some(value) = own.get_mut(name) else {
            own.insert(name.clone(), given.clone());
            continue;
        };
        let is_additive = ADDITIVE.contains(&name.as_str());
        if let (true, Some(text), Some(given)) = (is_additive, &mut value.text, &given.text)
            && let Some(added) = text.strip_prefix('+')
        {
            // The template's own `+` stays in front, so that the next template adds as well.
            *text = format!("{given},{added}");
        }
    }
}
