//! The set operators `and`, `or`, `unless`.

use noroshi_model::{UNKNOWN, is_unknown};

use super::{Binary, BinaryOp, Column, EvalError, Vector, by_signature, labels, signature};
use crate::ast::Matching;
use crate::engine::Absence;

/// Combines two vectors by a set operator.
pub(super) fn combined(binary: &Binary, left: Vector, right: Vector) -> Result<Vector, EvalError> {
    let filtered = Absence::EmptyByComparison;
    let (has_left, has_right) = (!left.columns.is_empty(), !right.columns.is_empty());
    let (mut columns, absence) = match binary.op {
        BinaryOp::Or => {
            let absence = left.absence.better(right.absence);
            let mut added = right.columns;
            keep(&mut added, &left.columns, &binary.matching, false);
            let mut columns = left.columns;
            columns.append(&mut added);
            (columns, absence)
        }
        BinaryOp::And => {
            let absence =
                if has_left && has_right { filtered } else { left.absence.worse(right.absence) };
            let mut columns = left.columns;
            keep(&mut columns, &right.columns, &binary.matching, true);
            (columns, absence)
        }
        _ => {
            let absence = if has_left { filtered } else { left.absence };
            let mut columns = left.columns;
            keep(&mut columns, &right.columns, &binary.matching, false);
            (columns, absence)
        }
    };
    columns.retain(|column| column.values.iter().any(|value| !is_unknown(*value)));
    labels::merged(Vector::new(columns, absence))
}

/// Keeps the values at those moments at which a partner has a value (`is_wanted`) or none has.
fn keep(columns: &mut [Column], others: &[Column], matching: &Matching, is_wanted: bool) {
    let groups = by_signature(others, matching);
    for column in columns {
        let partners = groups.get(&signature(&column.labels, matching));
        for (index, value) in column.values.iter_mut().enumerate() {
            let has_value = |place: &usize| !is_unknown(others[*place].values[index]);
            let has_partner = partners.is_some_and(|places| places.iter().any(has_value));
            if has_partner != is_wanted {
                *value = UNKNOWN;
            }
        }
    }
}
