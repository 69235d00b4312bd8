//! The API that Prometheus' clients speak: Grafana, promtool, remote write.
//!
//! Shapes, error types and codes are those of Prometheus 3, `docs/querying/api.md` and
//! `web/api/v1/api.go`. Left out: what belongs to a server that scrapes (targets, TSDB
//! administration), and `parse_query`, which only Prometheus' own pages use.

mod answer;
mod names;
mod query;
mod rules;
mod series;
mod write;

use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    [query::routes(), series::routes(), rules::routes(), write::routes()]
        .into_iter()
        .flatten()
        .collect()
}
