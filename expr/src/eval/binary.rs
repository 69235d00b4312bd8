//! Operators between scalars and vectors, and how series find their partners.

use std::collections::HashMap;

use noroshi_model::label::NAME;
use noroshi_model::{Labels, UNKNOWN, is_unknown};

use super::{Column, Computed, Context, Grid, Vector, labels};
use crate::ast::{Binary, BinaryOp, Group, Matching};
use crate::engine::{Absence, EvalError};

mod set;

/// Series with the same matching labels, by their places.
type Groups = HashMap<Labels, Vec<usize>>;

/// Computes one value; `UNKNOWN` when a comparison filters it out.
type Compute = fn(f64, f64) -> f64;

impl Context<'_> {
    pub(super) fn binary(&self, grid: &Grid, binary: &Binary) -> Result<Computed, EvalError> {
        let left = self.eval(grid, &binary.left)?;
        let right = self.eval(grid, &binary.right)?;
        match (left, right) {
            (Computed::Scalar(left), Computed::Scalar(right)) => {
                let compute = computation(binary.op, binary.is_bool);
                let pairs = left.iter().zip(&right);
                Ok(Computed::Scalar(pairs.map(|(l, r)| compute(*l, *r)).collect()))
            }
            (Computed::Vector(vector), Computed::Scalar(scalar)) => {
                with_scalar(binary, vector, &scalar, false).map(Computed::Vector)
            }
            (Computed::Scalar(scalar), Computed::Vector(vector)) => {
                with_scalar(binary, vector, &scalar, true).map(Computed::Vector)
            }
            (Computed::Vector(left), Computed::Vector(right)) => {
                let vector = if binary.op.is_set() {
                    set::combined(binary, left, right)?
                } else {
                    self.matched(grid, binary, left, right)?
                };
                Ok(Computed::Vector(vector))
            }
            // The parser lets no text stand beside an operator.
            _ => Err(EvalError::BadArgument("an operator cannot take a string".to_owned())),
        }
    }

    /// Computes arithmetic and comparisons between two vectors.
    fn matched(
        &self,
        grid: &Grid,
        binary: &Binary,
        left: Vector,
        right: Vector,
    ) -> Result<Vector, EvalError> {
        let reason = match (left.columns.is_empty(), right.columns.is_empty()) {
            (false, false) => Absence::EmptyByComparison,
            _ => left.absence.worse(right.absence),
        };
        let is_swapped = matches!(binary.matching.group, Group::Right(_));
        let (many, one) = if is_swapped { (right, left) } else { (left, right) };
        let one_groups = by_signature(&one.columns, &binary.matching);
        check_one_side(&one, &many, &one_groups, is_swapped)?;
        let compute = computation(binary.op, binary.is_bool);
        let mut results: Vec<(Labels, Column)> = Vec::new();
        for of_many in &many.columns {
            self.check_time()?;
            let key = signature(&of_many.labels, &binary.matching);
            for place in one_groups.get(&key).into_iter().flatten() {
                let of_one = &one.columns[*place];
                let (l, r) = if is_swapped { (of_one, of_many) } else { (of_many, of_one) };
                let pairs = l.values.iter().zip(&r.values);
                let values = pairs.map(|(l, r)| known(compute, *l, *r)).collect();
                let labels = result_labels(binary, &of_many.labels, &of_one.labels);
                results.push((key.clone(), Column { labels, values }));
            }
            self.check_size(results.len(), grid)?;
        }
        let is_grouped = binary.matching.group != Group::None;
        check_results(&results, is_grouped)?;
        let columns = results.into_iter().map(|(_, column)| column).collect();
        labels::merged(Vector::new(columns, reason))
    }
}

/// Returns what an operator computes.
fn computation(op: BinaryOp, is_bool: bool) -> Compute {
    fn filtered(holds: bool, left: f64) -> f64 {
        if holds { left } else { UNKNOWN }
    }
    match (op, is_bool) {
        (BinaryOp::Add, _) => |l, r| l + r,
        (BinaryOp::Sub, _) => |l, r| l - r,
        (BinaryOp::Mul, _) => |l, r| l * r,
        (BinaryOp::Div, _) => |l, r| l / r,
        (BinaryOp::Mod, _) => |l, r| l % r,
        (BinaryOp::Pow, _) => f64::powf,
        (BinaryOp::Atan2, _) => f64::atan2,
        (BinaryOp::Equal, false) => |l, r| filtered(l == r, l),
        (BinaryOp::NotEqual, false) => |l, r| filtered(l != r, l),
        (BinaryOp::Greater, false) => |l, r| filtered(l > r, l),
        (BinaryOp::Less, false) => |l, r| filtered(l < r, l),
        (BinaryOp::GreaterEqual, false) => |l, r| filtered(l >= r, l),
        (BinaryOp::LessEqual, false) => |l, r| filtered(l <= r, l),
        (BinaryOp::Equal, true) => |l, r| f64::from(l == r),
        (BinaryOp::NotEqual, true) => |l, r| f64::from(l != r),
        (BinaryOp::Greater, true) => |l, r| f64::from(l > r),
        (BinaryOp::Less, true) => |l, r| f64::from(l < r),
        (BinaryOp::GreaterEqual, true) => |l, r| f64::from(l >= r),
        (BinaryOp::LessEqual, true) => |l, r| f64::from(l <= r),
        (BinaryOp::And | BinaryOp::Or | BinaryOp::Unless, _) => |l, _| l,
    }
}

/// Computes where both sides have a value.
fn known(compute: Compute, left: f64, right: f64) -> f64 {
    if is_unknown(left) || is_unknown(right) { UNKNOWN } else { compute(left, right) }
}

/// Computes a vector with a scalar; `is_first` tells that the scalar is on the left.
fn with_scalar(
    binary: &Binary,
    mut vector: Vector,
    scalar: &[f64],
    is_first: bool,
) -> Result<Vector, EvalError> {
    let compute = computation(binary.op, binary.is_bool);
    let is_filter = binary.op.is_comparison() && !binary.is_bool;
    for column in &mut vector.columns {
        for (value, scalar) in column.values.iter_mut().zip(scalar) {
            if is_unknown(*value) {
                continue;
            }
            let computed =
                if is_first { compute(*scalar, *value) } else { compute(*value, *scalar) };
            // A filter keeps the vector's value, on whichever side it stands.
            *value = if is_filter && !is_unknown(computed) { *value } else { computed };
        }
    }
    if is_filter {
        let reason = vector.absence.worse(Absence::EmptyByComparison);
        return Ok(Vector::new(vector.columns, reason));
    }
    labels::map_values(vector, |value| value)
}

/// Returns the labels by which series of both sides find each other.
pub(super) fn signature(labels: &Labels, matching: &Matching) -> Labels {
    let is_named = |name: &str| matching.labels.iter().any(|label| label == name);
    labels::kept(labels, |name| {
        if matching.is_on { is_named(name) } else { name != NAME && !is_named(name) }
    })
}

pub(super) fn by_signature(columns: &[Column], matching: &Matching) -> Groups {
    let mut groups = Groups::with_capacity(columns.len());
    for (place, column) in columns.iter().enumerate() {
        groups.entry(signature(&column.labels, matching)).or_default().push(place);
    }
    groups
}

/// Fails when the side that must be unique has two values for one group at one moment at which
/// the other side has any.
fn check_one_side(
    one: &Vector,
    many: &Vector,
    groups: &Groups,
    is_swapped: bool,
) -> Result<(), EvalError> {
    let is_alive = |index: usize| many.columns.iter().any(|c| !is_unknown(c.values[index]));
    for (key, places) in groups.iter().filter(|(_, places)| places.len() > 1) {
        let columns: Vec<&Column> = places.iter().map(|place| &one.columns[*place]).collect();
        if let Some((a, b, _)) = collision(&columns, is_alive) {
            return Err(EvalError::ManyToMany {
                group: key.clone(),
                side: if is_swapped { "left" } else { "right" },
                first: columns[b].labels.clone(),
                second: columns[a].labels.clone(),
            });
        }
    }
    Ok(())
}

/// Returns two columns that have a value at one moment, and that moment.
fn collision(columns: &[&Column], counts: impl Fn(usize) -> bool) -> Option<(usize, usize, usize)> {
    let moments = columns.first().map_or(0, |column| column.values.len());
    for index in 0..moments {
        let has_value = |place: &usize| !is_unknown(columns[*place].values[index]);
        let mut known = (0..columns.len()).filter(has_value);
        if let (Some(a), Some(b)) = (known.next(), known.next())
            && counts(index)
        {
            return Some((a, b, index));
        }
    }
    None
}

/// Fails when two results of one group (one to one) or with the same labels (grouped) have a
/// value at one moment.
fn check_results(results: &[(Labels, Column)], is_grouped: bool) -> Result<(), EvalError> {
    let mut places: HashMap<&Labels, Vec<&Column>> = HashMap::with_capacity(results.len());
    for (key, column) in results {
        places.entry(if is_grouped { &column.labels } else { key }).or_default().push(column);
    }
    for columns in places.values().filter(|columns| columns.len() > 1) {
        if collision(columns, |_| true).is_some() {
            return Err(if is_grouped {
                EvalError::AmbiguousGroup
            } else {
                EvalError::ImplicitManyToOne
            });
        }
    }
    Ok(())
}

/// Returns the labels of a result (Prometheus, `promql/engine.go`, `resultMetric`).
fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &binary.matching;
    let drops_name = !binary.op.is_comparison() || binary.is_bool;
    let is_named = |name: &str| matching.labels.iter().any(|label| label == name);
    let include = match &matching.group {
        Group::None => {
            return labels::kept(many, |name| {
                !(drops_name && name == NAME) && is_named(name) == matching.is_on
            });
        }
        Group::Left(include) | Group::Right(include) => include,
    };
    let kept = labels::kept(many, |name| !(drops_name && name == NAME));
    if include.is_empty() {
        return kept;
    }
    let mut builder = kept.to_builder();
    for name in include {
        builder.set(name, one.get(name).unwrap_or(""));
    }
    builder.build()
}
