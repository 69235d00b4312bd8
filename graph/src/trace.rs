//! From series to what is seen of them: pieces without gaps, stacks, and figures for the legend.

use noroshi_model::LineStyle;

use crate::chart::{Chart, ChartSeries};

/// A piece of a series without a gap.
///
/// All vectors have one length. A line has `low` equal to `high`; of an area `low` is the foot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Run {
    /// Milliseconds since 1970, strictly increasing.
    pub(crate) at: Vec<i64>,
    /// Lower edge.
    pub(crate) low: Vec<f64>,
    /// Upper edge.
    pub(crate) high: Vec<f64>,
}

impl Run {
    fn push(&mut self, at: i64, low: f64, high: f64) {
        self.at.push(at);
        self.low.push(low);
        self.high.push(high);
    }
}

/// What is drawn of one series; values of the downward direction are negative already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// The line, or the upper edge of the stack's layer.
    pub(crate) line: Vec<Run>,
    /// The filled part; empty when nothing is filled.
    pub(crate) area: Vec<Run>,
    /// The pale band around the line; empty when there is none.
    pub(crate) band: Vec<Run>,
    /// Figures for the legend.
    pub(crate) figures: Figures,
}

/// What the legend says about a series in the span; NaN when no value is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) last: f64,
    /// Mean of the known values, each weighing the same.
    pub(crate) average: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Default for Figures {
    fn default() -> Self {
        Self { last: f64::NAN, average: f64::NAN, min: f64::NAN, max: f64::NAN }
    }
}

/// Prepares all series of a chart for a plot that is `columns` pixels wide.
pub(crate) fn traces(chart: &Chart, columns: usize) -> Vec<Trace> {
    let mut traces = if chart.is_stacked { stack(chart, columns) } else { side_by_side(chart) };
    for (trace, series) in traces.iter_mut().zip(&chart.series) {
        trace.figures = figures(series, chart.start.as_millis(), chart.end.as_millis());
    }
    traces
}

fn side_by_side(chart: &Chart) -> Vec<Trace> {
    let span = (chart.start.as_millis(), chart.end.as_millis());
    let trace = |series: &ChartSeries| {
        let sign = sign(series.style);
        let line = runs(&series.at, span, |i| {
            let value = series.value[i] * sign;
            (value, value)
        });
        let band = series.band.as_ref().map_or_else(Vec::new, |band| {
            runs(&series.at, span, |i| {
                let (a, b) = (band.min[i] * sign, band.max[i] * sign);
                if a <= b { (a, b) } else { (b, a) }
            })
        });
        let is_filled = series.style != LineStyle::Line;
        let area = if is_filled { line.iter().map(to_zero).collect() } else { Vec::new() };
        Trace { line, area, band, figures: Figures::default() }
    };
    chart.series.iter().map(trace).collect()
}

fn to_zero(run: &Run) -> Run {
    Run { at: run.at.clone(), low: vec![0.0; run.at.len()], high: run.high.clone() }
}

fn sign(style: LineStyle) -> f64 {
    if style == LineStyle::Negative { -1.0 } else { 1.0 }
}

/// Cuts a series at its gaps; `edges` gives lower and upper edge of a point.
fn runs(at: &[i64], span: (i64, i64), edges: impl Fn(usize) -> (f64, f64)) -> Vec<Run> {
    let step_max = step_max(at);
    let mut runs: Vec<Run> = Vec::new();
    let mut previous: Option<i64> = None;
    for (i, &moment) in at.iter().enumerate() {
        let (low, high) = edges(i);
        if moment < span.0 || moment > span.1 || !low.is_finite() || !high.is_finite() {
            previous = None;
            continue;
        }
        let is_joined = previous.is_some_and(|previous| moment - previous <= step_max);
        previous = Some(moment);
        match runs.last_mut() {
            Some(run) if is_joined => run.push(moment, low, high),
            _ => runs.push(Run { at: vec![moment], low: vec![low], high: vec![high] }),
        }
    }
    runs
}

/// Returns the largest distance of points that belong together: one and a half times the median.
fn step_max(at: &[i64]) -> i64 {
    let mut steps: Vec<_> = at.iter().zip(at.iter().skip(1)).map(|(a, b)| b - a).collect();
    if steps.is_empty() {
        return 0;
    }
    let middle = (steps.len() - 1) / 2;
    let (_, median, _) = steps.select_nth_unstable(middle);
    *median + *median / 2
}

// ---------------------------------------------------------------------------------------- stacks

/// Piles the series up, upwards and downwards apart.
///
/// At a moment where a series is unknown its layer has a gap and those above it lie lower: what is
/// drawn is the sum of what is known.
fn stack(chart: &Chart, columns: usize) -> Vec<Trace> {
    let span = (chart.start.as_millis(), chart.end.as_millis());
    let all: Vec<Vec<Run>> = chart
        .series
        .iter()
        .map(|series| {
            let sign = sign(series.style);
            let line = runs(&series.at, span, |i| {
                let value = series.value[i] * sign;
                (value, value)
            });
            line.iter().map(|run| thin(run, span, columns)).collect()
        })
        .collect();
    let mut moments: Vec<i64> = all.iter().flatten().flat_map(|run| run.at.clone()).collect();
    moments.sort_unstable();
    moments.dedup();

    let mut feet = [vec![0.0; moments.len()], vec![0.0; moments.len()]];
    let mut traces = Vec::with_capacity(all.len());
    for (line, series) in all.iter().zip(&chart.series) {
        let direction = usize::from(series.style == LineStyle::Negative);
        let area = layer(line, &moments, &mut feet[direction]);
        let line = area.iter().map(upper_edge).collect();
        traces.push(Trace { line, area, ..Trace::default() });
    }
    traces
}

/// Puts one series on top of `feet`, which it raises.
fn layer(line: &[Run], moments: &[i64], feet: &mut [f64]) -> Vec<Run> {
    let mut layer = Vec::with_capacity(line.len());
    for run in line {
        let (Some(&first), Some(&last)) = (run.at.first(), run.at.last()) else { continue };
        let from = moments.partition_point(|at| *at < first);
        let to = moments.partition_point(|at| *at <= last);
        let mut piece = Run::default();
        for i in from..to {
            let foot = feet[i];
            feet[i] += value_at(run, moments[i]);
            piece.push(moments[i], foot, feet[i]);
        }
        layer.push(piece);
    }
    layer
}

/// Returns the value at a moment within the run, on the straight line between its points.
fn value_at(run: &Run, moment: i64) -> f64 {
    match run.at.binary_search(&moment) {
        Ok(i) => run.high[i],
        Err(i) if i == 0 || i == run.at.len() => 0.0,
        Err(i) => {
            let (a, b) = (run.at[i - 1], run.at[i]);
            let share = (moment - a) as f64 / (b - a) as f64;
            run.high[i - 1] + (run.high[i] - run.high[i - 1]) * share
        }
    }
}

fn upper_edge(run: &Run) -> Run {
    Run { at: run.at.clone(), low: run.high.clone(), high: run.high.clone() }
}

/// Returns the run with at most about one point a column, each the mean of its column.
///
/// Sums of means are the means of sums, so that a stack of thinned series keeps its height.
fn thin(run: &Run, span: (i64, i64), columns: usize) -> Run {
    if run.at.len() <= columns.max(2) {
        return run.clone();
    }
    let width = ((span.1 - span.0) / columns.max(1) as i64).max(1);
    let mut thinned = Run::default();
    let mut i = 0;
    while i < run.at.len() {
        let column = (run.at[i] - span.0) / width;
        let mut end = i + 1;
        while end < run.at.len() && (run.at[end] - span.0) / width == column {
            end += 1;
        }
        let count = (end - i) as f64;
        let mean = run.high[i..end].iter().sum::<f64>() / count;
        let at = run.at[i..end].iter().sum::<i64>() / (end - i) as i64;
        thinned.push(at, mean, mean);
        i = end;
    }
    thinned
}

// --------------------------------------------------------------------------------------- figures

/// Computes the legend's figures from the points in the span; a band gives minimum and maximum.
fn figures(series: &ChartSeries, start: i64, end: i64) -> Figures {
    let mut figures = Figures::default();
    let (mut sum, mut count) = (0.0, 0.0);
    for (i, value) in series.value.iter().enumerate() {
        if series.at[i] < start || series.at[i] > end || !value.is_finite() {
            continue;
        }
        let (low, high) =
            series.band.as_ref().map_or((*value, *value), |band| (band.min[i], band.max[i]));
        sum += value;
        count += 1.0;
        figures.last = *value;
        // `min` and `max` of f64 prefer the number to a NaN.
        figures.min = figures.min.min(low).min(*value);
        figures.max = figures.max.max(high).max(*value);
    }
    if count > 0.0 {
        figures.average = sum / count;
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use noroshi_model::{Timestamp, UNKNOWN};

    fn series(style: LineStyle, points: &[(i64, f64)]) -> ChartSeries {
        let (at, value) = points.iter().copied().unzip();
        ChartSeries { at, value, style, ..ChartSeries::default() }
    }

    fn chart(is_stacked: bool, series: Vec<ChartSeries>) -> Chart {
        let end = Timestamp::from_millis(1000);
        Chart { is_stacked, series, ..Chart::new("", Timestamp::from_millis(0), end) }
    }

    fn edges(runs: &[Run]) -> Vec<Vec<(i64, f64, f64)>> {
        let mut all = Vec::new();
        for run in runs {
            all.push((0..run.at.len()).map(|i| (run.at[i], run.low[i], run.high[i])).collect());
        }
        all
    }

    #[test]
    fn a_line_is_cut_at_unknown_and_where_points_are_missing() {
        let points =
            [(-10, 9.0), (0, 1.0), (10, 2.0), (20, UNKNOWN), (30, 3.0), (60, 4.0), (70, 5.0)];
        let chart = chart(false, vec![series(LineStyle::Line, &points)]);
        let traces = traces(&chart, 100);
        assert_eq!(
            edges(&traces[0].line),
            [
                vec![(0, 1.0, 1.0), (10, 2.0, 2.0)],
                vec![(30, 3.0, 3.0)],
                vec![(60, 4.0, 4.0), (70, 5.0, 5.0)]
            ]
        );
        assert!(traces[0].area.is_empty());
        // (1 + 2 + 3 + 4 + 5) / 5; the point before the span does not count.
        let Figures { last, average, min, max } = traces[0].figures;
        assert_eq!((last, average, min, max), (5.0, 3.0, 1.0, 5.0));
    }

    #[test]
    fn what_goes_out_is_drawn_downwards_but_counted_as_it_is() {
        let chart = chart(false, vec![series(LineStyle::Negative, &[(0, 1.0), (10, 3.0)])]);
        let traces = traces(&chart, 100);
        assert_eq!(edges(&traces[0].area), [[(0, 0.0, -1.0), (10, 0.0, -3.0)]]);
        assert_eq!(traces[0].figures.max, 3.0);
    }

    #[test]
    fn layers_lie_on_the_sum_of_what_is_known() {
        let first = series(LineStyle::Area, &[(0, 1.0), (10, 1.0), (20, UNKNOWN), (30, 1.0)]);
        let second = series(LineStyle::Area, &[(0, 2.0), (10, 2.0), (20, 2.0), (30, 2.0)]);
        let down = series(LineStyle::Negative, &[(0, 5.0), (10, 5.0)]);
        let traces = traces(&chart(true, vec![first, second, down]), 100);
        assert_eq!(
            edges(&traces[0].area),
            [vec![(0, 0.0, 1.0), (10, 0.0, 1.0)], vec![(30, 0.0, 1.0)]]
        );
        assert_eq!(
            edges(&traces[1].area),
            [[(0, 1.0, 3.0), (10, 1.0, 3.0), (20, 0.0, 2.0), (30, 1.0, 3.0)]]
        );
        assert_eq!(edges(&traces[2].area), [[(0, 0.0, -5.0), (10, 0.0, -5.0)]]);
    }

    #[test]
    fn layers_of_series_with_other_moments_are_joined_by_straight_lines() {
        let first = series(LineStyle::Area, &[(0, 0.0), (20, 2.0)]);
        let second = series(LineStyle::Area, &[(10, 1.0), (15, 1.0)]);
        let traces = traces(&chart(true, vec![first, second]), 100);
        // At 10 the first is 2 * 10/20 = 1, at 15 it is 1.5.
        assert_eq!(edges(&traces[1].area), [[(10, 1.0, 2.0), (15, 1.5, 2.5)]]);
    }

    #[test]
    fn a_dense_stack_is_thinned_to_means() {
        let points: Vec<_> = (0..1000).map(|i| (i, if i % 2 == 0 { 1.0 } else { 3.0 })).collect();
        let traces = traces(&chart(true, vec![series(LineStyle::Area, &points)]), 100);
        // 1000 ms in 100 columns: 10 points each, mean 2.
        assert_eq!(traces[0].area[0].at.len(), 100);
        assert!(traces[0].area[0].high.iter().all(|v| (*v - 2.0).abs() < 1e-9));
    }
}
