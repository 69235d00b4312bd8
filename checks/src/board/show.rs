//! What is shown of the board.

use noroshi_model::{CheckId, GraphHint, Timestamp};

use super::{Board, Entry};
use crate::probe::{Compare, ExpressionProbe, Probe, Threshold};
use crate::stats::LastRuns;
use crate::view::{
    AcknowledgementView, CheckView, CommentView, Counts, DowntimeView, HostRow, HostState, HostView,
};

impl Board {
    /// Returns what is shown of a check or a host; `None` when there is none of that name.
    ///
    /// Due times are given in steady time; the caller puts them on the wall clock.
    pub(crate) fn view(&self, id: &CheckId) -> Option<CheckView> {
        self.entries.get(id).map(|entry| self.view_of(entry))
    }

    /// Returns all hosts, by name.
    pub(crate) fn hosts(&self) -> Vec<HostRow> {
        let hosts = self.entries.iter().filter(|(id, _)| id.is_host());
        hosts.map(|(_, entry)| self.host_row(entry)).collect()
    }

    /// Returns one host; `None` when there is none of that name.
    pub(crate) fn host(&self, name: &str) -> Option<HostView> {
        self.entries.get(&CheckId::host(name)).map(|entry| self.host_view(entry))
    }

    /// Returns the checks of a host, by name; the host itself is not among them.
    pub(crate) fn checks_of(&self, host: &str) -> Vec<CheckView> {
        let id = CheckId::host(host);
        let of_host = self.entries.range(id..).take_while(|(id, _)| &*id.host == host);
        of_host.filter(|(id, _)| !id.is_host()).map(|(_, entry)| self.view_of(entry)).collect()
    }

    /// Returns everything that has a problem, the worst first, of the equally bad the newest.
    pub(crate) fn problems(&self) -> Vec<CheckView> {
        let mut problems: Vec<CheckView> =
            self.tally.problems().filter_map(|id| self.view(id)).collect();
        problems.sort_by_key(|view| {
            let severity = view.status.map_or(0, noroshi_model::Status::severity);
            (std::cmp::Reverse(severity), std::cmp::Reverse(view.since))
        });
        problems
    }

    /// Counts hosts and checks by status.
    pub(crate) fn counts(&self) -> Counts {
        self.tally.counts()
    }

    /// Adds up how late the last runs began and how long they took.
    pub(crate) fn last_runs(&self) -> LastRuns {
        let mut runs = LastRuns::default();
        for entry in self.entries.values().filter(|entry| entry.state.started.is_some()) {
            let (late, long) =
                (entry.state.latency.as_secs_f64(), entry.state.run_time().as_secs_f64());
            runs.count += 1;
            runs.latency = (runs.latency.0 + late, runs.latency.1.max(late));
            runs.run_time = (runs.run_time.0 + long, runs.run_time.1.max(long));
        }
        let count = runs.count.max(1) as f64;
        (runs.latency.0, runs.run_time.0) = (runs.latency.0 / count, runs.run_time.0 / count);
        runs
    }

    fn host_row(&self, entry: &Entry) -> HostRow {
        let (spec, state) = (&entry.host, &entry.state);
        HostRow {
            name: spec.name.clone(),
            alias: if spec.alias.is_empty() { spec.name.clone() } else { spec.alias.clone() },
            address: spec.address.clone(),
            groups: spec.groups.clone(),
            labels: spec.labels.clone(),
            labels_of_agent: spec.labels_of_agent.iter().cloned().collect(),
            parents: spec.parents.clone(),
            state: HostState {
                status: state.status,
                state_type: state.state_type,
                since: state.since,
                is_acknowledged: state.acknowledgement.is_some(),
                is_in_downtime: self.downtimes.holds(&entry.id),
            },
            counts: self.tally.of_host(&spec.name),
        }
    }

    fn host_view(&self, entry: &Entry) -> HostView {
        let HostRow {
            name, alias, address, groups, labels, labels_of_agent, parents, counts, ..
        } = self.host_row(entry);
        let state = self.view_of(entry);
        HostView { name, alias, address, groups, labels, labels_of_agent, parents, state, counts }
    }

    fn view_of(&self, entry: &Entry) -> CheckView {
        let (id, state) = (&entry.id, &entry.state);
        let (notes, notes_url) = entry.notes();
        let (expr, argv) = match entry.probe() {
            Some(Probe::Expression(probe)) => (Some(probe.expr.clone()), None),
            Some(Probe::Plugin(probe)) => (None, Some(probe.argv.clone())),
            _ => (None, None),
        };
        // Only what has a problem can be blocked; for all others the search is spared.
        let blocked_by = match state.finished {
            Some(_) if state.is_problem() => self.blocked_by(id, Timestamp::MAX),
            _ => Vec::new(),
        };
        CheckView {
            host: id.host.to_string(),
            check: id.check.as_ref().map(ToString::to_string),
            status: state.status,
            state_type: state.state_type,
            attempt: state.attempt,
            attempts_max: entry.ready.rules.attempts_max,
            lasting: entry.lasting(),
            output: state.output.clone(),
            long_output: state.long_output.clone(),
            perfdata: state.perfdata.clone(),
            since: state.since,
            last_check: state.started,
            next_check: entry.due.map(Timestamp::from_millis),
            run_time_ms: state.run_time().as_secs_f64() * 1000.0,
            latency_ms: state.latency.as_secs_f64() * 1000.0,
            problem: state.problem.map(|problem| problem.sequence).filter(|number| *number != 0),
            is_acknowledged: state.acknowledgement.is_some(),
            acknowledgement: state.acknowledgement.as_ref().map(|given| AcknowledgementView {
                author: given.author.clone(),
                comment: given.comment.clone(),
                at: given.at,
                until: given.until,
                is_sticky: given.is_sticky,
            }),
            is_in_downtime: self.downtimes.holds(id),
            downtimes: self.downtime_views(id),
            is_flapping: state.is_flapping,
            flapping_percent: state.history.percent(),
            is_quiet: entry.is_quiet(),
            blocked_by,
            kind: entry.probe().map_or("none", Probe::kind),
            expr,
            argv,
            interval_ms: u64::try_from(entry.ready.timing.interval.as_millis()).unwrap_or(u64::MAX),
            notes: notes.to_owned(),
            notes_url: notes_url.to_owned(),
            labels: entry.labels(),
            graphs: entry.graphs(),
            comments: self.comment_views(id),
        }
    }

    fn downtime_views(&self, id: &CheckId) -> Vec<DowntimeView> {
        let of_this = self.downtimes.of(id);
        of_this
            .map(|(number, downtime)| DowntimeView {
                id: number,
                start: downtime.began.unwrap_or(downtime.start),
                end: downtime.until.unwrap_or(downtime.end),
                author: downtime.author.clone(),
                comment: downtime.comment.clone(),
                duration_ms: downtime
                    .duration
                    .map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
                is_active: downtime.is_active(),
                is_of_host: downtime.id.is_host(),
            })
            .collect()
    }

    fn comment_views(&self, id: &CheckId) -> Vec<CommentView> {
        let of_host = self.comments.of_host(&id.host).map(|(_, comment)| comment);
        let of_this = of_host.filter(|comment| comment.id == *id);
        of_this
            .map(|comment| CommentView {
                at: comment.at,
                author: comment.author.clone(),
                text: comment.text.clone(),
            })
            .collect()
    }
}

impl Entry {
    /// Returns what to draw beside its state: what is configured, else what its probe suggests.
    pub(crate) fn graphs(&self) -> Vec<GraphHint> {
        let configured = match &self.check {
            Some(check) => &check.graphs,
            None => &self.host.graphs,
        };
        if !configured.is_empty() {
            return configured.clone();
        }
        match self.probe() {
            Some(Probe::Expression(probe)) => self.graph_of_expression(probe),
            _ => self.graphs_of_perfdata(),
        }
    }

    fn title(&self) -> String {
        self.id.check.as_ref().map_or_else(|| self.id.host.to_string(), ToString::to_string)
    }

    fn graph_of_expression(&self, probe: &ExpressionProbe) -> Vec<GraphHint> {
        let Some(judged) = self.judged() else { return Vec::new() };
        let value = |threshold: Option<Threshold>| {
            let threshold = threshold?;
            let is_line = !matches!(threshold.op, Compare::Equal | Compare::NotEqual);
            is_line.then_some(threshold.value)
        };
        vec![GraphHint {
            expr: judged.text.clone(),
            title: self.title(),
            unit: probe.unit.clone(),
            warning: value(judged.warning),
            critical: value(judged.critical),
        }]
    }

    /// One graph for each unit of the last performance data, at most three.
    fn graphs_of_perfdata(&self) -> Vec<GraphHint> {
        let mut graphs: Vec<GraphHint> = Vec::new();
        let (host, check) = (&self.id.host, self.id.check.as_deref().unwrap_or(""));
        for perfdata in &self.state.measured {
            let unit = perfdata.unit.as_str();
            if graphs.len() >= 3 || graphs.iter().any(|graph| graph.unit == unit) {
                continue;
            }
            let of_unit = self.state.measured.iter().filter(|other| other.unit == perfdata.unit);
            let labels: Vec<&str> = of_unit.map(|other| other.label.as_str()).collect();
            let labels = match labels.as_slice() {
                [first, second, _, ..] => format!("{first}, {second}, ..."),
                few => few.join(", "),
            };
            let end = |range: &Option<noroshi_model::Range>| {
                range.map(|r| if r.end.is_finite() { r.end } else { r.start })
            };
            graphs.push(GraphHint {
                expr: format!(
                    "noroshi_perfdata{{instance={host:?},check={check:?},unit={unit:?}}}"
                ),
                title: format!("{}: {labels}", self.title()),
                unit: unit.to_owned(),
                warning: end(&perfdata.warning).filter(|v| v.is_finite()),
                critical: end(&perfdata.critical).filter(|v| v.is_finite()),
            });
        }
        graphs
    }
}

/// Puts steady due times on the wall clock.
pub(crate) fn to_wall(view: &mut CheckView, now: Timestamp, steady: i64) {
    view.next_check = view.next_check.map(|due| {
        Timestamp::from_millis(now.as_millis().saturating_add(due.as_millis() - steady))
    });
}

/// Puts the steady due times of many on the wall clock.
pub(crate) fn all_to_wall(
    mut views: Vec<CheckView>,
    now: Timestamp,
    steady: i64,
) -> Vec<CheckView> {
    for view in &mut views {
        to_wall(view, now, steady);
    }
    views
}
