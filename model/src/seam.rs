//! The seams: the few traits through which the rooms of one layer meet.
//!
//! | seam | asked by | answered by |
//! |---|---|---|
//! | [`Clock`] | everything that decides | the programs; [`ManualClock`] in tests |
//! | [`SeriesSource`] | expr, and through it graphs, rules, pages | store |
//! | [`Records`] | checks, alerts, web (states, events, queue, people) | store; [`MemoryRecords`] in tests |
//! | [`Sink`] | collector, checks (performance data) | store |

mod stand_in;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::{Batch, Labels, Matcher, MetricMeta, Restart, Timestamp};

pub use stand_in::{MemoryRecords, SelectOnly, no_series};

/// A future that a trait object returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells the time of day, for storing and showing. Durations are measured elsewhere.
pub trait Clock: Send + Sync {
    /// Returns the current moment; may jump in both directions.
    fn now(&self) -> Timestamp;
}

/// A clock that stands until it is set: for tests and simulations.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Makes a clock that shows `at`.
    pub fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.as_millis()))
    }

    /// Sets the clock, forwards or backwards.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_millis(), Ordering::SeqCst);
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

// ---------------------------------------------------------------------------------- series, read

/// Which samples a reader wants.
#[derive(Clone, Debug)]
pub struct Select {
    /// All must match; at least one must refuse the empty value.
    pub matchers: Vec<Matcher>,
    /// Only samples later than this (exclusive: `PromQL`'s ranges are left-open since 3.0).
    pub after: Timestamp,
    /// Only samples not later than this (inclusive).
    pub until: Timestamp,
    /// How far apart the results will be looked at; zero when every sample is wanted. A source
    /// may answer with rows of an archive whose step is not larger than this.
    pub step: Duration,
    /// The window that each result will look back over (`[5m]`, or the lookback of an instant
    /// selector). Rows coarser than the window would leave holes; where no finer ones are left,
    /// the answer reaches back by one of them: it begins with the row that ends after
    /// `after + window - step of the row`.
    pub window: Duration,
    /// The answer may hold at most this many samples and row values in all.
    pub samples_max: usize,
}

/// One series in an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesData {
    /// The series.
    pub labels: Labels,
    /// Pieces of different resolution, oldest first, not overlapping in time; may be empty.
    pub segments: Vec<Segment>,
}

/// A stretch of one series in one resolution.
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// The samples themselves.
    Raw(RawSegment),
    /// Consolidated rows of an archive.
    Rows(RowSegment),
}

/// Samples as they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawSegment {
    /// Milliseconds since 1970, strictly increasing.
    pub at: Vec<i64>,
    /// One value a moment; [`crate::UNKNOWN`] where the source was asked and did not answer.
    pub value: Vec<f64>,
}

/// Rows of one archive. All vectors have one length; row `i` covers `(at[i] - step, at[i]]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowSegment {
    /// The archive's step in milliseconds.
    pub step: i64,
    /// The end of each row: milliseconds since 1970, a multiple of `step`, strictly increasing.
    pub at: Vec<i64>,
    /// Least known value; [`crate::UNKNOWN`] when the whole row is unknown (so for the next four).
    pub min: Vec<f64>,
    /// Greatest known value.
    pub max: Vec<f64>,
    /// Sum of the known values.
    pub sum: Vec<f64>,
    /// Last known value.
    pub last: Vec<f64>,
    /// How many known values: 0 when the row is unknown.
    pub count: Vec<f64>,
    /// For counters, the increase from the last value before the row to the last value in it, with
    /// wraps corrected and resets counted from zero. Empty for other series.
    pub increase: Vec<f64>,
}

/// Answers label matchers with samples. The only door to stored series.
pub trait SeriesSource: Send + Sync {
    /// Returns the series that match, each with its samples in the span, ordered by labels.
    ///
    /// A series without a sample in the span may be left out. Errors: [`SelectError`].
    fn select(&self, request: &Select) -> Result<Vec<SeriesData>, SelectError>;

    /// Returns the label sets that match and have a sample in the span, ordered, at most `limit`.
    fn series(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Labels>, SelectError>;

    /// Returns the names of all labels of the series that match (of all series when `matchers` is
    /// empty), sorted, at most `limit`.
    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, SelectError>;

    /// Returns the values that a label has in the series that match, sorted, at most `limit`.
    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, SelectError>;

    /// Returns the names of all labels of the series that match (of all series when `matchers` is
    /// empty) and have a sample in the span, sorted, at most `limit`.
    fn label_names_within(
        &self,
        matchers: &[Matcher],
        (after, until): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        let mut names = BTreeSet::new();
        for labels in self.series(matchers, after, until, usize::MAX)? {
            names.extend(labels.iter().map(|(name, _)| name.to_owned()));
        }
        Ok(names.into_iter().take(limit).collect())
    }

    /// Returns the values that a label has in the series that match (in all series when `matchers`
    /// is empty) and have a sample in the span, sorted, at most `limit`.
    fn label_values_within(
        &self,
        name: &str,
        matchers: &[Matcher],
        (after, until): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        let mut values = BTreeSet::new();
        for labels in self.series(matchers, after, until, usize::MAX)? {
            values.extend(labels.get(name).map(str::to_owned));
        }
        Ok(values.into_iter().take(limit).collect())
    }

    /// Returns what is known about the metrics: about one, or about all when `name` is `None`.
    fn metadata(&self, name: Option<&str>) -> Result<Vec<MetricMeta>, SelectError>;

    /// Returns when the series that match had their newest sample, however long ago; `None` when
    /// no such series is known. This tells "never heard of" from "no data since".
    fn last_seen(&self, matchers: &[Matcher]) -> Result<Option<Timestamp>, SelectError>;

    /// Returns when the sources of the series that match began anew in `(after, until]`, in order
    /// of time: as far back as anything is kept. None when the series have more than `sources_max`
    /// sources, and none from a source of series that does not know.
    fn restarts(
        &self,
        matchers: &[Matcher],
        span: (Timestamp, Timestamp),
        sources_max: usize,
    ) -> Result<Vec<Restart>, SelectError> {
        let _ = (matchers, span, sources_max);
        Ok(Vec::new())
    }
}

/// Why series could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The answer would be larger than the reader allows.
    #[error(
        "the query would load more than {samples_max} samples; ask for a shorter span, a longer step or fewer series"
    )]
    TooManySamples {
        /// The bound of [`Select::samples_max`].
        samples_max: usize,
    },
    /// Every matcher accepts the empty value, so every series would match.
    #[error("at least one matcher must not match the empty value")]
    MatchesEverything,
    /// The store could not read.
    #[error("cannot read stored series")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
}

// --------------------------------------------------------------------------------- series, write

/// Takes samples in.
pub trait Sink: Send + Sync {
    /// Takes a batch in; ready when a kill of the process can no longer lose it.
    ///
    /// Waits while the store is busy (the store's queue is bounded). Errors: [`Refused`].
    /// Cancel: a batch whose future is dropped may be stored or not.
    fn submit(&self, batch: Batch) -> BoxFuture<'_, Result<Accepted, Refused>>;
}

/// What became of a batch's samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Samples stored, repeated ones included.
    pub stored: usize,
    /// Samples older than the ring reaches: counted and dropped.
    pub too_old: usize,
    /// Samples further in the future than the bound: refused.
    pub in_future: usize,
    /// Samples of new series that the disk budget had no room for.
    pub over_budget: usize,
}

/// Why a whole batch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no room on the disk. Keep the batch and come again in a minute.
    #[error("the disk is full")]
    DiskFull,
    /// The store is being closed. Come again after the restart.
    #[error("the store is closing")]
    Closing,
    /// The store failed; it says more in its log.
    #[error("the store cannot write")]
    Broken,
}

impl Refused {
    /// Returns the stable name: log field, label and page text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::Closing => "closing",
            Self::Broken => "broken",
        }
    }
}

// --------------------------------------------------------------------------------------- records

/// Which small records: one sorted map of bytes to bytes for each.
///
/// The number is on disk: it never changes its meaning and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Space {
    /// checks: what is remembered of each host and check.
    States = 1,
    /// checks: the event log; key: sequence number, big-endian.
    Events = 2,
    /// checks: downtimes, comments.
    Marks = 3,
    /// alerts: notifications waiting to be sent, and the cursor into the event log.
    Queue = 4,
    /// alerts: what each contact was last told about each problem.
    Ledger = 5,
    /// alerts: the trace of every decision.
    Traces = 6,
    /// web: users, tokens.
    People = 7,
    /// web: sessions, one-time links.
    Sessions = 8,
    /// root: hosts that registered themselves or were added by a person.
    Hosts = 9,
    /// Single values of any room; key: `room/name`.
    Values = 10,
}

impl Space {
    /// All spaces.
    pub const ALL: [Self; 10] = [
        Self::States,
        Self::Events,
        Self::Marks,
        Self::Queue,
        Self::Ledger,
        Self::Traces,
        Self::People,
        Self::Sessions,
        Self::Hosts,
        Self::Values,
    ];
}

/// Changes that become durable together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordBatch {
    /// In order; `None` removes.
    pub changes: Vec<(Space, Vec<u8>, Option<Vec<u8>>)>,
}

impl RecordBatch {
    /// Returns a batch without changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write.
    pub fn put(&mut self, space: Space, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push((space, key.into(), Some(value.into())));
    }

    /// Adds a removal; removing what is not there is not an error.
    pub fn remove(&mut self, space: Space, key: impl Into<Vec<u8>>) {
        self.changes.push((space, key.into(), None));
    }

    /// Tells whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Checks that records take it: each value at most [`RECORD_BYTES_MAX`], all keys and values
    /// [`BATCH_BYTES_MAX`]. Errors: [`RecordError::TooLarge`].
    pub fn check_sizes(&self) -> Result<(), RecordError> {
        let mut all = 0;
        for change in &self.changes {
            let (space, bytes) = (change.0, change_bytes(change));
            all += bytes;
            if all > BATCH_BYTES_MAX {
                let bytes_max = BATCH_BYTES_MAX;
                return Err(RecordError::TooLarge { space, bytes: all, bytes_max });
            }
            if bytes > RECORD_BYTES_MAX {
                return Err(RecordError::TooLarge { space, bytes, bytes_max: RECORD_BYTES_MAX });
            }
        }
        Ok(())
    }
}

/// Returns how many bytes of key and value a change of a [`RecordBatch`] has.
pub fn change_bytes((_, key, value): &(Space, Vec<u8>, Option<Vec<u8>>)) -> usize {
    key.len() + value.as_ref().map_or(0, Vec::len)
}

/// A record: key and value.
pub type Record = (Vec<u8>, Vec<u8>);

/// Small durable records. Blocking: async callers go through `spawn_blocking` for `commit`.
pub trait Records: Send + Sync {
    /// Returns a value; `None` when there is none.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, RecordError>;

    /// Returns the records whose key starts with `prefix` and is greater than `after` (not less
    /// than the prefix when `after` is `None`), in order of key, at most `limit`.
    fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordError>;

    /// Returns the records whose key starts with `prefix` and is less than `before`, greatest key
    /// first, at most `limit`.
    fn scan_back(
        &self,
        space: Space,
        prefix: &[u8],
        before: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordError>;

    /// Makes all changes of the batch durable at once; a kill after the return loses nothing.
    fn commit(&self, batch: RecordBatch) -> Result<(), RecordError>;
}

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A value is longer than the store keeps.
    #[error("a record of {bytes} bytes in {space:?} is larger than the {bytes_max} that are kept")]
    TooLarge {
        /// Where it was to go.
        space: Space,
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The batch was refused.
    #[error("cannot write records")]
    Write(#[source] Refused),
    /// Reading failed.
    #[error("cannot read records")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The largest record, its key and its value: 1 MiB.
///
/// Far above what any room writes; larger ones are a mistake that the journal should not carry.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// How many bytes of keys and values one batch of records has at most: 32 MiB.
pub const BATCH_BYTES_MAX: usize = 32 << 20;
