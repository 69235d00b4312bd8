//! Label sets and the matchers that select them.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};

/// The label that carries the metric's name, as in Prometheus.
pub const NAME: &str = "__name__";

/// Ends each name and each value inside [`Labels`]. Texts from outside that hold it get U+FFFD.
const END: char = '\0';
/// What stands in the place of it.
const INSTEAD: char = '\u{fffd}';

/// A set of labels, sorted by name: the identity of a series.
///
/// One allocation, shared by clones; equality, order and hash are those of one string. Names are
/// unique; a label with an empty value is the same as no label and is not kept (as in Prometheus).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

impl Labels {
    /// Makes a set from pairs in any order; of pairs with one name the last wins.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        if pairs.iter().any(|(name, _)| name.as_ref().contains(END)) {
            return Self::cleaned(&pairs);
        }
        // Of equals the first one stays first.
        pairs.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        let is_last = |index: usize| {
            let name = |index: usize| pairs.get(index).map(|(name, _)| name.as_ref());
            name(index) != name(index + 1)
        };
        let last = pairs.iter().enumerate().filter(|(index, _)| is_last(*index));
        Self::pack(last.map(|(_, (name, value))| (name.as_ref(), value.as_ref())))
    }

    /// Makes a set where names have other characters, and so another order, once they are clean.
    #[cold]
    fn cleaned<N: AsRef<str>, V: AsRef<str>>(pairs: &[(N, V)]) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Makes a set of pairs that are sorted by name, each name once.
    fn pack<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        let pairs = pairs.filter(|(name, value)| !name.is_empty() && !value.is_empty());
        let length = pairs.clone().map(|(n, v)| n.len() + v.len() + 2).sum();
        let mut packed = String::with_capacity(length);
        for text in pairs.flat_map(|(name, value)| [name, value]) {
            let mut parts = text.split(END);
            packed.push_str(parts.next().unwrap_or_default());
            for part in parts {
                packed.push(INSTEAD);
                packed.push_str(part);
            }
            packed.push(END);
        }
        Self(Arc::from(packed))
    }

    /// Returns the set without labels.
    pub fn empty() -> Self {
        Self(Arc::from(""))
    }

    /// Returns the value of a label; `None` when the set has no such label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Returns the metric's name; empty when there is none.
    pub fn name(&self) -> &str {
        // Hardly any other sorts before it.
        match self.0.strip_prefix(NAME).and_then(|rest| rest.strip_prefix(END)) {
            Some(rest) => rest.split(END).next().unwrap_or(""),
            None => self.get(NAME).unwrap_or(""),
        }
    }

    /// Walks over name and value, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.0.split_terminator(END);
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    /// Tells whether the set has no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many labels the set has.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns a builder that starts with these labels.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// Returns the set as one string: each name and each value, ended by NUL, sorted by name.
    ///
    /// This is what is hashed and what the store writes; [`Labels::from_packed`] reads it.
    pub fn as_packed(&self) -> &str {
        &self.0
    }

    /// Reads what [`Labels::as_packed`] gave; `None` when it was not written by it.
    pub fn from_packed(packed: &str) -> Option<Self> {
        if !packed.is_empty() && !packed.ends_with(END) {
            return None;
        }
        // One pass: each frame of each agent comes through here.
        let mut parts = packed.split_terminator(END);
        let mut name_before = "";
        while let Some(name) = parts.next() {
            // The empty name is not greater than any.
            if name <= name_before || parts.next()?.is_empty() {
                return None;
            }
            name_before = name;
        }
        Some(Self(Arc::from(packed)))
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// Orders by name and value, label by label.
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl fmt::Display for Labels {
    /// Writes the set as `PromQL` does: `name{label="value",...}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        f.write_str(name)?;
        let mut opener = '{';
        for (label, value) in self.iter().filter(|(label, _)| *label != NAME) {
            write!(f, "{opener}{label}={value:?}")?;
            opener = ',';
        }
        match (opener, name) {
            (',', _) => f.write_str("}"),
            (_, "") => f.write_str("{}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Labels {
    /// Writes a map of name to value.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Self::new(pairs))
    }
}

/// Collects labels before they become a [`Labels`].
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    /// Sorted by name, names unique, no value empty.
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Sets a label; an empty value removes it. NUL becomes U+FFFD.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        let clean = |text: &str| text.replace(END, INSTEAD.encode_utf8(&mut [0; 4]));
        if name.contains(END) {
            return self.set(&clean(name), value);
        }
        let at = self.pairs.binary_search_by(|(n, _)| n.as_str().cmp(name));
        match (at, value.is_empty() || name.is_empty()) {
            (Ok(index), true) => drop(self.pairs.remove(index)),
            (Ok(index), false) => self.pairs[index].1 = clean(value),
            (Err(_), true) => {}
            (Err(index), false) => self.pairs.insert(index, (name.to_owned(), clean(value))),
        }
        self
    }

    /// Removes a label if it is there.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    /// Keeps the labels for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) -> &mut Self {
        self.pairs.retain(|(name, _)| keep(name));
        self
    }

    /// Makes the set.
    pub fn build(&self) -> Labels {
        Labels::pack(self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatcherOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: the whole value matches the regular expression.
    Match,
    /// `!~`
    NotMatch,
}

/// One condition on a label. A label that is not there has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: Arc<str>,
    op: MatcherOp,
    value: Arc<str>,
    /// Present exactly for `=~` and `!~`; anchored at both ends.
    regex: Option<Regex>,
}

impl Matcher {
    /// Makes a matcher.
    ///
    /// Errors: [`LabelError::Regex`] when `value` of `=~` or `!~` is no regular expression of the
    /// `regex` crate (RE2's syntax, as in Prometheus).
    pub fn new(name: &str, op: MatcherOp, value: &str) -> Result<Self, LabelError> {
        let regex = match op {
            MatcherOp::Equal | MatcherOp::NotEqual => None,
            MatcherOp::Match | MatcherOp::NotMatch => Some(
                Regex::new(&format!("^(?s:{value})$"))
                    .map_err(|source| LabelError::Regex { name: name.to_owned(), source })?,
            ),
        };
        Ok(Self { name: name.into(), op, value: value.into(), regex })
    }

    /// Makes a matcher for equality, which cannot fail.
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.into(), op: MatcherOp::Equal, value: value.into(), regex: None }
    }

    /// Returns the label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how it compares.
    pub fn op(&self) -> MatcherOp {
        self.op
    }

    /// Returns the value or the regular expression as it was written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Tells whether a value matches; pass the empty string for a missing label.
    pub fn matches(&self, value: &str) -> bool {
        let is_like = |regex: &Option<Regex>| regex.as_ref().is_some_and(|r| r.is_match(value));
        match self.op {
            MatcherOp::Equal => *self.value == *value,
            MatcherOp::NotEqual => *self.value != *value,
            MatcherOp::Match => is_like(&self.regex),
            MatcherOp::NotMatch => !is_like(&self.regex),
        }
    }

    /// Tells whether a label set matches.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or(""))
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatcherOp::Equal => "=",
            MatcherOp::NotEqual => "!=",
            MatcherOp::Match => "=~",
            MatcherOp::NotMatch => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

/// Why a matcher could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// The value is no regular expression.
    #[error("matcher on label {name:?} is no regular expression")]
    Regex {
        /// The label.
        name: String,
        /// What the expression's parser says.
        source: regex::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_one_value_whatever_their_order() {
        let a = Labels::new([("b", "2"), ("a", "1"), ("c", "")]);
        let b = Labels::new([("a", "0"), ("a", "1"), ("b", "2")]);
        assert_eq!(a, b);
        assert_eq!(a.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!(a.get("c"), None);
        assert_eq!(a.len(), 2);
        for before in ["A", "b"] {
            assert_eq!(Labels::new([(before, "1"), (NAME, "up")]).name(), "up");
        }
        assert_eq!(Labels::new([("__name__x", "1")]).name(), "");
    }

    /// The builder is the plain way: one pair after the other.
    #[test]
    fn of_one_name_the_last_value_counts_also_the_empty_one() {
        let cases: [&[(&str, &str)]; 5] = [
            &[("a", "1"), ("a", "")],
            &[("b", "1"), ("a", "2"), ("b", ""), ("b", "3"), ("a", "4")],
            &[("", "1"), ("a", "2"), ("", "")],
            &[("b\u{fffd}", "1"), ("c", "2"), ("a", "\0x\0\0")],
            &[],
        ];
        for pairs in cases {
            let mut builder = LabelsBuilder::default();
            for (name, value) in pairs {
                builder.set(name, value);
            }
            assert_eq!(Labels::new(pairs.iter().copied()), builder.build(), "{pairs:?}");
        }
        // A name is compared as it is kept.
        let labels = Labels::new([("b\0", "1"), ("b\u{fffd}", "2"), ("ba", "3")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("ba", "3"), ("b\u{fffd}", "2")]);
    }

    #[test]
    fn labels_are_written_as_promql_writes_them() {
        let cases: [(&[(&str, &str)], &str); 4] = [
            (&[], "{}"),
            (&[(NAME, "up")], "up"),
            (&[("a", "say \"hi\"\n")], r#"{a="say \"hi\"\n"}"#),
            (&[(NAME, "up"), ("job", "x"), ("a", "b")], r#"up{a="b",job="x"}"#),
        ];
        for (pairs, text) in cases {
            assert_eq!(Labels::new(pairs.iter().copied()).to_string(), text);
        }
    }

    #[test]
    fn packed_labels_are_read_back_and_damaged_ones_refused() {
        let labels = Labels::new([("a", "1"), ("b", "nul\0inside")]);
        assert_eq!(labels.get("b"), Some("nul\u{fffd}inside"));
        assert_eq!(Labels::from_packed(labels.as_packed()), Some(labels));
        assert_eq!(Labels::from_packed(""), Some(Labels::empty()));
        for damaged in ["a", "a\0", "a\x001", "b\x001\0a\x001\0", "a\x001\0a\x002\0", "a\0\0"] {
            assert_eq!(Labels::from_packed(damaged), None, "{damaged:?}");
        }
    }

    #[test]
    fn regular_expressions_match_the_whole_value() {
        let matches = |op, pattern, value| Matcher::new("a", op, pattern).unwrap().matches(value);
        assert!(matches(MatcherOp::Match, "web.*", "web1"));
        assert!(!matches(MatcherOp::Match, "web", "web1"));
        assert!(!matches(MatcherOp::Match, "a|web", "xa"));
        assert!(matches(MatcherOp::NotMatch, "web", "web1"));
        assert!(matches(MatcherOp::Match, "a.b", "a\nb"));
        assert!(matches(MatcherOp::Match, ".*", ""));
        assert!(Matcher::new("a", MatcherOp::Match, "(").is_err());
    }
}
