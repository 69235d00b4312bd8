//! The log: lines to standard error, and a filter that thins lines that repeat.
//!
//! While a disk is full or a mail server is away, the same warning comes with every batch and every
//! try. The first is written at once; the same line again is counted, and told once a minute.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

/// A line that comes again within this time is counted instead of written.
const QUIET: Duration = Duration::from_mins(1);
/// Lines that are remembered. More different ones are written as they come.
const LINES_MAX: usize = 1000;
/// The target of the lines that tell counts: they are never thinned.
const COUNTS: &str = "noroshi::log";

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// A line a person reads
    Human,
    /// A line of JSON
    Json,
}

/// Starts the log: one line an event, to standard error. [`Thin::tell`] wants to be called often.
pub(crate) fn start(format: LogFormat) -> Thin {
    // Libraries speak up only when something is wrong.
    let levels = EnvFilter::try_from_env("NOROSHI_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,noroshi=info"));
    let thin = Thin::default();
    let filter = levels.and(thin.clone());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // A line that a full disk refuses is lost; telling so there would panic the thread.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    let registry = Registry::default();
    match format {
        LogFormat::Human => registry.with(lines.with_target(false).with_filter(filter)).init(),
        LogFormat::Json => {
            registry.with(lines.json().flatten_event(true).with_filter(filter)).init();
        }
    }
    thin
}

/// Thins warnings and errors that repeat.
#[derive(Clone, Default)]
pub(crate) struct Thin(Arc<Mutex<HashMap<u64, Line>>>);

/// A line that was written.
struct Line {
    level: Level,
    text: String,
    since: Instant,
    repeated: u64,
}

impl Thin {
    /// Notes a line; tells whether it is to be written.
    fn is_new(&self, level: Level, text: String, now: Instant) -> bool {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let mut lines = self.0.lock();
        if let Some(line) = lines.get_mut(&hasher.finish()) {
            line.repeated += 1;
            return false;
        }
        if lines.len() < LINES_MAX {
            lines.insert(hasher.finish(), Line { level, text, since: now, repeated: 0 });
        }
        true
    }

    /// Takes the lines that were written or told a minute ago, with how often they came since;
    /// those that did not are forgotten.
    fn due(&self, now: Instant) -> Vec<(Level, String, u64)> {
        let mut due = Vec::new();
        self.0.lock().retain(|_, line| {
            if now.duration_since(line.since) < QUIET {
                return true;
            }
            let repeated = std::mem::take(&mut line.repeated);
            line.since = now;
            if repeated > 0 {
                due.push((line.level, line.text.clone(), repeated));
            }
            repeated > 0
        });
        due
    }

    /// Tells counts until the program ends.
    pub(crate) async fn tell(self) {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            let now = ticks.tick().await;
            for (level, text, times) in self.due(now) {
                let times = format_args!("{times} times more in a minute: {text}");
                if level == Level::ERROR {
                    tracing::error!(target: COUNTS, "{times}");
                } else {
                    tracing::warn!(target: COUNTS, "{times}");
                }
            }
        }
    }
}

impl<S: Subscriber> Filter<S> for Thin {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN || metadata.target() == COUNTS {
            return true;
        }
        let mut text = Text::default();
        event.record(&mut text);
        self.is_new(*metadata.level(), text.0, Instant::now())
    }
}

/// What a line says: its message and its fields.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write as _;
        let space = if self.0.is_empty() { "" } else { " " };
        // Writing into a string cannot fail.
        if field.name() == "message" {
            write!(self.0, "{space}{value:?}").unwrap_or_default();
        } else {
            write!(self.0, "{space}{}={value:?}", field.name()).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_repeats_is_written_once_and_then_counted() {
        let (thin, start) = (Thin::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let say = |text: &str, now| thin.is_new(Level::WARN, text.to_owned(), now);
        assert!(say("full", at(0)));
        assert!(!say("full", at(1)));
        assert!(say("other", at(2)));
        assert!(!say("full", at(59)));
        assert!(thin.due(at(59)).is_empty());
        assert_eq!(thin.due(at(60)), [(Level::WARN, "full".to_owned(), 2)]);
        // It is still going on: only counted.
        assert!(!say("full", at(61)));
        assert!(thin.due(at(119)).is_empty());
        assert_eq!(thin.due(at(120)), [(Level::WARN, "full".to_owned(), 1)]);
        // A minute without it: the next one is news.
        assert!(thin.due(at(180)).is_empty());
        assert!(say("full", at(181)));
        assert!(say("other", at(181)));
    }

    #[test]
    fn more_lines_than_are_remembered_are_written() {
        let (thin, now) = (Thin::default(), Instant::now());
        for number in 0..2 * LINES_MAX {
            assert!(thin.is_new(Level::ERROR, number.to_string(), now), "{number}");
        }
        assert!(!thin.is_new(Level::ERROR, "0".to_owned(), now));
    }
}
