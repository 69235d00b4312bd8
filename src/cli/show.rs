//! Prints what the server answers: tables for people, JSON for programs.

use std::fmt;
use std::process::ExitCode;

use noroshi_model::Labels;
use serde_json::Value;

/// Columns as wide as their widest cell.
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table with these headings.
    pub(super) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// Adds a row; line breaks in cells become spaces.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.head.len(), "a row has a cell for every heading");
        self.rows.push(cells.map(|cell| cell.replace(['\n', '\r', '\t'], " ")).to_vec());
    }

    /// Tells whether it has no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for Table {
    /// Writes nothing when there is no row.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width =
            |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        for line in lines() {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}", width = *width))
                .collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Prints a document as JSON.
pub(super) fn json(document: &Value) -> anyhow::Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(document)?);
    Ok(ExitCode::SUCCESS)
}

/// Returns a value without quotes; nothing for null.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns `host` or `host/check` of a view.
pub(super) fn name(view: &Value) -> String {
    match view["check"].as_str() {
        Some(check) => format!("{}/{check}", text(&view["host"])),
        None => text(&view["host"]),
    }
}

/// Returns a moment in milliseconds since 1970 in this machine's time zone.
pub(super) fn moment(millis: &Value) -> String {
    let moment = millis.as_i64().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    moment.map_or_else(String::new, |at| {
        at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    })
}

/// Returns the answer of the query API as lines: series and value, or series and its points.
pub(super) fn query_result(data: &Value) -> String {
    let mut lines = String::new();
    match data["resultType"].as_str() {
        Some("scalar" | "string") => {
            lines += &format!("{}\n", text(&data["result"][1]));
        }
        _ => {
            for series in data["result"].as_array().into_iter().flatten() {
                let labels: Labels =
                    serde_json::from_value(series["metric"].clone()).unwrap_or(Labels::empty());
                if let Some(point) = series.get("value") {
                    lines += &format!("{labels} {}\n", text(&point[1]));
                    continue;
                }
                lines += &format!("{labels}\n");
                for point in series["values"].as_array().into_iter().flatten() {
                    lines += &format!("  {} {}\n", text(&point[0]), text(&point[1]));
                }
            }
        }
    }
    if lines.is_empty() { "no series\n".to_owned() } else { lines }
}

/// Returns the decisions about a check as text, newest first: each stage with its reason.
pub(super) fn traces(answer: &Value) -> String {
    let mut lines = String::new();
    for trace in answer["traces"].as_array().into_iter().flatten() {
        let status = text(&trace["status"]).to_uppercase();
        lines += &format!("{}  {status}  {}\n", moment(&trace["at"]), text(&trace["trigger"]));
        lines += &steps(&trace["steps"], "  ");
        for contact in trace["contacts"].as_array().into_iter().flatten() {
            let verdict = if contact["is_told"] == true { "told" } else { "not told" };
            lines += &format!("  {} is {verdict}\n", text(&contact["contact"]));
            lines += &steps(&contact["steps"], "    ");
        }
    }
    if lines.is_empty() { "no decision was taken about it yet\n".to_owned() } else { lines }
}

/// Returns the stages of a decision, a line each.
fn steps(steps: &Value, indent: &str) -> String {
    let mut lines = String::new();
    for step in steps.as_array().into_iter().flatten() {
        let mark = if step["passes"] == true { '+' } else { '-' };
        lines += &format!("{indent}{mark} {}: {}\n", text(&step["stage"]), text(&step["reason"]));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_its_columns() {
        let mut table = Table::new(["A", "LONG"]);
        assert_eq!(table.to_string(), "");
        table.row(["wide cell".to_owned(), "x\ny".to_owned()]);
        assert_eq!(table.to_string(), "A          LONG\nwide cell  x y\n");
    }

    #[test]
    fn query_results_are_written_as_lines() {
        let vector = serde_json::json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "x"}, "value": [1, "1"]}]});
        assert_eq!(query_result(&vector), "up{job=\"x\"} 1\n");
        let empty = serde_json::json!({"resultType": "vector", "result": []});
        assert_eq!(query_result(&empty), "no series\n");
        let matrix = serde_json::json!({"resultType": "matrix", "result": [
            {"metric": {}, "values": [[1, "2"], [3, "4"]]}]});
        assert_eq!(query_result(&matrix), "{}\n  1 2\n  3 4\n");
    }
}
