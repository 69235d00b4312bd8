//! The time of day, and whether somebody keeps it right.

use std::path::Path;

use super::files::SourceError;
use super::{Files, Kept, Metric, Output, Source};

/// What the clock shows and what drives it.
#[derive(Default)]
pub(super) struct Time {
    sources: Kept,
}

const TIME: [Metric; 3] = [
    Metric::gauge("node_time_seconds", "seconds", "Time of day: seconds since 1970."),
    Metric::gauge(
        "node_time_clocksource_available_info",
        "",
        "1 for each clock source that the kernel could use.",
    ),
    Metric::gauge(
        "node_time_clocksource_current_info",
        "",
        "1 for the clock source that the kernel uses.",
    ),
];

impl Source for Time {
    fn name(&self) -> &'static str {
        "time"
    }

    fn metrics(&self) -> &'static [Metric] {
        &TIME
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        out.push("node_time_seconds", &[], out.at().as_secs_f64());
        self.sources.tell(out, |out| {
            push_clock_sources(files, out);
            Ok(())
        })
    }
}

fn push_clock_sources(files: &mut Files, out: &mut Output) {
    let folder = files.sys_path("devices/system/clocksource/clocksource0");
    for (file, name) in [
        ("available_clocksource", "node_time_clocksource_available_info"),
        ("current_clocksource", "node_time_clocksource_current_info"),
    ] {
        let line = files.sys_line(&folder.join(file)).unwrap_or("");
        for clock in line.split_whitespace() {
            out.push(name, &[("clocksource", clock), ("device", "0")], 1.0);
        }
    }
}

/// Whether the clock is synchronised.
///
/// `node_exporter` asks the kernel by `adjtimex`, for which no safe wrapper exists and no file in
/// `/proc` or `/sys` stands in. What can be known without it is what `systemd-timesyncd` says: it
/// makes `/run/systemd/timesync/synchronized` when it has set the clock. On a host with another
/// time daemon nothing is said here; how far the clock is off the server sees for itself by the
/// time of sending in each body.
pub(super) struct Timex;

const TIMEX: [Metric; 1] = [Metric::gauge(
    "node_timex_sync_status",
    "",
    "Whether the clock was set by a time server: 1 or 0 (as systemd-timesyncd says).",
)];

impl Source for Timex {
    fn name(&self) -> &'static str {
        "timex"
    }

    fn metrics(&self) -> &'static [Metric] {
        &TIMEX
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let folder = files.root_path("run/systemd/timesync");
        if !Path::new(&folder).is_dir() {
            return Err(SourceError::Absent { path: folder });
        }
        let is_synchronised = folder.join("synchronized").exists();
        out.push("node_timex_sync_status", &[], f64::from(u8::from(is_synchronised)));
        Ok(())
    }
}
