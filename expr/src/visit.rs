//! Changes an expression in place.

use crate::ast::{Expr, Selector, Subquery};

impl Expr {
    /// Calls `change` with every selector, from left to right, those of ranges included.
    pub fn for_each_selector(&mut self, change: &mut dyn FnMut(&mut Selector)) {
        match self {
            Self::Number(_) | Self::Text(_) => {}
            Self::Selector(selector) => change(selector),
            Self::Range(range) => change(&mut range.selector),
            Self::Subquery(Subquery { expr, .. })
            | Self::Unary { expr, .. }
            | Self::Paren(expr) => expr.for_each_selector(change),
            Self::Binary(binary) => {
                binary.left.for_each_selector(change);
                binary.right.for_each_selector(change);
            }
            Self::Aggregate(aggregate) => {
                if let Some(parameter) = &mut aggregate.parameter {
                    parameter.for_each_selector(change);
                }
                aggregate.expr.for_each_selector(change);
            }
            Self::Call(call) => {
                for argument in &mut call.arguments {
                    argument.for_each_selector(change);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use noroshi_model::Matcher;

    use crate::parse;

    #[test]
    fn every_selector_can_be_given_a_matcher() {
        let mut expr =
            parse("sum(rate(a[5m])) / on() topk(scalar(b), c) > -max_over_time(d[5m:1m])").unwrap();
        expr.for_each_selector(&mut |selector| selector.matchers.push(Matcher::equal("x", "1")));
        let text = expr.to_string();
        for name in ["a", "b", "c", "d"] {
            assert!(text.contains(&format!("{name}{{x=\"1\"}}")), "{text}");
        }
    }
}
