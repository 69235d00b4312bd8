//! Where the agent reads: one file a source, in the order in which they are read.
//!
//! Names, labels and units are those of Prometheus' `node_exporter` 1.x, so that dashboards and
//! rules written for it work; the help texts are ours. A source that fails costs only its own
//! series and shows as `node_scrape_collector_success{collector="..."} 0`.
//!
//! The files are parsed here and not by the `procfs` crate: its types have a fixed set of fields
//! where the kernel's have grown ever since (meminfo, vmstat, netstat), it forgets the numbers of
//! processors (one may be offline), leaves spaces in mount points escaped, and gives up a whole
//! file for one odd line.

mod cpu;
mod diskstats;
mod filesystem;
mod hwmon;
mod loadavg;
mod meminfo;
mod netclass;
mod netdev;
mod netstat;
mod network_extras;
mod os;
mod pressure;
mod redundancy;
mod route;
mod sockstat;
mod stat;
mod statvfs;
mod system_limits;
#[cfg(test)]
mod tests;
mod time;
mod vmstat;

mod files;
mod kept;
mod output;

use std::path::PathBuf;
use std::time::Instant;

use noroshi_model::{Batch, MetricMeta, Timestamp};

pub(crate) use files::Files;
pub use files::SourceError;
use kept::Kept;
#[cfg(feature = "ship")]
pub(crate) use os::os_release;
pub(crate) use output::{Metric, Output};

/// The folders to read from; another machine's saved ones will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// In the place of `/proc`.
    pub proc: PathBuf,
    /// In the place of `/sys`.
    pub sys: PathBuf,
    /// In the place of `/`: for `etc`, `run`, and for file systems, whose mount points are looked
    /// at below it (a container sees the host's root at some other place).
    pub root: PathBuf,
}

impl Default for Roots {
    /// The machine it runs on.
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into(), root: "/".into() }
    }
}

/// Something that is read in one go and fails in one go.
pub(crate) trait Source: Send {
    /// Returns the name of `node_exporter`'s collector: the label `collector`.
    fn name(&self) -> &'static str;

    /// Returns what its series mean, for those whose names are known beforehand.
    fn metrics(&self) -> &'static [Metric];

    /// Reads once. What was pushed before an error is taken back by the caller.
    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError>;
}

/// Reads all sources.
///
/// Blocking: a few milliseconds, and up to 2 s when file systems hang;
/// an async caller goes through `spawn_blocking`.
pub struct Reader {
    files: Files,
    sources: Vec<Box<dyn Source>>,
    output: Output,
    failures: Vec<(&'static str, SourceError)>,
    /// The metrics whose names are known beforehand were described.
    is_described: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("roots", self.files.roots()).finish_non_exhaustive()
    }
}

/// `node_scrape_collector_...`: how the sources themselves fare.
const SCRAPES: [Metric; 2] = [
    Metric::gauge(
        "node_scrape_collector_success",
        "",
        "Whether the source could be read: 1, or 0 when it failed or the machine has none.",
    ),
    Metric::gauge("node_scrape_collector_duration_seconds", "seconds", "How long the source took."),
];

impl Reader {
    /// Makes a reader of all sources.
    pub fn new(roots: Roots) -> Self {
        let files = Files::new(roots);
        Self {
            files,
            sources: all(),
            output: Output::default(),
            failures: Vec::new(),
            is_described: false,
        }
    }

    /// Reads everything once.
    ///
    /// All samples are of the moment `now`; their labels are those of the exporter, without
    /// `instance` and `job`. `started_at` is the boot. Metas of metrics that this reader has not
    /// described yet come along. `interval` is left to the caller.
    pub fn read(&mut self, now: Timestamp) -> Batch {
        self.read_with(now, |_| {})
    }

    /// Reads everything once, and whatever else `more` adds.
    pub(crate) fn read_with(&mut self, now: Timestamp, more: impl FnOnce(&mut Output)) -> Batch {
        self.files.begin();
        self.output.begin(now);
        self.failures.clear();
        let is_described = std::mem::replace(&mut self.is_described, true);
        if !is_described {
            self.output.describe(&SCRAPES);
        }
        for source in &mut self.sources {
            if !is_described {
                self.output.describe(source.metrics());
            }
            let mark = self.output.mark();
            let begin = Instant::now();
            let result = source.read(&mut self.files, &mut self.output);
            let seconds = begin.elapsed().as_secs_f64();
            let is_success = f64::from(u8::from(result.is_ok()));
            if let Err(error) = result {
                self.output.take_back(mark);
                self.failures.push((source.name(), error));
            }
            let labels = [("collector", source.name())];
            self.output.push("node_scrape_collector_success", &labels, is_success);
            self.output.push("node_scrape_collector_duration_seconds", &labels, seconds);
        }
        more(&mut self.output);
        self.output.finish()
    }

    /// Forgets which metrics were described: the next batch has all metas again.
    pub fn describe_again(&mut self) {
        self.output.describe_again();
        self.is_described = false;
    }

    /// Returns the sources that failed in the last reading, by name, and why.
    ///
    /// A machine without what a source reads (no sensors, no connection tracking) is among them,
    /// as [`SourceError::Absent`].
    pub fn failures(&self) -> &[(&'static str, SourceError)] {
        &self.failures
    }
}

/// Returns what is known about all series whose names do not depend on the kernel.
///
/// The names of others (`node_memory_*`, `node_netstat_*`, ...) come from the files; their metas
/// are in the first batch that has them.
pub fn metas() -> Vec<MetricMeta> {
    let sources = all();
    let metrics = sources.iter().flat_map(|source| source.metrics());
    SCRAPES.iter().chain(metrics).map(Metric::meta).collect()
}

/// Returns the sources in the order of reading: cheap ones first.
fn all() -> Vec<Box<dyn Source>> {
    vec![
        Box::new(time::Time::default()),
        Box::new(time::Timex),
        Box::new(cpu::Cpu::default()),
        Box::new(stat::Stat),
        Box::new(loadavg::Loadavg),
        Box::new(meminfo::Meminfo),
        Box::new(vmstat::Vmstat),
        Box::new(pressure::Pressure),
        Box::new(diskstats::Diskstats::default()),
        Box::new(netdev::Netdev),
        Box::new(netclass::Netclass::default()),
        Box::new(netstat::Netstat),
        Box::new(sockstat::Sockstat),
        Box::new(route::Route::default()),
        Box::new(network_extras::Softnet),
        Box::new(network_extras::Arp),
        Box::new(network_extras::Conntrack),
        Box::new(system_limits::Filefd),
        Box::new(system_limits::Entropy),
        Box::new(os::Uname::default()),
        Box::new(os::Os::default()),
        Box::new(redundancy::Bonding),
        Box::new(redundancy::Mdadm),
        Box::new(hwmon::Hwmon),
        Box::new(hwmon::ThermalZone),
        Box::new(filesystem::Filesystem::default()),
    ]
}
