//! Who may do what: users, passwords, API tokens, one-time sign-in links, sessions.
//!
//! Kept in [`Space::People`] and [`Space::Sessions`] as drawn in `web/FORMAT.md`; usable without a
//! server (`noroshi user` and `noroshi token` work on the data folder). Every function here may
//! block: on the disk, and where it says so on a password's hash (30 ms).

mod password;
mod secret;
mod sessions;
mod throttle;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use noroshi_model::seam::Record;
use noroshi_model::{Clock, RecordBatch, RecordError, Records, Space, Timestamp};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use password::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};
pub(crate) use secret::TOKEN_PREFIX;
pub use sessions::{LINK_LIFE, SESSION_IDLE_MAX, SESSION_LIFE_MAX};
pub(crate) use sessions::{SEEN_STEP, SessionRecords};
pub(crate) use throttle::Throttle;

/// Most characters of a user's or token's name.
pub const NAME_CHARS_MAX: usize = 64;
/// Most users, and most tokens. A bound for scans, far above any site.
const ENTRIES_MAX: usize = 10_000;
/// Version of the records' JSON.
const VERSION: u32 = 1;

const USER: &str = "user/";
const TOKEN: &str = "token/";

/// What somebody may do. Each of the first three includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sends samples, and nothing else: reads nothing.
    Agent,
    /// Sees everything but people's secrets.
    Viewer,
    /// Acts on hosts and checks: acknowledges, plans downtimes, hands in results.
    Operator,
    /// Manages people and the server.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Agent, Self::Viewer, Self::Operator, Self::Admin];

    /// Returns the name, as in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = PeopleError;

    /// Reads a name as [`Role::as_str`] writes it. Errors: [`PeopleError::NoSuchRole`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| PeopleError::NoSuchRole { role: text.to_owned() })
    }
}

/// A person, as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Unique among users.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they have a password; without one only a sign-in link lets them in.
    pub has_password: bool,
    /// When they were added.
    pub created_at: Timestamp,
}

/// A program's key, as shown: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Unique among tokens.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Why a user or token could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// A name that cannot be used.
    #[error(
        "{name:?} cannot be a name: take 1 to {NAME_CHARS_MAX} letters, digits, dots, dashes, underscores or @"
    )]
    NameUnfit {
        /// The name.
        name: String,
    },
    /// A role that does not exist, or that a person cannot have.
    #[error("{role:?} is no role here: take viewer, operator or admin (for a token also agent)")]
    NoSuchRole {
        /// What was asked for.
        role: String,
    },
    /// A password that is too short or too long.
    #[error(
        "a password has {PASSWORD_CHARS_MIN} characters or more and at most {PASSWORD_BYTES_MAX} bytes"
    )]
    PasswordUnfit,
    /// The name is taken.
    #[error("there is already one called {name}")]
    Exists {
        /// The name.
        name: String,
    },
    /// Nobody and nothing is called so.
    #[error("there is none called {name}")]
    NotFound {
        /// The name.
        name: String,
    },
    /// Without this user nobody could manage the server.
    #[error("{name} is the only admin: make another one first")]
    LastAdmin {
        /// The user.
        name: String,
    },
    /// The bound on users or tokens is reached.
    #[error("there are already {ENTRIES_MAX}: remove one first")]
    Full,
    /// A password could not be hashed.
    #[error("cannot hash the password")]
    Hash,
    /// A record is not as this version writes it.
    #[error("cannot understand the record {key}")]
    Unreadable {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The records could not be read or written.
    #[error("cannot reach the records of people")]
    Records(#[source] RecordError),
}

/// Users, tokens, links and sessions, in records.
pub struct People {
    records: Arc<dyn Records>,
    clock: Arc<dyn Clock>,
    /// Held while something is read in order to be changed.
    change: Mutex<()>,
    shown: Mutex<Shown>,
}

/// Tokens that were shown and found, by the key of their record: each request of an agent shows
/// one.
#[derive(Default)]
struct Shown {
    tokens: HashMap<Vec<u8>, Token>,
    /// How often a token was revoked: what was read before is not kept after.
    revocations: u64,
}

/// A user, as kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserRecord {
    version: u32,
    name: String,
    role: Role,
    /// PHC string.
    password: Option<String>,
    created_at: Timestamp,
}

/// A token, as kept under the hash of its secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRecord {
    version: u32,
    name: String,
    role: Role,
    created_at: Timestamp,
}

impl From<UserRecord> for User {
    fn from(record: UserRecord) -> Self {
        let UserRecord { name, role, password, created_at, .. } = record;
        Self { name, role, has_password: password.is_some(), created_at }
    }
}

impl From<TokenRecord> for Token {
    fn from(record: TokenRecord) -> Self {
        let TokenRecord { name, role, created_at, .. } = record;
        Self { name, role, created_at }
    }
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("People")
    }
}

impl People {
    /// Returns the people of these records. While there are several of the same records, only one
    /// may revoke tokens: the others would remember them.
    pub fn new(records: Arc<dyn Records>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { records, clock, change: Mutex::default(), shown: Mutex::default() })
    }

    /// Adds a user. Without a password they come in by [`People::sign_in_link`] first.
    ///
    /// Hashes. Errors: unfit name, role or password, [`PeopleError::Exists`].
    pub fn create_user(
        &self,
        name: &str,
        role: Role,
        password: Option<&str>,
    ) -> Result<User, PeopleError> {
        check_name(name)?;
        check_person(role)?;
        let password = password.map(password::hash).transpose()?;
        let _guard = self.change.lock();
        if self.user_record(name)?.is_some() {
            return Err(PeopleError::Exists { name: name.to_owned() });
        }
        self.check_room(USER)?;
        let created_at = self.clock.now();
        let record =
            UserRecord { version: VERSION, name: name.to_owned(), role, password, created_at };
        self.put(Space::People, format!("{USER}{name}"), &record)?;
        Ok(record.into())
    }

    /// Gives a user a new password; sessions stay as they are.
    ///
    /// Hashes. Errors: [`PeopleError::PasswordUnfit`], [`PeopleError::NotFound`].
    pub fn set_password(&self, name: &str, password: &str) -> Result<(), PeopleError> {
        let password = Some(password::hash(password)?);
        let _guard = self.change.lock();
        let user = self.existing_user(name)?;
        self.put(Space::People, format!("{USER}{name}"), &UserRecord { password, ..user })
    }

    /// Gives a user another role. Errors: [`PeopleError::NotFound`], [`PeopleError::LastAdmin`].
    pub fn set_role(&self, name: &str, role: Role) -> Result<User, PeopleError> {
        check_person(role)?;
        let _guard = self.change.lock();
        let user = self.existing_user(name)?;
        if role != Role::Admin {
            self.check_not_last(&user)?;
        }
        let user = UserRecord { role, ..user };
        self.put(Space::People, format!("{USER}{name}"), &user)?;
        Ok(user.into())
    }

    /// Removes a user with their sessions and links.
    ///
    /// Errors: [`PeopleError::NotFound`], [`PeopleError::LastAdmin`].
    pub fn remove_user(&self, name: &str) -> Result<(), PeopleError> {
        let _guard = self.change.lock();
        let user = self.existing_user(name)?;
        self.check_not_last(&user)?;
        let mut batch = RecordBatch::new();
        batch.remove(Space::People, format!("{USER}{name}"));
        self.remove_sessions_of(name, None, &mut batch)?;
        self.records.commit(batch).map_err(PeopleError::Records)
    }

    /// Returns the users, ordered by name.
    pub fn users(&self) -> Result<Vec<User>, PeopleError> {
        Ok(self.all::<UserRecord>(USER)?.into_iter().map(|(_, user)| user.into()).collect())
    }

    /// Returns a user; `None` when nobody is called so.
    pub fn user(&self, name: &str) -> Result<Option<User>, PeopleError> {
        Ok(self.user_record(name)?.map(User::from))
    }

    /// Returns the user to whom name and password belong; `None` when they do not fit.
    ///
    /// Hashes, also for an unknown name, so that the time does not tell which names exist.
    pub fn verify_password(&self, name: &str, given: &str) -> Result<Option<User>, PeopleError> {
        let user = self.user_record(name)?;
        let hash = user.as_ref().and_then(|user| user.password.as_deref());
        let is_right = password::verify(given, hash);
        Ok(user.filter(|_| is_right).map(User::from))
    }

    /// Makes a token and returns its secret: the only time that anybody sees it.
    ///
    /// Errors: [`PeopleError::NameUnfit`], [`PeopleError::Exists`].
    pub fn create_token(&self, name: &str, role: Role) -> Result<String, PeopleError> {
        check_name(name)?;
        let _guard = self.change.lock();
        if self.all::<TokenRecord>(TOKEN)?.iter().any(|(_, token)| token.name == name) {
            return Err(PeopleError::Exists { name: name.to_owned() });
        }
        self.check_room(TOKEN)?;
        let secret = format!("{TOKEN_PREFIX}{}", secret::random());
        let key = secret::key(TOKEN, &secret).unwrap_or_default();
        let created_at = self.clock.now();
        let record = TokenRecord { version: VERSION, name: name.to_owned(), role, created_at };
        self.put(Space::People, key, &record)?;
        Ok(secret)
    }

    /// Returns the tokens, ordered by name.
    pub fn tokens(&self) -> Result<Vec<Token>, PeopleError> {
        let all = self.all::<TokenRecord>(TOKEN)?;
        let mut tokens: Vec<Token> = all.into_iter().map(|(_, token)| token.into()).collect();
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tokens)
    }

    /// Makes a token useless, at once. Errors: [`PeopleError::NotFound`].
    pub fn revoke_token(&self, name: &str) -> Result<(), PeopleError> {
        let _guard = self.change.lock();
        let all = self.all::<TokenRecord>(TOKEN)?;
        let found = all.into_iter().find(|(_, token)| token.name == name);
        let (key, _) = found.ok_or_else(|| PeopleError::NotFound { name: name.to_owned() })?;
        let mut batch = RecordBatch::new();
        batch.remove(Space::People, key);
        let removed = self.records.commit(batch).map_err(PeopleError::Records);
        // Also after a failure: nobody knows then whether it is still there.
        let mut shown = self.shown.lock();
        shown.revocations += 1;
        shown.tokens.clear();
        removed
    }

    /// Returns the token that a secret belongs to; `None` when it is none of ours.
    pub fn verify_token(&self, secret: &str) -> Result<Option<Token>, PeopleError> {
        let Some(key) = secret::key(TOKEN, secret) else { return Ok(None) };
        let revocations = self.shown.lock().revocations;
        let token = self.read::<TokenRecord>(Space::People, &key)?.map(Token::from);
        let mut shown = self.shown.lock();
        if let Some(token) = token.as_ref().filter(|_| shown.revocations == revocations) {
            shown.tokens.insert(key, token.clone());
        }
        Ok(token)
    }

    /// Returns the token that a secret belongs to, without a look at the disk; `None` also when it
    /// was not shown to [`People::verify_token`] before.
    pub(crate) fn known_token(&self, secret: &str) -> Option<Token> {
        let key = secret::key(TOKEN, secret)?;
        self.shown.lock().tokens.get(&key).cloned()
    }

    /// Returns what tells whether a user's password has changed since: its hash's hash.
    pub(crate) fn password_mark(&self, name: &str) -> Result<Option<String>, PeopleError> {
        let user = self.user_record(name)?;
        Ok(user.and_then(|user| user.password).map(|hash| secret::hex(hash.as_bytes())))
    }

    fn user_record(&self, name: &str) -> Result<Option<UserRecord>, PeopleError> {
        if name.len() > NAME_CHARS_MAX {
            return Ok(None);
        }
        self.read(Space::People, format!("{USER}{name}").as_bytes())
    }

    fn existing_user(&self, name: &str) -> Result<UserRecord, PeopleError> {
        let found = self.user_record(name)?;
        found.ok_or_else(|| PeopleError::NotFound { name: name.to_owned() })
    }

    fn check_not_last(&self, user: &UserRecord) -> Result<(), PeopleError> {
        let is_other_admin =
            |(_, other): &(_, UserRecord)| other.role == Role::Admin && other.name != user.name;
        if user.role == Role::Admin && !self.all::<UserRecord>(USER)?.iter().any(is_other_admin) {
            return Err(PeopleError::LastAdmin { name: user.name.clone() });
        }
        Ok(())
    }

    fn check_room(&self, prefix: &str) -> Result<(), PeopleError> {
        let entries = self.scan(Space::People, prefix)?;
        if entries.len() < ENTRIES_MAX { Ok(()) } else { Err(PeopleError::Full) }
    }

    fn all<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<(Vec<u8>, T)>, PeopleError> {
        let records = self.scan(Space::People, prefix)?;
        records.into_iter().map(|(key, value)| Ok((key.clone(), parse(&key, &value)?))).collect()
    }

    fn scan(&self, space: Space, prefix: &str) -> Result<Vec<Record>, PeopleError> {
        self.records.scan(space, prefix.as_bytes(), None, ENTRIES_MAX).map_err(PeopleError::Records)
    }

    fn read<T: DeserializeOwned>(
        &self,
        space: Space,
        key: &[u8],
    ) -> Result<Option<T>, PeopleError> {
        let found = self.records.get(space, key).map_err(PeopleError::Records)?;
        found.map(|value| parse(key, &value)).transpose()
    }

    fn put(
        &self,
        space: Space,
        key: impl Into<Vec<u8>>,
        value: &impl Serialize,
    ) -> Result<(), PeopleError> {
        let key = key.into();
        let json = serde_json::to_vec(value)
            .map_err(|source| PeopleError::Unreadable { key: show(&key), source })?;
        let mut batch = RecordBatch::new();
        batch.put(space, key, json);
        self.records.commit(batch).map_err(PeopleError::Records)
    }
}

fn parse<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, PeopleError> {
    serde_json::from_slice(value)
        .map_err(|source| PeopleError::Unreadable { key: show(key), source })
}

/// Shows a key in an error: what it is, without the hash that it may hold.
fn show(key: &[u8]) -> String {
    String::from_utf8_lossy(key).chars().take(24).collect()
}

/// A person is never an agent: an agent's role is for tokens.
fn check_person(role: Role) -> Result<(), PeopleError> {
    if role == Role::Agent {
        return Err(PeopleError::NoSuchRole { role: role.to_string() });
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), PeopleError> {
    let is_fit = |c: char| c.is_alphanumeric() || "._-@".contains(c);
    let length = name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length)
        || name.len() > NAME_CHARS_MAX
        || !name.chars().all(is_fit)
    {
        return Err(PeopleError::NameUnfit { name: name.chars().take(NAME_CHARS_MAX).collect() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
