//! What memory is used for: `/proc/meminfo`.

use noroshi_model::{Kind, MetricMeta};

use super::files::{Files, SourceError, number};
use super::{Metric, Output, Source};

/// Reads every line, also of kernels yet to come.
pub(super) struct Meminfo;

impl Source for Meminfo {
    fn name(&self) -> &'static str {
        "meminfo"
    }

    fn metrics(&self) -> &'static [Metric] {
        &[]
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let mark = out.mark();
        let mut name = String::new();
        for line in files.proc("meminfo")?.lines() {
            let Some((key, rest)) = line.split_once(':') else { continue };
            let mut words = rest.split_ascii_whitespace();
            let Some(value) = words.next().and_then(number) else { continue };
            let is_bytes = words.next() == Some("kB");
            write_name(&mut name, key, is_bytes);
            out.describe_with(&name, || meta(&name, key, is_bytes));
            out.push(&name, &[], if is_bytes { value * 1024.0 } else { value });
        }
        if out.mark() == mark {
            let path = files.proc_path("meminfo");
            return Err(SourceError::Malformed { path, part: "MemTotal" });
        }
        Ok(())
    }
}

/// `Active(anon)` becomes `node_memory_Active_anon_bytes`; a plain count has no `_bytes`.
fn write_name(name: &mut String, key: &str, is_bytes: bool) {
    name.clear();
    name.push_str("node_memory_");
    for character in key.trim_end_matches(')').chars() {
        name.push(if character.is_ascii_alphanumeric() { character } else { '_' });
    }
    if is_bytes {
        name.push_str("_bytes");
    }
}

fn meta(name: &str, key: &str, is_bytes: bool) -> MetricMeta {
    let help = match key {
        "MemTotal" => "Memory that the kernel can use.".to_owned(),
        "MemFree" => "Memory that nothing uses.".to_owned(),
        "MemAvailable" => "Memory that programs could get without swapping.".to_owned(),
        "Buffers" => "Memory that caches blocks of disks.".to_owned(),
        "Cached" => "Memory that caches files, shared memory included.".to_owned(),
        "SReclaimable" => "Memory of the kernel's own caches that can be given back.".to_owned(),
        "SwapTotal" => "Swap space.".to_owned(),
        "SwapFree" => "Swap space that nothing uses.".to_owned(),
        "Dirty" => "Memory that waits to be written to disk.".to_owned(),
        _ => format!("{key} of /proc/meminfo."),
    };
    let unit = if is_bytes { "bytes" } else { "" };
    MetricMeta { name: name.to_owned(), kind: Kind::Gauge, unit: unit.to_owned(), help }
}
