//! From the queue to the mail server: what is tried when, and what is written down afterwards.
//!
//! A notification leaves the queue in the commit that directly follows the server's 250; nothing
//! is asked of the server in between. See `README.md`, "Once, and in order".

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lettre::message::Message;
use noroshi_model::{CheckId, RecordBatch, Space, Timestamp, chain};
use tokio_util::sync::CancellationToken;

use crate::alerts::{Active, Alerts};
use crate::book::{self, Letter, Notification, StateError, Told};
use crate::counters::waiting;
use crate::message::{self, sheet::Reader};
use crate::picture::Picture;
use crate::smtp::{Failure, FailureKind, Server, Session};
use crate::view::{NotificationKind, NotificationState};

/// How many mails go over one connection.
const CONNECTION_MAILS_MAX: usize = 20;

/// How many connections are open at once: a big storm is over sooner, and no server minds.
const CONNECTIONS_MAX: usize = 3;

/// First pause before another attempt; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(15);

/// Longest pause before another attempt.
const PAUSE_MAX: Duration = Duration::from_mins(15);

/// How long a notification is tried: a page about yesterday helps nobody.
const AGE_MAX: Duration = Duration::from_hours(24);

/// How long a mail that is being handed over when the server stops may take.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Longest sleep between two looks at the queue: the clock may jump.
const SLEEP_MAX: Duration = Duration::from_secs(5);

/// Pause after records could not be read or written.
const RETRY: Duration = Duration::from_secs(1);

/// Pictures drawn for one share: by subject, event and zone.
type Pictures = HashMap<(CheckId, Option<u64>, String), Option<Picture>>;

/// What came of one mail.
type Outcome = Result<(), Failure>;

impl Alerts {
    /// Sends what is queued until `stop`.
    pub(crate) async fn run_sender(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.send_due(&stop).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(error = %chain(&error), "cannot read the mail queue");
                    RETRY
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.queued.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Sends what is due, and returns how long nothing will be due.
    async fn send_due(self: &Arc<Self>, stop: &CancellationToken) -> Result<Duration, StateError> {
        loop {
            let active = self.active();
            let Some(server) = &active.server else { return Ok(SLEEP_MAX) };
            let is_hurried = self.figures.hurry.swap(false, Ordering::SeqCst);
            let alerts = Arc::clone(self);
            let read = tokio::task::spawn_blocking(move || waiting(alerts.records.as_ref()));
            let all = read.await.unwrap_or_else(|p| std::panic::resume_unwind(p.into_panic()))?;
            let now = self.clock.now();
            let heads = heads_of_lanes(all);
            let (due, later): (Vec<_>, Vec<_>) =
                heads.into_iter().partition(|one| is_hurried || is_due(one, now));
            if due.is_empty() || stop.is_cancelled() {
                let next = later.iter().map(|one| one.next_attempt.since(now)).min();
                let floor = Duration::from_millis(20);
                return Ok(next.unwrap_or(SLEEP_MAX).clamp(floor, SLEEP_MAX));
            }
            let share = due.len().div_ceil(CONNECTIONS_MAX).clamp(1, CONNECTION_MAILS_MAX);
            let mut shares = due.chunks(share).take(CONNECTIONS_MAX);
            let each = shares.by_ref().map(|share| self.deliver(&active, server, share, stop));
            futures::future::join_all(each).await;
        }
    }

    /// Sends a share of the queue over one connection, or a new one after each failure.
    async fn deliver(
        self: &Arc<Self>,
        active: &Active,
        server: &Server,
        share: &[Notification],
        stop: &CancellationToken,
    ) {
        let mut session = None;
        let mut pictures = HashMap::new();
        for (i, notification) in share.iter().enumerate() {
            if stop.is_cancelled() {
                break;
            }
            let picture = tokio::select! {
                picture = self.picture_once(&mut pictures, active, notification) => picture,
                () = stop.cancelled() => break,
            };
            let written = self.write_guarded(active, server, notification, picture);
            let outcome = match written {
                Err(failure) => Err(failure),
                Ok(message) => {
                    tokio::select! {
                        outcome = hand_over(server, &mut session, &message) => outcome,
                        () = grace(stop) => return,
                    }
                }
            };
            self.settle(notification.number, &outcome, stop).await;
            let Err(failure) = outcome else { continue };
            // After an error the connection is closed (lettre says QUIT), and a half-spoken one
            // must not be used again.
            session = None;
            if failure.kind.is_of_connection() {
                // The same would happen to the others, 30 seconds later each.
                for other in &share[i + 1..] {
                    self.settle(other.number, &Err(failure.clone()), stop).await;
                }
                return;
            }
        }
        if let Some(session) = session {
            session.close().await;
        }
    }

    /// Draws a picture once for all who are told of the same change.
    async fn picture_once(
        self: &Arc<Self>,
        pictures: &mut Pictures,
        active: &Active,
        notification: &Notification,
    ) -> Option<Picture> {
        let zone = zone_of(active, notification);
        let key = (
            notification.id.clone(),
            notification.letter.as_ref().and_then(|l| l.change.as_ref()).map(|c| c.event),
            zone.iana_name().unwrap_or_default().to_owned(),
        );
        if let Some(picture) = pictures.get(&key) {
            return picture.clone();
        }
        let picture = self.picture(notification, zone).await;
        pictures.insert(key, picture.clone());
        picture
    }

    /// Writes a mail; one that cannot be written for a fault of ours does not hold up the others.
    fn write_guarded(
        &self,
        active: &Active,
        server: &Server,
        notification: &Notification,
        picture: Option<Picture>,
    ) -> Result<Message, Failure> {
        let write = AssertUnwindSafe(|| self.write(active, server, notification, picture));
        std::panic::catch_unwind(write).unwrap_or_else(|_| {
            Err(Failure::new(FailureKind::Unwritable, "writing the mail panicked; see the log"))
        })
    }

    fn write(
        &self,
        active: &Active,
        server: &Server,
        notification: &Notification,
        picture: Option<Picture>,
    ) -> Result<Message, Failure> {
        let zone = zone_of(active, notification);
        let base_url = &active.config.base_url;
        let reader = Reader { zone: &zone, base_url, now: self.clock.now() };
        message::write(notification, server.from(), picture, &reader)
    }

    /// Writes down what came of a mail; waits until that is durable. While it cannot be, nothing
    /// else is sent over this connection: what cannot be remembered would be sent twice.
    async fn settle(self: &Arc<Self>, number: u64, outcome: &Outcome, stop: &CancellationToken) {
        loop {
            let (alerts, outcome) = (Arc::clone(self), outcome.clone());
            let work = tokio::task::spawn_blocking(move || alerts.write_down(number, &outcome));
            match work.await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    tracing::error!(
                        notification = number,
                        error = %chain(&error),
                        "cannot write down what came of a mail; sending waits"
                    );
                }
                Err(panic) => tracing::error!(%panic, "writing down what came of a mail panicked"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    /// Takes a notification out of the queue, or sets its next attempt. Blocking.
    pub(crate) fn write_down(&self, number: u64, outcome: &Outcome) -> Result<(), StateError> {
        let key = book::notification_key(number);
        // Under the same lock as decisions: both change the ledger.
        let counters = self.counters.lock();
        let found = book::value(self.records.as_ref(), Space::Queue, "notifications", &key)?;
        let Some(mut notification): Option<Notification> = found else { return Ok(()) };
        let now = self.clock.now();
        let mut batch = RecordBatch::new();
        let letter = notification.letter.clone();
        let event_at = letter.as_ref().and_then(|l| l.change.as_ref()).map(|c| c.at);
        note(&mut notification, outcome, now);
        if notification.state == NotificationState::Failed {
            self.take_back(&mut batch, &notification, letter.as_ref())?;
        }
        book::put_notification(&mut batch, &notification);
        self.commit(batch)?;
        drop(counters);
        self.count(&notification, event_at.map(|at| now.since(at)));
        Ok(())
    }

    /// Mends the ledger when nothing that carried a message arrived: they still believe what they
    /// believed before.
    fn take_back(
        &self,
        batch: &mut RecordBatch,
        notification: &Notification,
        letter: Option<&Letter>,
    ) -> Result<(), StateError> {
        let mut ids = vec![&notification.id];
        if notification.kind == NotificationKind::Digest {
            ids = letter.iter().flat_map(|letter| &letter.others).map(|other| &other.id).collect();
        }
        for id in ids {
            let key = book::told_key(id, &notification.contact);
            let found = book::value(self.records.as_ref(), Space::Ledger, "ledger", &key)?;
            let Some(told): Option<Told> = found else { continue };
            match told.without(notification.number) {
                Some(told) => book::put(batch, Space::Ledger, key, &told),
                None => batch.remove(Space::Ledger, key),
            }
        }
        Ok(())
    }

    fn count(&self, notification: &Notification, delay: Option<Duration>) {
        let (number, contact, id) = (notification.number, &notification.contact, &notification.id);
        let error = notification.error.as_deref().unwrap_or_default();
        let figure = match notification.state {
            NotificationState::Sent => {
                tracing::info!(notification = number, %contact, %id, "mail sent");
                if let Some(delay) = delay {
                    let delay = noroshi_model::time::millis(delay);
                    self.figures.last_delay.store(delay, Ordering::Relaxed);
                }
                &self.figures.sent
            }
            NotificationState::Queued => {
                let attempt = notification.attempts;
                tracing::warn!(notification = number, %contact, %id, attempt, error, "mail deferred");
                &self.figures.deferred
            }
            NotificationState::Failed | NotificationState::Suppressed => {
                tracing::error!(notification = number, %contact, %id, error, "mail given up");
                &self.figures.failed
            }
        };
        figure.fetch_add(1, Ordering::Relaxed);
        if notification.state != NotificationState::Queued {
            self.figures.waiting.lock().remove(&number);
        }
    }
}

/// Sets what came of an attempt.
fn note(notification: &mut Notification, outcome: &Outcome, now: Timestamp) {
    notification.attempts += 1;
    let failure = match outcome {
        Ok(()) => {
            notification.state = NotificationState::Sent;
            notification.sent_at = Some(now);
            notification.error = None;
            notification.letter = None;
            return;
        }
        Err(failure) => failure,
    };
    let is_late = now.since(notification.at) > AGE_MAX;
    let failure = if is_late && !failure.kind.is_permanent() {
        Failure::new(FailureKind::Expired, format!("last error: {failure}"))
    } else {
        failure.clone()
    };
    notification.error = Some(failure.to_string());
    if failure.kind.is_permanent() {
        notification.state = NotificationState::Failed;
        notification.letter = None;
    } else {
        notification.next_attempt = now + pause(notification.attempts);
    }
}

/// Returns the pause after so many attempts: 15 s, 30 s, 1 min, ..., 15 min.
fn pause(attempts: u32) -> Duration {
    let doubled = 2u32.saturating_pow(attempts.saturating_sub(1).min(16));
    PAUSE_MIN.saturating_mul(doubled).min(PAUSE_MAX)
}

/// Tells whether an attempt is due. One that is further away than any pause was planned before
/// the clock jumped back.
fn is_due(notification: &Notification, now: Timestamp) -> bool {
    notification.next_attempt <= now || notification.next_attempt.since(now) > PAUSE_MAX
}

/// Returns the oldest that waits of each lane. A lane is an address and a subject: within it
/// order matters, since the last that arrives is what is believed; a recovery never overtakes
/// its problem.
fn heads_of_lanes(all: Vec<Notification>) -> Vec<Notification> {
    let mut lanes = HashSet::new();
    all.into_iter()
        .filter(|one| {
            let is_test = one.kind == NotificationKind::Test;
            is_test || lanes.insert((one.address.clone(), one.id.clone()))
        })
        .collect()
}

fn zone_of(active: &Active, notification: &Notification) -> jiff::tz::TimeZone {
    let contacts = &active.config.contacts;
    let contact = contacts.iter().find(|contact| contact.name == notification.contact);
    contact.map_or(jiff::tz::TimeZone::UTC, |contact| contact.zone.clone())
}

/// Hands a mail over, connecting first when there is no connection.
async fn hand_over(server: &Server, session: &mut Option<Session>, message: &Message) -> Outcome {
    let open = match session {
        Some(open) => open,
        None => session.insert(server.connect().await?),
    };
    open.send(message.envelope(), &message.formatted()).await
}

/// Ends a while after `stop`.
async fn grace(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_GRACE).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_quarter_of_an_hour() {
        let pauses: Vec<u64> = (1..=9).map(|attempts| pause(attempts).as_secs()).collect();
        assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(pause(u32::MAX), PAUSE_MAX);
    }
}
