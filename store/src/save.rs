//! The writer's part of a checkpoint: what is in memory goes to a file, and series that are gone
//! for good are forgotten.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use crate::checkpoint::{Summary, Unpublished, Writing};
use crate::entry::put_removed;
use crate::inner::Inner;
use crate::keeper::{KeeperTask, answer};
use crate::segment::frame;
use crate::writer::Writer;

impl Writer {
    /// Writes a checkpoint; the keeper's thread makes it durable.
    pub(crate) fn checkpoint(&mut self, done: Option<SyncSender<bool>>) {
        let before = Instant::now();
        self.flush_all_late();
        self.remove_forgotten();
        self.forget_quiet();
        let written = self.write_checkpoint();
        let pause = before.elapsed().as_micros() as u64;
        self.inner.counters.checkpoint_pause_micros.fetch_max(pause, Relaxed);
        match written {
            Ok((unpublished, journal)) => {
                let task = KeeperTask {
                    unpublished,
                    journal,
                    first_series: self.logged_series,
                    metas: std::mem::take(&mut self.new_metas),
                    removed: std::mem::take(&mut self.removed),
                    done,
                };
                self.logged_series = self.inner.catalogue.read().next_series();
                if self.keeper.send(task).is_err() {
                    tracing::error!("the keeper's thread is gone: no checkpoint");
                }
            }
            Err(error) => {
                Inner::count(&self.inner.counters.checkpoint_failures, 1);
                tracing::error!(%error, "cannot write a checkpoint; the journal keeps everything");
                answer(done, false);
            }
        }
    }

    /// Removes series that were silent for longer than their longest archive reaches back.
    fn remove_forgotten(&mut self) {
        let inner = Arc::clone(&self.inner);
        let now = inner.now();
        let mut silent = HashMap::new();
        let mut gone = Vec::new();
        inner.table.for_each(|series, head| {
            let class = &inner.classes[usize::from(head.class)];
            let span = class.spans.last().copied().unwrap_or(i64::MAX);
            let is_used = head.last_at > i64::MIN;
            if is_used && head.last_at < now.saturating_sub(span) && head.late.is_empty() {
                let since = self.silent.get(&series).copied().unwrap_or_else(Instant::now);
                if since.elapsed() >= inner.config.forget_grace {
                    class.series_count.fetch_sub(1, Relaxed);
                    gone.push(series);
                } else {
                    silent.insert(series, since);
                }
            }
        });
        self.silent = silent;
        if gone.is_empty() {
            return;
        }
        let mut framed = Vec::new();
        frame(&mut framed, |out| put_removed(out, &gone));
        if let Err(refused) = inner.journal.note(&framed) {
            // They are still there after a restart, and are removed again.
            tracing::warn!(reason = refused.as_str(), "cannot note that series are gone");
        }
        inner.catalogue.write().remove(&gone);
        for series in &gone {
            inner.table.set(*series, None);
        }
        self.removed.extend(gone);
        self.plan();
    }

    fn write_checkpoint(&mut self) -> std::io::Result<(Unpublished, u64)> {
        let inner = &self.inner;
        let journal =
            inner.journal.cut().map_err(|refused| std::io::Error::other(refused.to_string()))?;
        let summary = Summary { journal, classes: inner.saved_classes() };
        let directory = inner.directory.join("checkpoint");
        let number = self.next_checkpoint;
        let mut writing = Writing::begin(&directory, number, &summary)?;
        let mut outcome = Ok(());
        inner.table.for_each(|series, head| {
            if outcome.is_ok() {
                outcome = writing.put(series, head);
            }
        });
        outcome?;
        inner.quiet.read().each_section(|section| writing.put_quiet(section))?;
        let unpublished = writing.finish()?;
        self.next_checkpoint += 1;
        Ok((unpublished, journal))
    }
}
