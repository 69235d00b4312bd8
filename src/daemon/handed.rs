//! Results whose senders hear no answer: taken in where the configuration says, from the moment it
//! says so; what is not taken shows as a check of the server.

use std::sync::Arc;
use std::time::Duration;

use noroshi_checks::{
    Checks, Complaint, NscaMethod, NscaSpec, ResultFilesSpec, serve_commands, serve_nsca,
    serve_result_files,
};
use noroshi_model::Status;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Daemon;
use crate::config::{self, HandedIn};

/// How long until what could not be opened is tried again.
const PAUSE: Duration = Duration::from_secs(10);
/// How often it is looked at what was not taken.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// While nothing changes the result is handed in this often.
const TELL_EVERY: Duration = Duration::from_mins(1);
/// For how long something that was not taken is a problem: senders that come once an hour stay.
const REMEMBERED: Duration = Duration::from_mins(70);
/// How many complaints are listed.
const LISTED_MAX: usize = 20;

/// Starts the roads by which results come in.
pub(super) fn spawn(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    checks: &Arc<Checks>,
    config: &watch::Sender<HandedIn>,
    stop: &CancellationToken,
) {
    let (taking, token) = (Arc::clone(checks), stop.clone());
    let commands = move |path: std::path::PathBuf| {
        let (checks, stop) = (Arc::clone(&taking), token.clone());
        async move {
            tracing::info!(path = %path.display(), "external commands are read");
            // The pipe stays when the server ends: whoever writes then waits for the next start;
            // without it a script would make a plain file of that name.
            if let Err(error) = serve_commands(&path, checks, stop).await {
                tracing::error!(
                    path = %path.display(), %error,
                    "cannot read external commands; is the folder there, and the file a named pipe?"
                );
            }
        }
    };
    tasks.spawn(follow(config.subscribe(), |config| config.command_file, commands, stop.clone()));
    let (taking, token) = (Arc::clone(checks), stop.clone());
    let nsca = move |spec: NscaSpec| listen(spec, Arc::clone(&taking), token.clone());
    tasks.spawn(follow(config.subscribe(), |config| config.nsca, nsca, stop.clone()));
    let (taking, token) = (Arc::clone(checks), stop.clone());
    let files = move |spec: ResultFilesSpec| {
        let (checks, stop) = (Arc::clone(&taking), token.clone());
        async move {
            tracing::info!(path = %spec.folder.display(), "check result files are read");
            if let Err(error) = serve_result_files(&spec, checks, stop).await {
                let path = spec.folder.display();
                tracing::error!(%path, %error, "cannot read check result files");
            }
        }
    };
    tasks.spawn(follow(config.subscribe(), |config| config.result_files, files, stop.clone()));
}

/// Takes results by NSCA in until `stop`; returns earlier when the address cannot be had.
async fn listen(spec: NscaSpec, checks: Arc<Checks>, stop: CancellationToken) {
    let address = spec.listen;
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%address, %error, "cannot listen for NSCA; does a nsca daemon run?");
            return;
        }
    };
    if spec.method == NscaMethod::None && !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "NSCA without encryption: whoever reaches this address can hand results in"
        );
    }
    tracing::info!(%address, "results by NSCA are taken");
    serve_nsca(listener, spec, checks, stop).await;
}

/// Runs what a part of the configuration asks for, and again when that part has changed.
async fn follow<S, F>(
    mut config: watch::Receiver<HandedIn>,
    part: fn(HandedIn) -> Option<S>,
    run: impl Fn(S) -> F,
    stop: CancellationToken,
) -> anyhow::Result<()>
where
    S: Clone + PartialEq,
    F: Future<Output = ()>,
{
    loop {
        let now = part(config.borrow_and_update().clone());
        let running = async {
            let Some(spec) = now.clone() else { return std::future::pending().await };
            run(spec).await;
            tokio::time::sleep(PAUSE).await;
        };
        let changed = async {
            while config.changed().await.is_ok() {
                if part(config.borrow_and_update().clone()) != now {
                    return;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = changed => {}
            () = running => {}
        }
    }
}

impl Daemon {
    /// Shows as a check what could not be taken, until `stop`.
    pub(super) async fn watch_handed_in(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut told: Option<((Status, String), Instant)> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if !self.handed_in.borrow().is_any() {
                told = None;
                continue;
            }
            let since = self.clock.now() - REMEMBERED;
            let now = verdict(&self.checks.handed_in().complaints(since));
            let is_news =
                told.as_ref().is_none_or(|(last, at)| *last != now || at.elapsed() > TELL_EVERY);
            if is_news && self.hand_in(config::HANDED_IN_CHECK, now.0, now.1.clone()).await {
                told = Some((now, Instant::now()));
            }
        }
    }
}

/// Judges by what could not be taken of late.
fn verdict(complaints: &[Complaint]) -> (Status, String) {
    if complaints.is_empty() {
        return (Status::Ok, "what was handed in was taken".to_owned());
    }
    let line = |complaint: &Complaint| {
        let (road, what) = (complaint.road.as_str(), &complaint.what);
        format!("{road}: {what} ({} times)", complaint.count)
    };
    let mut lines = vec![match complaints {
        [one] => line(one),
        [first, ..] => format!("{}; and {} more", line(first), complaints.len() - 1),
        [] => String::new(),
    }];
    lines.extend(complaints.iter().skip(1).take(LISTED_MAX).map(line));
    (Status::Warning, lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use noroshi_checks::Road;
    use noroshi_model::Timestamp;

    #[test]
    fn what_was_not_taken_is_named() {
        assert_eq!(verdict(&[]).0, Status::Ok);
        let complaint = |what: &str, count| Complaint {
            road: Road::Nsca,
            what: what.to_owned(),
            count,
            last: Timestamp::from_secs(0),
        };
        let one = complaint("there is no check web9/disk", 3);
        let text = "nsca: there is no check web9/disk (3 times)";
        assert_eq!(verdict(std::slice::from_ref(&one)), (Status::Warning, text.to_owned()));
        let both = verdict(&[one, complaint("192.0.2.7: silent for 10 s", 1)]).1;
        assert_eq!(both, format!("{text}; and 1 more\nnsca: 192.0.2.7: silent for 10 s (1 times)"));
    }
}
