//! HTTP: the native API, the one that Prometheus' clients speak, the agents' door, drawn graphs,
//! the sign-in page, and the browser program compiled in.
//!
//! Nothing is decided here but who may ask: what is shown and done is the other rooms'. One table
//! of routes makes the router, the rights and `/api/v1/openapi.json`.
//!
//! [`people::People`] works without the server:
//!
//! ```
//! use std::sync::Arc;
//! use noroshi_model::Timestamp;
//! use noroshi_model::seam::{ManualClock, MemoryRecords};
//! use noroshi_web::people::{People, Role};
//!
//! # fn main() -> Result<(), noroshi_web::people::PeopleError> {
//! let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
//! let people = People::new(Arc::new(MemoryRecords::new()), clock);
//! people.create_user("admin", Role::Admin, None)?;
//! let link = format!("http://127.0.0.1:8420/sign-in?token={}", people.sign_in_link("admin")?);
//! let token = people.create_token("grafana", Role::Viewer)?;
//! assert_eq!(people.verify_token(&token)?.map(|token| token.name), Some("grafana".to_owned()));
//! # assert!(link.len() > 60);
//! # Ok(())
//! # }
//! ```

mod agent;
mod api;
mod app;
mod arguments;
mod assets;
mod auth;
pub mod configuration;
mod connection;
mod deps;
mod error;
mod gate;
mod graph;
mod limits;
mod live;
mod openapi;
pub mod people;
mod prometheus;
mod queries;
mod route;
mod self_metrics;
mod server;
mod sign_in;

pub use deps::{ConfigStatus, SiteStatus, WebDeps};
pub use server::serve;
