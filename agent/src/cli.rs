//! The command line: what may be said to the program, and what becomes of it.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use noroshi_model::frame::PluginResult;
use noroshi_model::quantity::parse_duration;
use noroshi_model::{Clock, Timestamp};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{self, LogFormat};
use crate::plugins::{self, PluginSpec};
use crate::sources::Roots;
use crate::{print, ship};

/// How long the end waits for a thread that hangs in a file system, after everything is sent or on
/// disk.
const THREADS_TIMEOUT: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
Examples:
  See what would be sent, without any server; with --config the plug-ins of the file run too:
    noroshi-agent --once

  Watch this host:
    on the server:  noroshi token create web1 --role agent > token
    on this host:   noroshi-agent --server https://noroshi.example.org:8420 \\
                        --token-file /etc/noroshi-agent/token --spool /var/lib/noroshi-agent

  The same from a file (/etc/noroshi-agent.toml), for a service:
    server = \"https://noroshi.example.org:8420\"
    token_file = \"/etc/noroshi-agent/token\"
    spool = \"/var/lib/noroshi-agent\"

The agent needs no privileges. SIGTERM ends it within a second; what is unsent waits in the
spool for the next start.";

/// Reads /proc and /sys of this host and sends them to a Noroshi server.
#[derive(Debug, Parser)]
#[command(name = "noroshi-agent", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// Reads the options below from a TOML file; those given here win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sends to this server, https://HOST:PORT (http only within one machine or a safe network)
    #[arg(long, value_name = "URL", env = "NOROSHI_SERVER", hide_env_values = true)]
    server: Option<String>,
    /// Reads the token from this file (made by `noroshi token create NAME --role agent`)
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Reads and sends at this interval [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    step: Option<Duration>,
    /// Names this host in Noroshi [default: its host name]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Keeps readings in this folder while the server is away [default: in memory, 1 MiB]
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Trusts the certificate authorities in this PEM file as well as the public ones
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Writes logs for people or one JSON object a line [default: human]
    #[arg(long, value_enum, value_name = "human|json", hide_possible_values = true)]
    log_format: Option<LogFormat>,
    /// Logs each step, not only what changes
    #[arg(long, short)]
    verbose: bool,
    /// Prints one reading and exits; needs no server
    #[arg(long, conflicts_with_all = ["server", "token_file", "spool"])]
    once: bool,
    /// Prints with --once in Prometheus' text format or as one JSON object
    #[arg(
        long,
        value_enum,
        value_name = "prometheus|json",
        default_value = "prometheus",
        hide_possible_values = true
    )]
    format: Format,
    /// Reads this folder instead of /proc (another machine's saved one will do)
    #[arg(long, value_name = "DIR", default_value = "/proc")]
    proc: PathBuf,
    /// Reads this folder instead of /sys
    #[arg(long, value_name = "DIR", default_value = "/sys")]
    sys: PathBuf,
    /// Takes this folder for the root: os-release, machine-id, mounted file systems
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// How a reading is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Prometheus,
    Json,
}

/// The machine's clock.
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the program's own clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// Does what the arguments say; returns when it is done or a signal ends it.
///
/// Errors: with a text for the operator, when it cannot start.
pub fn main(arguments: Arguments) -> anyhow::Result<()> {
    if arguments.once {
        return once(&arguments);
    }
    let roots = roots(&arguments);
    let path = arguments.config.as_deref();
    let file = path.map(config::load).transpose()?.unwrap_or_default();
    let given = config::Options {
        server: arguments.server,
        token_file: arguments.token_file,
        step: arguments.step,
        host: arguments.host,
        spool: arguments.spool,
        ca: arguments.ca,
        log_format: arguments.log_format,
        ..config::Options::default()
    };
    let file = given.or(file);
    log_to_stderr(file.log_format.unwrap_or_default(), arguments.verbose);
    let settings = config::resolve(file, roots)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let result = runtime.block_on(run(settings));
    // A thread may hang in statvfs for ever; it must not hold up the end.
    runtime.shutdown_timeout(THREADS_TIMEOUT);
    result
}

async fn run(settings: ship::Settings) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    let ship = ship::run(settings, Arc::new(SystemClock), stop.clone());
    let wait = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = ship => result.context("cannot start"),
        () = wait => Ok(()),
    }
}

fn roots(arguments: &Arguments) -> Roots {
    Roots { proc: arguments.proc.clone(), sys: arguments.sys.clone(), root: arguments.root.clone() }
}

fn once(arguments: &Arguments) -> anyhow::Result<()> {
    let roots = roots(arguments);
    let path = arguments.config.as_deref();
    let file = path.map(config::load).transpose()?.unwrap_or_default();
    let mut problems = Vec::new();
    config::check_labels(&file.labels, &mut problems);
    let plugins = config::plugins(file.check, &mut problems);
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("\n"));
    let host = arguments.host.clone().or(file.host);
    let mut reading = print::Reading::take(roots, host.as_deref(), SystemClock.now());
    reading.results = run_all(&plugins)?;
    let text = match arguments.format {
        Format::Prometheus => reading.to_prometheus(),
        Format::Json => reading.to_json(),
    };
    match io::stdout().write_all(text.as_bytes()) {
        // `noroshi-agent --once | head` is not an error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

/// Runs each plug-in once, all at the same time.
fn run_all(plugins: &[PluginSpec]) -> anyhow::Result<Vec<PluginResult>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runs = plugins.iter().map(|plugin| plugins::run_once(plugin, &SystemClock));
    let runtime = runtime.context("cannot start the runtime")?;
    Ok(runtime.block_on(futures::future::join_all(runs)))
}

fn log_to_stderr(format: LogFormat, is_verbose: bool) {
    let level = if is_verbose { tracing::Level::DEBUG } else { tracing::Level::INFO };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        // A line that a full disk refuses is lost; telling so there would panic.
        .log_internal_errors(false);
    match format {
        LogFormat::Human => {
            log.with_target(false).with_ansi(io::stderr().is_terminal()).init();
        }
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).init(),
    }
}
