//! The small program on each host.
