//! Pages in, samples and metas out.

use super::*;
use proptest::prelude::*;

/// One line a sample: labels, value, and time when there is one.
fn shown(page: &str, format: Format) -> Vec<String> {
    let exposition = parse(page, format).unwrap();
    let show = |s: &PageSample| match s.at {
        Some(at) => format!("{} {} @{at}", s.labels, s.value),
        None => format!("{} {}", s.labels, s.value),
    };
    exposition.samples.iter().map(show).collect()
}

fn metas_shown(page: &str, format: Format) -> Vec<String> {
    let metas = parse(page, format).unwrap().metas;
    metas.iter().map(|m| format!("{} {:?} [{}] {}", m.name, m.kind, m.unit, m.help)).collect()
}

/// The example of the format's own documentation.
const DOCUMENTED: &str = r#"# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# A histogram, which has a pretty complex representation in the text format:
# HELP http_request_duration_seconds A histogram of the request duration.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320

# Finally a summary, which has a complex representation, too:
# HELP rpc_duration_seconds A summary of the RPC duration in seconds.
# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.01"} 3102
rpc_duration_seconds_sum 1.7560473e+07
rpc_duration_seconds_count 2693
"#;

#[test]
fn the_documented_example_is_read() {
    let samples = [
        r#"http_requests_total{code="200",method="post"} 1027 @1395066363.000"#,
        r#"http_requests_total{code="400",method="post"} 3 @1395066363.000"#,
        r#"msdos_file_access_time_seconds{error="Cannot find file:\n\"FILE.TXT\"",path="C:\\DIR\\FILE.TXT"} 1458255915"#,
        "metric_without_timestamp_and_labels 12.47",
        r#"something_weird{problem="division by zero"} inf @-3982.045"#,
        r#"http_request_duration_seconds_bucket{le="0.05"} 24054"#,
        r#"http_request_duration_seconds_bucket{le="+Inf"} 144320"#,
        "http_request_duration_seconds_sum 53423",
        "http_request_duration_seconds_count 144320",
        r#"rpc_duration_seconds{quantile="0.01"} 3102"#,
        "rpc_duration_seconds_sum 17560473",
        "rpc_duration_seconds_count 2693",
    ];
    assert_eq!(shown(DOCUMENTED, Format::Text), samples);
    let metas = [
        "http_request_duration_seconds_bucket Histogram [] A histogram of the request duration.",
        "http_request_duration_seconds_count Histogram [] A histogram of the request duration.",
        "http_request_duration_seconds_sum Histogram [] A histogram of the request duration.",
        "http_requests_total Counter(Float) [] The total number of HTTP requests.",
        "rpc_duration_seconds Summary [seconds] A summary of the RPC duration in seconds.",
        "rpc_duration_seconds_count Counter(Float) [] A summary of the RPC duration in seconds.",
        "rpc_duration_seconds_sum Counter(Float) [] A summary of the RPC duration in seconds.",
    ];
    assert_eq!(metas_shown(DOCUMENTED, Format::Text), metas);
}

#[test]
fn openmetrics_has_units_exemplars_and_seconds() {
    let page = r#"# TYPE foo_seconds counter
# UNIT foo_seconds seconds
# HELP foo_seconds How long.
foo_seconds_total{a="b"} 17.0 1520879607.789 # {trace_id="KOO5S4vxi0o"} 0.67
foo_seconds_created 1520430000.123
bar 3 # {a="b"} 1
# EOF
"#;
    let samples = [
        r#"foo_seconds_total{a="b"} 17 @1520879607.789"#,
        "foo_seconds_created 1520430000.123",
        "bar 3",
    ];
    assert_eq!(shown(page, Format::OpenMetrics), samples);
    assert_eq!(
        metas_shown(page, Format::OpenMetrics),
        ["foo_seconds_total Counter(Float) [seconds] How long."]
    );
    let cut = parse("a 1\n", Format::OpenMetrics).unwrap_err();
    assert_eq!(cut.to_string(), "line 1: # EOF is missing: the page was cut off");
    assert!(parse("# EOF\na 1\n", Format::OpenMetrics).is_err());
}

#[test]
fn names_in_quotes_and_odd_spacing_are_read() {
    let page =
        "{\"my.metric\", \"a.b\"=\"c\"} 1\n  x  {  a = \"b\" , }  NaN\ny{}2\nz{a=\"\"} -Inf\n";
    let names = shown(page, Format::Text);
    assert_eq!(names, ["my.metric{a.b=\"c\"} 1", "x{a=\"b\"} NaN", "y 2", "z -inf"]);
}

#[test]
fn an_untyped_name_that_ends_in_total_is_a_counter() {
    let page = "# HELP a_bytes_total A.\na_bytes_total 1\n# TYPE b untyped\nb 1\n";
    let metas = ["a_bytes_total Counter(Float) [bytes] A.", "b Untyped [] "];
    assert_eq!(metas_shown(page, Format::Text), metas);
}

#[test]
fn a_faulty_line_is_named() {
    let cases = [
        ("a 1\nb\n", "line 2: the value is missing"),
        ("a x\n", "line 1: the value is no number"),
        ("a 1 x\n", "line 1: the time is no number"),
        ("a 1 2 3\n", "line 1: there is more after the value and its time"),
        ("a{b=\"c} 1\n", "line 1: a quote is not closed"),
        ("a{b=c} 1\n", "line 1: a value does not begin with a quote"),
        ("a{b} 1\n", "line 1: a label has no value"),
        ("a{b=\"c\" d=\"e\"} 1\n", "line 1: the labels are not closed by }"),
        ("a{b=\"1\",b=\"2\"} 1\n", "line 1: a label is there twice"),
        ("{a=\"b\"} 1\n", "line 1: the metric has no name"),
        ("1a 1\n", "line 1: a name is missing or holds a character that is not allowed"),
        ("<html>\n", "line 1: a name is missing or holds a character that is not allowed"),
    ];
    for (page, text) in cases {
        assert_eq!(parse(page, Format::Text).unwrap_err().to_string(), text, "{page:?}");
    }
    let labels: Vec<_> = (0..65).map(|i| format!("l{i}=\"x\"")).collect();
    let many = format!(
        "a{{{}}} 1
",
        labels.join(",")
    );
    assert!(parse(&many, Format::Text).unwrap_err().reason.contains("too many labels"));
}

#[test]
fn the_format_is_told_by_the_content_type() {
    assert_eq!(Format::of("application/openmetrics-text; version=1.0.0"), Format::OpenMetrics);
    assert_eq!(Format::of("text/plain; version=0.0.4"), Format::Text);
    assert_eq!(Format::of(""), Format::Text);
}

proptest! {
    #[test]
    fn damaged_pages_never_panic(at in 0..DOCUMENTED.len(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = DOCUMENTED.as_bytes().to_vec();
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        let page = String::from_utf8_lossy(&bytes);
        for format in [Format::Text, Format::OpenMetrics] {
            if let Ok(exposition) = parse(&page, format) {
                prop_assert!(exposition.samples.len() <= page.lines().count());
            }
        }
    }
}
