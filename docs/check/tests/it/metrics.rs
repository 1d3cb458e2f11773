//! `/metrics` tells what happened, and `docs/metrics.md` tells what it tells.

use crate::farm::{self, Server};
use crate::lists::{documented, source};
use icefarm_control::ControlConfig;
use icefarm_docs_check::{Document, Wiretap};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The samples of a page, by what stands before the figure.
struct Page {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Page {
    async fn of(server: &Server) -> Self {
        Self::at(server, "/metrics").await
    }

    async fn at(server: &Server, path: &str) -> Self {
        let (status, text) = server.text(path).await;
        assert_eq!(status, 200, "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (name, figure) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), figure.parse().unwrap())
        });
        let samples = samples.collect();
        Self { text, samples }
    }

    fn get(&self, sample: &str) -> f64 {
        let known = self.samples.get(sample).copied();
        known.unwrap_or_else(|| panic!("no sample {sample} in\n{}", self.text))
    }

    /// The families of the page, each with its type.
    fn families(&self) -> BTreeMap<String, String> {
        let types = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let types = types.map(|line| line.split_once(' ').unwrap());
        types.map(|(name, sort)| (name.to_owned(), sort.to_owned())).collect()
    }
}

/// A farm after a known history.
struct Known {
    control: Server,
    worker: Server,
}

impl Known {
    async fn new() -> Self {
        let wiretap = Wiretap::new();
        let control = farm::control(&wiretap, ControlConfig::default()).await;
        let (worker, _) = farm::worker(&wiretap, &control, "bench", 3).await;
        control.available(3).await;
        let mut ann = worker.socket("client_id=ann").await;
        let reserve = |amount: u32, name: &str| {
            Some(json!({"amount": amount, "name": name, "kind": "pulsecount"}))
        };
        let (_, held) = control.ask("POST", "/reserve", reserve(2, "ann")).await;
        let serials: Vec<&String> = held.as_object().unwrap().keys().collect();
        assert_eq!(
            control.refused("POST", "/reserve", reserve(2, "bob")).await,
            "not_enough_devices"
        );
        for _ in &serials {
            ann.event("initialized").await;
        }
        let circuit = std::fs::read("../../examples/circuits/johnson.bin").unwrap();
        let files = json!({"good": {"base64": base64(&circuit)}, "short": {"base64": "AAAA"}});
        let evaluate = json!({"files": files, "batch_id": "b"});
        let command =
            |serial: &str| json!({"serial": serial, "event": "evaluate", "contents": evaluate});
        ann.send(command(serials[0])).await;
        // They come in one event or in two, in any order.
        let mut told = 0;
        while told < 2 {
            told += ann.event("results").await["event"]["outcomes"].as_array().unwrap().len();
        }
        let mut eve = worker.socket("client_id=eve").await;
        assert_eq!(eve.refused(command(serials[0])).await, "not_holder");
        eve.close().await;
        let end = json!({"name": "ann", "serials": [serials[1]]});
        assert_eq!(control.ask("POST", "/end", Some(end)).await.0, 200);
        control.available(2).await;
        assert_eq!(control.ask("GET", "/v1/boards/none", None).await.0, 404);
        assert_eq!(control.ask("GET", "/nowhere", None).await.0, 404);
        ann.close().await;
        Self { control, worker }
    }

    async fn stop(self) {
        self.worker.stop().await;
        self.control.stop().await;
    }
}

fn base64(bytes: &[u8]) -> String {
    let value = icefarm_core::Blob::from(bytes.to_vec());
    serde_json::to_value(&value).unwrap()["base64"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_are_those_of_what_happened() {
    let farm = Known::new().await;
    let control = Page::of(&farm.control).await;
    for (sample, figure) in [
        (r#"icefarm_control_leases{kind="pulsecount"}"#, 1.0),
        (r#"icefarm_control_leases{kind="variance"}"#, 0.0),
        (r#"icefarm_control_leases_granted_total{kind="pulsecount"}"#, 2.0),
        (r#"icefarm_control_leases_ended_total{reason="ended"}"#, 1.0),
        (r#"icefarm_control_leases_ended_total{reason="expired"}"#, 0.0),
        ("icefarm_control_time_to_lease_seconds_count", 1.0),
        (r#"icefarm_control_boards{status="reserved"}"#, 1.0),
        (r#"icefarm_control_boards{status="available"}"#, 2.0),
        (r#"icefarm_control_boards{status="broken"}"#, 0.0),
        (r#"icefarm_control_workers{contact="reachable"}"#, 1.0),
        (r#"icefarm_control_requests_total{path="/reserve",status="200"}"#, 1.0),
        (r#"icefarm_control_requests_total{path="/reserve",status="409"}"#, 1.0),
        (r#"icefarm_control_requests_total{path="/v1/boards/*",status="404"}"#, 1.0),
        (r#"icefarm_control_requests_total{path="other",status="404"}"#, 1.0),
        ("icefarm_control_store_commits_failed_total", 0.0),
        ("icefarm_control_events_total", 1.0),
        ("icefarm_control_events_waiting", 1.0),
        ("icefarm_control_events_dropped_total", 0.0),
        ("icefarm_control_memory_limit_bytes", f64::from(64 << 20)),
    ] {
        assert_eq!(control.get(sample), figure, "{sample} in\n{}", control.text);
    }
    // The registration, the reservation and the end, at least.
    assert!(control.get("icefarm_control_store_commit_seconds_count") >= 3.0);

    let worker = Page::of(&farm.worker).await;
    let passed_on = Page::at(&farm.control, "/v1/workers/bench/metrics").await;
    assert_eq!(passed_on.families(), worker.families());
    assert_eq!(farm.control.text("/v1/workers/none/metrics").await.0, 404);
    for (sample, figure) in [
        (r#"icefarm_worker_boards{status="reserved"}"#, 1.0),
        (r#"icefarm_worker_boards{status="available"}"#, 2.0),
        (r#"icefarm_worker_evaluations_total{kind="pulsecount",outcome="reading"}"#, 1.0),
        (r#"icefarm_worker_evaluations_total{kind="pulsecount",outcome="refused"}"#, 1.0),
        (r#"icefarm_worker_evaluation_seconds_count{kind="pulsecount",outcome="reading"}"#, 1.0),
        (r#"icefarm_worker_commands_refused_total{code="not_holder"}"#, 1.0),
        (r#"icefarm_worker_recoveries_total{rung="restart",outcome="helped"}"#, 0.0),
        (r#"icefarm_worker_requests_total{path="/reserve",status="200"}"#, 2.0),
        ("icefarm_worker_events_dropped_total", 0.0),
        ("icefarm_worker_memory_limit_bytes", f64::from(512 << 20)),
    ] {
        assert_eq!(worker.get(sample), figure, "{sample} in\n{}", worker.text);
    }
    farm.stop().await;
}

/// The series that the document tells, each with its type.
fn told(server: &str) -> BTreeMap<String, String> {
    let text = source("docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| row.split_once("` | "));
    let rows = rows.filter(|(name, _)| name.starts_with(&format!("icefarm_{server}_")));
    rows.map(|(name, rest)| (name.to_owned(), rest.split(' ').next().unwrap().to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_in_the_document_and_the_other_way_round() {
    let farm = Known::new().await;
    // Who sends something that is no command is answered by an error, at control too.
    let mut socket = farm.control.socket("client_id=ann").await;
    assert_eq!(socket.refused(json!([])).await, "bad_request");
    socket.close().await;
    for (server, name) in [(&farm.control, "control"), (&farm.worker, "worker")] {
        let page = Page::of(server).await;
        assert_eq!(page.families(), told(name));
        let helped: BTreeSet<&str> = page
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '))
            .filter(|(_, help)| !help.is_empty())
            .map(|(name, _)| name)
            .collect();
        assert_eq!(helped, page.families().keys().map(String::as_str).collect());
        for client in ["ann", "bob", "eve"] {
            assert!(!page.text.contains(&format!("\"{client}\"")), "a client is a label");
        }
    }
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_of_the_document_has_a_series_of_its_own() {
    let wiretap = Wiretap::new();
    let control = farm::control(&wiretap, ControlConfig::default()).await;
    let (worker, _bus) = farm::worker(&wiretap, &control, "w", 1).await;
    for (server, method, path) in documented(&Document::protocol().unwrap()) {
        let server = if server == "worker" { &worker } else { &control };
        // Nothing is changed: bodies are missing.
        server.ask(&method, &path, None).await;
    }
    for (server, name) in [(&control, "control"), (&worker, "worker")] {
        let page = Page::of(server).await;
        let other = format!("icefarm_{name}_requests_total{{path=\"other\"");
        let unknown = page.samples.keys().find(|sample| sample.starts_with(&other));
        assert_eq!(unknown, None, "add the path to PATHS in icefarm-{name}/src/metrics.rs");
    }
    worker.stop().await;
    control.stop().await;
}
