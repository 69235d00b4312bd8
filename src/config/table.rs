//! Tables as they stand in the files, before they are given a shape: moved to their place among
//! all files, taken apart, and laid over each other.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_spanned::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::check::{Faults, PROBE_KINDS, PROBE_OPTIONS};
use super::raw::Text;

/// A list whose first text is this one adds to what is inherited.
const ADD: &str = "+";
/// Tables in which each key is inherited by itself; every other value is replaced as a whole.
const MERGED: [&str; 4] = ["labels", "variables", "poll", "check"];

/// A table with its place.
pub(super) type Table<'a> = Spanned<DeTable<'a>>;

/// Named tables, such as those of `[host.NAME]`.
pub(super) type Named<'a> = BTreeMap<Text, Table<'a>>;

/// Moves all places in a table to where its file begins among all files.
pub(super) fn shift(table: &mut DeTable<'_>, base: usize) {
    if base == 0 {
        return;
    }
    let entries = std::mem::take(table).into_iter();
    *table = entries.map(|(key, value)| (moved(key, base), shifted(value, base))).collect();
}

fn shifted(value: Spanned<DeValue<'_>>, base: usize) -> Spanned<DeValue<'_>> {
    let mut value = moved(value, base);
    match value.get_mut() {
        DeValue::Table(table) => shift(table, base),
        DeValue::Array(list) => {
            let items = std::mem::replace(list, DeArray::new()).into_iter();
            *list = items.map(|item| shifted(item, base)).collect();
        }
        _ => {}
    }
    value
}

fn moved<T>(value: Spanned<T>, base: usize) -> Spanned<T> {
    let span = value.span();
    Spanned::new(span.start + base..span.end + base, value.into_inner())
}

/// Takes the tables `[key.NAME]` out of a table.
pub(super) fn take_named<'a>(
    faults: &mut Faults<'_>,
    table: &mut DeTable<'a>,
    key: &str,
) -> Named<'a> {
    let Some(value) = table.remove(key) else { return Named::new() };
    let span = value.span();
    let DeValue::Table(named) = value.into_inner() else {
        let advice = format!("write [{key}.NAME] above its keys");
        faults.at(&span, format!("`{key}` is no table of tables"), &advice);
        return Named::new();
    };
    named_of(faults, key, named)
}

/// Returns the tables in a table.
pub(super) fn named_of<'a>(faults: &mut Faults<'_>, key: &str, table: DeTable<'a>) -> Named<'a> {
    let mut tables = Named::new();
    for (name, value) in table {
        let (span, name) =
            (value.span(), Spanned::new(name.span(), name.into_inner().into_owned()));
        if let DeValue::Table(table) = value.into_inner() {
            tables.insert(name, Spanned::new(span, table));
            continue;
        }
        let what = format!("`{}` of `{key}` is no table", name.get_ref());
        let advice = format!("write [{key}.{}] above its keys", name.get_ref());
        faults.at(&name.span(), what, &advice);
    }
    tables
}

/// Takes a text or a list of texts out of a table: what `use` says.
pub(super) fn take_texts(faults: &mut Faults<'_>, table: &mut DeTable<'_>, key: &str) -> Vec<Text> {
    let Some(value) = table.remove(key) else { return Vec::new() };
    let span = value.span();
    let items = match value.into_inner() {
        DeValue::Array(list) => list.into_iter().collect(),
        other => vec![Spanned::new(span, other)],
    };
    let mut texts = Vec::new();
    for item in items {
        let span = item.span();
        match item.into_inner() {
            DeValue::String(text) => texts.push(Spanned::new(span, text.into_owned())),
            _ => faults.at(&span, format!("`{key}` lists names"), "write names in quotes"),
        }
    }
    texts
}

/// Gives a table its shape; `None` after a fault.
pub(super) fn read<T: DeserializeOwned>(faults: &mut Faults<'_>, table: Table<'_>) -> Option<T> {
    let table = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
    match T::deserialize(ValueDeserializer::from(table)) {
        Ok(shaped) => Some(shaped),
        Err(error) => {
            faults.of_reader(&error, 0);
            None
        }
    }
}

/// Lays a table over the one that it inherits from: its own keys count.
pub(super) fn lay_over<'a>(own: &mut DeTable<'a>, base: &DeTable<'a>) {
    for (key, inherited) in base {
        let Some(value) = own.get_mut(key) else {
            own.insert(key.clone(), inherited.clone());
            continue;
        };
        match (value.get_mut(), inherited.get_ref()) {
            (DeValue::Array(list), inherited) if is_added(list) => add(list, inherited),
            (DeValue::Table(table), DeValue::Table(inherited))
                if MERGED.contains(&key.get_ref().as_ref()) =>
            {
                lay_over_each(key.get_ref(), table, inherited);
            }
            _ => {}
        }
    }
}

/// Lays tables of tables over each other.
fn lay_over_each<'a>(key: &str, own: &mut DeTable<'a>, base: &DeTable<'a>) {
    for (name, inherited) in base {
        let Some(value) = own.get_mut(name) else {
            own.insert(name.clone(), inherited.clone());
            continue;
        };
        if let (DeValue::Table(own), DeValue::Table(inherited)) =
            (value.get_mut(), inherited.get_ref())
        {
            match key {
                "check" => lay_check_over(own, inherited),
                // `poll.prometheus.JOB` is one level deeper than the other kinds.
                _ => lay_over_each(key, own, inherited),
            }
        }
    }
}

/// Lays a check over the one that it inherits from. One that says how to look takes nothing from
/// another way of looking, and of two words for one thing the own one counts.
pub(super) fn lay_check_over<'a>(own: &mut DeTable<'a>, base: &DeTable<'a>) {
    let has = |table: &DeTable<'_>, key: &str| table.contains_key(key);
    let mut kinds = PROBE_KINDS.iter().map(|(kind, _)| *kind).filter(|kind| has(own, kind));
    let mut base = base.clone();
    if kinds.clone().next().is_some() && !kinds.any(|kind| has(&base, kind)) {
        for (kind, _) in PROBE_KINDS {
            base.remove(kind);
        }
        remove(&mut base, &PROBE_OPTIONS);
    }
    let counts = ["for", "attempts", "fails", "window"];
    if counts.iter().any(|key| has(own, key)) {
        remove(&mut base, &counts);
    }
    lay_over(own, &base);
}

/// Takes keys out of a table.
pub(super) fn remove(table: &mut DeTable<'_>, keys: &[&str]) {
    for key in keys {
        table.remove(*key);
    }
}

/// Tells whether a list adds to what is inherited.
fn is_added(list: &[Spanned<DeValue<'_>>]) -> bool {
    list.first().is_some_and(|first| first.get_ref().as_str() == Some(ADD))
}

/// Puts what is inherited before the own texts of a list; it still adds when that one did.
fn add<'a>(list: &mut DeArray<'a>, inherited: &DeValue<'a>) {
    let own = std::mem::replace(list, DeArray::new()).into_iter().skip(1);
    let inherited = match inherited {
        DeValue::Array(inherited) => inherited.iter().cloned().collect(),
        one => vec![Spanned::new(0..0, one.clone())],
    };
    *list = inherited.into_iter().chain(own).collect();
}

/// Takes the signs out of lists that had nothing to add to.
pub(super) fn settle(table: &mut DeTable<'_>) {
    for (_, value) in table.iter_mut() {
        match value.get_mut() {
            DeValue::Table(table) => settle(table),
            DeValue::Array(list) if is_added(list) => {
                *list = std::mem::replace(list, DeArray::new()).into_iter().skip(1).collect();
            }
            _ => {}
        }
    }
}
