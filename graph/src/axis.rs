//! The value axis: its ends, its marks and their labels.

use noroshi_model::quantity::Scale;

use crate::chart::Chart;
use crate::trace::{Run, Trace};

/// The value axis as it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    /// Value at the lower edge.
    pub(crate) low: f64,
    /// Value at the upper edge; greater than `low`.
    pub(crate) high: f64,
    /// Values with their labels, from below.
    pub(crate) marks: Vec<(f64, String)>,
}

/// A threshold further away than this many times the data's height is not brought into view: it
/// would press the data flat. An arrow at the edge says where it is.
const THRESHOLD_REACH: f64 = 4.0;

/// Lines of positive values that vary by less than this share of their maximum do not start at
/// zero: otherwise a temperature or a full disk would be a straight line.
const FLAT_SHARE: f64 = 0.15;

/// Labels of marks stand in the uppermost part of the plot: the data stays below.
const MARKS_SHARE: f64 = 0.2;

/// Chooses an axis for a plot of `height` pixels.
pub(crate) fn axis(chart: &Chart, traces: &[Trace], height: f32) -> Axis {
    let (low, high) = extent(chart, traces);
    let marks_max = (height / 34.0).clamp(2.0, 8.0);
    let step = step((high - low) / f64::from(marks_max), &chart.unit);
    let low = if chart.min.is_some() { low } else { (low / step + 1e-9).floor() * step };
    let high = if chart.max.is_some() { high } else { (high / step - 1e-9).ceil() * step };
    let scale = Scale::pick(low.abs().max(high.abs()), &chart.unit);
    let decimals = decimals(step / scale.divisor);
    // Downwards means "out", not "less than nothing": its marks are written without the sign.
    let is_mirrored = traces.iter().any(|t| t.figures.min > 0.0 || t.figures.max > 0.0)
        && chart.series.iter().any(|s| s.style == noroshi_model::LineStyle::Negative);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    let marks = (first..=last).map(|i| {
        let value = i as f64 * step;
        let shown = if is_mirrored { value.abs() } else { value };
        (value, scale.format(shown, decimals))
    });
    Axis { low, high, marks: marks.collect() }
}

/// Returns the least and greatest value that must be in view.
fn extent(chart: &Chart, traces: &[Trace]) -> (f64, f64) {
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    let mut take = |value: f64| {
        low = low.min(value);
        high = high.max(value);
    };
    let mut is_from_zero = chart.is_stacked;
    for trace in traces {
        is_from_zero |= !trace.area.is_empty();
        let runs = trace.line.iter().chain(&trace.band).chain(&trace.area);
        let edges = |run: &Run| run.low.iter().chain(&run.high).copied().collect::<Vec<_>>();
        runs.flat_map(edges).for_each(&mut take);
    }
    if low > high {
        (low, high) = (0.0, 0.0);
    }
    if low > 0.0 && (is_from_zero || high - low > FLAT_SHARE * high) {
        low = 0.0;
    }
    if high < 0.0 && (is_from_zero || high - low > FLAT_SHARE * -low) {
        high = 0.0;
    }
    let highest = chart.thresholds.iter().map(|threshold| threshold.value).fold(high, f64::max);
    let reach = (high - low).max(high.abs() * FLAT_SHARE) * THRESHOLD_REACH;
    let is_empty = high == low;
    for threshold in &chart.thresholds {
        let value = threshold.value;
        let is_near = value > low - reach && value < high + reach;
        if value.is_finite() && (is_near || is_empty) {
            low = low.min(value);
            // Room for the label above the line.
            high = high.max(value + (value - low) * 0.08);
        }
    }
    if !chart.marks.is_empty() {
        high += (high - low) * MARKS_SHARE;
    }
    if let Some(whole) = whole(&chart.unit).filter(|whole| highest <= *whole && high > *whole) {
        high = whole;
    }
    low = chart.min.filter(|v| v.is_finite()).unwrap_or(low);
    high = chart.max.filter(|v| v.is_finite()).unwrap_or(high);
    if high > low {
        return (low, high);
    }
    // A flat line lies in the middle of a small span, nothing at all in 0..=1.
    if low == 0.0 || chart.min.is_some() {
        return (low, low + if low == 0.0 { 1.0 } else { low.abs() });
    }
    let half = low.abs() * 0.05;
    (low - half, low + half)
}

/// Returns what is all of something in a unit of shares: an axis has no room for more than all.
fn whole(unit: &str) -> Option<f64> {
    match unit {
        "ratio" => Some(1.0),
        "percent" | "%" => Some(100.0),
        _ => None,
    }
}

/// Returns the least pleasant step that is not below `least`.
fn step(least: f64, unit: &str) -> f64 {
    if !least.is_finite() || least <= 0.0 {
        return 1.0;
    }
    if unit.starts_with("bytes") && least >= 1.0 {
        return 2f64.powi(least.log2().ceil() as i32);
    }
    let is_time = matches!(unit, "seconds" | "s");
    if is_time && least > 20.0 {
        const TIMES: [f64; 14] = [
            30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 10_800.0, 21_600.0,
            43_200.0, 86_400.0, 172_800.0,
        ];
        if let Some(time) = TIMES.into_iter().find(|time| *time >= least) {
            return time;
        }
        return 86_400.0 * step(least / 86_400.0, "");
    }
    let power = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= least * 0.999);
    factor.unwrap_or(10.0) * power
}

/// Returns how many decimals tell multiples of `step` apart.
fn decimals(step: f64) -> usize {
    let is_whole = |decimals: &usize| {
        let scaled = step * 10f64.powi(*decimals as i32);
        (scaled - scaled.round()).abs() < 0.01 * scaled.min(1.0)
    };
    (0..6).find(is_whole).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{ChartSeries, Threshold};
    use crate::trace::traces;
    use noroshi_model::{LineStyle, Status, Timestamp};

    fn chart(unit: &str, styles: &[LineStyle], values: &[f64]) -> Chart {
        let series = styles.iter().map(|style| ChartSeries {
            at: (0..values.len() as i64).collect(),
            value: values.to_vec(),
            style: *style,
            ..ChartSeries::default()
        });
        let end = Timestamp::from_millis(100);
        let empty = Chart::new("", Timestamp::from_millis(0), end);
        Chart { unit: unit.to_owned(), series: series.collect(), ..empty }
    }

    fn labels(chart: &Chart) -> String {
        let axis = axis(chart, &traces(chart, 100), 180.0);
        axis.marks.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>().join(" | ")
    }

    const LINE: [LineStyle; 1] = [LineStyle::Line];

    #[test]
    fn marks_are_round_in_their_unit() {
        let gib = 1024.0 * 1024.0 * 1024.0;
        let cases: [(&str, &[f64], &str); 8] = [
            ("", &[3.0, 97.0], "0 | 20 | 40 | 60 | 80 | 100"),
            ("per second", &[10.0, 2300.0], "0.0k/s | 0.5k/s | 1.0k/s | 1.5k/s | 2.0k/s | 2.5k/s"),
            ("bytes", &[0.0, 3.4 * gib], "0 GiB | 1 GiB | 2 GiB | 3 GiB | 4 GiB"),
            ("ratio", &[0.0, 0.7], "0 % | 20 % | 40 % | 60 % | 80 %"),
            ("seconds", &[0.0, 0.045], "0 ms | 10 ms | 20 ms | 30 ms | 40 ms | 50 ms"),
            ("seconds", &[0.0, 7200.0], "0.0 h | 0.5 h | 1.0 h | 1.5 h | 2.0 h"),
            ("celsius", &[41.0, 42.0], "41.0 °C | 41.2 °C | 41.4 °C | 41.6 °C | 41.8 °C | 42.0 °C"),
            ("", &[0.0, 0.0], "0.0 | 0.2 | 0.4 | 0.6 | 0.8 | 1.0"),
        ];
        for (unit, values, text) in cases {
            assert_eq!(labels(&chart(unit, &LINE, values)), text, "{unit}");
        }
    }

    #[test]
    fn areas_start_at_zero_and_what_goes_out_is_written_without_sign() {
        assert_eq!(
            labels(&chart("", &[LineStyle::Area], &[99.0, 100.0])).split(' ').next(),
            Some("0")
        );
        let both = chart("bits/s", &[LineStyle::Area, LineStyle::Negative], &[1e6, 2e6]);
        assert_eq!(labels(&both), "2 Mbit/s | 1 Mbit/s | 0 Mbit/s | 1 Mbit/s | 2 Mbit/s");
    }

    #[test]
    fn thresholds_come_into_view_unless_they_would_press_the_data_flat() {
        let with = |value: f64| {
            let threshold = Threshold { value, label: String::new(), severity: Status::Critical };
            let mut chart = chart("", &LINE, &[0.0, 10.0]);
            chart.thresholds.push(threshold);
            axis(&chart, &traces(&chart, 100), 180.0).high
        };
        assert_eq!(with(30.0), 40.0);
        assert_eq!(with(1000.0), 10.0);
    }

    #[test]
    fn fixed_ends_are_kept() {
        let mut chart = chart("percent", &LINE, &[3.0, 4.0]);
        (chart.min, chart.max) = (Some(0.0), Some(100.0));
        let axis = axis(&chart, &traces(&chart, 100), 180.0);
        assert_eq!((axis.low, axis.high), (0.0, 100.0));
        chart.max = Some(-5.0);
        let axis = super::axis(&chart, &traces(&chart, 100), 180.0);
        assert!(axis.high > axis.low);
    }
}
