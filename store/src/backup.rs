//! A copy of a running store, which is a store itself; and putting one in place.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::disk::sync_directory;
use crate::inner::Inner;
use crate::kept;
use crate::store::Store;

/// Why a copy could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something at the target.
    #[error("{} is not an empty folder", path.display())]
    NotEmpty {
        /// The target.
        path: PathBuf,
    },
    /// The source is no store, or one of another version.
    #[error("{} holds no store of a version that this program knows", path.display())]
    Foreign {
        /// The source.
        path: PathBuf,
    },
    /// The file system failed.
    #[error("cannot copy {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    move |source| BackupError::Io { path: path.to_owned(), source }
}

impl Store {
    /// Copies the store, while it runs, into an empty folder; everything acknowledged before the
    /// call is in the copy. The copy is a store: open it, or [`restore`] it elsewhere. (Its
    /// catalogue is rebuilt when it is opened for the first time.)
    ///
    /// Taking in goes on; checkpoints wait until the copy is done. Blocks for the time of writing
    /// all bytes. Errors: [`BackupError`]; the target is then to be removed.
    pub fn backup(&self, target: &Path) -> Result<BackupReport, BackupError> {
        // Fewer bytes of journal; without it the copy would be as good.
        self.checkpoint();
        self.inner.backup(target)
    }
}

impl Inner {
    fn backup(&self, target: &Path) -> Result<BackupReport, BackupError> {
        prepare(target)?;
        let _no_checkpoint = self.checkpoint_gate.lock();
        let mut report = BackupReport::default();
        for child in ["checkpoint", "catalogue-log", "rings", "journal"] {
            let (from, to) = (self.directory.join(child), target.join(child));
            fs::create_dir_all(&to).map_err(io_error(&to))?;
            copy_files(&from, &to, &mut report)?;
        }
        let kept = self.directory.join(kept::FILE);
        copy_file(&kept, &target.join(kept::FILE), &mut report)?;
        // Last: a copy that was cut short is no store.
        copy_file(&self.directory.join("FORMAT"), &target.join("FORMAT"), &mut report)?;
        sync_directory(target).map_err(io_error(target))?;
        Ok(report)
    }
}

/// Puts a backup in place as a new store. Errors: [`BackupError`]; the target must not exist or be
/// empty.
pub fn restore(backup: &Path, target: &Path) -> Result<BackupReport, BackupError> {
    let format = fs::read_to_string(backup.join("FORMAT")).unwrap_or_default();
    if !crate::open::is_readable(&format) {
        return Err(BackupError::Foreign { path: backup.to_owned() });
    }
    prepare(target)?;
    let mut report = BackupReport::default();
    for child in ["checkpoint", "catalogue-log", "rings", "journal"] {
        let (from, to) = (backup.join(child), target.join(child));
        fs::create_dir_all(&to).map_err(io_error(&to))?;
        copy_files(&from, &to, &mut report)?;
    }
    let kept = backup.join(kept::FILE);
    if kept.exists() {
        copy_file(&kept, &target.join(kept::FILE), &mut report)?;
    }
    copy_file(&backup.join("FORMAT"), &target.join("FORMAT"), &mut report)?;
    sync_directory(target).map_err(io_error(target))?;
    Ok(report)
}

fn prepare(target: &Path) -> Result<(), BackupError> {
    fs::create_dir_all(target).map_err(io_error(target))?;
    let mut entries = fs::read_dir(target).map_err(io_error(target))?;
    if entries.next().is_some() {
        return Err(BackupError::NotEmpty { path: target.to_owned() });
    }
    Ok(())
}

fn copy_files(from: &Path, to: &Path, report: &mut BackupReport) -> Result<(), BackupError> {
    for entry in fs::read_dir(from).map_err(io_error(from))? {
        let entry = entry.map_err(io_error(from))?;
        // A checkpoint that is being written is none.
        if entry.file_name() != "unfinished" {
            copy_file(&entry.path(), &to.join(entry.file_name()), report)?;
        }
    }
    sync_directory(to).map_err(io_error(to))
}

/// Copies a file without its holes: extents of rings that were not written to take no space.
fn copy_file(from: &Path, to: &Path, report: &mut BackupReport) -> Result<(), BackupError> {
    use std::os::unix::fs::FileExt;
    let mut source = File::open(from).map_err(io_error(from))?;
    let copy = File::create(to).map_err(io_error(to))?;
    let mut piece = vec![0; 256 << 10];
    let mut at = 0;
    loop {
        let length = source.read(&mut piece).map_err(io_error(from))?;
        if length == 0 {
            break;
        }
        if piece[..length].iter().any(|byte| *byte != 0) {
            copy.write_all_at(&piece[..length], at).map_err(io_error(to))?;
        }
        at += length as u64;
    }
    copy.set_len(at).map_err(io_error(to))?;
    copy.sync_all().map_err(io_error(to))?;
    report.files += 1;
    report.bytes += at;
    Ok(())
}
