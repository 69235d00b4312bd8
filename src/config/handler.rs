//! `on_change`: what runs when a state changes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use noroshi_checks::{HandlerAction, HandlerSpec};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_spanned::Spanned;

use super::check::Faults;
use super::raw::{Humane, Many, Text};

/// When a handler is given up, unless it says otherwise (Nagios' `event_handler_timeout`).
const TIMEOUT: Duration = Duration::from_secs(30);

/// `on_change`: `false`, or a table.
#[derive(Clone, Debug)]
pub(crate) enum RawHandler {
    /// Nothing, above what the defaults say.
    None,
    /// Something.
    Table(Box<RawHandlerTable>),
}

/// The table of `on_change`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawHandlerTable {
    /// A program: its argv, no shell.
    command: Option<Spanned<Many>>,
    /// An address that is called.
    url: Option<Text>,
    /// Of `url`: `POST` unless said otherwise.
    method: Option<Text>,
    /// Of `url`.
    headers: BTreeMap<String, String>,
    /// Of `url`: what is sent in the place of the state as JSON.
    body: Option<Text>,
    timeout: Option<Spanned<Humane>>,
    /// `soft`, `hard` or both: which changes.
    on: Option<Vec<Text>>,
}

impl<'de> Deserialize<'de> for RawHandler {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HandlerVisitor;
        impl<'de> Visitor<'de> for HandlerVisitor {
            type Value = RawHandler;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("false, or a table such as { command = [\"/path/to/program\"] }")
            }
            fn visit_bool<E: de::Error>(self, is: bool) -> Result<RawHandler, E> {
                if is {
                    return Err(E::invalid_value(de::Unexpected::Bool(true), &self));
                }
                Ok(RawHandler::None)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawHandler, A::Error> {
                let table = RawHandlerTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RawHandler::Table(Box::new(table)))
            }
        }
        deserializer.deserialize_any(HandlerVisitor)
    }
}

/// Makes the handler of a check or host; `None` when there is none, or after a fault.
pub(super) fn handler(
    faults: &mut Faults<'_>,
    raw: Option<&Spanned<RawHandler>>,
) -> Option<HandlerSpec> {
    let raw = raw?;
    let RawHandler::Table(table) = raw.get_ref() else { return None };
    let action = action(faults, &raw.span(), table)?;
    let (mut is_for_soft, mut is_for_hard) = (table.on.is_none(), table.on.is_none());
    for kind in table.on.iter().flatten() {
        match kind.get_ref().as_str() {
            "soft" => is_for_soft = true,
            "hard" => is_for_hard = true,
            other => faults.at(
                &kind.span(),
                format!("there are no {other:?} changes"),
                "write on = [\"hard\"], [\"soft\"] or [\"soft\", \"hard\"]",
            ),
        }
    }
    let timeout = table.timeout.as_ref().map_or(TIMEOUT, |timeout| timeout.get_ref().0);
    Some(HandlerSpec { action, timeout, is_for_soft, is_for_hard })
}

/// Makes what is done: exactly one of the two.
fn action(
    faults: &mut Faults<'_>,
    span: &std::ops::Range<usize>,
    table: &RawHandlerTable,
) -> Option<HandlerAction> {
    match (&table.command, &table.url) {
        (Some(command), None) => {
            let argv = command.get_ref().texts.clone();
            if argv.is_empty() || !command.get_ref().is_list {
                faults.at(
                    &command.span(),
                    "a command is a list of program and arguments; there is no shell".to_owned(),
                    r#"write ["/etc/noroshi/handlers/restart", "$HOSTNAME$"]"#,
                );
                return None;
            }
            let is_of_urls = |what: &str| format!("{what} is of a url, and this is a command");
            for (what, text) in [("method", &table.method), ("body", &table.body)] {
                if let Some(text) = text {
                    faults.at(&text.span(), is_of_urls(what), "remove it");
                }
            }
            if !table.headers.is_empty() {
                faults.at(span, is_of_urls("headers"), "remove it");
            }
            Some(HandlerAction::Command { argv })
        }
        (None, Some(url)) => {
            let text = url.get_ref().clone();
            if !["http://", "https://", "$"].iter().any(|begin| text.starts_with(begin)) {
                faults.at(
                    &url.span(),
                    format!("{text:?} is no address to call"),
                    "begin with http:// or https://",
                );
            }
            let text_of = |text: &Option<Text>| text.as_ref().map(|text| text.get_ref().clone());
            Some(HandlerAction::Url {
                url: text,
                method: text_of(&table.method).unwrap_or_else(|| "POST".to_owned()),
                headers: table.headers.clone().into_iter().collect(),
                body: text_of(&table.body),
            })
        }
        _ => {
            faults.at(
                span,
                "on_change does not say what to do, or says two things".to_owned(),
                "give either command or url",
            );
            None
        }
    }
}
