//! Prints one reading: for people who look, and for programs that scrape or compare.

use std::collections::BTreeMap;
use std::fmt::Write;

use noroshi_model::frame::{HostIdentity, PluginResult};
use noroshi_model::{Batch, Kind, Labels, MetricMeta, Sample, Status, Timestamp};
use serde::Serialize;

use crate::identity;
use crate::sources::{Reader, Roots};

/// One reading and whose it is.
#[derive(Debug)]
pub(crate) struct Reading {
    host: HostIdentity,
    at: Timestamp,
    batch: Batch,
    /// What the plug-ins of the config found.
    pub(crate) results: Vec<PluginResult>,
}

impl Reading {
    /// Reads once.
    pub(crate) fn take(roots: Roots, name: Option<&str>, now: Timestamp) -> Self {
        let host = identity::read(&roots, name);
        Self { host, at: now, batch: Reader::new(roots).read(now), results: Vec::new() }
    }

    /// Writes the text format 0.0.4: by metric, sorted, without times.
    pub(crate) fn to_prometheus(&self) -> String {
        let metas: BTreeMap<&str, &MetricMeta> =
            self.batch.metas.iter().map(|meta| (meta.name.as_str(), meta)).collect();
        let mut samples: Vec<&Sample> = self.batch.samples.iter().collect();
        samples.sort_by(|a, b| (a.labels.name(), &a.labels).cmp(&(b.labels.name(), &b.labels)));
        let mut text = String::new();
        for family in samples.chunk_by(|a, b| a.labels.name() == b.labels.name()) {
            let name = family[0].labels.name();
            if let Some(meta) = metas.get(name) {
                let help = meta.help.replace('\\', "\\\\").replace('\n', "\\n");
                push_line(&mut text, format_args!("# HELP {name} {help}"));
                push_line(&mut text, format_args!("# TYPE {name} {}", kind_name(meta.kind)));
            }
            for sample in family {
                let value = sample.value;
                push_line(&mut text, format_args!("{} {value}", sample.labels));
            }
        }
        // A comment: the format has no word for what a plug-in found.
        for result in &self.results {
            let PluginResult { name, status, output, .. } = result;
            let lines = output.trim_end().replace('\n', "\n#   ");
            push_line(&mut text, format_args!("# check {name}: {status}: {lines}"));
        }
        text
    }

    /// Writes one JSON object with host, time, samples, metas and checks.
    pub(crate) fn to_json(&self) -> String {
        let host = &self.host;
        let document = JsonReading {
            host: JsonHost {
                name: &host.name,
                machine_id: &host.machine_id,
                boot_id: &host.boot_id,
                os: &host.os,
                kernel: &host.kernel,
                agent_version: &host.agent_version,
            },
            at: self.at,
            started_at: self.batch.started_at,
            samples: self.batch.samples.iter().map(JsonSample::new).collect(),
            metas: &self.batch.metas,
            checks: self.results.iter().map(JsonResult::new).collect(),
        };
        // Nothing in it can refuse to be written: no maps with odd keys, no numbers but finite.
        let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
        text.push('\n');
        text
    }
}

#[derive(Serialize)]
struct JsonReading<'a> {
    host: JsonHost<'a>,
    at: Timestamp,
    started_at: Option<Timestamp>,
    samples: Vec<JsonSample<'a>>,
    metas: &'a [MetricMeta],
    checks: Vec<JsonResult<'a>>,
}

#[derive(Serialize)]
struct JsonHost<'a> {
    name: &'a str,
    machine_id: &'a str,
    boot_id: &'a str,
    os: &'a str,
    kernel: &'a str,
    agent_version: &'a str,
}

#[derive(Serialize)]
struct JsonSample<'a> {
    labels: &'a Labels,
    /// Null when it is unknown.
    value: Option<f64>,
}

#[derive(Serialize)]
struct JsonResult<'a> {
    name: &'a str,
    status: Status,
    at: Timestamp,
    run_time_seconds: f64,
    output: &'a str,
}

impl<'a> JsonResult<'a> {
    fn new(result: &'a PluginResult) -> Self {
        Self {
            name: &result.name,
            status: result.status,
            at: result.at,
            run_time_seconds: result.run_time.as_secs_f64(),
            output: &result.output,
        }
    }
}

impl<'a> JsonSample<'a> {
    fn new(sample: &'a Sample) -> Self {
        let value = Some(sample.value).filter(|value| value.is_finite());
        Self { labels: &sample.labels, value }
    }
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let written = writeln!(text, "{line}");
    debug_assert!(written.is_ok());
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Gauge | Kind::Absolute => "gauge",
        Kind::Counter(_) => "counter",
        Kind::Histogram => "histogram",
        Kind::Summary => "summary",
        Kind::Untyped => "untyped",
    }
}
