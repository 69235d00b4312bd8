//! The labels that this host's own config gives it: one series, told with each reading, so that the
//! server knows them from the first one on and sees when they change.

use std::collections::BTreeMap;

use noroshi_model::host_label::HOST_LABELS;

use crate::sources::{Metric, Output};

const LABELS: [Metric; 1] =
    [Metric::gauge(HOST_LABELS, "", "1, with the labels that the host's own config gives it.")];

/// Adds the series; nothing when there are no labels.
pub(crate) fn describe(labels: &BTreeMap<String, String>, out: &mut Output) {
    if labels.is_empty() {
        return;
    }
    out.describe(&LABELS);
    let mut labels: Vec<(&str, &str)> =
        labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    labels.sort_unstable();
    out.push(HOST_LABELS, &labels, 1.0);
}
