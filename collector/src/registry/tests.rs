//! Walks the pollers: everything that a poller's folder must have is there and agrees.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use noroshi_model::Timestamp;

use super::*;
use crate::PollTargets;
use crate::poll::{PollFailure, PollSpec};
use crate::reading::{Booker, Labelled};

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(kind)
}

/// The polls that a poller's sample configures.
fn specs(poller: &PollerInfo) -> Vec<PollSpec> {
    let targets: PollTargets = toml::from_str(poller.sample).unwrap();
    targets.specs("web1")
}

#[test]
fn every_sample_configures_its_poller() {
    for poller in registry() {
        let kinds: Vec<_> = specs(poller).iter().map(|spec| spec.target.kind()).collect();
        assert_eq!(kinds, [poller.kind], "{}", poller.kind);
    }
}

#[test]
fn every_sample_names_all_keys_of_its_configuration() {
    for poller in registry() {
        let kind = poller.kind;
        let read =
            |name: &str| std::fs::read_to_string(folder(kind).join(name)).unwrap_or_default();
        let own = read("mod.rs") + &read("config.rs");
        let shared = include_str!("../config.rs").split_once("pub struct StatusPage {");
        let (_, body) = own.split_once("pub struct Config {").or(shared).unwrap();
        let fields = body.lines().take_while(|line| *line != "}");
        let names = fields.filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'));
        for (name, _) in names {
            let line = format!("{name} = ");
            assert!(poller.sample.contains(&line), "{kind}: {name} is not in sample.toml");
        }
    }
}

#[test]
fn every_payload_is_read_and_gives_only_what_is_declared() {
    for poller in registry().iter().filter(|poller| !(poller.metas)().is_empty()) {
        let kind = poller.kind;
        let declared: BTreeSet<_> = (poller.metas)().into_iter().map(|meta| meta.name).collect();
        let mut given = BTreeSet::new();
        for file in std::fs::read_dir(folder(kind).join("payloads")).unwrap() {
            let payload = std::fs::read(file.unwrap().path()).unwrap();
            let batch = poller.read_answer(&payload, Timestamp::from_secs(100)).unwrap();
            for labels in batch.samples.iter().map(|sample| &sample.labels) {
                assert!(declared.contains(labels.name()), "{kind} gives {labels} undeclared");
                assert_eq!(labels.get("job"), Some(kind));
                given.insert(labels.name().to_owned());
            }
        }
        assert_eq!(given, declared, "{kind}: every declared series is in some payload");
    }
}

#[test]
fn graphs_and_checks_speak_of_declared_series() {
    for poller in registry() {
        let kind = poller.kind;
        let declared: Vec<_> = (poller.metas)().into_iter().map(|meta| meta.name).collect();
        let of_graphs = (poller.graphs)().into_iter().flat_map(|graph| graph.lines);
        let of_checks = (poller.checks)().into_iter().map(|check| check.expr);
        for expr in of_graphs.map(|line| line.expr).chain(of_checks) {
            let is_known = expr.contains("up{") || declared.iter().any(|name| expr.contains(name));
            assert!(is_known, "{kind}: {expr} speaks of no series of it");
            assert!(expr.contains(r#"instance="$instance""#), "{kind}: {expr} is not of one host");
        }
        let ids: BTreeSet<_> = (poller.graphs)().into_iter().map(|graph| graph.id).collect();
        assert_eq!(ids.len(), (poller.graphs)().len(), "{kind}: a graph's id is there twice");
    }
}

#[test]
fn every_folder_has_its_readme() {
    for poller in registry() {
        let readme = std::fs::read_to_string(folder(poller.kind).join("README.md")).unwrap();
        assert!(readme.starts_with(&format!("# {}\n", poller.kind)));
    }
}

#[test]
fn a_failed_poll_is_down_and_its_gauges_are_unknown_even_the_first_time() {
    for poller in registry() {
        let at = Timestamp::from_secs(100);
        for spec in specs(poller) {
            let mut booker = Booker::new(&spec);
            let failed: Result<Labelled, _> = Err(PollFailure::Panicked);
            let batch = booker.book(at, Duration::from_millis(5), &failed, &spec.target);
            let declared = (poller.metas)();
            let own_up = format!("{}_up", poller.kind);
            for labels in spec.target.gauges().iter().filter(|labels| labels.name() != own_up) {
                let mut named = labels.to_builder();
                let ours = named.set("instance", "web1").set("job", poller.kind).build();
                let sample = batch.samples.iter().find(|sample| sample.labels == ours);
                let value = sample.map(|sample| sample.value).unwrap();
                assert!(noroshi_model::is_unknown(value), "{ours} is {value}");
                let is_gauge =
                    |meta: &MetricMeta| meta.name == labels.name() && meta.kind == Kind::Gauge;
                assert!(declared.iter().any(is_gauge), "{ours} is not declared as a gauge");
            }
            let up = batch.samples.iter().find(|s| s.labels.name() == "up").unwrap();
            assert_eq!((up.value, up.labels.get("instance")), (0.0, Some("web1")));
        }
    }
}
