//! What a caller says about a graph: the description that is drawn.

use jiff::tz::TimeZone;
use noroshi_model::{LineStyle, Status, Timestamp};

use crate::color::{Color, Theme};

/// A graph of some series over one span of time.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Title, shortened when it is too long for the width.
    pub title: String,
    /// Second line of the title; empty for none.
    pub subtitle: String,
    /// Width in pixels: [`crate::WIDTH_MIN`] to [`crate::SIDE_MAX`].
    pub width: u32,
    /// Height in pixels: [`crate::HEIGHT_MIN`] to [`crate::SIDE_MAX`].
    pub height: u32,
    /// Light or dark.
    pub theme: Theme,
    /// Left end of the time axis.
    pub start: Timestamp,
    /// Right end of the time axis; later than `start`.
    pub end: Timestamp,
    /// The zone in which the time axis is written, and whose midnights and hours carry its marks.
    pub zone: TimeZone,
    /// Unit of the values, as in [`noroshi_model::GraphTemplate::unit`].
    pub unit: String,
    /// Whether the series are stacked as areas, the first lowest.
    pub is_stacked: bool,
    /// Fixed lower end of the value axis; `None`: from the data.
    pub min: Option<f64>,
    /// Fixed upper end of the value axis; `None`: from the data.
    pub max: Option<f64>,
    /// What is drawn; none at all gives a graph that says "no data".
    pub series: Vec<ChartSeries>,
    /// Lines at a value.
    pub thresholds: Vec<Threshold>,
    /// Lines at a moment.
    pub marks: Vec<Mark>,
}

impl Chart {
    /// Returns a light graph of 800 x 300 pixels in UTC without series.
    pub fn new(title: &str, start: Timestamp, end: Timestamp) -> Self {
        Self {
            title: title.to_owned(),
            subtitle: String::new(),
            width: 800,
            height: 300,
            theme: Theme::Light,
            start,
            end,
            zone: TimeZone::UTC,
            unit: String::new(),
            is_stacked: false,
            min: None,
            max: None,
            series: Vec::new(),
            thresholds: Vec::new(),
            marks: Vec::new(),
        }
    }
}

/// One series of a graph.
#[derive(Clone, Debug, Default)]
pub struct ChartSeries {
    /// Its name in the legend, shortened when it is too long.
    pub legend: String,
    /// Milliseconds since 1970, strictly increasing. Two points further apart than one and a half
    /// times the usual distance are not joined: what is between them is unknown.
    pub at: Vec<i64>,
    /// One value a moment; [`noroshi_model::UNKNOWN`] and any NaN are gaps.
    pub value: Vec<f64>,
    /// Least and greatest value around each moment, drawn as a pale band; not drawn in a stack.
    pub band: Option<Band>,
    /// How it is drawn. In a stack only the direction counts: [`LineStyle::Negative`] goes down.
    pub style: LineStyle,
    /// Its colour; `None` takes the next of [`crate::color::palette`].
    pub color: Option<Color>,
}

/// The range of the values that each point stands for; as many as the series has points.
#[derive(Clone, Debug, Default)]
pub struct Band {
    /// Least values.
    pub min: Vec<f64>,
    /// Greatest values.
    pub max: Vec<f64>,
}

/// A value that decides something.
#[derive(Clone, Debug)]
pub struct Threshold {
    /// The value in the chart's unit.
    pub value: f64,
    /// What it is, for example `critical > 90 %`; may be empty.
    pub label: String,
    /// Gives the colour.
    pub severity: Status,
}

/// A moment at which something happened.
#[derive(Clone, Debug)]
pub struct Mark {
    /// When; not drawn outside the span.
    pub at: Timestamp,
    /// What, for example `critical since 14:05`; may be empty.
    pub label: String,
    /// Gives the colour; `None` for what is neither good nor bad.
    pub severity: Option<Status>,
}
