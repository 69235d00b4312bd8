//! Writes messages: from a queued notification to the bytes that the mail server gets.
//!
//! `words` (subjects, pages, times, links), `sheet` (what is said), `text` and `html` (how).

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};
use noroshi_model::Timestamp;

pub(crate) mod html;
pub(crate) mod sheet;
pub(crate) mod text;
pub(crate) mod words;

use crate::book::{Letter, Notification};
use crate::picture::Picture;
use crate::smtp::{Failure, FailureKind};
use crate::view::Channel;
use sheet::Reader;

/// Writes a notification's mail.
///
/// Errors: [`FailureKind::Unwritable`] when an address cannot be one.
pub(crate) fn write(
    notification: &Notification,
    from: &Mailbox,
    picture: Option<Picture>,
    reader: &Reader<'_>,
) -> Result<Message, Failure> {
    let unwritable =
        |error: &dyn std::error::Error| Failure::new(FailureKind::Unwritable, error.to_string());
    let to: Mailbox = notification
        .address
        .parse()
        .map_err(|error: lettre::address::AddressError| unwritable(&error))?;
    let mut builder = Message::builder()
        .from(from.clone())
        .to(to)
        .subject(notification.subject.as_str())
        .date(UNIX_EPOCH + since_1970(reader.now))
        .message_id(Some(format!("<{}>", notification.message_id)));
    if let Some(first) = &notification.answers {
        builder = builder.in_reply_to(format!("<{first}>")).references(format!("<{first}>"));
    }
    for (name, value) in headers(notification) {
        builder = builder.raw_header(HeaderValue::new(name, value));
    }
    let nothing = Letter::default();
    let letter = notification.letter.as_ref().unwrap_or(&nothing);
    let message = match notification.channel {
        Channel::Pager => {
            let page = sheet::page_text(notification, letter, reader.zone);
            builder.singlepart(SinglePart::plain(page))
        }
        Channel::Email => builder.multipart(body(notification, letter, picture, reader)),
    };
    message.map_err(|error| unwritable(&error))
}

/// Returns the body in both forms, the graph beside the HTML (RFC 2387).
fn body(
    notification: &Notification,
    letter: &Letter,
    picture: Option<Picture>,
    reader: &Reader<'_>,
) -> MultiPart {
    let values = picture.as_ref().and_then(|picture| picture.values.clone());
    let sheet = sheet::sheet(notification, letter, values, reader);
    let png = picture.and_then(|picture| Some((picture.title, picture.png?)));
    let title = png.as_ref().map(|(title, _)| title.as_str());
    let html = SinglePart::html(html::html(&sheet, title));
    let both = MultiPart::alternative().singlepart(SinglePart::plain(text::text(&sheet)));
    match png {
        None => both.singlepart(html),
        Some((_, png)) => {
            let kind = ContentType::parse("image/png").expect("a constant that is a type");
            let image = Attachment::new_inline_with_name(
                html::GRAPH_CID.to_owned(),
                "graph.png".to_owned(),
            );
            let related = MultiPart::related().singlepart(html);
            both.multipart(related.singlepart(image.body(png, kind)))
        }
    }
}

/// Returns the headers that machines read.
fn headers(notification: &Notification) -> [(HeaderName, String); 3] {
    // RFC 3834 section 5: keeps out-of-office answers away.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let status = HeaderName::new_from_ascii_str("X-Noroshi-Status");
    let problem = HeaderName::new_from_ascii_str("X-Noroshi-Problem");
    [
        (automatic, "auto-generated".to_owned()),
        (status, notification.status.as_str().to_owned()),
        (problem, notification.problem.to_string()),
    ]
}

fn since_1970(at: Timestamp) -> Duration {
    at.since(Timestamp::from_millis(0))
}

#[cfg(test)]
mod tests;
