//! Aggregations over groups of series.

use std::collections::HashMap;

use noroshi_model::label::NAME;
use noroshi_model::{Labels, UNKNOWN, is_unknown};

use super::{Column, Computed, Context, Grid, Vector, labels, math};
use crate::ast::{Aggregate, AggregateOp};
use crate::engine::{Absence, EvalError};
use crate::number_text;

/// Series with the same grouping labels.
struct Group {
    labels: Labels,
    members: Vec<Column>,
}

impl Context<'_> {
    pub(super) fn aggregate(
        &self,
        grid: &Grid,
        aggregate: &Aggregate,
    ) -> Result<Vector, EvalError> {
        let parameter = match &aggregate.parameter {
            Some(parameter) => Some(self.eval(grid, parameter)?),
            None => None,
        };
        let vector = self.vector(grid, &aggregate.expr)?;
        if vector.columns.is_empty() {
            return Ok(vector);
        }
        let mut columns = Vec::new();
        match parameter {
            None => {
                for group in grouped(vector.columns, aggregate, "") {
                    self.check_time()?;
                    columns.push(folded(group, aggregate.op, grid));
                }
            }
            Some(Computed::Text(label)) => {
                if label.is_empty() {
                    let message = format!("invalid label name {label:?}");
                    return Err(EvalError::BadArgument(message));
                }
                // The label that the value becomes may be the one that is left out at once.
                let is_shown = !aggregate.is_without || !aggregate.labels.contains(&label);
                for group in grouped(vector.columns, aggregate, &label) {
                    self.check_time()?;
                    if is_shown {
                        self.count_values(&group, &label, grid, &mut columns)?;
                    } else {
                        columns.push(folded(group, AggregateOp::Count, grid));
                    }
                }
            }
            Some(parameter) => {
                let Computed::Scalar(parameter) = parameter else {
                    return Err(EvalError::BadArgument("expected a number".to_owned()));
                };
                let groups = grouped(vector.columns, aggregate, "");
                self.with_number(groups, aggregate.op, (grid, &parameter), &mut columns)?;
            }
        }
        labels::merged(Vector::new(columns, Absence::EmptyByComparison))
    }

    /// Computes the aggregations that take a number.
    fn with_number(
        &self,
        groups: Vec<Group>,
        op: AggregateOp,
        (grid, parameter): (&Grid, &[f64]),
        columns: &mut Vec<Column>,
    ) -> Result<(), EvalError> {
        if op == AggregateOp::Quantile {
            self.warn_of_quantiles(parameter);
        } else {
            check_counts(parameter)?;
        }
        for group in groups {
            self.check_time()?;
            match op {
                AggregateOp::Quantile => columns.push(quantile(group, grid, parameter)),
                _ => chosen(group, op, (grid, parameter), columns),
            }
        }
        Ok(())
    }

    /// Counts how many members have each value, one series a value.
    fn count_values(
        &self,
        group: &Group,
        label: &str,
        grid: &Grid,
        columns: &mut Vec<Column>,
    ) -> Result<(), EvalError> {
        // By the bits of the value; all NaN are one.
        let mut places: HashMap<u64, usize> = HashMap::new();
        for member in &group.members {
            for (index, value) in member.values.iter().enumerate() {
                if is_unknown(*value) {
                    continue;
                }
                let bits = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
                let place = *places.entry(bits).or_insert_with(|| {
                    let mut labels = group.labels.to_builder();
                    let labels = labels.set(label, &number_text(*value)).build();
                    columns.push(Column { labels, values: vec![UNKNOWN; grid.count] });
                    columns.len() - 1
                });
                let count = &mut columns[place].values[index];
                *count = if is_unknown(*count) { 1.0 } else { *count + 1.0 };
            }
            self.check_size(columns.len(), grid)?;
        }
        Ok(())
    }
}

/// Sorts series into groups, in the order in which the groups first appear; the label `replaced`
/// will be set anew and tells nothing.
fn grouped(columns: Vec<Column>, aggregate: &Aggregate, replaced: &str) -> Vec<Group> {
    let names = &aggregate.labels;
    if names.is_empty() && !aggregate.is_without {
        return vec![Group { labels: Labels::empty(), members: columns }];
    }
    let is_named = |name: &str| names.iter().any(|n| n == name);
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for column in columns {
        let key = labels::kept(&column.labels, |name| {
            let is_kept =
                if aggregate.is_without { name != NAME && !is_named(name) } else { is_named(name) };
            is_kept && name != replaced
        });
        let place = *places.entry(key).or_insert_with_key(|key| {
            groups.push(Group { labels: key.clone(), members: Vec::new() });
            groups.len() - 1
        });
        groups[place].members.push(column);
    }
    groups
}

/// Computes an aggregation without parameter, one moment after the other.
fn folded(group: Group, op: AggregateOp, grid: &Grid) -> Column {
    let Group { labels, members } = group;
    if matches!(op, AggregateOp::Sum | AggregateOp::Avg) {
        return Column { labels, values: sums(&members, op == AggregateOp::Avg, grid) };
    }
    let mut values = vec![UNKNOWN; grid.count];
    if matches!(op, AggregateOp::Stddev | AggregateOp::Stdvar) {
        let mut known = Vec::new();
        for (index, value) in values.iter_mut().enumerate() {
            gather(&members, index, &mut known);
            if !known.is_empty() {
                let variance = plain_variance(&known);
                *value = if op == AggregateOp::Stddev { variance.sqrt() } else { variance };
            }
        }
        return Column { labels, values };
    }
    for member in &members {
        for (value, other) in values.iter_mut().zip(&member.values) {
            if is_unknown(*other) {
                continue;
            }
            *value = match op {
                AggregateOp::Group => 1.0,
                AggregateOp::Count if is_unknown(*value) => 1.0,
                AggregateOp::Count => *value + 1.0,
                _ if is_unknown(*value) => *other,
                AggregateOp::Min => value.min(*other),
                _ => value.max(*other),
            };
        }
    }
    Column { labels, values }
}

/// Returns sums or means, series by series so that memory is read in order.
fn sums(members: &[Column], is_mean: bool, grid: &Grid) -> Vec<f64> {
    let mut sums = vec![math::Sum::default(); grid.count];
    let mut counts = vec![0u32; grid.count];
    for member in members {
        for ((sum, count), value) in sums.iter_mut().zip(&mut counts).zip(&member.values) {
            // Without a branch: what is unknown adds nothing.
            let is_known = !is_unknown(*value);
            sum.add(if is_known { *value } else { 0.0 });
            *count += u32::from(is_known);
        }
    }
    let mut known = Vec::new();
    let value = |(index, (sum, count)): (usize, (&math::Sum, &u32))| match (count, is_mean) {
        (0, _) => UNKNOWN,
        (_, false) => sum.total(),
        (_, true) if sum.total().is_finite() => sum.total() / f64::from(*count),
        (_, true) => {
            gather(members, index, &mut known);
            math::mean(&known)
        }
    };
    sums.iter().zip(&counts).enumerate().map(value).collect()
}

/// Collects the known values of one moment.
fn gather(members: &[Column], index: usize, known: &mut Vec<f64>) {
    known.clear();
    known.extend(members.iter().map(|m| m.values[index]).filter(|v| !is_unknown(*v)));
}

/// Returns the variance of the whole population by Welford's method, as Prometheus' `stdvar`.
fn plain_variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let delta = value - mean;
        mean += delta / (index + 1) as f64;
        squares += delta * (value - mean);
    }
    squares / values.len() as f64
}

fn quantile(group: Group, grid: &Grid, parameter: &[f64]) -> Column {
    let mut known = Vec::new();
    let mut value = |index: usize| {
        gather(&group.members, index, &mut known);
        if known.is_empty() { UNKNOWN } else { math::quantile(parameter[index], &mut known) }
    };
    let values = (0..grid.count).map(&mut value).collect();
    Column { labels: group.labels, values }
}

/// Refuses numbers of series that are no numbers.
fn check_counts(parameter: &[f64]) -> Result<(), EvalError> {
    if parameter.iter().any(|k| k.is_nan()) {
        return Err(EvalError::BadArgument("Parameter value is NaN".to_owned()));
    }
    // 2^63: what Prometheus' 64-bit counts hold.
    if let Some(bad) = parameter.iter().find(|k| k.abs() >= (1u64 << 63) as f64) {
        let message = format!("Scalar value {} overflows int64", number_text(*bad));
        return Err(EvalError::BadArgument(message));
    }
    Ok(())
}

/// Keeps of each moment k members: the greatest, the least, or the first by labels.
fn chosen(
    group: Group,
    op: AggregateOp,
    (grid, parameter): (&Grid, &[f64]),
    columns: &mut Vec<Column>,
) {
    let mut members = group.members;
    if op == AggregateOp::Limitk {
        members.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    let mut order: Vec<usize> = Vec::with_capacity(members.len());
    let mut kept = vec![vec![UNKNOWN; grid.count]; members.len()];
    for index in 0..grid.count {
        let value = |member: usize| members[member].values[index];
        order.clear();
        order.extend((0..members.len()).filter(|member| !is_unknown(value(*member))));
        match op {
            AggregateOp::Topk => order.sort_by(|a, b| nan_last(value(*a), value(*b), true)),
            AggregateOp::Bottomk => order.sort_by(|a, b| nan_last(value(*a), value(*b), false)),
            _ => {}
        }
        let count = parameter[index].max(0.0) as usize;
        for member in order.iter().take(count) {
            kept[*member][index] = value(*member);
        }
    }
    // The only moment of an instant query decides the order in which the series are shown.
    let shown: Vec<usize> = if grid.count == 1 { order } else { (0..members.len()).collect() };
    for member in shown {
        let labels = members[member].labels.clone();
        columns.push(Column { labels, values: std::mem::take(&mut kept[member]) });
    }
}

/// Orders by size, NaN last either way.
fn nan_last(a: f64, b: f64, is_descending: bool) -> std::cmp::Ordering {
    let (first, second) = if is_descending { (b, a) } else { (a, b) };
    let by_size = first.partial_cmp(&second).unwrap_or(std::cmp::Ordering::Equal);
    a.is_nan().cmp(&b.is_nan()).then(by_size)
}
