//! Rows that were made elsewhere: put into the archives that take them.

use std::collections::BTreeMap;
use std::sync::Arc;

use noroshi_model::{Labels, Sample, Timestamp, UNKNOWN, Width};

use crate::codec::Row;
use crate::fold::{fold_rows, row_end, row_floor};
use crate::ring::RingError;
use crate::store::Store;
use crate::writer::{Command, Writer};

/// Longest step of rows that is believed, milliseconds: a year. Rows are split to the coarsest
/// archive's, so this bounds what becomes of one.
pub(crate) const STEP_MAX: i64 = 366 * 86_400_000;

/// Rows of one series.
pub(crate) struct RowImport {
    /// The series; made when it is new.
    pub(crate) labels: Labels,
    /// Time from row to row, milliseconds.
    pub(crate) step: i64,
    /// Rows, in any order.
    pub(crate) rows: Vec<Row>,
    /// Whether they have an increase: the series is a counter.
    pub(crate) has_increase: bool,
}

impl Store {
    /// Returns the moment up to which samples of a series are too old for the first archive.
    pub(crate) fn oldest_sample(&self, labels: &Labels) -> i64 {
        let class = self.inner.classes.iter().find(|class| class.spec.takes(labels));
        let span = class.map_or(0, |class| class.spans[0]);
        // Time goes on while an import runs: a minute's reserve.
        self.inner.now().saturating_sub(span).saturating_add(60_000)
    }

    /// Returns the step of a series' finest rows, and how it counts; `None` without such rows.
    pub(crate) fn first_rows_of(&self, labels: &Labels) -> Option<(i64, Option<Width>)> {
        let class = self.inner.classes.iter().find(|class| class.spec.takes(labels))?;
        let width = self.inner.catalogue.read().width(labels);
        Some((*class.steps.get(1)?, width))
    }

    /// Puts rows into the archives: into the coarsest one that is not coarser than they are, split,
    /// and into all that are coarser, joined; each as far back as it reaches. Returns how many rows
    /// no archive has room for. Waits until they are in the rings; durable with the next
    /// checkpoint, so [`Store::checkpoint`] is for the caller to call at the end.
    pub(crate) fn import_rows(&self, import: RowImport) -> Result<u64, String> {
        let (done, wait) = std::sync::mpsc::sync_channel(1);
        let work = Box::new(move |writer: &mut Writer| {
            if done.send(writer.import_rows(import)).is_err() {
                tracing::debug!("nobody waits for imported rows");
            }
        });
        crate::store::send_patiently(&self.commands, Command::Work(work));
        wait.recv().unwrap_or_else(|_| Err("the store is closing".to_owned()))
    }
}

impl Writer {
    fn import_rows(&mut self, mut import: RowImport) -> Result<u64, String> {
        let is_whole = |row: &Row| row.at % import.step == 0;
        if import.step <= 0 || import.step > STEP_MAX || !import.rows.iter().all(is_whole) {
            return Err("rows must end at multiples of their step".to_owned());
        }
        import.rows.sort_by_key(|row| row.at);
        import.rows.dedup_by_key(|row| row.at);
        let count = import.rows.len() as u64;
        let (inner, now) = (Arc::clone(&self.inner), self.inner.now());
        let class = inner.classes.iter().find(|class| class.spec.takes(&import.labels));
        let Some(class) = class.filter(|class| class.steps.len() > 1) else { return Ok(count) };
        let longest = class.spans.last().copied().unwrap_or(0);
        import.rows.retain(|row| row.at > now.saturating_sub(longest));
        let refused = count - import.rows.len() as u64;
        if import.rows.is_empty() {
            return Ok(refused);
        }
        let series = self.series_of(&import.labels).ok_or("there is no room for the series")?;
        let not_coarser = (1..class.steps.len()).rev().find(|i| class.steps[*i] <= import.step);
        for archive in not_coarser.unwrap_or(1)..class.steps.len() {
            let reach = now.saturating_sub(class.spans[archive]);
            self.import_into(series, archive, reach, &import).map_err(|error| error.to_string())?;
        }
        let last = import.rows.last().map_or(i64::MIN, |row| row.at);
        inner.table.with(series, |head| {
            if head.first_at().is_none() {
                head.last_at = head.last_at.max(last);
            }
        });
        Ok(refused)
    }

    /// Puts those rows into an archive that end after `reach`.
    fn import_into(
        &self,
        series: u32,
        archive: usize,
        reach: i64,
        import: &RowImport,
    ) -> Result<(), RingError> {
        let inner = &self.inner;
        let shape = inner.table.with(series, |head| (usize::from(head.class), head.width));
        let Some((class, width)) = shape else { return Ok(()) };
        let step = inner.classes[class].steps[archive];
        let first = import.rows.partition_point(|row| row.at <= reach);
        let Some(last) = import.rows[first..].last() else { return Ok(()) };
        // While its time is not over a row is unfinished: what comes later belongs to it.
        let until = row_end(last.at, step).min(row_floor(inner.now(), step));
        let mut rows = if step <= import.step {
            split_rows(&import.rows[first..], import.step, step)
        } else {
            fold_rows(&import.rows[first..], step, width)
        };
        rows.retain(|row| row.at > reach && row.at <= until);
        let rows = self.join(series, archive, rows, until)?;
        inner.write_rows(series, archive, &rows, import.has_increase)?;
        inner.table.with(series, |head| {
            let chain = &mut head.chains[archive];
            chain.done_until = chain.done_until.max(until);
        });
        Ok(())
    }

    /// Returns the rows to write so that the archive has all up to `until`: of two of one end the
    /// one that knows more. Those that samples would still have become are among them.
    fn join(
        &self,
        series: u32,
        archive: usize,
        rows: Vec<Row>,
        until: i64,
    ) -> Result<Vec<Row>, RingError> {
        let inner = &self.inner;
        let (Some(first), Some(view)) = (rows.first(), inner.view(series, i64::MIN, until)) else {
            return Ok(rows);
        };
        let done_until = view.chains[archive].done_until;
        let step = inner.classes[view.class].steps[archive];
        let after = (first.at - step).min(done_until);
        let mut joined: BTreeMap<i64, Row> = rows.into_iter().map(|row| (row.at, row)).collect();
        for known in inner.rows(&view, archive, after, until)? {
            let is_better = joined.get(&known.at).is_none_or(|row| row.count < known.count);
            if is_better && known.at > done_until {
                joined.insert(known.at, known);
            } else if is_better {
                // It is on the disk.
                joined.remove(&known.at);
            }
        }
        Ok(joined.into_values().collect())
    }

    /// Returns the series with these labels, making it, durable, when it is new.
    fn series_of(&mut self, labels: &Labels) -> Option<u32> {
        let hash = crate::catalogue::hash_labels(labels);
        if let Some(known) = self.inner.catalogue.read().find(hash, labels) {
            return Some(known);
        }
        let mut framed = Vec::new();
        let at = Timestamp::from_millis(0);
        let sample = Sample { labels: labels.clone(), at, value: UNKNOWN };
        let series = self.make_series(&sample, &mut framed)?;
        self.plan();
        self.inner.journal.note(&framed).ok()?;
        Some(series)
    }
}

/// Splits rows to finer ones that know as much: the same extremes, an equal share of the rest.
fn split_rows(rows: &[Row], from: i64, to: i64) -> Vec<Row> {
    let mut out = Vec::new();
    for row in rows {
        let (first, last) = (row_floor(row.at - from, to) + to, row_floor(row.at, to));
        let parts = (last - first) / to + 1;
        let count = (row.count / parts as u64).max(u64::from(row.count > 0));
        let mean = if row.count == 0 { UNKNOWN } else { row.sum / row.count as f64 };
        let sum = if row.count == 0 { UNKNOWN } else { mean * count as f64 };
        let increase = row.increase / parts as f64;
        let at = (0..parts).map(|part| first + part * to);
        out.extend(at.map(|at| Row { at, sum, count, increase, ..*row }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_at_the_borders_of_the_finer_ones() {
        let row =
            Row { at: 900, min: 1.0, max: 5.0, sum: 12.0, last: 4.0, count: 6, increase: 9.0 };
        let split = split_rows(&[row], 900, 300);
        let ends: Vec<i64> = split.iter().map(|row| row.at).collect();
        assert_eq!(ends, [300, 600, 900]);
        // Two of six samples each, of the mean 2; a third of the increase.
        let part = Row { at: 300, sum: 4.0, count: 2, increase: 3.0, ..row };
        assert_eq!(split[0], part);
        // 420 is no multiple of 300: the part that ends at 600 belongs to the second row.
        let rows = [Row { at: 420, ..row }, Row { at: 840, ..row }];
        let ends: Vec<i64> = split_rows(&rows, 420, 300).iter().map(|row| row.at).collect();
        assert_eq!(ends, [300, 600]);
        assert_eq!(split_rows(&[row], 900, 900)[0], row);
    }
}
