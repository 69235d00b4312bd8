//! `/graph.png` and `/graph.svg`: graphs drawn here, for mails, reports and other pages.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use jiff::tz::TimeZone;
use noroshi_expr::{Evaluated, Value as Answer};
use noroshi_graph::{
    Chart, ChartSeries, DrawError, HEIGHT_MIN, Mark, SIDE_MAX, Theme, Threshold, WIDTH_MIN,
};
use noroshi_model::{Labels, Restart, Status, Timestamp, label};

use crate::app::App;
use crate::arguments::{ArgumentError, Arguments};
use crate::error::ApiError;
use crate::queries::{self, Span, Wishes};
use crate::route::{Access, Body, Route, Value};

/// Most lines in one graph: more cannot be told apart.
const SERIES_MAX: usize = 100;
/// Most characters of a title.
const TITLE_CHARS_MAX: usize = 200;
/// Most threshold lines.
const THRESHOLDS_MAX: usize = 8;
/// Restarts are marked when what is drawn comes from at most so many sources, and
const RESTARTED_SOURCES_MAX: usize = 8;
/// at most so many of them, the newest: more lines hide the curve.
const RESTARTS_MAX: usize = 40;
/// How long a graph of the past may be kept by who asked for it.
const PAST_SECONDS: u64 = 300;

pub(crate) fn routes() -> Vec<Route> {
    let described = |route: Route, mime| {
        route
            .summary("Draws expressions over a span")
            .needs("expr", Value::Texts, "PromQL; repeated ones are drawn together, 32 at most")
            .takes("start", Value::Time, "left end; an hour before the end if not given")
            .takes("end", Value::Time, "right end; now if not given")
            .takes("width", Value::Integer, "pixels, 200 to 4096; 800 if not given")
            .takes("height", Value::Integer, "pixels, 100 to 4096; 300 if not given")
            .takes("title", Value::Text, "title; the expression if not given")
            .takes("unit", Value::Text, "unit of the values: bytes, seconds, percent, ...")
            .takes("stacked", Value::Text, "`true`: the series are stacked as areas")
            .takes("threshold", Value::Numbers, "a line at this value")
            .takes("theme", Value::Text, "`light` (if not given) or `dark`")
            .takes(
                "zone",
                Value::Text,
                "time zone of the axis, as `Europe/Berlin`; UTC if not given",
            )
            .answer(Body::Other(mime))
    };
    vec![
        described(Route::get("/graph.png", Access::Viewer, png), "image/png"),
        described(Route::get("/graph.svg", Access::Viewer, svg), "image/svg+xml"),
    ]
}

async fn png(
    State(app): State<Arc<App>>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, ApiError> {
    let (chart, seconds) = chart(&app, &arguments?).await?;
    let bytes = app.gate.query(move || chart.png()).await?.map_err(|error| undrawn(&error))?;
    Ok(picture(bytes, "image/png", seconds))
}

async fn svg(
    State(app): State<Arc<App>>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, ApiError> {
    let (chart, seconds) = chart(&app, &arguments?).await?;
    let text = app.gate.query(move || chart.svg()).await?.map_err(|error| undrawn(&error))?;
    let mut response = picture(text.into_bytes(), "image/svg+xml", seconds);
    // A picture that is opened as a page of its own may do nothing but be seen.
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

fn picture(bytes: Vec<u8>, mime: &'static str, seconds: u64) -> Response {
    let cache = format!("private, max-age={seconds}");
    let cache = HeaderValue::from_str(&cache).unwrap_or(HeaderValue::from_static("no-store"));
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static(mime)), (header::CACHE_CONTROL, cache)];
    (headers, bytes).into_response()
}

fn undrawn(error: &DrawError) -> ApiError {
    match error {
        DrawError::Size { .. } | DrawError::Span => ApiError::BadRequest(error.to_string()),
        _ => ApiError::internal("cannot draw a graph", error),
    }
}

/// Describes the graph that is asked for, and for how many seconds it holds.
async fn chart(app: &Arc<App>, arguments: &Arguments) -> Result<(Chart, u64), ApiError> {
    let now = app.deps.clock.now();
    let texts: Vec<String> = arguments.all("expr").map(str::to_owned).collect();
    let Some(first) = texts.first() else { return Err(ArgumentError::Missing("expr").into()) };
    let end = arguments.time("end")?.unwrap_or(now);
    let start = arguments.time("start")?.unwrap_or(end - Duration::from_hours(1));
    if end <= start {
        return Err(ArgumentError::invalid("end", "it must be later than the start").into());
    }
    let mut chart = Chart::new(&title(arguments, first), start, end);
    chart.width = side(arguments, "width", chart.width, WIDTH_MIN)?;
    chart.height = side(arguments, "height", chart.height, HEIGHT_MIN)?;
    chart.theme = theme(arguments)?;
    chart.zone = zone(arguments)?;
    chart.unit = arguments.text("unit").unwrap_or_default().to_owned();
    chart.is_stacked = arguments.text("stacked") == Some("true");
    chart.thresholds = thresholds(arguments)?;
    // A moment for every second pixel is as fine as a line can be seen.
    let step = end.since(start).as_secs() / u64::from(chart.width / 2);
    let step = Duration::from_secs(step.max(1));
    let span = Span::new(start.align_down(step), end, step)?;
    let all = queries::range(app, &texts, span, Wishes::default()).await?;
    (chart.series, chart.subtitle) = lines(&all);
    chart.marks = restarts(app, texts, (start, end)).await?;
    let is_past = now.since(end) > step * 2;
    Ok((chart, if is_past { PAST_SECONDS } else { (step.as_secs() / 2).clamp(1, PAST_SECONDS) }))
}

/// Returns when the sources of what is drawn began anew, if they are few.
async fn restarts(
    app: &Arc<App>,
    texts: Vec<String>,
    span: (Timestamp, Timestamp),
) -> Result<Vec<Mark>, ApiError> {
    let source = Arc::clone(&app.deps.series);
    let found = app.gate.query(move || {
        let parsed = texts.iter().filter_map(|text| noroshi_expr::parse(text).ok());
        let mut found = BTreeSet::new();
        for matchers in parsed.flat_map(|expr| expr.selections()) {
            // A graph without marks is better than none.
            let some = source.restarts(&matchers, span, RESTARTED_SOURCES_MAX);
            found.extend(some.unwrap_or_default());
        }
        found
    });
    let found = found.await?;
    let mark =
        |restart: &Restart| Mark { at: restart.at, label: restart.to_string(), severity: None };
    Ok(found.iter().skip(found.len().saturating_sub(RESTARTS_MAX)).map(mark).collect())
}

fn title(arguments: &Arguments, expr: &str) -> String {
    arguments.text("title").unwrap_or(expr).chars().take(TITLE_CHARS_MAX).collect()
}

fn side(arguments: &Arguments, name: &str, usual: u32, least: u32) -> Result<u32, ArgumentError> {
    let side = arguments.integer(name)?.unwrap_or(u64::from(usual));
    let fits = u32::try_from(side).ok().filter(|side| (least..=SIDE_MAX).contains(side));
    fits.ok_or_else(|| {
        ArgumentError::invalid(name, format!("it must be {least} to {SIDE_MAX} pixels"))
    })
}

fn theme(arguments: &Arguments) -> Result<Theme, ArgumentError> {
    match arguments.text("theme") {
        None | Some("light") => Ok(Theme::Light),
        Some("dark") => Ok(Theme::Dark),
        Some(_) => Err(ArgumentError::invalid("theme", "it must be light or dark")),
    }
}

fn zone(arguments: &Arguments) -> Result<TimeZone, ArgumentError> {
    let Some(name) = arguments.text("zone") else { return Ok(TimeZone::UTC) };
    TimeZone::get(name)
        .map_err(|_| ArgumentError::invalid("zone", format!("there is no time zone {name:?}")))
}

fn thresholds(arguments: &Arguments) -> Result<Vec<Threshold>, ArgumentError> {
    let values = arguments.numbers("threshold")?;
    if values.len() > THRESHOLDS_MAX {
        let reason = format!("at most {THRESHOLDS_MAX} lines");
        return Err(ArgumentError::invalid("threshold", reason));
    }
    let line = |value| Threshold { value, label: String::new(), severity: Status::Critical };
    Ok(values.into_iter().map(line).collect())
}

/// Returns the lines of all results, and what to say when not all are drawn.
fn lines(all: &[Evaluated]) -> (Vec<ChartSeries>, String) {
    let mut found = Vec::new();
    for evaluated in all {
        if let Answer::Matrix(matrix) = &evaluated.value {
            found.extend(matrix);
        }
    }
    let count = found.len();
    found.truncate(SERIES_MAX);
    let sets: Vec<&Labels> = found.iter().map(|series| &series.labels).collect();
    let telling = telling_labels(&sets);
    let line = |series: &&noroshi_expr::RangeSeries| ChartSeries {
        legend: legend(&series.labels, &telling),
        at: series.at.clone(),
        value: series.value.clone(),
        ..ChartSeries::default()
    };
    let subtitle = match count.checked_sub(SERIES_MAX) {
        None | Some(0) => String::new(),
        Some(more) => format!("{more} of {count} series are not drawn"),
    };
    (found.iter().map(line).collect(), subtitle)
}

/// Returns the names of the labels that differ between the series: only those tell them apart.
fn telling_labels(sets: &[&Labels]) -> BTreeSet<String> {
    let names = sets.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()));
    let mut names: BTreeSet<String> = names.collect();
    if let Some((first, rest)) = sets.split_first()
        && !rest.is_empty()
    {
        names.retain(|name| rest.iter().any(|labels| labels.get(name) != first.get(name)));
    }
    names
}

/// Writes a legend: the one value that tells, or `name: value` for several.
fn legend(labels: &Labels, telling: &BTreeSet<String>) -> String {
    let told: Vec<(&str, &str)> =
        labels.iter().filter(|(name, _)| telling.contains(*name)).collect();
    match told.as_slice() {
        [] => labels.name().to_owned(),
        [(_, value)] => (*value).to_owned(),
        several => several
            .iter()
            .map(|(name, value)| {
                if *name == label::NAME { (*value).to_owned() } else { format!("{name}: {value}") }
            })
            .collect::<Vec<String>>()
            .join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legends_say_what_tells_the_series_apart() {
        let cpu = |mode| Labels::new([("__name__", "cpu"), ("instance", "web1"), ("mode", mode)]);
        let (user, idle) = (cpu("user"), cpu("idle"));
        let telling = telling_labels(&[&user, &idle]);
        assert_eq!(legend(&user, &telling), "user");

        let other = Labels::new([("__name__", "cpu"), ("instance", "web2"), ("mode", "user")]);
        let telling = telling_labels(&[&user, &idle, &other]);
        assert_eq!(legend(&other, &telling), "instance: web2, mode: user");

        let telling = telling_labels(&[&user]);
        assert_eq!(legend(&user, &telling), "cpu, instance: web1, mode: user");
        assert_eq!(legend(&Labels::empty(), &telling), "");
    }
}
