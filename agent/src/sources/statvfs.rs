//! Asks how full a file system is without waiting for one that hangs.
//!
//! `statvfs` on a dead NFS server does not return and cannot be interrupted. It is therefore asked
//! on a thread of its own; a thread that does not answer in time is left to itself, and its path is
//! not asked again until it has answered.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::fs::statvfs;

/// Most threads that may hang at once; with more, file systems count as hanging without being
/// asked. A thread takes 64 KiB of address space and next to no memory.
const STUCK_MAX: usize = 32;

/// The stack of a thread, in bytes: it calls one function.
const STACK_BYTES: usize = 64 << 10;

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) size_bytes: u64,
    /// Free, the part reserved for root included.
    pub(super) free_bytes: u64,
    /// Free for everybody.
    pub(super) available_bytes: u64,
    pub(super) files: u64,
    pub(super) files_free: u64,
}

/// Why a file system could not be asked.
#[derive(Debug)]
pub(super) enum AskError {
    /// It hangs, or may.
    Stuck,
    /// It answered with an error.
    Refused,
}

/// Asks, and remembers who has not answered yet.
#[derive(Default)]
pub(super) struct Asker {
    worker: Option<Worker>,
    stuck: Vec<(PathBuf, Worker)>,
}

/// A thread that asks one path after the other. It ends when its `paths` end.
struct Worker {
    paths: SyncSender<PathBuf>,
    answers: Receiver<Result<Space, AskError>>,
}

impl Asker {
    /// Asks one file system and waits at most `timeout`.
    pub(super) fn ask(&mut self, path: &Path, timeout: Duration) -> Result<Space, AskError> {
        self.stuck
            .retain(|(_, worker)| worker.answers.try_recv().err() == Some(TryRecvError::Empty));
        if self.stuck.len() >= STUCK_MAX || self.stuck.iter().any(|(hung, _)| hung == path) {
            return Err(AskError::Stuck);
        }
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start().map_err(|_| AskError::Refused)?,
        };
        // The thread is idle: the one place in the channel is free.
        worker.paths.try_send(path.into()).map_err(|_| AskError::Refused)?;
        if let Ok(answer) = worker.answers.recv_timeout(timeout) {
            self.worker = Some(worker);
            answer
        } else {
            self.stuck.push((path.into(), worker));
            Err(AskError::Stuck)
        }
    }
}

impl Worker {
    fn start() -> io::Result<Self> {
        let (paths, asked) = sync_channel::<PathBuf>(1);
        let (answer, answers) = sync_channel(1);
        let work = move || {
            // Ends when the asker is gone, from either side.
            while let Ok(path) = asked.recv() {
                if answer.send(ask(&path)).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("statvfs".into()).stack_size(STACK_BYTES).spawn(work)?;
        Ok(Self { paths, answers })
    }
}

fn ask(path: &Path) -> Result<Space, AskError> {
    let found = statvfs(path).map_err(|_| AskError::Refused)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space {
        size_bytes: bytes(found.f_blocks),
        free_bytes: bytes(found.f_bfree),
        available_bytes: bytes(found.f_bavail),
        files: found.f_files,
        files_free: found.f_ffree,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker in the place of one whose file system hangs: answers when the test says so.
    fn hanging(path: &str) -> (Asker, SyncSender<Result<Space, AskError>>) {
        let (paths, _) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let worker = Worker { paths, answers };
        (Asker { worker: None, stuck: vec![(path.into(), worker)] }, answer)
    }

    #[test]
    fn a_file_system_that_hangs_is_asked_again_only_after_it_answered() {
        let (mut asker, answer) = hanging("/");
        let second = Duration::from_mins(1);
        assert!(matches!(asker.ask(Path::new("/"), second), Err(AskError::Stuck)));
        // Others are asked meanwhile, each time by the same second thread.
        assert!(asker.ask(Path::new("/proc"), second).is_ok());
        assert!(matches!(asker.ask(Path::new("/nowhere"), second), Err(AskError::Refused)));
        answer.send(Err(AskError::Refused)).unwrap();
        assert!(asker.ask(Path::new("/"), second).is_ok());
        assert!(asker.stuck.is_empty());
    }

    #[test]
    fn a_thread_that_does_not_answer_in_time_is_left_to_itself() {
        // A worker that takes the path and never answers.
        let (paths, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let mut asker = Asker { worker: Some(Worker { paths, answers }), stuck: Vec::new() };
        let result = asker.ask(Path::new("/dead"), Duration::from_millis(10));
        assert!(matches!(result, Err(AskError::Stuck)));
        assert_eq!(asked.recv().unwrap(), Path::new("/dead"));
        assert_eq!(asker.stuck.len(), 1);
        assert!(asker.ask(Path::new("/"), Duration::from_mins(1)).is_ok());
        drop(answer);
    }

    #[test]
    fn too_many_hanging_file_systems_stop_the_asking() {
        let (mut asker, answer) = hanging("/0");
        let mut answers = vec![answer];
        for number in 1..STUCK_MAX {
            let (mut other, answer) = hanging(&format!("/{number}"));
            asker.stuck.append(&mut other.stuck);
            answers.push(answer);
        }
        let ask = |asker: &mut Asker| asker.ask(Path::new("/"), Duration::from_mins(1));
        assert!(matches!(ask(&mut asker), Err(AskError::Stuck)));
        answers.pop();
        assert!(ask(&mut asker).is_ok());
    }
}
