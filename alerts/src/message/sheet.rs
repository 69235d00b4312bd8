//! What a message says, before it is text or HTML: one place decides, two write.

use jiff::tz::TimeZone;
use noroshi_model::quantity::format_duration;
use noroshi_model::{Behind, CheckId, StateChange, Status, Timestamp};

use crate::book::{Letter, Notification, Other};
use crate::message::words;
use crate::view::NotificationKind;

/// Most lines of further output, and of notes.
const LINES_MAX: usize = 30;

/// Longest line that is kept, in characters.
const LINE_CHARS_MAX: usize = 400;

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sheet {
    /// `CRITICAL`, `RECOVERED`.
    pub(crate) headline: String,
    /// The status, for the colour.
    pub(crate) status: Option<Status>,
    /// `web1/http`.
    pub(crate) title: String,
    /// First line of output.
    pub(crate) output: String,
    /// Further lines of output.
    pub(crate) long_output: Vec<String>,
    /// Facts: label and text.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// What to do.
    pub(crate) notes: Vec<String>,
    /// Where more is written; empty when nowhere.
    pub(crate) notes_url: String,
    /// The page in the UI.
    pub(crate) link: String,
    /// What the list of others is called; empty when there is none.
    pub(crate) others_title: String,
    /// Others: status, title, text.
    pub(crate) others: Vec<(Status, String, String)>,
    /// Why this contact is told, and when.
    pub(crate) reasons: String,
}

/// For whom and when a message is written.
pub(crate) struct Reader<'a> {
    pub(crate) zone: &'a TimeZone,
    pub(crate) base_url: &'a str,
    pub(crate) now: Timestamp,
}

/// Writes down what a notification says. `values`: what the graph's series had to say.
pub(crate) fn sheet(
    notification: &Notification,
    letter: &Letter,
    values: Option<String>,
    reader: &Reader<'_>,
) -> Sheet {
    let mut sheet = match &letter.change {
        Some(last) => of_change(notification, &last.change, letter, reader),
        None if notification.kind == NotificationKind::Digest => of_digest(notification, reader),
        None => of_test(notification, reader),
    };
    if let Some(values) = values {
        sheet.facts.push(("Value", values));
    }
    sheet.others = letter
        .others
        .iter()
        .map(|other| {
            let mut text = words::cut(&words::one_line(&other.output), 120);
            if other.status.is_problem() {
                text = format!("{text} (since {})", words::moment(other.since, reader.zone));
            }
            (other.status, words::one_line(&other.id.to_string()), text)
        })
        .collect();
    if letter.others_left_out > 0 {
        let left_out = letter.others_left_out;
        sheet.others_title = format!("{} ({left_out} more are not listed)", sheet.others_title);
    }
    let at = words::moment(notification.at, reader.zone);
    let contact = words::one_line(&notification.contact);
    let reasons = letter.reasons.join("; ");
    let why = if reasons.is_empty() { String::new() } else { format!(" Why: {reasons}.") };
    sheet.reasons = format!("Told to contact {contact}; decided {at}.{why}");
    sheet
}

fn of_change(
    notification: &Notification,
    change: &StateChange,
    letter: &Letter,
    reader: &Reader<'_>,
) -> Sheet {
    let id = &notification.id;
    let subject = &change.subject;
    // When it is over there is nothing to do.
    let (mut notes, mut notes_url) = (Vec::new(), String::new());
    if change.status.is_problem() {
        notes = words::lines(&subject.notes, LINES_MAX, LINE_CHARS_MAX);
        notes_url = words::one_line(&subject.notes_url);
    }
    Sheet {
        headline: words::headline(notification.kind, change.status),
        status: Some(change.status),
        title: words::one_line(&id.to_string()),
        output: words::cut(&words::one_line(&change.output), LINE_CHARS_MAX),
        long_output: words::lines(&change.long_output, LINES_MAX, LINE_CHARS_MAX),
        facts: facts(notification, change, letter, reader),
        notes,
        notes_url,
        link: words::link(reader.base_url, id),
        others_title: others_title(id, &letter.others),
        ..Sheet::default()
    }
}

fn others_title(id: &CheckId, others: &[Other]) -> String {
    if others.is_empty() {
        String::new()
    } else if id.is_host() || others.iter().any(|other| other.id.host != id.host) {
        format!("Also wrong on or behind {}", words::one_line(&id.to_string()))
    } else {
        format!("Also wrong on {}", words::one_line(&id.host))
    }
}

fn facts(
    notification: &Notification,
    change: &StateChange,
    letter: &Letter,
    reader: &Reader<'_>,
) -> Vec<(&'static str, String)> {
    let id = &notification.id;
    let subject = &change.subject;
    let mut host = words::one_line(&id.host);
    if !subject.alias.is_empty() {
        host = format!("{host} ({})", words::one_line(&subject.alias));
    }
    if !subject.address.is_empty() && subject.address != *id.host {
        host = format!("{host}, {}", words::one_line(&subject.address));
    }
    let mut facts = vec![("Host", host)];
    if !subject.groups.is_empty() {
        facts.push(("Groups", words::one_line(&subject.groups.join(", "))));
    }
    if let Some(check) = &id.check {
        facts.push(("Check", words::one_line(check)));
    }
    facts.push(("Status", status_line(change, letter)));
    let happened = letter.change.as_ref().map_or(notification.at, |last| last.at);
    let since = words::moment(change.since, reader.zone);
    if change.status.is_problem() {
        let duration = format_duration(reader.now.since(change.since));
        facts.push(("Since", format!("{since} ({duration})")));
        facts.extend(behind(change.behind).map(|text| ("Behind", text)));
    } else {
        let duration = format_duration(happened.since(change.since));
        let end = words::moment(happened, reader.zone);
        facts.push(("Lasted", format!("{duration}, from {since} to {end}")));
    }
    facts
}

/// Writes how much is reached through it or depends on it; a check alone on its host has nothing.
fn behind(behind: Behind) -> Option<String> {
    let counted =
        |count: u32, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let hosts = (behind.hosts > 0).then(|| counted(behind.hosts, "host"));
    let checks = (behind.checks > 0).then(|| counted(behind.checks, "check"));
    let parts: Vec<String> = hosts.into_iter().chain(checks).collect();
    let text =
        format!("{} cannot work without it; they are not told one by one", parts.join(" and "));
    (!parts.is_empty()).then_some(text)
}

fn status_line(change: &StateChange, letter: &Letter) -> String {
    let mut line = change.status.as_str().to_uppercase();
    let before = letter.believed.filter(|believed| *believed != change.status);
    let before = before.unwrap_or(change.previous);
    if before != change.status {
        line = format!("{line}, was {}", before.as_str().to_uppercase());
    }
    if change.status.is_problem() && change.attempts_max > 1 {
        line = format!("{line} (attempt {} of {})", change.attempt, change.attempts_max);
    } else if let Some(lasting) = change.lasting.filter(|_| change.status.is_problem()) {
        line = format!("{line} ({lasting})");
    }
    line
}

fn of_test(notification: &Notification, reader: &Reader<'_>) -> Sheet {
    Sheet {
        headline: words::headline(notification.kind, notification.status),
        title: "Noroshi reaches you".to_owned(),
        output: "Somebody asked for a test message. Nothing is wrong.".to_owned(),
        link: reader.base_url.trim_end_matches('/').to_owned(),
        ..Sheet::default()
    }
}

fn of_digest(notification: &Notification, reader: &Reader<'_>) -> Sheet {
    Sheet {
        headline: words::headline(notification.kind, notification.status),
        status: Some(notification.status),
        title: "how things stand".to_owned(),
        output: "Gathered into one message, each as it stands now.".to_owned(),
        link: reader.base_url.trim_end_matches('/').to_owned(),
        others_title: "Changes".to_owned(),
        ..Sheet::default()
    }
}

/// Returns what pages and subjects call a digest's or test's subject.
pub(crate) fn page_text(notification: &Notification, letter: &Letter, zone: &TimeZone) -> String {
    if let Some(last) = &letter.change {
        words::page(notification.kind, &notification.id, &last.change, zone)
    } else {
        let titles: Vec<String> = letter
            .others
            .iter()
            .map(|other| format!("{} {}", other.status.as_str().to_uppercase(), other.id))
            .collect();
        let text = format!("{} {}", notification.subject, titles.join(", "));
        words::cut(&words::one_line(&text), words::PAGE_CHARS_MAX)
    }
}
