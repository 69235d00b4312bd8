//! Selectors: `name{label="value", "utf8.name"}`, and lists of label names.

use noroshi_model::label::NAME;
use noroshi_model::{LabelError, Matcher, MatcherOp};

use super::{Expr, Node, ParseError, Parser, TokenKind, When};
use crate::ast::Selector;

impl Parser<'_> {
    /// Reads a selector; the word in front of the braces is next when there is one.
    pub(super) fn selector(&mut self, name: Option<String>) -> Result<Node, ParseError> {
        let start = self.start();
        let mut matchers = Vec::new();
        if let Some(name) = name {
            self.advance();
            matchers.push(Matcher::equal(NAME, &name));
        }
        if self.accept("{") {
            while !self.accept("}") {
                self.matcher(&mut matchers)?;
                let is_end = matches!(self.peek(), TokenKind::Sign("}"));
                if !is_end && !self.accept(",") {
                    return Err(self.unexpected("\",\" or \"}\""));
                }
            }
        }
        if matchers.iter().all(|matcher| matcher.matches("")) {
            let message = "vector selector must contain at least one non-empty matcher";
            return Err(self.error_at(start, message));
        }
        self.node(Expr::Selector(Selector { matchers, when: When::default() }), start, 0)
    }

    /// Reads one condition, or the quoted name of the metric.
    fn matcher(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), ParseError> {
        let start = self.start();
        let (label, is_quoted) = match self.peek().clone() {
            TokenKind::Word(word) if !word.contains(':') => (word, false),
            TokenKind::Text(text) => (text, true),
            // The words `inf` and `nan` are numbers elsewhere.
            TokenKind::Number(n) if !n.is_finite() => (self.written().to_owned(), false),
            _ => return Err(self.unexpected("a label name or \"}\"")),
        };
        self.advance();
        let op = match self.peek() {
            TokenKind::Sign("=") => MatcherOp::Equal,
            TokenKind::Sign("!=") => MatcherOp::NotEqual,
            TokenKind::Sign("=~") => MatcherOp::Match,
            TokenKind::Sign("!~") => MatcherOp::NotMatch,
            TokenKind::Sign("," | "}") if is_quoted => {
                return self.set_name(matchers, Matcher::equal(NAME, &label), start);
            }
            _ if is_quoted => {
                return Err(self.unexpected("\"=\", \"!=\", \"=~\", \"!~\", \",\" or \"}\""));
            }
            _ => return Err(self.unexpected("\"=\", \"!=\", \"=~\" or \"!~\"")),
        };
        self.advance();
        let TokenKind::Text(value) = self.peek().clone() else {
            return Err(self.unexpected("a quoted value"));
        };
        let matcher = Matcher::new(&label, op, &value).map_err(|error| {
            let LabelError::Regex { source, .. } = error;
            let cause = source.to_string();
            let reason = cause.lines().last().unwrap_or("").trim_start_matches("error: ");
            self.error_here(format!("bad regular expression {value:?}: {reason}"))
        })?;
        self.advance();
        if label.is_empty() {
            return Err(self.error_at(start, "label name must not be empty"));
        }
        if label == NAME && op == MatcherOp::Equal {
            return self.set_name(matchers, matcher, start);
        }
        matchers.push(matcher);
        Ok(())
    }

    /// Adds the metric's name, which may be given once.
    fn set_name(
        &self,
        matchers: &mut Vec<Matcher>,
        name: Matcher,
        start: usize,
    ) -> Result<(), ParseError> {
        let first = matchers.iter().find(|m| m.name() == NAME && m.op() == MatcherOp::Equal);
        if let Some(first) = first {
            let message = format!(
                "metric name must not be set twice: {:?} or {:?}",
                first.value(),
                name.value()
            );
            return Err(self.error_at(start, message));
        }
        matchers.push(name);
        Ok(())
    }

    /// Returns the next token as it is written.
    fn written(&self) -> &str {
        let token = &self.tokens[self.at];
        &self.text[token.start..token.end]
    }

    /// Reads `(a, "b.c", d)`.
    pub(super) fn label_names(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.accept(")") {
            match self.peek().clone() {
                TokenKind::Word(name) if !name.contains(':') => names.push(name),
                TokenKind::Text(name) if !name.is_empty() => names.push(name),
                TokenKind::Number(n) if !n.is_finite() => names.push(self.written().to_owned()),
                _ => return Err(self.unexpected("a label name or \")\"")),
            }
            self.advance();
            let is_end = matches!(self.peek(), TokenKind::Sign(")"));
            if !is_end && !self.accept(",") {
                return Err(self.unexpected("\",\" or \")\""));
            }
        }
        Ok(names)
    }
}
