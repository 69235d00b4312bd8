//! `noroshi import samples`: what `noroshi export` wrote, into a server that runs or a folder.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use noroshi_store::TransferReport;

use crate::cli::ServerArgs;
use crate::cli::client::Client;
use crate::cli::keep::{OpenFolder, server};
use crate::cli::show;

/// Bytes that are sent to a server at once, and
const PIECE_BYTES: usize = 8 << 20;
/// most bytes of one series that are not cut: half of what a server takes at once.
const PIECE_BYTES_MAX: usize = 128 << 20;

/// `noroshi import samples`.
#[derive(Args, Debug)]
pub(in crate::cli) struct SamplesArgs {
    /// The file; `-` is standard input
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

/// Takes in a file, and prints how much that was.
pub(super) fn run(args: &SamplesArgs) -> anyhow::Result<ExitCode> {
    let mut input: Box<dyn BufRead> = if args.file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let cannot = || format!("cannot open {}", args.file.display());
        Box::new(BufReader::new(File::open(&args.file).with_context(cannot)?))
    };
    let report = match server(&args.server)? {
        Some(client) => send(&client, &mut input)?,
        None => OpenFolder::for_writing(&args.server.data.data)?.store().import(&mut input)?,
    };
    show::line(format_args!("{} samples and {} rows taken in", report.samples, report.rows));
    if report.refused > 0 {
        show::line(format_args!(
            "{} samples or rows refused: too old, in the future, or no room",
            report.refused
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends the lines to a server, some at once.
fn send(client: &Client, input: &mut dyn BufRead) -> anyhow::Result<TransferReport> {
    let mut report = TransferReport::default();
    let mut pieces = Pieces { input, next: String::new() };
    while let Some(piece) = pieces.next()? {
        let first = report.lines + 1;
        let answer = client
            .write_lines("/api/v1/import/samples", piece)
            .with_context(|| format!("lines before {first} are taken in; counted from there"))?;
        let count = |name: &str| answer[name].as_u64().unwrap_or_default();
        report.lines += count("lines");
        report.samples += count("samples");
        report.rows += count("rows");
        report.refused += count("refused");
    }
    Ok(report)
}

/// Lines in pieces that end with a series: its older samples become rows together.
struct Pieces<'a> {
    input: &'a mut dyn BufRead,
    /// A line of the next piece.
    next: String,
}

impl Pieces<'_> {
    fn next(&mut self) -> anyhow::Result<Option<String>> {
        let mut piece = std::mem::take(&mut self.next);
        let mut series = series_of(&piece).to_owned();
        loop {
            let mut line = String::new();
            let length = self.input.read_line(&mut line).context("cannot read the file")?;
            if length == 0 {
                return Ok((!piece.is_empty()).then_some(piece));
            }
            if length > PIECE_BYTES_MAX {
                bail!("a line of {length} bytes is none that `noroshi export` wrote");
            }
            let is_other = series_of(&line) != series;
            let length = piece.len() + line.len();
            if length > PIECE_BYTES && (is_other || length > PIECE_BYTES_MAX) && !piece.is_empty() {
                self.next = line;
                return Ok(Some(piece));
            }
            if is_other {
                series_of(&line).clone_into(&mut series);
            }
            piece += &line;
        }
    }
}

/// Returns what lines of one series begin with: their labels.
fn series_of(line: &str) -> &str {
    line.split_once('}').map_or(line, |(labels, _)| labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_with_a_series() {
        // Lines of 1 MiB: six of `a`, six of `b`, one of `c`; `a` and `b` are 12 MiB.
        let filler = "1,".repeat(512 << 10);
        let line = |name: &str| format!("{{\"labels\":{{\"x\":\"{name}\"}},\"at\":[{filler}\n");
        let text: String = ["a", "b"].iter().flat_map(|n| vec![line(n); 6]).collect();
        let text = text + &line("c");
        let mut input = text.as_bytes();
        let mut pieces = Pieces { input: &mut input, next: String::new() };
        let mut got = Vec::new();
        while let Some(piece) = pieces.next().unwrap() {
            got.push(piece);
        }
        assert_eq!(got.iter().map(|piece| piece.lines().count()).collect::<Vec<_>>(), [12, 1]);
        assert_eq!(got.concat(), text);
    }
}
