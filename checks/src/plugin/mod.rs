//! Nagios plug-ins: running them and understanding what they say.
//!
//! This module needs nothing of the rest of the room: the agent uses it for the checks on its own
//! host, and the command line to show how a plug-in is understood. `run.rs` runs a program under
//! limits; `understand.rs` makes status, texts and performance data of what it said (pure);
//! `perfdata.rs` is the grammar of performance data.

mod perfdata;
mod run;
mod understand;

pub use perfdata::{parse_perfdata, parse_range};
pub use run::{OUTPUT_BYTES_MAX, Ran, resolve, run};
pub use understand::{Exit, Understood, as_text, understand, understand_passive};
