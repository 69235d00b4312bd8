//! Operators with their modifiers: `bool`, `on`, `ignoring`, `group_left`, `group_right`.

use super::{Binary, BinaryOp, Expr, Node, ParseError, Parser, TokenKind, Type};
use crate::ast::{Group, Matching};

/// What stands between an operator and its right side.
#[derive(Default)]
struct Modifiers {
    is_bool: bool,
    has_matching: bool,
    matching: Matching,
}

impl Parser<'_> {
    /// Reads what follows an operator.
    pub(super) fn binary(&mut self, left: Node, op: BinaryOp) -> Result<Node, ParseError> {
        let after = self.start();
        let modifiers = self.modifiers()?;
        // `^` groups from the right, all others from the left.
        let tighter = op.precedence() + u8::from(op != BinaryOp::Pow);
        let right = self.expression(tighter)?;
        self.check_binary(op, &modifiers, (&left, &right), after)?;
        let depth = left.depth.max(right.depth);
        let binary = Binary {
            op,
            left: Box::new(left.expr),
            right: Box::new(right.expr),
            is_bool: modifiers.is_bool,
            matching: modifiers.matching,
        };
        self.node(Expr::Binary(binary), left.start, depth)
    }

    fn modifiers(&mut self) -> Result<Modifiers, ParseError> {
        let mut modifiers = Modifiers { is_bool: self.accept_word("bool"), ..Modifiers::default() };
        let is_on = match self.peek_word().as_deref() {
            Some("on") => true,
            Some("ignoring") => false,
            _ => return Ok(modifiers),
        };
        self.advance();
        modifiers.has_matching = true;
        modifiers.matching = Matching { is_on, labels: self.label_names()?, group: Group::None };
        let side = self.peek_word();
        let Some(side @ ("group_left" | "group_right")) = side.as_deref() else {
            return Ok(modifiers);
        };
        let start = self.start();
        self.advance();
        let include = match self.peek() {
            TokenKind::Sign("(") => self.label_names()?,
            _ => Vec::new(),
        };
        if is_on && let Some(label) = include.iter().find(|l| modifiers.matching.labels.contains(l))
        {
            let message = format!("label {label:?} must not occur in ON and GROUP clause at once");
            return Err(self.error_at(start, message));
        }
        modifiers.matching.group =
            if side == "group_left" { Group::Left(include) } else { Group::Right(include) };
        Ok(modifiers)
    }

    fn check_binary(
        &self,
        op: BinaryOp,
        modifiers: &Modifiers,
        (left, right): (&Node, &Node),
        after: usize,
    ) -> Result<(), ParseError> {
        if modifiers.is_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            return Err(self.error_at(after, message));
        }
        for node in [left, right] {
            if !matches!(node.expr.value_type(), Type::Scalar | Type::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return Err(self.error_at(node.start, message));
            }
        }
        let is_scalar = |node: &Node| node.expr.value_type() == Type::Scalar;
        let scalars = (is_scalar(left), is_scalar(right));
        if op.is_comparison() && !modifiers.is_bool && scalars == (true, true) {
            let message = "comparisons between scalars must use BOOL modifier";
            return Err(self.error_at(left.start, message));
        }
        if op.is_set() && modifiers.matching.group != Group::None {
            let message = format!("no grouping allowed for {:?} operation", op.as_str());
            return Err(self.error_at(after, message));
        }
        if scalars == (false, false) {
            return Ok(());
        }
        if modifiers.has_matching && !modifiers.matching.labels.is_empty() {
            let message = "vector matching only allowed between instant vectors";
            return Err(self.error_at(after, message));
        }
        if op.is_set() {
            let message =
                format!("set operator {:?} not allowed in binary scalar expression", op.as_str());
            return Err(self.error_at(left.start, message));
        }
        Ok(())
    }
}
