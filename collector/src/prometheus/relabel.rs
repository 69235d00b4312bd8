//! Rules that drop, keep and rewrite the series of a page.
//!
//! Source: Prometheus 3, `docs/configuration` (`relabel_config`) and `model/relabel/relabel.go`.
//! All its actions but `hashmod`, which shares targets out among servers.

use std::fmt::Write as _;

use noroshi_model::Labels;
use regex::Regex;
use serde::Deserialize;

/// One rule, as `metric_relabel_configs` has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Relabel {
    written: Written,
    /// Matches a whole text.
    regex: Regex,
}

impl PartialEq for Relabel {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

/// A rule as it is written in the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Labels whose values are joined and looked at; a missing one is empty.
    #[serde(default)]
    source_labels: Vec<String>,
    /// What stands between the values.
    #[serde(default = "separator")]
    separator: String,
    /// Which label is set.
    #[serde(default)]
    target_label: String,
    /// A regular expression (RE2's syntax) that must match the whole.
    #[serde(default = "everything")]
    regex: String,
    /// What the label becomes; `$1` or `${name}` is a group of the expression.
    #[serde(default = "first_group")]
    replacement: String,
    #[serde(default)]
    action: Action,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    /// Sets `target_label` when the expression matches.
    #[default]
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Drops what differs from the value of `target_label`.
    KeepEqual,
    /// Drops what equals the value of `target_label`.
    DropEqual,
    /// Copies each label whose name matches to the name that `replacement` makes of it.
    LabelMap,
    /// Removes the labels whose names match.
    LabelDrop,
    /// Removes the labels whose names do not match.
    LabelKeep,
    /// Sets `target_label` to the value in small letters.
    Lowercase,
    /// Sets `target_label` to the value in capitals.
    Uppercase,
}

fn separator() -> String {
    ";".to_owned()
}

fn everything() -> String {
    "(.*)".to_owned()
}

fn first_group() -> String {
    "$1".to_owned()
}

impl TryFrom<Written> for Relabel {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let needs_target = matches!(
            written.action,
            Action::Replace
                | Action::KeepEqual
                | Action::DropEqual
                | Action::Lowercase
                | Action::Uppercase
        );
        if needs_target && written.target_label.is_empty() {
            return Err("this action needs target_label".to_owned());
        }
        let needs_source = matches!(written.action, Action::Keep | Action::Drop);
        if needs_source && written.source_labels.is_empty() {
            return Err("this action needs source_labels".to_owned());
        }
        let regex = Regex::new(&format!("^(?s:{})$", written.regex))
            .map_err(|error| format!("{:?} is no regular expression: {error}", written.regex))?;
        Ok(Self { written, regex })
    }
}

/// Returns what a series becomes by all rules, one after another; `None` when one drops it.
pub(crate) fn apply(rules: &[Relabel], mut labels: Labels) -> Option<Labels> {
    for rule in rules {
        labels = rule.apply(labels)?;
    }
    Some(labels)
}

impl Relabel {
    fn apply(&self, labels: Labels) -> Option<Labels> {
        let value = self.source(&labels);
        let target = self.written.target_label.as_str();
        let is_equal = || labels.get(target).unwrap_or("") == value;
        match self.written.action {
            Action::Keep => self.regex.is_match(&value).then_some(labels),
            Action::Drop => (!self.regex.is_match(&value)).then_some(labels),
            Action::KeepEqual => is_equal().then_some(labels),
            Action::DropEqual => (!is_equal()).then_some(labels),
            Action::Replace => Some(self.replaced(labels, &value)),
            Action::Lowercase => Some(with(&labels, target, &value.to_lowercase())),
            Action::Uppercase => Some(with(&labels, target, &value.to_uppercase())),
            Action::LabelMap => Some(self.mapped(&labels)),
            Action::LabelDrop => Some(self.with_names(labels, false)),
            Action::LabelKeep => Some(self.with_names(labels, true)),
        }
    }

    /// Joins the values of the source labels.
    fn source(&self, labels: &Labels) -> String {
        let mut joined = String::new();
        for (index, name) in self.written.source_labels.iter().enumerate() {
            let separator = if index > 0 { self.written.separator.as_str() } else { "" };
            // Writing to a string cannot fail.
            write!(joined, "{separator}{}", labels.get(name).unwrap_or("")).unwrap_or_default();
        }
        joined
    }

    fn replaced(&self, labels: Labels, value: &str) -> Labels {
        let Some(groups) = self.regex.captures(value) else { return labels };
        let (mut target, mut replacement) = (String::new(), String::new());
        groups.expand(&self.written.target_label, &mut target);
        groups.expand(&self.written.replacement, &mut replacement);
        with(&labels, &target, &replacement)
    }

    fn mapped(&self, labels: &Labels) -> Labels {
        let is_meant = |(name, _): &(&str, &str)| self.regex.is_match(name);
        let mut builder = labels.to_builder();
        for (name, value) in labels.iter().filter(is_meant) {
            builder.set(&self.regex.replace(name, &self.written.replacement), value);
        }
        builder.build()
    }

    fn with_names(&self, labels: Labels, is_kept: bool) -> Labels {
        if labels.iter().all(|(name, _)| self.regex.is_match(name) == is_kept) {
            return labels;
        }
        labels.to_builder().retain(|name| self.regex.is_match(name) == is_kept).build()
    }
}

/// Returns the labels with one of them set; an empty value removes it.
fn with(labels: &Labels, name: &str, value: &str) -> Labels {
    labels.to_builder().set(name, value).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Relabel {
        toml::from_str(text).unwrap()
    }

    /// Applies one rule to `disk_io{device="sda1", job="Node", zone="a"}` and writes what is left.
    fn relabelled(text: &str) -> String {
        let pairs = [("__name__", "disk_io"), ("device", "sda1"), ("job", "Node"), ("zone", "a")];
        let left = apply(&[rule(text)], Labels::new(pairs));
        left.map_or_else(|| "dropped".to_owned(), |labels| labels.to_string())
    }

    #[test]
    fn every_action_does_what_prometheus_does() {
        let all = r#"disk_io{device="sda1",job="Node",zone="a"}"#;
        let cases = [
            ("source_labels=['__name__']\nregex='disk_.*'\naction='keep'", all),
            ("source_labels=['__name__']\nregex='disk'\naction='keep'", "dropped"),
            ("source_labels=['device']\nregex='sd[a-z]\\d'\naction='drop'", "dropped"),
            ("source_labels=['device']\nregex='sd'\naction='drop'", all),
            ("source_labels=['missing']\nregex=''\naction='drop'", "dropped"),
            ("source_labels=['zone']\ntarget_label='job'\naction='keepequal'", "dropped"),
            ("source_labels=['zone']\ntarget_label='job'\naction='dropequal'", all),
            (
                "source_labels=['device']\nregex='(sd.)(\\d)'\ntarget_label='disk'\n\
                 replacement='${1}-$2'",
                r#"disk_io{device="sda1",disk="sda-1",job="Node",zone="a"}"#,
            ),
            // No match: nothing is replaced. An empty value removes the label.
            ("source_labels=['device']\nregex='hd.*'\ntarget_label='zone'", all),
            ("target_label='zone'\nreplacement=''", r#"disk_io{device="sda1",job="Node"}"#),
            (
                "source_labels=['job', 'zone']\nseparator='/'\ntarget_label='both'",
                r#"disk_io{both="Node/a",device="sda1",job="Node",zone="a"}"#,
            ),
            // The name of the label that is set may come from the match.
            (
                "source_labels=['device']\nregex='(sd)(a)1'\ntarget_label='$2'\nreplacement='$1'",
                r#"disk_io{a="sd",device="sda1",job="Node",zone="a"}"#,
            ),
            (
                "regex='(z)one'\nreplacement='data_$1'\naction='labelmap'",
                r#"disk_io{data_z="a",device="sda1",job="Node",zone="a"}"#,
            ),
            ("regex='zone|job'\naction='labeldrop'", r#"disk_io{device="sda1"}"#),
            ("regex='__name__|job'\naction='labelkeep'", r#"disk_io{job="Node"}"#),
            (
                "source_labels=['job']\ntarget_label='job'\naction='lowercase'",
                r#"disk_io{device="sda1",job="node",zone="a"}"#,
            ),
            (
                "source_labels=['zone']\ntarget_label='zone'\naction='uppercase'",
                r#"disk_io{device="sda1",job="Node",zone="A"}"#,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(relabelled(text), expected, "{text}");
        }
    }

    #[test]
    fn rules_that_cannot_be_meant_are_refused() {
        let cases = [
            ("action='replace'", "needs target_label"),
            ("action='drop'\nregex='x'", "needs source_labels"),
            ("source_labels=['a']\naction='drop'\nregex='('", "is no regular expression"),
            ("action='hashmod'", "unknown variant"),
            ("labels=['a']", "unknown field"),
        ];
        for (text, reason) in cases {
            let error = toml::from_str::<Relabel>(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text} gives {error}");
        }
    }
}
