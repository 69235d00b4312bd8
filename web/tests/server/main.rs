//! The server as a client sees it: a real one on an ephemeral port, over records in memory, series
//! in memory, and a clock that stands until it is set.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "modules of one test program")]

mod client;
mod hosts;
mod house;
mod live;
mod memory;
mod native;
mod pictures;
mod prometheus;
#[path = "../../../tests/house/remote_write.rs"]
mod remote_write;
mod rights;
mod samples;
mod schema;
mod signing_in;
