//! `[check.NAME]`: one check for many hosts.

use noroshi_checks::HostSpec;
use noroshi_model::{Matcher, MatcherOp};
use toml::de::DeTable;

use super::check::Faults;
use super::pattern::Pattern;
use super::raw::{RawCheck, RawTiming, Text};
use super::resolve::{Known, look_up};
use super::scope::{INSTANCE, selector};
use super::table::remove;

/// Stands for all hosts.
pub(super) const EVERY: &str = "*";
/// The label that stands for the groups of a host in `match`.
const GROUPS: &str = "groups";
/// The keys that say for which hosts a check is.
const CHOICE: [&str; 4] = ["hosts", "groups", "match", "except_hosts"];

/// A check and the hosts that get it.
#[derive(Debug)]
pub(super) struct GroupCheck {
    pattern: Pattern,
    choice: Choice,
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
        let pattern = Pattern::resolve(faults, name, raw, defaults)?;
        Some(Self { pattern, choice })
    }

    /// Returns the check as it is on every host that gets it.
    pub(super) fn pattern(&self) -> &Pattern {
        &self.pattern
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

/// Tells whether a table says for which hosts it is.
pub(super) fn has_choice(table: &DeTable<'_>) -> bool {
    CHOICE.iter().any(|key| table.contains_key(*key))
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
