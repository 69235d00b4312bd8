//! `[contact.NAME]`, `[smtp]` and `[alerts]`: who is told, and through whom.

use jiff::tz::TimeZone;
use noroshi_alerts::{
    Config as Alerts, ConfigError, Contact, Secret, Security, Smtp, StatusFilter,
};
use noroshi_model::Status;
use serde_spanned::Spanned;

use super::check::Faults;
use super::raw::{RawConfig, RawContact, RawSmtp, Text};

/// Adds what one file says.
pub(super) fn resolve(faults: &mut Faults<'_>, raw: &RawConfig, alerts: &mut Alerts) {
    for (name, contact) in &raw.contact {
        alerts.contacts.push(resolve_contact(faults, name, contact));
    }
    if let Some(smtp) = &raw.smtp {
        if alerts.smtp.is_some() {
            let what = "[smtp] is already in another file".to_owned();
            faults.at(&smtp.span(), what, "keep one of them");
        }
        alerts.smtp = resolve_smtp(faults, smtp.get_ref());
    }
    if let Some(remind) = &raw.alerts.remind {
        alerts.remind = Some(remind.get_ref().0);
    }
}

/// Notes what only the room that sends can tell: addresses and certificates that are none.
pub(super) fn check(all: &[&RawConfig], alerts: &Alerts, faults: &mut Faults<'_>) {
    for error in noroshi_alerts::check(alerts) {
        let named = match &error {
            ConfigError::ContactTwice { name } | ConfigError::Address { contact: name, .. } => {
                Some(name)
            }
            ConfigError::From { .. } | ConfigError::Certificates { .. } => None,
        };
        let place = all.iter().find_map(|raw| match named {
            Some(name) => raw.contact.keys().find(|key| key.get_ref() == name).map(Spanned::span),
            None => raw.smtp.as_ref().map(Spanned::span),
        });
        if let Some(span) = place {
            faults.at(&span, error.to_string(), "correct it");
        }
    }
}

fn resolve_contact(faults: &mut Faults<'_>, name: &Text, raw: &RawContact) -> Contact {
    if raw.email.texts.is_empty() && raw.pager.texts.is_empty() {
        faults.at(
            &name.span(),
            format!("contact `{}` cannot be reached", name.get_ref()),
            "give it an email or a pager address",
        );
    }
    let mut statuses = Vec::new();
    for text in &raw.statuses {
        match text.get_ref().parse::<Status>() {
            Ok(status) if status.is_problem() => statuses.push(status),
            _ => faults.at(
                &text.span(),
                format!("{:?} is no status of a problem", text.get_ref()),
                "write warning, critical, unknown, down or unreachable",
            ),
        }
    }
    let zone = match &raw.zone {
        None => TimeZone::system(),
        Some(zone) => TimeZone::get(zone.get_ref()).unwrap_or_else(|_| {
            faults.at(
                &zone.span(),
                format!("there is no time zone {:?}", zone.get_ref()),
                "write an IANA name such as Europe/Berlin",
            );
            TimeZone::UTC
        }),
    };
    Contact {
        name: name.get_ref().clone(),
        email: raw.email.texts.clone(),
        pager: raw.pager.texts.clone(),
        statuses: StatusFilter::new(statuses),
        zone,
    }
}

fn resolve_smtp(faults: &mut Faults<'_>, raw: &RawSmtp) -> Option<Smtp> {
    let (security, usual_port) = match raw.security.as_ref().map(|text| text.get_ref().as_str()) {
        None | Some("starttls") => (Security::Starttls, 587),
        Some("tls") => (Security::Tls, 465),
        Some("none") => (Security::None, 25),
        Some(other) => {
            let span = raw.security.as_ref().map(Spanned::span).unwrap_or_default();
            let what = format!("{other:?} is no way to protect the connection");
            faults.at(&span, what, "write starttls, tls or none");
            return None;
        }
    };
    let password = match &raw.password_file {
        None => raw.password.clone().unwrap_or_default(),
        Some(path) => read(faults, path)?.trim_end_matches(['\r', '\n']).to_owned(),
    };
    let ca_pem = match &raw.ca_file {
        None => None,
        Some(path) => Some(read(faults, path)?),
    };
    let from = raw.from.as_ref().map_or("Noroshi <noroshi@localhost>", |text| text.get_ref());
    Some(Smtp {
        host: raw.server.get_ref().clone(),
        port: raw.port.unwrap_or(usual_port),
        security,
        user: raw.user.clone(),
        password: Secret::new(password),
        from: from.to_owned(),
        ca_pem,
    })
}

/// Reads a file that the configuration names; a relative path starts at the configuration.
pub(super) fn read(faults: &mut Faults<'_>, path: &Text) -> Option<String> {
    let full = faults.sources.folder_at(path.span().start).join(path.get_ref());
    match std::fs::read_to_string(&full) {
        Ok(text) => Some(text),
        Err(error) => {
            let what = format!("cannot read {}: {error}", full.display());
            faults.at(&path.span(), what, "check the path and who may read it");
            None
        }
    }
}
