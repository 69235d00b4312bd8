//! Requests of Prometheus remote write 1.0 as a sender writes them (`prompb/remote.proto`,
//! `prompb/types.proto`, "Protocol Buffers Encoding"): for tests and benches, apart from what the
//! server reads with, so that no error is made on both sides.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by tests and benches")]

/// A request before it is compressed by snappy.
#[derive(Default)]
pub struct Request {
    plain: Vec<u8>,
    /// Reused from series to series.
    series: Vec<u8>,
    sample: Vec<u8>,
}

impl Request {
    /// Adds a series with labels as [`labels`] wrote them and `(milliseconds, value)`.
    pub fn put(&mut self, labels: &[u8], samples: impl IntoIterator<Item = (i64, f64)>) {
        self.series.clear();
        self.series.extend_from_slice(labels);
        for (at, value) in samples {
            self.sample.clear();
            self.sample.push(1 << 3 | 1);
            self.sample.extend_from_slice(&value.to_le_bytes());
            self.sample.push(2 << 3);
            put_varint(&mut self.sample, at as u64);
            put_field(&mut self.series, 2, &self.sample);
        }
        put_field(&mut self.plain, 1, &self.series);
    }

    /// Returns the bytes so far.
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.plain.clear();
    }
}

/// Writes labels, sorted by name as the specification asks.
pub fn labels<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Vec<u8> {
    let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
    pairs.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
    let (mut all, mut label) = (Vec::new(), Vec::new());
    for (name, value) in pairs {
        label.clear();
        put_field(&mut label, 1, name.as_ref().as_bytes());
        put_field(&mut label, 2, value.as_ref().as_bytes());
        put_field(&mut all, 1, &label);
    }
    all
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Puts a field that has a length.
fn put_field(out: &mut Vec<u8>, field: u8, content: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}
