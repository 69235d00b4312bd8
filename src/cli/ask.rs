//! Commands that ask a running server and print what it says.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use noroshi_model::{CheckId, Clock as _, Timestamp, quantity};

use super::client::{Client, encode};
use super::show::{self, Table};
use super::{ServerArgs, moment};
use crate::clock::SystemClock;

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
    /// Decisions up to this moment, such as now-1h or "2026-11-21 10:00"
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    at: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `noroshi availability`.
#[derive(Args, Debug)]
pub(super) struct AvailabilityArgs {
    /// `HOST` or `HOST/CHECK`; without it a report of all hosts
    target: Option<String>,
    /// A report of the hosts of this group
    #[arg(long, conflicts_with = "target")]
    group: Option<String>,
    /// A report of what has these labels, such as '{site="tokyo"}'
    #[arg(long = "match", value_name = "LABELS", conflicts_with = "target")]
    matching: Option<String>,
    /// Report the checks of this name in the place of the hosts themselves
    #[arg(long, value_name = "NAME", conflicts_with = "target")]
    check: Option<String>,
    /// Print the report as comma-separated values
    #[arg(long, conflicts_with_all = ["target", "json"])]
    csv: bool,
    /// How far back, such as 30d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "30d")]
    since: Duration,
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
    /// The moment, now when left out: now-1h, "2026-11-21 10:00", or seconds since 1970
    #[arg(
        long, value_name = "TIME", value_parser = moment::parse, allow_negative_numbers = true,
        conflicts_with_all = ["start", "end", "step"],
    )]
    at: Option<Timestamp>,
    /// First moment of a range, such as now-1h
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_negative_numbers = true)]
    start: Option<Timestamp>,
    /// Last moment of a range; now when left out
    #[arg(
        long, value_name = "TIME", value_parser = moment::parse, allow_negative_numbers = true,
        requires = "start",
    )]
    end: Option<Timestamp>,
    /// Distance between the moments of a range; some sixty of them when left out
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "start")]
    step: Option<Duration>,
    /// Print JSON, as the server's Prometheus API gives it
    #[arg(long)]
    json: bool,
    /// Print comma-separated values: series, time, value
    #[arg(long, conflicts_with = "json")]
    csv: bool,
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
        show::line(format_args!("{what:<7} {}", text.join(", ")));
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
        show::line(format_args!("config  not loaded: {}", fault.as_str().unwrap_or_default()));
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
        show::line(format_args!("no open problems"));
    }
    show::piece(table);
    Ok(ExitCode::SUCCESS)
}

/// Prints how a host or check stands, and the trace of the decisions about it.
pub(super) fn why(args: &WhyArgs) -> anyhow::Result<ExitCode> {
    let id = CheckId::parse(&args.target);
    let mut named = format!("host={}", encode(&id.host));
    if let Some(check) = &id.check {
        named += &format!("&check={}", encode(check));
    }
    let client = Client::new(&args.server)?;
    let Some(found) = client.find(&format!("/api/v1/check?{named}"))? else {
        bail!("there is no {}{}", args.target, nearest(&client, &id)?);
    };
    let until = args.at.map(|at| format!("&at={}", at.as_millis())).unwrap_or_default();
    let answer = client.read(&format!("/api/v1/why?{named}{until}"))?;
    if args.json {
        return show::json(&answer);
    }
    if args.at.is_none() {
        show::piece(show::state(&found["check"]));
    }
    show::piece(show::traces(&answer));
    Ok(ExitCode::SUCCESS)
}

/// Most names that are suggested in the place of one that is unknown.
const SUGGESTIONS_MAX: usize = 3;

/// Returns the names that are most like an unknown one, as the end of a sentence.
fn nearest(client: &Client, id: &CheckId) -> anyhow::Result<String> {
    let overview = client.read("/api/v1/overview")?;
    let hosts = overview["hosts"].as_array().into_iter().flatten();
    let mut names: Vec<String> = hosts.map(|host| show::text(&host["name"])).collect();
    keep_nearest(&mut names, &id.host);
    if id.check.is_some() {
        let mut checks = Vec::new();
        for host in &names {
            let mut detail = client.read(&format!("/api/v1/hosts/{}", encode(host)))?;
            let found = detail["checks"].take();
            checks.extend(found.as_array().into_iter().flatten().map(show::name));
        }
        names = checks;
        keep_nearest(&mut names, &id.to_string());
    }
    Ok(if names.is_empty() { String::new() } else { format!("; near are {}", names.join(", ")) })
}

fn keep_nearest(names: &mut Vec<String>, wanted: &str) {
    names.sort_by_key(|name| distance(&name.to_lowercase(), &wanted.to_lowercase()));
    names.truncate(SUGGESTIONS_MAX);
}

/// Returns how many letters must be put in, taken out or changed (Levenshtein's distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = corner + usize::from(letter != *other);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

/// Moments of a range when no step is said: what fits a terminal.
const MOMENTS_USUAL: f64 = 60.0;

/// Prints how long a host or check was in which confirmed state.
pub(super) fn availability(args: &AvailabilityArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(&args.server)?;
    let now = client.read("/api/v1/overview")?["now"].as_i64().unwrap_or_default();
    let start = now - i64::try_from(args.since.as_millis()).unwrap_or(now);
    let Some(target) = &args.target else { return availability_report(args, &client, start) };
    let id = CheckId::parse(target);
    let mut path = format!("/api/v1/availability?host={}&start={start}", encode(&id.host));
    if let Some(check) = &id.check {
        path += &format!("&check={}", encode(check));
    }
    let answer = client.read(&path)?;
    if args.json {
        return show::json(&answer);
    }
    print!("{}", show::availability(&answer));
    Ok(ExitCode::SUCCESS)
}

/// Prints the availability of many: a line each, and of all together.
fn availability_report(
    args: &AvailabilityArgs,
    client: &Client,
    start: i64,
) -> anyhow::Result<ExitCode> {
    let mut asked = format!("start={start}");
    for (name, value) in [("group", &args.group), ("match", &args.matching), ("check", &args.check)]
    {
        if let Some(value) = value {
            asked += &format!("&{name}={}", encode(value));
        }
    }
    if args.csv {
        let csv = client.fetch(&format!("/api/v1/availability/report.csv?{asked}"))?;
        show::piece(String::from_utf8_lossy(&csv));
        return Ok(ExitCode::SUCCESS);
    }
    let answer = client.read(&format!("/api/v1/availability/report?{asked}"))?;
    if args.json {
        return show::json(&answer);
    }
    show::piece(show::availability_report(&answer));
    Ok(ExitCode::SUCCESS)
}

/// Evaluates an expression at one moment or over a range.
pub(super) fn query(args: &QueryArgs) -> anyhow::Result<ExitCode> {
    let expr = encode(&args.expr);
    let now = args.at.unwrap_or_else(|| SystemClock.now());
    let path = if let Some(start) = args.start {
        let end = args.end.unwrap_or(now);
        let (start, end) = (start.as_secs_f64(), end.as_secs_f64());
        let usual = ((end - start) / MOMENTS_USUAL).ceil().max(1.0);
        let step = args.step.map_or(usual, |step| step.as_secs_f64());
        format!("/prometheus/api/v1/query_range?query={expr}&start={start}&end={end}&step={step}")
    } else {
        format!("/prometheus/api/v1/query?query={expr}&time={}", now.as_secs_f64())
    };
    let client = Client::new(&args.server)?;
    let answer = client.read(&path)?;
    if args.json {
        return show::json(&answer);
    }
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        eprintln!("warning: {}", warning.as_str().unwrap_or_default());
    }
    let data = &answer["data"];
    let is_empty = data["result"].as_array().is_some_and(Vec::is_empty);
    if args.csv {
        show::piece(show::query_csv(data));
    } else if is_empty && args.start.is_none() {
        let time = now.as_secs_f64();
        let native = client.read(&format!("/api/v1/query?expr={expr}&time={time}"))?;
        show::line(show::absence(&native, now));
    } else if is_empty {
        show::line("no series");
    } else {
        show::piece(show::query_result(data));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_far_apart_as_letters_must_be_changed() {
        let cases = [("web1", "web1", 0), ("web1", "wbe1", 2), ("", "ab", 2), ("db", "dbs", 1)];
        for (a, b, expected) in cases {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
