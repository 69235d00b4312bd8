//! What every handler shares.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use noroshi_collector::prometheus::remote_write;
use noroshi_model::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::WebDeps;
use crate::error::ApiError;
use crate::gate::Gate;
use crate::limits::Requests;
use crate::live::Live;
use crate::people::{People, Throttle, User};

/// How long a password that came by Basic need not be hashed again: a dashboard sends it with
/// each of its queries.
const PASSWORD_MEMORY: Duration = Duration::from_mins(5);
/// Most such passwords remembered; when full, all are forgotten, which costs a hash each.
const PASSWORDS_MAX: usize = 256;

/// The rooms behind the pages, and what the server itself remembers.
pub(crate) struct App {
    pub(crate) deps: WebDeps,
    pub(crate) people: Arc<People>,
    pub(crate) gate: Gate,
    /// Remembers the series that senders of remote writes repeat.
    pub(crate) remote_writes: Arc<remote_write::Receiver>,
    pub(crate) requests: Requests,
    pub(crate) live: Arc<Live>,
    pub(crate) stop: CancellationToken,
    /// The `OpenAPI` document, as it is sent.
    pub(crate) openapi: String,
    /// Paths that answer without credentials.
    open_paths: HashSet<&'static str>,
    throttle: Throttle,
    passwords: Mutex<HashMap<[u8; 32], Known>>,
}

/// A password that was right lately.
struct Known {
    until: Timestamp,
    /// What the user's hash looked like then: a changed password is not known.
    mark: Option<String>,
}

impl App {
    pub(crate) fn new(
        deps: WebDeps,
        open_paths: HashSet<&'static str>,
        openapi: String,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let people = People::new(Arc::clone(&deps.records), Arc::clone(&deps.clock));
        Arc::new(Self {
            deps,
            people,
            gate: Gate::new(),
            remote_writes: Arc::default(),
            requests: Requests::default(),
            live: Arc::new(Live::new()),
            stop,
            openapi,
            open_paths,
            throttle: Throttle::default(),
            passwords: Mutex::default(),
        })
    }

    /// Tells whether a path answers without credentials.
    pub(crate) fn is_open(&self, path: &str) -> bool {
        self.open_paths.contains(path)
    }

    /// Returns the user to whom name and password belong; `None` when they do not fit.
    ///
    /// Errors: [`ApiError::Throttled`] when this account failed too often from this address.
    pub(crate) async fn verify_password(
        &self,
        name: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<Option<User>, ApiError> {
        let now = self.deps.clock.now();
        // Before what is remembered is looked at: that takes no time, so it could be guessed fast.
        if let Some(wait) = self.throttle.wait(name, address, now) {
            return Err(ApiError::Throttled(wait.as_secs() + 1));
        }
        let key = password_key(name, password);
        if let Some(user) = self.known(name, &key, now).await? {
            return Ok(Some(user));
        }
        let people = Arc::clone(&self.people);
        let (owned, password) = (name.to_owned(), password.to_owned());
        let verify = move || {
            let user = people.verify_password(&owned, &password)?;
            Ok::<_, ApiError>((user, people.password_mark(&owned)?))
        };
        let (user, mark) = self.gate.hash(verify).await??;
        if user.is_none() {
            self.throttle.failed(name, address, now);
            return Ok(None);
        }
        self.throttle.succeeded(name, address);
        let mut passwords = self.passwords.lock();
        if passwords.len() >= PASSWORDS_MAX {
            passwords.clear();
        }
        passwords.insert(key, Known { until: now + PASSWORD_MEMORY, mark });
        Ok(user)
    }

    /// Returns the user when exactly this password was right a moment ago and still is.
    async fn known(
        &self,
        name: &str,
        key: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<User>, ApiError> {
        let mark = match self.passwords.lock().get(key) {
            Some(known) if now < known.until => known.mark.clone(),
            _ => return Ok(None),
        };
        let people = Arc::clone(&self.people);
        let name = name.to_owned();
        self.gate
            .disk(move || {
                let is_same = people.password_mark(&name)? == mark;
                Ok(if is_same { people.user(&name)? } else { None })
            })
            .await?
    }

    /// Runs blocking work on the people.
    pub(crate) async fn with_people<T: Send + 'static>(
        &self,
        work: impl FnOnce(&People) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let people = Arc::clone(&self.people);
        self.gate.disk(move || work(&people)).await?
    }
}

/// Names a pair of name and password without keeping either.
fn password_key(name: &str, password: &str) -> [u8; 32] {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    // A name holds no NUL, so two pairs do not run together.
    hash.update(name);
    hash.update([0]);
    hash.update(password);
    hash.finalize().into()
}
