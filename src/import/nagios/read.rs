//! The main file, the folders it names, and the object definitions in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ImportError;
use super::period;
use super::report::{Notes, Place};

/// Largest file that is read, in MiB: a site of 100,000 services takes about 30.
pub(super) const FILE_MIB_MAX: u64 = 256;

/// Kinds of objects that Nagios knows.
const KINDS: [&str; 14] = [
    "host",
    "service",
    "hostgroup",
    "servicegroup",
    "contact",
    "contactgroup",
    "timeperiod",
    "command",
    "hostdependency",
    "servicedependency",
    "hostescalation",
    "serviceescalation",
    "hostextinfo",
    "serviceextinfo",
];

/// Settings of the main file that make Nagios do something which has no place here.
const UNCARRIED_SETTINGS: [(&str, &str); 10] = [
    ("global_host_event_handler", "give the hosts `on_change`"),
    ("global_service_event_handler", "give the checks `on_change`"),
    ("ocsp_command", "results are not handed on by a command"),
    ("ochp_command", "results are not handed on by a command"),
    ("host_perfdata_command", "performance data becomes series; no command gets it"),
    ("service_perfdata_command", "performance data becomes series; no command gets it"),
    ("host_perfdata_file", "performance data becomes series; no file gets it"),
    ("service_perfdata_file", "performance data becomes series; no file gets it"),
    ("broker_module", "modules are not loaded"),
    ("use_timezone", "give contacts a `zone` instead"),
];

/// Settings of the main file that mean something only with this value.
const UNCARRIED_VALUES: [(&str, &str, &str); 7] = [
    (
        "use_aggressive_host_checking",
        "1",
        "exit 1 of a host's check is DOWN in Nagios; here it is UP, so let the plug-in exit 2",
    ),
    ("enable_environment_macros", "1", "write `[plugins] environment_macros = true`"),
    (
        "enable_notifications",
        "0",
        "nobody is told in Nagios; here people are, once there is [smtp]",
    ),
    ("execute_service_checks", "0", "no service is looked at in Nagios; here all are"),
    ("execute_host_checks", "0", "no host is looked at in Nagios; here all are"),
    ("accept_passive_service_checks", "0", "results may be handed in for every check"),
    ("accept_passive_host_checks", "0", "results may be handed in for every host"),
];

/// A value of an object, and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// The text; `None` after `null`.
    pub(super) text: Option<String>,
    /// Where.
    pub(super) place: Place,
}

/// `define KIND { ... }`.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) kind: String,
    pub(super) place: Place,
    /// By the directive's usual name; custom variables in capitals, with their underscore.
    pub(super) values: BTreeMap<String, Value>,
}

impl Definition {
    /// Returns the text of a directive; `None` when it is not there or `null`.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.text.as_deref()
    }
}

/// All that was read.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) definitions: Vec<Definition>,
    /// Settings of the main file, the last of a name; those that name files are not among them.
    pub(super) settings: BTreeMap<String, String>,
    /// `$USERn$` of the resource files, by number.
    pub(super) user_macros: BTreeMap<u16, String>,
}

impl Source {
    /// Returns a setting of the main file as a number.
    pub(super) fn number(&self, name: &str, default: f64) -> f64 {
        self.settings.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// Returns whether a setting of the main file is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.number(name, 0.0) > 0.0
    }
}

/// Reads the main file and all that it names.
pub(super) fn read(main: &Path, notes: &mut Notes) -> Result<Source, ImportError> {
    let mut source = Source::default();
    let folder = main.parent().unwrap_or(Path::new(""));
    let file: Arc<Path> = main.into();
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for (line, text) in lines(&read_text(main)?) {
        let place = Place { file: Arc::clone(&file), line };
        let Some((name, value)) = setting(&text) else { continue };
        match name {
            "cfg_file" => files.push(folder.join(value)),
            "cfg_dir" => files_below(&folder.join(value), &mut files, &mut seen)?,
            "resource_file" => read_macros(&mut source, &folder.join(value), &place, notes),
            _ => {
                if let Some((_, why)) = UNCARRIED_SETTINGS.iter().find(|(n, _)| *n == name) {
                    notes.add(&place, format!("{name}: {why}"));
                }
                let of_value = UNCARRIED_VALUES.iter().find(|(n, v, _)| (*n, *v) == (name, value));
                if let Some((_, _, why)) = of_value {
                    notes.add(&place, format!("{name}={value}: {why}"));
                }
                source.settings.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    while let Some(file) = (!files.is_empty()).then(|| files.remove(0)) {
        let text = read_text(&file)?;
        let included = read_objects(&mut source, &file, &text, notes);
        for (is_folder, path) in included {
            if is_folder {
                files_below(&path, &mut files, &mut seen)?;
            } else if seen.insert(path.clone()) {
                files.push(path);
            }
        }
    }
    Ok(source)
}

fn read_text(path: &Path) -> Result<String, ImportError> {
    let fault = |source| ImportError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(fault)?.len() > FILE_MIB_MAX << 20 {
        return Err(ImportError::TooLarge { path: path.to_owned() });
    }
    // Old sites hold Latin-1 in aliases and notes: a letter lost there is better than no import.
    Ok(String::from_utf8_lossy(&fs::read(path).map_err(fault)?).into_owned())
}

/// Adds the `*.cfg` files of a folder and those below it; a folder that was seen is passed over.
fn files_below(
    folder: &Path,
    files: &mut Vec<PathBuf>,
    seen: &mut BTreeSet<PathBuf>,
) -> Result<(), ImportError> {
    let fault = |source| ImportError::Read { path: folder.to_owned(), source };
    if !seen.insert(folder.canonicalize().map_err(fault)?) {
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        entries.push(entry.map_err(fault)?.path());
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if name.is_some_and(|name| name.starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            files_below(&path, files, seen)?;
        } else if path.extension().is_some_and(|ending| ending == "cfg") {
            files.push(path);
        }
    }
    Ok(())
}

/// Reads `name=value`; `None` for comments and what is neither.
fn setting(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    if text.starts_with('#') || text.starts_with(';') {
        return None;
    }
    let (name, value) = text.split_once('=')?;
    Some((name.trim(), value.trim()))
}

/// Reads `$USERn$=value` lines. Often only Nagios' own user may: that is a note.
fn read_macros(source: &mut Source, path: &Path, place: &Place, notes: &mut Notes) {
    let Ok(text) = read_text(path) else {
        let what = "cannot be read, so its $USERn$ are unknown: run the import as root";
        return notes.add(place, format!("{} {what}", path.display()));
    };
    for (_, text) in lines(&text) {
        let Some((name, value)) = setting(&text) else { continue };
        let number = name.trim_matches('$').strip_prefix("USER").and_then(|n| n.parse().ok());
        if let Some(number @ 1..=256) = number {
            source.user_macros.insert(number, value.to_owned());
        }
    }
}

/// Returns the lines with their numbers; one that ends with a backslash goes on in the next, whose
/// leading blanks are dropped. Two backslashes at the end are one that is meant.
pub(super) fn lines(text: &str) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (index, line) in text.lines().enumerate() {
        let (line, ends_open) = match line.strip_suffix('\\') {
            Some(one) if one.ends_with('\\') => (one, false),
            Some(open) => (open, true),
            None => (line, false),
        };
        match joined.last_mut() {
            Some((_, last)) if goes_on => last.push_str(line.trim_start_matches([' ', '\t'])),
            _ => joined.push((index + 1, line.to_owned())),
        }
        goes_on = ends_open;
    }
    joined
}

/// Cuts a line at its `;` comment; `\;` is a semicolon.
pub(super) fn without_comment(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for letter in line.chars() {
        if letter == ';' {
            if !out.ends_with('\\') {
                break;
            }
            out.pop();
        }
        out.push(letter);
    }
    let out = out.trim();
    if out.starts_with('#') { String::new() } else { out.to_owned() }
}

/// Reads the definitions of one file; returns what it includes: whether a folder, and the path.
pub(super) fn read_objects(
    source: &mut Source,
    path: &Path,
    text: &str,
    notes: &mut Notes,
) -> Vec<(bool, PathBuf)> {
    let file: Arc<Path> = path.into();
    let mut included = Vec::new();
    let mut open: Option<Definition> = None;
    for (line, text) in lines(text) {
        let text = without_comment(&text);
        let place = Place { file: Arc::clone(&file), line };
        if text.is_empty() {
            continue;
        }
        if let Some(definition) = &mut open {
            if text == "}" {
                source.definitions.extend(open.take());
            } else {
                add_value(definition, &text, place);
            }
            continue;
        }
        if let Some(kind) = text.strip_prefix("define") {
            let kind = kind.trim().trim_end_matches('{').trim().to_owned();
            if !KINDS.contains(&kind.as_str()) {
                notes.add(&place, format!("{kind:?} is no kind of object"));
            }
            open = Some(Definition { kind, place, values: BTreeMap::new() });
        } else if let Some(("include_file" | "include_dir", path)) = setting(&text) {
            included.push((text.starts_with("include_dir"), PathBuf::from(path)));
        } else {
            notes.add(&place, "stands outside of a definition");
        }
    }
    if let Some(definition) = open {
        notes.add(&definition.place, "the definition has no end");
    }
    included
}

fn add_value(definition: &mut Definition, text: &str, place: Place) {
    if definition.kind == "timeperiod" && !text.starts_with('_') {
        let (days, times) = period::split(text);
        let text = (times != "null").then(|| times.to_owned());
        definition.values.insert(days, Value { text, place });
        return;
    }
    let (name, value) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let value = value.trim();
    let name = match name.strip_prefix('_') {
        Some(_) => name.to_uppercase(),
        None => usual_name(&definition.kind, name).to_owned(),
    };
    let text = (value != "null").then(|| value.to_owned());
    definition.values.insert(name, Value { text, place });
}

/// Returns the usual name of a directive that has several.
fn usual_name<'a>(kind: &str, name: &'a str) -> &'a str {
    match (kind, name) {
        ("host" | "service", "normal_check_interval") => "check_interval",
        ("host" | "service", "retry_check_interval") => "retry_interval",
        ("host", "host_groups") => "hostgroups",
        ("service", "host" | "hosts") => "host_name",
        ("service", "hostgroup" | "hostgroups") => "hostgroup_name",
        ("service", "description") => "service_description",
        ("service", "service_groups") => "servicegroups",
        ("contact", "contact_groups") => "contactgroups",
        _ => name,
    }
}
