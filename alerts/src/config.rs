//! What is configured: contacts, the mail server, reminders.
//!
//! The values are already resolved: the config file's spelling, defaults and positions are the
//! program's. [`check`] is the part of validation that only this room can do.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use lettre::message::Mailbox;
use noroshi_model::Status;
use serde::{Deserialize, Serialize};

use crate::view::Channel;

/// All that is configured for telling people.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Who can be told; names are unique.
    pub contacts: Vec<Contact>,
    /// Through which server mail goes; `None`: nobody is told, and the trace says so.
    pub smtp: Option<Smtp>,
    /// Where the UI is, for links (`https://noroshi.example.net`); a slash at the end is ignored.
    pub base_url: String,
    /// After how long an open problem that nobody has taken on is told again; `None`: never.
    pub remind: Option<Duration>,
}

impl Default for Config {
    /// Returns a config that tells nobody: no contacts, no server.
    fn default() -> Self {
        Self {
            contacts: Vec::new(),
            smtp: None,
            base_url: "http://127.0.0.1:8420".to_owned(),
            remind: None,
        }
    }
}

/// Somebody who can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// The name by which hosts and checks call for them.
    pub name: String,
    /// Addresses that get the whole mail, with the graph.
    pub email: Vec<String>,
    /// Addresses that get a page: 160 characters of plain text.
    pub pager: Vec<String>,
    /// Which problems they want to hear of. A recovery goes to whoever was told of the problem.
    pub statuses: StatusFilter,
    /// The zone in which they read times.
    pub zone: TimeZone,
}

impl Contact {
    /// Returns all addresses, those that get the whole mail first.
    pub(crate) fn addresses(&self) -> Vec<(Channel, &str)> {
        let email = self.email.iter().map(|address| (Channel::Email, address.as_str()));
        let pager = self.pager.iter().map(|address| (Channel::Pager, address.as_str()));
        email.chain(pager).collect()
    }
}

/// Which statuses a contact wants to hear of; the default is every problem.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StatusFilter(Vec<Status>);

impl StatusFilter {
    /// Makes a filter; without statuses it lets every problem through.
    pub fn new(statuses: impl IntoIterator<Item = Status>) -> Self {
        Self(statuses.into_iter().collect())
    }

    /// Tells whether a problem of this status is wanted.
    pub fn wants(&self, status: Status) -> bool {
        self.0.is_empty() || self.0.contains(&status)
    }

    /// Returns the statuses named; empty for all.
    pub fn statuses(&self) -> &[Status] {
        &self.0
    }
}

/// A mail server.
#[derive(Clone, Debug, PartialEq)]
pub struct Smtp {
    /// Its name; its certificate must be for this name.
    pub host: String,
    /// Its port: usually 587 with `starttls`, 465 with `tls`, 25 with `none`.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Who signs in; `None`: nobody does.
    pub user: Option<String>,
    /// With which password; not used without a user.
    pub password: Secret,
    /// The sender: `noroshi@example.net` or `Noroshi <noroshi@example.net>`.
    pub from: String,
    /// Certificate authorities to trust instead of the public ones, in PEM.
    pub ca_pem: Option<String>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Not at all: for a server on the same machine.
    None,
    /// TLS after `STARTTLS` (RFC 3207); a server that does not offer it gets no mail.
    #[default]
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Tls,
}

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What a config says that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Two contacts have one name.
    #[error("two contacts are called {name:?}; rename one")]
    ContactTwice {
        /// The name.
        name: String,
    },
    /// An address is none.
    #[error("contact {contact:?} has {address:?}, which is no mail address (name@host)")]
    Address {
        /// The contact.
        contact: String,
        /// The text.
        address: String,
        /// What is wrong with it.
        #[source]
        source: lettre::address::AddressError,
    },
    /// The sender is no address.
    #[error("the sender {from:?} is no mail address (name@host or Name <name@host>)")]
    From {
        /// The text.
        from: String,
        /// What is wrong with it.
        #[source]
        source: lettre::address::AddressError,
    },
    /// The certificates cannot be read.
    #[error("the certificates to trust for mail server {host} cannot be read; PEM is expected")]
    Certificates {
        /// The server.
        host: String,
        /// What is wrong; `None` when there is no certificate in the text.
        #[source]
        source: Option<rustls::pki_types::pem::Error>,
    },
}

/// What became different by an [`crate::Alerts::apply`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Contacts that are new.
    pub added: usize,
    /// Contacts that are not as they were.
    pub changed: usize,
    /// Contacts that are gone.
    pub removed: usize,
    /// Whether the mail server, or how it is used, is not as it was.
    pub is_smtp_changed: bool,
}

/// Returns all that is wrong with a config, in the order of the config.
pub fn check(config: &Config) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for (i, contact) in config.contacts.iter().enumerate() {
        if config.contacts[..i].iter().any(|other| other.name == contact.name) {
            errors.push(ConfigError::ContactTwice { name: contact.name.clone() });
        }
        for address in contact.email.iter().chain(&contact.pager) {
            if let Err(source) = address.parse::<Mailbox>() {
                let (contact, address) = (contact.name.clone(), address.clone());
                errors.push(ConfigError::Address { contact, address, source });
            }
        }
    }
    if let Some(smtp) = &config.smtp {
        if let Err(source) = smtp.from.parse::<Mailbox>() {
            errors.push(ConfigError::From { from: smtp.from.clone(), source });
        }
        if let Err(error) = crate::smtp::certificates(smtp) {
            errors.push(error);
        }
    }
    errors
}

/// Returns what is different between two configs.
pub(crate) fn difference(before: &Config, after: &Config) -> Applied {
    let find = |config: &'_ Config, name: &str| {
        config.contacts.iter().position(|contact| contact.name == name)
    };
    let mut applied = Applied { is_smtp_changed: before.smtp != after.smtp, ..Applied::default() };
    for contact in &after.contacts {
        match find(before, &contact.name) {
            None => applied.added += 1,
            Some(i) if before.contacts[i] != *contact => applied.changed += 1,
            Some(_) => {}
        }
    }
    applied.removed =
        before.contacts.iter().filter(|contact| find(after, &contact.name).is_none()).count();
    applied
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::smtp;

    fn contact(name: &str, email: &str) -> Contact {
        Contact {
            name: name.to_owned(),
            email: vec![email.to_owned()],
            pager: Vec::new(),
            statuses: StatusFilter::default(),
            zone: TimeZone::UTC,
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let config = Config { smtp: Some(smtp()), ..Config::default() };
        let text = format!("{config:?} {config:#?}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("[secret]"));
    }

    #[test]
    fn every_error_is_found_at_once() {
        let mut server = smtp();
        server.from = "nobody".to_owned();
        server.ca_pem = Some("no certificate".to_owned());
        let contacts = vec![
            contact("ann", "ann@example.net"),
            contact("bob", "bob at example.net"),
            contact("ann", "Ann <ann@example.net>"),
        ];
        let config = Config { contacts, smtp: Some(server), ..Config::default() };
        let texts: Vec<String> = check(&config).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "contact \"bob\" has \"bob at example.net\", which is no mail address (name@host)",
                "two contacts are called \"ann\"; rename one",
                "the sender \"nobody\" is no mail address (name@host or Name <name@host>)",
                "the certificates to trust for mail server mail.example.net cannot be read; PEM is \
                 expected",
            ]
        );
    }

    #[test]
    fn a_config_is_compared_by_the_names_of_its_contacts() {
        let before = Config {
            contacts: vec![contact("ann", "a@example.net"), contact("bob", "b@example.net")],
            ..Config::default()
        };
        let after = Config {
            contacts: vec![contact("cid", "c@example.net"), contact("bob", "bob@example.net")],
            smtp: Some(smtp()),
            ..Config::default()
        };
        let expected = Applied { added: 1, changed: 1, removed: 1, is_smtp_changed: true };
        assert_eq!(difference(&before, &after), expected);
        assert_eq!(difference(&after, &after), Applied::default());
    }

    #[test]
    fn a_filter_without_statuses_lets_every_problem_through() {
        assert!(StatusFilter::default().wants(Status::Unknown));
        let filter = StatusFilter::new([Status::Critical, Status::Down]);
        assert!(filter.wants(Status::Down));
        assert!(!filter.wants(Status::Warning));
    }
}
