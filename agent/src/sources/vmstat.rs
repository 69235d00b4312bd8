//! Paging, swapping and the killing of processes for want of memory: `/proc/vmstat`.

use noroshi_model::MetricMeta;

use super::files::{Files, SourceError, number};
use super::output::COUNTER;
use super::{Metric, Output, Source};

/// Reads what `node_exporter` takes by default.
pub(super) struct Vmstat;

impl Source for Vmstat {
    fn name(&self) -> &'static str {
        "vmstat"
    }

    fn metrics(&self) -> &'static [Metric] {
        &[]
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let mut name = String::new();
        for line in files.proc("vmstat")?.lines() {
            let Some((key, value)) = line.split_once(' ') else { continue };
            let Some(value) = number(value).filter(|_| is_wanted(key)) else { continue };
            name.clear();
            name.push_str("node_vmstat_");
            name.push_str(key);
            out.describe_with(&name, || MetricMeta {
                name: name.clone(),
                kind: COUNTER,
                unit: String::new(),
                help: help(key),
            });
            out.push(&name, &[], value);
        }
        Ok(())
    }
}

fn is_wanted(key: &str) -> bool {
    ["oom_kill", "pgpg", "pswp"].iter().any(|start| key.starts_with(start))
        || (key.starts_with("pg") && key.contains("fault"))
}

fn help(key: &str) -> String {
    let text = match key {
        "oom_kill" => "Processes killed for want of memory.",
        "pgfault" => "Page faults, those included that needed no disk.",
        "pgmajfault" => "Page faults that had to read from disk.",
        "pgpgin" => "Kibibytes read from block devices.",
        "pgpgout" => "Kibibytes written to block devices.",
        "pswpin" => "Pages brought in from swap.",
        "pswpout" => "Pages written to swap.",
        _ => return format!("{key} of /proc/vmstat."),
    };
    text.to_owned()
}
