//! Decides who is told what, when, how often, and tells them.

mod alerts;
mod book;
mod config;
mod counters;
mod smtp;
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
