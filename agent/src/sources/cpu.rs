//! What each processor spent its time on: `/proc/stat`.

use std::collections::BTreeMap;

use super::files::{Files, SourceError};
use super::{Metric, Output, Source};

/// Ticks in a second of `/proc/stat`, whatever the kernel's own tick: `USER_HZ`.
///
/// Source: Linux, `include/asm-generic/param.h`; 100 on all architectures but Alpha and IA-64.
const TICKS_PER_SECOND: f64 = 100.0;

/// The columns after the name, in order.
///
/// Source: `proc(5)`, `/proc/stat`.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// The two columns after `MODES`: time that is in user and nice as well.
const GUEST_MODES: [&str; 2] = ["user", "nice"];

const COLUMNS: usize = MODES.len() + GUEST_MODES.len();

/// The column of idle time.
const IDLE: usize = 3;

/// A processor whose idle time fell by more than 3 s was taken out and put back, and counts from
/// the start; smaller steps back are the kernel's rounding (idle and iowait are not kept exactly).
const STEP_BACK_TICKS_MAX: u64 = 300;

const METRICS: [Metric; 2] = [
    Metric::counter("node_cpu_seconds_total", "seconds", "Time the processor spent in each mode."),
    Metric::counter(
        "node_cpu_guest_seconds_total",
        "seconds",
        "Time the processor spent for virtual machines; contained in user and nice as well.",
    ),
];

/// Reads processor times and keeps them from running backwards.
#[derive(Default)]
pub(super) struct Cpu {
    before: BTreeMap<u32, [u64; COLUMNS]>,
}

impl Source for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let mut now: BTreeMap<u32, [u64; COLUMNS]> =
            files.proc("stat")?.lines().filter_map(parse).collect();
        if now.is_empty() {
            return Err(SourceError::Malformed { path: files.proc_path("stat"), part: "cpu0" });
        }
        for (cpu, ticks) in &mut now {
            if let Some(before) = self.before.get(cpu) {
                hold(ticks, before);
            }
            push(out, *cpu, ticks);
        }
        self.before = now;
        Ok(())
    }
}

/// Reads `cpu3 1 2 3 4 ...`; `None` for other lines. Old kernels have fewer columns: zero.
fn parse(line: &str) -> Option<(u32, [u64; COLUMNS])> {
    let mut words = line.strip_prefix("cpu")?.split_ascii_whitespace();
    let cpu = words.next()?.parse().ok()?;
    // The line of all processors together is `cpu  1 2 3`: its first word is a time.
    if line.as_bytes().get(3) == Some(&b' ') {
        return None;
    }
    let mut ticks = [0; COLUMNS];
    for (tick, word) in ticks.iter_mut().zip(words) {
        *tick = word.parse().ok()?;
    }
    Some((cpu, ticks))
}

/// Takes the earlier value where a time ran backwards, unless the processor began anew.
fn hold(ticks: &mut [u64; COLUMNS], before: &[u64; COLUMNS]) {
    if before[IDLE].saturating_sub(ticks[IDLE]) > STEP_BACK_TICKS_MAX {
        return;
    }
    for (tick, before) in ticks.iter_mut().zip(before) {
        *tick = (*tick).max(*before);
    }
}

fn push(out: &mut Output, cpu: u32, ticks: &[u64; COLUMNS]) {
    let cpu = cpu.to_string();
    let (times, guest_times) = ticks.split_at(MODES.len());
    for (modes, times, name) in [
        (&MODES[..], times, "node_cpu_seconds_total"),
        (&GUEST_MODES[..], guest_times, "node_cpu_guest_seconds_total"),
    ] {
        for (mode, ticks) in modes.iter().zip(times) {
            let seconds = *ticks as f64 / TICKS_PER_SECOND;
            out.push(name, &[("cpu", &cpu), ("mode", mode)], seconds);
        }
    }
}
