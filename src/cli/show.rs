//! Prints what the server answers: tables for people, JSON for programs.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use noroshi_model::{Labels, Lasting, Timestamp, format_duration};
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

/// Prints a text to standard output.
///
/// Ends the program with success when nobody reads any more: `noroshi problems | head -1` has what
/// it wanted.
pub(super) fn piece(text: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = write!(out, "{text}").and_then(|()| out.flush()) {
        end_unread(&error);
    }
}

/// Standard output for what is written piece by piece; as [`piece`].
pub(super) struct Standard;

impl std::io::Write for Standard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match std::io::stdout().write(bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => end_unread(&error),
            result => result,
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match std::io::stdout().flush() {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => end_unread(&error),
            result => result,
        }
    }
}

/// Prints a line to standard output; as [`piece`].
pub(super) fn line(text: impl fmt::Display) {
    piece(format_args!("{text}\n"));
}

/// Ends the program after a text that could not be printed.
fn end_unread(error: &std::io::Error) -> ! {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("noroshi: cannot write to standard output: {error}");
    std::process::exit(1);
}

/// Prints a document as JSON.
pub(super) fn json(document: &Value) -> anyhow::Result<ExitCode> {
    line(serde_json::to_string_pretty(document)?);
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
                    let at = moment(&millis(&point[0]));
                    lines += &format!("  {at}  {}\n", text(&point[1]));
                }
            }
        }
    }
    lines
}

/// Turns a moment of Prometheus' API, in seconds, into milliseconds.
fn millis(seconds: &Value) -> Value {
    let millis = seconds.as_f64().unwrap_or_default() * 1000.0;
    (millis.round() as i64).into()
}

/// Returns the answer of the query API as comma-separated values (RFC 4180), a line a point.
pub(super) fn query_csv(data: &Value) -> String {
    let mut lines = "series,time,value\r\n".to_owned();
    let mut add = |labels: &str, point: &Value| {
        let at = jiff::Timestamp::from_millisecond(millis(&point[0]).as_i64().unwrap_or_default());
        let at = at.map(|at| at.to_string()).unwrap_or_default();
        let labels = labels.replace('"', "\"\"");
        lines += &format!("\"{labels}\",{at},{}\r\n", text(&point[1]));
    };
    if matches!(data["resultType"].as_str(), Some("scalar" | "string")) {
        add("", &data["result"]);
        return lines;
    }
    for series in data["result"].as_array().into_iter().flatten() {
        let labels: Labels =
            serde_json::from_value(series["metric"].clone()).unwrap_or(Labels::empty());
        let one = series.get("value").into_iter();
        let many = series["values"].as_array().into_iter().flatten();
        for point in one.chain(many) {
            add(&labels.to_string(), point);
        }
    }
    lines
}

/// Says why a query of that moment has no series, by the native API's answer.
pub(super) fn absence(answer: &Value, at: Timestamp) -> String {
    match answer["absence"].as_str() {
        Some("never_known") => "no such series was ever received".to_owned(),
        Some("silent") => match (answer["silent_since"].as_i64(), at.as_millis()) {
            (Some(since), at) if since > at => "no data at that moment, only later".to_owned(),
            _ => format!("no data since {}", moment(&answer["silent_since"])),
        },
        Some("empty_by_comparison") => "the comparison holds for no series".to_owned(),
        _ => "no series".to_owned(),
    }
}

/// Returns the present state of a host or check, as one line and its output.
pub(super) fn state(check: &Value) -> String {
    let lasting = serde_json::from_value::<Lasting>(check["lasting"].clone()).ok();
    let kind = match lasting.filter(|lasting| lasting.seen_ms > 0) {
        Some(lasting) if check["state_type"] == "soft" => format!(" (soft, {lasting})"),
        // It may be hard before its time: its host is down.
        Some(lasting) => format!(" ({})", Lasting { needed_ms: 0, ..lasting }),
        None if check["state_type"] == "soft" => " (soft)".to_owned(),
        None => String::new(),
    };
    let since = match &check["since"] {
        Value::Null => String::new(),
        since => format!(" since {}", moment(since)),
    };
    let mut lines =
        format!("{} is {}{kind}{since}\n", name(check), text(&check["status"]).to_uppercase());
    for field in ["output", "long_output"] {
        for line in text(&check[field]).lines() {
            lines += &format!("  {line}\n");
        }
    }
    lines
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

/// Returns how long something was in which state: the shares that were fine, then a line a state.
pub(super) fn availability(answer: &Value) -> String {
    let mut table = Table::new(["STATE", "TIME", "IN DOWNTIME"]);
    for (state, time) in answer["status_ms"].as_object().into_iter().flatten() {
        let planned = &answer["downtime_ms"][state];
        table.row([state.to_uppercase(), duration(time), duration(planned)]);
    }
    for (field, name) in [("unmonitored_ms", "NOT KNOWN"), ("monitor_off_ms", "MONITOR OFF")] {
        if answer[field].as_u64().is_some_and(|ms| ms > 0) {
            table.row([name.to_owned(), duration(&answer[field]), String::new()]);
        }
    }
    let mut text = format!(
        "from {} to {}\nfine: {}, downtimes left out: {}\n",
        moment(&answer["start"]),
        moment(&answer["end"]),
        percent(&answer["ratio"]),
        percent(&answer["ratio_without_downtime"]),
    );
    if answer["known_since"].is_i64() {
        text += &format!("nothing is known before {}\n", moment(&answer["known_since"]));
    }
    text + &table.to_string()
}

/// Returns the availability of many: a line each, the worst first, and of all together.
pub(super) fn availability_report(answer: &Value) -> String {
    let mut rows: Vec<&Value> = answer["rows"].as_array().into_iter().flatten().collect();
    if rows.is_empty() {
        return "nothing is there by that group, label or name\n".to_owned();
    }
    let ratio = |row: &Value| row["ratio"].as_f64().unwrap_or(2.0);
    rows.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let mut table = Table::new(["WHAT", "FINE", "DOWNTIMES OUT", "NOT FINE", "NOT KNOWN", "OFF"]);
    for row in &rows {
        let bad: u64 = row["status_ms"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(status, _)| !matches!(status.as_str(), "up" | "ok"))
            .filter_map(|(_, time)| time.as_u64())
            .sum();
        table.row([
            name(row),
            percent(&row["ratio"]),
            percent(&row["ratio_without_downtime"]),
            duration(&bad.into()),
            duration(&row["unmonitored_ms"]),
            duration(&row["monitor_off_ms"]),
        ]);
    }
    let mut text = format!(
        "from {} to {}\n{} in all; in the mean fine: {}, downtimes left out: {}\n",
        moment(&answer["start"]),
        moment(&answer["end"]),
        rows.len(),
        percent(&answer["mean"]),
        percent(&answer["mean_without_downtime"]),
    );
    let (all, planned) = (&answer["together"], &answer["together_without_downtime"]);
    for (what, field) in [("any not fine", "any_down_ms"), ("all not fine", "all_down_ms")] {
        let (time, without) = (duration(&all[field]), duration(&planned[field]));
        text += &format!("{what}: {time}, downtimes left out: {without}\n");
    }
    text + &table.to_string()
}

/// Writes a share, 0 to 1, as per cent; null is not known.
fn percent(value: &Value) -> String {
    value.as_f64().map_or("unknown".to_owned(), |ratio| format!("{:.3} %", ratio * 100.0))
}

/// Writes milliseconds as a duration.
fn duration(value: &Value) -> String {
    format_duration(std::time::Duration::from_millis(value.as_u64().unwrap_or(0)))
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
    fn a_state_says_how_long_its_problem_lasted() {
        let view = |state_type: &str, seen_ms: u64| {
            serde_json::json!({"host": "a", "check": "b", "status": "critical", "since": null,
                "state_type": state_type, "lasting": {"seen_ms": seen_ms, "needed_ms": 300_000}})
        };
        let soft = "a/b is CRITICAL (soft, bad for 2 min of 5 min)\n";
        assert_eq!(state(&view("soft", 120_000)), soft);
        assert_eq!(state(&view("hard", 360_000)), "a/b is CRITICAL (bad for 6 min)\n");
        let without = serde_json::json!({"host": "a", "check": null, "status": "down",
            "state_type": "soft", "lasting": null, "since": null});
        assert_eq!(state(&without), "a is DOWN (soft)\n");
    }

    #[test]
    fn query_results_are_written_as_lines() {
        let vector = serde_json::json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "x"}, "value": [1, "1"]}]});
        assert_eq!(query_result(&vector), "up{job=\"x\"} 1\n");
        let empty = serde_json::json!({"resultType": "vector", "result": []});
        assert_eq!(query_result(&empty), "");
        let matrix = serde_json::json!({"resultType": "matrix", "result": [
            {"metric": {}, "values": [[1, "2"], [3, "4"]]}]});
        // In this machine's zone: the lines differ in their ends.
        let lines = query_result(&matrix);
        let ends: Vec<_> = lines.lines().map(|line| line.rsplit("  ").next().unwrap()).collect();
        assert_eq!(ends, ["{}", "2", "4"]);
        let csv = "series,time,value\r\n\"up{job=\"\"x\"\"}\",1970-01-01T00:00:01Z,1\r\n";
        assert_eq!(query_csv(&vector), csv);
        let csv = "series,time,value\r\n\"{}\",1970-01-01T00:00:01Z,2\r\n\
                   \"{}\",1970-01-01T00:00:03Z,4\r\n";
        assert_eq!(query_csv(&matrix), csv);
    }
}
