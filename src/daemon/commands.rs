//! The external command file: read where the configuration says, from the moment it says so.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use noroshi_checks::{Checks, serve_commands};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long until a pipe that could not be opened is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// Reads commands until `stop`. The pipe stays when the server ends: whoever writes then waits for
/// the next start; without it a script would make a plain file of that name.
pub(super) async fn serve(
    checks: Arc<Checks>,
    mut path: watch::Receiver<Option<PathBuf>>,
    stop: CancellationToken,
) {
    loop {
        let now = path.borrow_and_update().clone();
        let serving = async {
            let Some(path) = now else { return std::future::pending().await };
            tracing::info!(path = %path.display(), "external commands are read");
            if let Err(error) = serve_commands(&path, Arc::clone(&checks), stop.clone()).await {
                tracing::error!(
                    path = %path.display(), %error,
                    "cannot read external commands; is the folder there, and the file a named pipe?"
                );
            }
            tokio::time::sleep(PAUSE).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = path.changed() => if changed.is_err() { return },
            () = serving => {}
        }
    }
}
