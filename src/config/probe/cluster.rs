//! `cluster = { members = [...], critical = "< 2" }`: how many of several are OK.

use noroshi_checks::{ClusterLimit, ClusterProbe, ClusterSelect, Probe};
use serde_spanned::Spanned;

use super::RawCluster;
use crate::config::check::{Faults, parse_threshold};
use crate::config::raw::{RawCheck, Text};

/// Makes the probe, without the members that it names.
pub(super) fn cluster(faults: &mut Faults<'_>, said: &Spanned<RawCluster>) -> Option<Probe> {
    let raw = said.get_ref();
    if raw.members.is_empty() && raw.r#match.is_none() {
        let what = "a cluster needs members".to_owned();
        let advice = "add members = [\"web1/http\"] or match = { check = \"http\" }";
        faults.at(&said.span(), what, advice);
        return None;
    }
    let select = raw.r#match.as_ref().map(|select| {
        let select = select.get_ref();
        ClusterSelect { check: select.check.clone(), groups: select.groups.clone() }
    });
    let limit = |faults: &mut Faults<'_>, text: &Option<Text>| {
        text.as_ref().and_then(|text| limit(faults, text))
    };
    Some(Probe::Cluster(Box::new(ClusterProbe {
        // They are named where the host is known.
        members: Vec::new(),
        select,
        warning: limit(faults, &raw.warning),
        critical: limit(faults, &raw.critical),
        skips_downtime: raw.skip_downtime,
        takes_warning: raw.warning_is_ok,
    })))
}

/// Reads `< 2` or `< 50 %`; a number alone is `< number`.
fn limit(faults: &mut Faults<'_>, text: &Text) -> Option<ClusterLimit> {
    let parsed = parse_limit(text.get_ref());
    if parsed.is_none() {
        let what = format!("{:?} is no number of members", text.get_ref());
        faults.at(&text.span(), what, "write how many must be OK, such as \"< 2\" or \"< 50 %\"");
    }
    parsed
}

fn parse_limit(text: &str) -> Option<ClusterLimit> {
    let text = text.trim();
    let bare = text.strip_suffix('%').map(str::trim_end);
    let number = bare.unwrap_or(text);
    let is_alone = number.starts_with(|c: char| c.is_ascii_digit());
    let threshold = parse_threshold(&if is_alone { format!("< {number}") } else { number.into() })?;
    let is_in_range = threshold.value >= 0.0 && (bare.is_none() || threshold.value <= 100.0);
    let is_fine = is_in_range && threshold.leave.is_none();
    is_fine.then_some(ClusterLimit {
        op: threshold.op,
        value: threshold.value,
        is_percent: bare.is_some(),
    })
}

/// Returns the members as they are written.
pub(in crate::config) fn said_members(raw: &RawCheck) -> &[Text] {
    raw.cluster.as_ref().map_or(&[], |said| &said.get_ref().members)
}

#[cfg(test)]
mod tests {
    use noroshi_checks::Compare;

    use super::*;

    #[test]
    fn limits_are_numbers_or_per_cent_of_members() {
        let limit = |op, value, is_percent| Some(ClusterLimit { op, value, is_percent });
        for (text, expected) in [
            ("< 2", limit(Compare::Below, 2.0, false)),
            ("2", limit(Compare::Below, 2.0, false)),
            ("<= 50 %", limit(Compare::AtMost, 50.0, true)),
            ("50%", limit(Compare::Below, 50.0, true)),
            ("< 120 %", None),
            ("< -1", None),
            ("< 2 until 3", None),
            ("most", None),
            ("", None),
        ] {
            assert_eq!(parse_limit(text), expected, "{text:?}");
        }
    }
}
