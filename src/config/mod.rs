//! The configuration: files -> raw -> resolved -> applied as a difference.
//!
//! | file | what |
//! |---|---|
//! | `source` | files, and faults with their places |
//! | `added` | hosts that people add while the server runs |
//! | `split` | what is written alike is read once |
//! | `table`, `template` | tables before they have a shape, and what they inherit |
//! | `raw` | the tables as they are written |
//! | `resolve` | what they mean; all faults at once |
//! | `host`, `check` | a host's table; a check's becomes a probe |
//! | `pattern`, `group` | a check that is said once for many hosts; which hosts those are |
//! | `period` | times that have a name |
//! | `probe` | how a check looks: the native probes with all their options |
//! | `depends` | what needs what: names that exist, and no circle |
//! | `remote`, `plugins` | what runs on the host itself: by NRPE, by the agent |
//! | `people`, `storage` | contacts and mail server; retention and budget |
//! | `handed` | results whose senders hear no answer: NSCA, command file, result files |
//! | `handler`, `spawner`, `history` | what runs when a state changes; how plug-ins are run; what is remembered |
//! | `rule` | what becomes of machines that report by themselves |
//! | `scope` | expressions speak of their host |
//! | `builtin` | checks that come with an agent or a poller |
//! | `site` | what the rooms are given: configured and registered hosts together |

pub(crate) mod added;
mod builtin;
mod check;
mod depends;
mod group;
mod handed;
mod handler;
mod history;
mod host;
mod pattern;
mod people;
mod period;
mod plugins;
mod poll;
mod probe;
mod raw;
mod remote;
mod resolve;
mod rule;
mod scope;
mod site;
mod source;
mod spawner;
mod split;
mod storage;
mod table;
mod template;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

pub(crate) use builtin::{CONFIGURATION_CHECK, HANDED_IN_CHECK, STORE_CHECK};
pub(crate) use handed::HandedIn;
pub(crate) use resolve::{Config, Local};
pub(crate) use rule::{Register, Verdict};
pub(crate) use site::RegisteredHost;
pub(crate) use source::{Fault, Place, SourceFile};

use check::Faults;
use raw::RawConfig;
use scope::Expressions;
use serde_spanned::Spanned;
use source::{Sources, nearest};
use split::CheckTexts;
use table::{Named, Table, take_named};
use toml::de::{DeTable, DeValue};

/// The file in the current folder that is read when none is named.
const FILE_HERE: &str = "noroshi.toml";
/// The folder that is read when there is no file here.
const FOLDER: &str = "/etc/noroshi";

/// Returns the file or folder to read: the one that is named, else the first usual one that
/// exists; `None` when there is none and the built-in configuration holds.
pub(crate) fn find(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.to_owned());
    }
    let here = PathBuf::from(FILE_HERE);
    if here.is_file() {
        return Some(here);
    }
    let folder = PathBuf::from(FOLDER);
    let has_files = folder.is_dir() && files_of(&folder).is_ok_and(|files| !files.is_empty());
    has_files.then_some(folder)
}

/// As [`load_with`], without added hosts.
#[cfg(test)]
pub(crate) fn load(path: Option<&Path>) -> Result<Config, Vec<Fault>> {
    load_with(path, None)
}

/// Reads and resolves a configuration: a file, a folder of `*.toml` files, or the built-in one; and
/// with it the hosts that were added while the server ran.
///
/// Errors: every fault at once, in the order of the files.
pub(crate) fn load_with(
    path: Option<&Path>,
    added: Option<&SourceFile>,
) -> Result<Config, Vec<Fault>> {
    load_without(path, added, &BTreeSet::new())
}

/// As [`load_with`], for a start: added hosts with faults are left out, and what is wrong with them
/// is noted in the configuration. A server that does not start watches nothing at all.
pub(crate) fn load_to_start(
    path: Option<&Path>,
    added: Option<&SourceFile>,
) -> Result<Config, Vec<Fault>> {
    let (mut left_out, mut notes) = (BTreeSet::new(), Vec::new());
    loop {
        let faults = match load_without(path, added, &left_out) {
            Ok(mut config) => {
                config.left_out = notes;
                return Ok(config);
            }
            Err(faults) => faults,
        };
        let Some(file) = added else { return Err(faults) };
        let (of_added, others): (Vec<Fault>, Vec<Fault>) =
            faults.into_iter().partition(|fault| fault.path == file.path);
        let owner = |fault: &Fault| added::owner_of(&file.text, fault.line, fault.column);
        let owners: BTreeSet<String> = of_added.iter().filter_map(owner).collect();
        if owners.is_subset(&left_out) {
            // What is wrong is no host's own: without the file there is no such fault.
            if of_added.is_empty() {
                return Err(others);
            }
            let mut config = load_without(path, None, &left_out)?;
            config.left_out = of_added;
            return Ok(config);
        }
        notes.extend(of_added);
        left_out.extend(owners);
    }
}

/// Reads and resolves without some of the added hosts.
fn load_without(
    path: Option<&Path>,
    added: Option<&SourceFile>,
    left_out: &BTreeSet<String>,
) -> Result<Config, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut texts = Vec::new();
    for file in path.map(files_of).transpose().map_err(|fault| vec![fault])?.unwrap_or_default() {
        match SourceFile::read(&file) {
            Ok(file) => texts.push(file),
            Err(fault) => faults.push(fault),
        }
    }
    let of_admin = texts.len();
    texts.extend(added.cloned());
    let (sources, bases) = Sources::of(texts);
    let files = Files { sources: &sources, bases: &bases, of_admin, left_out };
    if faults.is_empty() {
        let apart = sources.texts().enumerate().map(|(index, text)| match index {
            index if index < of_admin => split::split(text),
            _ => (text.to_owned(), CheckTexts::new()),
        });
        let (rests, checks): (Vec<String>, Vec<CheckTexts<'_>>) = apart.unzip();
        let texts = rests.iter().map(String::as_str).zip(checks).collect();
        if let Ok(config) = read(&files, texts, Vec::new()) {
            return Ok(config);
        }
    }
    // The long way tells each fault at each of its places.
    read(&files, sources.texts().map(|text| (text, CheckTexts::new())).collect(), faults)
}

/// The files of a configuration.
struct Files<'a> {
    sources: &'a Sources,
    /// Where each begins among all.
    bases: &'a [usize],
    /// How many of them are the admin's.
    of_admin: usize,
    /// Added hosts that are left out.
    left_out: &'a BTreeSet<String>,
}

/// Reads the texts of files, with what was taken out of each; `list`: what is wrong already.
fn read<'a>(
    files: &Files<'a>,
    texts: Vec<(&'a str, CheckTexts<'a>)>,
    mut list: Vec<Fault>,
) -> Result<Config, Vec<Fault>> {
    let Files { sources, bases, of_admin, left_out } = files;
    let expressions = Expressions::default();
    let is_partial = !list.is_empty();
    let mut faults = Faults { sources, expressions: &expressions, list: &mut list, is_partial };
    let mut parts = Vec::new();
    let mut overridden = Vec::new();
    for (index, (base, (text, checks))) in bases.iter().zip(texts).enumerate() {
        if index < *of_admin {
            parts.extend(Part::read(&mut faults, text, *base, checks));
        } else if let Some(mut part) = Part::read_added(&mut faults, text, *base) {
            part.hosts.retain(|name, _| !left_out.contains(name.get_ref().as_str()));
            overridden = part.give_way(&parts, sources);
            // With several files of the admin's nothing says whose defaults would be meant.
            if let [only] = &parts[..] {
                part.raw.defaults = only.raw.defaults.clone();
            }
            parts.push(part);
        }
    }
    let mut config = resolve::resolve(parts, &mut faults);
    config.overridden = overridden.into_iter().collect();
    let faults = without_doubles(std::mem::take(faults.list));
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

/// Returns each fault once: what is wrong in a template is found with each table that uses it.
fn without_doubles(faults: Vec<Fault>) -> Vec<Fault> {
    let mut seen = HashSet::new();
    faults.into_iter().filter(|fault| seen.insert(fault.to_string())).collect()
}

/// Returns the files to read, sorted by name when `path` is a folder.
pub(crate) fn files_of(path: &Path) -> Result<Vec<PathBuf>, Fault> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let listing = std::fs::read_dir(path).map_err(|error| Fault {
        path: path.to_owned(),
        line: 0,
        column: 0,
        what: format!("cannot list the folder: {error}"),
        advice: String::new(),
    })?;
    let mut files: Vec<PathBuf> = listing
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|ending| ending == "toml") && file.is_file())
        .collect();
    files.sort();
    Ok(files)
}

/// One file.
struct Part<'a> {
    /// The tables that inherit nothing.
    raw: RawConfig,
    hosts: Named<'a>,
    /// The tables of their checks that were taken out of the text.
    texts: CheckTexts<'a>,
    /// Where the file begins among all.
    base: usize,
    checks: Named<'a>,
    host_templates: Named<'a>,
    check_templates: Named<'a>,
    /// `[[agents.rule]]`, in their order.
    rules: Vec<Table<'a>>,
    /// Whether it is the server's own file of added hosts.
    is_added: bool,
}

impl<'a> Part<'a> {
    /// Reads the tables of a file that begins at `base`; `None` when it is no TOML.
    fn read(
        faults: &mut Faults<'_>,
        text: &'a str,
        base: usize,
        texts: CheckTexts<'a>,
    ) -> Option<Self> {
        let mut root = match DeTable::parse(text) {
            Ok(root) => root.into_inner(),
            Err(error) => {
                faults.of_reader(&error, base);
                faults.is_partial = true;
                return None;
            }
        };
        table::shift(&mut root, base);
        let hosts = take_named(faults, &mut root, "host");
        let checks = take_named(faults, &mut root, "check");
        let (host_templates, check_templates) = template::take(faults, &mut root);
        let rules = take_rules(faults, &mut root);
        let raw = table::read(faults, Spanned::new(base..base, root));
        faults.is_partial |= raw.is_none();
        let raw = raw.unwrap_or_default();
        Some(Self {
            raw,
            hosts,
            texts,
            base,
            checks,
            host_templates,
            check_templates,
            rules,
            is_added: false,
        })
    }

    /// Reads the file of the added hosts, which holds nothing else.
    fn read_added(faults: &mut Faults<'_>, text: &'a str, base: usize) -> Option<Self> {
        let mut root = match DeTable::parse(text) {
            Ok(root) => root.into_inner(),
            Err(error) => {
                faults.of_reader(&error, base);
                faults.is_partial = true;
                return None;
            }
        };
        table::shift(&mut root, base);
        let hosts = take_named(faults, &mut root, "host");
        root.remove("signed");
        for (key, _) in root {
            let what = format!("`{}` does not belong into the server's own file", key.get_ref());
            faults.at(&key.span(), what, "write it into a file of your own");
        }
        let (raw, checks) = (RawConfig::default(), Named::new());
        let (host_templates, check_templates) = (Named::new(), Named::new());
        Some(Self {
            raw,
            hosts,
            texts: CheckTexts::new(),
            base,
            checks,
            host_templates,
            check_templates,
            rules: Vec::new(),
            is_added: true,
        })
    }

    /// Takes out the hosts that other files have as well; returns each with where that one stands.
    fn give_way(&mut self, others: &[Part<'_>], sources: &Sources) -> Vec<(String, Place)> {
        let places: BTreeMap<&str, usize> = others
            .iter()
            .flat_map(|part| part.hosts.keys())
            .map(|name| (name.get_ref().as_str(), name.span().start))
            .collect();
        let mut overridden = Vec::new();
        self.hosts.retain(|name, _| {
            let place = places.get(name.get_ref().as_str()).and_then(|at| sources.place(*at));
            let is_free = place.is_none();
            overridden.extend(place.map(|place| (name.get_ref().clone(), place)));
            is_free
        });
        overridden
    }
}

/// Takes `[[agents.rule]]` out of a file.
fn take_rules<'a>(faults: &mut Faults<'_>, root: &mut DeTable<'a>) -> Vec<Table<'a>> {
    let agents = root.get_mut("agents").map(Spanned::get_mut);
    let Some(DeValue::Table(agents)) = agents else { return Vec::new() };
    let Some(rules) = agents.remove("rule") else { return Vec::new() };
    let span = rules.span();
    let advice = "write [[agents.rule]] above the keys of each";
    let DeValue::Array(list) = rules.into_inner() else {
        faults.at(&span, "`rule` is no list of tables".to_owned(), advice);
        return Vec::new();
    };
    let mut tables = Vec::new();
    for rule in list {
        let span = rule.span();
        match rule.into_inner() {
            DeValue::Table(table) => tables.push(Spanned::new(span, table)),
            _ => faults.at(&span, "a rule is a table".to_owned(), advice),
        }
    }
    tables
}

/// Returns what to do about a message of the TOML reader.
fn advice_for(message: &str) -> String {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field") {
        let known = words.get(1..).unwrap_or_default();
        return match words.first().and_then(|word| nearest(word, known.iter().copied())) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "remove it, or see docs/configuration.md for what belongs here".to_owned(),
        };
    }
    if message.starts_with("missing field") {
        return "add it to this table".to_owned();
    }
    if message.starts_with("invalid") {
        return "correct the value".to_owned();
    }
    String::new()
}

#[cfg(test)]
mod tests;
