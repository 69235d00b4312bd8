//! The index alone: from label matchers to series among a million, in milliseconds.
//! `cargo bench -p noroshi-store --bench index [-- HOSTS]` (10,000 hosts of 100 series).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may fail")]

#[allow(dead_code, reason = "the store's own file; the bench uses a part")]
#[path = "../src/index.rs"]
mod index;

use std::time::{Duration, Instant};

use index::Index;
use noroshi_model::{Labels, Matcher, MatcherOp};

const SERIES_OF_HOST: usize = 100;

fn labels(host: usize, series: usize) -> Labels {
    Labels::new([
        ("__name__", format!("node_thing{series}")),
        ("datacenter", format!("dc{}", host % 3)),
        ("device", format!("eth{}", series % 7)),
        ("instance", format!("host{host:05}.example.net:9100")),
        ("job", "node".to_owned()),
        ("rack", format!("rack{:02}", host % 40)),
    ])
}

fn main() {
    let hosts = std::env::args().find_map(|text| text.parse().ok()).unwrap_or(10_000);
    let all: Vec<Labels> = (0..hosts)
        .flat_map(|host| (0..SERIES_OF_HOST).map(move |series| labels(host, series)))
        .collect();
    let begun = Instant::now();
    let mut index = Index::default();
    for (series, labels) in all.iter().enumerate() {
        index.add(series as u32, labels);
    }
    let took = begun.elapsed().as_secs_f64();
    println!("{} series indexed in {took:.2} s\n\n| matchers | series | ms |", all.len());
    println!("|---|---:|---:|");
    use MatcherOp::{Equal, Match, NotEqual, NotMatch};
    let one = "host00777.example.net:9100";
    let cases: [&[(&str, MatcherOp, &str)]; 9] = [
        &[("__name__", Equal, "node_thing5")],
        &[("instance", Equal, one)],
        &[("__name__", Equal, "node_thing5"), ("instance", Equal, one)],
        &[("__name__", Equal, "node_thing5"), ("datacenter", NotEqual, "dc1")],
        &[("__name__", Equal, "node_thing5"), ("instance", Match, "host007.*")],
        &[("instance", Match, "host0077[0-9].*")],
        &[("__name__", Match, "node_thing[0-4]"), ("rack", Equal, "rack07")],
        &[("__name__", Equal, "node_thing5"), ("instance", NotMatch, "host00.*")],
        &[("job", Equal, "node"), ("__name__", NotMatch, "node_thing.[0-9]")],
    ];
    for case in cases {
        let matchers: Vec<Matcher> =
            case.iter().map(|(name, op, value)| Matcher::new(name, *op, value).unwrap()).collect();
        let (mut best, mut count) = (Duration::MAX, 0);
        for _ in 0..7 {
            let begun = Instant::now();
            // As the catalogue does: what the index cannot tell is looked up in the labels.
            let found = index.candidates(&matchers).unwrap();
            let is_match = |labels: &Labels| matchers.iter().all(|m| m.matches_labels(labels));
            count = if found.are_exact {
                found.series.len()
            } else {
                found.series.iter().filter(|series| is_match(&all[**series as usize])).count()
            };
            best = best.min(begun.elapsed());
        }
        let shown: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        let ms = 1000.0 * best.as_secs_f64();
        println!("| `{{{}}}` | {count} | {ms:.2} |", shown.join(","));
    }
}
