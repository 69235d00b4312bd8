//! `noroshi poll KIND TARGET`: asks a service once; needs no server.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use noroshi_collector::{PollTargets, poll_once, registry};
use noroshi_model::{Batch, Kind, is_unknown, quantity};
use serde_json::{Value, json};

use super::show::{self, Table};
use crate::clock::SystemClock;

/// Arguments of `poll`.
#[derive(Args, Debug)]
pub(super) struct PollArgs {
    /// Kind of service, such as nginx; `list` lists them
    kind: String,
    /// Where it is: an address as the kind wants it, such as http://192.0.2.10/status
    target: Option<String>,
    /// Further settings of the kind, KEY=VALUE
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// When it is given up
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10s")]
    timeout: Duration,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A table with units
    Text,
    /// JSON
    Json,
    /// Prometheus' text format
    Prometheus,
}

/// Polls once and prints what was said. Exit status 1 when nothing was.
pub(super) fn run(args: &PollArgs) -> anyhow::Result<ExitCode> {
    let kinds: Vec<&str> = registry().iter().map(|poller| poller.kind).collect();
    if args.kind == "list" {
        let mut table = Table::new(["KIND", "WHAT"]);
        for poller in registry() {
            table.row([poller.kind.to_owned(), poller.summary.to_owned()]);
        }
        show::piece(table);
        return Ok(ExitCode::SUCCESS);
    }
    if !kinds.contains(&args.kind.as_str()) {
        bail!("there is no kind {:?}; there are {}", args.kind, kinds.join(", "));
    }
    let Some(target) = &args.target else { bail!("where is it? `noroshi poll {} URL`", args.kind) };
    let targets = targets(&args.kind, target, &args.settings)?;
    let Some(spec) = targets.specs("").pop() else { bail!("{target} is no target") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = Arc::new(SystemClock);
    let batch = runtime
        .block_on(poll_once(&spec.target, args.timeout, clock.as_ref()))
        .with_context(|| format!("no answer from {target}"))?;
    match args.format {
        Format::Json => return show::json(&as_json(&batch)),
        Format::Prometheus => show::piece(as_exposition(&batch)),
        Format::Text => print_table(&batch),
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the configuration of one kind from the command line.
fn targets(kind: &str, target: &str, settings: &[String]) -> anyhow::Result<PollTargets> {
    let mut table = toml::Table::new();
    table.insert("url".to_owned(), target.into());
    for setting in settings {
        let (key, value) =
            setting.split_once('=').with_context(|| format!("{setting:?} is not KEY=VALUE"))?;
        let value = value.parse().unwrap_or_else(|_| toml::Value::String(value.to_owned()));
        table.insert(key.to_owned(), value);
    }
    // Scrapes have a name of their own below their kind.
    let inner = if kind == noroshi_collector::prometheus::KIND {
        toml::Table::from_iter([(kind.to_owned(), toml::Value::Table(table))])
    } else {
        table
    };
    let all = toml::Table::from_iter([(kind.to_owned(), toml::Value::Table(inner))]);
    all.try_into().with_context(|| format!("these settings are not those of {kind}"))
}

fn as_json(batch: &Batch) -> Value {
    let samples = batch.samples.iter().map(|sample| {
        let value = (!is_unknown(sample.value)).then_some(sample.value);
        json!({ "labels": sample.labels, "at": sample.at, "value": value })
    });
    json!({ "samples": samples.collect::<Vec<_>>() })
}

fn as_exposition(batch: &Batch) -> String {
    let metas: BTreeMap<&str, _> = batch.metas.iter().map(|m| (m.name.as_str(), m)).collect();
    let mut text = String::new();
    let mut last = "";
    for sample in &batch.samples {
        let name = sample.labels.name();
        if let (true, Some(meta)) = (name != last, metas.get(name)) {
            let kind = match meta.kind {
                Kind::Counter(_) => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
                Kind::Summary => "summary",
                Kind::Untyped | Kind::Absolute => "untyped",
            };
            text += &format!("# HELP {name} {}\n# TYPE {name} {kind}\n", meta.help);
        }
        last = name;
        text += &format!("{} {}\n", sample.labels, noroshi_expr::number_text(sample.value));
    }
    text
}

fn print_table(batch: &Batch) {
    let units: BTreeMap<&str, &str> =
        batch.metas.iter().map(|meta| (meta.name.as_str(), meta.unit.as_str())).collect();
    let mut table = Table::new(["SERIES", "VALUE"]);
    for sample in &batch.samples {
        let unit = units.get(sample.labels.name()).copied().unwrap_or_default();
        table.row([sample.labels.to_string(), quantity::format_value(sample.value, unit)]);
    }
    show::piece(table);
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    quantity::parse_duration(text).map_err(|error| error.to_string())
}
