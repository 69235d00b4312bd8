//! The writer's part of quiet series: lays them down, wakes them, forgets them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use noroshi_model::Labels;
use noroshi_model::time::millis;

use crate::entry::put_removed;
use crate::fold::{row_end, row_floor};
use crate::head::Head;
use crate::inner::Inner;
use crate::quiet::QuietSeries;
use crate::ring::RingError;
use crate::segment::frame;
use crate::writer::Writer;

/// Longest time in one go: batches wait meanwhile.
const REST_TIME: Duration = Duration::from_millis(100);
/// Series laid down between two looks at the time.
const REST_SERIES: usize = 64;
/// Heads looked at in one go: all of a large site in some minutes.
const LOOKS: u32 = 8192;

impl Writer {
    /// Lays down series that have been quiet for long enough, for a tenth of a second at most;
    /// tells whether there is more to do at once.
    pub(crate) fn rest(&mut self) -> bool {
        let inner = Arc::clone(&self.inner);
        if inner.is_full.load(Relaxed) {
            return false;
        }
        let (begun, end) = (Instant::now(), inner.catalogue.read().next_series());
        let first = if self.rest_at < end { self.rest_at } else { 0 };
        let last = first.saturating_add(LOOKS).min(end);
        // Only what the catalogue's log has: it is written from the series that are awake.
        let found = inner.quiet_among(first, last.min(self.logged_series));
        for some in found.chunks(REST_SERIES) {
            if begun.elapsed() > REST_TIME {
                self.rest_at = some.first().copied().unwrap_or(last);
                return true;
            }
            if let Err(error) = inner.lay_down(some) {
                self.report(Err(error));
                break;
            }
        }
        self.rest_at = last;
        !found.is_empty()
    }

    /// Brings a quiet series back; `None` when it is not among them.
    pub(crate) fn wake(&mut self, labels: &Labels) -> Option<u32> {
        let inner = &self.inner;
        let mut catalogue = inner.catalogue.write();
        let QuietSeries { number, labels, mut head } = inner.quiet.write().take(labels)?;
        head.width = catalogue.width(&labels);
        head.is_woken = true;
        inner.table.set(number, Some(head));
        catalogue.add(number, labels);
        Some(number)
    }

    /// Forgets quiet series of which no archive has anything any more.
    pub(crate) fn forget_quiet(&mut self) {
        let inner = Arc::clone(&self.inner);
        let longest = inner.classes.iter().filter_map(|class| class.spans.last()).max();
        let until = inner.now().saturating_sub(longest.copied().unwrap_or(i64::MAX));
        // A clock that is ahead for a while must not empty the store.
        let since = self.expiring_since.get_or_insert_with(|| (until, Instant::now()));
        if since.1.elapsed() < inner.config.forget_grace {
            return;
        }
        let expired = inner.quiet.write().expire(since.0.min(until));
        self.expiring_since = Some((until, Instant::now()));
        if expired.is_empty() {
            return;
        }
        let gone: Vec<u32> = expired.iter().map(|series| series.number).collect();
        for series in &expired {
            let class = &inner.classes[usize::from(series.head.class)];
            class.series_count.fetch_sub(1, Relaxed);
        }
        let mut framed = Vec::new();
        frame(&mut framed, |out| put_removed(out, &gone));
        if let Err(refused) = inner.journal.note(&framed) {
            // They are still there after a restart, and are forgotten again.
            tracing::warn!(reason = refused.as_str(), "cannot note that series are gone");
        }
        self.removed.extend(gone);
        self.plan();
    }
}

impl Inner {
    /// Returns the series with these numbers that have been quiet for long enough.
    fn quiet_among(&self, first: u32, end: u32) -> Vec<u32> {
        let (now, quiet_after) = (self.now(), millis(self.config.quiet_after));
        let numbers: Vec<u32> = (first..end).collect();
        let mut found = Vec::new();
        self.table.with_each(&numbers, |position, head| {
            let Some(head) = head else { return };
            // Rows of a step that is not over may still change.
            let coarsest = self.classes[usize::from(head.class)].steps.last().copied();
            let silence = quiet_after.max(coarsest.unwrap_or(0).saturating_mul(2));
            let newest_at = head.newest_at();
            if newest_at > i64::MIN && newest_at < now.saturating_sub(silence) {
                found.push(numbers[position]);
            }
        });
        found
    }

    /// Writes all of some series to the rings and lays them down.
    fn lay_down(&self, some: &[u32]) -> Result<(), RingError> {
        for series in some {
            self.seal_all(*series)?;
            self.finish_rows(*series)?;
        }
        let (mut catalogue, mut quiet) = (self.catalogue.write(), self.quiet.write());
        let mut all = Vec::with_capacity(some.len());
        for &number in some {
            let labels = catalogue.labels(number).cloned();
            if let (Some(labels), Some(head)) = (labels, self.table.take(number)) {
                all.push(QuietSeries { number, labels, head });
            }
        }
        catalogue.remove(some);
        quiet.add(all);
        Ok(())
    }

    /// Writes the rows of a series that its samples would still become, the last one unfinished:
    /// when the samples are gone it is what is left of them.
    fn finish_rows(&self, series: u32) -> Result<(), RingError> {
        let shape = self.table.with(series, |head| (head.class, head.newest_at()));
        let Some((class, newest_at)) = shape else { return Ok(()) };
        let class = &self.classes[usize::from(class)];
        for archive in 1..class.steps.len() {
            let step = class.steps[archive];
            let target = row_end(newest_at, step);
            let Some(done_until) = self.done_until(series, archive)? else { return Ok(()) };
            if target <= done_until {
                continue;
            }
            if let Some(view) = self.view(series, done_until, target) {
                self.write_made_rows(&view, archive, (done_until, target))?;
            }
            self.table.with(series, |head| head.chains[archive].done_until = target);
        }
        Ok(())
    }
}

impl Head {
    /// Opens the rows again that were finished when the series was laid down, where a sample that
    /// is newer than all belongs into one of them.
    pub(crate) fn reopen_rows(&mut self, at: i64, steps: &[i64]) {
        if at <= self.last_at {
            return;
        }
        self.is_woken = false;
        for (chain, step) in self.chains.iter_mut().zip(steps) {
            chain.done_until = chain.done_until.min(row_floor(at - 1, *step));
        }
    }
}
