//! What stands behind an expression: `[5m]`, `[1h:5m]`, `offset 5m`, `@ 100`.

use super::{Expr, Node, ParseError, Parser, TokenKind, Type, When};
use crate::ast::{At, RangeSelector, Subquery};

/// The longest duration and the latest moment in seconds: 2^43, so that sums of them in
/// milliseconds stay far inside an `i64`.
const SECONDS_MAX: f64 = (1u64 << 43) as f64;

impl Parser<'_> {
    /// Reads an expression and the `[...]`, `offset` and `@` behind it.
    pub(super) fn postfix(&mut self) -> Result<Node, ParseError> {
        let mut node = self.primary()?;
        loop {
            let word = self.peek_word();
            node = match (self.peek(), word.as_deref()) {
                (TokenKind::Sign("["), _) => self.brackets(node)?,
                (TokenKind::Sign("@"), _) => self.at_modifier(node)?,
                (_, Some("offset")) => self.offset_modifier(node)?,
                _ => return Ok(node),
            };
        }
    }

    /// Reads `[5m]` or `[1h:5m]` behind an expression.
    fn brackets(&mut self, node: Node) -> Result<Node, ParseError> {
        let bracket = self.start();
        self.expect("[")?;
        let range = self.duration()?;
        if range <= 0 {
            return Err(self.error_at(bracket + 1, "duration must be greater than 0"));
        }
        if self.accept("]") {
            let Expr::Selector(selector) = node.expr else {
                return Err(self.error_at(bracket, "ranges only allowed for vector selectors"));
            };
            if selector.when.offset != 0 {
                return Err(self.error_at(bracket, "no offset modifiers allowed before range"));
            }
            if selector.when.at.is_some() {
                return Err(self.error_at(bracket, "no @ modifiers allowed before range"));
            }
            return self.node(Expr::Range(RangeSelector { selector, range }), node.start, 0);
        }
        if !self.accept(":") {
            return Err(self.unexpected("\"]\", or \":\" and a step"));
        }
        let step = match self.peek() {
            TokenKind::Sign("]") => None,
            _ => Some(self.duration()?),
        };
        self.expect("]")?;
        if step.is_some_and(|step| step <= 0) {
            return Err(self.error_at(bracket + 1, "duration must be greater than 0"));
        }
        let kind = node.expr.value_type();
        if kind != Type::Vector {
            let message = format!(
                "subquery is only allowed on instant vector, got {} instead",
                kind.as_str()
            );
            return Err(self.error_at(node.start, message));
        }
        let expr = Box::new(node.expr);
        let subquery = Subquery { expr, range, step, when: When::default() };
        self.node(Expr::Subquery(subquery), node.start, node.depth)
    }

    /// Reads a duration or a number of seconds, in milliseconds, perhaps with a sign.
    fn signed_duration(&mut self) -> Result<i64, ParseError> {
        let is_minus = self.accept("-");
        if !is_minus {
            self.accept("+");
        }
        let millis = self.duration()?;
        Ok(if is_minus { -millis } else { millis })
    }

    fn duration(&mut self) -> Result<i64, ParseError> {
        let millis = match self.peek() {
            TokenKind::Duration(millis) => *millis,
            TokenKind::Number(seconds) => {
                if !seconds.is_finite() || seconds.abs() > SECONDS_MAX {
                    return Err(self.error_here("duration out of range"));
                }
                (seconds * 1000.0).round() as i64
            }
            _ => return Err(self.unexpected("a duration such as 5m")),
        };
        if millis as f64 / 1000.0 > SECONDS_MAX {
            return Err(self.error_here("duration out of range"));
        }
        self.advance();
        Ok(millis)
    }

    /// Returns the modifiers of an expression that may have some.
    fn when(node: &mut Node) -> Option<&mut When> {
        match &mut node.expr {
            Expr::Selector(selector) => Some(&mut selector.when),
            Expr::Range(range) => Some(&mut range.selector.when),
            Expr::Subquery(subquery) => Some(&mut subquery.when),
            _ => None,
        }
    }

    fn offset_modifier(&mut self, mut node: Node) -> Result<Node, ParseError> {
        let start = self.start();
        self.advance();
        let offset = self.signed_duration()?;
        let Some(when) = Self::when(&mut node) else {
            return Err(self.error_at(
                start,
                "offset modifier must be preceded by an instant vector selector or range vector \
                 selector or a subquery",
            ));
        };
        if when.offset != 0 {
            return Err(self.error_at(start, "offset may not be set multiple times"));
        }
        when.offset = offset;
        Ok(node)
    }

    fn at_modifier(&mut self, mut node: Node) -> Result<Node, ParseError> {
        let start = self.start();
        self.advance();
        let at = self.moment()?;
        let Some(when) = Self::when(&mut node) else {
            return Err(self.error_at(
                start,
                "@ modifier must be preceded by an instant vector selector or range vector \
                 selector or a subquery",
            ));
        };
        if when.at.is_some() {
            return Err(self.error_at(start, "@ <timestamp> may not be set multiple times"));
        }
        when.at = Some(at);
        Ok(node)
    }

    /// Reads what stands behind `@`.
    fn moment(&mut self) -> Result<At, ParseError> {
        if let Some(word) = self.peek_word()
            && let Some(at) = [("start", At::Start), ("end", At::End)].iter().find(|w| w.0 == word)
        {
            self.advance();
            self.expect("(")?;
            self.expect(")")?;
            return Ok(at.1);
        }
        let is_minus = self.accept("-");
        if !is_minus {
            self.accept("+");
        }
        let seconds = match self.peek() {
            TokenKind::Number(seconds) => *seconds,
            TokenKind::Duration(millis) => *millis as f64 / 1000.0,
            _ => return Err(self.unexpected("a time in seconds, start() or end()")),
        };
        if !seconds.is_finite() || seconds.abs() > SECONDS_MAX {
            return Err(self.error_here("timestamp out of bounds for @ modifier"));
        }
        self.advance();
        let millis = (seconds * 1000.0).round() as i64;
        Ok(At::Millis(if is_minus { -millis } else { millis }))
    }
}
