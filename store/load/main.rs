//! Puts load on a store and checks afterwards that nothing acknowledged is gone: the program that
//! the crash tests kill.
//!
//! `store-load write DIR SERIES` prints `T thread step` for each acknowledged step of a thread's
//! series, and `R number` for each acknowledged record. `store-load verify DIR SERIES` reads such
//! lines from its standard input, opens the store, and looks for all of it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to a test")]

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use noroshi_model::seam::{ManualClock, Segment};
use noroshi_model::{
    Batch, Clock, Labels, Matcher, RecordBatch, Records, Refused, Sample, Select, SeriesSource,
    Space, Timestamp,
};
use noroshi_store::{ArchiveSpec, RetentionClass, Store, StoreConfig};

const START: i64 = 1_790_025_600;
const THREADS: usize = 4;

fn config() -> StoreConfig {
    let spec = |step, rows| ArchiveSpec { step: Duration::from_secs(step), rows };
    let archives = vec![spec(10, 1_000_000), spec(60, 1_000_000), spec(300, 1_000_000)];
    StoreConfig {
        classes: vec![RetentionClass { archives, ..RetentionClass::default() }],
        commit_interval: Duration::from_millis(5),
        // Small, so that checkpoints happen while the test runs.
        journal_bytes_max: 1 << 20,
        disk_bytes_max: Some(1 << 40),
        ..StoreConfig::default()
    }
}

fn value(series: usize, step: i64) -> f64 {
    ((step * 7919 + series as i64 * 104_729) % 10_007) as f64 / 100.0
}

fn labels(thread: usize, series: usize) -> Labels {
    let (series, thread) = (series.to_string(), thread.to_string());
    Labels::new([("__name__", "load"), ("series", &series), ("thread", &thread)])
}

fn open(directory: &Path) -> Option<(Arc<Store>, Arc<ManualClock>)> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let opened = Store::open(directory, config(), Arc::clone(&clock) as Arc<dyn Clock>);
    match opened {
        Ok((store, recovery)) => {
            eprintln!("{recovery:?}");
            Some((store, clock))
        }
        Err(error) => {
            eprintln!("{error}: {:?}", std::error::Error::source(&error));
            None
        }
    }
}

/// Prints a line at once; ends the program when nobody listens.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Returns the step after the newest one that is stored of a thread's series.
fn next_step(store: &Store, thread: usize) -> i64 {
    let matcher = Matcher::equal("thread", &thread.to_string());
    let seen = store.last_seen(&[matcher]).ok().flatten();
    seen.map_or(1, |at| (at.as_secs() - START) / 10 + 1)
}

fn write(directory: &Path, series: usize) -> ExitCode {
    let Some((store, clock)) = open(directory) else { return ExitCode::FAILURE };
    let newest = AtomicI64::new(START);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, clock, newest) = (&store, &clock, &newest);
            scope.spawn(move || {
                let names: Vec<Labels> = (0..series).map(|s| labels(thread, s)).collect();
                for step in next_step(store, thread).. {
                    let at = START + step * 10;
                    newest.fetch_max(at, Relaxed);
                    clock.set(Timestamp::from_secs(newest.load(Relaxed)));
                    if !write_step(store, &names, step) {
                        return;
                    }
                    say(&format!("T {thread} {step}"));
                }
            });
        }
        scope.spawn(|| write_records(&store));
    });
    ExitCode::SUCCESS
}

/// Writes one step of all series of a thread until it is taken; false when the store is closing.
fn write_step(store: &Store, names: &[Labels], step: i64) -> bool {
    loop {
        let at = Timestamp::from_secs(START + step * 10);
        let sample = |(s, labels): (usize, &Labels)| Sample {
            labels: labels.clone(),
            at,
            value: value(s, step),
        };
        let samples = names.iter().enumerate().map(sample).collect();
        match store.submit_blocking(Batch { samples, ..Batch::new() }) {
            Ok(accepted) if accepted.stored == names.len() => return true,
            Ok(accepted) => eprintln!("refused in part: {accepted:?}"),
            Err(Refused::DiskFull) => {
                say("FULL");
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(refused) => {
                eprintln!("refused: {refused}");
                return false;
            }
        }
    }
}

fn write_records(store: &Store) {
    let newest = store.scan_back(Space::Events, b"", None, 1).ok().and_then(|mut v| v.pop());
    let newest = newest.and_then(|(key, _)| Some(u64::from_be_bytes(key.try_into().ok()?)));
    for number in newest.map_or(0, |number| number + 1).. {
        let mut batch = RecordBatch::new();
        batch.put(Space::Events, number.to_be_bytes(), vec![number as u8; 300]);
        batch.put(Space::Values, "newest", number.to_be_bytes());
        while let Err(error) = store.commit(batch.clone()) {
            eprintln!("{error}");
            std::thread::sleep(Duration::from_millis(100));
        }
        say(&format!("R {number}"));
    }
}

fn verify(directory: &Path, series: usize) -> ExitCode {
    let (mut steps, mut record) = ([0_i64; THREADS], None::<u64>);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["T", thread, step] => {
                let (thread, step) = (thread.parse::<usize>(), step.parse::<i64>());
                if let (Ok(thread), Ok(step)) = (thread, step) {
                    steps[thread] = steps[thread].max(step);
                }
            }
            ["R", number] => record = record.max(number.parse().ok()),
            _ => {}
        }
    }
    let Some((store, clock)) = open(directory) else { return ExitCode::FAILURE };
    clock.set(Timestamp::from_secs(START + 5_000_000));
    let mut lost = 0;
    for (thread, &acknowledged) in steps.iter().enumerate() {
        for series in 0..series {
            lost += lost_samples(&store, thread, series, acknowledged);
        }
    }
    lost += lost_records(&store, record);
    println!("steps {steps:?}, record {record:?}: {lost} lost or wrong");
    if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn lost_samples(store: &Store, thread: usize, series: usize, acknowledged: i64) -> i64 {
    let request = Select {
        matchers: vec![
            Matcher::equal("thread", &thread.to_string()),
            Matcher::equal("series", &series.to_string()),
        ],
        after: Timestamp::from_secs(START),
        until: Timestamp::MAX,
        step: Duration::ZERO,
        window: Duration::ZERO,
        samples_max: usize::MAX,
    };
    let Ok(answer) = store.select(&request) else { return i64::MAX };
    let (mut found, mut wrong) = (0, 0);
    for segment in answer.iter().flat_map(|series| &series.segments) {
        let Segment::Raw(raw) = segment else { continue };
        for (at, got) in raw.at.iter().zip(&raw.value) {
            let step = (at / 1000 - START) / 10;
            found += i64::from(step <= acknowledged);
            wrong += i64::from(*got != value(series, step));
        }
    }
    (acknowledged - found).abs() + wrong
}

fn lost_records(store: &Store, acknowledged: Option<u64>) -> i64 {
    let Some(acknowledged) = acknowledged else { return 0 };
    let mut lost = 0;
    for number in 0..=acknowledged {
        let got = store.get(Space::Events, &number.to_be_bytes()).ok().flatten();
        lost += i64::from(got != Some(vec![number as u8; 300]));
    }
    lost
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, directory, series] = &words[..] else {
        eprintln!("store-load write|verify DIR SERIES");
        return ExitCode::FAILURE;
    };
    let series = series.parse().unwrap_or(100);
    match what.as_str() {
        "write" => write(Path::new(directory), series),
        "verify" => verify(Path::new(directory), series),
        _ => ExitCode::FAILURE,
    }
}
