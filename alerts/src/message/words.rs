//! Words, times and links as messages write them. Pure.

use jiff::tz::TimeZone;
use noroshi_model::{CheckId, StateChange, Status, Timestamp};

use crate::view::NotificationKind;

/// Longest part of an output in a subject, in characters: phones show about 60 of a subject,
/// desktops 120.
const SUBJECT_OUTPUT_CHARS_MAX: usize = 100;

/// Longest page, in characters: one short message (GSM 03.38, 160 septets).
pub(crate) const PAGE_CHARS_MAX: usize = 160;

/// Returns the word that stands for a message: `CRITICAL`, `RECOVERED`.
pub(crate) fn headline(kind: NotificationKind, status: Status) -> String {
    let status = status.as_str().to_uppercase();
    match kind {
        NotificationKind::Problem => status,
        NotificationKind::Recovery => "RECOVERED".to_owned(),
        NotificationKind::Reminder => format!("STILL {status}"),
        NotificationKind::Digest => "DIGEST".to_owned(),
        NotificationKind::Test => "TEST".to_owned(),
    }
}

/// Returns a mail's subject: `[CRITICAL] web1/http: connection refused`.
pub(crate) fn subject(kind: NotificationKind, id: &CheckId, change: &StateChange) -> String {
    let output = cut(&one_line(&change.output), SUBJECT_OUTPUT_CHARS_MAX);
    let separator = if output.is_empty() { "" } else { ": " };
    format!("[{}] {}{separator}{output}", headline(kind, change.status), one_line(&id.to_string()))
}

/// Returns a page of at most [`PAGE_CHARS_MAX`] characters; the output gives way to the rest.
pub(crate) fn page(
    kind: NotificationKind,
    id: &CheckId,
    change: &StateChange,
    zone: &TimeZone,
) -> String {
    let begin = format!("{} {}: ", headline(kind, change.status), one_line(&id.to_string()));
    let end = format!(" (since {})", clock_time(change.since, zone));
    let room = PAGE_CHARS_MAX.saturating_sub(begin.chars().count() + end.chars().count());
    let output = cut(&one_line(&change.output), room);
    cut(&format!("{begin}{output}{end}"), PAGE_CHARS_MAX)
}

/// Returns a text without control characters, white space drawn together, in one line.
pub(crate) fn one_line(text: &str) -> String {
    let plain = text.replace(|c: char| c.is_control(), " ");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns lines without other control characters, at most `lines_max` of `chars_max` each.
pub(crate) fn lines(text: &str, lines_max: usize, chars_max: usize) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    let mut kept: Vec<String> = all
        .iter()
        .take(lines_max)
        .map(|line| {
            // A tab stays a gap, so that columns do not run together.
            let plain = line.replace('\t', "    ").replace(|c: char| c.is_control(), " ");
            cut(plain.trim_end(), chars_max)
        })
        .collect();
    if all.len() > lines_max {
        kept.push(format!("... and {} more lines", all.len() - lines_max));
    }
    while kept.last().is_some_and(String::is_empty) {
        kept.pop();
    }
    kept
}

/// Cuts a text to so many characters; three points show that something was cut. Not the one
/// character with three points: it makes a pager's message three times as expensive.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(3)).collect();
    format!("{}...", kept.trim_end()).chars().take(chars_max).collect()
}

/// Writes a moment in a zone with its offset: `2026-11-21 13:04:05 +09:00`.
pub(crate) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    format_time(at, zone, "%Y-%m-%d %H:%M:%S %:z")
}

/// Writes the time of day with its offset: `13:04 +09:00`.
fn clock_time(at: Timestamp, zone: &TimeZone) -> String {
    format_time(at, zone, "%H:%M %:z")
}

fn format_time(at: Timestamp, zone: &TimeZone, format: &str) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(time) => time.to_zoned(zone.clone()).strftime(format).to_string(),
        // Outside the years -9999 to 9999.
        Err(_) => at.to_string(),
    }
}

/// Returns the address of a host's or check's page.
pub(crate) fn link(base_url: &str, id: &CheckId) -> String {
    let base = base_url.trim_end_matches('/');
    let host = percent_encoded(&id.host);
    match &id.check {
        Some(check) => format!("{base}/hosts/{host}/checks/{}", percent_encoded(check)),
        None => format!("{base}/hosts/{host}"),
    }
}

/// Encodes a segment of a path: all but the unreserved characters (RFC 3986 section 2.3).
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;

    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use noroshi_model::ChangeKind;

    use super::*;
    use crate::fixture::change;

    fn said(output: &str) -> StateChange {
        let mut change = *change(ChangeKind::HardProblem, Status::Critical);
        change.output = output.to_owned();
        // 2026-11-21 04:04:05 UTC
        change.since = Timestamp::from_secs(1_795_233_845);
        change
    }

    #[test]
    fn a_subject_says_how_bad_where_and_what() {
        let id = CheckId::check("web1", "http");
        let cases = [
            (NotificationKind::Problem, "refused", "[CRITICAL] web1/http: refused"),
            (NotificationKind::Reminder, "refused", "[STILL CRITICAL] web1/http: refused"),
            (NotificationKind::Recovery, "refused", "[RECOVERED] web1/http: refused"),
            (NotificationKind::Problem, "", "[CRITICAL] web1/http"),
            (NotificationKind::Problem, "a\r\nBcc: x@y", "[CRITICAL] web1/http: a Bcc: x@y"),
        ];
        for (kind, output, expected) in cases {
            assert_eq!(subject(kind, &id, &said(output)), expected);
        }
        let long = subject(NotificationKind::Problem, &id, &said(&"é".repeat(500)));
        assert_eq!(long.chars().count(), "[CRITICAL] web1/http: ".len() + 100);
        assert!(long.ends_with("é..."));
    }

    #[test]
    fn a_page_fits_into_one_short_message() {
        let zone = TimeZone::get("Asia/Tokyo").unwrap();
        let id = CheckId::check("web1", "http");
        let short = page(NotificationKind::Problem, &id, &said("refused"), &zone);
        assert_eq!(short, "CRITICAL web1/http: refused (since 13:04 +09:00)");
        let long = page(NotificationKind::Problem, &id, &said(&"x".repeat(400)), &zone);
        assert_eq!(long.chars().count(), 160);
        assert!(long.ends_with("xxx... (since 13:04 +09:00)"), "{long}");
        let id = CheckId::check(&"h".repeat(200), "http");
        let long = page(NotificationKind::Problem, &id, &said("x"), &zone);
        assert_eq!(long.chars().count(), 160);
    }

    #[test]
    fn a_moment_is_written_in_the_reader_s_zone_with_its_offset() {
        let at = Timestamp::from_secs(1_795_233_845);
        let cases = [
            ("UTC", "2026-11-21 04:04:05 +00:00"),
            ("Asia/Tokyo", "2026-11-21 13:04:05 +09:00"),
            ("America/New_York", "2026-11-20 23:04:05 -05:00"),
            ("Asia/Kathmandu", "2026-11-21 09:49:05 +05:45"),
        ];
        for (zone, expected) in cases {
            assert_eq!(moment(at, &TimeZone::get(zone).unwrap()), expected);
        }
        assert_eq!(moment(Timestamp::MAX, &TimeZone::UTC), "9223372036854775.807");
    }

    #[test]
    fn a_link_survives_any_name() {
        let base = "https://noroshi.example.net/";
        let cases = [
            (CheckId::host("web1"), "https://noroshi.example.net/hosts/web1"),
            (
                CheckId::check("web1", "disk /var"),
                "https://noroshi.example.net/hosts/web1/checks/disk%20%2Fvar",
            ),
            (
                CheckId::check("é", "50%?#"),
                "https://noroshi.example.net/hosts/%C3%A9/checks/50%25%3F%23",
            ),
        ];
        for (id, expected) in cases {
            assert_eq!(link(base, &id), expected);
        }
    }

    #[test]
    fn long_texts_are_cut_with_a_word_about_it() {
        assert_eq!(lines("a\n\tb\u{7}\n\n", 5, 9), ["a", "    b"]);
        assert_eq!(lines("a\nb\nc\nd", 2, 9), ["a", "b", "... and 2 more lines"]);
        assert_eq!(cut("abcdef", 5), "ab...");
        assert_eq!(cut("abcde", 5), "abcde");
        assert_eq!(cut("abcde", 2), "..");
    }
}
