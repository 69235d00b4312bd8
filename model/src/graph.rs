//! Graphs that come with a kind of series: what a host's page shows without being asked.

use serde::{Deserialize, Serialize};

/// A graph that every host with series of one `job` gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphTemplate {
    /// The value of the label `job` whose presence calls for this graph.
    pub job: String,
    /// Stable name within the job: part of links.
    pub id: String,
    /// Title.
    pub title: String,
    /// Unit of the values as shown: `bytes`, `bytes/s`, `bits/s`, `seconds`, `percent`, `ratio`,
    /// `per second`, or empty for plain numbers.
    pub unit: String,
    /// Whether the lines are stacked as areas.
    pub is_stacked: bool,
    /// Fixed lower end of the axis; `None`: from the data.
    pub min: Option<f64>,
    /// Fixed upper end of the axis; `None`: from the data.
    pub max: Option<f64>,
    /// What is drawn, the lowest of a stack first.
    pub lines: Vec<GraphLine>,
}

/// One expression of a graph; it may give several series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphLine {
    /// `PromQL`; `$instance` stands for the host's name, `$window` for a range that fits the step.
    pub expr: String,
    /// Legend; `{{label}}` stands for a label's value.
    pub legend: String,
    /// How it is drawn.
    pub style: LineStyle,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineStyle {
    /// A line.
    #[default]
    Line,
    /// A line with the area below it filled.
    Area,
    /// Drawn below zero (what goes out, beside what comes in).
    Negative,
}
