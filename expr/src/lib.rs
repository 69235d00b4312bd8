//! `PromQL` over any source of series.
//!
//! [`parse`] reads an expression and tells where an error is; an [`Engine`] evaluates it over a
//! [`noroshi_model::SeriesSource`], at one moment or at many. What the language has, what is left
//! out and how archives are read stands in `LANGUAGE.md`.
//!
//! ```
//! use std::time::Duration;
//!
//! use noroshi_expr::{Absence, Engine, MemorySeries, Value, parse};
//! use noroshi_model::{Labels, Timestamp};
//!
//! let mut source = MemorySeries::new();
//! for (instance, per_second) in [("web1", 3.0), ("web2", 5.0)] {
//!     let labels = Labels::new([("__name__", "requests_total"), ("instance", instance)]);
//!     let value = |i: i64| i as f64 * 10.0 * per_second;
//!     let samples = (0..=60).map(|i| (Timestamp::from_secs(i * 10), value(i)));
//!     source.add(&labels, samples);
//! }
//!
//! let engine = Engine::default();
//! let at = Timestamp::from_secs(600);
//! let expr = parse("sum(rate(requests_total[5m]))").unwrap();
//! let Value::Vector(sum) = engine.instant(&source, &expr, at).unwrap().value else { panic!() };
//! assert!((sum[0].value - 8.0).abs() < 1e-9);
//!
//! let step = Duration::from_secs(60);
//! let span = (Timestamp::from_secs(300), at);
//! let Value::Matrix(lines) = engine.range(&source, &expr, span, step).unwrap().value else {
//!     panic!()
//! };
//! assert_eq!(lines[0].value.len(), 6);
//!
//! // A comparison that does not hold is told apart from data that is not there.
//! let rule = parse("rate(requests_total[5m]) > 100").unwrap();
//! let absence = engine.instant(&source, &rule, at).unwrap().absence;
//! assert_eq!(absence, Absence::EmptyByComparison);
//! let later = Timestamp::from_secs(3600);
//! let absence = engine.instant(&source, &rule, later).unwrap().absence;
//! assert_eq!(absence, Absence::SilentSince(at));
//!
//! let error = parse("sum(rate(requests_total[5m])").unwrap_err();
//! assert_eq!((error.position.line, error.position.column), (1, 29));
//! ```
//!
//! Nothing here reads a file, opens a socket or knows what time it is; a stopwatch bounds how long
//! an evaluation may take.

mod ast;
mod display;
mod duration;
mod engine;
mod eval;
mod function;
mod lexer;
mod memory;
mod parser;
mod visit;

pub use ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Call, Expr, Group, Matching, RangeSelector,
    Selector, Subquery, Type, When,
};
pub use display::number_text;
pub use engine::{
    Absence, Compared, Comparison, Engine, EngineLimits, EvalError, Evaluated, InstantSample,
    RangeSeries, Value,
};
pub use function::{Aggregation, Function, aggregations, functions, keywords};
pub use memory::MemorySeries;
pub use parser::{ParseError, Position, parse};
