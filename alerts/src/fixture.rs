//! Values that tests begin with.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use noroshi_model::{
    ChangeKind, CheckId, Event, EventBody, StateChange, StateType, Status, Subject, Timestamp,
};

use crate::book::{Notification, Told};
use crate::config::{Contact, Secret, Security, Smtp, StatusFilter};
use crate::view::{Channel, NotificationKind, NotificationState};

/// Returns a change with plain values.
pub(crate) fn change(kind: ChangeKind, status: Status) -> Box<StateChange> {
    let is_hard = crate::fold::is_hard(kind);
    Box::new(StateChange {
        kind,
        previous: Status::Ok,
        status,
        state_type: if is_hard { StateType::Hard } else { StateType::Soft },
        attempt: if is_hard { 3 } else { 1 },
        attempts_max: 3,
        lasting: None,
        problem: 1,
        since: Timestamp::from_secs(1),
        output: "connection refused".to_owned(),
        long_output: String::new(),
        is_in_downtime: false,
        is_acknowledged: false,
        is_flapping: false,
        blocked_by: Vec::new(),
        behind: noroshi_model::Behind::default(),
        subject: Subject::default(),
    })
}

/// Returns an event, one second a sequence number.
pub(crate) fn event(sequence: u64, id: &CheckId, body: EventBody) -> Event {
    Event { sequence, at: Timestamp::from_secs(sequence as i64), id: id.clone(), body }
}

/// Returns a contact with one address who wants everything.
pub(crate) fn contact(name: &str) -> Contact {
    Contact {
        name: name.to_owned(),
        email: vec![format!("{name}@example.net")],
        pager: Vec::new(),
        statuses: StatusFilter::default(),
        zone: TimeZone::UTC,
    }
}

/// Returns what somebody was told at second 0.
pub(crate) fn told(status: Status) -> Told {
    Told {
        problem: 1,
        status,
        at: Timestamp::from_secs(0),
        by: vec![1],
        before: None,
        threads: BTreeMap::new(),
    }
}

/// Returns a server that nobody connects to.
pub(crate) fn smtp() -> Smtp {
    Smtp {
        host: "mail.example.net".to_owned(),
        port: 587,
        security: Security::Starttls,
        user: Some("noroshi".to_owned()),
        password: Secret::new("hunter2"),
        from: "Noroshi <noroshi@example.net>".to_owned(),
        ca_pem: None,
    }
}

/// Returns a notification about `web1/http` that waits, without a letter.
pub(crate) fn notification(kind: NotificationKind, status: Status) -> Notification {
    Notification {
        number: 1,
        at: Timestamp::from_secs(1),
        contact: "ann".to_owned(),
        channel: Channel::Email,
        address: "ann@example.net".to_owned(),
        id: CheckId::check("web1", "http"),
        kind,
        status,
        problem: 1,
        event: Some(7),
        subject: "subject".to_owned(),
        message_id: "noroshi.site.7.ann.1@example.net".to_owned(),
        answers: None,
        state: NotificationState::Queued,
        attempts: 0,
        next_attempt: Timestamp::from_secs(1),
        sent_at: None,
        error: None,
        letter: None,
    }
}
