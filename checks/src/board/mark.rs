//! What people and programs do to the board: acknowledgements, downtimes, comments.

use noroshi_model::{CheckId, EventBody, Status, Timestamp};

use super::Board;
use crate::action::{Acknowledge, ActionError, Downtime, TEXT_BYTES_MAX};
use crate::mark::{Comment, Moved, PlannedDowntime};
use crate::record;
use crate::state::Acknowledgement;

/// How many comments a check keeps; the oldest goes first.
const COMMENTS_MAX: usize = 50;
/// Whom an acknowledgement names as having ended it when its time was up.
const EXPIRED: &str = "its time was up";

impl Board {
    /// Takes a problem on. A second one takes the place of the first.
    pub(crate) fn acknowledge(
        &mut self,
        id: &CheckId,
        asked: Acknowledge,
        now: Timestamp,
    ) -> Result<(), ActionError> {
        bound(&[&asked.author, &asked.comment])?;
        let entry = self.entries.get_mut(id).ok_or_else(|| missing(id))?;
        let problem = entry.state.problem.filter(|problem| problem.sequence != 0);
        let problem = problem.ok_or_else(|| ActionError::NoProblem { id: id.clone() })?;
        entry.state.acknowledgement = Some(Acknowledgement {
            author: asked.author.clone(),
            comment: asked.comment.clone(),
            at: now,
            until: asked.until,
            is_sticky: asked.is_sticky,
        });
        if let Some(until) = asked.until {
            self.expiring.insert((until, id.clone()));
        }
        let body = EventBody::Acknowledged {
            problem: problem.sequence,
            author: asked.author,
            comment: asked.comment,
            is_sticky: asked.is_sticky,
            until: asked.until,
        };
        self.log(id, body, now);
        self.remember(id, true);
        Ok(())
    }

    /// Gives a problem back.
    pub(crate) fn unacknowledge(
        &mut self,
        id: &CheckId,
        author: String,
        now: Timestamp,
    ) -> Result<(), ActionError> {
        bound(&[&author])?;
        let entry = self.entries.get_mut(id).ok_or_else(|| missing(id))?;
        if entry.state.acknowledgement.take().is_none() {
            return Err(ActionError::NotAcknowledged { id: id.clone() });
        }
        let problem = entry.state.problem.map_or(0, |problem| problem.sequence);
        self.log(id, EventBody::Unacknowledged { problem, author }, now);
        self.remember(id, true);
        Ok(())
    }

    /// Plans a downtime, for the hosts behind too if asked for. Returns its number.
    pub(crate) fn plan_downtime(
        &mut self,
        asked: &Downtime,
        now: Timestamp,
    ) -> Result<u64, ActionError> {
        self.plan_downtimes(asked, false, now)
    }

    /// Plans downtimes. `triggers`: those of the hosts behind begin when the host's does.
    pub(crate) fn plan_downtimes(
        &mut self,
        asked: &Downtime,
        triggers: bool,
        now: Timestamp,
    ) -> Result<u64, ActionError> {
        bound(&[&asked.author, &asked.comment])?;
        if !self.entries.contains_key(&asked.id) {
            return Err(missing(&asked.id));
        }
        if asked.end <= asked.start || asked.end <= now {
            return Err(ActionError::DowntimeIsEmpty);
        }
        if let Some(downtime) = asked.triggered_by.filter(|n| !self.downtimes.all.has(*n)) {
            return Err(ActionError::NoSuchDowntime { downtime });
        }
        let mut ids = vec![asked.id.clone()];
        if asked.is_for_children && asked.id.is_host() {
            ids.extend(self.behind(&asked.id).into_iter().filter(CheckId::is_host));
        }
        let mut first = None;
        for id in ids {
            let number = self.take_mark();
            let downtime = PlannedDowntime {
                id,
                start: asked.start,
                end: asked.end,
                author: asked.author.clone(),
                comment: asked.comment.clone(),
                duration: asked.duration,
                triggered_by: first.filter(|_| triggers).or(asked.triggered_by),
                began: None,
                until: None,
            };
            record::put_downtime(&mut self.out.batch, number, &downtime);
            self.show_downtime(&downtime);
            self.downtimes.all.insert(number, downtime);
            first = first.or(Some(number));
        }
        self.tick(now);
        if asked.duration.is_some() {
            self.begin_for_open_problems(&asked.id, now);
        }
        Ok(first.unwrap_or_default())
    }

    /// Ends a downtime, or takes it back before it began; those that it triggers go with it.
    pub(crate) fn cancel_downtime(
        &mut self,
        number: u64,
        now: Timestamp,
    ) -> Result<(), ActionError> {
        let mut numbers = vec![number];
        if self.downtimes.all.get(number).is_none_or(PlannedDowntime::is_called_off) {
            return Err(ActionError::NoSuchDowntime { downtime: number });
        }
        while let Some(number) = numbers.pop() {
            let Some(downtime) = self.downtimes.all.remove(number) else { continue };
            let triggered = self.downtimes.all.iter();
            numbers.extend(
                triggered.filter(|(_, d)| d.triggered_by == Some(number)).map(|(other, _)| other),
            );
            record::remove_downtime(&mut self.out.batch, number);
            if downtime.is_active() {
                self.log_downtime_end(number, &downtime, true, now);
            }
            self.show_downtime(&downtime);
            self.call_off(number, downtime);
        }
        Ok(())
    }

    /// Adds a comment; of too many the oldest goes.
    pub(crate) fn comment(
        &mut self,
        id: &CheckId,
        author: String,
        text: String,
        now: Timestamp,
    ) -> Result<(), ActionError> {
        bound(&[&author, &text])?;
        if !self.entries.contains_key(id) {
            return Err(missing(id));
        }
        let number = self.take_mark();
        let comment =
            Comment { id: id.clone(), at: now, author: author.clone(), text: text.clone() };
        record::put_comment(&mut self.out.batch, number, &comment);
        self.comments.insert(number, comment);
        let of_this = self.comments.of_host(&id.host).filter(|(_, comment)| comment.id == *id);
        let numbers: Vec<u64> = of_this.map(|(number, _)| number).collect();
        for number in numbers.iter().take(numbers.len().saturating_sub(COMMENTS_MAX)) {
            self.comments.remove(*number);
            record::remove_comment(&mut self.out.batch, *number);
        }
        self.log(id, EventBody::Commented { author, comment: text }, now);
        Ok(())
    }

    /// Moves the clock on: downtimes begin and end, acknowledgements run out.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.note_time(now);
        self.plan_recurring(now);
        for (number, downtime, moved) in self.downtimes.tick(now) {
            self.log_downtime(number, &downtime, moved, now);
        }
        while self.expiring.first().is_some_and(|(until, _)| *until <= now) {
            let Some((until, id)) = self.expiring.pop_first() else { return };
            let given = self.entries.get(&id).and_then(|e| e.state.acknowledgement.as_ref());
            if given.is_some_and(|given| given.until == Some(until)) {
                // It is there, so that giving it back cannot fail.
                drop(self.unacknowledge(&id, EXPIRED.to_owned(), now));
            }
        }
    }

    /// Logs and writes what happened to a downtime.
    pub(super) fn log_downtime(
        &mut self,
        number: u64,
        downtime: &PlannedDowntime,
        moved: Moved,
        now: Timestamp,
    ) {
        match moved {
            Moved::Began => {
                record::put_downtime(&mut self.out.batch, number, downtime);
                let body = EventBody::DowntimeStarted {
                    downtime: number,
                    author: downtime.author.clone(),
                    comment: downtime.comment.clone(),
                    until: downtime.until.unwrap_or(downtime.end),
                };
                self.log(&downtime.id, body, now);
            }
            Moved::Ended => {
                record::remove_downtime(&mut self.out.batch, number);
                self.log_downtime_end(number, downtime, false, now);
            }
            Moved::Passed => record::remove_downtime(&mut self.out.batch, number),
        }
        self.show_downtime(downtime);
    }

    pub(super) fn log_downtime_end(
        &mut self,
        number: u64,
        downtime: &PlannedDowntime,
        is_cancelled: bool,
        now: Timestamp,
    ) {
        let fine = if downtime.id.is_host() { Status::Up } else { Status::Ok };
        let status = self.entries.get(&downtime.id).and_then(|e| e.state.status).unwrap_or(fine);
        let body = EventBody::DowntimeEnded { downtime: number, is_cancelled, status };
        self.log(&downtime.id, body, now);
    }

    /// Begins flexible downtimes of what has a confirmed problem already.
    fn begin_for_open_problems(&mut self, id: &CheckId, now: Timestamp) {
        let is_hard = self
            .entries
            .get(id)
            .is_some_and(|entry| entry.state.is_problem() && !entry.state.is_being_confirmed());
        if is_hard {
            for (number, downtime, moved) in self.downtimes.begin_flexible(id, now) {
                self.log_downtime(number, &downtime, moved, now);
            }
        }
    }

    /// Notes that what a downtime concerns is shown otherwise.
    pub(super) fn show_downtime(&mut self, downtime: &PlannedDowntime) {
        let id = &downtime.id;
        self.out.updated.insert(id.clone());
        if id.is_host() {
            let checks = self.entries.range(id.clone()..).take_while(|(c, _)| c.host == id.host);
            self.out.updated.extend(checks.map(|(check, _)| check.clone()));
        }
    }
}

fn missing(id: &CheckId) -> ActionError {
    ActionError::NoSuchCheck { id: id.clone() }
}

fn bound(texts: &[&String]) -> Result<(), ActionError> {
    if texts.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(ActionError::TextTooLong);
    }
    Ok(())
}
