//! Reads an expression: recursive descent over the tokens, types checked on the way.
//!
//! Grammar and messages follow Prometheus (`promql/parser/generated_parser.y`, `parse.go`), with a
//! position for every error.

use std::fmt;

use crate::ast::{Aggregate, AggregateOp, Binary, BinaryOp, Call, Expr, Type, When};
use crate::function;
use crate::lexer::{Token, TokenKind, tokens};

mod binary;
mod modifiers;
mod selector;

#[cfg(test)]
mod tests;

/// How deeply expressions may be nested: the tree is walked by recursion.
const DEPTH_MAX: u32 = 200;

/// How long an expression may be: 256 KiB, far above what any person or program writes.
const BYTES_MAX: usize = 1 << 18;

/// Why a text is no expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: parse error: {message}")]
pub struct ParseError {
    /// What is wrong, without the position.
    pub message: String,
    /// Where it is wrong.
    pub position: Position,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Byte offset from 0.
    pub offset: usize,
    /// Line from 1.
    pub line: usize,
    /// Column in characters from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Reads an expression. Errors: [`ParseError`] with the first thing that is wrong.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    if text.len() > BYTES_MAX {
        return Err(fail(text, 0, format!("expression is longer than {BYTES_MAX} bytes")));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, nesting: 0 };
    if parser.peek() == &TokenKind::End {
        return Err(parser.error_here("no expression found in input"));
    }
    let node = parser.expression(1)?;
    match parser.peek() {
        TokenKind::End => Ok(node.expr),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

/// Makes an error at a byte offset.
pub(crate) fn fail(text: &str, offset: usize, message: String) -> ParseError {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let position = Position {
        offset,
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    };
    ParseError { message, position }
}

/// An expression while it is read.
struct Node {
    expr: Expr,
    /// Byte offset of its first character.
    start: usize,
    /// How many expressions are inside each other.
    depth: u32,
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    /// How many calls of `expression` are open.
    nesting: u32,
}

impl Parser<'_> {
    fn peek(&self) -> &TokenKind {
        self.peek_at(0)
    }

    /// Returns the token `ahead` of the next one; behind the end there is always the end.
    fn peek_at(&self, ahead: usize) -> &TokenKind {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + ahead).min(last)].kind
    }

    /// Returns where the next token stands.
    fn start(&self) -> usize {
        self.tokens[self.at].start
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    /// Takes the sign if it is next.
    fn accept(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), TokenKind::Sign(s) if *s == sign);
        if is_next {
            self.advance();
        }
        is_next
    }

    fn expect(&mut self, sign: &str) -> Result<(), ParseError> {
        if self.accept(sign) { Ok(()) } else { Err(self.unexpected(&format!("{sign:?}"))) }
    }

    /// Returns the next word in lower case, if a word is next.
    fn peek_word(&self) -> Option<String> {
        match self.peek() {
            TokenKind::Word(word) => Some(word.to_ascii_lowercase()),
            _ => None,
        }
    }

    /// Takes the keyword if it is next.
    fn accept_word(&mut self, keyword: &str) -> bool {
        let is_next = self.peek_word().is_some_and(|word| word == keyword);
        if is_next {
            self.advance();
        }
        is_next
    }

    fn error_at(&self, offset: usize, message: impl Into<String>) -> ParseError {
        fail(self.text, offset, message.into())
    }

    fn error_here(&self, message: impl Into<String>) -> ParseError {
        self.error_at(self.start(), message)
    }

    /// Makes the error for a token that cannot stand here.
    fn unexpected(&self, expected: &str) -> ParseError {
        let token = &self.tokens[self.at];
        let found = match token.kind {
            TokenKind::End => "end of input".to_owned(),
            _ => format!("{:?}", &self.text[token.start..token.end]),
        };
        self.error_here(format!("unexpected {found}, expected {expected}"))
    }

    /// Reads an expression whose operators bind at least as strongly as `precedence_min`.
    fn expression(&mut self, precedence_min: u8) -> Result<Node, ParseError> {
        self.nesting += 1;
        if self.nesting > DEPTH_MAX {
            return Err(self.error_here("expression is nested too deeply"));
        }
        let mut left = self.unary()?;
        while let Some(op) = self.peek_operator() {
            if op.precedence() < precedence_min {
                break;
            }
            self.advance();
            left = self.binary(left, op)?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    /// Returns the operator that is next, if one is.
    fn peek_operator(&self) -> Option<BinaryOp> {
        let written = match self.peek() {
            TokenKind::Sign(sign) => (*sign).to_owned(),
            TokenKind::Word(word) => word.to_ascii_lowercase(),
            _ => return None,
        };
        BinaryOp::ALL.into_iter().find(|op| op.as_str() == written)
    }

    fn unary(&mut self) -> Result<Node, ParseError> {
        let start = self.start();
        let is_minus = match self.peek() {
            TokenKind::Sign("-") => true,
            TokenKind::Sign("+") => false,
            _ => return self.postfix(),
        };
        self.advance();
        let inner = self.expression(BinaryOp::Pow.precedence())?;
        if let Expr::Number(number) = inner.expr {
            let number = if is_minus { -number } else { number };
            return Ok(Node { expr: Expr::Number(number), start, depth: inner.depth });
        }
        let kind = inner.expr.value_type();
        if !matches!(kind, Type::Scalar | Type::Vector) {
            return Err(self.error_at(
                start,
                format!(
                    "unary expression only allowed on expressions of type scalar or instant \
                     vector, got {:?}",
                    kind.as_str()
                ),
            ));
        }
        let depth = inner.depth;
        self.node(Expr::Unary { is_minus, expr: Box::new(inner.expr) }, start, depth)
    }

    /// Makes a node around inner ones of which the deepest is `depth` deep.
    fn node(&self, expr: Expr, start: usize, depth: u32) -> Result<Node, ParseError> {
        if depth >= DEPTH_MAX {
            return Err(self.error_at(start, "expression is nested too deeply"));
        }
        Ok(Node { expr, start, depth: depth + 1 })
    }

    /// Reads an expression that begins with neither sign nor operator.
    fn primary(&mut self) -> Result<Node, ParseError> {
        let start = self.start();
        let expr = match self.peek().clone() {
            TokenKind::Number(number) => Expr::Number(number),
            TokenKind::Duration(millis) => Expr::Number(millis as f64 / 1000.0),
            TokenKind::Text(text) => Expr::Text(text),
            TokenKind::Sign("(") => {
                self.advance();
                let inner = self.expression(1)?;
                self.expect(")")?;
                return self.node(Expr::Paren(Box::new(inner.expr)), start, inner.depth);
            }
            TokenKind::Sign("{") => return self.selector(None),
            TokenKind::Word(word) => return self.word(word),
            _ => return Err(self.unexpected("an expression")),
        };
        self.advance();
        self.node(expr, start, 0)
    }

    /// Reads what begins with a word: an aggregation, a call, or a metric.
    fn word(&mut self, word: String) -> Result<Node, ParseError> {
        let lower = word.to_ascii_lowercase();
        let is_next = |sign| matches!(self.peek_at(1), TokenKind::Sign(s) if *s == sign);
        let is_grouped = match self.peek_at(1) {
            TokenKind::Word(next) => ["by", "without"].contains(&&*next.to_ascii_lowercase()),
            _ => false,
        };
        let op = function::aggregations().iter().find(|a| a.name == lower).map(|a| a.op);
        match op {
            Some(op) if is_grouped || is_next("(") => return self.aggregate(op),
            _ => {}
        }
        if is_next("(") {
            return self.call(&word);
        }
        if ["bool", "on", "ignoring", "group_left", "group_right", "atan2"].contains(&&*lower) {
            return Err(self.unexpected("an expression"));
        }
        self.selector(Some(word))
    }

    /// Reads `(a, b)` as expressions.
    fn arguments(&mut self) -> Result<Vec<Node>, ParseError> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        if self.accept(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(1)?);
            if self.accept(")") {
                return Ok(arguments);
            }
            if !self.accept(",") {
                return Err(self.unexpected("\",\" or \")\""));
            }
            if matches!(self.peek(), TokenKind::Sign(")")) {
                let message = "trailing commas not allowed in function call args";
                return Err(self.error_here(message));
            }
        }
    }

    fn call(&mut self, name: &str) -> Result<Node, ParseError> {
        let start = self.start();
        let Some(function) = function::find(name) else {
            return Err(self.error_here(format!("unknown function with name {name:?}")));
        };
        self.advance();
        let nodes = self.arguments()?;
        let (count, most) = (nodes.len(), function.arguments.len());
        let at_least =
            if function.required < most || function.is_variadic { "at least " } else { "" };
        if count < function.required {
            return Err(self.error_at(
                start,
                format!(
                    "expected {at_least}{} argument(s) in call to {name:?}, got {count}",
                    function.required
                ),
            ));
        }
        if count > most && !function.is_variadic {
            let at_most = if function.required < most { "at most " } else { "" };
            return Err(self.error_at(
                start,
                format!("expected {at_most}{most} argument(s) in call to {name:?}, got {count}"),
            ));
        }
        for (index, node) in nodes.iter().enumerate() {
            let expected = function.argument_type(index).unwrap_or(Type::Vector);
            self.check_type(node, expected, &format!("call to function {name:?}"))?;
        }
        let depth = nodes.iter().map(|node| node.depth).max().unwrap_or(0);
        let arguments = nodes.into_iter().map(|node| node.expr).collect();
        self.node(Expr::Call(Call { function, arguments }), start, depth)
    }

    fn check_type(&self, node: &Node, expected: Type, place: &str) -> Result<(), ParseError> {
        let kind = node.expr.value_type();
        if kind == expected {
            return Ok(());
        }
        let (expected, got) = (expected.as_str(), kind.as_str());
        Err(self.error_at(node.start, format!("expected type {expected} in {place}, got {got}")))
    }

    fn aggregate(&mut self, op: AggregateOp) -> Result<Node, ParseError> {
        let start = self.start();
        self.advance();
        let mut grouping = self.grouping()?;
        let mut nodes = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let expected = 1 + usize::from(op.parameter().is_some());
        if nodes.is_empty() {
            return Err(self.error_at(start, "no arguments for aggregate expression provided"));
        }
        if nodes.len() != expected {
            let got = nodes.len();
            return Err(self.error_at(
                start,
                format!(
                    "wrong number of arguments for aggregate expression provided, \
                     expected {expected}, got {got}"
                ),
            ));
        }
        let depth = nodes.iter().map(|node| node.depth).max().unwrap_or(0);
        let series = nodes.remove(expected - 1);
        self.check_type(&series, Type::Vector, "aggregation expression")?;
        if let (Some(kind), Some(node)) = (op.parameter(), nodes.first()) {
            self.check_type(node, kind, "aggregation parameter")?;
        }
        let (is_without, labels) = grouping.unwrap_or_default();
        let parameter = nodes.pop().map(|node| Box::new(node.expr));
        let expr = Box::new(series.expr);
        let aggregate = Aggregate { op, expr, parameter, is_without, labels };
        self.node(Expr::Aggregate(aggregate), start, depth)
    }

    /// Reads `by (a, b)` or `without (a, b)` if it is next.
    fn grouping(&mut self) -> Result<Option<(bool, Vec<String>)>, ParseError> {
        let is_without = match self.peek_word().as_deref() {
            Some("by") => false,
            Some("without") => true,
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some((is_without, self.label_names()?)))
    }
}
