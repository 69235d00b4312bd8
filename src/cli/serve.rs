//! `noroshi serve`: the server itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::DataArgs;
use crate::config;
use crate::daemon::{self, Options, Started};
use crate::log::{self, LogFormat};

/// Arguments of `serve`.
#[derive(Args, Clone, Debug)]
pub(super) struct ServeArgs {
    /// Configuration: a file, or a folder of *.toml files [default: noroshi.toml, else
    /// /etc/noroshi/, else built-in]
    #[arg(long, value_name = "PATH", env = "NOROSHI_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    /// Address and port to listen on, above the configuration [default: 127.0.0.1:8420]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// How the log is written to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Human, env = "NOROSHI_LOG_FORMAT")]
    log_format: LogFormat,
}

/// Runs the server until SIGTERM or SIGINT.
pub(super) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let thin = log::start(args.log_format);
    let config_path = config::find(args.config.as_deref());
    let added = config::added::path_in(&args.data.data);
    let config = match config::added::read(&added)
        .map_err(|fault| vec![fault])
        .and_then(|added| config::load_to_start(config_path.as_deref(), added.as_ref()))
    {
        Ok(config) => config,
        Err(faults) => {
            for fault in &faults {
                eprintln!("{fault}");
            }
            bail!("the configuration has {} fault(s); nothing was started", faults.len());
        }
    };
    let options = Options {
        config_path: config_path.clone(),
        data: args.data.data.clone(),
        listen: args.listen,
    };
    let welcome = Welcome {
        config: config_path.map(|path| format!("{}: {}", path.display(), config.summary())),
        data: args.data.data.display().to_string(),
    };
    for note in config.notes() {
        tracing::warn!(note, "not all hosts that were added are in force");
    }
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("noroshi")
        .build()
        .context("cannot start threads")?;
    let stop = CancellationToken::new();
    let outcome = runtime.block_on(async {
        let signals = stop_on_signal(stop.clone())?;
        let counts = tokio::spawn(thin.tell());
        let outcome = daemon::run(options, config, |started| welcome.print(started), stop).await;
        signals.abort();
        counts.abort();
        outcome
    });
    // A resolver or a plug-in that hangs must not hold the process.
    runtime.shutdown_background();
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Takes as many open files as the system allows: each check and each page under way needs some.
fn raise_open_files() {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Cancels `stop` at the first SIGTERM or SIGINT; a second one ends the process at once.
fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                std::process::exit(1);
            }
            tracing::info!("stopping");
            stop.cancel();
        }
    }))
}

/// What is said once the server listens.
struct Welcome {
    config: Option<String>,
    data: String,
}

impl Welcome {
    fn print(&self, started: &Started) {
        println!("Noroshi {}", env!("CARGO_PKG_VERSION"));
        println!("  open     {}/", started.url);
        match &started.sign_in_link {
            Some(link) => println!("  sign in  {link}\n           (works once, as admin)"),
            None => {
                println!("  sign in  as admin; for a new link: noroshi user sign-in-link admin");
            }
        }
        println!("  data     {}", self.data);
        match &self.config {
            Some(config) => println!("  config   {config}"),
            None => println!("  config   built-in; write noroshi.toml to watch more"),
        }
    }
}
