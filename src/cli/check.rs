//! `noroshi check -- COMMAND ARG...`: one plug-in, and how it is understood.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use noroshi_checks::plugin::{self, Ran, Understood};
use noroshi_model::quantity;
use serde_json::json;

use super::show;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// Put this host's name and address into the macros
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// When the run is given up
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "60s")]
    timeout: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The plug-in and its arguments; a name without slash is looked up where Debian keeps plug-ins
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs a plug-in once. The exit status is the plug-in's status: 0 to 3.
pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let host = args.host.as_deref().unwrap_or_default();
    let argv: Vec<String> = args
        .command
        .iter()
        .map(|word| word.replace("$HOSTNAME$", host).replace("$HOSTADDRESS$", host))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ran = runtime.block_on(plugin::run(&argv, &BTreeMap::new(), args.timeout));
    let understood = plugin::understand(&ran.exit, &ran.stdout, &ran.stderr);
    if args.json {
        show::json(&json!({
            "status": understood.status,
            "output": understood.output,
            "long_output": understood.long_output,
            "perfdata": understood.perfdata,
            "run_time_ms": ran.run_time.as_secs_f64() * 1000.0,
        }))?;
    } else {
        print_for_people(&understood, &ran);
    }
    Ok(ExitCode::from(understood.status.code()))
}

fn print_for_people(understood: &Understood, ran: &Ran) {
    show::line(format_args!("status    {}", understood.status));
    show::line(format_args!("output    {}", understood.output));
    for line in understood.long_output.lines() {
        show::line(format_args!("          {line}"));
    }
    for value in &understood.perfdata {
        let shown = value.value.map_or_else(
            || "undetermined".to_owned(),
            |number| quantity::format_value(number, value.unit.as_str()),
        );
        let range = |name, range: &Option<noroshi_model::Range>| {
            range.map_or_else(String::new, |range| format!(", {name} {range}"))
        };
        show::line(format_args!(
            "perfdata  {}: {shown}{}{}",
            value.label,
            range("warning", &value.warning),
            range("critical", &value.critical),
        ));
    }
    show::line(format_args!(
        "took      {}",
        quantity::format_value(ran.run_time.as_secs_f64(), "seconds")
    ));
    if !ran.stderr.is_empty() {
        show::line(format_args!("stderr    {}", String::from_utf8_lossy(&ran.stderr).trim_end()));
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    quantity::parse_duration(text).map_err(|error| error.to_string())
}
