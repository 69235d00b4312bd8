//! Expressions of a host's checks speak of that host unless they say otherwise.

use std::cell::RefCell;
use std::collections::HashMap;

use noroshi_expr::{Expr, Selector, parse};
use noroshi_model::Matcher;

/// The label that names the host of a series.
pub(super) const INSTANCE: &str = "instance";
/// Stands for the host's name inside an expression, and in what a check depends on.
pub(super) const HOST_MACRO: &str = "$HOSTNAME$";

/// What is wrong with an expression.
#[derive(Debug)]
pub(super) struct ExprFault {
    /// What.
    pub(super) message: String,
    /// Where in the text, in bytes.
    pub(super) offset: usize,
}

/// Expressions that were read already: of 10,000 hosts most say the same.
#[derive(Debug, Default)]
pub(super) struct Expressions(RefCell<HashMap<String, Expr>>);

impl Expressions {
    /// Returns the expression with `instance="HOST"` on every selector that does not name
    /// `instance`.
    pub(super) fn scoped(&self, text: &str, host: &str) -> Result<String, ExprFault> {
        if text.contains(HOST_MACRO) {
            // The macro stands inside quotes: what would end them there is escaped.
            let quoted = host.replace('\\', "\\\\").replace('"', "\\\"").replace('\'', "\\'");
            return Ok(of_host(parsed(&text.replace(HOST_MACRO, &quoted))?, host));
        }
        let mut read = self.0.borrow_mut();
        if let Some(expr) = read.get(text) {
            return Ok(of_host(expr.clone(), host));
        }
        let expr = parsed(text)?;
        read.insert(text.to_owned(), expr.clone());
        Ok(of_host(expr, host))
    }
}

/// Lets an expression speak of a host.
fn of_host(mut expr: Expr, host: &str) -> String {
    expr.for_each_selector(&mut |selector: &mut Selector| {
        if !selector.matchers.iter().any(|matcher| matcher.name() == INSTANCE) {
            selector.matchers.push(Matcher::equal(INSTANCE, host));
        }
    });
    expr.to_string()
}

/// Reads a selector such as `{job="node"}` and returns its matchers.
pub(super) fn selector(text: &str) -> Result<Vec<Matcher>, ExprFault> {
    match parsed(text)? {
        Expr::Selector(selector) => Ok(selector.matchers),
        _ => Err(ExprFault { message: "a selector is expected".to_owned(), offset: 0 }),
    }
}

fn parsed(text: &str) -> Result<Expr, ExprFault> {
    parse(text).map_err(|error| ExprFault {
        message: error.message.clone(),
        offset: error.position.offset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_speaks_of_its_host_unless_it_says_otherwise() {
        let cases = [
            ("up", r#"up{instance="w\"1"}"#),
            (r#"up{instance="x"}"#, r#"up{instance="x"}"#),
            (r#"up{instance=~".+"}"#, r#"up{instance=~".+"}"#),
            ("rate(a[5m]) > 1", r#"rate(a{instance="w\"1"}[5m]) > 1"#),
            (r#"a{b="$HOSTNAME$"}"#, r#"a{b="w\"1",instance="w\"1"}"#),
            (
                "sum(max_over_time(a[5m:1m])) / b",
                r#"sum(max_over_time(a{instance="w\"1"}[5m:1m])) / b{instance="w\"1"}"#,
            ),
        ];
        let expressions = Expressions::default();
        for (text, expected) in cases {
            assert_eq!(expressions.scoped(text, "w\"1").unwrap(), expected);
            assert_eq!(expressions.scoped(text, "w\"1").unwrap(), expected, "read again");
        }
        assert_eq!(expressions.scoped("rate(up[5m)", "a").unwrap_err().offset, 10);
    }
}
