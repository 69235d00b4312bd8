//! Decides who is told what, when, how often, and tells them.
//!
//! In reading order: [`Config`] is what is configured; `stage` the list of stages that decides;
//! `fold`, `desk` and `pipeline` carry events through it; `sender`, `smtp` and `message` bring
//! the word to people; `book` is what is kept. `README.md` draws the records and says what a kill
//! can do.

mod alerts;
mod book;
mod config;
mod counters;
mod desk;
mod digest;
#[cfg(test)]
mod fixture;
mod fold;
mod message;
mod picture;
mod pipeline;
mod sender;
mod smtp;
mod stage;
mod view;

pub use alerts::{Alerts, Deps, TestError};
pub use book::StateError;
pub use config::{
    Applied, Config, ConfigError, Contact, Secret, Security, Smtp, StatusFilter, check,
};
pub use view::{
    Channel, ContactTrace, NotificationKind, NotificationState, NotificationView, Stats, Step,
    Trace,
};
