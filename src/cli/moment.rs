//! Moments as people write them on the command line.

use noroshi_model::{Clock as _, Timestamp, quantity};

use crate::clock::SystemClock;

/// The forms that are understood, for messages.
const FORMS: &str = "now, now-1h, 2026-11-21T10:00:00Z, \"2026-11-21 10:00\" (in this \
                                machine's zone), or seconds since 1970";

/// Reads a moment, relative ones from now on.
///
/// Errors: the text says which forms there are.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, SystemClock.now(), &jiff::tz::TimeZone::system())
}

fn parse_at(text: &str, now: Timestamp, zone: &jiff::tz::TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    let wrong = || format!("{text:?} is no moment; write {FORMS}");
    if let Some(rest) = text.strip_prefix("now") {
        return relative(rest.trim(), now).ok_or_else(wrong);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let is_sane = seconds.is_finite() && seconds.abs() < 1e11;
        return is_sane.then(|| Timestamp::from_secs_f64(seconds)).ok_or_else(wrong);
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_millis(at.as_millisecond()));
    }
    let local: jiff::civil::DateTime = text.parse().map_err(|_| wrong())?;
    let at = local.to_zoned(zone.clone()).map_err(|_| wrong())?;
    Ok(Timestamp::from_millis(at.timestamp().as_millisecond()))
}

/// Reads what follows `now`: nothing, `-1h`, `+5m`.
fn relative(rest: &str, now: Timestamp) -> Option<Timestamp> {
    if rest.is_empty() {
        return Some(now);
    }
    let duration = quantity::parse_duration(rest.get(1..)?).ok()?;
    match rest.as_bytes().first() {
        Some(b'-') => Some(now - duration),
        Some(b'+') => Some(now + duration),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form_that_the_help_names() {
        let now = Timestamp::from_secs(1_000_000_000);
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
        let read = |text: &str| parse_at(text, now, &zone).map(Timestamp::as_millis);
        let cases = [
            ("now", 1_000_000_000_000),
            ("now-1h", 999_996_400_000),
            ("now - 1h30m", 999_994_600_000),
            ("now+5m", 1_000_000_300_000),
            ("0", 0),
            ("1435781430.781", 1_435_781_430_781),
            ("2015-07-01T20:10:30.781Z", 1_435_781_430_781),
            ("2015-07-01T22:10:30+02:00", 1_435_781_430_000),
            // Two hours before Greenwich.
            ("2015-07-01 22:10:30", 1_435_781_430_000),
            ("2015-07-01 22:10", 1_435_781_400_000),
            ("2015-07-01", 1_435_701_600_000),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for wrong in ["", "yesterday", "now-", "now-1", "nowish", "now/1h", "NaN", "1e12", "10:00"]
        {
            assert!(read(wrong).unwrap_err().contains("is no moment; write now"), "{wrong}");
        }
    }
}
