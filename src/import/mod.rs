//! Other systems' configurations, read and written as ours.
//!
//! Not here: their data (series, histories), which stays where it is.

pub(crate) mod nagios;
