//! Polls as they run: against real services, and against servers that fail in every way.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, which clippy does not see")]

mod failures;
mod real_apache;
mod real_exporter;
mod real_memcached;
mod real_nginx;
mod real_prometheus;
mod real_scrape;
mod running;
mod support;
mod tls;
