//! Files of `RRDtool`, by way of `rrdtool dump`: every round-robin archive's rows are kept.
//!
//! Source of the format: `rrdtool` 1.7 `src/rrd_dump.c` and `src/rrd_restore.c`. Rows are oldest
//! first; the last one ends at the last update, rounded down to a multiple of the archive's step.

use std::collections::BTreeMap;

use noroshi_model::label::NAME;
use noroshi_model::{Labels, UNKNOWN};

use crate::codec::Row;
use crate::export::TransferReport;
use crate::import::{RowImport, STEP_MAX};
use crate::store::Store;

/// Latest update that is believed, seconds since 1970: the year 5138.
const TIME_MAX: i64 = 100_000_000_000;

/// Why a dump could not be taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RrdError {
    /// An element that must be there is not, or holds something else.
    #[error("the dump has no usable <{element}>")]
    Element {
        /// Its name.
        element: &'static str,
    },
    /// The store refused.
    #[error("cannot store the rows of {series}: {why}")]
    Store {
        /// Whose rows.
        series: String,
        /// Why.
        why: String,
    },
}

/// One consolidation function of one archive, column by column.
struct Archive {
    function: String,
    step: i64,
    /// Primary points in a row.
    points: u64,
    /// Row by row, a value for each data source.
    rows: Vec<Vec<f64>>,
}

impl Store {
    /// Takes in the text of `rrdtool dump FILE.rrd`.
    ///
    /// Each data source becomes a series of `labels` plus `ds`, its name; without a `__name__` in
    /// `labels` the metric is `rrd_value`. COUNTER and DERIVE are rates in a file of `RRDtool`, so
    /// all become gauges. Archives of one step are joined: AVERAGE gives sum and count, MIN, MAX
    /// and LAST the others (AVERAGE where one is missing). Call [`Store::checkpoint`] after the
    /// last file to make the rows durable.
    pub fn import_rrd(&self, dump: &str, labels: &Labels) -> Result<TransferReport, RrdError> {
        let mut report = TransferReport::default();
        for source in parse(dump)? {
            let mut builder = labels.to_builder();
            builder.set("ds", &source.name);
            if labels.name().is_empty() {
                builder.set(NAME, "rrd_value");
            }
            let labels = builder.build();
            for (step, rows) in source.archives {
                let count = rows.len() as u64;
                let import = RowImport { labels: labels.clone(), step, rows, has_increase: false };
                let refused = self
                    .import_rows(import)
                    .map_err(|why| RrdError::Store { series: labels.to_string(), why })?;
                report.rows += count - refused;
                report.refused += refused;
            }
        }
        Ok(report)
    }
}

/// What a dump has of one data source.
pub(crate) struct Source {
    name: String,
    /// Step in milliseconds and rows, coarsest first: where archives overlap, the finer one,
    /// written later, is right.
    pub(crate) archives: Vec<(i64, Vec<Row>)>,
}

/// Reads a dump.
pub(crate) fn parse(dump: &str) -> Result<Vec<Source>, RrdError> {
    let text = without_comments(dump);
    let number = |text: &str, element| -> Result<i64, RrdError> {
        let found = inside(text, element).next().and_then(|n| n.trim().parse().ok());
        found.ok_or(RrdError::Element { element })
    };
    let base_step = number(&text, "step")?;
    let last_update = number(&text, "lastupdate")?;
    if !(1..=TIME_MAX).contains(&last_update) {
        return Err(RrdError::Element { element: "lastupdate" });
    }
    let names: Vec<String> = inside(&text, "ds")
        .filter_map(|ds| inside(ds, "name").next())
        .map(|name| name.trim().to_owned())
        .collect();
    let mut archives = Vec::new();
    for rra in inside(&text, "rra") {
        archives.push(archive(rra, base_step, number(rra, "pdp_per_row")?)?);
    }
    if names.is_empty() || archives.is_empty() {
        return Err(RrdError::Element { element: if names.is_empty() { "ds" } else { "rra" } });
    }
    archives.sort_by_key(|archive| std::cmp::Reverse(archive.step));
    let source = |(index, name): (usize, String)| {
        let same_step = archives.chunk_by(|a, b| a.step == b.step);
        let rows = |same: &[Archive]| (same[0].step * 1000, joined(same, index, last_update));
        Source { name, archives: same_step.map(rows).collect() }
    };
    Ok(names.into_iter().enumerate().map(source).collect())
}

fn archive(rra: &str, base_step: i64, points: i64) -> Result<Archive, RrdError> {
    let function = inside(rra, "cf").next().map(|text| text.trim().to_owned());
    let function = function.ok_or(RrdError::Element { element: "cf" })?;
    let step = base_step.checked_mul(points).filter(|step| (1..=STEP_MAX / 1000).contains(step));
    let step = step.ok_or(RrdError::Element { element: "pdp_per_row" })?;
    let database = inside(rra, "database").next();
    let database = database.ok_or(RrdError::Element { element: "database" })?;
    let value = |text: &str| text.trim().parse().unwrap_or(f64::NAN);
    let rows = inside(database, "row").map(|row| inside(row, "v").map(value).collect());
    Ok(Archive { function, step, points: points as u64, rows: rows.collect() })
}

/// Returns the rows of one data source that the archives of one step know together.
fn joined(archives: &[Archive], source: usize, last_update: i64) -> Vec<Row> {
    let mut known: BTreeMap<i64, [Option<f64>; 4]> = BTreeMap::new();
    for archive in archives {
        let column = match archive.function.as_str() {
            "AVERAGE" => 0,
            "MIN" => 1,
            "MAX" => 2,
            "LAST" => 3,
            // Forecasts are not measurements.
            _ => continue,
        };
        let end = last_update - last_update % archive.step;
        for (back, row) in archive.rows.iter().rev().enumerate() {
            let at = (end - back as i64 * archive.step) * 1000;
            if at <= 0 {
                break;
            }
            let value = row.get(source).copied().filter(|value| !value.is_nan());
            known.entry(at).or_default()[column] = value;
        }
    }
    let points = archives.first().map_or(1, |archive| archive.points.max(1));
    let row = |(at, [average, min, max, last]): (i64, [Option<f64>; 4])| {
        let Some(middle) = average.or(last).or(max).or(min) else { return Row::unknown(at) };
        Row {
            at,
            min: min.unwrap_or(middle),
            max: max.unwrap_or(middle),
            sum: middle * points as f64,
            last: last.unwrap_or(middle),
            count: points,
            increase: 0.0,
        }
    };
    let rows: Vec<Row> = known.into_iter().map(row).collect();
    debug_assert!(rows.iter().all(|row| row.count > 0 || row.sum.to_bits() == UNKNOWN.to_bits()));
    rows
}

/// Returns what stands between `<element>` and `</element>`, one after the other; elements of one
/// name do not lie in each other in a dump.
fn inside<'a>(text: &'a str, element: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(&open)? + open.len();
        let end = start + rest[start..].find(&close)?;
        let found = &rest[start..end];
        rest = &rest[end + close.len()..];
        Some(found)
    })
}

fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("<!--") {
        out.push_str(&rest[..start]);
        rest = rest[start..].find("-->").map_or("", |end| &rest[start + end + 3..]);
    }
    out.push_str(rest);
    out
}
