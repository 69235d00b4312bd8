//! The parsed expression: what may stand where, without positions.

use noroshi_model::label::NAME;
use noroshi_model::{Matcher, MatcherOp};

use crate::function::Function;

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// One number a moment.
    Scalar,
    /// A set of series with one number each a moment.
    Vector,
    /// A set of series with the samples of a window each.
    Range,
    /// A text.
    Text,
}

impl Type {
    /// Returns the name that Prometheus' documentation uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Range => "range vector",
            Self::Text => "string",
        }
    }
}

/// An expression, checked for types. Made by [`crate::parse`]; `Display` writes it as `PromQL`.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A number.
    Number(f64),
    /// A quoted text.
    Text(String),
    /// `name{label="value"} offset 5m @ 100`
    Selector(Selector),
    /// `name[5m]`
    Range(RangeSelector),
    /// `expr[1h:5m]`
    Subquery(Subquery),
    /// `-expr` or `+expr`
    Unary {
        /// Whether it is a minus.
        is_minus: bool,
        /// What follows the sign.
        expr: Box<Expr>,
    },
    /// `left + on(a) right`
    Binary(Binary),
    /// `sum by (a) (expr)`
    Aggregate(Aggregate),
    /// `rate(x[5m])`
    Call(Call),
    /// `(expr)`
    Paren(Box<Expr>),
}

/// Selects series by their labels, and the moment to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The conditions; the metric's name is one on `__name__`.
    pub matchers: Vec<Matcher>,
    /// When to look.
    pub when: When,
}

/// The modifiers `offset` and `@`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct When {
    /// How much earlier to look, in milliseconds; negative for later.
    pub offset: i64,
    /// The fixed moment to look at instead of the evaluation's.
    pub at: Option<At>,
}

/// The moment behind `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since 1970.
    Millis(i64),
    /// `start()`: the first moment of the query.
    Start,
    /// `end()`: the last moment of the query.
    End,
}

/// A selector with the window to look back over.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSelector {
    /// Which series.
    pub selector: Selector,
    /// The window in milliseconds, above 0; open at its old end.
    pub range: i64,
}

/// An expression evaluated at many moments of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What to evaluate.
    pub expr: Box<Expr>,
    /// The window in milliseconds, above 0; open at its old end.
    pub range: i64,
    /// How far apart, in milliseconds; `None` for the default of one minute.
    pub step: Option<i64>,
    /// When to look.
    pub when: When,
}

/// An operator between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `atan2`
    Atan2,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `<`
    Less,
    /// `>=`
    GreaterEqual,
    /// `<=`
    LessEqual,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

impl BinaryOp {
    /// All operators.
    pub const ALL: [Self; 16] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Mod,
        Self::Pow,
        Self::Atan2,
        Self::Equal,
        Self::NotEqual,
        Self::Greater,
        Self::Less,
        Self::GreaterEqual,
        Self::LessEqual,
        Self::And,
        Self::Or,
        Self::Unless,
    ];

    /// Returns how it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Returns how strongly it binds: 1 (`or`) to 6 (`^`).
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
            _ => 3,
        }
    }

    /// Tells whether it compares.
    pub fn is_comparison(self) -> bool {
        self.precedence() == 3
    }

    /// Tells whether it is `and`, `or` or `unless`.
    pub fn is_set(self) -> bool {
        self.precedence() <= 2
    }

    /// Tells whether a comparison holds; always true for other operators.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::Less => left < right,
            Self::GreaterEqual => left >= right,
            Self::LessEqual => left <= right,
            _ => true,
        }
    }

    /// Returns the comparison with its sides exchanged.
    fn mirrored(self) -> Self {
        match self {
            Self::Greater => Self::Less,
            Self::Less => Self::Greater,
            Self::GreaterEqual => Self::LessEqual,
            Self::LessEqual => Self::GreaterEqual,
            other => other,
        }
    }
}

/// Two expressions and an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left side.
    pub left: Box<Expr>,
    /// The right side.
    pub right: Box<Expr>,
    /// Whether a comparison gives 0 and 1 in the place of filtering.
    pub is_bool: bool,
    /// How series of the two sides find each other; looked at only between two vectors.
    pub matching: Matching,
}

/// How series of two sides find each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// Whether `labels` are those to compare (`on`) or those to leave out (`ignoring`).
    pub is_on: bool,
    /// The labels.
    pub labels: Vec<String>,
    /// Which side may have several series for one of the other side.
    pub group: Group,
}

/// Which side may have several series for one of the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// None: one to one. Set operators match many to many.
    #[default]
    None,
    /// `group_left(labels)`: the left side; the labels are copied from the right.
    Left(Vec<String>),
    /// `group_right(labels)`: the right side; the labels are copied from the left.
    Right(Vec<String>),
}

/// What an aggregation computes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `count`
    Count,
    /// `group`: 1 for each group.
    Group,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `topk`
    Topk,
    /// `bottomk`
    Bottomk,
    /// `quantile`
    Quantile,
    /// `count_values`
    CountValues,
    /// `limitk`
    Limitk,
}

/// A computation over groups of series.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// What to compute.
    pub op: AggregateOp,
    /// The series.
    pub expr: Box<Expr>,
    /// The number of `topk`, `bottomk`, `quantile`, `limitk`; the text of `count_values`.
    pub parameter: Option<Box<Expr>>,
    /// Whether `labels` are left out of the groups (`without`) or make them (`by`).
    pub is_without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// A function with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// The arguments, as many as the function takes.
    pub arguments: Vec<Expr>,
}

impl Selector {
    /// Returns the metric's name when it is given by equality.
    pub fn name(&self) -> Option<&str> {
        let named = |m: &&Matcher| m.name() == NAME && m.op() == MatcherOp::Equal;
        self.matchers.iter().find(named).map(Matcher::value)
    }
}

impl Expr {
    /// Returns the type of the expression's value.
    pub fn value_type(&self) -> Type {
        match self {
            Self::Number(_) => Type::Scalar,
            Self::Text(_) => Type::Text,
            Self::Selector(_) | Self::Aggregate(_) => Type::Vector,
            Self::Range(_) | Self::Subquery(_) => Type::Range,
            Self::Unary { expr, .. } | Self::Paren(expr) => expr.value_type(),
            Self::Call(call) => call.function.returns,
            Self::Binary(Binary { left, right, .. }) => {
                match (left.value_type(), right.value_type()) {
                    (Type::Scalar, Type::Scalar) => Type::Scalar,
                    _ => Type::Vector,
                }
            }
        }
    }

    /// Splits a top-level comparison with a number: `x > 100` gives `(x, >, 100)`, `100 < x` as
    /// well.
    ///
    /// `None` when the expression is anything else, also with `bool`. Evaluating the left part
    /// tells the value also when the comparison does not hold.
    pub fn split_comparison(&self) -> Option<(Expr, BinaryOp, f64)> {
        let Self::Binary(binary) = self.unwrapped() else {
            return None;
        };
        if !binary.op.is_comparison() || binary.is_bool {
            return None;
        }
        match (binary.left.unwrapped(), binary.right.unwrapped()) {
            (Self::Number(_), Self::Number(_)) => None,
            (left, Self::Number(number)) => Some((left.clone(), binary.op, *number)),
            (Self::Number(number), right) => Some((right.clone(), binary.op.mirrored(), *number)),
            _ => None,
        }
    }

    /// Returns the matchers of each selector, from left to right.
    pub fn selections(&self) -> Vec<Vec<Matcher>> {
        let mut all = Vec::new();
        self.walk(&mut |expr| match expr {
            Self::Selector(selector) => all.push(selector.matchers.clone()),
            Self::Range(range) => all.push(range.selector.matchers.clone()),
            _ => {}
        });
        all
    }

    /// Returns the names of the metrics that are named by equality, sorted, each once.
    pub fn metric_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.walk(&mut |expr| {
            let selector = match expr {
                Self::Selector(selector) => selector,
                Self::Range(range) => &range.selector,
                _ => return,
            };
            names.extend(selector.name().map(str::to_owned));
        });
        names.sort();
        names.dedup();
        names
    }

    /// Calls `see` with this expression and then with all inside it, from left to right.
    pub fn walk(&self, see: &mut dyn FnMut(&Expr)) {
        see(self);
        match self {
            Self::Number(_) | Self::Text(_) | Self::Selector(_) | Self::Range(_) => {}
            Self::Subquery(Subquery { expr, .. })
            | Self::Unary { expr, .. }
            | Self::Paren(expr) => expr.walk(see),
            Self::Binary(binary) => {
                binary.left.walk(see);
                binary.right.walk(see);
            }
            Self::Aggregate(aggregate) => {
                if let Some(parameter) = &aggregate.parameter {
                    parameter.walk(see);
                }
                aggregate.expr.walk(see);
            }
            Self::Call(call) => call.arguments.iter().for_each(|argument| argument.walk(see)),
        }
    }

    /// Returns the expression without the parentheses around it.
    pub(crate) fn unwrapped(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(inner) = expr {
            expr = inner;
        }
        expr
    }

    /// Tells whether the value is the same at every moment of a range query: all its selectors
    /// are fixed by `@`, and no function in it looks at the moment.
    pub(crate) fn is_fixed(&self) -> bool {
        match self {
            Self::Number(_) | Self::Text(_) => true,
            Self::Selector(selector) => selector.when.at.is_some(),
            Self::Range(range) => range.selector.when.at.is_some(),
            Self::Subquery(subquery) => subquery.when.at.is_some(),
            Self::Unary { expr, .. } | Self::Paren(expr) => expr.is_fixed(),
            Self::Binary(binary) => binary.left.is_fixed() && binary.right.is_fixed(),
            Self::Aggregate(aggregate) => {
                let parameter = aggregate.parameter.as_ref();
                parameter.is_none_or(|p| p.is_fixed()) && aggregate.expr.is_fixed()
            }
            Self::Call(call) => {
                !call.function.looks_at_the_moment() && call.arguments.iter().all(Self::is_fixed)
            }
        }
    }
}
