//! Time periods: Nagios' words are ours, so rules are taken as they are when they can be read.

use std::collections::BTreeMap;

use noroshi_checks::PeriodSpec;

use super::expand::Site;
use super::read::Definition;
use super::report::Notes;

/// Directives of a time period that are no rules.
const OTHERS: [&str; 6] = ["name", "timeperiod_name", "alias", "use", "register", "exclude"];

/// `[period.NAME]`.
#[derive(Debug)]
pub(super) struct PeriodOut {
    pub(super) rules: Vec<String>,
    pub(super) exclude: Vec<String>,
}

/// Splits a line of a time period into days and times: days are several words.
pub(super) fn split(line: &str) -> (String, &str) {
    let first = line.split_whitespace().next().unwrap_or_default();
    if OTHERS.contains(&first) {
        let value = line[first.len()..].trim();
        return (first.to_owned(), value);
    }
    // The times begin with the first word that has a colon.
    let times = line.find(':').and_then(|colon| line[..colon].rfind([' ', '\t']));
    let (days, times) = line.split_at(times.unwrap_or(line.len()));
    (days.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" "), times.trim())
}

/// Tells whether a time period holds on all days around the clock, without exceptions.
pub(super) fn is_always(period: &Definition) -> bool {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    days.iter().all(|day| period.text(day) == Some("00:00-24:00"))
        && rules(period).all(|(day, _)| days.contains(&day))
        && period.text("exclude").is_none()
}

/// Adds a period and all that it excludes to those that are written.
pub(super) fn add(
    site: &Site,
    name: &str,
    periods: &mut BTreeMap<String, PeriodOut>,
    notes: &mut Notes,
) {
    let Some(definition) = site.timeperiods.get(name) else { return };
    if periods.contains_key(name) {
        return;
    }
    let mut out = PeriodOut { rules: Vec::new(), exclude: Vec::new() };
    for (days, times) in rules(definition) {
        let rule = format!("{days} {times}");
        let spec = PeriodSpec { rules: vec![rule.clone()], ..PeriodSpec::default() };
        if spec.faults().is_empty() {
            out.rules.push(rule);
        } else {
            let place = definition.values.get(days).map_or(&definition.place, |v| &v.place);
            notes.add(place, format!("timeperiod {name}: {rule:?} is left out"));
        }
    }
    let excluded = definition.text("exclude").unwrap_or_default().split(',').map(str::trim);
    for other in excluded.filter(|other| site.timeperiods.contains_key(*other)) {
        out.exclude.push(other.to_owned());
    }
    let excluded = out.exclude.clone();
    // Before what it excludes, so that two that exclude each other come to an end.
    periods.insert(name.to_owned(), out);
    for other in excluded {
        add(site, &other, periods, notes);
    }
}

/// Returns days and times of a period.
fn rules(period: &Definition) -> impl Iterator<Item = (&str, &str)> {
    let rules = period
        .values
        .iter()
        .filter(|(days, _)| !OTHERS.contains(&days.as_str()) && !days.starts_with('_'));
    rules.filter_map(|(days, value)| Some((days.as_str(), value.text.as_deref()?)))
}
