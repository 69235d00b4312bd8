//! `[store]`: retention, budget, durability.

use std::time::Duration;

use noroshi_model::quantity::parse_duration;
use noroshi_store::{ArchiveSpec, RetentionClass, StoreConfig};

use super::check::Faults;
use super::raw::{RawRetention, RawStore, Text};
use super::scope::selector;

/// Adds what one file says.
pub(super) fn resolve(faults: &mut Faults<'_>, raw: &RawStore, store: &mut StoreConfig) {
    if let Some(interval) = &raw.commit_interval {
        store.commit_interval = interval.get_ref().0;
    }
    if let Some(text) = &raw.disk_max {
        match parse_bytes(text.get_ref()) {
            Some(bytes) => store.disk_bytes_max = Some(bytes),
            None => faults.at(
                &text.span(),
                format!("{:?} is no size", text.get_ref()),
                "write it with its unit, such as \"20 GiB\"",
            ),
        }
    }
    if raw.retention.is_empty() {
        return;
    }
    let classes: Vec<RetentionClass> =
        raw.retention.iter().filter_map(|class| resolve_class(faults, class)).collect();
    let is_first = store.classes.iter().all(|class| class.matchers.is_empty());
    if is_first {
        store.classes = classes;
    } else {
        store.classes.extend(classes);
    }
    if let (Err(error), Some(class)) = (store.validate(), raw.retention.first()) {
        faults.at(&class.name.span(), error.to_string(), "correct the class that it names");
    }
}

fn resolve_class(faults: &mut Faults<'_>, raw: &RawRetention) -> Option<RetentionClass> {
    let mut class = RetentionClass {
        name: raw.name.get_ref().clone(),
        archives: Vec::new(),
        heartbeat: raw.heartbeat.as_ref().map(|heartbeat| heartbeat.get_ref().0),
        ..RetentionClass::default()
    };
    if let Some(xff) = &raw.xff {
        class.unknown_share_max = *xff.get_ref();
    }
    if let Some(series) = &raw.series {
        match selector(series.get_ref()) {
            Ok(matchers) => class.matchers = matchers,
            Err(error) => {
                let what = format!("{:?} selects no series: {}", series.get_ref(), error.message);
                faults.at(&series.span(), what, "write it as in PromQL, such as {job=\"node\"}");
                return None;
            }
        }
    }
    for text in &raw.archives {
        class.archives.push(resolve_archive(faults, text)?);
    }
    Some(class)
}

/// Reads `10s for 2d`.
fn resolve_archive(faults: &mut Faults<'_>, text: &Text) -> Option<ArchiveSpec> {
    let archive = text.get_ref().split_once(" for ").and_then(|(step, span)| {
        let (step, span) = (parse_duration(step).ok()?, parse_duration(span).ok()?);
        archive(step, span)
    });
    if archive.is_none() {
        faults.at(
            &text.span(),
            format!("{:?} is no archive", text.get_ref()),
            "write step and span, such as \"10s for 2d\"",
        );
    }
    archive
}

fn archive(step: Duration, span: Duration) -> Option<ArchiveSpec> {
    let rows = span.as_millis().checked_div(step.as_millis())?;
    let rows = u32::try_from(rows).ok().filter(|rows| *rows > 0)?;
    Some(ArchiveSpec { step, rows })
}

/// Reads a size: `20 GiB`, `500MB`, or plain bytes.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let factor = match text[end..].trim().to_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        "tib" => 1_099_511_627_776.0,
        _ => return None,
    };
    let bytes = number * factor;
    (bytes.is_finite() && bytes >= 0.0).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_both_kinds_of_units() {
        let cases = [
            ("0", Some(0)),
            ("1500", Some(1500)),
            ("1.5 kB", Some(1500)),
            ("1.5KiB", Some(1536)),
            ("20 GiB", Some(20 << 30)),
            ("20 potatoes", None),
            ("GiB", None),
            ("-1 GiB", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_bytes(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn an_archive_has_the_rows_that_fill_its_span() {
        let seconds = Duration::from_secs;
        let two_days = archive(seconds(10), seconds(172_800)).unwrap();
        assert_eq!(two_days.rows, 17_280);
        assert_eq!(archive(seconds(10), seconds(5)), None);
        assert_eq!(archive(Duration::ZERO, seconds(5)), None);
    }
}
