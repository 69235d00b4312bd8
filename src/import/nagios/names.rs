//! Lists of names: `a,b`, `*`, `!c`, and regular expressions where they are switched on.

use std::collections::BTreeSet;

use regex::Regex;

use super::read::{Source, Value};
use super::report::Notes;

/// What a list names and what it takes away.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) named: BTreeSet<String>,
    pub(super) excluded: BTreeSet<String>,
}

impl Chosen {
    /// Returns what is named and not taken away.
    pub(super) fn rest(self) -> BTreeSet<String> {
        &self.named - &self.excluded
    }
}

/// How names are looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// A name with a wildcard is a regular expression.
    has_wildcards: bool,
    /// Every name is.
    is_always: bool,
}

impl Rules {
    pub(super) fn new(source: &Source) -> Self {
        Self {
            has_wildcards: source.is_on("use_regexp_matching"),
            is_always: source.is_on("use_true_regexp_matching"),
        }
    }

    /// Chooses names of `known` by a list; what names nothing is noted.
    pub(super) fn choose<'a, I: Iterator<Item = &'a String> + Clone>(
        self,
        list: Option<&Value>,
        known: &I,
        what: &str,
        notes: &mut Notes,
    ) -> Chosen {
        let mut chosen = Chosen::default();
        let Some((text, value)) = list.and_then(|value| Some((value.text.as_deref()?, value)))
        else {
            return chosen;
        };
        // As in Nagios (4.4.6, by trial), names behind a pattern in a list are patterns too.
        let mut is_pattern = false;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let (name, is_excluded) = match name.strip_prefix('!') {
                Some(name) => (name.trim(), true),
                None => (name, false),
            };
            is_pattern |= self.is_pattern(name);
            let matcher = Matcher::new(name, is_pattern);
            let found = known.clone().filter(|known| match &matcher {
                Matcher::All => true,
                Matcher::Name => known.as_str() == name,
                Matcher::Pattern(pattern) => pattern.is_match(known),
            });
            let found: Vec<String> = found.cloned().collect();
            if found.is_empty() && !matches!(matcher, Matcher::All) {
                notes.add(&value.place, format!("there is no {what} {name:?}"));
            }
            if is_excluded { &mut chosen.excluded } else { &mut chosen.named }.extend(found);
        }
        chosen
    }

    /// Tells whether a name by itself is a regular expression.
    fn is_pattern(self, name: &str) -> bool {
        let has_wildcard = name.contains(['*', '?', '+']) || name.contains("\\.");
        self.has_wildcards && (self.is_always || has_wildcard)
    }
}

enum Matcher {
    All,
    Name,
    Pattern(Regex),
}

impl Matcher {
    fn new(name: &str, is_pattern: bool) -> Self {
        if name == "*" {
            return Self::All;
        }
        if is_pattern {
            // What is no pattern here is looked up as a name, and noted as unknown.
            return Regex::new(name).map_or(Self::Name, Self::Pattern);
        }
        Self::Name
    }
}
