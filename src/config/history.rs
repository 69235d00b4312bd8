//! `[history]`: how much of what happened is remembered.

use noroshi_checks::HistorySpec;
use serde::Deserialize;
use serde_spanned::Spanned;

use super::check::Faults;
use super::raw::Humane;

/// `[history]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawHistory {
    /// How many events.
    events: Option<Spanned<u32>>,
    /// For how long.
    age: Option<Spanned<Humane>>,
}

/// The least number of events: a problem of each of a few hosts, with what belongs to it.
const EVENTS_MIN: u32 = 1000;
/// The most: where each is takes memory.
const EVENTS_MAX: u32 = 10_000_000;

/// Resolves `[history]` over what other files said.
pub(super) fn resolve(faults: &mut Faults<'_>, raw: &RawHistory, spec: &mut HistorySpec) {
    if let Some(events) = &raw.events {
        let count = *events.get_ref();
        if !(EVENTS_MIN..=EVENTS_MAX).contains(&count) {
            let what = format!("{count} events cannot be kept");
            faults.at(&events.span(), what, "write a number from 1000 to 10000000");
        }
        spec.events_max = count as usize;
    }
    if let Some(age) = &raw.age {
        spec.age_max = age.get_ref().0;
    }
}
