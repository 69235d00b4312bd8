//! Sockets in use: `/proc/net/sockstat`, `/proc/net/sockstat6`.

use noroshi_model::{Kind, MetricMeta};

use super::files::{Files, SourceError, number};
use super::{Metric, Output, Source};

/// Reads all protocols and states.
pub(super) struct Sockstat;

impl Source for Sockstat {
    fn name(&self) -> &'static str {
        "sockstat"
    }

    fn metrics(&self) -> &'static [Metric] {
        &[]
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        push_lines(files.proc("net/sockstat")?, out);
        match files.proc("net/sockstat6") {
            Ok(text) => push_lines(text, out),
            // A kernel without IPv6.
            Err(SourceError::Absent { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Reads lines as `TCP: inuse 8 orphan 0 mem 1`.
fn push_lines(text: &str, out: &mut Output) {
    for line in text.lines() {
        let Some((protocol, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_ascii_whitespace();
        while let (Some(state), Some(value)) = (words.next(), words.next().and_then(number)) {
            push(&format!("node_sockstat_{protocol}_{state}"), "", value, out);
            if state == "mem" {
                let bytes = value * rustix::param::page_size() as f64;
                push(&format!("node_sockstat_{protocol}_mem_bytes"), "bytes", bytes, out);
            }
        }
    }
}

fn push(name: &str, unit: &str, value: f64, out: &mut Output) {
    out.describe_with(name, || MetricMeta {
        name: name.to_owned(),
        kind: Kind::Gauge,
        unit: unit.to_owned(),
        help: if name.ends_with("_mem") {
            "Pages of memory that the protocol's buffers take.".to_owned()
        } else if name.ends_with("_mem_bytes") {
            "Memory that the protocol's buffers take.".to_owned()
        } else {
            format!("{} of /proc/net/sockstat.", &name["node_sockstat_".len()..])
        },
    });
    out.push(name, &[], value);
}
