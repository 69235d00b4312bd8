//! Commands that ask a running server and print what it says.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use noroshi_model::{CheckId, quantity};

use super::ServerArgs;
use super::client::{Client, encode};
use super::show::{self, Table};

/// `noroshi status`.
#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `noroshi problems`.
#[derive(Args, Debug)]
pub(super) struct ProblemsArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `noroshi why`.
#[derive(Args, Debug)]
pub(super) struct WhyArgs {
    /// `HOST` or `HOST/CHECK`
    target: String,
    /// Decisions up to this moment: seconds since 1970; now when left out
    #[arg(long, value_name = "TIME")]
    at: Option<f64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `noroshi query`.
#[derive(Args, Debug)]
pub(super) struct QueryArgs {
    /// The expression
    expr: String,
    /// Moment, seconds since 1970; now when left out
    #[arg(long, value_name = "TIME", conflicts_with_all = ["start", "end", "step"])]
    at: Option<f64>,
    /// First moment of a range, seconds since 1970
    #[arg(long, value_name = "TIME", requires = "end")]
    start: Option<f64>,
    /// Last moment of a range
    #[arg(long, value_name = "TIME", requires = "start")]
    end: Option<f64>,
    /// Distance between the moments of a range, such as 1m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "1m")]
    step: Duration,
    /// Print JSON, as the server's Prometheus API gives it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `noroshi graph`.
#[derive(Args, Debug)]
pub(super) struct GraphArgs {
    /// The expressions
    #[arg(required = true)]
    expr: Vec<String>,
    /// File to write; its ending, png or svg, says what
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// How far back, such as 6h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "3h")]
    span: Duration,
    /// Pixels
    #[arg(long, default_value_t = 800)]
    width: u32,
    /// Pixels
    #[arg(long, default_value_t = 300)]
    height: u32,
    /// Title; the expression when left out
    #[arg(long)]
    title: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints how many hosts and checks are in which status.
pub(super) fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let overview = Client::new(&args.server)?.read("/api/v1/overview")?;
    if args.json {
        return show::json(&overview);
    }
    for (what, statuses) in [
        ("hosts", &["up", "down", "unreachable", "pending"][..]),
        ("checks", &["ok", "warning", "critical", "unknown", "pending"]),
    ] {
        let counts = &overview["counts"][what];
        let text: Vec<String> = statuses
            .iter()
            .map(|status| format!("{} {status}", counts[*status].as_u64().unwrap_or(0)))
            .collect();
        println!("{what:<7} {}", text.join(", "));
    }
    let own = &overview["self"];
    let bytes =
        |field: &str| quantity::format_value(own[field].as_f64().unwrap_or_default(), "bytes");
    let (used, planned) = (bytes("used_bytes"), bytes("planned_bytes"));
    let (series, free) = (own["series"].as_u64().unwrap_or(0), bytes("disk_free_bytes"));
    println!("store   {series} series, {used} of {planned} planned on disk, {free} free");
    for (field, what) in [
        ("is_disk_full", "nothing is taken in: the disk is full"),
        ("is_broken", "nothing is taken in until a restart: the disk failed a write"),
    ] {
        if own[field] == true {
            println!("store   {what}");
        }
    }
    for fault in overview["config"]["errors"].as_array().into_iter().flatten() {
        println!("config  not loaded: {}", fault.as_str().unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the open problems. Exit status 0 whether there are any or not.
pub(super) fn problems(args: &ProblemsArgs) -> anyhow::Result<ExitCode> {
    let overview = Client::new(&args.server)?.read("/api/v1/overview")?;
    let problems = &overview["problems"];
    if args.json {
        return show::json(problems);
    }
    let now = overview["now"].as_i64().unwrap_or_default();
    let mut table = Table::new(["STATUS", "SINCE", "WHAT", "OUTPUT"]);
    for problem in problems.as_array().into_iter().flatten() {
        let marks = [("is_acknowledged", "ack"), ("is_in_downtime", "downtime")];
        let marks: Vec<&str> = marks
            .iter()
            .filter(|(field, _)| problem[*field] == true)
            .map(|(_, mark)| *mark)
            .collect();
        let state = show::text(&problem["status"]).to_uppercase();
        let state = if problem["state_type"] == "soft" { format!("{state} soft") } else { state };
        let state = [vec![state.as_str()], marks].concat().join(" ");
        let since = problem["since"].as_i64().unwrap_or(now);
        let age = Duration::from_millis((now - since).max(0).unsigned_abs());
        let output = show::text(&problem["output"]);
        table.row([state, quantity::format_duration(age), show::name(problem), output]);
    }
    if table.is_empty() {
        println!("no open problems");
    }
    print!("{table}");
    Ok(ExitCode::SUCCESS)
}

/// Prints the trace of the decisions about a host or check.
pub(super) fn why(args: &WhyArgs) -> anyhow::Result<ExitCode> {
    let id = CheckId::parse(&args.target);
    let mut path = format!("/api/v1/why?host={}", encode(&id.host));
    if let Some(check) = &id.check {
        path += &format!("&check={}", encode(check));
    }
    if let Some(at) = args.at {
        path += &format!("&at={at}");
    }
    let answer = Client::new(&args.server)?.read(&path)?;
    if args.json {
        return show::json(&answer);
    }
    print!("{}", show::traces(&answer));
    Ok(ExitCode::SUCCESS)
}

/// Evaluates an expression at one moment or over a range.
pub(super) fn query(args: &QueryArgs) -> anyhow::Result<ExitCode> {
    let expr = encode(&args.expr);
    let path = if let (Some(start), Some(end)) = (args.start, args.end) {
        let step = args.step.as_secs_f64();
        format!("/prometheus/api/v1/query_range?query={expr}&start={start}&end={end}&step={step}")
    } else {
        let time = args.at.map(|at| format!("&time={at}")).unwrap_or_default();
        format!("/prometheus/api/v1/query?query={expr}{time}")
    };
    let answer = Client::new(&args.server)?.read(&path)?;
    if args.json {
        return show::json(&answer);
    }
    print!("{}", show::query_result(&answer["data"]));
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        eprintln!("warning: {}", warning.as_str().unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}

/// Draws expressions into a file.
pub(super) fn graph(args: &GraphArgs) -> anyhow::Result<ExitCode> {
    let ending = args.output.extension().and_then(|ending| ending.to_str());
    let Some(kind @ ("png" | "svg")) = ending else {
        bail!("{} must end in .png or .svg", args.output.display());
    };
    let client = Client::new(&args.server)?;
    let now = client.read("/api/v1/overview")?["now"].as_f64().unwrap_or_default() / 1000.0;
    let start = now - args.span.as_secs_f64();
    let mut path = format!(
        "/graph.{kind}?start={start}&end={now}&width={}&height={}",
        args.width, args.height
    );
    for expr in &args.expr {
        path += &format!("&expr={}", encode(expr));
    }
    if let Some(title) = &args.title {
        path += &format!("&title={}", encode(title));
    }
    let image = client.fetch(&path)?;
    fs::write(&args.output, &image)
        .with_context(|| format!("cannot write {}", args.output.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    quantity::parse_duration(text).map_err(|error| error.to_string())
}
