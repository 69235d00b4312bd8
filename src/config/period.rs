//! `[period.NAME]`: named times, for when checks run and when maintenance is.

use std::collections::{BTreeMap, BTreeSet};

use noroshi_checks::PeriodSpec;

use super::check::Faults;
use super::raw::{RawConfig, RawPeriod, Text};
use super::resolve::look_up;

/// Adds the periods of one file.
pub(super) fn resolve(
    faults: &mut Faults<'_>,
    raw: &RawConfig,
    known: &BTreeSet<String>,
    periods: &mut BTreeMap<String, PeriodSpec>,
) {
    for (name, period) in &raw.period {
        periods.insert(name.get_ref().clone(), resolve_period(faults, name, period, known));
    }
}

fn resolve_period(
    faults: &mut Faults<'_>,
    name: &Text,
    raw: &RawPeriod,
    known: &BTreeSet<String>,
) -> PeriodSpec {
    look_up(faults, "period", &raw.exclude, known);
    let zone = match &raw.zone {
        // As people near the server read a clock, and as Nagios does.
        None => server_zone(),
        Some(zone) => {
            let of_zone = PeriodSpec { zone: zone.get_ref().clone(), ..PeriodSpec::default() };
            for fault in of_zone.faults() {
                faults.at(&zone.span(), fault, "write an IANA name such as Europe/Berlin");
            }
            zone.get_ref().clone()
        }
    };
    let rules = raw.rules.as_deref().unwrap_or_default();
    for rule in rules {
        let of_rule = PeriodSpec { rules: vec![rule.get_ref().clone()], ..PeriodSpec::default() };
        for fault in of_rule.faults() {
            let (what, advice) = fault.split_once("; ").unwrap_or((&fault, ""));
            faults.at(&rule.span(), what.to_owned(), advice);
        }
    }
    if raw.rules.is_none() {
        let what = format!("period `{}` does not say when it holds", name.get_ref());
        faults.at(
            &name.span(),
            what,
            r#"give it rules = ["monday 09:00-17:00"], or rules = [] for never"#,
        );
    }
    let texts = |list: &[Text]| list.iter().map(|text| text.get_ref().clone()).collect();
    PeriodSpec { zone, rules: texts(rules), exclude: texts(&raw.exclude) }
}

/// Returns the IANA name of the server's own zone, or what stands for it when it has none.
fn server_zone() -> String {
    name_of(&jiff::tz::TimeZone::system())
}

fn name_of(zone: &jiff::tz::TimeZone) -> String {
    zone.iana_name().unwrap_or(PeriodSpec::LOCAL).to_owned()
}

/// Notes periods that exclude each other in a circle: nobody could say when they hold.
pub(super) fn check_circles(faults: &mut Faults<'_>, all: &[&RawConfig]) {
    let periods: BTreeMap<&str, &RawPeriod> = all
        .iter()
        .flat_map(|raw| &raw.period)
        .map(|(name, period)| (name.get_ref().as_str(), period))
        .collect();
    for (name, period) in &periods {
        for excluded in &period.exclude {
            if reaches(&periods, excluded.get_ref(), name, &mut BTreeSet::new()) {
                let what = format!("period `{name}` excludes itself");
                faults.at(&excluded.span(), what, "take one of the exclusions out");
            }
        }
    }
}

/// Tells whether a period excludes another, over any number of others.
fn reaches<'a>(
    periods: &BTreeMap<&str, &'a RawPeriod>,
    from: &'a str,
    to: &str,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    if from == to {
        return true;
    }
    let Some(period) = periods.get(from).filter(|_| seen.insert(from)) else { return false };
    period.exclude.iter().any(|next| reaches(periods, next.get_ref(), to, seen))
}

#[cfg(test)]
mod tests {
    use jiff::tz::{TimeZone, offset};

    use super::*;

    /// `/etc/localtime` may be a copy of a zone's file, which does not tell its name.
    #[test]
    fn a_zone_without_a_name_is_still_this_machines() {
        assert_eq!(name_of(&TimeZone::get("Europe/Berlin").unwrap()), "Europe/Berlin");
        assert_eq!(name_of(&TimeZone::UTC), "UTC");
        let unnamed = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(name_of(&unnamed), PeriodSpec::LOCAL);
        assert_eq!(name_of(&TimeZone::fixed(offset(9))), PeriodSpec::LOCAL);
        let local = PeriodSpec { zone: PeriodSpec::LOCAL.to_owned(), ..PeriodSpec::default() };
        assert!(local.faults().is_empty());
    }
}
