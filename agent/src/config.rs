//! The config file: the same options as on the command line, in TOML.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use noroshi_model::host_label::{self, HOST_LABELS_MAX};
use noroshi_model::quantity::humane;
use serde::Deserialize;

use crate::plugins::PluginSpec;
use crate::ship::Settings;
use crate::sources::Roots;

/// A reading costs some milliseconds; more often than each second is a mistake.
const STEP_MIN: Duration = Duration::from_secs(1);

/// The server takes a longer silence for a dead host in any case.
const STEP_MAX: Duration = Duration::from_hours(1);

/// Default of `spool_bytes_max`: three days of a host with 400 series and a step of 10 s.
const SPOOL_BYTES_DEFAULT: u64 = 128 << 20;

/// With less, not even an hour of a host with 200 series fits.
const SPOOL_BYTES_MIN: u64 = 1 << 20;

const STEP_DEFAULT: Duration = Duration::from_secs(10);

/// Default of a plug-in's `interval`, as that of the server's checks.
const PLUGIN_INTERVAL: Duration = Duration::from_mins(1);
/// Default of its `retry`.
const PLUGIN_RETRY: Duration = Duration::from_secs(15);
/// Default of its `timeout`.
const PLUGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// As long as a label or a name of a host may be.
const PLUGIN_NAME_BYTES_MAX: usize = 253;

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// What a file, or a command line, says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// `https://HOST:PORT`
    pub(crate) server: Option<String>,
    /// The file with the token.
    pub(crate) token_file: Option<PathBuf>,
    /// Time from reading to reading: `"10s"`.
    #[serde(default, with = "humane::option")]
    pub(crate) step: Option<Duration>,
    /// The host's name.
    pub(crate) host: Option<String>,
    /// The address to be known by.
    pub(crate) address: Option<String>,
    /// The folder for unsent readings.
    pub(crate) spool: Option<PathBuf>,
    /// Most bytes in that folder.
    pub(crate) spool_bytes_max: Option<u64>,
    /// Further certificate authorities, PEM.
    pub(crate) ca: Option<PathBuf>,
    /// `"human"` or `"json"`
    pub(crate) log_format: Option<LogFormat>,
    /// The folders in which the server may ask for files.
    #[serde(default)]
    pub(crate) files: Vec<PathBuf>,
    /// Labels of this host.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// Plug-ins to run, by name.
    #[serde(default)]
    pub(crate) check: BTreeMap<String, RawPlugin>,
}

/// `[check.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPlugin {
    /// Program and arguments; no shell.
    command: Vec<String>,
    /// From run to run.
    #[serde(default, with = "humane::option")]
    interval: Option<Duration>,
    /// From run to run while a problem is new.
    #[serde(default, with = "humane::option")]
    retry: Option<Duration>,
    /// When a run is given up.
    #[serde(default, with = "humane::option")]
    timeout: Option<Duration>,
    /// Environment variables.
    #[serde(default)]
    env: BTreeMap<String, String>,
}

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML, or has an unknown or mistyped option.
    #[error("{path}:{line}:{column}: {text}")]
    Parse {
        /// The file.
        path: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        text: String,
    },
    /// Options are missing or out of bounds: all of them at once.
    #[error("{0}")]
    Bounds(Problems),
}

/// One line for each thing to mend.
#[derive(Debug)]
pub struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// Reads a file.
pub(crate) fn load(path: &Path) -> Result<Options, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.into(), source })?;
    parse(&path.display().to_string(), &text)
}

fn parse(path: &str, text: &str) -> Result<Options, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map_or(0, |span| span.start);
        let before = &text[..text.floor_char_boundary(place)];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let text = error.message().replace('\n', "; ");
        ConfigError::Parse { path: path.to_owned(), line, column, text }
    })
}

impl Options {
    /// Takes from `other` what is not said here.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            server: self.server.or(other.server),
            token_file: self.token_file.or(other.token_file),
            step: self.step.or(other.step),
            host: self.host.or(other.host),
            address: self.address.or(other.address),
            spool: self.spool.or(other.spool),
            spool_bytes_max: self.spool_bytes_max.or(other.spool_bytes_max),
            ca: self.ca.or(other.ca),
            log_format: self.log_format.or(other.log_format),
            files: if self.files.is_empty() { other.files } else { self.files },
            labels: if self.labels.is_empty() { other.labels } else { self.labels },
            check: if self.check.is_empty() { other.check } else { self.check },
        }
    }
}

/// Fills in defaults and checks bounds. Errors: all of them at once.
pub(crate) fn resolve(file: Options, roots: Roots) -> Result<Settings, ConfigError> {
    let mut problems = Vec::new();
    let mut check = |is_wrong: bool, text: &str| {
        if is_wrong {
            problems.push(text.to_owned());
        }
    };
    let step = file.step.unwrap_or(STEP_DEFAULT);
    let spool_bytes_max = file.spool_bytes_max.unwrap_or(SPOOL_BYTES_DEFAULT);
    check(
        file.server.is_none(),
        "no server is given: say --server https://HOST:8420, or server = \"...\" in --config FILE (to only look at a reading: --once)",
    );
    check(
        file.token_file.is_none(),
        "no token is given: say --token-file FILE; make the token on the server by `noroshi token create NAME --role agent`",
    );
    check(!(STEP_MIN..=STEP_MAX).contains(&step), "step must be from 1s to 1h");
    check(spool_bytes_max < SPOOL_BYTES_MIN, "spool_bytes_max must be at least 1048576 (1 MiB)");
    let is_odd = |name: &str| name.trim().is_empty() || name.contains(['/', '\0', '\n']);
    check(
        file.host.as_deref().is_some_and(is_odd),
        "host must have a name without slash: it stands before the slash of HOST/CHECK",
    );
    check(
        file.files.iter().any(|folder| !folder.is_absolute()),
        "files has folders from / on, such as [\"/var/backups\"]",
    );
    check_labels(&file.labels, &mut problems);
    let plugins = plugins(file.check, &mut problems);
    match (file.server, file.token_file) {
        (Some(server), Some(token_file)) if problems.is_empty() => Ok(Settings {
            server,
            token_file,
            ca: file.ca,
            step,
            host: file.host,
            address: file.address,
            spool: file.spool,
            spool_bytes_max,
            roots,
            folders: file.files,
            labels: file.labels,
            plugins,
        }),
        _ => Err(ConfigError::Bounds(Problems(problems))),
    }
}

/// How results of looks are named, which the server asks for: no plug-in may take its place.
const RESERVED: &str = "noroshi:";

/// Checks bounds of `[labels]`.
pub(crate) fn check_labels(labels: &BTreeMap<String, String>, problems: &mut Vec<String>) {
    let count = labels.len();
    if count > HOST_LABELS_MAX {
        problems.push(format!("[labels]: {count} labels; at most {HOST_LABELS_MAX} are taken"));
    }
    let faults = labels.iter().filter_map(|(name, value)| host_label::fault(name, value));
    problems.extend(faults.map(|fault| format!("[labels]: {fault}")));
}

/// Fills in defaults of `[check.NAME]` and checks bounds.
pub(crate) fn plugins(
    raw: BTreeMap<String, RawPlugin>,
    problems: &mut Vec<String>,
) -> Vec<PluginSpec> {
    let plugin = |(name, raw): (String, RawPlugin)| {
        let mut check = |is_wrong: bool, text: &str| {
            if is_wrong {
                problems.push(format!("[check.{name}]: {text}"));
            }
        };
        let interval = raw.interval.unwrap_or(PLUGIN_INTERVAL);
        let retry = raw.retry.unwrap_or(PLUGIN_RETRY.min(interval));
        let timeout = raw.timeout.unwrap_or(PLUGIN_TIMEOUT.min(interval));
        let is_odd = name.trim() != name || name.is_empty() || name.contains(char::is_control);
        check(is_odd || name.len() > PLUGIN_NAME_BYTES_MAX, "this cannot be the name of a check");
        check(
            name.starts_with(RESERVED),
            "names that begin with `noroshi:` are the server's own; choose another",
        );
        check(
            raw.command.first().is_none_or(String::is_empty),
            "command is a list of program and arguments, such as [\"check_raid\", \"-v\"]",
        );
        check(interval < STEP_MIN || retry < STEP_MIN, "interval and retry are at least 1s");
        check(
            timeout.is_zero() || timeout > interval,
            "timeout is more than 0 and at most interval",
        );
        PluginSpec { name, argv: raw.command, env: raw.env, interval, retry, timeout }
    };
    raw.into_iter().map(plugin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_read() {
        let file = parse("x", include_str!("../noroshi-agent.toml")).unwrap();
        let settings = resolve(file, Roots::default()).unwrap();
        assert_eq!(settings.server, "https://noroshi.example.org:8420");
        assert_eq!(settings.step, Duration::from_secs(10));
        assert_eq!(settings.spool_bytes_max, SPOOL_BYTES_DEFAULT);
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = parse("x", "step = '5s'\nhost = 'a'\nserver = 'https://a'").unwrap();
        let given = Options { host: Some("b".into()), ..Options::default() };
        let both = given.or(file);
        assert_eq!((both.host.as_deref(), both.step), (Some("b"), Some(Duration::from_secs(5))));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (text, expected) in [
            ("server = 'x'\nservr = 'y'\n", "f:2:1: unknown field `servr`"),
            ("step = 10", "f:1:8: invalid type: integer `10`"),
            ("step = '10'", "f:1:8: \"10\" is no duration: a unit is missing"),
            ("log_format = 'xml'", "f:1:14: unknown variant `xml`"),
            ("a = ", "f:1:"),
        ] {
            let error = parse("f", text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_plug_in_has_defaults_and_bounds() {
        let read = |text: &str| {
            let mut problems = Vec::new();
            let plugins = plugins(parse("x", text).unwrap().check, &mut problems);
            (plugins, problems)
        };
        let (found, problems) = read("[check.raid]\ncommand = ['check_raid', '-v']");
        assert_eq!((found[0].name.as_str(), problems.len()), ("raid", 0));
        assert_eq!(found[0].argv, ["check_raid", "-v"]);
        let seconds = [found[0].interval, found[0].retry, found[0].timeout].map(|d| d.as_secs());
        assert_eq!(seconds, [60, 15, 30]);
        let (found, _) = read("[check.x]\ncommand = ['x']\ninterval = '10s'");
        assert_eq!([found[0].retry, found[0].timeout].map(|d| d.as_secs()), [10, 10]);
        let text = "[check.' x']\ncommand = []\ninterval = '10ms'\ntimeout = '1s'";
        assert_eq!(read(text).1.len(), 4, "{:?}", read(text).1);
        let (_, problems) = read("[check.'noroshi:raid']\ncommand = ['x']");
        let told = "[check.noroshi:raid]: names that begin with `noroshi:` are the server's own; \
                    choose another";
        assert_eq!(problems, [told]);
        let error = parse("f", "[check.x]\ncommand = 'check_raid -v'").unwrap_err().to_string();
        assert!(error.starts_with("f:2:11: invalid type: string"), "{error}");
    }

    #[test]
    fn labels_have_bounds() {
        let read = |text: &str| {
            let mut problems = Vec::new();
            check_labels(&parse("x", text).unwrap().labels, &mut problems);
            problems
        };
        assert_eq!(read("[labels]\nrole = 'web'\nrack = 'b4'"), [""; 0]);
        let reserved = "[labels]: `job` means something else; call the label otherwise";
        assert_eq!(read("[labels]\njob = 'x'\nrole = 'web'"), [reserved]);
        let line = |i: u32| format!("l{i} = 'x'\n");
        let many = (0..33).map(line).collect::<Vec<String>>().concat();
        assert_eq!(
            read(&format!("[labels]\n{many}")),
            ["[labels]: 33 labels; at most 32 are taken"]
        );
        let error = parse("f", "[labels]\nrole = 7").unwrap_err().to_string();
        assert!(error.starts_with("f:2:8: invalid type: integer"), "{error}");
    }

    #[test]
    fn all_missing_and_bad_options_are_told_at_once() {
        let text = "step = '10ms'\nspool_bytes_max = 1\nhost = 'a/b'";
        let error = resolve(parse("f", text).unwrap(), Roots::default()).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 5, "{error}");
    }
}
