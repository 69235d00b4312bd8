//! Nagios' external command file: the commands that people script.
//!
//! Source: Nagios Core `base/commands.c`; a line is `[unix time] COMMAND;argument;...`. The file is
//! a named pipe; whoever may write to it may do all this without signing in, so it is made for its
//! owner and group alone. What switches things on and off for good is not done here: that is
//! configuration, and the refusal says which. Groups are those of hosts; services have none.

mod pipe;

use std::time::Duration;

use noroshi_model::{CheckId, Origin, Timestamp};

use crate::action::{Acknowledge, ActionError, Downtime, PassiveResult};
use crate::checks::Checks;
use crate::handed::status_of;
pub use pipe::serve_commands;

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A result from outside.
    Submit(PassiveResult),
    /// Somebody takes a problem on.
    Acknowledge(CheckId, Acknowledge),
    /// Somebody gives a problem back.
    Unacknowledge(CheckId),
    /// A downtime.
    Downtime(Downtime),
    /// A downtime of a host, and one for each host behind it that begins when the host's does.
    DowntimeThatTriggers(Downtime),
    /// A downtime for each check of a host, the host itself not included.
    DowntimeOfChecks(Downtime),
    /// A downtime for each host of a group, or for each check of each.
    DowntimeOfGroup {
        /// The group.
        group: String,
        /// The checks instead of the hosts.
        is_of_checks: bool,
        /// What is asked; its id stands for each.
        asked: Downtime,
    },
    /// The end of a downtime.
    CancelDowntime(u64),
    /// The end of all downtimes that are so.
    CancelDowntimes(Which),
    /// A run at once.
    Recheck(CheckId),
    /// A run of each check of a host at once.
    RecheckChecks(String),
    /// A comment.
    Comment {
        /// About what.
        id: CheckId,
        /// Who.
        author: String,
        /// What.
        text: String,
    },
}

/// Which downtimes end: all that have everything that is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Of this host and its checks.
    pub host: Option<String>,
    /// Of hosts of this group and their checks.
    pub group: Option<String>,
    /// Of the check of this name.
    pub check: Option<String>,
    /// That begin then.
    pub start: Option<Timestamp>,
    /// That have this comment.
    pub comment: Option<String>,
}

/// Why a line is no command.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It does not begin with a time in brackets.
    #[error("a line must begin with a time in seconds: [1700000000] COMMAND;...")]
    NoTime,
    /// The command is not known.
    #[error("the command {name} is not known")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// What it would do is done otherwise here.
    #[error("{name} is not done here: {instead}")]
    Elsewhere {
        /// Its name.
        name: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// An argument is missing or is not what it should be.
    #[error("{name}: argument {position} is missing or wrong")]
    Argument {
        /// The command's name.
        name: String,
        /// Which argument, from 1.
        position: usize,
    },
}

impl Command {
    /// Reads a line.
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let (at, rest) = line
            .trim_end_matches(['\r', '\n'])
            .strip_prefix('[')
            .and_then(|line| line.split_once(']'))
            .ok_or(CommandError::NoTime)?;
        let seconds = at.trim().parse().map_err(|_| CommandError::NoTime)?;
        let rest = rest.trim_start();
        let (name, arguments) = rest.split_once(';').unwrap_or((rest, ""));
        let name = name.trim().to_uppercase();
        Arguments { name: &name, rest: arguments, position: 0 }
            .command(Timestamp::from_secs(seconds))
    }
}

/// The arguments that are left, and where we are.
struct Arguments<'a> {
    name: &'a str,
    rest: &'a str,
    position: usize,
}

impl<'a> Arguments<'a> {
    fn command(mut self, at: Timestamp) -> Result<Command, CommandError> {
        let this = &mut self;
        Ok(match this.name {
            "PROCESS_SERVICE_CHECK_RESULT" => Command::Submit(this.result(true, at)?),
            "PROCESS_HOST_CHECK_RESULT" => Command::Submit(this.result(false, at)?),
            "ACKNOWLEDGE_SVC_PROBLEM" => this.acknowledge(true, false)?,
            "ACKNOWLEDGE_HOST_PROBLEM" => this.acknowledge(false, false)?,
            "ACKNOWLEDGE_SVC_PROBLEM_EXPIRE" => this.acknowledge(true, true)?,
            "ACKNOWLEDGE_HOST_PROBLEM_EXPIRE" => this.acknowledge(false, true)?,
            "REMOVE_SVC_ACKNOWLEDGEMENT" => Command::Unacknowledge(this.id(true)?),
            "REMOVE_HOST_ACKNOWLEDGEMENT" => Command::Unacknowledge(this.id(false)?),
            "SCHEDULE_SVC_DOWNTIME" => Command::Downtime(this.downtime(true)?),
            "SCHEDULE_HOST_DOWNTIME" => Command::Downtime(this.downtime(false)?),
            "SCHEDULE_HOST_SVC_DOWNTIME" => Command::DowntimeOfChecks(this.downtime(false)?),
            "SCHEDULE_AND_PROPAGATE_HOST_DOWNTIME" => {
                Command::Downtime(Downtime { is_for_children: true, ..this.downtime(false)? })
            }
            "SCHEDULE_AND_PROPAGATE_TRIGGERED_HOST_DOWNTIME" => {
                Command::DowntimeThatTriggers(this.downtime(false)?)
            }
            "SCHEDULE_HOSTGROUP_HOST_DOWNTIME" => this.downtime_of_group(false)?,
            "SCHEDULE_HOSTGROUP_SVC_DOWNTIME" => this.downtime_of_group(true)?,
            "DEL_DOWNTIME_BY_HOST_NAME" => {
                let host = Some(this.text()?.to_owned());
                Command::CancelDowntimes(this.which(Which { host, ..Which::default() })?)
            }
            "DEL_DOWNTIME_BY_HOSTGROUP_NAME" => {
                let group = Some(this.text()?.to_owned());
                let host = this.optional();
                Command::CancelDowntimes(this.which(Which { host, group, ..Which::default() })?)
            }
            "DEL_DOWNTIME_BY_START_TIME_COMMENT" => {
                let start = this.optional_time()?;
                let which = Which { start, comment: this.optional(), ..Which::default() };
                if which == Which::default() {
                    return Err(this.wrong());
                }
                Command::CancelDowntimes(which)
            }
            "DEL_SVC_DOWNTIME" | "DEL_HOST_DOWNTIME" => Command::CancelDowntime(this.number()?),
            "SCHEDULE_SVC_CHECK" | "SCHEDULE_FORCED_SVC_CHECK" => Command::Recheck(this.id(true)?),
            "SCHEDULE_HOST_CHECK" | "SCHEDULE_FORCED_HOST_CHECK" => {
                Command::Recheck(this.id(false)?)
            }
            "SCHEDULE_HOST_SVC_CHECKS" | "SCHEDULE_FORCED_HOST_SVC_CHECKS" => {
                Command::RecheckChecks(this.text()?.to_owned())
            }
            "ADD_SVC_COMMENT" => this.comment(true)?,
            "ADD_HOST_COMMENT" => this.comment(false)?,
            name => {
                let name = name.to_owned();
                return Err(match instead(&name) {
                    Some(instead) => CommandError::Elsewhere { name, instead },
                    None => CommandError::Unknown { name },
                });
            }
        })
    }

    fn wrong(&self) -> CommandError {
        CommandError::Argument { name: self.name.to_owned(), position: self.position }
    }

    /// Takes the next argument, which must not be empty.
    fn text(&mut self) -> Result<&'a str, CommandError> {
        self.position += 1;
        let (text, rest) = self.rest.split_once(';').unwrap_or((self.rest, ""));
        self.rest = rest;
        if text.is_empty() { Err(self.wrong()) } else { Ok(text) }
    }

    /// Takes all that is left: the last argument may hold semicolons.
    fn last(&mut self) -> String {
        self.position += 1;
        std::mem::take(&mut self.rest).to_owned()
    }

    fn number(&mut self) -> Result<u64, CommandError> {
        let text = self.text()?;
        text.trim().parse().map_err(|_| self.wrong())
    }

    /// Takes the next argument, which is 0 when it is empty, as Nagios' `atoi` reads it.
    fn number_or_zero(&mut self) -> Result<u64, CommandError> {
        match self.optional() {
            Some(text) => text.trim().parse().map_err(|_| self.wrong()),
            None => Ok(0),
        }
    }

    fn time(&mut self) -> Result<Timestamp, CommandError> {
        let seconds = self.number()?;
        i64::try_from(seconds).map(Timestamp::from_secs).map_err(|_| self.wrong())
    }

    fn id(&mut self, is_check: bool) -> Result<CheckId, CommandError> {
        let host = self.text()?;
        if is_check { Ok(CheckId::check(host, self.text()?)) } else { Ok(CheckId::host(host)) }
    }

    fn result(&mut self, is_check: bool, at: Timestamp) -> Result<PassiveResult, CommandError> {
        let id = self.id(is_check)?;
        let code = i64::try_from(self.number()?).map_err(|_| self.wrong())?;
        let status = status_of(is_check, code).ok_or_else(|| self.wrong())?;
        let output = unescape(&self.last());
        Ok(PassiveResult { id, status, output, at: Some(at), origin: Origin::Passive })
    }

    fn acknowledge(&mut self, is_check: bool, expires: bool) -> Result<Command, CommandError> {
        let id = self.id(is_check)?;
        let is_sticky = self.number()? == 2;
        // Whether people are told, and whether the comment outlives the acknowledgement.
        let _ = (self.number()?, self.number()?);
        let until = if expires { Some(self.time()?) } else { None };
        let author = self.text()?.to_owned();
        let comment = self.last();
        Ok(Command::Acknowledge(id, Acknowledge { author, comment, is_sticky, until }))
    }

    fn downtime(&mut self, is_check: bool) -> Result<Downtime, CommandError> {
        let id = self.id(is_check)?;
        let (start, end) = (self.time()?, self.time()?);
        let is_fixed = self.number()? == 1;
        let trigger = self.number_or_zero()?;
        let duration = Duration::from_secs(self.number_or_zero()?);
        let author = self.text()?.to_owned();
        Ok(Downtime {
            id,
            start,
            end,
            author,
            comment: self.last(),
            duration: (!is_fixed).then_some(duration),
            triggered_by: (trigger != 0).then_some(trigger),
            is_for_children: false,
        })
    }

    /// Takes the next argument, which may be empty or missing.
    fn optional(&mut self) -> Option<String> {
        self.text().ok().map(str::to_owned)
    }

    fn optional_time(&mut self) -> Result<Option<Timestamp>, CommandError> {
        match self.optional() {
            None => Ok(None),
            Some(text) => {
                let seconds = text.trim().parse().map_err(|_| self.wrong())?;
                Ok(Some(Timestamp::from_secs(seconds)))
            }
        }
    }

    /// Takes the end of the arguments of a deletion: check, start, comment.
    fn which(&mut self, which: Which) -> Result<Which, CommandError> {
        let check = self.optional();
        let start = self.optional_time()?;
        Ok(Which { check, start, comment: self.optional(), ..which })
    }

    fn downtime_of_group(&mut self, is_of_checks: bool) -> Result<Command, CommandError> {
        let asked = self.downtime(false)?;
        let group = asked.id.host.to_string();
        Ok(Command::DowntimeOfGroup { group, is_of_checks, asked })
    }

    fn comment(&mut self, is_check: bool) -> Result<Command, CommandError> {
        let id = self.id(is_check)?;
        // Whether it outlives a restart: all do.
        self.number()?;
        let author = self.text()?.to_owned();
        Ok(Command::Comment { id, author, text: self.last() })
    }
}

/// Says what to do in the place of a command that is not done here; `None`: Nagios has no such
/// command either, or one that nobody scripts.
fn instead(name: &str) -> Option<&'static str> {
    let table: [(&[&str], &str); 9] = [
        (&["SERVICEGROUP"], "there are no service groups; name hosts or a group of hosts"),
        (&["SEND_CUSTOM_"], "people are told by state; add a comment, which all see"),
        (
            &["NOTIFICATION"],
            "who is told is configuration (`contacts`, `notify`); for a time, set a downtime or \
             acknowledge",
        ),
        (&["EVENT_HANDLER"], "handlers are configuration (`on_change`)"),
        (&["FLAP"], "flap detection is configuration (`flapping`)"),
        (&["COMMENT"], "comments stay: they are the history of a check"),
        (
            &["CHANGE_", "_FRESHNESS_", "_PERFORMANCE_DATA", "_OBSESSING_"],
            "change the configuration",
        ),
        (
            &["_CHECK", "_CHECKS"],
            "what runs is configuration (`period`, or remove the check); or set a downtime",
        ),
        (
            &["RESTART_", "SHUTDOWN_", "SAVE_STATE_", "READ_STATE_", "PROCESS_FILE"],
            "the server is started and stopped by its service manager, and remembers by itself",
        ),
    ];
    let found = table.iter().find(|(parts, _)| parts.iter().any(|part| name.contains(part)));
    found.map(|(_, instead)| *instead)
}

/// Makes lines of an output in which they are written as `\n`.
pub(crate) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('n')) => {
                chars.next();
                out.push('\n');
            }
            ('\\', Some('\\')) => {
                chars.next();
                out.push('\\');
            }
            _ => out.push(c),
        }
    }
    out
}

impl Checks {
    /// Does what a command says.
    pub async fn execute(&self, command: Command) -> Result<(), ActionError> {
        const AUTHOR: &str = "command file";
        match command {
            Command::Submit(result) => self.submit(result).await,
            Command::Acknowledge(id, asked) => self.acknowledge(&id, asked).await,
            Command::Unacknowledge(id) => self.unacknowledge(&id, AUTHOR).await,
            Command::Downtime(asked) => self.downtime(asked).await.map(drop),
            Command::DowntimeThatTriggers(asked) => self.downtime_that_triggers(asked).await,
            Command::DowntimeOfChecks(asked) => {
                for id in self.ids_of(&asked.id.host)? {
                    self.downtime(Downtime { id, ..asked.clone() }).await?;
                }
                Ok(())
            }
            Command::DowntimeOfGroup { group, is_of_checks, asked } => {
                for host in self.hosts_of(&group)? {
                    let ids =
                        if is_of_checks { self.ids_of(&host)? } else { vec![CheckId::host(&host)] };
                    for id in ids {
                        self.downtime(Downtime { id, ..asked.clone() }).await?;
                    }
                }
                Ok(())
            }
            Command::CancelDowntimes(which) => {
                for number in self.downtimes_that_are(&which) {
                    match self.cancel_downtime(number, AUTHOR).await {
                        // It went with the one that triggers it, or is over meanwhile.
                        Err(ActionError::NoSuchDowntime { .. }) => {}
                        done => done?,
                    }
                }
                Ok(())
            }
            Command::CancelDowntime(number) => self.cancel_downtime(number, AUTHOR).await,
            Command::Recheck(id) => self.recheck(&id).await,
            Command::RecheckChecks(host) => {
                for id in self.ids_of(&host)? {
                    self.recheck(&id).await?;
                }
                Ok(())
            }
            Command::Comment { id, author, text } => self.comment(&id, &author, &text).await,
        }
    }

    /// Returns the hosts of a group.
    fn hosts_of(&self, group: &str) -> Result<Vec<String>, ActionError> {
        let hosts = self.hosts().into_iter();
        let is_in = |groups: &[String]| groups.iter().any(|of| of == group);
        let names: Vec<String> =
            hosts.filter(|host| is_in(&host.groups)).map(|host| host.name).collect();
        if names.is_empty() {
            return Err(ActionError::NoSuchGroup { group: group.to_owned() });
        }
        Ok(names)
    }

    /// Returns the numbers of downtimes that are meant.
    fn downtimes_that_are(&self, which: &Which) -> Vec<u64> {
        let board = self.board.lock();
        let is_in = |id: &CheckId, group: &String| {
            let entry = board.entries.get(&CheckId::host(&id.host));
            entry.is_some_and(|entry| entry.host.groups.contains(group))
        };
        let meant = board.downtimes.all.iter().filter(|(_, downtime)| {
            let id = &downtime.id;
            !downtime.is_called_off()
                && which.host.as_ref().is_none_or(|name| **name == *id.host)
                && which.group.as_ref().is_none_or(|group| is_in(id, group))
                && which.check.as_ref().is_none_or(|name| id.check.as_deref() == Some(name))
                // As planned, in whole seconds: when it began may be a little later.
                && which.start.is_none_or(|start| downtime.start.as_secs() == start.as_secs())
                && which.comment.as_ref().is_none_or(|text| downtime.comment == *text)
        });
        meant.map(|(number, _)| number).collect()
    }

    /// Returns the checks of a host.
    fn ids_of(&self, host: &str) -> Result<Vec<CheckId>, ActionError> {
        if self.host(host).is_none() {
            return Err(ActionError::NoSuchCheck { id: CheckId::host(host) });
        }
        let names = self.checks_of(host).into_iter().filter_map(|view| view.check);
        Ok(names.map(|name| CheckId::check(host, &name)).collect())
    }
}

#[cfg(test)]
mod tests;
