//! What is configured: hosts, the checks on them, and how often they are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::{CheckId, GraphHint};

use crate::period::PeriodSpec;
use crate::plugin::PluginSpec;
use crate::probe::Probe;

/// Everything that is watched. Applied as a whole; the difference to what was there is found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// The hosts. Names are unique; of two with one name the first counts.
    pub hosts: Vec<HostSpec>,
    /// The checks. Ids are unique and name a host of `hosts`; others are left out.
    pub checks: Vec<CheckSpec>,
    /// Time periods by name.
    pub periods: BTreeMap<String, PeriodSpec>,
    /// `$USER1$` to `$USER256$` by number: paths and secrets that command lines use.
    pub user_macros: BTreeMap<u16, String>,
    /// How plug-ins and event handlers are run.
    pub plugins: PluginSpec,
    /// How much of what happened is remembered.
    pub history: HistorySpec,
}

/// How much of what happened is remembered: changes of state, downtimes, comments and
/// acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistorySpec {
    /// How many events are kept, and 1 KiB for each in all: the oldest go first.
    pub events_max: usize,
    /// How long an event is kept.
    pub age_max: Duration,
}

impl Default for HistorySpec {
    fn default() -> Self {
        Self { events_max: 100_000, age_max: Duration::from_hours(24 * 400) }
    }
}

/// A host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostSpec {
    /// Its name: unique, without slash.
    pub name: String,
    /// What to call it in texts; empty: its name.
    pub alias: String,
    /// Where it is reached: address or DNS name.
    pub address: String,
    /// Groups it belongs to.
    pub groups: Vec<String>,
    /// Hosts through which it is reached. Unreachable when none of them is up.
    pub parents: Vec<String>,
    /// Hosts and checks without which it cannot work: each must be fine. While one is not, its own
    /// problem is behind that one.
    pub depends: Vec<CheckId>,
    /// Labels for routing and for macros.
    pub labels: BTreeMap<String, String>,
    /// The names of those of `labels` that its agent gave it.
    pub labels_of_agent: BTreeSet<String>,
    /// Contacts of the host, and of its checks that name none.
    pub contacts: Vec<String>,
    /// Whether nobody is told of it, nor of its checks that do not say.
    pub is_quiet: bool,
    /// What to do when it is down.
    pub notes: String,
    /// Where more is written; empty when nowhere.
    pub notes_url: String,
    /// Custom variables, without the underscore: `RACK` is `$_HOSTRACK$`.
    pub variables: BTreeMap<String, String>,
    /// How it is found to be up; `None`: it is taken to be up.
    pub probe: Option<Probe>,
    /// When that is done. Unused without `probe`.
    pub timing: Timing,
    /// Flap detection.
    pub flapping: FlappingSpec,
    /// What to draw beside its state.
    pub graphs: Vec<GraphHint>,
    /// What to run when its state changes.
    pub on_change: Option<HandlerSpec>,
    /// The time period in which it is in downtime, again and again; it holds for its checks too.
    pub maintenance: Option<String>,
}

impl HostSpec {
    /// Makes a host that is taken to be up.
    pub fn new(name: &str, address: &str) -> Self {
        Self { name: name.to_owned(), address: address.to_owned(), ..Self::default() }
    }
}

/// A check on a host: whose it is, and what is said of it.
///
/// Its fields are those of [`CheckTerms`], which checks that are said alike share until one of them
/// is changed: ten checks for a group of 10,000 hosts are ten terms.
#[derive(Clone, Debug)]
pub struct CheckSpec {
    /// Which: host and name.
    pub id: CheckId,
    terms: Arc<CheckTerms>,
}

/// What is said of a check besides whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckTerms {
    /// How it is looked at.
    pub probe: Probe,
    /// When.
    pub timing: Timing,
    /// Hosts and checks without which it cannot work, besides its host: each must be fine. While
    /// one is not, its own problem is behind that one.
    pub depends: Vec<CheckId>,
    /// Every confirmed problem result is told again, not only changes.
    pub is_volatile: bool,
    /// Contacts; empty: the host's.
    pub contacts: Vec<String>,
    /// Whether nobody is told of it; `None`: as for its host.
    pub is_quiet: Option<bool>,
    /// What to do when it fails.
    pub notes: String,
    /// Where more is written; empty when nowhere.
    pub notes_url: String,
    /// Labels for routing, above the host's.
    pub labels: BTreeMap<String, String>,
    /// Custom variables, without the underscore: `PORT` is `$_SERVICEPORT$`.
    pub variables: BTreeMap<String, String>,
    /// What to draw beside its state. An expression check draws itself when this is empty.
    pub graphs: Vec<GraphHint>,
    /// Flap detection.
    pub flapping: FlappingSpec,
    /// What to run when its state changes.
    pub on_change: Option<HandlerSpec>,
    /// The time period in which it is in downtime, again and again.
    pub maintenance: Option<String>,
}

impl CheckSpec {
    /// Makes a check with the default timing.
    pub fn new(id: CheckId, probe: Probe) -> Self {
        let terms = CheckTerms {
            probe,
            timing: Timing::default(),
            depends: Vec::new(),
            is_volatile: false,
            contacts: Vec::new(),
            is_quiet: None,
            notes: String::new(),
            notes_url: String::new(),
            labels: BTreeMap::new(),
            variables: BTreeMap::new(),
            graphs: Vec::new(),
            flapping: FlappingSpec::default(),
            on_change: None,
            maintenance: None,
        };
        Self { id, terms: Arc::new(terms) }
    }

    /// Returns the same check of another host or name, with which it shares what is said.
    pub fn on(&self, id: CheckId) -> Self {
        Self { id, terms: Arc::clone(&self.terms) }
    }

    /// Returns what is said, as it is shared.
    pub(crate) fn terms(&self) -> &Arc<CheckTerms> {
        &self.terms
    }
}

impl Deref for CheckSpec {
    type Target = CheckTerms;

    fn deref(&self) -> &CheckTerms {
        &self.terms
    }
}

impl DerefMut for CheckSpec {
    /// What is changed is no longer shared.
    fn deref_mut(&mut self) -> &mut CheckTerms {
        Arc::make_mut(&mut self.terms)
    }
}

impl PartialEq for CheckSpec {
    /// What is shared is not looked at.
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && (Arc::ptr_eq(&self.terms, &other.terms) || *self.terms == *other.terms)
    }
}

/// When a check runs and when its problem is confirmed.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// From one start to the next while its state is confirmed. At least 100 ms.
    pub interval: Duration,
    /// From one start to the next while a problem is being confirmed. At least 100 ms.
    pub retry_interval: Duration,
    /// When a run is given up. Never more than `interval`: longer ones are cut to it.
    pub timeout: Duration,
    /// How many results that are not OK, one after the other, make a problem hard. At least 1.
    pub attempts_max: u32,
    /// Of how many last results `attempts_max` must be problems, instead of that many one after
    /// the other. It is over when fewer of them are. At most [`Timing::WINDOW_MAX`].
    pub window: Option<u32>,
    /// How long a problem must have been seen to last before it is hard, beside its attempts;
    /// `None`, or zero: the attempts decide alone.
    pub lasting: Option<Duration>,
    /// The time period in which it runs; `None`: always. One that does not exist: always.
    pub period: Option<String>,
}

impl Default for Timing {
    /// Once a minute; a problem is looked at every 15 s and is hard at the third time.
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            retry_interval: Duration::from_secs(15),
            timeout: Duration::from_secs(30),
            attempts_max: 3,
            window: None,
            lasting: None,
            period: None,
        }
    }
}

impl Timing {
    /// The least interval: a tenth of a second.
    pub const INTERVAL_MIN: Duration = Duration::from_millis(100);
    /// The longest window, in results: what fits into one number.
    pub const WINDOW_MAX: u32 = 64;

    /// Returns the timing within its bounds: what the scheduler goes by.
    pub fn bounded(&self) -> Self {
        let interval = self.interval.max(Self::INTERVAL_MIN);
        Self {
            interval,
            retry_interval: self.retry_interval.max(Self::INTERVAL_MIN),
            timeout: self.timeout.clamp(Duration::from_millis(10), interval),
            attempts_max: self.attempts_max.max(1),
            window: self
                .window
                .map(|window| window.clamp(self.attempts_max.max(1), Self::WINDOW_MAX)),
            lasting: self.lasting.filter(|lasting| !lasting.is_zero()),
            period: self.period.clone(),
        }
    }
}

/// When a state counts as flapping.
///
/// Source: Nagios Core `base/flapping.c`; thresholds: the program's own defaults in
/// `include/defaults.h`, which are calmer than those of its sample configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlappingSpec {
    /// Whether it is looked for at all.
    pub is_enabled: bool,
    /// At this weighted share of changes or less it stops. Per cent, 0 to 100.
    pub low: f64,
    /// At this share or more it starts. Per cent, 0 to 100.
    pub high: f64,
}

impl Default for FlappingSpec {
    fn default() -> Self {
        Self { is_enabled: true, low: 20.0, high: 30.0 }
    }
}

/// What to run when a state changes, soft or hard (an event handler).
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerSpec {
    /// What.
    pub action: HandlerAction,
    /// When it is given up.
    pub timeout: Duration,
    /// Whether it runs for results that confirm nothing yet, and for the end of such a problem.
    pub is_for_soft: bool,
    /// Whether it runs for confirmed problems and their ends.
    pub is_for_hard: bool,
}

/// What an event handler does. Macros are expanded in every text.
#[derive(Clone, Debug, PartialEq)]
pub enum HandlerAction {
    /// Runs a program with arguments, without a shell.
    Command {
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// Calls a URL. An answer of 200 to 299 is success; redirects are not followed.
    Url {
        /// Where to. Values of macros are percent-encoded, except `$USERn$`.
        url: String,
        /// `POST` and the like.
        method: String,
        /// Headers above `Content-Type: application/json`.
        headers: Vec<(String, String)>,
        /// What is sent; `None`: the state as JSON (`docs/event-handlers.md`). While the content
        /// type is JSON, values of macros are escaped as inside a JSON text.
        body: Option<String>,
    },
}

impl HandlerSpec {
    /// Returns the texts in which macros are expanded.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match &self.action {
            HandlerAction::Command { argv } => argv.iter().map(String::as_str).collect(),
            HandlerAction::Url { url, headers, body, .. } => {
                let headers = headers.iter().map(|(_, value)| value);
                let texts = std::iter::once(url).chain(headers).chain(body);
                texts.map(String::as_str).collect()
            }
        }
    }
}
