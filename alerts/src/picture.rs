//! The graph in a mail, and the value that it shows. It may fail, or take too long: the mail then
//! goes without it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::tz::TimeZone;
use noroshi_expr::{Engine, EngineLimits, Expr, RangeSeries, Value, parse};
use noroshi_graph::{Chart, ChartSeries, Mark, Threshold};
use noroshi_model::quantity::format_value;
use noroshi_model::{GraphHint, Labels, SeriesSource, Status, Timestamp};

use crate::alerts::Alerts;
use crate::book::{HardChange, Notification};

/// How long a mail waits for its graph.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one evaluation may take: it ends before the mail stops waiting for it.
const EVALUATION_MAX: Duration = Duration::from_secs(4);

/// How many samples one graph may load: 50 series of three hours at 10 s, ten times over.
const SAMPLES_MAX: usize = 500_000;

/// How many graphs may be in work at once, those that nobody waits for any more included.
pub(crate) const DRAWN_AT_ONCE_MAX: usize = 4;

/// What is shown at least: long enough to see what was usual.
const SPAN_MIN: Duration = Duration::from_mins(150);

/// What is shown at most, when a problem lasted long.
const SPAN_MAX: Duration = Duration::from_hours(48);

/// How much is shown before a problem began.
const LEAD: Duration = Duration::from_mins(45);

/// What is shown of series that have just begun, second by second.
const YOUNG_SPAN: Duration = Duration::from_mins(5);

/// A series with fewer points at the usual step (20 s) began within [`YOUNG_SPAN`].
const YOUNG_POINTS: usize = 16;

/// How much is shown after the change, when the mail goes out late.
const TAIL: Duration = Duration::from_mins(10);

/// Size in pixels: fits a mail's column, and its texts can be read when a phone draws it at two
/// thirds; some 25 KB.
pub(crate) const WIDTH: u32 = 520;
const HEIGHT: u32 = 250;

/// Largest image that a mail carries, in bytes.
const BYTES_MAX: usize = 40 * 1024;

/// What is drawn instead of an image that would be too large: how many points become one, and how
/// many series stay. Smooth lines never come here; the last gives some 20 KB at the worst.
const THINNED: [(usize, usize); 3] = [(4, 6), (8, 3), (16, 1)];

/// How many series are drawn, the worst first; more cannot be told apart.
const SERIES_MAX: usize = 6;

/// Restarts are marked when what is drawn comes from at most so many sources, and
const RESTARTED_SOURCES_MAX: usize = 8;
/// at most so many of them, the newest: more lines hide the curve.
const RESTARTS_MAX: usize = 10;

/// How many values are written out.
const VALUES_MAX: usize = 3;

/// A graph, drawn and read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Picture {
    /// Title, for readers without images.
    pub(crate) title: String,
    /// The image; `None` when it could not be drawn.
    pub(crate) png: Option<Vec<u8>>,
    /// The value at the moment of the change, with the thresholds; `None` when it is unknown.
    pub(crate) values: Option<String>,
}

impl Alerts {
    /// Draws what a notification is about; `None` when there is nothing to draw, or no time.
    pub(crate) async fn picture(
        self: &Arc<Self>,
        notification: &Notification,
        zone: TimeZone,
    ) -> Option<Picture> {
        let last = notification.letter.as_ref()?.change.clone()?;
        let hint = last.change.subject.graphs.first()?.clone();
        let permit = Arc::clone(&self.drawing).try_acquire_owned();
        let (series, now) = (Arc::clone(&self.series), self.clock.now());
        let work = tokio::task::spawn_blocking(move || {
            let drawn = permit.is_ok().then(|| draw(series.as_ref(), &hint, &last, now, zone));
            drop(permit);
            drawn
        });
        let reason = match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(Some(Ok(picture)))) => return Some(picture),
            Ok(Ok(Some(Err(reason)))) => reason,
            Ok(Ok(None)) => "too many graphs are being drawn".to_owned(),
            Ok(Err(panic)) => panic.to_string(),
            Err(_) => format!("not drawn in {} s", PATIENCE.as_secs()),
        };
        tracing::warn!(id = %notification.id, reason, "a mail goes without its graph");
        self.figures.graphs_missed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Evaluates and draws. Blocking. Errors: why there is no graph, in one line.
fn draw(
    source: &dyn SeriesSource,
    hint: &GraphHint,
    last: &HardChange,
    now: Timestamp,
    zone: TimeZone,
) -> Result<Picture, String> {
    let expr = parse(&hint.expr).map_err(|error| error.to_string())?;
    let (mut start, end, step) = span(last, now);
    let mut found = evaluate(source, &expr, (start, end), step)?;
    if found.iter().all(|series| series.at.len() < YOUNG_POINTS) {
        // Nothing is older: at the usual scale it would be a dot at the right edge.
        start = end - YOUNG_SPAN;
        found = evaluate(source, &expr, (start, end), Duration::from_secs(1))?;
    }
    let direction = direction(hint);
    let worst =
        |series: &RangeSeries| value_at(series, last.at).map_or(f64::MIN, |v| v * direction);
    found.sort_by(|a, b| worst(b).total_cmp(&worst(a)));
    let title = if hint.title.is_empty() { hint.expr.clone() } else { hint.title.clone() };
    let mut picture = Picture { values: values(&found, hint, last.at), title, png: None };
    found.truncate(SERIES_MAX);
    if found.iter().all(|series| series.at.len() < 2) {
        return Ok(picture);
    }
    let mut chart = Chart::new(&picture.title, start, end);
    (chart.width, chart.height, chart.zone) = (WIDTH, HEIGHT, zone);
    chart.unit.clone_from(&hint.unit);
    chart.thresholds = thresholds(hint);
    chart.marks = restarts(source, &expr, (start, end));
    chart.marks.extend(marks(last));
    chart.series = found
        .iter()
        .map(|series| ChartSeries {
            legend: legend(&series.labels, "value"),
            at: series.at.clone(),
            value: series.value.clone(),
            ..ChartSeries::default()
        })
        .collect();
    let mut png = chart.png().map_err(|error| error.to_string())?;
    for (points, count) in THINNED {
        if png.len() <= BYTES_MAX {
            break;
        }
        chart.series.truncate(count);
        for (drawn, series) in chart.series.iter_mut().zip(&found) {
            (drawn.at, drawn.value) = thinned(series, points, direction);
        }
        png = chart.png().map_err(|error| error.to_string())?;
    }
    picture.png = Some(png);
    Ok(picture)
}

/// Evaluates over a span.
fn evaluate(
    source: &dyn SeriesSource,
    expr: &Expr,
    span: (Timestamp, Timestamp),
    step: Duration,
) -> Result<Vec<RangeSeries>, String> {
    let limits = EngineLimits {
        samples_max: SAMPLES_MAX,
        duration_max: EVALUATION_MAX,
        ..EngineLimits::default()
    };
    let evaluated =
        Engine::new(limits).range(source, expr, span, step).map_err(|error| error.to_string())?;
    match evaluated.value {
        Value::Matrix(found) => Ok(found),
        _ => Err("the expression gives no series".to_owned()),
    }
}

/// Returns start, end and step of what is shown.
fn span(last: &HardChange, now: Timestamp) -> (Timestamp, Timestamp, Duration) {
    let end = now.min(last.at + TAIL).max(last.at);
    let start = (end - SPAN_MIN).min(last.change.since - LEAD).max(end - SPAN_MAX);
    // One point a pixel is enough; multiples of 10 s fall on the usual samples.
    let tens = end.since(start).as_secs().div_ceil(u64::from(WIDTH) * 10).max(1);
    let step = Duration::from_secs(tens * 10);
    (start.align_down(step), end, step)
}

/// Returns 1 when more is worse, -1 when less is.
fn direction(hint: &GraphHint) -> f64 {
    match (hint.warning, hint.critical) {
        (Some(warning), Some(critical)) if critical < warning => -1.0,
        _ => 1.0,
    }
}

/// Returns the newest value that is not later than `at`.
fn value_at(series: &RangeSeries, at: Timestamp) -> Option<f64> {
    let count = series.at.partition_point(|moment| *moment <= at.as_millis());
    series.value.get(count.checked_sub(1)?).copied().filter(|value| !value.is_nan())
}

/// Returns the worst of each so many points, at their moment: peaks stay.
fn thinned(series: &RangeSeries, points: usize, direction: f64) -> (Vec<i64>, Vec<f64>) {
    let pairs: Vec<(i64, f64)> =
        series.at.iter().copied().zip(series.value.iter().copied()).collect();
    pairs
        .chunks(points)
        .filter_map(|chunk| {
            chunk.iter().max_by(|a, b| (a.1 * direction).total_cmp(&(b.1 * direction)))
        })
        .copied()
        .unzip()
}

/// Writes the worst values and the thresholds; `None` when no value is known.
fn values(found: &[RangeSeries], hint: &GraphHint, at: Timestamp) -> Option<String> {
    let known = found.iter().filter_map(|series| Some((series, value_at(series, at)?)));
    let mut written: Vec<String> = known
        .map(|(series, value)| {
            let name = legend(&series.labels, "");
            let value = format_value(value, &hint.unit);
            if name.is_empty() { value } else { format!("{name} {value}") }
        })
        .collect();
    if written.is_empty() {
        return None;
    }
    let left_out = written.len().saturating_sub(VALUES_MAX);
    written.truncate(VALUES_MAX);
    if left_out > 0 {
        written.push(format!("{left_out} more"));
    }
    let mut text = written.join(", ");
    let limits: Vec<String> = [("warning", hint.warning), ("critical", hint.critical)]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", format_value(value?, &hint.unit))))
        .collect();
    if !limits.is_empty() {
        text = format!("{text} ({})", limits.join(", "));
    }
    Some(text)
}

fn thresholds(hint: &GraphHint) -> Vec<Threshold> {
    let both = [(Status::Warning, hint.warning), (Status::Critical, hint.critical)];
    both.into_iter()
        .filter_map(|(severity, value)| {
            let value = value?;
            let label = format!("{severity} {}", format_value(value, &hint.unit));
            Some(Threshold { value, label, severity })
        })
        .collect()
}

/// Returns when the sources of what is drawn began anew, if they are few.
fn restarts(source: &dyn SeriesSource, expr: &Expr, span: (Timestamp, Timestamp)) -> Vec<Mark> {
    let mut marks = Vec::new();
    for matchers in expr.selections() {
        // A graph without marks is better than none.
        let found = source.restarts(&matchers, span, RESTARTED_SOURCES_MAX).unwrap_or_default();
        marks.extend(found.iter().map(|restart| Mark {
            at: restart.at,
            label: restart.to_string(),
            severity: None,
        }));
    }
    marks.sort_by(|a, b| (a.at, &a.label).cmp(&(b.at, &b.label)));
    marks.dedup_by(|a, b| (a.at, &a.label) == (b.at, &b.label));
    marks.drain(..marks.len().saturating_sub(RESTARTS_MAX));
    marks
}

/// Returns the moment of failure, and of its end.
fn marks(last: &HardChange) -> Vec<Mark> {
    let change = &last.change;
    if change.status.is_problem() {
        return vec![Mark {
            at: change.since,
            label: change.status.to_string(),
            severity: Some(change.status),
        }];
    }
    vec![
        Mark { at: change.since, label: "failed".to_owned(), severity: Some(change.previous) },
        Mark { at: last.at, label: "recovered".to_owned(), severity: Some(change.status) },
    ]
}

/// Names a series by the labels that can differ; `otherwise` when there are none.
fn legend(labels: &Labels, otherwise: &str) -> String {
    let telling: Vec<&str> = labels
        .iter()
        .filter(|(name, _)| !matches!(*name, "__name__" | "instance" | "job"))
        .map(|(_, value)| value)
        .collect();
    if telling.is_empty() { otherwise.to_owned() } else { telling.join(" ") }
}

#[cfg(test)]
mod tests;
