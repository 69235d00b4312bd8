//! The whole picture: head, plot and legend get their places.

use crate::axis::{Axis, axis};
use crate::calendar::{span_text, time_marks};
use crate::chart::Chart;
use crate::color::{Color, Ink, palette};
use crate::font::Face;
use crate::legend::{Entry, Legend};
use crate::plot::{LABEL, Plot};
use crate::shape::{Anchor, Paint, Shape};
use crate::trace::{Trace, traces};

/// Air around everything, in pixels.
const MARGIN: f32 = 10.0;
/// Room of the time axis' labels.
const TIME_LABELS: f32 = 22.0;
/// The legend takes at most this share of the height; the plot matters more.
const LEGEND_SHARE: f32 = 0.42;

/// The plot keeps at least this height in pixels, before the legend gets any.
const PLOT_MIN: f32 = 50.0;
/// A lower picture has no second line in its head.
const SUBTITLE_HEIGHT_MIN: u32 = 150;

const TITLE: Face = Face::bold(14.0);
const SUBTITLE: Face = Face::regular(11.0);

/// Returns all shapes of a chart whose sizes were checked.
pub(crate) fn shapes(chart: &Chart) -> Vec<Shape> {
    let (width, height) = (chart.width as f32, chart.height as f32);
    let ink = chart.theme.ink();
    let traces = traces(chart, chart.width as usize);
    let colors = colors(chart);
    let mut shapes =
        vec![Shape::Rect { from: (0.0, 0.0), to: (width, height), paint: Paint::full(ink.ground) }];

    let top = draw_head(chart, &ink, &mut shapes);
    let room = (height - top - TIME_LABELS - PLOT_MIN).min(height * LEGEND_SHARE).max(0.0);
    let entries = entries(chart, &traces, &colors);
    let legend = Legend::fit(&entries, &chart.unit, width - 2.0 * MARGIN, room);
    let legend_top = height - MARGIN * 0.6 - legend.height();
    let bottom = legend_top - TIME_LABELS;
    let axis = axis(chart, &traces, bottom - top);
    let left = MARGIN + labels_width(&axis) + 7.0;
    let plot = Plot {
        chart,
        axis: &axis,
        left: left.ceil(),
        top,
        right: width - MARGIN,
        bottom: bottom.round(),
    };

    let (start, end) = (chart.start.as_millis(), chart.end.as_millis());
    let marks = time_marks(start, end, plot.right - plot.left, &chart.zone);
    plot.draw_axes(&marks, &ink, &mut shapes);
    plot.draw_traces(&traces, &colors, &mut shapes);
    let is_empty = traces.iter().all(|trace| trace.line.is_empty());
    plot.draw_limits(is_empty, &ink, &mut shapes);
    legend.draw((MARGIN, legend_top), &ink, &mut shapes);
    shapes
}

/// Adds title, subtitle and span; returns where the plot may begin.
fn draw_head(chart: &Chart, ink: &Ink, shapes: &mut Vec<Shape>) -> f32 {
    let room = chart.width as f32 - 2.0 * MARGIN;
    let right = chart.width as f32 - MARGIN;
    let mut text = |at, text: String, face, anchor, color| {
        if !text.is_empty() {
            shapes.push(Shape::Text { at, text, face, anchor, color });
        }
    };
    let span = span_text(chart.start.as_millis(), chart.end.as_millis(), &chart.zone);
    let span_width = SUBTITLE.width(&span) + 20.0;
    // The span stands in the first line when the title leaves room, else in the second.
    let is_beside = TITLE.width(&chart.title) + span_width <= room;
    let has_subtitle = !chart.subtitle.is_empty() && chart.height >= SUBTITLE_HEIGHT_MIN;
    let is_below = !is_beside && has_subtitle;
    let (mut title_room, mut subtitle_room) = (room, room);
    let mut baseline = MARGIN + 12.0;
    if is_beside {
        title_room -= span_width;
        text((right, baseline), span.clone(), SUBTITLE, Anchor::Right, ink.muted);
    }
    text(
        (MARGIN, baseline),
        TITLE.shorten(&chart.title, title_room),
        TITLE,
        Anchor::Left,
        ink.text,
    );
    if has_subtitle {
        baseline += 16.0;
        if is_below && span_width < room * 0.6 {
            subtitle_room -= span_width;
            text((right, baseline), span, SUBTITLE, Anchor::Right, ink.muted);
        }
        let short = SUBTITLE.shorten(&chart.subtitle, subtitle_room);
        text((MARGIN, baseline), short, SUBTITLE, Anchor::Left, ink.muted);
    }
    baseline + 12.0
}

fn labels_width(axis: &Axis) -> f32 {
    axis.marks.iter().map(|(_, label)| LABEL.width(label)).fold(20.0, f32::max)
}

fn colors(chart: &Chart) -> Vec<Color> {
    let palette = palette(chart.theme);
    let own = chart.series.iter().enumerate();
    own.map(|(i, series)| series.color.unwrap_or(palette[i % palette.len()])).collect()
}

fn entries(chart: &Chart, traces: &[Trace], colors: &[Color]) -> Vec<Entry> {
    let rows = chart.series.iter().zip(traces).zip(colors);
    let entry = |((series, trace), color): ((&crate::ChartSeries, &Trace), &Color)| Entry {
        name: series.legend.clone(),
        color: *color,
        figures: trace.figures,
    };
    // The topmost layer of a stack stands first, as it is seen.
    let mut entries: Vec<_> = rows.map(entry).collect();
    if chart.is_stacked {
        entries.reverse();
    }
    entries
}
