//! Clusters: how many of several checks or hosts are OK.
//!
//! Pure: the board tells what each member counts as. Members of which nothing is known are neither
//! OK nor failed; the result is unknown only when it depends on them (three-valued logic).

use std::collections::BTreeSet;

use noroshi_model::{CheckId, Perfdata, Range, Status, Unit};

use super::Compare;
use super::finding::Finding;

/// How many members the first line names of a kind.
const NAMED_MAX: usize = 5;

/// How many of its members are OK.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterProbe {
    /// Members by name: checks, and hosts.
    pub members: Vec<CheckId>,
    /// Further members: what is like this on every host that there is.
    pub select: Option<ClusterSelect>,
    /// When to warn.
    pub warning: Option<ClusterLimit>,
    /// When it is critical.
    pub critical: Option<ClusterLimit>,
    /// Whether members in downtime are left out; else they count as they are found, because what
    /// the cluster serves does not care why a member is gone.
    pub skips_downtime: bool,
    /// Whether a member with a warning counts as OK: it still works.
    pub takes_warning: bool,
}

/// Members by what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSelect {
    /// Name of the check; `None`: the hosts themselves.
    pub check: Option<String>,
    /// Groups of which a host must be in one; empty: every host.
    pub groups: Vec<String>,
}

/// A limit of the number of members that are OK.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterLimit {
    /// On which side of the value the problem lies.
    pub op: Compare,
    /// Members, or per cent of those that count.
    pub value: f64,
    /// Whether `value` is per cent.
    pub is_percent: bool,
}

/// What a member counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// It is well, or its problem is not yet confirmed.
    Fine,
    /// It is well but warns.
    Warning,
    /// It has a confirmed problem.
    Failed,
    /// It could not tell, is unreachable, or does not exist.
    Unknown,
    /// It was never looked at.
    Pending,
}

/// A member at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: CheckId,
    pub(crate) counted: Counted,
    pub(crate) is_in_downtime: bool,
}

impl ClusterLimit {
    /// Tells whether `fine` of `all` members are a problem.
    fn holds(self, fine: usize, all: usize) -> bool {
        self.op.holds(fine as f64, self.members(all))
    }

    /// Returns the limit as a number of members.
    fn members(self, all: usize) -> f64 {
        if self.is_percent { self.value * all as f64 / 100.0 } else { self.value }
    }
}

/// How many are what.
struct Tally<'a> {
    fine: Vec<&'a CheckId>,
    failed: Vec<&'a CheckId>,
    unknown: Vec<&'a CheckId>,
    skipped: Vec<&'a CheckId>,
}

impl<'a> Tally<'a> {
    fn new(probe: &ClusterProbe, members: &'a [Member]) -> Self {
        let mut tally = Self { fine: vec![], failed: vec![], unknown: vec![], skipped: vec![] };
        for member in members {
            let kind = match member.counted {
                _ if member.is_in_downtime && probe.skips_downtime => &mut tally.skipped,
                Counted::Fine => &mut tally.fine,
                Counted::Warning if probe.takes_warning => &mut tally.fine,
                Counted::Warning | Counted::Failed => &mut tally.failed,
                Counted::Unknown | Counted::Pending => &mut tally.unknown,
            };
            kind.push(&member.id);
        }
        tally
    }

    fn all(&self) -> usize {
        self.fine.len() + self.failed.len() + self.unknown.len()
    }
}

/// Judges the members.
pub(crate) fn look(probe: &ClusterProbe, members: &[Member]) -> Finding {
    let tally = Tally::new(probe, members);
    let (fine, all) = (tally.fine.len(), tally.all());
    if all == 0 {
        return match tally.skipped.len() {
            0 => Finding::unknown("the cluster has no members"),
            count => Finding::new(Status::Ok, format!("all {count} members are in downtime")),
        };
    }
    // What it would be, whatever those are of which nothing is known.
    let possible: BTreeSet<u8> = (fine..=fine + tally.unknown.len())
        .map(|fine| judge(probe, fine, all).severity())
        .collect();
    let status = match (possible.first(), possible.len()) {
        (Some(0), 1) => Status::Ok,
        // It depends on them whether there is a problem at all.
        (Some(0), _) => Status::Unknown,
        // A problem it is in any case, and surely this one.
        (Some(least), _) if *least == Status::Warning.severity() => Status::Warning,
        _ => Status::Critical,
    };
    let mut output = format!("{fine} of {all} OK");
    for (what, of) in
        [("not OK", &tally.failed), ("unknown", &tally.unknown), ("in downtime", &tally.skipped)]
    {
        if !of.is_empty() {
            output = format!("{output}; {what}: {}", names(of));
        }
    }
    let mut finding = Finding::new(status, output);
    finding.long_output = members.iter().map(line).collect::<Vec<_>>().join("\n");
    finding.perfdata = vec![
        count_data("ok", fine, all, (probe.warning, probe.critical)),
        count_data("unknown", tally.unknown.len(), all, (None, None)),
    ];
    finding
}

/// Judges a number of members that are fine. Without limits a member that is not is a warning,
/// and none that is fine is critical.
fn judge(probe: &ClusterProbe, fine: usize, all: usize) -> Status {
    let below = |value, is_percent| ClusterLimit { op: Compare::Below, value, is_percent };
    let (warning, critical) = match (probe.warning, probe.critical) {
        (None, None) => (Some(below(100.0, true)), Some(below(1.0, false))),
        limits => limits,
    };
    if critical.is_some_and(|limit| limit.holds(fine, all)) {
        Status::Critical
    } else if warning.is_some_and(|limit| limit.holds(fine, all)) {
        Status::Warning
    } else {
        Status::Ok
    }
}

fn names(ids: &[&CheckId]) -> String {
    let named: Vec<String> = ids.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = ids.len().saturating_sub(NAMED_MAX);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{rest}", named.join(", "))
}

fn line(member: &Member) -> String {
    let what = match member.counted {
        Counted::Fine => "OK",
        Counted::Warning => "warning",
        Counted::Failed => "not OK",
        Counted::Unknown => "unknown",
        Counted::Pending => "not yet looked at",
    };
    let downtime = if member.is_in_downtime { ", in downtime" } else { "" };
    format!("{}: {what}{downtime}", member.id)
}

fn count_data(
    label: &str,
    count: usize,
    all: usize,
    (warning, critical): (Option<ClusterLimit>, Option<ClusterLimit>),
) -> Perfdata {
    let range = |limit: Option<ClusterLimit>| {
        let limit = limit?;
        let value = limit.members(all);
        Some(match limit.op {
            Compare::Below => Range { start: value, end: f64::INFINITY, is_inside: false },
            Compare::AtMost => Range { start: f64::NEG_INFINITY, end: value, is_inside: true },
            Compare::Above => Range { start: f64::NEG_INFINITY, end: value, is_inside: false },
            Compare::AtLeast => Range { start: value, end: f64::INFINITY, is_inside: true },
            Compare::Equal => Range { start: value, end: value, is_inside: true },
            Compare::NotEqual => Range { start: value, end: value, is_inside: false },
        })
    };
    Perfdata {
        label: label.to_owned(),
        value: Some(count as f64),
        unit: Unit::None,
        warning: range(warning),
        critical: range(critical),
        min: Some(0.0),
        max: Some(all as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(value: f64) -> ClusterLimit {
        ClusterLimit { op: Compare::Below, value, is_percent: false }
    }

    /// Makes members from letters: `o` OK, `w` warning, `f` failed, `u` unknown, `p` pending; a
    /// capital is in downtime.
    fn members(letters: &str) -> Vec<Member> {
        let member = |(index, letter): (usize, char)| Member {
            id: CheckId::check(&format!("web{}", index + 1), "http"),
            counted: match letter.to_ascii_lowercase() {
                'o' => Counted::Fine,
                'w' => Counted::Warning,
                'f' => Counted::Failed,
                'u' => Counted::Unknown,
                _ => Counted::Pending,
            },
            is_in_downtime: letter.is_uppercase(),
        };
        letters.chars().enumerate().map(member).collect()
    }

    #[test]
    fn what_is_not_known_matters_only_when_the_result_depends_on_it() {
        // Warning below 3 of the members, critical below 2.
        let probe = ClusterProbe {
            warning: Some(below(3.0)),
            critical: Some(below(2.0)),
            ..ClusterProbe::default()
        };
        for (letters, status) in [
            ("oooo", Status::Ok),
            ("ooof", Status::Ok),
            ("ooff", Status::Warning),
            ("offf", Status::Critical),
            // 3 or 4 are OK: fine in both cases.
            ("ooou", Status::Ok),
            // 2 or 3: a warning or none.
            ("oofu", Status::Unknown),
            // 1 or 2: a problem in both cases, and at least a warning.
            ("offu", Status::Warning),
            // 0 or 1: critical in both cases.
            ("fffu", Status::Critical),
            ("uuuu", Status::Unknown),
            ("ooop", Status::Ok),
            ("oofp", Status::Unknown),
        ] {
            let finding = look(&probe, &members(letters));
            assert_eq!(finding.status, status, "{letters}: {}", finding.output);
        }
    }

    #[test]
    fn the_first_line_names_who_is_missing() {
        let probe = ClusterProbe { critical: Some(below(2.0)), ..ClusterProbe::default() };
        let finding = look(&probe, &members("oofuO"));
        assert_eq!(finding.output, "3 of 5 OK; not OK: web3/http; unknown: web4/http");
        assert_eq!(finding.perfdata[0].value, Some(3.0));
        assert_eq!(finding.perfdata[0].max, Some(5.0));
        assert_eq!(finding.long_output.lines().last(), Some("web5/http: OK, in downtime"));
        let many = look(&probe, &members("ooffffffff"));
        assert!(many.output.ends_with("web7/http and 3 more"), "{}", many.output);
    }

    #[test]
    fn per_cent_are_of_the_members_that_count() {
        let half = ClusterLimit { op: Compare::Below, value: 50.0, is_percent: true };
        let mut probe = ClusterProbe { critical: Some(half), ..ClusterProbe::default() };
        assert_eq!(look(&probe, &members("ooff")).status, Status::Ok);
        assert_eq!(look(&probe, &members("offf")).status, Status::Critical);
        // Two of the failed are being worked on: of the other two one is OK.
        assert_eq!(look(&probe, &members("ofFF")).status, Status::Critical);
        probe.skips_downtime = true;
        let finding = look(&probe, &members("ofFF"));
        let words = "1 of 2 OK; not OK: web2/http; in downtime: web3/http, web4/http";
        assert_eq!((finding.status, finding.output.as_str()), (Status::Ok, words));
        assert_eq!(look(&probe, &members("FF")).status, Status::Ok);
        assert_eq!(look(&probe, &[]).status, Status::Unknown);
    }

    #[test]
    fn without_limits_one_that_fails_warns_and_all_are_critical() {
        let mut probe = ClusterProbe::default();
        for (letters, status) in
            [("oo", Status::Ok), ("of", Status::Warning), ("ff", Status::Critical)]
        {
            assert_eq!(look(&probe, &members(letters)).status, status, "{letters}");
        }
        assert_eq!(look(&probe, &members("ow")).status, Status::Warning);
        probe.takes_warning = true;
        assert_eq!(look(&probe, &members("ow")).status, Status::Ok);
    }
}
