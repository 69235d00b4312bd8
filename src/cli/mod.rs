//! The command line: one file a subcommand or a family of them.
//!
//! Commands of the first kind work on this machine (`serve`, `check-config`, `plan`, `check`,
//! `poll`), of the second on the data folder (`user`, `token`), of the third ask a running server
//! (`client` finds it).
#![expect(clippy::print_stdout, reason = "what a command finds goes to standard output")]
#![expect(clippy::print_stderr, reason = "and what went wrong to standard error")]
#![expect(clippy::doc_markdown, reason = "these docs are what --help prints")]

mod act;
mod ask;
mod check;
mod check_config;
mod client;
mod host;
mod import;
mod keep;
mod moment;
mod people;
mod plan;
mod poll;
mod serve;
mod show;
mod spawner;
mod suggest;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Noroshi watches hosts and services, keeps what it sees, and tells people what is wrong.
#[derive(Debug, Parser)]
#[command(
    name = "noroshi",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Without a command, `noroshi` serves: it watches this machine at once and prints \
                  the address to open.\nThe users' guide begins in docs/getting-started.md."
)]
struct Cli {
    #[command(flatten)]
    serve: serve::ServeArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the same as `noroshi` alone)
    Serve(serve::ServeArgs),
    /// Check a configuration: every error at once as file:line:column
    CheckConfig(check_config::CheckConfigArgs),
    /// Show the disk, memory and load that a configuration will need
    Plan(plan::PlanArgs),
    /// Show the state of the site
    Status(ask::StatusArgs),
    /// List the open problems, the worst first
    Problems(ask::ProblemsArgs),
    /// Tell why somebody was told of a problem, or was not
    Why(ask::WhyArgs),
    /// Tell how long a host or check was in which state
    Availability(ask::AvailabilityArgs),
    /// Acknowledge a problem: it is being worked on, no reminders
    Ack(act::AckArgs),
    /// Remove an acknowledgement
    Unack(act::TargetArgs),
    /// Announce a downtime: problems in it are not told
    Downtime(act::DowntimeArgs),
    /// Put a comment on a host or check
    Comment(act::CommentArgs),
    /// Run a check now
    Recheck(act::TargetArgs),
    /// Hand in a result for a passive check
    Submit(act::SubmitArgs),
    /// Evaluate a PromQL expression
    Query(ask::QueryArgs),
    /// Draw a PromQL expression into a PNG or SVG file
    Graph(ask::GraphArgs),
    /// Ask one service once and print what it said; needs no server
    Poll(poll::PollArgs),
    /// Run one plug-in and print how it is understood; needs no server
    Check(check::CheckArgs),
    /// Run plug-ins for a server, which starts it
    #[command(hide = true)]
    Spawner(spawner::SpawnerArgs),
    /// Copy the store, while the server runs, into a new folder
    Backup(keep::BackupArgs),
    /// Put a backup in place as a new data folder
    Restore(keep::RestoreArgs),
    /// Write series as lines of JSON
    Export(keep::ExportArgs),
    /// Read another system's configuration and write it as ours
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Add, change and remove hosts while the server runs
    #[command(subcommand)]
    Host(host::HostCommand),
    /// Say what could be added to the configuration
    #[command(subcommand)]
    Suggest(suggest::SuggestCommand),
    /// Manage keys for agents and programs
    #[command(subcommand)]
    Token(people::TokenCommand),
    /// Manage people
    #[command(subcommand)]
    User(people::UserCommand),
}

/// Where the data folder is.
#[derive(Args, Clone, Debug)]
struct DataArgs {
    /// Folder with the store
    #[arg(long, value_name = "DIR", default_value = "./noroshi-data", env = "NOROSHI_DATA")]
    data: PathBuf,
}

/// Which server to ask.
#[derive(Args, Clone, Debug)]
struct ServerArgs {
    /// Address of the server; the one of the data folder, else http://127.0.0.1:8420
    #[arg(long, value_name = "URL", env = "NOROSHI_SERVER")]
    server: Option<String>,
    /// Key; on the server's own machine the data folder's own key is taken
    #[arg(long, value_name = "TOKEN", env = "NOROSHI_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

/// Runs the command line and returns what the shell is told.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    // Every TLS user of the program shares one provider of cryptography.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing has used TLS before the first line of the program");
    }
    let outcome = match cli.command {
        None => serve::run(&cli.serve),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::CheckConfig(args)) => Ok(check_config::run(&args)),
        Some(Command::Plan(args)) => plan::run(&args),
        Some(Command::Status(args)) => ask::status(&args),
        Some(Command::Problems(args)) => ask::problems(&args),
        Some(Command::Why(args)) => ask::why(&args),
        Some(Command::Availability(args)) => ask::availability(&args),
        Some(Command::Ack(args)) => act::acknowledge(&args),
        Some(Command::Unack(args)) => act::unacknowledge(&args),
        Some(Command::Downtime(args)) => act::downtime(&args),
        Some(Command::Comment(args)) => act::comment(&args),
        Some(Command::Recheck(args)) => act::recheck(&args),
        Some(Command::Submit(args)) => act::submit(&args),
        Some(Command::Query(args)) => ask::query(&args),
        Some(Command::Graph(args)) => ask::graph(&args),
        Some(Command::Poll(args)) => poll::run(&args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Spawner(args)) => spawner::run(&args),
        Some(Command::Backup(args)) => keep::backup(&args),
        Some(Command::Restore(args)) => keep::restore(&args),
        Some(Command::Export(args)) => keep::export(&args),
        Some(Command::Import(command)) => import::run(&command),
        Some(Command::Host(command)) => host::run(&command),
        Some(Command::Suggest(command)) => suggest::run(&command),
        Some(Command::Token(command)) => people::token(&command),
        Some(Command::User(command)) => people::user(&command),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("noroshi: {error:#}");
            ExitCode::FAILURE
        }
    }
}
