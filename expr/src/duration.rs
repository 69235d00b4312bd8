//! Durations as Prometheus writes them: `1h30m`.

use std::fmt::Write as _;

/// Units, longest first, in milliseconds. A year has 365 days (Prometheus' documentation, "Time
/// durations").
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Returns a duration in milliseconds.
///
/// Each unit may stand once, longer units first. `None` when it is written otherwise or does not
/// fit.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total = 0i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (_, millis) = units.find(|(unit, _)| *unit == &rest[..letters])?;
        total = total.checked_add(count.checked_mul(*millis)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(total)
}

/// Writes a duration of milliseconds: `5m`, `1h30m`, `-10s`, `0s`.
///
/// Years and weeks are used only when nothing remains, as Prometheus does.
pub(crate) fn format(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::from(if millis < 0 { "-" } else { "" });
    let mut rest = millis.unsigned_abs();
    for (unit, length) in UNITS {
        let length = length.unsigned_abs();
        let is_whole_only = matches!(unit, "y" | "w");
        if rest < length || (is_whole_only && !rest.is_multiple_of(length)) {
            continue;
        }
        // Writing to a string cannot fail.
        write!(text, "{}{unit}", rest / length).ok();
        rest %= length;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_back() {
        let cases = [
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1ms", 1),
            ("1s500ms", 1_500),
            ("1y", 31_536_000_000),
            ("2w", 1_209_600_000),
            ("8d", 691_200_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Some(millis), "{text}");
            assert_eq!(format(millis), text);
        }
        assert_eq!(format(0), "0s");
        assert_eq!(format(-10_000), "-10s");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "m", "5m5h", "5m5m", "5x", "1.5h", "999999999999999y", "5 m"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
