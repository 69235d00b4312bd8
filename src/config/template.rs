//! `[template.host.NAME]`, `[template.check.NAME]` and `use`: what tables have in common, said once.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::check::Faults;
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

    /// Gives a host's table what its templates say.
    pub(super) fn complete_host(&self, faults: &mut Faults<'_>, table: &mut DeTable<'a>) {
        complete_checks(faults, &self.checks, table);
        self.hosts.complete(faults, table);
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
    pub(super) fn complete(&self, faults: &mut Faults<'_>, table: &mut DeTable<'a>) {
        for name in take_texts(faults, table, USE) {
            match self.tables.get(name.get_ref().as_str()) {
                Some(template) => self.lay(table, template),
                None => self.refuse_unknown(faults, &name, &[]),
            }
        }
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
