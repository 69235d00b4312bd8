//! How long tasks had to wait for want of something: `/proc/pressure`.
//!
//! Source: Linux, `Documentation/accounting/psi.rst`.

use super::files::{Files, SourceError, number};
use super::{Metric, Output, Source};

/// Reads the totals; averages are left to whoever asks for a rate.
pub(super) struct Pressure;

const METRICS: [Metric; 6] = [
    Metric::counter(
        "node_pressure_cpu_waiting_seconds_total",
        "seconds",
        "Time in which some task waited for a processor.",
    ),
    Metric::counter(
        "node_pressure_io_waiting_seconds_total",
        "seconds",
        "Time in which some task waited for input or output.",
    ),
    Metric::counter(
        "node_pressure_io_stalled_seconds_total",
        "seconds",
        "Time in which nothing could be done but wait for input or output.",
    ),
    Metric::counter(
        "node_pressure_memory_waiting_seconds_total",
        "seconds",
        "Time in which some task waited for memory.",
    ),
    Metric::counter(
        "node_pressure_memory_stalled_seconds_total",
        "seconds",
        "Time in which nothing could be done but wait for memory.",
    ),
    Metric::counter(
        "node_pressure_irq_stalled_seconds_total",
        "seconds",
        "Time in which tasks were held up by interrupts.",
    ),
];

/// File, first word of the line, metric. `full` of the processor has no meaning for a machine.
const LINES: [(&str, &str, &str); 6] = [
    ("pressure/cpu", "some", "node_pressure_cpu_waiting_seconds_total"),
    ("pressure/io", "some", "node_pressure_io_waiting_seconds_total"),
    ("pressure/io", "full", "node_pressure_io_stalled_seconds_total"),
    ("pressure/memory", "some", "node_pressure_memory_waiting_seconds_total"),
    ("pressure/memory", "full", "node_pressure_memory_stalled_seconds_total"),
    ("pressure/irq", "full", "node_pressure_irq_stalled_seconds_total"),
];

impl Source for Pressure {
    fn name(&self) -> &'static str {
        "pressure"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        for lines in LINES.chunk_by(|a, b| a.0 == b.0) {
            let file = lines[0].0;
            let text = match files.proc(file) {
                Ok(text) => text,
                // Only kernels since 6.1 account for interrupts, and not all of them.
                Err(SourceError::Absent { .. }) if file == "pressure/irq" => continue,
                // A kernel booted with psi=0 has the files and refuses to have them read.
                Err(SourceError::Read { path, source })
                    if source.kind() == std::io::ErrorKind::Unsupported =>
                {
                    return Err(SourceError::Absent { path });
                }
                Err(error) => return Err(error),
            };
            for (_, word, name) in lines {
                if let Some(micros) = total(text, word) {
                    out.push(name, &[], micros / 1e6);
                }
            }
        }
        Ok(())
    }
}

/// Reads `total=` of the line that starts with `word`: microseconds.
fn total(text: &str, word: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.split_ascii_whitespace().next() == Some(word))?;
    line.split_ascii_whitespace().find_map(|word| number(word.strip_prefix("total=")?))
}
