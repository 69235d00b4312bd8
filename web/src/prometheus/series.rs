//! What series there are: series, labels, values, metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use noroshi_expr::{Expr, When};
use noroshi_model::{Kind, Labels, Matcher, MetricMeta, SelectError, SeriesSource, Timestamp};
use serde::Serialize;

use super::answer::{Failure, success};
use super::names::unescape;
use crate::app::App;
use crate::arguments::{ArgumentError, Arguments};
use crate::route::{Access, Body, Route, Value};

/// Most series, names or values in one answer. Above any page's use; a query tells more.
const ANSWER_MAX: usize = 100_000;

const MATCH_HELP: &str = "a selector; repeated ones add up";
const LIMIT_HELP: &str = "at most this many; 0 and none: as many as the server gives";

pub(super) fn routes() -> Vec<Route> {
    let spanned = |route: Route| {
        route
            .takes("start", Value::Time, "only series with a sample since")
            .takes("end", Value::Time, "only series with a sample until")
            .takes("limit", Value::Integer, LIMIT_HELP)
            .answer(Body::Json("PrometheusAnswer"))
    };
    let series = |route: Route| {
        spanned(route.summary("Label sets that match").needs("match[]", Value::Texts, MATCH_HELP))
    };
    let labels = |route: Route| {
        spanned(route.summary("Names of labels").takes("match[]", Value::Texts, MATCH_HELP))
    };
    vec![
        series(Route::get("/prometheus/api/v1/series", Access::Viewer, all_series)),
        series(
            Route::post("/prometheus/api/v1/series", Access::Viewer, all_series)
                .request(Body::Form),
        ),
        labels(Route::get("/prometheus/api/v1/labels", Access::Viewer, label_names)),
        labels(
            Route::post("/prometheus/api/v1/labels", Access::Viewer, label_names)
                .request(Body::Form),
        ),
        spanned(
            Route::get("/prometheus/api/v1/label/{name}/values", Access::Viewer, label_values)
                .summary("Values of a label")
                .needs("name", Value::Text, "the label's name, or `U__` and its escaped form")
                .takes("match[]", Value::Texts, MATCH_HELP),
        ),
        Route::get("/prometheus/api/v1/metadata", Access::Viewer, metadata)
            .summary("Kinds, units and meanings of metrics")
            .takes("metric", Value::Text, "only this metric")
            .takes("limit", Value::Integer, "at most this many metrics")
            .takes("limit_per_metric", Value::Integer, "at most this many entries of each; one is")
            .answer(Body::Json("PrometheusAnswer")),
    ]
}

/// Looks up names or values of the series that match, at most so many.
type Find<'a> = dyn Fn(&[Matcher], usize) -> Result<Vec<String>, SelectError> + 'a;

/// Which series are asked for.
struct Wanted {
    /// One list of matchers a selector; empty: all series.
    selectors: Vec<Vec<Matcher>>,
    /// Whether a span was given.
    has_span: bool,
    after: Timestamp,
    until: Timestamp,
    limit: usize,
}

impl Wanted {
    fn read(arguments: &Arguments) -> Result<Self, Failure> {
        let selectors = arguments
            .all("match[]")
            .map(selector)
            .collect::<Result<Vec<Vec<Matcher>>, Failure>>()?;
        let (start, end) = (arguments.time("start")?, arguments.time("end")?);
        Ok(Self {
            selectors,
            has_span: start.is_some() || end.is_some(),
            // The span's start is inclusive here, and exclusive in the source.
            after: start
                .map_or(Timestamp::MIN, |start| start - std::time::Duration::from_millis(1)),
            until: end.unwrap_or(Timestamp::MAX),
            limit: limit(arguments)?,
        })
    }

    /// Returns the label sets of all selectors, one more than the limit at most.
    fn series(&self, source: &dyn SeriesSource) -> Result<BTreeSet<Labels>, Failure> {
        let mut found = BTreeSet::new();
        for matchers in &self.selectors {
            found.extend(source.series(matchers, self.after, self.until, self.limit + 1)?);
        }
        Ok(found)
    }

    /// Returns what is found for all selectors together, or for all series when there is none.
    fn union(&self, find: &Find<'_>) -> Result<BTreeSet<String>, Failure> {
        let more = self.limit + 1;
        if self.selectors.is_empty() {
            return Ok(find(&[], more)?.into_iter().collect());
        }
        let mut found = BTreeSet::new();
        for matchers in &self.selectors {
            found.extend(find(matchers, more)?);
        }
        Ok(found)
    }
}

/// Reads a selector: conditions on labels, without a moment.
fn selector(text: &str) -> Result<Vec<Matcher>, Failure> {
    let bad = |message: &str| Failure::bad_parameter("match[]", message);
    let expr = noroshi_expr::parse(text).map_err(|error| bad(&error.to_string()))?;
    match expr {
        Expr::Selector(selector) if selector.when == When::default() => Ok(selector.matchers),
        _ => Err(bad("1:1: parse error: only a selector without offset and @ is allowed here")),
    }
}

fn limit(arguments: &Arguments) -> Result<usize, Failure> {
    let limit = arguments.text("limit").map(str::parse::<i64>).transpose();
    let limit = limit.map_err(|_| Failure::bad_parameter("limit", "it is no whole number"))?;
    let limit = usize::try_from(limit.unwrap_or(0))
        .map_err(|_| Failure::bad_parameter("limit", "limit must be non-negative"))?;
    Ok(if limit == 0 { ANSWER_MAX } else { limit.min(ANSWER_MAX) })
}

/// Cuts an answer to the limit, with a warning as Prometheus gives it.
fn cut<T>(all: impl IntoIterator<Item = T>, limit: usize) -> (Vec<T>, Vec<String>) {
    let mut all: Vec<T> = all.into_iter().collect();
    let warnings = if all.len() > limit {
        vec!["results truncated due to limit".to_owned()]
    } else {
        Vec::new()
    };
    all.truncate(limit);
    (all, warnings)
}

async fn all_series(
    State(app): State<Arc<App>>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, Failure> {
    let wanted = Wanted::read(&arguments?)?;
    if wanted.selectors.is_empty() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let source = Arc::clone(&app.deps.series);
    let work = move || {
        let found = wanted.series(source.as_ref())?;
        let (series, warnings) = cut(found, wanted.limit);
        Ok(success(series, &warnings))
    };
    app.gate.query(work).await?
}

async fn label_names(
    State(app): State<Arc<App>>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, Failure> {
    let wanted = Wanted::read(&arguments?)?;
    let source = Arc::clone(&app.deps.series);
    let work = move || {
        let names = names(&wanted, source.as_ref())?;
        let (names, warnings) = cut(names, wanted.limit);
        Ok(success(names, &warnings))
    };
    app.gate.query(work).await?
}

fn names(wanted: &Wanted, source: &dyn SeriesSource) -> Result<BTreeSet<String>, Failure> {
    wanted.union(&|matchers, limit| {
        if wanted.has_span {
            return source.label_names_within(matchers, (wanted.after, wanted.until), limit);
        }
        source.label_names(matchers, limit)
    })
}

async fn label_values(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, Failure> {
    let name = unescape(&name);
    let wanted = Wanted::read(&arguments?)?;
    let source = Arc::clone(&app.deps.series);
    let work = move || {
        let values = values(&name, &wanted, source.as_ref())?;
        let (values, warnings) = cut(values, wanted.limit);
        Ok(success(values, &warnings))
    };
    app.gate.query(work).await?
}

fn values(
    name: &str,
    wanted: &Wanted,
    source: &dyn SeriesSource,
) -> Result<BTreeSet<String>, Failure> {
    wanted.union(&|matchers, limit| {
        if wanted.has_span {
            return source.label_values_within(name, matchers, (wanted.after, wanted.until), limit);
        }
        source.label_values(name, matchers, limit)
    })
}

/// What is known about a metric, as Prometheus shows it.
#[derive(Serialize)]
struct Metadata {
    #[serde(rename = "type")]
    kind: &'static str,
    help: String,
    unit: String,
}

impl From<MetricMeta> for Metadata {
    fn from(meta: MetricMeta) -> Self {
        let kind = match meta.kind {
            Kind::Untyped => "unknown",
            Kind::Gauge | Kind::Absolute => "gauge",
            Kind::Counter(_) => "counter",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        };
        Self { kind, help: meta.help, unit: meta.unit }
    }
}

async fn metadata(
    State(app): State<Arc<App>>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, Failure> {
    let arguments = arguments?;
    // Without the meaning that 0 has elsewhere (`web/api/v1/api.go`, `metricMetadata`).
    let number = |name: &str| {
        let bad = |_| Failure::bad_data(format!("{name} must be a number"));
        arguments.text(name).map(str::parse::<i64>).transpose().map_err(bad)
    };
    let at_most = |limit: Option<i64>| limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = at_most(number("limit")?).unwrap_or(ANSWER_MAX).min(ANSWER_MAX);
    let each = at_most(number("limit_per_metric")?).filter(|each| *each > 0).unwrap_or(1);
    let metric = arguments.text("metric").map(str::to_owned);
    let source = Arc::clone(&app.deps.series);
    let work = move || {
        let metas = source.metadata(metric.as_deref())?;
        let all: BTreeMap<String, Vec<Metadata>> = metas
            .into_iter()
            .take(limit)
            .map(|meta| (meta.name.clone(), [meta.into()].into_iter().take(each).collect()))
            .collect();
        Ok(success(all, &[]))
    };
    app.gate.query(work).await?
}
