//! `noroshi import rrd`: through the server that runs on the data folder, else into the folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};
use clap::Args;
use noroshi_model::Labels;
use noroshi_model::label::NAME;
use noroshi_store::TransferReport;
use serde_json::json;

use crate::cli::ServerArgs;
use crate::cli::client::Client;
use crate::cli::keep::{OpenFolder, server};
use crate::cli::show;

/// `noroshi import rrd`.
#[derive(Args, Debug)]
pub(in crate::cli) struct RrdArgs {
    /// Files of RRDtool, or what `rrdtool dump` printed of them (*.xml). A series is made of each
    /// data source: its name is that of the file, its label `ds` that of the data source
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name of the series [default: that of the file, without folder and ending]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Host that the series belong to: their label `instance`
    #[arg(long, value_name = "HOST")]
    instance: Option<String>,
    /// What measured them: their label `job`
    #[arg(long, value_name = "JOB", default_value = "rrd")]
    job: String,
    /// Another label; may be given again
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    server: ServerArgs,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must be NAME=VALUE")?;
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_name = name.starts_with(is_start)
        && name.chars().all(|c| is_start(c) || c.is_ascii_digit())
        && name != "ds";
    if !is_name {
        let rule = "letters, digits and _ make a name; `ds` is the data source's";
        return Err(format!("{name:?} is no label that can be given: {rule}"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Where rows go.
enum Target {
    Server(Client),
    Folder(OpenFolder),
}

impl Target {
    fn take(
        &self,
        dump: &str,
        labels: &BTreeMap<String, String>,
    ) -> anyhow::Result<TransferReport> {
        match self {
            Self::Folder(folder) => Ok(folder.store().import_rrd(dump, &Labels::new(labels))?),
            Self::Server(client) => {
                let body = json!({ "labels": labels, "dump": dump });
                let answer = client.write_patiently("/api/v1/import/rrd", &body)?;
                let count = |name: &str| answer[name].as_u64().unwrap_or_default();
                let (rows, refused) = (count("rows"), count("refused"));
                Ok(TransferReport { rows, refused, ..TransferReport::default() })
            }
        }
    }
}

/// Takes in all files; one that cannot be read is named, and the others are taken in all the same.
pub(super) fn run(args: &RrdArgs) -> anyhow::Result<ExitCode> {
    let target = match server(&args.server)? {
        Some(client) => Target::Server(client),
        None => Target::Folder(OpenFolder::for_writing(&args.server.data.data)?),
    };
    let (mut total, mut failed) = (TransferReport::default(), 0);
    for file in &args.files {
        let taken = dump_of(file).and_then(|dump| target.take(&dump, &labels_of(args, file)));
        match taken {
            Ok(report) => {
                show::line(format_args!("{}: {} rows", file.display(), report.rows));
                total.rows += report.rows;
                total.refused += report.refused;
            }
            Err(error) => {
                eprintln!("{}: {error:#}", file.display());
                failed += 1;
            }
        }
    }
    if let Target::Folder(folder) = &target
        && !folder.store().checkpoint()
    {
        bail!("the rows are not on the disk: is it full?");
    }
    show::line(format_args!("{} rows taken in", total.rows));
    if total.refused > 0 {
        show::line(format_args!(
            "{} rows are older than the longest archive reaches back",
            total.refused
        ));
    }
    if failed > 0 {
        bail!("{failed} of {} files could not be taken in", args.files.len());
    }
    Ok(ExitCode::SUCCESS)
}

fn labels_of(args: &RrdArgs, file: &Path) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = args.labels.iter().cloned().collect();
    let name = args.name.clone().unwrap_or_else(|| metric_name(file));
    labels.entry(NAME.to_owned()).or_insert(name);
    labels.entry("job".to_owned()).or_insert_with(|| args.job.clone());
    if let Some(instance) = &args.instance {
        labels.insert("instance".to_owned(), instance.clone());
    }
    labels
}

/// Returns a file's name as the name of a metric: letters, digits, `_` and `:`, no digit first.
fn metric_name(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let stem = stem.unwrap_or_default();
    // web1_load.rrd.xml is what one calls the dump of web1_load.rrd.
    let stem = stem.strip_suffix(".rrd").unwrap_or(&stem);
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let name: String = stem.chars().map(|c| if is_fine(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        return format!("_{name}");
    }
    name
}

/// Returns the XML of a file.
fn dump_of(file: &Path) -> anyhow::Result<String> {
    if file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xml")) {
        return Ok(fs::read_to_string(file)?);
    }
    // It says itself what is wrong with a file, but not every version ends with a status then.
    fs::File::open(file)?;
    let dump = Command::new("rrdtool").arg("dump").arg(file).stdin(Stdio::null()).output();
    let dump = match dump {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "rrdtool is needed to read it: install it (apt install rrdtool, dnf install rrdtool), \
             or run `rrdtool dump FILE > FILE.xml` where it is and import FILE.xml"
        ),
        other => other.context("cannot run rrdtool")?,
    };
    if !dump.status.success() {
        bail!("rrdtool: {}", String::from_utf8_lossy(&dump.stderr).trim());
    }
    String::from_utf8(dump.stdout).context("what rrdtool prints is no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_names_the_metric() {
        let cases = [
            ("/var/lib/ganglia/rrds/a/web1/load_one.rrd", "load_one"),
            ("web1-eth0.in.rrd", "web1_eth0_in"),
            ("traffic.rrd.xml", "traffic"),
            ("5.rrd", "_5"),
        ];
        for (file, name) in cases {
            assert_eq!(metric_name(Path::new(file)), name, "{file}");
        }
    }

    #[test]
    fn a_label_is_a_name_and_a_value() {
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        for wrong in ["a", "=b", "1a=b", "a-b=c", "ds=x"] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
    }
}
