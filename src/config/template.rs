//! `[template.host.NAME]`, `[template.check.NAME]` and `use`: what tables have in common, said once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::{Faults, PROBE_KINDS};
use super::raw::Text;
use super::source::nearest;
use super::table::{Named, lay_check_over, lay_over, named_of, take_named, take_texts};

/// The key that names templates.
const USE: &str = "use";
/// How deep templates may use each other; far above what anybody can still follow.
const DEPTH_MAX: usize = 32;

/// All templates, each with what it takes from others.
pub(super) struct Templates<'a> {
    pub(super) hosts: Kind<'a>,
    pub(super) checks: Kind<'a>,
}

/// The templates of hosts, or those of checks.
pub(super) struct Kind<'a> {
    /// `host` or `check`.
    what: &'static str,
    pub(super) tables: BTreeMap<Text, DeTable<'a>>,
}

/// Takes `[template.host]` and `[template.check]` out of a file.
pub(super) fn take<'a>(faults: &mut Faults<'_>, root: &mut DeTable<'a>) -> (Named<'a>, Named<'a>) {
    let mut kinds = take_named(faults, root, "template");
    let mut take = |kind: &str| match kinds.remove(kind) {
        Some(table) => named_of(faults, kind, table.into_inner()),
        None => Named::new(),
    };
    let taken = (take("host"), take("check"));
    for name in kinds.keys() {
        let what = format!("there are no templates of `{}`", name.get_ref());
        faults.at(&name.span(), what, "write [template.host.NAME] or [template.check.NAME]");
    }
    taken
}

impl<'a> Templates<'a> {
    /// Takes the templates of all files; circles and unknown names go to `faults`.
    pub(super) fn new(faults: &mut Faults<'_>, hosts: Named<'a>, checks: Named<'a>) -> Self {
        let checks = Kind::new(faults, "check", checks);
        let with_checks = hosts.into_iter().map(|(name, mut table)| {
            complete_checks(faults, &checks, table.get_mut());
            (name, table)
        });
        let hosts: Named<'a> = with_checks.collect();
        Self { hosts: Kind::new(faults, "host", hosts), checks }
    }

    /// Returns the names of all checks that templates of hosts have.
    pub(super) fn names_of_checks_of_hosts(&self) -> BTreeSet<String> {
        let checks = self.hosts.tables.values().filter_map(|host| host.get("check"));
        let tables = checks.filter_map(|checks| checks.get_ref().as_table());
        let names = tables.flat_map(|table| table.keys());
        names.map(|name| name.get_ref().to_string()).collect()
    }

    /// Gives a host's table what its templates say; returns whether all of them are there.
    pub(super) fn complete_host(&self, faults: &mut Faults<'_>, table: &mut DeTable<'a>) -> bool {
        complete_checks(faults, &self.checks, table);
        self.hosts.complete(faults, table)
    }
}

/// Lets a check look somehow whose template is missing: that it does not say how is no fault of its
/// own.
fn look_somehow(table: &mut DeTable<'_>) {
    if !PROBE_KINDS.iter().any(|(kind, _)| table.contains_key(*kind)) {
        let (key, value) = (Cow::Borrowed("ping"), DeValue::Boolean(true));
        table.insert(Spanned::new(0..0, key), Spanned::new(0..0, value));
    }
}

/// Gives the checks inside a host's table what their templates say.
fn complete_checks<'a>(faults: &mut Faults<'_>, checks: &Kind<'a>, host: &mut DeTable<'a>) {
    let Some(own) = host.get_mut("check") else { return };
    let DeValue::Table(own) = own.get_mut() else { return };
    for (_, check) in own.iter_mut() {
        if let DeValue::Table(check) = check.get_mut() {
            checks.complete(faults, check);
        }
    }
}

impl<'a> Kind<'a> {
    fn new(faults: &mut Faults<'_>, what: &'static str, tables: Named<'a>) -> Self {
        let mut kind = Self { what, tables: BTreeMap::new() };
        let mut waiting = tables;
        while let Some((name, _)) = waiting.first_key_value() {
            let name = name.get_ref().clone();
            kind.expand(faults, &name, &mut waiting, &mut Vec::new());
        }
        kind
    }

    /// Gives a table what the templates say that it uses.
    ///
    /// Returns whether all of them are there.
    pub(super) fn complete(&self, faults: &mut Faults<'_>, table: &mut DeTable<'a>) -> bool {
        let mut is_whole = true;
        for name in take_texts(faults, table, USE) {
            if let Some(template) = self.tables.get(name.get_ref().as_str()) {
                self.lay(table, template);
                continue;
            }
            self.refuse_unknown(faults, &name, &[]);
            is_whole = false;
        }
        if !is_whole && self.what == "check" {
            look_somehow(table);
        }
        is_whole
    }

    /// Puts a template and those that it uses among the complete ones.
    fn expand(
        &mut self,
        faults: &mut Faults<'_>,
        name: &str,
        waiting: &mut Named<'a>,
        path: &mut Vec<String>,
    ) {
        let Some((key, table)) = waiting.remove_entry(name) else { return };
        let mut table = table.into_inner();
        path.push(name.to_owned());
        for used in take_texts(faults, &mut table, USE) {
            if let Some(at) = path.iter().position(|on| on == used.get_ref()) {
                let circle = path[at..].iter().chain([used.get_ref()]);
                let circle: Vec<&str> = circle.map(String::as_str).collect();
                let what = format!("a circle of templates: {}", circle.join(" uses "));
                faults.at(&used.span(), what, "take one of them out");
                continue;
            }
            if path.len() >= DEPTH_MAX {
                let what = format!("templates use each other more than {DEPTH_MAX} deep");
                faults.at(&used.span(), what, "put what they say into fewer");
                continue;
            }
            self.expand(faults, used.get_ref(), waiting, path);
            if let Some(template) = self.tables.get(used.get_ref().as_str()) {
                self.lay(&mut table, template);
            } else {
                let others = waiting.keys().map(|key| key.get_ref().as_str());
                self.refuse_unknown(faults, &used, &others.collect::<Vec<_>>());
                if self.what == "check" {
                    look_somehow(&mut table);
                }
            }
        }
        path.pop();
        self.tables.insert(key, table);
    }

    fn lay(&self, table: &mut DeTable<'a>, template: &DeTable<'a>) {
        match self.what {
            "check" => lay_check_over(table, template),
            _ => lay_over(table, template),
        }
    }

    fn refuse_unknown(&self, faults: &mut Faults<'_>, name: &Text, others: &[&str]) {
        if faults.is_partial {
            return;
        }
        let what = self.what;
        let known = self.tables.keys().map(|key| key.get_ref().as_str());
        let advice = match nearest(name.get_ref(), known.chain(others.iter().copied())) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("add [template.{what}.{}] or remove the name", name.get_ref()),
        };
        let what = format!("there is no template `{}` for a {what}", name.get_ref());
        faults.at(&name.span(), what, &advice);
    }
}
