//! How many tasks ran or waited on average: `/proc/loadavg`.

use super::files::{Files, SourceError};
use super::{Metric, Output, Source};

/// Reads the three load averages.
pub(super) struct Loadavg;

const METRICS: [Metric; 3] = [
    Metric::gauge("node_load1", "", "Load: tasks running or waiting, averaged over 1 minute."),
    Metric::gauge("node_load5", "", "Load averaged over 5 minutes."),
    Metric::gauge("node_load15", "", "Load averaged over 15 minutes."),
];

impl Source for Loadavg {
    fn name(&self) -> &'static str {
        "loadavg"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let mut loads = files.proc("loadavg")?.split_ascii_whitespace().map(str::parse::<f64>);
        for metric in METRICS {
            let Some(Ok(load)) = loads.next() else {
                return Err(SourceError::Malformed {
                    path: files.proc_path("loadavg"),
                    part: "load",
                });
            };
            out.push(metric.name, &[], load);
        }
        Ok(())
    }
}
