//! What the engine asks of its source, what it refuses, and what it tells beside the value.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::sync::Mutex;
use std::time::Duration;

use noroshi_expr::{
    Absence, BinaryOp, Engine, EngineLimits, EvalError, Evaluated, MemorySeries, Value, parse,
};
use noroshi_model::{
    Labels, Matcher, MetricMeta, Select, SelectError, SeriesData, SeriesSource, Timestamp,
};

/// Writes down what is asked; knows no series.
#[derive(Default)]
struct Recorder(Mutex<Vec<Select>>);

impl SeriesSource for Recorder {
    fn select(&self, request: &Select) -> Result<Vec<SeriesData>, SelectError> {
        self.0.lock().unwrap().push(request.clone());
        Ok(Vec::new())
    }

    fn series(
        &self,
        _: &[Matcher],
        _: Timestamp,
        _: Timestamp,
        _: usize,
    ) -> Result<Vec<Labels>, SelectError> {
        Ok(Vec::new())
    }

    fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, SelectError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: usize) -> Result<Vec<String>, SelectError> {
        Ok(Vec::new())
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<MetricMeta>, SelectError> {
        Ok(Vec::new())
    }

    fn last_seen(&self, _: &[Matcher]) -> Result<Option<Timestamp>, SelectError> {
        Err(SelectError::MatchesEverything)
    }
}

const HOUR: i64 = 3600;

/// Returns the requests of a query as `(after, until] step window`, in seconds.
fn asked(text: &str, span: (i64, i64), step: i64) -> Vec<String> {
    let source = Recorder::default();
    let span = (Timestamp::from_secs(span.0), Timestamp::from_secs(span.1));
    let engine = Engine::default();
    let step = Duration::from_secs(step.unsigned_abs());
    if span.0 == span.1 {
        // Whether such series were ever known is asked as well, and here cannot be told.
        assert!(engine.instant(&source, &parse(text).unwrap(), span.0).is_err());
    } else {
        engine.range(&source, &parse(text).unwrap(), span, step).unwrap();
    }
    let requests = source.0.into_inner().unwrap();
    let write = |r: &Select| {
        let (step, window) = (r.step.as_secs_f64(), r.window.as_secs_f64());
        format!("({}, {}] {step} {window}", r.after.as_secs_f64(), r.until.as_secs_f64())
    };
    requests.iter().map(write).collect()
}

#[test]
fn each_selector_is_read_once_with_the_step_that_it_can_bear() {
    let range = (10 * HOUR, 20 * HOUR);
    let cases: [(&str, &[&str]); 11] = [
        // The lookback is stretched to the step: one row for each moment will do.
        ("x", &["(35400, 72000] 600 600"]),
        ("x + x", &["(35400, 72000] 600 600", "(35400, 72000] 600 600"]),
        ("x offset 1h", &["(31800, 68400] 600 600"]),
        ("rate(x[5m])", &["(35700, 72000] 600 300"]),
        ("avg_over_time(x[2h])", &["(28800, 72000] 600 7200"]),
        // Regressions and quantiles need every sample.
        ("deriv(x[5m])", &["(35700, 72000] 0 300"]),
        ("quantile_over_time(0.5, x[5m])", &["(35700, 72000] 0 300"]),
        // Fixed moments are one moment.
        ("x @ 7200", &["(6900, 7200] 0 300"]),
        ("avg_over_time(x[1h] @ end())", &["(68400, 72000] 10 3600"]),
        // A subquery looks at moments of its own.
        ("max_over_time(x[1h:10m])", &["(32400, 72000] 600 600"]),
        ("max_over_time(rate(x[5m])[1h:1m])", &["(32160, 72000] 60 300"]),
    ];
    for (text, requests) in cases {
        assert_eq!(asked(text, range, 600), requests, "{text}");
    }
}

#[test]
fn one_moment_reads_archives_only_where_that_stays_exact() {
    let at = |seconds: i64| (seconds, seconds);
    // What divides moment and window, 10 min, but 360 rows in the window: 10 s. Then 4 min; 1 s.
    assert_eq!(asked("avg_over_time(x[1h])", at(3000), 1), ["(-600, 3000] 10 3600"]);
    let day = 24 * HOUR;
    assert_eq!(asked("rate(x[1d])", at(2 * day), 1), ["(86400, 172800] 240 86400"]);
    assert_eq!(asked("avg_over_time(x[1h])", at(7201), 1), ["(3601, 7201] 1 3600"]);
    assert_eq!(asked("deriv(x[1h])", at(7200), 1), ["(3600, 7200] 0 3600"]);
    assert_eq!(asked("x", at(7200), 1), ["(6900, 7200] 0 300"]);
    // A thousandth of a very long window: 30 days / 1000.
    let month = 30 * 24 * HOUR;
    let requests = asked("avg_over_time(x[30d])", at(month + 1), 1);
    assert_eq!(requests, ["(1, 2592001] 2592 2592000"]);
}

/// Ten series with a sample a second for 100 s.
fn ten_series() -> MemorySeries {
    let mut source = MemorySeries::new();
    for index in 0..10 {
        let labels = Labels::new([("__name__", "x"), ("i", &index.to_string())]);
        source.add(&labels, (1..=100).map(|at| (Timestamp::from_secs(at), at as f64)));
    }
    source
}

fn limited(samples_max: usize, duration_max: Duration) -> Engine {
    Engine::new(EngineLimits { samples_max, duration_max, ..EngineLimits::default() })
}

#[test]
fn a_query_that_costs_too_much_is_refused() {
    let source = ten_series();
    let at = Timestamp::from_secs(100);
    let minute = Duration::from_mins(1);
    let instant = |engine: &Engine, text: &str| {
        engine.instant(&source, &parse(text).unwrap(), at).map(|evaluated| evaluated.value)
    };
    assert!(instant(&limited(1000, minute), "sum(x)").is_ok());
    let error = instant(&limited(999, minute), "sum(x)").unwrap_err();
    assert!(matches!(error, EvalError::TooManySamples { samples_max: 999 }), "{error}");
    // All selectors count together.
    assert!(instant(&limited(1999, minute), "sum(x) + sum(x)").is_err());
    assert!(instant(&limited(2000, minute), "sum(x) + sum(x)").is_ok());
    // A result may be larger than what was read.
    let span = (Timestamp::from_secs(0), Timestamp::from_secs(100));
    let range = |step: u64| {
        let engine = limited(1500, minute);
        engine.range(&source, &parse("x").unwrap(), span, Duration::from_millis(step))
    };
    assert!(range(1000).is_ok());
    assert!(matches!(range(500), Err(EvalError::TooManySamples { .. })));
    let error = instant(&limited(1000, minute), "sum_over_time(vector(1)[1h:1s])").unwrap_err();
    assert!(matches!(error, EvalError::TooManySamples { .. }));
    let error = instant(&limited(1000, Duration::ZERO), "sum(x)").unwrap_err();
    assert!(matches!(error, EvalError::TimedOut { limit: Duration::ZERO }), "{error}");
}

#[test]
fn a_span_without_sense_is_refused() {
    let (early, late) = (Timestamp::from_secs(0), Timestamp::from_secs(10));
    let range = |span, step| {
        let expr = parse("1").unwrap();
        Engine::default().range(&MemorySeries::new(), &expr, span, Duration::from_micros(step))
    };
    assert!(range((early, late), 1000).is_ok());
    assert!(range((late, late), 1000).is_ok());
    assert!(matches!(range((late, early), 1000), Err(EvalError::BadSpan)));
    assert!(matches!(range((early, late), 999), Err(EvalError::BadSpan)));
    assert!(matches!(range((Timestamp::MIN, late), 1000), Err(EvalError::BadSpan)));
    let far = Engine::default().instant(&ten_series(), &parse("x[5m]").unwrap(), Timestamp::MAX);
    assert!(far.is_ok(), "{far:?}");
}

#[test]
fn expressions_as_deep_as_they_may_be_fit_on_a_small_stack() {
    // 1.5 MiB: less than test threads and the workers of a runtime have.
    let run = || {
        let nested = [("abs(", ")"), ("(1 + ", ")"), ("-(", ")"), ("sum(", ")"), ("2 ^ (", ")")];
        for (open, close) in nested {
            let depth = 95;
            let text = format!("{}x{}", open.repeat(depth), close.repeat(depth));
            let expr = parse(&text).unwrap();
            assert_eq!(parse(&expr.to_string()).unwrap().to_string(), expr.to_string());
            let span = (Timestamp::from_secs(0), Timestamp::from_secs(100));
            let engine = Engine::default();
            assert!(engine.range(&ten_series(), &expr, span, Duration::from_secs(1)).is_ok());
        }
        let chain = vec!["x"; 190].join(" or ");
        let at = Timestamp::from_secs(100);
        assert!(Engine::default().instant(&ten_series(), &parse(&chain).unwrap(), at).is_ok());
    };
    let thread = std::thread::Builder::new().stack_size(3 << 19).spawn(run).unwrap();
    assert!(thread.join().is_ok());
}

#[test]
fn a_comparison_tells_the_value_also_when_it_does_not_hold() {
    let source = ten_series();
    let compare = |text: &str, at: i64| {
        let expr = parse(text).unwrap();
        Engine::default().compare(&source, &expr, Timestamp::from_secs(at)).unwrap()
    };
    let comparison = compare("x{i=~\"1|2\"} * (1 + (timestamp(x) >= bool 50)) > 100", 60).unwrap();
    assert_eq!((comparison.op, comparison.threshold), (BinaryOp::Greater, 100.0));
    let series: Vec<(Option<&str>, f64, bool)> =
        comparison.series.iter().map(|s| (s.labels.get("i"), s.value, s.is_over)).collect();
    assert_eq!(series, [(Some("1"), 120.0, true), (Some("2"), 120.0, true)]);
    let comparison = compare("100 < sum(x{i=\"3\"})", 60).unwrap();
    assert_eq!(comparison.op, BinaryOp::Greater);
    assert_eq!(comparison.series[0].labels, Labels::empty());
    assert!(!comparison.series[0].is_over);
    assert_eq!(comparison.absence, Absence::None);
    // What is not there is neither over nor under.
    let comparison = compare("x > 0", 1000).unwrap();
    assert_eq!(comparison.series, []);
    assert_eq!(comparison.absence, Absence::SilentSince(Timestamp::from_secs(100)));
    assert_eq!(compare("y > 0", 60).unwrap().absence, Absence::NeverKnown);
    let comparison = compare("vector(time()) >= 60", 60).unwrap();
    assert!(comparison.series[0].is_over);
    assert_eq!(compare("x > bool 5", 60), None);
    assert_eq!(compare("x", 60), None);
}

#[test]
fn a_warning_is_told_once() {
    let source = ten_series();
    let expr = parse("quantile(2, x) + on() group_left() quantile(2, x)").unwrap();
    let span = (Timestamp::from_secs(0), Timestamp::from_secs(100));
    let evaluated: Evaluated =
        Engine::default().range(&source, &expr, span, Duration::from_secs(1)).unwrap();
    assert_eq!(evaluated.warnings, ["quantile value should be between 0 and 1, got 2"]);
    let Value::Matrix(series) = evaluated.value else { panic!("no matrix") };
    assert_eq!(series[0].at.len(), 100);
}

#[test]
fn a_source_that_cannot_read_is_named_with_the_selector() {
    let expr = parse("sum(x{i=\"1\"} offset 5m)").unwrap();
    let error = Engine::default().instant(&Recorder::default(), &expr, Timestamp::from_secs(0));
    let error = error.unwrap_err();
    assert_eq!(error.to_string(), "cannot read the series of x{i=\"1\"} offset 5m");
    assert!(std::error::Error::source(&error).is_some());
}
