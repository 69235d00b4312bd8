//! Opening a store: catalogue, checkpoint, rings, journal, in this order; each piece that is
//! damaged is named and made good from the others.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use noroshi_model::Clock;
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;

use crate::checkpoint::{self, Loaded, SavedClass};
use crate::config::{ConfigError, StoreConfig};
use crate::disk;
use crate::entry::{Entry, read_entry};
use crate::head::{Chain, Head};
use crate::inner::{Class, Counters, Inner};
use crate::journal::Journal;
use crate::keeper::{Keeper, look_at_disk};
use crate::kept;
use crate::rebuild::load;
use crate::records::RecordTable;
use crate::repair::Repairs;
use crate::ring::{Ring, RingState};
use crate::segment;
use crate::series_log::SeriesLog;
use crate::store::QUEUE_BATCHES;
use crate::table::Table;
use crate::writer::{Command, Writer};

/// What the folder of a store says of itself.
pub(crate) const FORMAT: &str = "noroshi store 2\n";
/// What it said before checkpoints had quiet series; all else was the same.
const FORMAT_1: &str = "noroshi store 1\n";

/// Tells whether a folder that says so can be read.
pub(crate) fn is_readable(format: &str) -> bool {
    [FORMAT, FORMAT_1].contains(&format)
}

/// What was found and done when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whether the store was made.
    pub is_new: bool,
    /// Series that are known.
    pub series: u64,
    /// Entries of the journal that were not in the checkpoint and were done again.
    pub journal_entries: u64,
    /// Samples among them.
    pub journal_samples: u64,
    /// Bytes at the journal's end that a kill or a power cut left unfinished: never acknowledged.
    pub torn_bytes: u64,
    /// Damaged stretches of journal, checkpoint and the catalogue's log, each named in the log of
    /// the program.
    pub damaged: u64,
    /// Why the catalogue did not open and was rebuilt; the old one is kept beside it.
    pub rebuilt_catalogue: Option<String>,
    /// Series whose blocks had to be looked for in the rings.
    pub searched_series: u64,
    /// Time it took.
    pub took: Duration,
}

/// Says for a person what was found: `1,234 series in 0.2 s; ...`.
impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.took.as_secs_f64();
        if self.is_new {
            return write!(f, "a new one, made in {took:.1} s");
        }
        write!(f, "{} series in {took:.1} s", self.series)?;
        if self.journal_samples > 0 {
            write!(f, "; {} samples were brought back from the journal", self.journal_samples)?;
        }
        if self.torn_bytes > 0 {
            let torn = self.torn_bytes;
            write!(
                f,
                "; {torn} bytes of a write that was cut short, never acknowledged, left out"
            )?;
        }
        if self.damaged > 0 {
            write!(f, "; {} damaged places left out (named above)", self.damaged)?;
        }
        if self.searched_series > 0 {
            let searched = self.searched_series;
            write!(f, "; the blocks of {searched} series were searched for in the rings")?;
        }
        if let Some(reason) = &self.rebuilt_catalogue {
            write!(f, "; the catalogue did not open ({reason}) and was rebuilt from its log")?;
        }
        Ok(())
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The config cannot be used.
    #[error("the store's config cannot be used")]
    Config(#[source] ConfigError),
    /// Another process has it open.
    #[error("the store at {} is open in another process", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds something else, or a newer version.
    #[error("{} holds no store of a version that this program knows", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is not empty and holds no store.
    #[error(
        "{} is not a data folder: it holds {other:?}; name a new or empty folder with --data",
        path.display()
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// One of the things in it.
        other: String,
    },
    /// The file system failed.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

pub(crate) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::Io { what, path: path.to_owned(), source }
}

/// What [`crate::Store`] is made of.
pub(crate) struct Parts {
    pub(crate) inner: Arc<Inner>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) threads: Vec<JoinHandle<()>>,
    pub(crate) lock: File,
    pub(crate) recovery: Recovery,
}

/// Opens everything and starts the threads.
pub(crate) fn open_parts(
    directory: &Path,
    config: StoreConfig,
    clock: Arc<dyn Clock>,
) -> Result<Parts, OpenError> {
    let started = Instant::now();
    config.validate().map_err(OpenError::Config)?;
    let mut recovery = Recovery::default();
    let lock = prepare(directory, &mut recovery)?;
    let (loaded, (engine, catalogue)) = load(directory, &mut recovery)?;
    let records = Arc::new(RecordTable::new(Arc::clone(&engine)));
    let is_lost = loaded.is_none() && !has_first_segment(directory)?;
    let classes = open_classes(directory, &config, loaded.as_ref(), is_lost)?;
    let numbers = segment::list(&directory.join("journal"))
        .map_err(io_error("list the journal in", directory))?;
    let first_needed = loaded.as_ref().map_or(0, |loaded| loaded.summary.journal);
    let next_segment = numbers.last().map_or(1, |number| number + 1).max(first_needed);
    let journal = start_journal(directory, next_segment, &config, &records)?;
    let log = SeriesLog::open(&directory.join("catalogue-log"))
        .map_err(io_error("open the catalogue's log in", directory))?;
    let inner = Arc::new(Inner {
        directory: directory.to_owned(),
        config,
        clock,
        classes,
        catalogue: RwLock::new(catalogue),
        quiet: RwLock::default(),
        table: Table::default(),
        journal,
        records,
        engine,
        log: Mutex::new(log),
        repairs: Repairs::default(),
        counters: Counters::default(),
        checkpoint_gate: Mutex::new(()),
        is_full: AtomicBool::new(false),
        is_closing: AtomicBool::new(false),
    });
    let (keeper_tasks, tasks) = std::sync::mpsc::sync_channel(1);
    let next_checkpoint = loaded.as_ref().map_or(1, |loaded| loaded.number + 1);
    let mut writer = Writer::new(&inner, keeper_tasks, next_checkpoint);
    restore(&mut writer, loaded, is_lost, &mut recovery);
    let needed: Vec<u64> = numbers.into_iter().filter(|number| *number >= first_needed).collect();
    replay(&mut writer, &needed, &mut recovery)?;
    set_budget(&writer);
    measure(&inner)?;
    recovery.series = (inner.catalogue.read().len() + inner.quiet.read().len()) as u64;
    let (commands, receiver) = mpsc::channel(QUEUE_BATCHES);
    let keeper = Keeper::new(&inner, tasks, &commands);
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        thread.map_err(io_error("start a thread for", directory))
    };
    let threads = vec![
        spawn("store-writer", Box::new(move || writer.run(receiver)))?,
        spawn("store-keeper", Box::new(move || keeper.run()))?,
    ];
    recovery.took = started.elapsed();
    Ok(Parts { inner, commands, threads, lock, recovery })
}

/// Notes what files take that only grow or are replaced at a checkpoint.
fn measure(inner: &Inner) -> Result<(), OpenError> {
    inner.counters.log_bytes.store(inner.log.lock().bytes(), Relaxed);
    let checkpoint = inner.directory.join("checkpoint");
    let bytes = checkpoint::newest_bytes(&checkpoint)
        .map_err(io_error("examine the checkpoint in", &checkpoint))?;
    inner.counters.checkpoint_bytes.store(bytes, Relaxed);
    Ok(())
}

fn start_journal(
    directory: &Path,
    number: u64,
    config: &StoreConfig,
    records: &Arc<RecordTable>,
) -> Result<Journal, OpenError> {
    let records = Arc::clone(records);
    let apply = Box::new(move |batch: &_| records.apply(batch));
    let directory = directory.join("journal");
    Journal::start(&directory, number, config.commit_interval, apply)
        .map_err(io_error("begin the journal in", &directory))
}

/// Makes the folder and takes its lock.
fn prepare(directory: &Path, recovery: &mut Recovery) -> Result<File, OpenError> {
    fs::create_dir_all(directory).map_err(io_error("make", directory))?;
    let lock_path = directory.join("lock");
    let lock = File::create(&lock_path).map_err(io_error("open", &lock_path))?;
    lock.try_lock().map_err(|_| OpenError::Locked { path: directory.to_owned() })?;
    let format_path = directory.join("FORMAT");
    match fs::read_to_string(&format_path) {
        Ok(text) if text == FORMAT => {}
        // From now on an older program must not open it: it would lose the quiet series.
        Ok(text) if is_readable(&text) => disk::replace(directory, "FORMAT", FORMAT.as_bytes())
            .map_err(io_error("write", &format_path))?,
        Ok(_) => return Err(OpenError::Foreign { path: directory.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(other) = others_in(directory).map_err(io_error("list", directory))? {
                return Err(OpenError::NotEmpty { path: directory.to_owned(), other });
            }
            recovery.is_new = true;
            disk::replace(directory, "FORMAT", FORMAT.as_bytes())
                .map_err(io_error("write", &format_path))?;
        }
        Err(error) => return Err(io_error("read", &format_path)(error)),
    }
    for child in ["journal", "checkpoint", "rings", "catalogue-log"] {
        let child = directory.join(child);
        fs::create_dir_all(&child).map_err(io_error("make", &child))?;
    }
    disk::sync_directory(directory).map_err(io_error("sync", directory))?;
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        disk::sync_directory(parent).map_err(io_error("sync", parent))?;
    }
    Ok(lock)
}

/// Names something in a folder without a store that shows it to be somebody else's.
fn others_in(directory: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // What a first start leaves that was cut short, and what every new ext4 has.
        let is_ours = ["lock", "FORMAT.unfinished", "lost+found"].contains(&&*name);
        if !is_ours {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Tells whether the journal goes back to the store's beginning.
fn has_first_segment(directory: &Path) -> Result<bool, OpenError> {
    let journal = directory.join("journal");
    let numbers = segment::list(&journal).map_err(io_error("list", &journal))?;
    Ok(numbers.first().is_none_or(|first| *first == 1))
}

/// Opens the ring files of all classes, and notes which they are; those of archives that are no
/// longer configured go.
fn open_classes(
    directory: &Path,
    config: &StoreConfig,
    loaded: Option<&Loaded>,
    is_lost: bool,
) -> Result<Vec<Class>, OpenError> {
    kept::write(directory, config).map_err(io_error("note the retention in", directory))?;
    let rings_directory = directory.join("rings");
    let mut names = HashSet::new();
    let mut classes = Vec::new();
    for spec in config.closed_classes() {
        let mut rings = Vec::new();
        for archive in &spec.archives {
            let name = format!("{}-{}.ring", spec.name, archive.step.as_millis());
            let path = rings_directory.join(&name);
            let step = archive.step.as_millis() as i64;
            let saved =
                loaded.and_then(|loaded| saved_ring(&loaded.summary.classes, &spec.name, step));
            let is_kept = saved.is_some() || is_lost;
            let ring = Ring::open(&path, saved.unwrap_or_default())
                .and_then(|ring| if is_lost { ring.rebuild().map(|()| ring) } else { Ok(ring) })
                .map_err(|error| io_error("open", &path)(io::Error::other(error)))?;
            tracing::debug!(name, is_kept, "opened a ring");
            names.insert(name);
            rings.push(ring);
        }
        classes.push(Class::new(spec, rings));
    }
    remove_others(&rings_directory, &names).map_err(io_error("tidy", &rings_directory))?;
    disk::sync_directory(&rings_directory).map_err(io_error("sync", &rings_directory))?;
    Ok(classes)
}

fn saved_ring(classes: &[SavedClass], name: &str, step: i64) -> Option<RingState> {
    let class = classes.iter().find(|class| class.name == name)?;
    let archive = class.archives.iter().find(|archive| archive.step == step)?;
    Some(archive.state())
}

fn remove_others(directory: &Path, names: &HashSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(|name| names.contains(name)) {
            tracing::warn!(file = ?entry.file_name(), "removing a ring that is not configured");
            disk::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Puts the heads of all series in place.
fn restore(writer: &mut Writer, loaded: Option<Loaded>, is_lost: bool, recovery: &mut Recovery) {
    let inner = Arc::clone(&writer.inner);
    let mut loaded = loaded.unwrap_or_default();
    restore_quiet(&inner, &mut loaded);
    recovery.damaged += loaded.damaged;
    let is_damaged = is_lost || loaded.damaged > 0;
    // Heads are in order of their number, as the series are.
    let mut heads = loaded.heads.into_iter().peekable();
    let mut missing = HashSet::new();
    let catalogue = inner.catalogue.read();
    writer.logged_series = catalogue.next_series();
    for (series, labels) in catalogue.iter_from(0) {
        while heads.next_if(|(number, _)| *number < series).is_some() {}
        let head = heads.next_if(|(number, _)| *number == series).map(|(_, head)| head);
        let adopted = head.and_then(|head| adopt(&inner, head, &loaded.summary.classes));
        let head = adopted.or_else(|| {
            missing.insert(series);
            let place = inner.classes.iter().position(|class| class.spec.takes(labels))?;
            let width = catalogue.width(labels);
            Some(Head::new(place as u16, inner.classes[place].steps.len(), width))
        });
        let Some(head) = head else { continue };
        inner.classes[usize::from(head.class)].series_count.fetch_add(1, Relaxed);
        inner.table.set(series, Some(head));
    }
    drop(catalogue);
    if is_damaged && !missing.is_empty() {
        recovery.searched_series = missing.len() as u64;
        find_blocks(&inner, &missing);
    }
}

/// Puts the quiet series in place; where the classes are others than they were, they are woken and
/// lie down again.
fn restore_quiet(inner: &Inner, loaded: &mut Loaded) {
    let quiet = std::mem::take(&mut loaded.quiet);
    let all = quiet.all_from(0);
    let is_same = |(was, class): (&SavedClass, &Class)| {
        let steps = was.archives.iter().map(|archive| archive.step);
        was.name == class.spec.name && steps.eq(class.steps.iter().copied())
    };
    let saved = &loaded.summary.classes;
    if saved.len() == inner.classes.len() && saved.iter().zip(&inner.classes).all(is_same) {
        for series in &all {
            inner.classes[usize::from(series.head.class)].series_count.fetch_add(1, Relaxed);
        }
        *inner.quiet.write() = quiet;
        return;
    }
    let mut catalogue = inner.catalogue.write();
    for series in all {
        catalogue.add(series.number, series.labels);
        loaded.heads.push((series.number, series.head));
    }
    loaded.heads.sort_unstable_by_key(|(number, _)| *number);
}

/// Fits a saved head to the classes of today; `None` when its class is gone.
fn adopt(inner: &Inner, mut head: Head, saved: &[SavedClass]) -> Option<Head> {
    let was = saved.get(usize::from(head.class))?;
    let place = inner.classes.iter().position(|class| class.spec.name == was.name)?;
    let class = &inner.classes[place];
    let chain_of = |step: &i64| {
        let before = was.archives.iter().position(|archive| archive.step == *step);
        before.and_then(|before| head.chains.get(before).copied()).unwrap_or_default()
    };
    let chains: Box<[Chain]> = class.steps.iter().map(chain_of).collect();
    head.chains = chains;
    head.class = place as u16;
    Some(head)
}

/// Finds the newest blocks of series whose heads were lost, by reading through all rings.
fn find_blocks(inner: &Inner, missing: &HashSet<u32>) {
    tracing::warn!(series = missing.len(), "looking for the blocks of series in all rings");
    for (place, class) in inner.classes.iter().enumerate() {
        for (archive, ring) in class.rings.iter().enumerate() {
            let scanned = ring.scan(|found, block| {
                let series = block.header.series;
                if !missing.contains(&series) {
                    return;
                }
                inner.table.with(series, |head| {
                    if usize::from(head.class) != place {
                        return;
                    }
                    let chain = &mut head.chains[archive];
                    chain.newest = found;
                    chain.reach = chain.reach.max(block.header.last_at);
                    if archive == 0 {
                        head.found_block(block.header.last_at);
                    } else {
                        chain.done_until = chain.reach;
                    }
                });
            });
            if let Err(error) = scanned {
                tracing::error!(%error, "cannot read through a ring");
            }
        }
    }
}

/// Does again what the journal holds beyond the checkpoint.
fn replay(writer: &mut Writer, numbers: &[u64], recovery: &mut Recovery) -> Result<(), OpenError> {
    let inner = Arc::clone(&writer.inner);
    let directory = inner.directory.join("journal");
    for number in numbers {
        let path = segment::path_of(&directory, *number);
        let report = segment::read_segment(&path, |bytes| {
            recovery.journal_entries += 1;
            match read_entry(bytes) {
                Some(Entry::Samples(facts, samples)) => {
                    recovery.journal_samples += samples.len() as u64;
                    writer.replay(facts, &samples);
                }
                Some(Entry::Series(series, packed)) => writer.replay_series(series, &packed),
                Some(Entry::Metas(metas)) => writer.learned(metas),
                Some(Entry::Removed(removed)) => writer.replay_removed(&removed),
                Some(Entry::Records(batch)) => {
                    if inner.records.apply(&batch).is_err() {
                        recovery.damaged += 1;
                    }
                }
                None => recovery.damaged += 1,
            }
        });
        let report = report.map_err(io_error("read", &path))?;
        if report.damaged > 0 {
            tracing::error!(path = %path.display(), "damaged entries in the journal: left out");
        }
        recovery.damaged += report.damaged;
        recovery.torn_bytes += report.torn_bytes;
    }
    Ok(())
}

/// Computes what may be planned for, and whether there is room now.
fn set_budget(writer: &Writer) {
    let inner = &writer.inner;
    look_at_disk(inner);
    writer.plan();
    let held: u64 = inner.classes.iter().flat_map(|class| &class.rings).map(Ring::bytes).sum();
    let free = inner.counters.disk_free_bytes.load(Relaxed);
    let budget = inner.config.disk_bytes_max.unwrap_or(held + free / 5 * 4);
    inner.counters.budget_bytes.store(budget, Relaxed);
}
