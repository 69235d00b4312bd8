//! `noroshi user` and `noroshi token`: through the server that runs on the data folder, else on
//! the folder itself.

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use noroshi_store::Store;
use noroshi_web::people::{People, Role};
use serde_json::{Value, json};

use super::client::{Client, encode};
use super::show::{self, Table};
use super::{DataArgs, ServerArgs};
use crate::clock::SystemClock;
use crate::daemon::LocalAccess;

/// `noroshi token ...`.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a key and print it, this once
    Create {
        /// What to call it
        name: String,
        /// What it may do
        #[arg(long, value_enum)]
        role: TokenRole,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the keys, without their secrets
    List(ListArgs),
    /// Make a key useless at once
    Revoke {
        /// The key
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// `noroshi user ...`.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a person; the password is read from standard input
    Add {
        /// Their name
        name: String,
        /// What they may do
        #[arg(long, value_enum)]
        role: PersonRole,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the people
    List(ListArgs),
    /// Remove a person and end their sessions
    Remove {
        /// Their name
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Print a link that signs a person in once within a day
    SignInLink {
        /// Their name
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// How a list is printed.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TokenRole {
    /// See everything
    Viewer,
    /// Act on hosts and checks
    Operator,
    /// Manage people and the server
    Admin,
    /// Bring samples, and nothing else
    Agent,
}

/// What a person may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum PersonRole {
    /// See everything
    Viewer,
    /// Act on hosts and checks
    Operator,
    /// Manage people and the server
    Admin,
}

impl From<TokenRole> for Role {
    fn from(role: TokenRole) -> Self {
        match role {
            TokenRole::Viewer => Self::Viewer,
            TokenRole::Operator => Self::Operator,
            TokenRole::Admin => Self::Admin,
            TokenRole::Agent => Self::Agent,
        }
    }
}

impl From<PersonRole> for Role {
    fn from(role: PersonRole) -> Self {
        match role {
            PersonRole::Viewer => Self::Viewer,
            PersonRole::Operator => Self::Operator,
            PersonRole::Admin => Self::Admin,
        }
    }
}

/// Runs `noroshi token ...`.
pub(super) fn token(command: &TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::Create { name, role, server } => {
            let token = match door(server)? {
                Door::Server(client) => {
                    let body = json!({ "name": name, "role": Role::from(*role) });
                    show::text(&client.write("/api/v1/tokens", &body)?["token"])
                }
                Door::Folder(folder) => folder.people.create_token(name, (*role).into())?,
            };
            show::line(token);
        }
        TokenCommand::List(args) => {
            let list = match door(&args.server)? {
                Door::Server(client) => client.read("/api/v1/tokens")?["tokens"].take(),
                Door::Folder(folder) => serde_json::to_value(folder.people.tokens()?)?,
            };
            return print_list(args, &list);
        }
        TokenCommand::Revoke { name, server } => match door(server)? {
            Door::Server(client) => {
                client.delete(&format!("/api/v1/tokens?name={}", encode(name)))?;
            }
            Door::Folder(folder) => folder.people.revoke_token(name)?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `noroshi user ...`.
pub(super) fn user(command: &UserCommand) -> anyhow::Result<ExitCode> {
    match command {
        UserCommand::Add { name, role, server } => {
            let password = read_password()?;
            match door(server)? {
                Door::Server(client) => {
                    let role = Role::from(*role);
                    let body = json!({ "name": name, "role": role, "password": password });
                    client.write("/api/v1/users", &body)?;
                }
                Door::Folder(folder) => {
                    folder.people.create_user(name, (*role).into(), Some(&password))?;
                }
            }
        }
        UserCommand::List(args) => {
            let list = match door(&args.server)? {
                Door::Server(client) => client.read("/api/v1/users")?["users"].take(),
                Door::Folder(folder) => serde_json::to_value(folder.people.users()?)?,
            };
            return print_list(args, &list);
        }
        UserCommand::Remove { name, server } => match door(server)? {
            Door::Server(client) => {
                client.delete(&format!("/api/v1/users?name={}", encode(name)))?;
            }
            Door::Folder(folder) => folder.people.remove_user(name)?,
        },
        UserCommand::SignInLink { name, server } => match door(server)? {
            Door::Server(client) => {
                let path = "/api/v1/users/sign-in-link";
                let answer = client.write(path, &json!({ "name": name }))?;
                show::line(format_args!("{}{}", client.url(), show::text(&answer["sign_in_path"])));
            }
            Door::Folder(folder) => {
                let secret = folder.people.sign_in_link(name)?;
                show::line(format_args!("http://127.0.0.1:8420/sign-in?token={secret}"));
            }
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// The way to the people.
enum Door {
    /// A server that runs.
    Server(Client),
    /// The data folder, while no server runs on it.
    Folder(Folder),
}

/// A data folder that is open.
struct Folder {
    people: Arc<People>,
    store: Arc<Store>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.store.close();
    }
}

/// Finds the way: a named server, else the one that runs on the folder, else the folder.
fn door(args: &ServerArgs) -> anyhow::Result<Door> {
    let client = Client::new(args)?;
    if args.server.is_some() || (LocalAccess::read(&args.data.data).is_some() && client.answers()) {
        return Ok(Door::Server(client));
    }
    open_folder(&args.data)
}

fn open_folder(args: &DataArgs) -> anyhow::Result<Door> {
    let folder = args.data.display();
    if !args.data.is_dir() {
        bail!("there is no data folder {folder}; name it with --data, or start `noroshi` first");
    }
    let clock = Arc::new(SystemClock);
    let (store, _) = Store::reopen(&args.data, Arc::clone(&clock) as _)
        .with_context(|| format!("cannot open the data folder {folder}"))?;
    Ok(Door::Folder(Folder { people: People::new(store.clone(), clock), store }))
}

fn read_password() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        eprintln!("Password (then Enter and Ctrl-D):");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read the password")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn print_list(args: &ListArgs, list: &Value) -> anyhow::Result<ExitCode> {
    if args.json {
        return show::json(list);
    }
    let mut table = Table::new(["NAME", "ROLE", "SINCE"]);
    for one in list.as_array().into_iter().flatten() {
        let name = show::text(&one["name"]);
        table.row([name, show::text(&one["role"]), show::moment(&one["created_at"])]);
    }
    show::piece(table);
    Ok(ExitCode::SUCCESS)
}
