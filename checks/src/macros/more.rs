//! The macros of a state that few command lines ask for, and those of the time of day.
//!
//! Source: Nagios Core, "Standard Macros in Nagios"; the form of dates: `common/utils.c`
//! (`get_datetime_string`, `date_format=us`).

use std::time::Duration;

use jiff::tz::TimeZone;
use noroshi_model::{Perfdata, Range, Status, Timestamp, Unit};

use crate::state::State;

/// What of a state is told besides status and output.
#[derive(Clone, Debug, Default)]
pub(super) struct More {
    previous: Option<Status>,
    perfdata: Vec<Perfdata>,
    latency: Duration,
    run_time: Duration,
    flapping: f64,
    /// Who took the problem on, and what they said.
    acknowledgement: Option<(String, String)>,
}

impl More {
    pub(super) fn new(state: &State, is_host: bool) -> Self {
        let acknowledgement = state.acknowledgement.as_ref();
        Self {
            previous: state.history.previous(is_host).filter(|_| state.finished.is_some()),
            perfdata: state.perfdata.clone(),
            latency: state.latency,
            run_time: state.run_time(),
            flapping: state.history.percent(),
            acknowledgement: acknowledgement.map(|a| (a.author.clone(), a.comment.clone())),
        }
    }

    /// Returns what a macro stands for, by its name without `HOST` or `SERVICE`.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let seconds = |span: Duration| format!("{:.3}", span.as_secs_f64());
        let (author, comment) = self.acknowledgement.clone().unwrap_or_default();
        Some(match name {
            "PERFDATA" => self.perfdata.iter().map(written).collect::<Vec<_>>().join(" "),
            "LATENCY" => seconds(self.latency),
            "EXECUTIONTIME" => seconds(self.run_time),
            "PERCENTCHANGE" => format!("{:.2}", self.flapping),
            "ACKAUTHOR" | "ACKAUTHORNAME" | "ACKAUTHORALIAS" => author,
            "ACKCOMMENT" => comment,
            "LASTSTATE" => {
                self.previous.map_or("PENDING".to_owned(), |s| s.as_str().to_uppercase())
            }
            "LASTSTATEID" => self.previous.map_or(0, Status::code).to_string(),
            _ => return None,
        })
    }
}

/// Writes performance data as the plug-in guidelines do: `'label'=value[unit];warn;crit;min;max`.
fn written(item: &Perfdata) -> String {
    let unit = match &item.unit {
        Unit::None => "",
        Unit::Seconds => "s",
        Unit::Bytes => "B",
        Unit::Bits => "b",
        Unit::Percent => "%",
        Unit::Counter => "c",
        Unit::Other(unit) => unit,
    };
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let range = |range: Option<Range>| range.map(|range| range.to_string()).unwrap_or_default();
    let value = item.value.map_or("U".to_owned(), |value| format!("{value}{unit}"));
    let label = item.label.replace('\'', "''");
    let label = if label.contains([' ', '\'', '=']) { format!("'{label}'") } else { label };
    let (warning, critical) = (range(item.warning), range(item.critical));
    let text =
        format!("{label}={value};{warning};{critical};{};{}", number(item.min), number(item.max));
    text.trim_end_matches(';').to_owned()
}

/// Returns how long a state lasts, as Nagios writes it; `name` without `HOST` or `SERVICE`.
pub(super) fn duration(name: &str, since: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let seconds = since.map_or(0, |since| now.since(since).as_secs());
    match name {
        "DURATIONSEC" => Some(seconds.to_string()),
        "DURATION" => {
            let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
            Some(format!("{days}d {hours}h {}m {}s", seconds / 60 % 60, seconds % 60))
        }
        _ => None,
    }
}

/// Returns what a macro of the time of day stands for, on the clock of this machine.
pub(super) fn time(name: &str, now: Timestamp) -> Option<String> {
    let format = match name {
        "TIMET" => return Some(now.as_secs().to_string()),
        "LONGDATETIME" => "%a %b %e %H:%M:%S %Z %Y",
        "SHORTDATETIME" => "%m-%d-%Y %H:%M:%S",
        "DATE" => "%m-%d-%Y",
        "TIME" => "%H:%M:%S",
        _ => return None,
    };
    let at = jiff::Timestamp::from_second(now.as_secs()).ok()?;
    Some(at.to_zoned(TimeZone::system()).strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn performance_data_is_written_as_a_plug_in_would() {
        let text = "OK | 'a disk'=5B;@10:20;~:30;0;100 rate=U";
        let read = crate::plugin::understand_passive(Status::Ok, text).perfdata;
        let again: Vec<String> = read.iter().map(written).collect();
        assert_eq!(again, ["'a disk'=5B;@10:20;~:30;0;100", "rate=U"]);
    }

    #[test]
    fn durations_and_moments_are_written_as_in_nagios() {
        let now = Timestamp::from_secs(1_800_000_000);
        let since = Some(Timestamp::from_secs(1_800_000_000 - 2 * 86_400 - 3 * 3600 - 65));
        assert_eq!(duration("DURATION", since, now).as_deref(), Some("2d 3h 1m 5s"));
        assert_eq!(duration("DURATIONSEC", None, now).as_deref(), Some("0"));
        assert_eq!(time("TIMET", now).as_deref(), Some("1800000000"));
        // 2027-01-15 08:00:00 UTC: the date is the 14th, 15th or 16th anywhere.
        assert!(time("DATE", now).is_some_and(|d| d.starts_with("01-1") && d.ends_with("-2027")));
        assert_eq!(time("SHORTDATETIME", now).map(|text| text.len()), Some(19));
        assert_eq!(time("HOSTNAME", now), None);
    }
}
