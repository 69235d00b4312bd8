//! Commands that act on hosts and checks of a running server.

use std::process::ExitCode;

use clap::Args;
use noroshi_model::{CheckId, quantity};
use serde_json::{Value, json};

use super::ServerArgs;
use super::client::Client;

/// What to act on.
#[derive(Args, Debug)]
pub(super) struct TargetArgs {
    /// `HOST` or `HOST/CHECK`
    target: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// `noroshi ack`.
#[derive(Args, Debug)]
pub(super) struct AckArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// What is being done about it
    #[arg(long, short = 'm', value_name = "TEXT")]
    comment: String,
    /// Keep it until the problem is over, whatever its status does meanwhile
    #[arg(long)]
    sticky: bool,
    /// End it by itself after this long, such as 2h
    #[arg(long, value_name = "DURATION", value_parser = duration_seconds)]
    r#for: Option<u64>,
}

/// `noroshi downtime`.
#[derive(Args, Debug)]
pub(super) struct DowntimeArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// How long from now, such as 90m
    #[arg(long, value_name = "DURATION", value_parser = duration_seconds)]
    r#for: u64,
    /// Why
    #[arg(long, short = 'm', value_name = "TEXT")]
    comment: String,
}

/// `noroshi comment`.
#[derive(Args, Debug)]
pub(super) struct CommentArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// What to say
    #[arg(long, short = 'm', value_name = "TEXT")]
    comment: String,
}

/// `noroshi submit`.
#[derive(Args, Debug)]
pub(super) struct SubmitArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// ok, warning, critical, unknown; for a host up or down; or the plug-in's number
    #[arg(long, value_name = "STATUS")]
    status: String,
    /// The plug-in's output, performance data behind a bar
    #[arg(long, value_name = "TEXT", default_value = "")]
    output: String,
}

/// Acknowledges a problem.
pub(super) fn acknowledge(args: &AckArgs) -> anyhow::Result<ExitCode> {
    let mut body = args.target.body();
    body["comment"] = json!(args.comment);
    body["sticky"] = json!(args.sticky);
    body["duration_seconds"] = json!(args.r#for);
    args.target.act("acknowledge", &body)
}

/// Removes an acknowledgement.
pub(super) fn unacknowledge(args: &TargetArgs) -> anyhow::Result<ExitCode> {
    args.act("unacknowledge", &args.body())
}

/// Announces a downtime.
pub(super) fn downtime(args: &DowntimeArgs) -> anyhow::Result<ExitCode> {
    let mut body = args.target.body();
    body["comment"] = json!(args.comment);
    body["duration_seconds"] = json!(args.r#for);
    args.target.act("downtime", &body)
}

/// Leaves a comment.
pub(super) fn comment(args: &CommentArgs) -> anyhow::Result<ExitCode> {
    let mut body = args.target.body();
    body["comment"] = json!(args.comment);
    args.target.act("comment", &body)
}

/// Runs a check now.
pub(super) fn recheck(args: &TargetArgs) -> anyhow::Result<ExitCode> {
    args.act("recheck", &args.body())
}

/// Hands in a passive result.
pub(super) fn submit(args: &SubmitArgs) -> anyhow::Result<ExitCode> {
    let mut body = args.target.body();
    body["status"] = json!(args.status);
    body["output"] = json!(args.output);
    args.target.act("submit", &body)
}

impl TargetArgs {
    fn body(&self) -> Value {
        let id = CheckId::parse(&self.target);
        json!({ "host": &*id.host, "check": id.check.as_deref() })
    }

    fn act(&self, action: &str, body: &Value) -> anyhow::Result<ExitCode> {
        Client::new(&self.server)?.write(&format!("/api/v1/actions/{action}"), body)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn duration_seconds(text: &str) -> Result<u64, String> {
    quantity::parse_duration(text).map(|duration| duration.as_secs()).map_err(|e| e.to_string())
}
