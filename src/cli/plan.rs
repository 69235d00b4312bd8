//! `noroshi plan`: what a configuration will cost, and whom it would not reach.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use noroshi_model::quantity;
use serde_json::json;

use super::show::{self, Table};
use super::{DataArgs, check_config};
use crate::config::{self, Config};

/// Arguments of `plan`.
#[derive(Args, Debug)]
pub(super) struct PlanArgs {
    /// File, or folder of *.toml files
    #[arg(long, value_name = "PATH", env = "NOROSHI_CONFIG")]
    config: Option<PathBuf>,
    /// Series to plan for: an agent has about 500, a check's performance data one a value
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    series: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Prints the plan. Exit status 1 when the configuration has faults.
pub(super) fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let path = config::find(args.config.as_deref());
    let config = match check_config::load(path.as_deref(), &args.data) {
        Ok(config) => config,
        Err(faults) => bail!("the configuration has {} fault(s): check-config", faults.len()),
    };
    let plan = noroshi_store::plan(&config.store, args.series);
    let load = Load::of(&config);
    let unreached = config.unreached();
    if args.json {
        let archives = plan.archives.iter().map(|archive| {
            json!({
                "class": archive.class,
                "step_seconds": archive.step.as_secs_f64(),
                "span_seconds": archive.span.as_secs_f64(),
                "series_bytes": archive.series_bytes,
                "bytes": archive.bytes,
            })
        });
        return show::json(&json!({
            "series": args.series,
            "archives": archives.collect::<Vec<_>>(),
            "other_bytes": plan.other_bytes,
            "bytes": plan.bytes,
            "checks_per_second": load.checks_per_second,
            "polls_per_second": load.polls_per_second,
            "unreached": unreached,
        }));
    }
    let bytes = |count: u64| quantity::format_value(count as f64, "bytes");
    show::line(format_args!("disk for {} series, at most:", args.series));
    let mut table = Table::new(["CLASS", "STEP", "SPAN", "A SERIES", "ALL"]);
    for archive in &plan.archives {
        table.row([
            archive.class.clone(),
            quantity::format_duration(archive.step),
            quantity::format_duration(archive.span),
            bytes(archive.series_bytes),
            bytes(archive.bytes),
        ]);
    }
    show::piece(table);
    show::line(format_args!("journal and catalogue: {}", bytes(plan.other_bytes)));
    show::line(format_args!("together: {}", bytes(plan.bytes)));
    show::line(format_args!(
        "load: {:.1} checks and {:.1} polls a second",
        load.checks_per_second, load.polls_per_second
    ));
    for fault in unreached {
        show::line(format_args!("nobody is told: {fault}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// What a configuration asks for in a second.
struct Load {
    checks_per_second: f64,
    polls_per_second: f64,
}

impl Load {
    fn of(config: &Config) -> Self {
        let site = config.site(&[], true);
        let rate = |interval: std::time::Duration| 1.0 / interval.as_secs_f64().max(0.001);
        Self {
            checks_per_second: site
                .checks
                .checks
                .iter()
                .map(|check| rate(check.timing.bounded().interval))
                .sum(),
            // The sum of nothing is -0.0.
            polls_per_second: site.polls.iter().map(|poll| rate(poll.interval)).sum::<f64>() + 0.0,
        }
    }
}
