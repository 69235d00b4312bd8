//! What is kept, how fine and how long; and what it will cost on disk, computed beforehand.

use std::time::Duration;

use noroshi_model::{Labels, Matcher};

use crate::ring::EXTENT_BYTES;

/// How a store keeps its series. Every field has a default.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Retention classes; a series belongs to the first whose matchers all match. A last class
    /// without matchers is added when there is none, with the default archives.
    pub classes: Vec<RetentionClass>,
    /// Longest time that a batch of samples waits for others to share its `fdatasync`. Records
    /// never wait. Zero syncs at once.
    pub commit_interval: Duration,
    /// Most bytes that the store may plan for; series beyond are refused. `None` takes four fifths
    /// of what is free on the disk when the store is opened, and what it holds already.
    pub disk_bytes_max: Option<u64>,
    /// Samples further than this after the clock's now are refused.
    pub future_max: Duration,
    /// After so many intervals of silence a series is unknown, in classes without a heartbeat of
    /// their own and for sources that tell their interval.
    pub heartbeat_intervals: u32,
    /// A checkpoint is written, and the journal emptied, when the journal has this many bytes:
    /// bounds the time of a restart.
    pub journal_bytes_max: u64,
    /// A checkpoint is written at least this often while samples come in.
    pub checkpoint_interval: Duration,
    /// A series that nothing came for in this time, and in two steps of its coarsest archive, is
    /// laid down: it costs next to no memory, and only questions that reach back to its time look
    /// at it. It wakes with its next sample.
    pub quiet_after: Duration,
    /// A series that is silent for longer than its archives reach back is forgotten when that has
    /// been so for this long, by the running time of the program: a clock that jumps ahead for a
    /// while must not empty the store.
    pub forget_grace: Duration,
}

/// Which series are kept how.
#[derive(Clone, Debug)]
pub struct RetentionClass {
    /// Unique; names the files, so that the archives are found again. `a-z`, `0-9`, `-`, `_`.
    pub name: String,
    /// All must match; none matches every series.
    pub matchers: Vec<Matcher>,
    /// Finest first; the first keeps the samples as they came, each later one rows whose step is
    /// a multiple of the step before it.
    pub archives: Vec<ArchiveSpec>,
    /// Share of a row's samples that may be missing or unknown before the row is, 0..=1
    /// (`RRDtool`'s xff, `rrdcreate`: unknown when more are missing than this share of them). How
    /// many belong into a row the source's interval tells; where it does not, `heartbeat`; where
    /// there is none either, no row is refused. 1 keeps every row of which anything is known: its
    /// count says how much. Decided when rows are read: another value holds for old rows too.
    pub unknown_share_max: f64,
    /// Longest time between two samples (`RRDtool`'s heartbeat): so long after the last one a
    /// series is unknown until the next, and what a counter grew by over a longer silence is in no
    /// row made from then on. `None`: four intervals, for sources that tell theirs, and growth over
    /// a silence is in the row of the sample that ends it.
    pub heartbeat: Option<Duration>,
}

/// One ring: how fine and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveSpec {
    /// Time from row to row, at least a second. For the first archive the spacing of samples that
    /// is planned for; other spacings are kept as they come.
    pub step: Duration,
    /// Rows in the ring.
    pub rows: u32,
}

impl ArchiveSpec {
    /// Returns the time that the ring reaches back.
    pub fn span(&self) -> Duration {
        self.step.saturating_mul(self.rows)
    }
}

/// Bytes planned for a full-resolution sample: `benches/site.rs` has 1.13, the rest is reserve.
const RAW_SAMPLE_BYTES: f64 = 1.5;
/// Bytes planned for a row of a coarse archive: `benches/site.rs` has 5.1 for rows of a minute and
/// 6.1 for rows of five, where a sixth of the series is constant; common hosts have more of these.
const ROW_BYTES: f64 = 6.0;
/// Bytes planned for a series in catalogue and checkpoint: its labels, its unfinished blocks.
pub(crate) const SERIES_BYTES: u64 = 2048;

/// 10 s for two days, 1 min for two weeks, 5 min for a quarter, 1 h for three years.
pub const DEFAULT_ARCHIVES: [ArchiveSpec; 4] = [
    ArchiveSpec { step: Duration::from_secs(10), rows: 17_280 },
    ArchiveSpec { step: Duration::from_mins(1), rows: 20_160 },
    ArchiveSpec { step: Duration::from_mins(5), rows: 25_920 },
    ArchiveSpec { step: Duration::from_hours(1), rows: 26_280 },
];

impl Default for RetentionClass {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            matchers: Vec::new(),
            archives: DEFAULT_ARCHIVES.to_vec(),
            unknown_share_max: 1.0,
            heartbeat: None,
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            classes: vec![RetentionClass::default()],
            commit_interval: Duration::from_millis(20),
            disk_bytes_max: None,
            future_max: Duration::from_mins(10),
            heartbeat_intervals: 4,
            journal_bytes_max: 32 << 20,
            checkpoint_interval: Duration::from_mins(15),
            quiet_after: Duration::from_hours(3),
            forget_grace: Duration::from_hours(24),
        }
    }
}

/// Why a [`StoreConfig`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Two classes have one name, or a name is not made of the allowed letters.
    #[error("retention class {name:?}: the name must be unique and made of a-z, 0-9, - and _")]
    ClassName {
        /// The name.
        name: String,
    },
    /// A class has no archive.
    #[error("retention class {name:?} has no archive")]
    NoArchive {
        /// The class.
        name: String,
    },
    /// An archive has no rows, or a step below a second or with a fraction of a millisecond.
    #[error("retention class {name:?}: archive {index} needs rows and a step of at least 1 s")]
    Archive {
        /// The class.
        name: String,
        /// Which archive, from 0.
        index: usize,
    },
    /// A step is no multiple of the one before, or reaches back no further.
    #[error(
        "retention class {name:?}: the step of archive {index} must be a multiple of the one before it, and it must reach further back"
    )]
    Order {
        /// The class.
        name: String,
        /// Which archive, from 0.
        index: usize,
    },
    /// A share is not within 0..=1.
    #[error("retention class {name:?}: xff must be from 0 to 1")]
    Share {
        /// The class.
        name: String,
    },
    /// A heartbeat is shorter than the step of the first archive: all would be unknown.
    #[error(
        "retention class {name:?}: the heartbeat must be at least as long as the step of its first archive"
    )]
    Heartbeat {
        /// The class.
        name: String,
    },
}

impl StoreConfig {
    /// Tells the first thing that is wrong with the config.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (position, class) in self.classes.iter().enumerate() {
            let name = class.name.clone();
            let is_letter =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
            let is_known = self.classes[..position].iter().any(|other| other.name == name);
            if name.is_empty() || name.len() > 64 || !name.chars().all(is_letter) || is_known {
                return Err(ConfigError::ClassName { name });
            }
            if !(0.0..=1.0).contains(&class.unknown_share_max) {
                return Err(ConfigError::Share { name });
            }
            class.validate()?;
        }
        Ok(())
    }

    /// Returns the classes, closed by one that matches everything.
    pub(crate) fn closed_classes(&self) -> Vec<RetentionClass> {
        let mut classes = self.classes.clone();
        if !classes.last().is_some_and(|last| last.matchers.is_empty()) {
            let is_taken = classes.iter().any(|class| class.name == "default");
            let name = if is_taken { "everything-else" } else { "default" };
            classes.push(RetentionClass { name: name.to_owned(), ..RetentionClass::default() });
        }
        classes
    }
}

impl RetentionClass {
    fn validate(&self) -> Result<(), ConfigError> {
        let name = || self.name.clone();
        if self.archives.is_empty() {
            return Err(ConfigError::NoArchive { name: name() });
        }
        for (index, archive) in self.archives.iter().enumerate() {
            let step = archive.step;
            let is_whole = step.subsec_nanos().is_multiple_of(1_000_000);
            if archive.rows == 0 || step < Duration::from_secs(1) || !is_whole {
                return Err(ConfigError::Archive { name: name(), index });
            }
            if self.heartbeat.is_some_and(|heartbeat| index == 0 && heartbeat < step) {
                return Err(ConfigError::Heartbeat { name: name() });
            }
            let Some(finer) = index.checked_sub(1).map(|before| self.archives[before]) else {
                continue;
            };
            let is_multiple = step.as_millis().is_multiple_of(finer.step.as_millis());
            if !is_multiple || step == finer.step || archive.span() <= finer.span() {
                return Err(ConfigError::Order { name: name(), index });
            }
        }
        Ok(())
    }

    /// Tells whether a series belongs here.
    pub(crate) fn takes(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches_labels(labels))
    }

    /// Returns the bytes planned for one series in each archive.
    pub(crate) fn bytes_of_series(&self) -> Vec<u64> {
        let bytes = |(index, archive): (usize, &ArchiveSpec)| {
            let row = if index == 0 { RAW_SAMPLE_BYTES } else { ROW_BYTES };
            (f64::from(archive.rows) * row).ceil() as u64
        };
        self.archives.iter().enumerate().map(bytes).collect()
    }
}

/// What a number of series will take on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Every archive of every class.
    pub archives: Vec<PlannedArchive>,
    /// Journal, checkpoints and catalogue, bytes.
    pub other_bytes: u64,
    /// Everything, bytes.
    pub bytes: u64,
}

/// What one archive will take on disk at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedArchive {
    /// The class.
    pub class: String,
    /// Its step.
    pub step: Duration,
    /// The time it reaches back.
    pub span: Duration,
    /// Bytes for a series.
    pub series_bytes: u64,
    /// Bytes of the ring file when it is full.
    pub bytes: u64,
}

/// Returns what `series_count` series will take, all of them in the class that takes everything
/// (the last one).
///
/// These are upper bounds that the store keeps: a ring that reaches its bytes overwrites its
/// oldest block, however badly the samples compress. Common series need half or less.
pub fn plan(config: &StoreConfig, series_count: u64) -> Plan {
    let classes = config.closed_classes();
    let mut counts = vec![0; classes.len()];
    if let Some(last) = counts.last_mut() {
        *last = series_count;
    }
    plan_of(&classes, &counts, config.journal_bytes_max)
}

/// Returns what a number of series in each class will take.
fn plan_of(classes: &[RetentionClass], counts: &[u64], journal_bytes_max: u64) -> Plan {
    let mut archives = Vec::new();
    for (class, &count) in classes.iter().zip(counts) {
        for (archive, series_bytes) in class.archives.iter().zip(class.bytes_of_series()) {
            archives.push(PlannedArchive {
                class: class.name.clone(),
                step: archive.step,
                span: archive.span(),
                series_bytes,
                bytes: ring_bytes(count, series_bytes),
            });
        }
    }
    let series_count: u64 = counts.iter().sum();
    // Two checkpoints and two journals may exist while one takes the place of the other.
    let other_bytes = 2 * journal_bytes_max + 2 * series_count * SERIES_BYTES;
    let bytes = archives.iter().map(|archive| archive.bytes).sum::<u64>() + other_bytes;
    Plan { archives, other_bytes, bytes }
}

/// Returns the size of a full ring: whole extents, one of them being written.
pub(crate) fn ring_bytes(series_count: u64, series_bytes: u64) -> u64 {
    if series_count == 0 {
        return 0;
    }
    ((series_count * series_bytes).div_ceil(EXTENT_BYTES) + 1) * EXTENT_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, archives: &[(u64, u32)]) -> RetentionClass {
        let spec =
            |&(step, rows): &(u64, u32)| ArchiveSpec { step: Duration::from_secs(step), rows };
        let archives = archives.iter().map(spec).collect();
        RetentionClass { name: name.to_owned(), archives, ..RetentionClass::default() }
    }

    fn verdict(classes: &[RetentionClass]) -> Result<(), ConfigError> {
        StoreConfig { classes: classes.to_vec(), ..StoreConfig::default() }.validate()
    }

    #[test]
    fn archives_must_follow_each_other() {
        assert_eq!(verdict(&[RetentionClass::default()]), Ok(()));
        let bad = |archives: &[(u64, u32)]| verdict(&[class("x", archives)]).is_err();
        assert!(bad(&[]));
        assert!(bad(&[(0, 10)]));
        assert!(bad(&[(10, 0)]));
        assert!(bad(&[(60, 100), (90, 1000)]), "90 is no multiple of 60");
        assert!(bad(&[(60, 100), (120, 50)]), "reaches no further");
        assert!(!bad(&[(60, 100), (120, 51)]));
        assert!(verdict(&[class("x", &[(10, 10)]), class("x", &[(10, 10)])]).is_err());
        assert!(verdict(&[class("Über", &[(10, 10)])]).is_err());
        let beating = |seconds| {
            let heartbeat = Some(Duration::from_secs(seconds));
            verdict(&[RetentionClass { heartbeat, ..class("x", &[(10, 10)]) }])
        };
        assert_eq!(beating(9), Err(ConfigError::Heartbeat { name: "x".to_owned() }));
        assert_eq!(beating(10), Ok(()));
    }

    #[test]
    fn a_plan_is_whole_extents_for_each_archive() {
        let config = StoreConfig { classes: vec![class("x", &[(10, 1000)])], ..Default::default() };
        let plan = plan(&config, 3000);
        // 3,000 series x 1,000 rows x 1.5 bytes = 4,500,000 bytes = 4.3 extents, and one to write.
        assert_eq!(plan.archives[0].bytes, 6 << 20);
        assert_eq!(plan.other_bytes, 2 * (32 << 20) + 2 * 3000 * 2048);
        assert_eq!(plan.bytes, plan.archives[0].bytes + plan.other_bytes);
    }
}
