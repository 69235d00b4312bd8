//! `noroshi host`: hosts that are added while the server runs. What the configuration's own files
//! hold is changed there.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::ServerArgs;
use super::client::{Client, encode};
use super::show::{self, Table};

/// Subcommands of `host`.
#[derive(Debug, Subcommand)]
pub(super) enum HostCommand {
    /// Add a host and watch it at once; prints what it gets
    Add(Box<HostArgs>),
    /// Change an added host; what is not named stays as it is
    Set(Box<HostArgs>),
    /// Remove an added host with its checks
    Remove {
        /// The host
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the hosts that were added here, not those of the configuration's files
    List {
        /// Print JSON, with all their keys
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// What a host is to be: the usual keys of `[host.NAME]` as options, all others from a file.
#[derive(Args, Debug)]
pub(super) struct HostArgs {
    /// Its name
    name: String,
    /// Address or DNS name
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// What to call it in texts
    #[arg(long, value_name = "TEXT")]
    alias: Option<String>,
    /// A group it belongs to; may be repeated
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// A host through which it is reached; may be repeated
    #[arg(long = "parent", value_name = "HOST")]
    parents: Vec<String>,
    /// A template it uses; may be repeated
    #[arg(long = "use", value_name = "TEMPLATE")]
    templates: Vec<String>,
    /// A contact who is told; may be repeated
    #[arg(long = "contact", value_name = "NAME")]
    contacts: Vec<String>,
    /// How it is seen to be up: ping, agent or none
    #[arg(long, value_name = "HOW")]
    alive: Option<String>,
    /// A label; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// A check as KIND or KIND=WHERE, such as ping, tcp=22 or http=https://web1/; its name is the
    /// kind, or stands before a colon (site:http=https://web1/); may be repeated
    #[arg(long = "check", value_name = "[NAME:]KIND[=WHERE]")]
    checks: Vec<String>,
    /// A page that is polled, as nginx=http://web1/status or prometheus.JOB=URL; may be repeated
    #[arg(long = "poll", value_name = "KIND=URL", value_parser = pair)]
    polls: Vec<(String, String)>,
    /// More keys of [host.NAME] in TOML, from a file or, with -, standard input
    #[arg(long, value_name = "FILE")]
    toml: Option<PathBuf>,
    /// Take a key away, such as alias or check.ssh (of `set`); may be repeated
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// Say what it would get and what is wrong, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs `noroshi host ...`.
pub(super) fn run(command: &HostCommand) -> anyhow::Result<ExitCode> {
    match command {
        HostCommand::Add(args) => {
            if !args.unset.is_empty() {
                bail!("a new host has nothing to --unset");
            }
            let body = json!({ "name": args.name, "table": args.table()? });
            let path = format!("/api/v1/config/hosts{}", args.trial());
            print_gets(&Client::new(&args.server)?.write(&path, &body)?);
        }
        HostCommand::Set(args) => {
            let client = Client::new(&args.server)?;
            let mut table = kept(&client, &args.name)?;
            for key in &args.unset {
                take_out(&mut table, key)?;
            }
            lay_over(&mut table, args.table()?);
            let path = format!("/api/v1/config/hosts/{}{}", encode(&args.name), args.trial());
            print_gets(&client.put(&path, &Value::Object(table))?);
        }
        HostCommand::Remove { name, server } => {
            Client::new(server)?.delete(&format!("/api/v1/config/hosts/{}", encode(name)))?;
        }
        HostCommand::List { json, server } => {
            let list = Client::new(server)?.read("/api/v1/config/hosts")?["hosts"].take();
            if *json {
                return show::json(&list);
            }
            print_list(&list);
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl HostArgs {
    fn trial(&self) -> &'static str {
        if self.dry_run { "?try=true" } else { "" }
    }

    /// Makes the table of what is said: options above the file.
    fn table(&self) -> anyhow::Result<Map<String, Value>> {
        let mut table = match &self.toml {
            Some(path) => read_toml(path, &self.name)?,
            None => Map::new(),
        };
        let mut said = Map::new();
        let texts = [("address", &self.address), ("alias", &self.alias), ("alive", &self.alive)];
        for (key, text) in texts {
            said.extend(text.as_ref().map(|text| (key.to_owned(), json!(text))));
        }
        let lists = [
            ("groups", &self.groups),
            ("parents", &self.parents),
            ("use", &self.templates),
            ("contacts", &self.contacts),
        ];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            // They add to what templates say; `use` names those.
            let sign = (key != "use").then_some("+");
            let names: Vec<&str> =
                sign.into_iter().chain(list.iter().map(String::as_str)).collect();
            said.insert(key.to_owned(), json!(names));
        }
        if !self.labels.is_empty() {
            let labels: Map<String, Value> =
                self.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            said.insert("labels".to_owned(), Value::Object(labels));
        }
        if !self.checks.is_empty() {
            let checks: Map<String, Value> = self.checks.iter().map(|said| check(said)).collect();
            said.insert("check".to_owned(), Value::Object(checks));
        }
        if !self.polls.is_empty() {
            said.insert("poll".to_owned(), polls(&self.polls));
        }
        lay_over(&mut table, said);
        Ok(table)
    }
}

/// Reads a check as it is said on the command line: its name and its table.
fn check(said: &str) -> (String, Value) {
    let (kind, place) = match said.split_once('=') {
        Some((kind, place)) => (kind, json!(place)),
        None => (said, json!(true)),
    };
    let (name, kind) = kind.split_once(':').unwrap_or((kind, kind));
    (name.to_owned(), json!({ kind: place }))
}

/// Makes the polls: `prometheus.JOB` is one level deeper than the other kinds.
fn polls(said: &[(String, String)]) -> Value {
    let mut polls = Map::new();
    for (kind, url) in said {
        // memcached has no page, but an address.
        let key = if kind == "memcached" { "address" } else { "url" };
        let target = json!({ key: url });
        let one = match kind.split_once('.') {
            Some((kind, job)) => json!({ kind: { job: target } }),
            None => json!({ kind: target }),
        };
        if let Value::Object(one) = one {
            lay_over(&mut polls, one);
        }
    }
    Value::Object(polls)
}

/// Reads the keys of a host: bare, or below `[host.NAME]` as in a file of the configuration.
fn read_toml(path: &Path, name: &str) -> anyhow::Result<Map<String, Value>> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        text
    } else {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
    };
    let table: Value =
        toml::from_str(&text).with_context(|| format!("{} is no TOML", path.display()))?;
    let of_file = table["host"][name].as_object();
    of_file.or(table.as_object()).cloned().context("the file holds no table")
}

/// Lays what is said over what is there: tables key by key, all else as a whole.
fn lay_over(table: &mut Map<String, Value>, said: Map<String, Value>) {
    for (key, value) in said {
        match (table.get_mut(&key), value) {
            (Some(Value::Object(kept)), Value::Object(said)) => lay_over(kept, said),
            (_, value) => drop(table.insert(key, value)),
        }
    }
}

/// Takes a key out, its parts joined by dots.
fn take_out(table: &mut Map<String, Value>, key: &str) -> anyhow::Result<()> {
    if table.remove(key).is_some() {
        return Ok(());
    }
    let inner = key.split_once('.').and_then(|(first, rest)| {
        let inner = table.get_mut(first)?.as_object_mut()?;
        Some((inner, rest))
    });
    match inner {
        Some((inner, rest)) => take_out(inner, rest),
        None => bail!("it has no key {key} of its own; `noroshi host list --json` shows them"),
    }
}

fn kept(client: &Client, name: &str) -> anyhow::Result<Map<String, Value>> {
    let list = client.read("/api/v1/config/hosts")?;
    let host = list["hosts"].as_array().into_iter().flatten().find(|host| host["name"] == name);
    host.and_then(|host| host["table"].as_object().cloned()).with_context(|| {
        format!("no host {name} was added here; `noroshi host list` shows those that were")
    })
}

fn print_gets(gets: &Value) {
    show::line(format_args!("up: {}", show::text(&gets["alive"])));
    let checks = gets["checks"].as_array().into_iter().flatten();
    let checks: Vec<String> = checks
        .map(|check| format!("{} ({})", show::text(&check["name"]), show::text(&check["kind"])))
        .collect();
    let all = if checks.is_empty() { "none".to_owned() } else { checks.join(", ") };
    show::line(format_args!("checks: {all}"));
    let polls = gets["polls"].as_array().into_iter().flatten().map(show::text);
    let polls: Vec<String> = polls.collect();
    if !polls.is_empty() {
        show::line(format_args!("polls: {}", polls.join(", ")));
    }
}

fn print_list(list: &Value) {
    let mut table = Table::new(["NAME", "ADDRESS", "ADDED BY", "SINCE", "STATE"]);
    for host in list.as_array().into_iter().flatten() {
        let state = match (&host["overridden_by"], host["faults"].as_array()) {
            (Value::String(place), _) => format!("overridden by {place}"),
            (_, Some(faults)) if !faults.is_empty() => show::text(&faults[0]),
            _ => "in force".to_owned(),
        };
        table.row([
            show::text(&host["name"]),
            show::text(&host["table"]["address"]),
            show::text(&host["added"]["by"]),
            show::moment(&host["added"]["at"]),
            state,
        ]);
    }
    if table.is_empty() {
        show::line("no host was added here");
    }
    show::piece(table);
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_and_polls_are_read_from_the_command_line() {
        assert_eq!(check("ping"), ("ping".to_owned(), json!({ "ping": true })));
        assert_eq!(check("tcp=22"), ("tcp".to_owned(), json!({ "tcp": "22" })));
        let site = check("site:http=https://a/?b=c:d");
        assert_eq!(site, ("site".to_owned(), json!({ "http": "https://a/?b=c:d" })));
        let said = [("nginx", "http://a/"), ("prometheus.x", "http://b/"), ("memcached", "c:1")];
        let said = said.map(|(kind, url)| (kind.to_owned(), url.to_owned()));
        let expected = json!({
            "nginx": { "url": "http://a/" },
            "prometheus": { "x": { "url": "http://b/" } },
            "memcached": { "address": "c:1" },
        });
        assert_eq!(polls(&said), expected);
    }

    #[test]
    fn a_key_is_taken_out_and_others_are_laid_over() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let mut table = object(json!({ "alias": "a", "check": { "ssh": { "tcp": "22" } } }));
        take_out(&mut table, "check.ssh").unwrap();
        assert!(take_out(&mut table, "check.ssh").is_err());
        lay_over(&mut table, object(json!({ "alias": "b", "check": { "x": {} } })));
        assert_eq!(Value::Object(table), json!({ "alias": "b", "check": { "x": {} } }));
    }
}
