//! Stocks of the kernel that can run out: file handles and entropy.

use super::files::{Files, SourceError, number};
use super::{Metric, Output, Source};

/// Reads open files: `/proc/sys/fs/file-nr`.
pub(super) struct Filefd;

const FILEFD: [Metric; 2] = [
    Metric::gauge("node_filefd_allocated", "", "File handles in use."),
    Metric::gauge("node_filefd_maximum", "", "Most file handles that there can be."),
];

impl Source for Filefd {
    fn name(&self) -> &'static str {
        "filefd"
    }

    fn metrics(&self) -> &'static [Metric] {
        &FILEFD
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        // Allocated, free (always 0 since Linux 2.6), maximum.
        let text = files.proc_line("sys/fs/file-nr")?;
        let columns: Vec<f64> = text.split_ascii_whitespace().filter_map(number).collect();
        let &[allocated, _, maximum] = columns.as_slice() else {
            let path = files.proc_path("sys/fs/file-nr");
            return Err(SourceError::Malformed { path, part: "three numbers" });
        };
        out.push(FILEFD[0].name, &[], allocated);
        out.push(FILEFD[1].name, &[], maximum);
        Ok(())
    }
}

/// Reads the stock of random bits: `/proc/sys/kernel/random`.
pub(super) struct Entropy;

const ENTROPY: [Metric; 2] = [
    Metric::gauge("node_entropy_available_bits", "", "Random bits at hand."),
    Metric::gauge("node_entropy_pool_size_bits", "", "Most random bits that are kept."),
];

impl Source for Entropy {
    fn name(&self) -> &'static str {
        "entropy"
    }

    fn metrics(&self) -> &'static [Metric] {
        &ENTROPY
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        for (file, metric) in ["entropy_avail", "poolsize"].into_iter().zip(&ENTROPY) {
            let path = format!("sys/kernel/random/{file}");
            let Some(bits) = number(files.proc_line(&path)?) else {
                let path = files.proc_path(&path);
                return Err(SourceError::Malformed { path, part: "number" });
            };
            out.push(metric.name, &[], bits);
        }
        Ok(())
    }
}
