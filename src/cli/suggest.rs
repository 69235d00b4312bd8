//! `noroshi suggest`: what the server would add to the configuration.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::ServerArgs;
use super::client::Client;
use super::show;

/// Subcommands of `suggest`.
#[derive(Debug, Subcommand)]
pub(super) enum SuggestCommand {
    /// Parents for hosts that have none, as TOML to paste
    Parents(SuggestArgs),
}

/// Arguments of a suggestion.
#[derive(Args, Debug)]
pub(super) struct SuggestArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs `noroshi suggest ...`.
pub(super) fn run(command: &SuggestCommand) -> anyhow::Result<ExitCode> {
    let SuggestCommand::Parents(args) = command;
    let list = Client::new(&args.server)?.read("/api/v1/suggestions/parents")?["parents"].take();
    if args.json {
        return show::json(&list);
    }
    let parents = list.as_array().map(Vec::as_slice).unwrap_or_default();
    if parents.is_empty() {
        show::line("# every host has parents, or no agent tells of a gateway that is a host");
    }
    // A host with several ways has several parents: one of them is enough.
    for of_host in parents.chunk_by(|a, b| a["host"] == b["host"]) {
        for parent in of_host {
            show::line(format_args!("# {}", show::text(&parent["reason"])));
        }
        let names: toml::Value = of_host
            .iter()
            .map(|parent| toml::Value::String(show::text(&parent["parent"])))
            .collect::<Vec<_>>()
            .into();
        show::line(format_args!("[host.{}]", quoted(&of_host[0]["host"])));
        show::line(format_args!("parents = {names}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a name as a key of TOML that needs no rule.
fn quoted(name: &Value) -> String {
    toml::Value::String(show::text(name)).to_string()
}
