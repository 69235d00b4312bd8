//! Sorting of the results of instant queries; a range query is ordered by labels in any case.

use std::cmp::Ordering;

use super::{Vector, math};

/// Sorts by the value at the first moment; NaN comes last either way.
pub(crate) fn by_value(mut vector: Vector, is_descending: bool) -> Vector {
    vector.columns.sort_by(|a, b| {
        let (a, b) = (a.values[0], b.values[0]);
        match (a.is_nan(), b.is_nan()) {
            (false, false) if is_descending => math::nan_first(b, a),
            (false, false) => math::nan_first(a, b),
            (a, b) => a.cmp(&b),
        }
    });
    vector
}

/// Sorts by the values of labels, numbers in them by their value; all labels decide at last.
pub(crate) fn by_labels(mut vector: Vector, names: &[String], is_descending: bool) -> Vector {
    vector.columns.sort_by(|a, b| {
        let value = |labels: &'_ noroshi_model::Labels, name: &str| -> String {
            labels.get(name).unwrap_or("").to_owned()
        };
        let by_names = names
            .iter()
            .map(|name| natural(&value(&a.labels, name), &value(&b.labels, name)))
            .find(|order| order.is_ne());
        let order = by_names.unwrap_or_else(|| a.labels.cmp(&b.labels));
        if is_descending { order.reverse() } else { order }
    });
    vector
}

/// Orders texts such that `web2` comes before `web10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (text_a, text_b) = (split(&mut a, false), split(&mut b, false));
        let (digits_a, digits_b) = (split(&mut a, true), split(&mut b, true));
        let trimmed = (digits_a.trim_start_matches('0'), digits_b.trim_start_matches('0'));
        let order = text_a
            .cmp(text_b)
            .then(trimmed.0.len().cmp(&trimmed.1.len()))
            .then(trimmed.0.cmp(trimmed.1))
            .then(digits_a.len().cmp(&digits_b.len()));
        if order.is_ne() || (a.is_empty() && b.is_empty()) {
            return order;
        }
    }
}

/// Takes the digits, or all else, off the front.
fn split<'a>(text: &mut &'a str, is_digits: bool) -> &'a str {
    let at = text.find(|c: char| c.is_ascii_digit() != is_digits).unwrap_or(text.len());
    let (front, rest) = text.split_at(at);
    *text = rest;
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_ordered_by_value() {
        let mut names = ["web10", "web2", "web", "a10b2", "a10b1", "a9", "web02", ""];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["", "a9", "a10b1", "a10b2", "web", "web2", "web02", "web10"]);
    }
}
