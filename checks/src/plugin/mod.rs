//! Nagios plug-ins: running them and understanding what they say.
//!
//! This module needs nothing of the rest of the room: the agent uses it for the checks on its own
//! host, and the command line to show how a plug-in is understood. `run.rs` runs a program under
//! limits of time and output, `child.rs` follows it to its end; `spawner.rs` is the small process
//! that does so for a large server, `plugins.rs` the server's end of the line to it, `frame.rs` what
//! they say to each other, `limits.rs` what else a plug-in may use; `understand.rs` makes status,
//! texts and performance data of what it said (pure); `perfdata.rs` is the grammar of performance
//! data.

mod child;
#[cfg(feature = "server")]
mod frame;
#[cfg(feature = "server")]
mod limits;
mod perfdata;
#[cfg(feature = "server")]
mod plugins;
mod run;
#[cfg(feature = "server")]
mod spawner;
mod understand;

#[cfg(feature = "server")]
pub use limits::{LimitError, Limits};
pub use perfdata::{parse_perfdata, parse_range};
#[cfg(feature = "server")]
pub use plugins::{PluginSpec, Plugins, SpawnerSpec};
pub use run::{OUTPUT_BYTES_MAX, Ran, resolve, run};
#[cfg(feature = "server")]
pub use spawner::serve_spawner;
pub use understand::{Exit, Understood, as_text, understand, understand_passive};
