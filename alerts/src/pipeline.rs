//! From the event log to decisions: reads events behind the cursor, and wakes for what only time
//! brings (reminders, digests).
//!
//! Each event is one commit: cursor, memory, ledger, queue and traces together. A kill between two
//! commits therefore loses nothing and repeats nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::{ChangeKind, CheckId, Event, EventBody, RecordBatch, Records, Space, chain};
use tokio_util::sync::CancellationToken;

use crate::alerts::Alerts;
use crate::book::{self, Memory, StateError, Told};
use crate::counters::Counters;
use crate::desk::{Desk, Question, memories};
use crate::fold::fold;
use crate::stage::Trigger;

/// How many events are read at once.
const EVENTS_READ: usize = 256;

/// How often what only time brings is looked at. Reminders are asked for in minutes and more.
const TICK: Duration = Duration::from_secs(5);

/// How long to wait after a failed read or commit before the same event is tried again.
const RETRY: Duration = Duration::from_secs(2);

impl Alerts {
    /// Decides about events as they come, and reminds, until `stop`.
    pub(crate) async fn run_pipeline(self: Arc<Self>, stop: CancellationToken) {
        let mut events = self.events.clone();
        let mut tick = tokio::time::interval(TICK);
        loop {
            let alerts = Arc::clone(&self);
            let token = stop.clone();
            let work = tokio::task::spawn_blocking(move || alerts.catch_up(&token));
            let pause = match work.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    tracing::error!(error = %chain(&error), "cannot decide about events");
                    Some(RETRY)
                }
                Err(panic) => {
                    tracing::error!(%panic, "deciding about events panicked");
                    Some(RETRY)
                }
            };
            let next = async {
                if let Some(pause) = pause {
                    return tokio::time::sleep(pause).await;
                }
                tokio::select! {
                    // No more events can come when checks are gone; time still does.
                    changed = events.changed() => if changed.is_err() { tick.tick().await; },
                    _ = tick.tick() => {}
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = next => {}
            }
        }
    }

    /// Decides about all events behind the cursor, then about what time has brought. Blocking.
    pub(crate) fn catch_up(&self, stop: &CancellationToken) -> Result<(), StateError> {
        while !stop.is_cancelled() {
            let cursor = self.counters.lock().cursor();
            let found = book::events_after(self.records.as_ref(), cursor, EVENTS_READ)?;
            let Some(newest) = found.last().map(|(sequence, _)| *sequence) else { break };
            let events: Vec<Option<Event>> = found
                .into_iter()
                .map(|(sequence, event)| {
                    let unreadable = |error| {
                        tracing::error!(sequence, %error, "an event is passed over");
                    };
                    event.map_err(unreadable).ok()
                })
                .collect();
            for (i, event) in events.iter().enumerate() {
                if stop.is_cancelled() {
                    return Ok(());
                }
                if let Some(event) = event {
                    self.decide_event(event, &events[i + 1..])?;
                }
            }
            // An unreadable last event must not be read for ever.
            self.counters.lock().set_cursor(newest);
        }
        if let Some(after) = self.active().config.remind {
            self.remind(after)?;
        }
        self.tell_newcomers()?;
        self.send_digests()
    }

    /// Tells those who can be reached for the first time of what is open. Blocking.
    fn tell_newcomers(&self) -> Result<(), StateError> {
        let active = self.active();
        let mut counters = self.counters.lock();
        let reachable = active.reachable();
        if counters.reachable.as_ref() == Some(&reachable) {
            return Ok(());
        }
        let mut desk = Desk::new(self, &active, &mut counters);
        let known: Option<BTreeSet<String>> =
            book::value(desk.records, Space::Values, "contacts", book::REACHABLE)?;
        if known.as_ref() == Some(&reachable) {
            counters.reachable = Some(reachable);
            return Ok(());
        }
        // At the very first start nobody is new.
        if known.is_some_and(|known| !reachable.is_subset(&known)) {
            for (id, memory) in memories(desk.records, book::MEMORIES)? {
                if memory.problem().is_none() {
                    continue;
                }
                let host = desk.host_of(&id)?;
                let question = Question {
                    id: &id,
                    trigger: Trigger::ContactsChanged,
                    event: None,
                    is_superseded: false,
                    host: host.as_ref(),
                    seen: None,
                    lasting: None,
                };
                desk.decide(&question, &memory)?;
            }
        }
        book::put(&mut desk.batch, Space::Values, book::REACHABLE.to_vec(), &reachable);
        let (batch, queued) = desk.finish();
        self.commit(batch)?;
        counters.reachable = Some(reachable);
        drop(counters);
        self.announce(&queued);
        Ok(())
    }

    /// Decides about one event, in one commit. Blocking.
    pub(crate) fn decide_event(
        &self,
        event: &Event,
        following: &[Option<Event>],
    ) -> Result<(), StateError> {
        let active = self.active();
        let mut counters = self.counters.lock();
        let mut desk = Desk::new(self, &active, &mut counters);
        if let Some(trigger) = trigger(&event.body) {
            weigh(&mut desk, event, trigger, following)?;
        }
        desk.prune()?;
        book::put(&mut desk.batch, Space::Queue, book::CURSOR.to_vec(), &event.sequence);
        let (batch, queued) = desk.finish();
        self.commit(batch)?;
        counters.set_cursor(event.sequence);
        drop(counters);
        self.announce(&queued);
        Ok(())
    }

    /// Reminds of open problems that were told so long ago. Blocking.
    fn remind(&self, after: Duration) -> Result<(), StateError> {
        let now = self.clock.now();
        let told: Vec<(Vec<u8>, Told)> =
            book::values(self.records.as_ref(), Space::Ledger, "ledger", book::TOLD)?;
        let due = told.iter().filter(|(_, told)| now.since(told.at) >= after);
        let mut ids: Vec<CheckId> =
            due.filter_map(|(key, _)| Some(book::id_of_key(key)?.0)).collect();
        ids.dedup();
        for id in &ids {
            let active = self.active();
            let mut counters = self.counters.lock();
            let mut desk = Desk::new(self, &active, &mut counters);
            let memory = desk.memory(id)?;
            let host =
                if id.is_host() { None } else { Some(desk.memory(&CheckId::host(&id.host))?) };
            let question = Question {
                id,
                trigger: Trigger::Reminder,
                event: None,
                is_superseded: false,
                host: host.as_ref(),
                seen: None,
                lasting: None,
            };
            if desk.decide(&question, &memory)? {
                let (batch, queued) = desk.finish();
                self.commit(batch)?;
                drop(counters);
                self.announce(&queued);
            }
        }
        Ok(())
    }

    /// Tells the sender, and the figures, what was queued.
    pub(crate) fn announce(&self, queued: &[u64]) {
        if !queued.is_empty() {
            let now = self.clock.now();
            self.figures.waiting.lock().extend(queued.iter().map(|number| (*number, now)));
            self.queued.notify_one();
        }
    }
}

impl<'a> Desk<'a> {
    fn new(
        alerts: &'a Alerts,
        active: &'a crate::alerts::Active,
        counters: &'a mut Counters,
    ) -> Self {
        Self {
            records: alerts.records.as_ref(),
            active,
            counters,
            now: alerts.clock.now(),
            batch: RecordBatch::new(),
            queued: Vec::new(),
        }
    }

    /// Reads the memory of a check's host; `None` for a host.
    fn host_of(&self, id: &CheckId) -> Result<Option<Memory>, StateError> {
        if id.is_host() { Ok(None) } else { self.memory(&CheckId::host(&id.host)).map(Some) }
    }

    /// Returns the checks of a host that its downtime may have kept back, with the downtime taken
    /// out of what is remembered of them.
    fn after_host_downtime(
        &self,
        event: &Event,
        host: &Memory,
    ) -> Result<HashMap<CheckId, Memory>, StateError> {
        let all = self.memories_of(&event.id.host)?;
        let checks = all.into_iter().filter(|(id, memory)| !id.is_host() && memory.last.is_some());
        Ok(checks
            .map(|(id, mut memory)| {
                if host.downtimes.is_empty() && memory.downtimes.is_empty() {
                    memory.is_in_downtime = false;
                }
                (id, memory)
            })
            .collect())
    }

    fn finish(self) -> (RecordBatch, Vec<u64>) {
        (self.batch, self.queued)
    }
}

/// Begins with the newest event: what happened before the first start is remembered, so that the
/// end of a downtime can be judged, and told to nobody. Returns the cursor.
pub(crate) fn begin(records: &dyn Records) -> Result<u64, StateError> {
    let mut cursor = 0;
    let mut memories: HashMap<CheckId, Memory> = HashMap::new();
    loop {
        let found = book::events_after(records, cursor, EVENTS_READ)?;
        let Some((last, _)) = found.last() else { break };
        cursor = *last;
        for event in found.into_iter().filter_map(|(_, event)| event.ok()) {
            fold(memories.entry(event.id.clone()).or_default(), &event);
        }
    }
    let mut batch = RecordBatch::new();
    for (id, memory) in memories.iter().filter(|(_, memory)| !memory.is_plain()) {
        book::put(&mut batch, Space::Ledger, book::memory_key(id), memory);
    }
    book::put(&mut batch, Space::Queue, book::CURSOR.to_vec(), &cursor);
    records.commit(batch).map_err(StateError::Write)?;
    Ok(cursor)
}

/// Decides about what an event asks for: of what it is about, and of a host's checks when the
/// host's downtime is over.
fn weigh(
    desk: &mut Desk<'_>,
    event: &Event,
    trigger: Trigger,
    following: &[Option<Event>],
) -> Result<(), StateError> {
    let mut memory = desk.memory(&event.id)?;
    fold(&mut memory, event);
    let mut others = HashMap::new();
    if event.id.is_host() && matches!(event.body, EventBody::DowntimeEnded { .. }) {
        others = desk.after_host_downtime(event, &memory)?;
    }
    let host = desk.host_of(&event.id)?;
    let mut question = Question {
        id: &event.id,
        trigger,
        event: Some(event.sequence),
        is_superseded: is_superseded(event, &event.id, following),
        host: host.as_ref(),
        seen: match &event.body {
            EventBody::State(change) => Some(change.status),
            _ => None,
        },
        lasting: match &event.body {
            EventBody::State(change) => change.lasting,
            _ => None,
        },
    };
    desk.decide(&question, &memory)?;
    for (id, other) in &others {
        question.id = id;
        question.is_superseded = is_superseded(event, id, following);
        question.host = Some(&memory);
        question.seen = None;
        question.lasting = None;
        desk.decide(&question, other)?;
        desk.keep(id, other);
    }
    desk.keep(&event.id, &memory);
    Ok(())
}

/// Returns what an event asks for; nothing when it only says what the server itself did.
fn trigger(body: &EventBody) -> Option<Trigger> {
    Some(match body {
        EventBody::State(change) => Trigger::Change(change.kind),
        EventBody::DowntimeEnded { .. } => Trigger::DowntimeEnded,
        EventBody::Unacknowledged { .. } => Trigger::AcknowledgementEnded,
        EventBody::FlappingStopped { .. } => Trigger::FlappingStopped,
        EventBody::Acknowledged { .. } => Trigger::Untold("acknowledgement"),
        EventBody::DowntimeStarted { .. } => Trigger::Untold("downtime began"),
        EventBody::FlappingStarted { .. } => Trigger::Untold("flapping began"),
        EventBody::Commented { .. } => Trigger::Untold("comment"),
        // A line each would stand between the decisions about the change that it belongs to.
        EventBody::HandlerRan { .. } | EventBody::Configured { .. } => return None,
    })
}

/// Tells whether the log goes on with a hard change of `id` at the moment of `event`: an
/// acknowledgement that ends with its problem is logged before the recovery, and must not tell
/// anybody of a problem that is over.
fn is_superseded(event: &Event, id: &CheckId, following: &[Option<Event>]) -> bool {
    if matches!(event.body, EventBody::State(_)) {
        return false;
    }
    let same_moment = following.iter().flatten().take_while(|next| next.at == event.at);
    let mut changes =
        same_moment.filter(|next| next.id == *id).filter_map(|next| match &next.body {
            EventBody::State(change) => Some(change.kind),
            _ => None,
        });
    changes.any(|kind| matches!(kind, ChangeKind::HardProblem | ChangeKind::HardRecovery))
}

#[cfg(test)]
mod tests;
