//! Commands that act on hosts and checks of a running server.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use noroshi_model::{CheckId, Clock as _, Timestamp, quantity};
use serde_json::{Value, json};

use super::ServerArgs;
use super::client::Client;
use crate::clock::SystemClock;

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
    let until = args.r#for.map(|seconds| SystemClock.now() + Duration::from_secs(seconds));
    body["until"] = json!(until.map(Timestamp::as_millis));
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
    body["status"] = json!(status_word(&args.status, body["check"].is_null()));
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

/// Returns the word for a plug-in's exit code; what is no exit code as it is.
fn status_word(status: &str, is_host: bool) -> String {
    let word = match (status, is_host) {
        ("0", true) => "up",
        ("1" | "2" | "3", true) => "down",
        ("0", false) => "ok",
        ("1", false) => "warning",
        ("2", false) => "critical",
        ("3", false) => "unknown",
        (other, _) => return other.to_lowercase(),
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::status_word;

    #[test]
    fn a_plug_ins_number_is_a_status() {
        assert_eq!(status_word("0", false), "ok");
        assert_eq!(status_word("3", false), "unknown");
        assert_eq!(status_word("0", true), "up");
        assert_eq!(status_word("2", true), "down");
        assert_eq!(status_word("WARNING", false), "warning");
        assert_eq!(status_word("7", false), "7");
    }
}
