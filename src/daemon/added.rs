//! Hosts that people add while the server runs: refused with all that is wrong, or written, put in
//! force and noted in the event log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use noroshi_model::event::ConfigChange;
use noroshi_model::{BoxFuture, CheckId, EventBody, Timestamp};
use noroshi_web::configuration::{
    AddedHost, Configuration, FieldFault, HostChange, HostChoices, HostGets, HostRefused,
    HostSource, RefusedAgent, Signature, SuggestedParent,
};
use serde_json::{Map, Value as Json};
use toml::Table;

use super::Daemon;
use crate::config::added::{self, AddedHosts, Signed};
use crate::config::{self, Config, Fault, RegisteredHost, SourceFile};

/// The daemon as the HTTP side knows the configuration.
pub(super) struct Door(pub(super) Arc<Daemon>);

impl Configuration for Door {
    fn source(&self, host: &str) -> BoxFuture<'_, Option<HostSource>> {
        let host = host.to_owned();
        Box::pin(async move { self.0.source_of(&host).await })
    }

    fn added(&self) -> BoxFuture<'_, Result<Vec<AddedHost>, HostRefused>> {
        Box::pin(self.0.added_hosts())
    }

    fn choices(&self) -> BoxFuture<'_, HostChoices> {
        Box::pin(async move { self.0.applied.lock().await.config.choices() })
    }

    fn put(&self, change: HostChange) -> BoxFuture<'_, Result<HostGets, HostRefused>> {
        let daemon = Arc::clone(&self.0);
        // What has begun is done, also when whoever asked goes away.
        let putting = tokio::spawn(async move { daemon.put_host(change).await });
        Box::pin(async move { putting.await.unwrap_or_else(|panic| Err(panicked(&panic))) })
    }

    fn remove(&self, host: &str, author: &str) -> BoxFuture<'_, Result<(), HostRefused>> {
        let daemon = Arc::clone(&self.0);
        let (host, author) = (host.to_owned(), author.to_owned());
        let removing = tokio::spawn(async move { daemon.remove_host(&host, &author).await });
        Box::pin(async move { removing.await.unwrap_or_else(|panic| Err(panicked(&panic))) })
    }

    fn suggested_parents(&self) -> BoxFuture<'_, Vec<SuggestedParent>> {
        let daemon = Arc::clone(&self.0);
        Box::pin(async move {
            let server = daemon.applied.lock().await.config.local.name.clone();
            let work = move || daemon.suggested_parents(&server);
            tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
                tracing::error!(%error, "cannot suggest parents");
                Vec::new()
            })
        })
    }

    fn refused_agents(&self) -> BoxFuture<'_, Vec<RefusedAgent>> {
        Box::pin(async move {
            let refused = self.0.refused_agents().await.into_iter();
            let told = refused.map(|(host, reason)| {
                let RegisteredHost { name, address, mut facts, labels, .. } = host;
                facts.extend(labels);
                RefusedAgent { host: name, address, facts, reason }
            });
            told.collect()
        })
    }

    fn back_up(&self, target: &Path) -> io::Result<(u64, u64)> {
        let bytes = added::copy(&self.0.data, target)?;
        Ok(bytes.map_or((0, 0), |bytes| (1, bytes)))
    }
}

fn panicked(panic: &tokio::task::JoinError) -> HostRefused {
    HostRefused::File { what: format!("the change was cut off: {panic}") }
}

/// Runs blocking work on files.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HostRefused> + Send + 'static,
) -> Result<T, HostRefused> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => Err(panicked(&panic)),
    }
}

/// A change of the file that has no fault.
struct Checked {
    config: Config,
    gets: HostGets,
    text: String,
}

impl Daemon {
    /// Returns the file of the added hosts.
    pub(super) fn added_path(&self) -> PathBuf {
        added::path_in(&self.data)
    }

    async fn source_of(&self, host: &str) -> Option<HostSource> {
        let (place, overrides_added) = {
            let applied = self.applied.lock().await;
            let config = &applied.config;
            match config.place_of(host) {
                Some((place, false)) => (place.clone(), config.overridden.contains_key(host)),
                Some((_, true)) => {
                    drop(applied);
                    let signed = self.signed(host).await;
                    let Signed { added, changed } = signed.unwrap_or_default();
                    let (added, changed) = (added.and_then(told), changed.and_then(told));
                    return Some(HostSource::Added { added, changed });
                }
                None if config.is_local(host) => return Some(HostSource::Server),
                None => {
                    let is_known = applied.registered.iter().any(|known| known.name == host);
                    return is_known.then_some(HostSource::Agent);
                }
            }
        };
        let path = place.path.display().to_string();
        Some(HostSource::File { path, line: place.line, overrides_added })
    }

    async fn signed(&self, host: &str) -> Option<Signed> {
        let path = self.added_path();
        let read = on_disk(move || read(&path).map(|(_, hosts)| hosts)).await;
        read.ok()?.signed.remove(host)
    }

    async fn added_hosts(&self) -> Result<Vec<AddedHost>, HostRefused> {
        let path = self.added_path();
        let (file, hosts) = on_disk(move || read(&path)).await?;
        let applied = self.applied.lock().await;
        let text = file.map(|file| file.text).unwrap_or_default();
        let faults_of = |name: &str| {
            let of_this = applied.config.left_out.iter().filter(|fault| {
                added::owner_of(&text, fault.line, fault.column).as_deref() == Some(name)
            });
            of_this.map(Fault::to_string).collect()
        };
        let shown = hosts.host.iter().map(|(name, table)| {
            let Signed { added, changed } = hosts.signed.get(name).cloned().unwrap_or_default();
            AddedHost {
                name: name.clone(),
                table: added::shown(table),
                added: added.and_then(told),
                changed: changed.and_then(told),
                overridden_by: applied.config.overridden.get(name).map(ToString::to_string),
                faults: faults_of(name),
            }
        });
        Ok(shown.collect())
    }

    async fn put_host(&self, change: HostChange) -> Result<HostGets, HostRefused> {
        let _one = self.adding.lock().await;
        self.refuse_taken(&change).await?;
        let (path, config_path) = (self.added_path(), self.config_path());
        let may_add_commands = self.applied.lock().await.config.server.may_add_commands;
        let now = self.clock.now();
        let wanted = change.clone();
        let checked = on_disk(move || {
            let (before, mut hosts) = read(&path)?;
            let kept = hosts.host.get(&wanted.name);
            let table = table_of(&wanted.table, kept, may_add_commands)?;
            sign(&mut hosts, &wanted, now);
            hosts.host.insert(wanted.name.clone(), table);
            check(&hosts, config_path.as_deref(), (path, before), &wanted.name)
        });
        let Checked { config, gets, text } = checked.await?;
        if change.is_trial {
            return Ok(gets);
        }
        self.take_over_added(config, text).await?;
        let done = if change.is_new { ConfigChange::Added } else { ConfigChange::Changed };
        self.note(&change.name, &change.author, done).await;
        Ok(gets)
    }

    /// Refuses a new host whose name is taken, and a change of one that was not added.
    async fn refuse_taken(&self, change: &HostChange) -> Result<(), HostRefused> {
        let place = {
            let applied = self.applied.lock().await;
            applied.config.place_of(&change.name).map(|(place, is_added)| {
                if is_added { "it was added before".to_owned() } else { place.to_string() }
            })
        };
        let path = self.added_path();
        let (_, hosts) = on_disk(move || read(&path)).await?;
        let is_added = hosts.host.contains_key(&change.name);
        let name = change.name.clone();
        match (change.is_new, place) {
            (true, Some(place)) => Err(HostRefused::Exists { name, place }),
            (true, None) if is_added => {
                Err(HostRefused::Exists { name, place: "it was added before".to_owned() })
            }
            (false, place) if !is_added => {
                let place = place.unwrap_or_else(|| "there is none of that name".to_owned());
                Err(HostRefused::NotAdded { name, place })
            }
            _ => Ok(()),
        }
    }

    async fn remove_host(&self, name: &str, author: &str) -> Result<(), HostRefused> {
        let _one = self.adding.lock().await;
        let (path, config_path) = (self.added_path(), self.config_path());
        let gone = name.to_owned();
        let checked = on_disk(move || {
            let (before, mut hosts) = read(&path)?;
            hosts.signed.remove(&gone);
            if hosts.host.remove(&gone).is_none() {
                let place = "there is none of that name, or it stands in a file of yours";
                return Err(HostRefused::NotAdded { name: gone, place: place.to_owned() });
            }
            check(&hosts, config_path.as_deref(), (path, before), &gone)
        });
        let Checked { config, text, .. } = checked.await?;
        self.take_over_added(config, text).await?;
        self.note(name, author, ConfigChange::Removed).await;
        Ok(())
    }

    /// Writes the file, then puts the configuration in force that was read with it.
    async fn take_over_added(&self, config: Config, text: String) -> Result<(), HostRefused> {
        let path = self.added_path();
        on_disk(move || {
            added::write(&path, &text).map_err(|error| HostRefused::File {
                what: format!("cannot write {}: {error}", path.display()),
            })
        })
        .await?;
        let failed = self.take_over(config).await.err();
        self.report_config(&failed.iter().cloned().collect::<Vec<_>>()).await;
        match failed {
            Some(why) => Err(HostRefused::FilesHaveFaults(vec![why])),
            None => Ok(()),
        }
    }

    /// Notes in the log who did what.
    async fn note(&self, host: &str, author: &str, change: ConfigChange) {
        tracing::info!(host, author, ?change, "hosts of the server's own file changed");
        let body = EventBody::Configured { author: author.to_owned(), change };
        if let Err(error) = self.checks.note(&CheckId::host(host), body).await {
            tracing::warn!(%error, host, author, "the change is not in the event log");
        }
    }
}

/// Reads the file of the added hosts; one that cannot be read is never written over.
fn read(path: &Path) -> Result<(Option<SourceFile>, AddedHosts), HostRefused> {
    let cannot = |why: String| HostRefused::File {
        what: format!("the file of the added hosts cannot be read: {why}"),
    };
    let file = added::read(path).map_err(|fault| cannot(fault.to_string()))?;
    let hosts = AddedHosts::of(file.as_ref())
        .map_err(|error| cannot(format!("{}: {error}", path.display())))?;
    Ok((file, hosts))
}

/// Makes the table of what was submitted.
fn table_of(
    submitted: &Map<String, Json>,
    kept: Option<&Table>,
    may_add_commands: bool,
) -> Result<Table, HostRefused> {
    let mut table = added::of_json(submitted).map_err(|(field, what)| {
        HostRefused::Faults(vec![FieldFault { field, what, advice: String::new() }])
    })?;
    if let Some(kept) = kept {
        added::unmasked(&mut table, kept);
    }
    let refused = if may_add_commands { Vec::new() } else { added::guard(&table) };
    if refused.is_empty() {
        return Ok(table);
    }
    let faults = refused.into_iter().map(|(field, what)| FieldFault {
        field,
        what: format!("hosts that are added here may not name {what}"),
        advice: "write it into a template or a file of the configuration, or allow it there by \
                 `added_commands = true` of [server]"
            .to_owned(),
    });
    Err(HostRefused::Faults(faults.collect()))
}

fn sign(hosts: &mut AddedHosts, change: &HostChange, now: Timestamp) {
    let at = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
    let signature = added::Signature { by: change.author.clone(), at: at.to_string() };
    let signed = hosts.signed.entry(change.name.clone()).or_default();
    if change.is_new {
        *signed = Signed { added: Some(signature), changed: None };
    } else {
        signed.changed = Some(signature);
    }
}

/// Reads the configuration with the file as it would be; `before` is the file as it is.
fn check(
    hosts: &AddedHosts,
    config_path: Option<&Path>,
    (path, before): (PathBuf, Option<SourceFile>),
    name: &str,
) -> Result<Checked, HostRefused> {
    let text = hosts.to_text().map_err(|error| HostRefused::File {
        what: format!("the table cannot be written as TOML: {error}"),
    })?;
    let file = SourceFile { path, text };
    let faults = match config::load_with(config_path, Some(&file)) {
        Ok(config) => {
            return Ok(Checked { gets: config.gets(name), config, text: file.text });
        }
        Err(faults) => faults,
    };
    let own: Vec<FieldFault> =
        faults.iter().filter_map(|fault| own_fault(fault, &file, name)).collect();
    if !own.is_empty() {
        return Err(HostRefused::Faults(own));
    }
    let written = || faults.iter().map(Fault::to_string).collect();
    Err(if config::load_with(config_path, before.as_ref()).is_err() {
        HostRefused::FilesHaveFaults(written())
    } else if hosts.host.contains_key(name) {
        // What comes with the host is told where another names it: a circle, for example.
        let whole = |fault: &Fault| FieldFault {
            field: String::new(),
            what: fault.to_string(),
            advice: String::new(),
        };
        HostRefused::Faults(faults.iter().map(whole).collect())
    } else {
        HostRefused::IsNamed(written())
    })
}

/// Returns a fault by the host's field that it is about; `None` when it is not about this host.
fn own_fault(fault: &Fault, file: &SourceFile, name: &str) -> Option<FieldFault> {
    let Fault { path, line, column, what, advice } = fault;
    let is_own =
        *path == file.path && added::owner_of(&file.text, *line, *column).as_deref() == Some(name);
    let mut field = is_own.then(|| added::field_at(&file.text, *line, *column))?;
    if field.is_empty() && what.contains("cannot be the name of a host") {
        "name".clone_into(&mut field);
    }
    Some(FieldFault { field, what: what.clone(), advice: advice.clone() })
}

/// Returns a signature as it is shown; `None` when somebody wrote another moment into the file.
fn told(signature: added::Signature) -> Option<Signature> {
    let at: jiff::Timestamp = signature.at.parse().ok()?;
    Some(Signature { by: signature.by, at: Timestamp::from_millis(at.as_millisecond()) })
}
