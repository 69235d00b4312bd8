//! Goal: our parser accepts, refuses and groups as another implementation of the grammar does.
//!
//! Method: the expressions of all cases in `testdata/*.test` and the lists below go through our
//! parser and through `promql-parser`; both trees are written in one form and compared. Known
//! differences are listed with the reason; one that vanishes fails the test as well.

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use noroshi_expr::{At, Expr, Group, Selector, When, number_text, parse};
use noroshi_model::Matcher;
use promql_parser::label;
use promql_parser::parser as theirs;

/// What both must accept, beside the cases of the evaluator.
const ACCEPTED: [&str; 65] = [
    "a",
    "a:b",
    "a{}",
    "sum",
    "SUM(a)",
    "by",
    "offset",
    "start",
    "end{a=\"b\"}",
    "group{a=\"b\"}",
    "count_values{a=\"b\"}",
    "unless",
    "a and b",
    "a AND b",
    "1e3",
    "1E-3",
    "0x1F",
    ".5",
    "5.",
    "Inf",
    "inf",
    "+Inf",
    "-inf",
    "NaN",
    "nan",
    "-1",
    "--1",
    "-+-1",
    "1 - -1",
    "-a",
    "-1 ^ 2",
    "2 ^ 3 ^ 2",
    "2 ^ -1 * 4",
    "-a ^ 2 * 3",
    "a + b * c - d / e % f",
    "a or b and c unless d or e",
    "a == b > c",
    "a < bool b <= bool c",
    "a * on (x) b + on (y) c",
    "a / on (x) group_left (y) b",
    "a / ignoring (x) group_right b",
    "a / ignoring (x) group_right () b",
    "a + on () b",
    "a atan2 b",
    "sum by (x) (a)",
    "sum (a) by (x)",
    "sum without (x, y,) (a)",
    "sum by (sum, by, on) (a)",
    "topk(2 + 1, a)",
    "topk(scalar(a), b)",
    "a{b=\"c\",}",
    "a{b='c'}",
    "a{on=\"b\",by=\"c\",sum=\"d\"}",
    "{__name__=\"a\"}",
    "{\"a.b\",\"c.d\"=\"e\"}",
    "a[5m] offset 5m",
    "a[1h30m15s500ms]",
    "a[1y2w3d]",
    "a offset -5m @ 1.5",
    "a @ end() offset 1w",
    "rate(a[5m])[1h:5m]",
    "rate(a[5m])[1h:] @ start()",
    "max_over_time(sum(rate(a[5m]))[1h:5m] offset 1d)",
    "((a))",
    "a # comment\n+ # another\nb",
];

/// What both must refuse.
const REFUSED: [&str; 72] = [
    "",
    "#",
    "(",
    ")",
    "a b",
    "a +",
    "* a",
    "bool",
    "1 2",
    "a{",
    "a{b}",
    "a{b=}",
    "a{b=c}",
    "a{b=\"c\"",
    "a{b=\"c\" d=\"e\"}",
    "a{,}",
    "a{=\"b\"}",
    "a{b==\"c\"}",
    "a{b=~\"(\"}",
    "{}",
    "{a=\"\"}",
    "{a=~\".*\"}",
    "a{__name__=\"b\"}",
    "a{\"b\"}",
    "\"abc",
    "'abc\"",
    "\"\\q\"",
    "a[",
    "a[]",
    "a[5]]",
    "a[m]",
    "a[5m5h]",
    "a[0s]",
    "a[-5m]",
    "a[5m][5m]",
    "a[5m:",
    "1[5m]",
    "rate(a[5m])[5m]",
    "(a + b)[5m]",
    "a[5m][5m:1m]",
    "1 offset 5m",
    "a offset",
    "a offset 5m offset 5m",
    "a offset 5m[5m]",
    "a @",
    "a @ b",
    "a @ start",
    "a @ 1 @ 2",
    "a @ Inf",
    "foo(a)",
    "rate(a)",
    "rate()",
    "rate(a[5m], 1)",
    "abs(1)",
    "abs(a,)",
    "scalar(1)",
    "vector(a)",
    "label_replace(a, b, c, d, e)",
    "round(a, 1, 2)",
    "sum()",
    "sum(1)",
    "sum(a, b)",
    "topk(a)",
    "topk(a, b)",
    "count_values(1, a)",
    "1 > 2",
    "1 and 2",
    "a and 1",
    "a + bool b",
    "a and on (x) group_left b",
    "a + on (x) group_left (x) b",
    "a + \"b\"",
];

/// Expressions on which we differ, whether we accept them, and why.
const DIFFERENCES: [(&str, bool, &str); 6] = [
    ("1_000", true, "Prometheus allows underscores between digits"),
    ("a{b=`c\\d`}", true, "Prometheus takes texts in backquotes as they stand"),
    ("{\"a\",\"b\"}", false, "Prometheus refuses a second name"),
    ("holt_winters(h[5m], 0.5, 0.1)", true, "the old name stays"),
    ("holt_winters(h[5m], 1, 0.1)", true, "the old name stays"),
    ("holt_winters(h[5m], 0.5, 0)", true, "the old name stays"),
];

#[test]
fn trees_are_the_same_but_for_what_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut texts: Vec<String> = ACCEPTED.iter().chain(&REFUSED).map(|t| (*t).to_owned()).collect();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let cases = text.lines().filter(|l| l.starts_with("at ") || l.starts_with("range "));
        texts.extend(cases.filter_map(|line| {
            let line = line.split(" # ").next().unwrap_or("");
            Some(line.split_once(": ")?.1.trim().to_owned())
        }));
    }
    texts.extend(DIFFERENCES.iter().map(|difference| difference.0.to_owned()));
    texts.sort();
    texts.dedup();
    let mut failures = Vec::new();
    for text in &texts {
        let (ours, other) = (ours_written(text), theirs_written(text));
        let is_known = DIFFERENCES.iter().any(|difference| difference.0 == text);
        if (ours == other) == is_known {
            failures.push(format!("{text:?}\n  ours   {ours:?}\n  theirs {other:?}"));
        }
    }
    for (text, is_accepted, reason) in DIFFERENCES {
        let (ours, other) = (ours_written(text), theirs_written(text));
        assert!(ours != other, "{text:?} is no difference any more: {reason}");
        assert_eq!(ours.is_some(), is_accepted, "{text:?}");
    }
    for text in ACCEPTED {
        assert!(ours_written(text).is_some(), "{text:?} must be accepted");
    }
    for text in REFUSED {
        assert_eq!(ours_written(text), None, "{text:?} must be refused");
    }
    assert!(texts.len() > 400, "{} expressions", texts.len());
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

fn ours_written(text: &str) -> Option<String> {
    parse(text).ok().map(|expr| ours(&expr))
}

fn theirs_written(text: &str) -> Option<String> {
    theirs::parse(text).ok().map(|expr| other(&expr))
}

fn list(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(" ")
}

fn sorted(labels: &[String]) -> String {
    let mut labels = labels.to_vec();
    labels.sort();
    labels.dedup();
    labels.join(",")
}

fn ours(expr: &Expr) -> String {
    match expr {
        Expr::Number(number) => number_text(*number),
        Expr::Text(text) => format!("{text:?}"),
        Expr::Paren(inner) => format!("(paren {})", ours(inner)),
        Expr::Unary { is_minus: true, expr } => format!("(minus {})", ours(expr)),
        // The other tree has no plus sign.
        Expr::Unary { is_minus: false, expr } => ours(expr),
        Expr::Selector(selector) => our_selector(selector),
        Expr::Range(range) => format!("(range {} {})", range.range, our_selector(&range.selector)),
        Expr::Subquery(s) => {
            let (range, when) = (s.range, our_when(s.when));
            format!("(subquery {range} {:?} {when} {})", s.step, ours(&s.expr))
        }
        Expr::Binary(b) => {
            let matching = &b.matching;
            let (group, include) = match &matching.group {
                Group::None => ("one", ""),
                Group::Left(labels) => ("left", &*sorted(labels)),
                Group::Right(labels) => ("right", &*sorted(labels)),
            };
            let on = if matching.is_on { "on" } else { "ignoring" };
            let how = format!("{on}:{} {group}:{include}", sorted(&matching.labels));
            let (op, is_bool) = (b.op.as_str(), b.is_bool);
            format!("({op} {is_bool} {how} {} {})", ours(&b.left), ours(&b.right))
        }
        Expr::Aggregate(a) => {
            let by = if a.is_without { "without" } else { "by" };
            let parameter = a.parameter.as_ref().map(|p| ours(p)).unwrap_or_default();
            let (op, labels) = (a.op.as_str(), sorted(&a.labels));
            format!("({op} {by}:{labels} {parameter} {})", ours(&a.expr))
        }
        Expr::Call(call) => {
            format!("({} {})", call.function.name, list(call.arguments.iter().map(ours)))
        }
    }
}

fn our_selector(selector: &Selector) -> String {
    let text = |m: &Matcher| format!("{} {:?} {:?}", m.name(), m.op(), m.value());
    let mut matchers: Vec<String> = selector.matchers.iter().map(text).collect();
    matchers.sort();
    // The other tree keeps equal conditions once.
    matchers.dedup();
    format!("[{}]{}", matchers.join(";"), our_when(selector.when))
}

fn our_when(when: When) -> String {
    let at = match when.at {
        None => String::new(),
        Some(At::Millis(millis)) => format!("@{millis}"),
        Some(At::Start) => "@start".to_owned(),
        Some(At::End) => "@end".to_owned(),
    };
    format!("{at}-{}", when.offset)
}

fn other(expr: &theirs::Expr) -> String {
    match expr {
        theirs::Expr::NumberLiteral(number) => number_text(number.val),
        theirs::Expr::StringLiteral(text) => format!("{:?}", text.val),
        theirs::Expr::Paren(inner) => format!("(paren {})", other(&inner.expr)),
        theirs::Expr::Unary(unary) => format!("(minus {})", other(&unary.expr)),
        theirs::Expr::VectorSelector(selector) => other_selector(selector),
        theirs::Expr::MatrixSelector(m) => {
            format!("(range {} {})", m.range.as_millis(), other_selector(&m.vs))
        }
        theirs::Expr::Subquery(s) => {
            let step = s.step.map(|step| step.as_millis());
            let (range, when) = (s.range.as_millis(), other_when(s.offset.as_ref(), s.at.as_ref()));
            format!("(subquery {range} {step:?} {when} {})", other(&s.expr))
        }
        theirs::Expr::Binary(b) => other_binary(b),
        theirs::Expr::Aggregate(a) => {
            let (by, labels) = other_labels(a.modifier.as_ref(), ["by", "without"]);
            let parameter = a.param.as_ref().map(|p| other(p)).unwrap_or_default();
            format!("({} {by}:{labels} {parameter} {})", a.op, other(&a.expr))
        }
        theirs::Expr::Call(call) => {
            format!("({} {})", call.func.name, list(call.args.args.iter().map(|a| other(a))))
        }
        theirs::Expr::Extension(_) => panic!("extensions are not parsed"),
    }
}

fn other_labels(
    modifier: Option<&theirs::LabelModifier>,
    [include, exclude]: [&str; 2],
) -> (String, String) {
    match modifier {
        None => (include.to_owned(), String::new()),
        Some(theirs::LabelModifier::Include(l)) => (include.to_owned(), sorted(&l.labels)),
        Some(theirs::LabelModifier::Exclude(l)) => (exclude.to_owned(), sorted(&l.labels)),
    }
}

fn other_binary(b: &theirs::BinaryExpr) -> String {
    let none = theirs::BinModifier::default();
    let modifier = b.modifier.as_ref().unwrap_or(&none);
    let (on, labels) = match &modifier.matching {
        None => ("ignoring".to_owned(), String::new()),
        matching => other_labels(matching.as_ref(), ["on", "ignoring"]),
    };
    let (group, include) = match &modifier.card {
        theirs::VectorMatchCardinality::ManyToOne(labels) => ("left", sorted(&labels.labels)),
        theirs::VectorMatchCardinality::OneToMany(labels) => ("right", sorted(&labels.labels)),
        _ => ("one", String::new()),
    };
    let how = format!("{on}:{labels} {group}:{include}");
    format!("({} {} {how} {} {})", b.op, modifier.return_bool, other(&b.lhs), other(&b.rhs))
}

fn other_selector(selector: &theirs::VectorSelector) -> String {
    let op = |op: &label::MatchOp| match op {
        label::MatchOp::Equal => "Equal",
        label::MatchOp::NotEqual => "NotEqual",
        label::MatchOp::Re(_) => "Match",
        label::MatchOp::NotRe(_) => "NotMatch",
    };
    let text = |m: &label::Matcher| format!("{} {} {:?}", m.name, op(&m.op), m.value);
    let mut matchers: Vec<String> = selector.matchers.matchers.iter().map(text).collect();
    if let Some(name) = &selector.name {
        matchers.push(format!("__name__ Equal {name:?}"));
    }
    matchers.sort();
    matchers.dedup();
    let when = other_when(selector.offset.as_ref(), selector.at.as_ref());
    format!("[{}]{when}", matchers.join(";"))
}

fn other_when(offset: Option<&theirs::Offset>, at: Option<&theirs::AtModifier>) -> String {
    let millis = |duration: &Duration| duration.as_millis() as i64;
    let at = match at {
        None => String::new(),
        Some(theirs::AtModifier::Start) => "@start".to_owned(),
        Some(theirs::AtModifier::End) => "@end".to_owned(),
        Some(theirs::AtModifier::At(time)) => match time.duration_since(UNIX_EPOCH) {
            Ok(since) => format!("@{}", millis(&since)),
            Err(before) => format!("@-{}", millis(&before.duration())),
        },
    };
    let offset = match offset {
        None => 0,
        Some(theirs::Offset::Pos(duration)) => millis(duration),
        Some(theirs::Offset::Neg(duration)) => -millis(duration),
    };
    format!("{at}-{offset}")
}
