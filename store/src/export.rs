//! Series as plain lines of JSON, out and in.
//!
//! | line | fields |
//! |---|---|
//! | metric | `meta`: `{name, kind, unit, help}` |
//! | samples | `labels`, `at` (milliseconds since 1970), `value`: numbers, `null` for unknown, `"NaN"`, `"+Inf"`, `"-Inf"` |
//! | rows | `labels`, `step` (ms), `at` (ends of rows), `min`, `max`, `sum`, `last`, `count`, `increase` (empty for gauges) |

use std::io::{self, BufRead, Write};

use noroshi_model::label::NAME;
use noroshi_model::seam::{RawSegment, RowSegment, Segment};
use noroshi_model::{
    Batch, Labels, Matcher, MatcherOp, MetricMeta, Refused, Sample, Select, SelectError,
    SeriesSource, Timestamp, UNKNOWN, is_unknown,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codec::{Point, Row};
use crate::fold::{Counts, fold_samples};
use crate::import::RowImport;
use crate::select::Given;
use crate::store::Store;

/// Samples or rows in one line.
const LINE_POINTS: usize = 1000;
/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Samples that are taken in together.
const BATCH_SAMPLES: usize = 20_000;

/// What was written or read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferReport {
    /// Lines.
    pub lines: u64,
    /// Samples.
    pub samples: u64,
    /// Rows of coarse archives.
    pub rows: u64,
    /// Samples and rows that were not taken: too old for every archive, in the future, over the
    /// budget.
    pub refused: u64,
}

/// Why an export or import ended early.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The stored series could not be read.
    #[error("cannot read stored series")]
    Select(#[source] SelectError),
    /// The other side failed.
    #[error("cannot {what} at line {line}")]
    Io {
        /// Read or write.
        what: &'static str,
        /// Which line, from 1.
        line: u64,
        /// What the system says.
        source: io::Error,
    },
    /// A line is none of the three kinds, or its columns have not one length.
    #[error("line {line} cannot be understood: {why}")]
    Line {
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// What was taken is not on the disk yet.
    #[error("the rows are not on the disk: is it full? The server's log says why")]
    NotDurable,
    /// The store took nothing.
    #[error("the store refused at line {line}")]
    Refused {
        /// Which line, from 1.
        line: u64,
        /// Why.
        source: Refused,
    },
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<MetricMeta>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Labels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    at: Vec<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    value: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    min: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    max: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sum: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    last: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    count: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    increase: Vec<Value>,
}

fn to_json(value: f64) -> Value {
    if is_unknown(value) {
        return Value::Null;
    }
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    value.into()
}

fn from_json(value: &Value) -> Option<f64> {
    match value {
        Value::Null => Some(UNKNOWN),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "+Inf" => Some(f64::INFINITY),
            "-Inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn column(values: &[f64]) -> Vec<Value> {
    values.iter().map(|value| to_json(*value)).collect()
}

impl Store {
    /// Writes the series that match (all without matchers), as they are stored: everything that is
    /// kept of them in `(after, until]`: samples as far back as the first archive reaches, rows of each coarser archive before that.
    ///
    /// Errors: [`TransferError`].
    pub fn export(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        out: &mut dyn Write,
    ) -> Result<TransferReport, TransferError> {
        let mut report = TransferReport::default();
        for meta in self.metadata(None).map_err(TransferError::Select)? {
            put_line(out, &Line { meta: Some(meta), ..Line::default() }, &mut report)?;
        }
        // A selection needs a condition that not every series fulfils unseen.
        let named = Matcher::new(NAME, MatcherOp::NotEqual, "");
        let named = [named.unwrap_or_else(|_| unreachable!("only a regular expression can fail"))];
        let matchers = if matchers.is_empty() { &named } else { matchers };
        let found =
            self.series(matchers, after, until, usize::MAX).map_err(TransferError::Select)?;
        for labels in found {
            // One series at a time: the memory this takes is bounded by what one series keeps.
            let request = Select {
                matchers: labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect(),
                after,
                until,
                step: std::time::Duration::ZERO,
                window: std::time::Duration::ZERO,
                samples_max: usize::MAX,
            };
            let answer = self.inner.answer(&request, Given::AsStored);
            let answer = answer.map_err(TransferError::Select)?;
            let exact = answer.into_iter().find(|series| series.labels == labels);
            for segment in exact.into_iter().flat_map(|series| series.segments) {
                match segment {
                    Segment::Raw(raw) => put_raw(out, &labels, &raw, &mut report)?,
                    Segment::Rows(rows) => put_rows(out, &labels, &rows, &mut report)?,
                }
            }
        }
        Ok(report)
    }

    /// Reads what [`Store::export`] wrote. Samples that the first archive no longer reaches back to
    /// become rows of the coarser ones; what is there already stays. Rows are durable when
    /// [`Store::checkpoint`] has returned, which this calls at the end.
    ///
    /// Errors: [`TransferError`]; lines before the one that is named were taken.
    pub fn import(&self, input: &mut dyn BufRead) -> Result<TransferReport, TransferError> {
        let mut import = Import::new(self);
        let mut text = Vec::new();
        loop {
            text.clear();
            let line = import.report.lines + 1;
            let read = io::Read::take(&mut *input, LINE_BYTES_MAX).read_until(b'\n', &mut text);
            let length = read.map_err(|source| TransferError::Io { what: "read", line, source })?;
            if length == 0 {
                break;
            }
            import.report.lines = line;
            let wrong = |why: String| TransferError::Line { line, why };
            let parsed: Line =
                serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
            import.take(parsed).map_err(wrong)?;
            if import.batch.samples.len() >= BATCH_SAMPLES {
                import.submit()?;
            }
        }
        import.fold_old().map_err(|why| TransferError::Line { line: import.report.lines, why })?;
        import.submit()?;
        if !self.checkpoint() {
            return Err(TransferError::NotDurable);
        }
        Ok(import.report)
    }
}

/// An import on its way.
struct Import<'a> {
    store: &'a Store,
    batch: Batch,
    report: TransferReport,
    /// Samples of one series that the first archive does not reach back to.
    old: Option<(Labels, Vec<Point>)>,
}

/// Reads a line as an import does, without a store.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_line(text: &[u8]) -> Option<usize> {
    let line: Line = serde_json::from_slice(text).ok()?;
    if line.step.is_some() {
        return rows_of(&line).ok().map(|rows| rows.len());
    }
    floats(&line.value, line.at.len(), "value").ok().map(|values| values.len())
}

impl<'a> Import<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, batch: Batch::new(), report: TransferReport::default(), old: None }
    }

    fn submit(&mut self) -> Result<(), TransferError> {
        if self.batch.samples.is_empty() && self.batch.metas.is_empty() {
            return Ok(());
        }
        let line = self.report.lines;
        let taken = self.store.submit_blocking(std::mem::take(&mut self.batch));
        let accepted = taken.map_err(|source| TransferError::Refused { line, source })?;
        let refused = accepted.too_old + accepted.in_future + accepted.over_budget;
        self.report.samples += accepted.stored as u64;
        self.report.refused += refused as u64;
        Ok(())
    }

    fn take(&mut self, line: Line) -> Result<(), String> {
        if let Some(meta) = line.meta {
            self.batch.metas.push(meta);
            return Ok(());
        }
        let labels = line.labels.clone().ok_or("it has neither labels nor meta")?;
        if self.old.as_ref().is_some_and(|(before, _)| *before != labels) {
            self.fold_old()?;
        }
        if let Some(step) = line.step {
            let rows = rows_of(&line)?;
            let has_increase = !line.increase.is_empty();
            return self.put_rows(RowImport { labels, step, rows, has_increase });
        }
        let values = floats(&line.value, line.at.len(), "value")?;
        let oldest = self.store.oldest_sample(&labels);
        for (&at, value) in line.at.iter().zip(values) {
            if at > oldest {
                let at = Timestamp::from_millis(at);
                self.batch.samples.push(Sample { labels: labels.clone(), at, value });
            } else {
                let (_, points) = self.old.get_or_insert_with(|| (labels.clone(), Vec::new()));
                points.push(Point { at, value });
            }
        }
        Ok(())
    }

    /// Makes rows of the samples that are too old for the first archive.
    fn fold_old(&mut self) -> Result<(), String> {
        let Some((labels, mut points)) = self.old.take() else { return Ok(()) };
        points.sort_by_key(|point| point.at);
        points.dedup_by_key(|point| point.at);
        let Some((step, width)) = self.store.first_rows_of(&labels) else {
            self.report.refused += points.len() as u64;
            return Ok(());
        };
        let rows = fold_samples(None, &points, step, &Counts::new(width, &[]));
        let has_increase = width.is_some();
        self.put_rows(RowImport { labels, step, rows, has_increase })
    }

    fn put_rows(&mut self, rows: RowImport) -> Result<(), String> {
        let count = rows.rows.len() as u64;
        let refused = self.store.import_rows(rows)?;
        self.report.rows += count - refused;
        self.report.refused += refused;
        Ok(())
    }
}

fn floats(values: &[Value], length: usize, name: &str) -> Result<Vec<f64>, String> {
    if values.len() != length {
        return Err(format!("{name} has {} values for {length} moments", values.len()));
    }
    let parsed: Option<Vec<f64>> = values.iter().map(from_json).collect();
    parsed.ok_or_else(|| format!("{name} has something that is no number"))
}

fn rows_of(line: &Line) -> Result<Vec<Row>, String> {
    let length = line.at.len();
    let (min, max) = (floats(&line.min, length, "min")?, floats(&line.max, length, "max")?);
    let (sum, last) = (floats(&line.sum, length, "sum")?, floats(&line.last, length, "last")?);
    let count = floats(&line.count, length, "count")?;
    let increase = if line.increase.is_empty() {
        vec![0.0; length]
    } else {
        floats(&line.increase, length, "increase")?
    };
    let row = |i: usize| {
        if !(1.0..9e15).contains(&count[i]) {
            return Row::unknown(line.at[i]);
        }
        Row {
            at: line.at[i],
            min: min[i],
            max: max[i],
            sum: sum[i],
            last: last[i],
            count: count[i] as u64,
            increase: increase[i],
        }
    };
    Ok((0..length).map(row).collect())
}

fn put_raw(
    out: &mut dyn Write,
    labels: &Labels,
    raw: &RawSegment,
    report: &mut TransferReport,
) -> Result<(), TransferError> {
    for (at, value) in raw.at.chunks(LINE_POINTS).zip(raw.value.chunks(LINE_POINTS)) {
        let (at, value, labels) = (at.to_vec(), column(value), Some(labels.clone()));
        report.samples += at.len() as u64;
        put_line(out, &Line { labels, at, value, ..Line::default() }, report)?;
    }
    Ok(())
}

fn put_rows(
    out: &mut dyn Write,
    labels: &Labels,
    rows: &RowSegment,
    report: &mut TransferReport,
) -> Result<(), TransferError> {
    for from in (0..rows.at.len()).step_by(LINE_POINTS) {
        let to = (from + LINE_POINTS).min(rows.at.len());
        report.rows += (to - from) as u64;
        let part = |values: &[f64]| column(values.get(from..to).unwrap_or(&[]));
        let line = Line {
            labels: Some(labels.clone()),
            step: Some(rows.step),
            at: rows.at[from..to].to_vec(),
            min: part(&rows.min),
            max: part(&rows.max),
            sum: part(&rows.sum),
            last: part(&rows.last),
            count: part(&rows.count),
            increase: part(&rows.increase),
            ..Line::default()
        };
        put_line(out, &line, report)?;
    }
    Ok(())
}

fn put_line(
    out: &mut dyn Write,
    line: &Line,
    report: &mut TransferReport,
) -> Result<(), TransferError> {
    report.lines += 1;
    let error = |source| TransferError::Io { what: "write", line: report.lines, source };
    let mut text = serde_json::to_vec(line).map_err(|e| error(io::Error::other(e)))?;
    text.push(b'\n');
    out.write_all(&text).map_err(error)
}
