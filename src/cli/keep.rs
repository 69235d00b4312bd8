//! `noroshi backup`, `restore` and `export`: through the server that runs on the data folder, else
//! on the folder itself.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use noroshi_model::{Matcher, Timestamp, quantity};
use noroshi_store::{BackupReport, Store};
use serde_json::json;

use super::client::{Client, encode};
use super::{DataArgs, ServerArgs, moment, show};
use crate::clock::SystemClock;
use crate::config::added;
use crate::daemon::LocalAccess;

/// `noroshi backup`.
#[derive(Args, Debug)]
pub(super) struct BackupArgs {
    /// New or empty folder for the copy; of a server elsewhere, a path on its machine
    directory: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

/// `noroshi restore`.
#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    /// Folder that `noroshi backup` made
    backup: PathBuf,
    #[command(flatten)]
    data: DataArgs,
}

/// `noroshi export`.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// Only series that this selector matches, as `{instance="web1"}`
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: Option<String>,
    /// Only what came at or after this moment, such as now-1d
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_negative_numbers = true)]
    start: Option<Timestamp>,
    /// Only what came at or before this moment
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_negative_numbers = true)]
    end: Option<Timestamp>,
    /// File to write; standard output when left out
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// A data folder that this program has opened.
pub(super) struct OpenFolder(Arc<Store>);

impl OpenFolder {
    /// Opens a folder on which no server runs, with the retention that it was last served with.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let shown = folder.display();
        if !folder.is_dir() {
            bail!("there is no data folder {shown}; name it with --data");
        }
        let (store, _) = Store::reopen(folder, Arc::new(SystemClock))
            .with_context(|| format!("cannot open the data folder {shown}"))?;
        Ok(Self(store))
    }

    /// Opens a folder to write into; a new one is made. Refuses while a server runs on it.
    pub(super) fn for_writing(folder: &Path) -> anyhow::Result<Self> {
        let shown = folder.display();
        fs::create_dir_all(folder).with_context(|| format!("cannot make {shown}"))?;
        Self::open(folder).context("if a server runs on the folder, stop it for the import")
    }

    /// Returns the store.
    pub(super) fn store(&self) -> &Arc<Store> {
        &self.0
    }
}

impl Drop for OpenFolder {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Returns the server to go through: one that is named, else the one that runs on the folder.
pub(super) fn server(args: &ServerArgs) -> anyhow::Result<Option<Client>> {
    let client = Client::new(args)?;
    let is_local = LocalAccess::read(&args.data.data).is_some() && client.answers();
    Ok((args.server.is_some() || is_local).then_some(client))
}

/// Runs `noroshi backup`.
pub(super) fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let shown = args.directory.display();
    let report = if let Some(client) = server(&args.server)? {
        let path = std::path::absolute(&args.directory)
            .with_context(|| format!("cannot tell where {shown} is"))?;
        let answer = client.write_patiently("/api/v1/backup", &json!({ "path": path }))?;
        let count = |name: &str| answer[name].as_u64().unwrap_or_default();
        BackupReport { files: count("files"), bytes: count("bytes") }
    } else {
        let data = &args.server.data.data;
        let report = OpenFolder::open(data)?.store().backup(&args.directory)?;
        with_added(report, data, &args.directory)?
    };
    print_copied(&report, &args.directory);
    Ok(ExitCode::SUCCESS)
}

/// Runs `noroshi restore`.
pub(super) fn restore(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let report = noroshi_store::restore(&args.backup, &args.data.data)?;
    let report = with_added(report, &args.backup, &args.data.data)?;
    print_copied(&report, &args.data.data);
    Ok(ExitCode::SUCCESS)
}

/// Copies the file of the added hosts, which is not in the store.
fn with_added(report: BackupReport, from: &Path, to: &Path) -> anyhow::Result<BackupReport> {
    let bytes = added::copy(from, to).context("cannot copy the hosts that were added")?;
    let BackupReport { files, bytes: before } = report;
    Ok(match bytes {
        Some(bytes) => BackupReport { files: files + 1, bytes: before + bytes },
        None => report,
    })
}

fn print_copied(report: &BackupReport, target: &Path) {
    let size = quantity::format_value(report.bytes as f64, "bytes");
    show::line(format_args!("{} files, {size}, in {}", report.files, target.display()));
}

/// Runs `noroshi export`.
pub(super) fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let Some(path) = &args.output else {
        let mut out = BufWriter::new(show::Standard);
        export_to(args, &mut out)?;
        out.flush().context("cannot write to standard output")?;
        return Ok(ExitCode::SUCCESS);
    };
    // Under its own name only when it is whole.
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(".unfinished");
    let cannot = || format!("cannot write {}", path.display());
    let mut out = BufWriter::new(File::create(&unfinished).with_context(cannot)?);
    export_to(args, &mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error).with_context(cannot)?;
    file.sync_all().with_context(cannot)?;
    fs::rename(&unfinished, path).with_context(cannot)?;
    Ok(ExitCode::SUCCESS)
}

fn export_to(args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if let Some(client) = server(&args.server)? {
        let mut path = "/api/v1/export?".to_owned();
        let times = [("start", args.start), ("end", args.end)];
        for (name, time) in times.into_iter().filter_map(|(name, time)| Some((name, time?))) {
            path += &format!("{name}={}&", time.as_secs_f64());
        }
        if let Some(selector) = &args.selector {
            path += &format!("match={}", encode(selector));
        }
        return client.stream(&path, out);
    }
    let matchers = args.selector.as_deref().map_or(Ok(Vec::new()), matchers)?;
    // The start is inclusive here, and exclusive in the store.
    let before = |start: Timestamp| start - std::time::Duration::from_millis(1);
    let after = args.start.map_or(Timestamp::MIN, before);
    let until = args.end.unwrap_or(Timestamp::MAX);
    let folder = OpenFolder::open(&args.server.data.data)?;
    folder.store().export(&matchers, after, until, out)?;
    Ok(())
}

fn matchers(selector: &str) -> anyhow::Result<Vec<Matcher>> {
    use noroshi_expr::{Expr, When};
    match noroshi_expr::parse(selector)? {
        Expr::Selector(selector) if selector.when == When::default() => Ok(selector.matchers),
        _ => bail!("--match {selector}: only a selector without offset and @ is allowed here"),
    }
}
