//! The spawner: a small process that starts plug-ins for the server and follows them to their end.
//!
//! It has the limits and the user that plug-ins are to have, so that nothing has to be set between
//! fork and exec: each start is a `posix_spawn`, which costs the same however large the server is.
//! Its end of the line is its standard input. When the line ends, the server has: every plug-in
//! under way is ended, and the spawner too.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::frame::{self, Request};
use super::run::{Ran, run};

/// How many answers wait to be written; a run that ends while so many do waits too.
const ANSWERS_MAX: usize = 256;
/// How much is read ahead.
const BUFFER_BYTES: usize = 64 * 1024;

/// Serves the server at the other end of standard input until it ends.
///
/// Errors: standard input is no socket, or what comes through it is no request.
pub async fn serve_spawner() -> io::Result<()> {
    // A session of its own: a Ctrl-C at the server's terminal is the server's to act on, and what
    // is left of the session when the spawner is killed can be found. Fails for a leader of a
    // group, which only a person at a terminal would start.
    rustix::process::setsid()?;
    let stream = StdStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    stream.set_nonblocking(true)?;
    let (read, write) = UnixStream::from_std(stream)?.into_split();
    let (answers, waiting) = mpsc::channel(ANSWERS_MAX);
    let ended = tokio::select! {
        served = take_requests(BufReader::with_capacity(BUFFER_BYTES, read), answers) => served,
        written = write_answers(write, waiting) => written,
    };
    match ended {
        // A server that was killed left answers unread.
        Err(error)
            if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
        {
            Ok(())
        }
        ended => ended,
    }
}

/// Begins what is asked for. When it returns, everything under way is ended.
async fn take_requests(
    mut from: BufReader<OwnedReadHalf>,
    answers: mpsc::Sender<(u64, Ran)>,
) -> io::Result<()> {
    let mut runs = JoinSet::new();
    let mut handles: HashMap<u64, AbortHandle> = HashMap::new();
    while let Some((request, _)) = frame::read::<Request>(&mut from).await? {
        while let Some(Ok(id)) = runs.try_join_next() {
            handles.remove(&id);
        }
        match request {
            Request::Run { id, argv, env, time_limit } => {
                let answers = answers.clone();
                let handle = runs.spawn(async move {
                    let ran = run(&argv, &env, time_limit).await;
                    // Without the writer this process is about to end.
                    drop(answers.send((id, ran)).await);
                    id
                });
                handles.insert(id, handle);
            }
            Request::Cancel { id } => {
                if let Some(handle) = handles.remove(&id) {
                    handle.abort();
                }
            }
        }
    }
    // Dropping a run kills its process group.
    runs.shutdown().await;
    Ok(())
}

async fn write_answers(
    mut to: OwnedWriteHalf,
    mut answers: mpsc::Receiver<(u64, Ran)>,
) -> io::Result<()> {
    let (mut ready, mut bytes) = (Vec::new(), Vec::new());
    while answers.recv_many(&mut ready, ANSWERS_MAX).await > 0 {
        for (id, ran) in ready.drain(..) {
            frame::put_answer(&mut bytes, id, &ran)?;
        }
        to.write_all(&bytes).await?;
        bytes.clear();
    }
    // The other half tells what happened.
    std::future::pending().await
}
