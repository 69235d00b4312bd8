//! Rows that were made elsewhere: put into the archives that take them.

use std::sync::Arc;

use noroshi_model::{Labels, Sample, Timestamp, UNKNOWN, Width};

use crate::codec::Row;
use crate::fold::{fold_rows, row_floor};
use crate::ring::RingError;
use crate::store::Store;
use crate::writer::{Command, Writer};

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

    /// Puts rows into all archives whose step is not finer; rows coarser than every archive are
    /// split. Waits until they are in the rings; durable with the next checkpoint, so
    /// [`Store::checkpoint`] is for the caller to call at the end.
    pub(crate) fn import_rows(&self, import: RowImport) -> Result<(), String> {
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
    fn import_rows(&mut self, mut import: RowImport) -> Result<(), String> {
        if import.step <= 0 || import.rows.iter().any(|row| row.at % import.step != 0) {
            return Err("rows must end at multiples of their step".to_owned());
        }
        import.rows.sort_by_key(|row| row.at);
        import.rows.dedup_by_key(|row| row.at);
        let Some(last) = import.rows.last().map(|row| row.at) else { return Ok(()) };
        let series = self.series_of(&import.labels).ok_or("there is no room for the series")?;
        let inner = Arc::clone(&self.inner);
        let shape = inner.table.with(series, |head| (usize::from(head.class), head.width));
        let Some((class, width)) = shape else { return Ok(()) };
        let steps = inner.classes[class].steps.clone();
        for (archive, &step) in steps.iter().enumerate().skip(1) {
            let is_coarsest = archive + 1 == steps.len();
            let rows = if step % import.step == 0 {
                fold_rows(&import.rows, step, width)
            } else if is_coarsest && import.step % step == 0 {
                split_rows(&import.rows, import.step, step)
            } else {
                continue;
            };
            // The last row may be unfinished: what comes later belongs to it.
            let until = row_floor(last, step);
            let mut whole: Vec<Row> = rows.into_iter().filter(|row| row.at <= until).collect();
            self.keep_better(series, archive, &mut whole)
                .and_then(|()| inner.write_rows(series, archive, &whole, import.has_increase))
                .map_err(|error| error.to_string())?;
            inner.table.with(series, |head| {
                let chain = &mut head.chains[archive];
                chain.done_until = chain.done_until.max(until);
            });
        }
        inner.table.with(series, |head| {
            if head.first_at().is_none() {
                head.last_at = head.last_at.max(last);
            }
        });
        Ok(())
    }

    /// Leaves rows out where the archive has one already that knows more.
    fn keep_better(
        &self,
        series: u32,
        archive: usize,
        rows: &mut Vec<Row>,
    ) -> Result<(), RingError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        let (after, until) = (first.at - 1, last.at);
        let Some(view) = self.inner.view(series, i64::MAX, i64::MAX) else { return Ok(()) };
        let there = self.inner.stored_rows(&view, archive, after, until)?;
        rows.retain(|row| {
            let known = there.binary_search_by_key(&row.at, |known| known.at);
            known.is_err() || known.is_ok_and(|index| there[index].count <= row.count)
        });
        Ok(())
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
    let parts = from / to;
    let mut out = Vec::new();
    for row in rows {
        for part in (0..parts).rev() {
            let at = row.at - part * to;
            let share = |value: f64| value / parts as f64;
            let count = (row.count / parts as u64).max(u64::from(row.count > 0));
            let mean = if row.count == 0 { UNKNOWN } else { row.sum / row.count as f64 };
            let sum = if row.count == 0 { UNKNOWN } else { mean * count as f64 };
            out.push(Row { at, sum, count, increase: share(row.increase), ..*row });
        }
    }
    out
}
