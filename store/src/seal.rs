//! From memory to ring files: full blocks of samples, the rows of coarse archives, late samples.
//! Called by the writer's thread only.

use crate::block::{BlockHeader, BlockKind, Mark, rows_payload};
use crate::codec::{CHUNK_SAMPLES, Point, Row, SamplesState, encode_samples};
use crate::fetch::View;
use crate::fold::{ROWS_MIN, row_end, row_floor, runs};
use crate::head::Sealed;
use crate::inner::Inner;
use crate::ring::RingError;

/// Rows in one block.
const BLOCK_ROWS: usize = 512;

impl Inner {
    /// Writes a series' packed samples as a block, and the rows that have become complete.
    pub(crate) fn seal(&self, series: u32) -> Result<(), RingError> {
        let Some(Some(sealed)) = self.table.with(series, |head| head.seal()) else {
            return Ok(());
        };
        self.write_samples(series, &sealed, true)?;
        self.consolidate(series)
    }

    /// Writes everything of a series that is in memory.
    pub(crate) fn seal_all(&self, series: u32) -> Result<(), RingError> {
        self.table.with(series, crate::head::Head::pack_all);
        self.seal(series)?;
        self.flush_late(series)
    }

    fn write_samples(
        &self,
        series: u32,
        sealed: &Sealed,
        is_from_head: bool,
    ) -> Result<(), RingError> {
        let header = BlockHeader {
            kind: BlockKind::Samples,
            has_increase: false,
            series,
            extent: 0,
            previous: crate::block::Place::NOWHERE,
            first_at: sealed.first_at,
            last_at: sealed.last_at,
            reach: i64::MIN,
            count: sealed.count,
            marks: sealed.marks.clone(),
        };
        self.write_block(0, header, &sealed.payload, is_from_head)
    }

    /// Writes a block to an archive of its series and makes it the newest of its chain.
    fn write_block(
        &self,
        archive: usize,
        mut header: BlockHeader,
        payload: &[u8],
        is_from_head: bool,
    ) -> Result<(), RingError> {
        let series = header.series;
        let chain = self.table.with(series, |head| (head.class, head.chains[archive]));
        let Some((class, chain)) = chain else { return Ok(()) };
        let class = &self.classes[usize::from(class)];
        (header.previous, header.reach) = (chain.newest, chain.reach);
        let limit = class.limit(archive, self.now());
        let appended = class.rings[archive].append(&mut header, payload, limit)?;
        Self::count(&self.counters.blocks, 1);
        if appended.overwritten_early {
            Self::count(&self.counters.overwritten_early, 1);
        }
        self.table.with(series, |head| {
            let chain = &mut head.chains[archive];
            chain.newest = appended.place;
            chain.reach = chain.reach.max(header.last_at);
            if is_from_head {
                head.sealed();
            }
        });
        Ok(())
    }

    /// Makes the rows that have become complete, archive by archive, each of the next finer one.
    fn consolidate(&self, series: u32) -> Result<(), RingError> {
        let view = self.table.with(series, |head| {
            (usize::from(head.class), head.on_disk_until(), head.chains.len())
        });
        let Some((class, mut ready_until, archives)) = view else { return Ok(()) };
        for archive in 1..archives {
            let step = self.classes[class].steps[archive];
            let finer_span = self.classes[class].spans[archive - 1];
            let target = row_floor(ready_until, step);
            let Some(done_until) = self.done_until(series, archive)? else { return Ok(()) };
            // A finer ring that is soon overwritten cannot wait for a full block.
            let wait = (ROWS_MIN * step).min(finer_span / 4);
            if target.saturating_sub(done_until) < wait.max(step) {
                return Ok(());
            }
            if let Some(view) = self.view(series, done_until, target) {
                self.write_made_rows(&view, archive, (done_until, target))?;
            }
            self.table.with(series, |head| head.chains[archive].done_until = target);
            ready_until = target;
        }
        Ok(())
    }

    /// Returns up to where rows are made; for a new archive, the moment before all its samples.
    pub(crate) fn done_until(&self, series: u32, archive: usize) -> Result<Option<i64>, RingError> {
        let Some(view) = self.view(series, i64::MAX, i64::MAX) else { return Ok(None) };
        let done_until = view.chains[archive].done_until;
        if done_until > i64::MIN {
            return Ok(Some(done_until));
        }
        let Some(view) = self.view(series, i64::MIN, i64::MAX) else { return Ok(None) };
        let first_at = if archive == 1 {
            self.raw(&view, i64::MIN, i64::MAX, false)?.points.first().map(|point| point.at)
        } else {
            self.rows(&view, archive - 1, i64::MIN, i64::MAX)?.first().map(|row| row.at)
        };
        let step = self.classes[view.class].steps[archive];
        Ok(first_at.map(|first_at| row_end(first_at, step) - step))
    }

    /// Makes the rows in `(from, to]` and writes them, with the restarts in their time: so graphs
    /// show these for as long as rows are kept.
    pub(crate) fn write_made_rows(
        &self,
        view: &View,
        archive: usize,
        (from, to): (i64, i64),
    ) -> Result<(), RingError> {
        let rows = self.made_rows(view, archive, from, to)?;
        let marks = self.marks(view, archive - 1, (from, to))?;
        self.write_marked_rows(view.series, archive, &rows, (view.width.is_some(), &marks))
    }

    pub(crate) fn write_rows(
        &self,
        series: u32,
        archive: usize,
        rows: &[Row],
        has_increase: bool,
    ) -> Result<(), RingError> {
        self.write_marked_rows(series, archive, rows, (has_increase, &[]))
    }

    fn write_marked_rows(
        &self,
        series: u32,
        archive: usize,
        rows: &[Row],
        (has_increase, marks): (bool, &[Mark]),
    ) -> Result<(), RingError> {
        for rows in rows.chunks(BLOCK_ROWS) {
            let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
            let step = self
                .table
                .with(series, |head| self.classes[usize::from(head.class)].steps[archive]);
            let Some(step) = step else { return Ok(()) };
            let within = |mark: &&Mark| mark.at > first.at - step && mark.at <= last.at;
            let header = BlockHeader {
                kind: BlockKind::Rows,
                has_increase,
                series,
                extent: 0,
                previous: crate::block::Place::NOWHERE,
                first_at: first.at,
                last_at: last.at,
                reach: i64::MIN,
                count: rows.len() as u32,
                marks: marks.iter().filter(within).copied().collect(),
            };
            self.write_block(archive, header, &rows_payload(rows, step, has_increase), false)?;
        }
        Ok(())
    }

    /// Writes samples that came late, and makes the rows anew that they change.
    pub(crate) fn flush_late(&self, series: u32) -> Result<(), RingError> {
        let late = self.table.with(series, |head| head.late.clone()).unwrap_or_default();
        let (Some(first), Some(last)) = (late.first(), late.last()) else { return Ok(()) };
        let fresh = self.fresh(series, &late, first.at, last.at)?;
        if !fresh.is_empty() {
            let mut payload = Vec::new();
            let mut state = SamplesState::new(fresh[0].at);
            for chunk in fresh.chunks(CHUNK_SAMPLES) {
                encode_samples(&mut payload, chunk, &mut state);
            }
            let sealed = Sealed {
                payload,
                first_at: fresh[0].at,
                last_at: fresh[fresh.len() - 1].at,
                count: fresh.len() as u32,
                marks: Vec::new(),
            };
            self.write_samples(series, &sealed, false)?;
        }
        Self::count(&self.counters.repeated, (late.len() - fresh.len()) as u64);
        self.counters
            .late_waiting
            .fetch_sub(late.len() as u64, std::sync::atomic::Ordering::Relaxed);
        self.table.with(series, |head| head.late = Vec::new());
        self.mend_rows(series, &fresh)
    }

    /// Returns those of the late samples that are not there yet.
    fn fresh(
        &self,
        series: u32,
        late: &[Point],
        first_at: i64,
        last_at: i64,
    ) -> Result<Vec<Point>, RingError> {
        let Some(view) = self.view_of(series, first_at - 1, last_at, false) else {
            return Ok(Vec::new());
        };
        let there = self.raw(&view, first_at - 1, last_at, false)?.points;
        let is_fresh =
            |point: &&Point| there.binary_search_by_key(&point.at, |known| known.at).is_err();
        Ok(late.iter().filter(is_fresh).copied().collect())
    }

    /// Makes the rows anew that hold or follow one of the samples; those that are on disk already.
    fn mend_rows(&self, series: u32, late: &[Point]) -> Result<(), RingError> {
        let shape = self.table.with(series, |head| (usize::from(head.class), head.chains.len()));
        let Some((class, archives)) = shape else { return Ok(()) };
        let mut moments: Vec<i64> = late.iter().map(|point| point.at).collect();
        // What a counter grew by up to the sample after a late one changes as well.
        let mut followers = Vec::new();
        if let Some(view) = self.view(series, i64::MAX, i64::MAX)
            && view.width.is_some()
        {
            followers = self.followers(series, late)?;
        }
        moments.extend(followers);
        moments.sort_unstable();
        for archive in 1..archives {
            let step = self.classes[class].steps[archive];
            let Some(view) = self.view(series, i64::MAX, i64::MAX) else { return Ok(()) };
            let done_until = view.chains[archive].done_until;
            let ends = moments.iter().map(|at| row_end(*at, step)).filter(|end| *end <= done_until);
            for (from, to) in runs(ends, step) {
                let Some(view) = self.view(series, from, to) else { return Ok(()) };
                let rows = self.made_rows(&view, archive, from, to)?;
                self.write_rows(series, archive, &rows, view.width.is_some())?;
            }
        }
        Ok(())
    }

    /// Returns the moments of the samples that follow late ones.
    fn followers(&self, series: u32, late: &[Point]) -> Result<Vec<i64>, RingError> {
        let (Some(first), Some(last)) = (late.first(), late.last()) else { return Ok(Vec::new()) };
        // The follower of the last one may be anywhere behind it.
        let Some(view) = self.view(series, first.at - 1, i64::MAX) else { return Ok(Vec::new()) };
        let all = self.raw(&view, first.at - 1, i64::MAX, false)?.points;
        let mut followers = Vec::new();
        for point in late {
            let next = all.partition_point(|known| known.at <= point.at);
            followers.extend(all.get(next).map(|known| known.at));
        }
        debug_assert!(followers.len() <= late.len() && last.at >= first.at);
        Ok(followers)
    }
}
