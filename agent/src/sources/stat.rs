//! The kernel's own counters: `/proc/stat` without the processors.

use noroshi_model::Timestamp;

use super::files::{Files, SourceError, number};
use super::{Metric, Output, Source};

/// Reads interrupts, context switches, forks, processes and the moment of boot.
pub(super) struct Stat;

const METRICS: [Metric; 6] = [
    Metric::gauge("node_boot_time_seconds", "seconds", "When the machine was started."),
    Metric::counter(
        "node_context_switches_total",
        "",
        "How often a processor went from one task to another.",
    ),
    Metric::counter("node_intr_total", "", "Interrupts served."),
    Metric::counter("node_forks_total", "", "Processes and threads started."),
    Metric::gauge("node_procs_running", "", "Tasks that run or could run."),
    Metric::gauge("node_procs_blocked", "", "Tasks that wait for input or output."),
];

/// First word of the line, and the metric of the number after it.
const LINES: [(&str, &str); 6] = [
    ("btime", "node_boot_time_seconds"),
    ("ctxt", "node_context_switches_total"),
    ("intr", "node_intr_total"),
    ("processes", "node_forks_total"),
    ("procs_running", "node_procs_running"),
    ("procs_blocked", "node_procs_blocked"),
];

impl Source for Stat {
    fn name(&self) -> &'static str {
        "stat"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let mark = out.mark();
        for line in files.proc("stat")?.lines() {
            let mut words = line.split_ascii_whitespace();
            let first = words.next().unwrap_or("");
            let Some((_, name)) = LINES.iter().find(|(word, _)| *word == first) else { continue };
            let Some(value) = words.next().and_then(number) else { continue };
            out.push(name, &[], value);
            if first == "btime" {
                out.set_started_at(Timestamp::from_secs_f64(value));
            }
        }
        if out.mark() == mark {
            return Err(SourceError::Malformed { path: files.proc_path("stat"), part: "ctxt" });
        }
        Ok(())
    }
}
