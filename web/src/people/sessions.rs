//! Sessions and one-time sign-in links.
//!
//! `tower-sessions` carries a session through a request (cookie, loading when asked for, saving
//! when changed); [`SessionRecords`] keeps it: under the hash of its identifier, so that who reads
//! the records signs in nowhere, and with both expiries by the house's clock.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use noroshi_model::{RecordBatch, Space, Timestamp};
use serde::{Deserialize, Serialize};
use tower_sessions::cookie::time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result as StoreResult, SessionStore};

use super::{People, PeopleError, User, VERSION, parse, secret};

/// How long a session may stay unused: a holiday's length and a bit.
pub const SESSION_IDLE_MAX: Duration = Duration::from_hours(14 * 24);
/// How long a session lasts in all.
pub const SESSION_LIFE_MAX: Duration = Duration::from_hours(90 * 24);
/// How long a sign-in link can be used.
pub const LINK_LIFE: Duration = Duration::from_hours(24);
/// How exactly the last use of a session is kept: each step costs one commit.
pub(crate) const SEEN_STEP: Duration = Duration::from_mins(5);

const SESSION: &str = "session/";
const LINK: &str = "link/";

/// A session, as kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionRecord {
    version: u32,
    opened_at: Timestamp,
    seen_at: Timestamp,
    /// What the server keeps in it: `user` is the name of whose it is.
    data: HashMap<String, serde_json::Value>,
}

impl SessionRecord {
    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.seen_at) >= SESSION_IDLE_MAX || now.since(self.opened_at) >= SESSION_LIFE_MAX
    }

    fn belongs_to(&self, user: &str) -> bool {
        self.data.get("user").and_then(|value| value.as_str()) == Some(user)
    }
}

/// A sign-in link, as kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkRecord {
    version: u32,
    user: String,
    expires_at: Timestamp,
}

impl People {
    /// Makes a link's secret that lets a user in once within [`LINK_LIFE`], without a password, to
    /// set one. The page is `/sign-in?token=SECRET`. Errors: [`PeopleError::NotFound`].
    pub fn sign_in_link(&self, user: &str) -> Result<String, PeopleError> {
        let _guard = self.change.lock();
        self.existing_user(user)?;
        let secret = secret::random();
        let key = secret::key(LINK, &secret).unwrap_or_default();
        let expires_at = self.clock.now() + LINK_LIFE;
        let record = LinkRecord { version: VERSION, user: user.to_owned(), expires_at };
        self.put(Space::Sessions, key, &record)?;
        Ok(secret)
    }

    /// Returns whom a link would let in, without using it up; `None` when it is not valid.
    pub fn link_user(&self, secret: &str) -> Result<Option<User>, PeopleError> {
        let Some(key) = secret::key(LINK, secret) else { return Ok(None) };
        match self.read::<LinkRecord>(Space::Sessions, &key)? {
            Some(link) if self.clock.now() < link.expires_at => self.user(&link.user),
            _ => Ok(None),
        }
    }

    /// Uses a link up and returns whom it lets in; `None` when it is not valid (any more).
    pub fn redeem_link(&self, secret: &str) -> Result<Option<User>, PeopleError> {
        let _guard = self.change.lock();
        let Some(user) = self.link_user(secret)? else { return Ok(None) };
        let mut batch = RecordBatch::new();
        batch.remove(Space::Sessions, secret::key(LINK, secret).unwrap_or_default());
        self.records.commit(batch).map_err(PeopleError::Records)?;
        Ok(Some(user))
    }

    /// Ends all sessions of a user, but for the one with this identifier.
    pub(crate) fn end_sessions(&self, user: &str, but: Option<Id>) -> Result<(), PeopleError> {
        let _guard = self.change.lock();
        let mut batch = RecordBatch::new();
        self.remove_sessions_of(user, but, &mut batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        self.records.commit(batch).map_err(PeopleError::Records)
    }

    pub(super) fn remove_sessions_of(
        &self,
        user: &str,
        but: Option<Id>,
        batch: &mut RecordBatch,
    ) -> Result<(), PeopleError> {
        let kept = but.map(|id| session_key(&id));
        for (key, value) in self.scan(Space::Sessions, SESSION)? {
            let session: SessionRecord = parse(&key, &value)?;
            if session.belongs_to(user) && kept.as_ref() != Some(&key) {
                batch.remove(Space::Sessions, key);
            }
        }
        for (key, value) in self.scan(Space::Sessions, LINK)? {
            if parse::<LinkRecord>(&key, &value)?.user == user {
                batch.remove(Space::Sessions, key);
            }
        }
        Ok(())
    }

    /// Writes a session; a new one only with `is_new`, so that a request that began before the
    /// session was ended does not bring it back.
    fn save_session(&self, record: &Record, is_new: bool) -> Result<(), PeopleError> {
        let _guard = self.change.lock();
        let key = session_key(&record.id);
        let now = self.clock.now();
        let known = self.read::<SessionRecord>(Space::Sessions, &key)?;
        let opened_at = match (&known, is_new) {
            (Some(session), _) => session.opened_at,
            (None, true) => now,
            (None, false) => return Ok(()),
        };
        let data = record.data.clone();
        let session = SessionRecord { version: VERSION, opened_at, seen_at: now, data };
        let json = serde_json::to_vec(&session)
            .map_err(|source| PeopleError::Unreadable { key: SESSION.to_owned(), source })?;
        let mut batch = RecordBatch::new();
        if is_new {
            self.remove_outlived(now, &mut batch)?;
        }
        batch.put(Space::Sessions, key, json);
        self.records.commit(batch).map_err(PeopleError::Records)
    }

    /// Removes what is over; done when a session begins, which is often enough and seldom.
    fn remove_outlived(&self, now: Timestamp, batch: &mut RecordBatch) -> Result<(), PeopleError> {
        for (key, value) in self.scan(Space::Sessions, SESSION)? {
            if parse::<SessionRecord>(&key, &value).is_ok_and(|session| session.is_over(now)) {
                batch.remove(Space::Sessions, key);
            }
        }
        for (key, value) in self.scan(Space::Sessions, LINK)? {
            if parse::<LinkRecord>(&key, &value).is_ok_and(|link| link.expires_at <= now) {
                batch.remove(Space::Sessions, key);
            }
        }
        Ok(())
    }

    fn load_session(&self, id: Id) -> Result<Option<Record>, PeopleError> {
        let found = self.read::<SessionRecord>(Space::Sessions, &session_key(&id))?;
        let now = self.clock.now();
        Ok(found.filter(|session| !session.is_over(now)).map(|session| Record {
            id,
            data: session.data,
            // The library asks for a date; the expiries above have already been applied.
            expiry_date: OffsetDateTime::UNIX_EPOCH,
        }))
    }

    fn remove_session(&self, id: Id) -> Result<(), PeopleError> {
        let mut batch = RecordBatch::new();
        batch.remove(Space::Sessions, session_key(&id));
        self.records.commit(batch).map_err(PeopleError::Records)
    }
}

fn session_key(id: &Id) -> Vec<u8> {
    format!("{SESSION}{}", secret::hex(&id.0.to_le_bytes())).into()
}

/// Keeps the sessions of `tower-sessions` in records.
#[derive(Clone)]
pub(crate) struct SessionRecords(pub(crate) Arc<People>);

impl fmt::Debug for SessionRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionRecords")
    }
}

impl SessionRecords {
    /// Runs a blocking step away from the runtime's threads.
    async fn run<T: Send + 'static>(
        &self,
        step: impl FnOnce(&People) -> Result<T, PeopleError> + Send + 'static,
    ) -> StoreResult<T> {
        let people = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || step(&people)).await;
        let failed = |error: &dyn std::error::Error| Error::Backend(noroshi_model::chain(error));
        done.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }
}

#[async_trait]
impl SessionStore for SessionRecords {
    async fn create(&self, record: &mut Record) -> StoreResult<()> {
        // 128 random bits do not collide.
        let record = record.clone();
        self.run(move |people| people.save_session(&record, true)).await
    }

    async fn save(&self, record: &Record) -> StoreResult<()> {
        let record = record.clone();
        self.run(move |people| people.save_session(&record, false)).await
    }

    async fn load(&self, id: &Id) -> StoreResult<Option<Record>> {
        let id = *id;
        self.run(move |people| people.load_session(id)).await
    }

    async fn delete(&self, id: &Id) -> StoreResult<()> {
        let id = *id;
        self.run(move |people| people.remove_session(id)).await
    }
}
