//! Makes rows of samples, by the naive method.

use noroshi_model::seam::{RawSegment, RowSegment, Segment};
use noroshi_model::{UNKNOWN, is_unknown};

/// Consolidates samples not after `until` into rows; the rest stays.
pub(crate) fn consolidated(raw: &RawSegment, step: i64, until: i64) -> Vec<Segment> {
    let mut rows = RowSegment { step, ..RowSegment::default() };
    let mut rest = RawSegment::default();
    let mut before: Option<f64> = None;
    for (at, value) in raw.at.iter().zip(&raw.value) {
        if *at > until {
            rest.at.push(*at);
            rest.value.push(*value);
            continue;
        }
        let end = -(-*at).div_euclid(step) * step;
        if rows.at.last() != Some(&end) {
            rows.at.push(end);
            for column in [&mut rows.min, &mut rows.max, &mut rows.sum, &mut rows.last] {
                column.push(UNKNOWN);
            }
            rows.count.push(0.0);
            rows.increase.push(UNKNOWN);
        }
        if is_unknown(*value) {
            continue;
        }
        let row = rows.at.len() - 1;
        let is_first = rows.count[row] == 0.0;
        rows.min[row] = if is_first { *value } else { rows.min[row].min(*value) };
        rows.max[row] = if is_first { *value } else { rows.max[row].max(*value) };
        rows.sum[row] = if is_first { *value } else { rows.sum[row] + value };
        rows.last[row] = *value;
        rows.count[row] += 1.0;
        let increase = match before {
            Some(before) if *value < before => *value,
            Some(before) => value - before,
            None => 0.0,
        };
        rows.increase[row] = if is_first { increase } else { rows.increase[row] + increase };
        before = Some(*value);
    }
    let mut segments = vec![Segment::Rows(rows)];
    if !rest.at.is_empty() {
        segments.push(Segment::Raw(rest));
    }
    segments
}
