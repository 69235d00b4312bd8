//! What the graph of a mail shows.

use noroshi_expr::MemorySeries;
use noroshi_model::{ChangeKind, Matcher, MetricMeta, Restart, Select, SelectError, SeriesData};

use super::*;
use crate::fixture::change;

/// The moment of the change in these tests.
const AT: Timestamp = Timestamp::from_secs(1_800_000_000);

fn failed_since(ago: Duration) -> HardChange {
    let mut change = *change(ChangeKind::HardProblem, Status::Critical);
    change.since = AT - ago;
    HardChange { event: 1, at: AT, change }
}

fn hint(expr: &str, warning: Option<f64>, critical: Option<f64>) -> GraphHint {
    let (title, unit) = ("Use of file systems".to_owned(), "percent".to_owned());
    GraphHint { expr: expr.to_owned(), title, unit, warning, critical }
}

/// Four file systems, used 50, 60, 70 and 95 per cent for the last six hours.
fn disks() -> MemorySeries {
    let mut series = MemorySeries::new();
    for (mountpoint, used) in [("/", 50.0), ("/home", 60.0), ("/srv", 70.0), ("/var", 95.0)] {
        let labels =
            Labels::new([("__name__", "used"), ("instance", "web1"), ("mountpoint", mountpoint)]);
        let begin = AT - Duration::from_hours(6);
        let samples = (0..=6 * 60).map(|i| (begin + Duration::from_mins(i), used));
        series.add(&labels, samples);
    }
    series
}

#[test]
fn the_worst_value_is_written_first_with_its_thresholds() {
    let last = failed_since(Duration::from_mins(3));
    let cases = [
        (
            Some(80.0),
            Some(90.0),
            "/var 95 %, /srv 70 %, /home 60 %, 1 more (warning 80 %, critical 90 %)",
        ),
        (
            Some(60.0),
            Some(55.0),
            "/ 50 %, /home 60 %, /srv 70 %, 1 more (warning 60 %, critical 55 %)",
        ),
        (None, None, "/var 95 %, /srv 70 %, /home 60 %, 1 more"),
    ];
    for (warning, critical, expected) in cases {
        let hint = hint("used", warning, critical);
        let picture = draw(&disks(), &hint, &last, AT, TimeZone::UTC).unwrap();
        assert_eq!(picture.values.as_deref(), Some(expected));
        assert_eq!(&picture.png.unwrap()[1..4], b"PNG");
    }
}

#[test]
fn an_image_is_never_larger_than_a_mail_should_carry() {
    let mut series = MemorySeries::new();
    for device in ["sda", "sdb", "sdc", "sdd", "sde", "sdf", "sdg"] {
        let labels = Labels::new([("__name__", "busy"), ("device", device)]);
        let begin = AT - Duration::from_hours(3);
        // As jagged as a line can be: every point far from its neighbours.
        let jagged = |i: u64| ((i * 7919 + device.len() as u64 * 31) % 101) as f64;
        let samples = (0..=3 * 360).map(|i| (begin + Duration::from_secs(i * 10), jagged(i)));
        series.add(&labels, samples);
    }
    let last = failed_since(Duration::from_mins(3));
    let hint = hint("busy", Some(80.0), Some(90.0));
    let picture = draw(&series, &hint, &last, AT, TimeZone::UTC).unwrap();
    let bytes = picture.png.unwrap().len();
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
}

/// Series whose source began anew: what a store tells besides.
struct Restarted(MemorySeries, Vec<Timestamp>);

impl SeriesSource for Restarted {
    fn select(&self, request: &Select) -> Result<Vec<SeriesData>, SelectError> {
        self.0.select(request)
    }

    fn series(
        &self,
        matchers: &[Matcher],
        from: Timestamp,
        to: Timestamp,
        max: usize,
    ) -> Result<Vec<Labels>, SelectError> {
        self.0.series(matchers, from, to, max)
    }

    fn label_names(&self, matchers: &[Matcher], max: usize) -> Result<Vec<String>, SelectError> {
        self.0.label_names(matchers, max)
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        max: usize,
    ) -> Result<Vec<String>, SelectError> {
        self.0.label_values(name, matchers, max)
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<MetricMeta>, SelectError> {
        self.0.metadata(metric)
    }

    fn last_seen(&self, matchers: &[Matcher]) -> Result<Option<Timestamp>, SelectError> {
        self.0.last_seen(matchers)
    }

    fn restarts(
        &self,
        matchers: &[Matcher],
        (from, to): (Timestamp, Timestamp),
        _: usize,
    ) -> Result<Vec<Restart>, SelectError> {
        assert!(matchers.iter().any(|matcher| matcher.matches("used")), "of what is drawn");
        let within = self.1.iter().filter(|at| (from..=to).contains(*at));
        let boot = |at: &Timestamp| Restart { at: *at, started_at: *at, job: "node".to_owned() };
        Ok(within.map(boot).collect())
    }
}

/// Goal: the mail shows when its host was booted. Method: the pictures with and without a restart
/// differ most in one column, that of the mark's line; restarts at equal distances have columns at
/// equal distances, in their order, left of the failure.
#[test]
fn a_restart_is_marked_where_it_was() {
    let last = failed_since(Duration::from_mins(3));
    let pixels = |restarts: &[u64]| {
        let at = restarts.iter().map(|minutes| AT - Duration::from_mins(*minutes)).collect();
        let source = Restarted(disks(), at);
        let hint = hint("used", None, Some(90.0));
        let png = draw(&source, &hint, &last, AT, TimeZone::UTC).unwrap().png.unwrap();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        (pixels, frame.width as usize, frame.line_size)
    };
    let (plain, width, line) = pixels(&[]);
    let column_of = |minutes: u64| {
        let (marked, ..) = pixels(&[minutes]);
        assert_eq!(marked.len(), plain.len());
        let bytes_of_pixel = line / width;
        let differing = |column: usize| {
            let pixel = |row: usize| row * line + column * bytes_of_pixel;
            let rows = 0..plain.len() / line;
            rows.filter(|row| {
                let at = pixel(*row);
                plain[at..at + bytes_of_pixel] != marked[at..at + bytes_of_pixel]
            })
            .count()
        };
        (0..width).max_by_key(|column| differing(*column)).unwrap() as i64
    };
    // The picture begins two and a half hours before the failure.
    let [first, second, third] = [120, 80, 40].map(column_of);
    assert!(first < second && second < third, "{first} {second} {third}");
    let (one, other) = (second - first, third - second);
    assert!((one - other).abs() <= 2 && one > 50, "{first} {second} {third}");
    // One before the picture's span is not on it.
    assert_eq!(pixels(&[600]).0, plain);
}

#[test]
fn thinning_keeps_the_worst() {
    let value = vec![1.0, 9.0, 2.0, 3.0, 0.5];
    let series = RangeSeries { labels: Labels::empty(), at: vec![10, 20, 30, 40, 50], value };
    assert_eq!(thinned(&series, 2, 1.0), (vec![20, 40, 50], vec![9.0, 3.0, 0.5]));
    assert_eq!(thinned(&series, 2, -1.0), (vec![10, 30, 50], vec![1.0, 2.0, 0.5]));
}

#[test]
fn a_long_problem_is_shown_from_before_it_began() {
    let cases = [
        // since ago, now after the change, expected: minutes before the change, minutes after it
        (3, 0, 150, 0),
        (300, 0, 345, 0),
        (3, 60, 140, 10),
        (60 * 24 * 30, 0, 60 * 48, 0),
    ];
    for (since, late, before, after) in cases {
        let last = failed_since(Duration::from_mins(since));
        let (start, end, step) = span(&last, AT + Duration::from_mins(late));
        assert_eq!(end.since(AT), Duration::from_mins(after));
        let shown = AT.since(start);
        assert!(shown >= Duration::from_mins(before), "{since}: {shown:?}");
        assert!(shown < Duration::from_mins(before) + step, "{since}: {shown:?}");
        assert!(end.since(start).as_secs() / step.as_secs() <= u64::from(WIDTH) + 1);
    }
}

#[test]
fn what_cannot_be_drawn_says_why() {
    let last = failed_since(Duration::from_mins(3));
    let drawn = |expr: &str| {
        draw(&disks(), &hint(expr, None, None), &last, AT, TimeZone::UTC)
            .map(|picture| (picture.png.is_some(), picture.values))
    };
    assert!(drawn("sum(").is_err());
    assert!(drawn("\"text\"").is_err());
    assert_eq!(drawn("nothing_of_that_name"), Ok((false, None)));
}
