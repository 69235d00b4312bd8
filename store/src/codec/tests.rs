use noroshi_model::UNKNOWN;
use proptest::prelude::*;

use super::*;

fn packed(points: &[Point]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut state = SamplesState::new(points[0].at);
    for chunk in points.chunks(CHUNK_SAMPLES) {
        encode_samples(&mut out, chunk, &mut state);
    }
    out
}

fn unpacked(bytes: &[u8], first_at: i64) -> Option<Vec<Point>> {
    let mut out = Vec::new();
    decode_samples(&mut Reader::new(bytes), &mut out, &mut SamplesState::new(first_at))?;
    Some(out)
}

fn bits(points: &[Point]) -> Vec<(i64, u64)> {
    points.iter().map(|point| (point.at, point.value.to_bits())).collect()
}

fn series(values: impl IntoIterator<Item = f64>) -> Vec<Point> {
    let at = |index: usize| 1_790_000_000_000 + index as i64 * 10_000;
    values.into_iter().enumerate().map(|(i, value)| Point { at: at(i), value }).collect()
}

/// Any float, with what monitoring meets most: whole numbers, decimals, constants, unknown.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (-1_000_000_i64..1_000_000).prop_map(|v| v as f64),
        3 => (-1_000_000_i64..1_000_000).prop_map(|v| v as f64 / 100.0),
        2 => Just(42.0),
        1 => Just(UNKNOWN),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => prop_oneof![Just(-0.0), Just(f64::NAN), Just(f64::INFINITY), Just(9e15), Just(0.0)],
        1 => any::<i64>().prop_map(|v| v as f64),
    ]
}

/// Runs of values of one sort, so that all encodings are met and follow each other.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let run = prop_oneof![
        prop::collection::vec(value(), 1..80),
        (value(), 1_usize..150).prop_map(|(value, n)| vec![value; n]),
        (any::<u32>(), 0_u32..9_000, 1_u32..150).prop_map(|(start, by, n)| (0..n)
            .map(|i| f64::from(start) + f64::from(i) * f64::from(by))
            .collect()),
    ];
    prop::collection::vec(run, 1..5).prop_map(|runs| runs.concat())
}

proptest! {
    #[test]
    fn samples_come_back_bit_by_bit(
        values in values(),
        gaps in prop::collection::vec(prop_oneof![4 => Just(10_000_i64), 1 => 1_i64..90_000], 700),
    ) {
        let mut points = series(values);
        let mut at = points[0].at;
        for (point, gap) in points.iter_mut().zip(gaps.iter().cycle()) {
            point.at = at;
            at += gap;
        }
        let bytes = packed(&points);
        prop_assert_eq!(bits(&unpacked(&bytes, points[0].at).unwrap()), bits(&points));
    }

    #[test]
    fn extreme_times_come_back(times in prop::collection::btree_set(any::<i64>(), 1..200)) {
        let points: Vec<Point> = times.iter().map(|at| Point { at: *at, value: 1.0 }).collect();
        prop_assert_eq!(bits(&unpacked(&packed(&points), points[0].at).unwrap()), bits(&points));
    }

    #[test]
    fn rows_come_back(
        values in values(), step in prop_oneof![Just(60_000_i64), Just(1_000)], increase: bool,
        holes in prop::collection::vec(prop_oneof![9 => Just(1_i64), 1 => 2_i64..50], 700),
    ) {
        let mut at = 1_790_000_040_000_i64;
        let rows: Vec<Row> = values.chunks(3).zip(&holes).map(|(three, hole)| {
            at += hole * step;
            if noroshi_model::is_unknown(three[0]) {
                return Row::unknown(at);
            }
            let (min, max) = (three[0] - 1.5, three[0] + 2.25);
            let last = three[three.len() - 1];
            let count = 1 + (three[0].to_bits() % 7);
            let grown = if increase { three[0] * 0.5 } else { 0.0 };
            Row { at, min, max, sum: three.iter().sum(), last, count, increase: grown }
        }).collect();
        let mut bytes = Vec::new();
        encode_rows(&mut bytes, &rows, &mut RowsState::new(step, rows[0].at, increase));
        let mut back = Vec::new();
        let mut state = RowsState::new(step, rows[0].at, increase);
        decode_rows(&mut Reader::new(&bytes), &mut back, &mut state).unwrap();
        let bits = |row: &Row| (
            row.at, row.min.to_bits(), row.max.to_bits(), row.sum.to_bits(), row.last.to_bits(),
            row.count, row.increase.to_bits(),
        );
        prop_assert_eq!(
            back.iter().map(bits).collect::<Vec<_>>(), rows.iter().map(bits).collect::<Vec<_>>()
        );
    }

    #[test]
    fn damaged_bytes_never_panic_nor_grow(
        values in values(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let points = series(values);
        let mut bytes = packed(&points);
        for (index, byte) in damage {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let mut out = Vec::new();
        let mut state = SamplesState::new(points[0].at);
        // A chunk has at least two bytes and gives at most 64 samples.
        let whole = decode_samples(&mut Reader::new(&bytes), &mut out, &mut state);
        prop_assert!(out.len() <= bytes.len() * 32, "{:?}", whole);
        let mut rows = Vec::new();
        let mut state = RowsState::new(10_000, points[0].at, true);
        let whole = decode_rows(&mut Reader::new(&bytes), &mut rows, &mut state);
        prop_assert!(rows.len() <= bytes.len() * 32, "{:?}", whole);
    }
}

#[test]
fn common_series_take_the_bytes_they_are_worth() {
    // (what, series, bits a sample at most), 512 samples each; exact steps of 10 s.
    let noise = |i: usize| (i * 7919 % 101) as f64;
    let mut counter = 123_456_789_012.0;
    let cases = [
        ("constant", series((0..512).map(|_| 42.0)), 0.6),
        ("steady counter", series((0..512).map(|i| f64::from(i) * 1500.0)), 0.7),
        ("two decimals", series((0..512).map(|i| (3500.0 + noise(i)) / 100.0)), 8.0),
        ("pages", series((0..512).map(|i| (2e6 + noise(i)) * 4096.0)), 8.5),
        (
            "counter",
            series((0..512).map(|i| {
                counter += 1e6 + noise(i) * 1e4;
                counter
            })),
            10.0,
        ),
    ];
    for (what, points, bits_max) in cases {
        let bits = packed(&points).len() as f64 * 8.0 / points.len() as f64;
        assert!(bits <= bits_max, "{what}: {bits} bits a sample");
    }
}

#[test]
fn decimals_are_counted() {
    let cases: [(&[f64], Option<u8>); 7] = [
        (&[1.0, -3.0], Some(0)),
        (&[0.1, 2.0], Some(1)),
        (&[37.45], Some(2)),
        (&[0.000_001], Some(6)),
        (&[1.0 / 3.0], None),
        (&[-0.0], None),
        (&[1e300], None),
    ];
    for (values, decimals) in cases {
        assert_eq!(significant_decimals(values), decimals, "{values:?}");
    }
}
