//! Text in, canonical text or error out.

use super::parse;

/// Reads each text and compares what `Display` writes; `None` stands for "the same as read".
fn check(cases: &[(&str, Option<&str>)]) {
    for (text, expected) in cases {
        let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let written = expr.to_string();
        assert_eq!(written, expected.unwrap_or(text), "{text}");
        assert_eq!(parse(&written).unwrap().to_string(), written, "{text} is not stable");
    }
}

/// Reads each text and compares the error.
fn check_errors(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let error = parse(text).map(|expr| expr.to_string()).unwrap_err();
        assert_eq!(error.to_string(), *expected, "{text}");
    }
}

#[test]
fn numbers_texts_and_durations_are_read() {
    check(&[
        ("1", None),
        ("1.5e3", Some("1500")),
        ("0x1F", Some("31")),
        ("1_000", Some("1000")),
        (".5", Some("0.5")),
        ("5.", Some("5")),
        ("+5", Some("5")),
        ("-5", None),
        ("--5", Some("5")),
        ("inf", Some("+Inf")),
        ("-Inf", None),
        ("nan", Some("NaN")),
        ("5m", Some("300")),
        ("1h30m", Some("5400")),
        (r#""a\"b""#, None),
        ("'a\"b'", Some(r#""a\"b""#)),
        (r"`a\b`", Some(r#""a\\b""#)),
        (r#""\x41\101\u00e4\t""#, Some("\"AAä\\t\"")),
    ]);
}

#[test]
fn selectors_are_read_with_all_modifiers() {
    check(&[
        ("up", None),
        ("a:b:c", None),
        ("sum", None),
        ("by", None),
        ("up{}", Some("up")),
        (r#"up{a="b",c!="d",e=~"f.*",g!~"h"}"#, None),
        (r#"up{a="b",}"#, Some(r#"up{a="b"}"#)),
        (r#"{"up"}"#, Some("up")),
        (r#"{"a.b", "c d"="e"}"#, Some(r#"{"a.b","c d"="e"}"#)),
        (r#"{__name__="up",a="b"}"#, Some(r#"up{a="b"}"#)),
        (r#"{__name__=~"up|down"}"#, None),
        ("up[5m]", None),
        ("up[300]", Some("up[5m]")),
        ("up offset 5m", None),
        ("up offset -5m", None),
        ("up OFFSET 90", Some("up offset 1m30s")),
        ("up @ 100", Some("up @ 100.000")),
        ("up[5m] offset 1h @ end()", Some("up[5m] @ end() offset 1h")),
        ("up @ start() offset 1h", None),
        ("rate(up[5m])[1h:1m] offset 1d", None),
        ("rate(up[5m])[1h:]", None),
        ("up # a comment\n + up", Some("up + up")),
    ]);
}

#[test]
fn operators_group_as_their_precedence_says() {
    // The parts are told apart by evaluating: numbers suffice.
    let value = |text: &str| {
        let source = crate::MemorySeries::new();
        let at = noroshi_model::Timestamp::from_secs(0);
        match crate::Engine::default().instant(&source, &parse(text).unwrap(), at) {
            Ok(crate::Evaluated { value: crate::Value::Scalar { value, .. }, .. }) => value,
            other => panic!("{text}: {other:?}"),
        }
    };
    let cases = [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ -1", 0.5),
        ("2 ^ -1 * 4", 2.0),
        ("10 - 4 - 3", 3.0),
        ("20 / 2 * 5", 50.0),
        ("7 % 4 + 1", 4.0),
        ("1 + 1 == bool 2", 1.0),
        ("1 < bool 2 == bool 1", 1.0),
        ("0 atan2 1 + 1", 1.0),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn operators_keep_their_modifiers() {
    check(&[
        ("a + b", None),
        ("a AND b Or c UNLESS d", Some("a and b or c unless d")),
        ("a > bool 1", None),
        ("a + on(x,y) b", Some("a + on (x, y) b")),
        ("a + on() b", Some("a + on () b")),
        ("a + ignoring() b", Some("a + b")),
        ("a / ignoring(x) group_left b", Some("a / ignoring (x) group_left () b")),
        (r#"a / on(x) group_right("y.z") b"#, Some(r#"a / on (x) group_right ("y.z") b"#)),
        ("a == bool on(x) b", Some("a == bool on (x) b")),
        ("-a", None),
        ("-(a + b)", None),
        ("a atan2 b", None),
    ]);
}

#[test]
fn aggregations_and_calls_are_read() {
    check(&[
        ("sum(a)", None),
        ("sum by (x) (a)", None),
        ("SUM(a) BY (x,y,)", Some("sum by (x, y) (a)")),
        ("sum without () (a)", None),
        ("topk(3, a)", None),
        ("count_values without (x) (\"v\", a)", None),
        ("quantile by (job) (0.9, a)", None),
        ("rate(a[5m])", None),
        ("time()", None),
        ("round(a, 0.5)", None),
        ("label_join(a, \"x\", \"-\", \"y\", \"z\")", None),
        ("day_of_week()", None),
        ("holt_winters(a[1h], 0.5, 0.5)", None),
    ]);
}

#[test]
fn errors_tell_where_and_what() {
    check_errors(&[
        ("", "1:1: parse error: no expression found in input"),
        ("sum(", "1:5: parse error: unexpected end of input, expected an expression"),
        ("up{a=}", "1:6: parse error: unexpected \"}\", expected a quoted value"),
        ("up{a}", "1:5: parse error: unexpected \"}\", expected \"=\", \"!=\", \"=~\" or \"!~\""),
        ("up +\n  * 2", "2:3: parse error: unexpected \"*\", expected an expression"),
        ("ä", "1:1: parse error: unexpected character 'ä'"),
        ("\"ä\" + ?", "1:7: parse error: unexpected character '?'"),
        ("up up", "1:4: parse error: unexpected \"up\", expected an operator or the end"),
        ("\"abc", "1:1: parse error: unterminated quoted string"),
        (r#""\q""#, "1:2: parse error: unknown escape sequence"),
        ("5x", "1:1: parse error: bad number or duration \"5x\""),
        ("1.5h", "1:1: parse error: bad number or duration \"1.5h\""),
        ("up[5]x", "1:6: parse error: unexpected \"x\", expected an operator or the end"),
        ("up[5m)", "1:6: parse error: unexpected \")\", expected \"]\", or \":\" and a step"),
        ("up[0s]", "1:4: parse error: duration must be greater than 0"),
        ("up{}[5m][5m]", "1:9: parse error: ranges only allowed for vector selectors"),
    ]);
}

#[test]
fn errors_of_meaning_tell_where_and_what() {
    check_errors(&[
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        (
            r#"{a=""}"#,
            "1:1: parse error: vector selector must contain at least one non-empty matcher",
        ),
        (
            r#"up{"down"}"#,
            "1:4: parse error: metric name must not be set twice: \"up\" or \"down\"",
        ),
        ("foo(up)", "1:1: parse error: unknown function with name \"foo\""),
        (
            "rate(up)",
            "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
        ),
        ("rate()", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 0"),
        (
            "round(up, 1, 2)",
            "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3",
        ),
        (
            "sum(up, up)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2",
        ),
        ("1 > 2", "1:1: parse error: comparisons between scalars must use BOOL modifier"),
        (
            "1 and 2",
            "1:1: parse error: set operator \"and\" not allowed in binary scalar expression",
        ),
        (
            "up + bool up",
            "1:6: parse error: bool modifier can only be used on comparison operators",
        ),
        (
            "up and on(a) group_left up",
            "1:8: parse error: no grouping allowed for \"and\" operation",
        ),
        (
            "up + on(a) group_left(a) up",
            "1:12: parse error: label \"a\" must not occur in ON and GROUP clause at once",
        ),
        (
            "-up[5m]",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"range vector\"",
        ),
        ("up offset 5m offset 5m", "1:14: parse error: offset may not be set multiple times"),
        (
            "1 offset 5m",
            "1:3: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        ("up @ start", "1:11: parse error: unexpected end of input, expected \"(\""),
        (
            "time()[5m:1m]",
            "1:1: parse error: subquery is only allowed on instant vector, got scalar instead",
        ),
        ("abs(up,)", "1:8: parse error: trailing commas not allowed in function call args"),
    ]);
    let error = parse(r#"up{a=~"("}"#).unwrap_err();
    assert!(error.to_string().starts_with("1:7: parse error: bad regular expression \"(\": "));
    assert_eq!(error.position.offset, 6);
}

#[test]
fn expressions_that_would_exhaust_the_stack_are_refused() {
    let nested = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let chain = vec!["1"; 100_000].join("+");
    let signs = format!("{}a", "-".repeat(100_000));
    for text in [nested, chain, signs] {
        let error = parse(&text).unwrap_err();
        assert_eq!(error.message, "expression is nested too deeply");
    }
    let deep = format!("{}1{}", "(".repeat(150), ")".repeat(150));
    assert!(parse(&deep).is_ok());
}

#[test]
fn comparisons_with_a_number_are_split() {
    let split = |text: &str| {
        let split = parse(text).unwrap().split_comparison();
        split.map(|(left, op, number)| format!("{left} | {} | {number}", op.as_str()))
    };
    let cases = [
        ("x > 100", Some("x | > | 100")),
        ("100 < x", Some("x | > | 100")),
        ("(rate(x[5m]) <= (-1.5))", Some("rate(x[5m]) | <= | -1.5")),
        ("a + b == 3", Some("a + b | == | 3")),
        ("x > bool 100", None),
        ("x > y", None),
        ("x > 1 and y > 1", None),
        ("x", None),
    ];
    for (text, expected) in cases {
        assert_eq!(split(text).as_deref(), expected, "{text}");
    }
    let names = parse("sum(b) / a{x=\"y\"} + b offset 1m + {__name__=~\"c\"}").unwrap();
    assert_eq!(names.metric_names(), ["a", "b"]);
}
