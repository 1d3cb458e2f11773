//! What `/metrics` shows: what became of boards and circuits, and how things are.

use crate::board::Rung;
use crate::lease::EventSink;
use crate::ledger::Ledger;
use icefarm_core::evaluation::RESULTS;
use icefarm_core::wire::{BoardStatus, ServerFrame};
use icefarm_core::{ClientName, KindInfo, LeaseId, Serial, Timestamp, Value};
use icefarm_net::Hub;
use icefarm_net::metrics::{Figures, HubSeries, Labels, Requests, page, registry};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use warp::reply::Response;

/// The paths that are told apart.
const PATHS: &[&str] = &[
    "/",
    "/ws",
    "/heartbeat",
    "/reserve",
    "/extend",
    "/end",
    "/reboot",
    "/delete",
    "/healthz",
    "/metrics",
    "/version",
];

/// Seconds of an evaluation: on a real board one that is measured, and what it takes to write the
/// circuit.
const EVALUATION: [f64; 12] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 1.25, 1.5, 2.0, 5.0, 15.0, 60.0];

type Histograms = Family<Labels<2>, Histogram, fn() -> Histogram>;

/// Counts what happens to boards and circuits.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    recoveries: Family<Labels<2>, Counter>,
    evaluations: Family<Labels<2>, Counter>,
    times: Histograms,
    kinds: Arc<BTreeSet<String>>,
}

impl Counts {
    /// Counts for boards that can be reserved as these kinds.
    pub(crate) fn new(kinds: &[KindInfo]) -> Self {
        // What has not happened yet is there with 0: its first time is a rise, too.
        let recoveries = Family::<Labels<2>, Counter>::default();
        for rung in [Rung::Restart, Rung::Reflash, Rung::PowerCycle] {
            for outcome in [Climbed::Helped, Climbed::InVain, Climbed::Unsupported] {
                drop(recoveries.get_or_create(&climbs(rung, outcome)));
            }
        }
        let histogram: fn() -> Histogram = || Histogram::new(EVALUATION);
        Self {
            recoveries,
            evaluations: Family::default(),
            times: Family::new_with_constructor(histogram),
            kinds: Arc::new(kinds.iter().map(|info| info.kind.to_string()).collect()),
        }
    }

    /// A board was to be brought back in this way.
    pub(crate) fn recovered(&self, rung: Rung, outcome: Climbed) {
        self.recoveries.get_or_create(&climbs(rung, outcome)).inc();
    }

    /// A state tells something. Outcomes of circuits count, whichever state tells them.
    fn told(&self, frame: &ServerFrame) {
        let results = frame.contents.iter().filter(|event| event.event == RESULTS);
        let outcomes = results.filter_map(|event| event.fields.get("outcomes")?.as_array());
        outcomes.flatten().for_each(|outcome| self.evaluated(outcome));
    }

    fn evaluated(&self, evaluated: &Value) {
        let word = |key| evaluated.get(key).and_then(Value::as_str);
        // A state may say anything, and every new word would be a new series.
        let outcome = word("outcome").filter(|word| OUTCOMES.contains(word)).unwrap_or("other");
        let kind = word("kind").filter(|kind| self.kinds.contains(*kind)).unwrap_or("other");
        let labels = [("kind", kind.to_owned()), ("outcome", outcome.to_owned())];
        let time = |key| Timestamp::deserialize(evaluated.get(key)?.clone()).ok();
        if let (Some(started), Some(ended)) = (time("started"), time("ended")) {
            let took: Duration = ended.since(started);
            self.times.get_or_create(&labels).observe(took.as_secs_f64());
        }
        self.evaluations.get_or_create(&labels).inc();
    }

    fn register(&self, registry: &mut Registry) {
        let help = "Ways that were tried to bring a board back, by what came of it";
        registry.register("recoveries", help, self.recoveries.clone());
        let help = "Circuits that a state told an outcome of, by kind and outcome";
        registry.register("evaluations", help, self.evaluations.clone());
        let help = "From the first byte of a circuit to the board's answer";
        registry.register_with_unit("evaluation", help, Unit::Seconds, self.times.clone());
    }
}

fn climbs(rung: Rung, outcome: Climbed) -> Labels<2> {
    [("rung", rung.word().to_owned()), ("outcome", outcome.word().to_owned())]
}

const OUTCOMES: [&str; 3] = ["reading", "refused", "failed"];

/// What came of a way to bring a board back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Climbed {
    /// The board works.
    Helped,
    /// It does not.
    InVain,
    /// The bus cannot do this.
    Unsupported,
}

impl Climbed {
    fn word(self) -> &'static str {
        match self {
            Self::Helped => "helped",
            Self::InVain => "in_vain",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Counts events on their way to the hub.
pub(crate) struct Counting {
    pub(crate) hub: Hub,
    pub(crate) counts: Counts,
}

impl EventSink for Counting {
    fn publish(&self, client: &ClientName, frame: ServerFrame) {
        self.counts.told(&frame);
        EventSink::publish(&self.hub, client, frame);
    }

    fn ended_badly(&self, serial: &Serial, lease: LeaseId, reason: &str) {
        self.hub.ended_badly(serial, lease, reason);
    }
}

/// The page.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Requests,
}

impl Metrics {
    pub(crate) fn new(counts: &Counts, ledger: Arc<Ledger>, hub: Hub) -> Self {
        let mut registry = registry("icefarm_worker", env!("CARGO_PKG_VERSION"));
        counts.register(&mut registry);
        let requests = Requests::new(&mut registry, PATHS);
        registry.register_collector(Box::new(BoardSeries(ledger)));
        registry.register_collector(Box::new(HubSeries::new(hub)));
        Self { registry, requests }
    }

    /// A request was answered.
    pub(crate) fn answered(&self, path: &str, status: u16) {
        self.requests.count(path, status);
    }

    pub(crate) fn page(&self) -> Response {
        page(&self.registry)
    }
}

struct BoardSeries(Arc<Ledger>);

impl fmt::Debug for BoardSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoardSeries")
    }
}

impl Collector for BoardSeries {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let boards = self.0.inventory();
        let count = |status| boards.iter().filter(|board| board.status == status).count();
        let statuses = BoardStatus::ALL.iter().map(|status| (status.as_str(), count(*status)));
        Figures::new(encoder).gauges("boards", "Boards, by status", "status", statuses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_core::wire::Event;
    use icefarm_core::{Kind, Object};

    fn counts() -> Counts {
        let mut counts = Counts::new(&[]);
        counts.kinds = Arc::new(BTreeSet::from([Kind::new("toy").unwrap().to_string()]));
        counts
    }

    fn outcome(kind: &str, outcome: &str, times: Option<(&str, &str)>) -> Value {
        let mut fields = Object::from([
            ("kind".to_owned(), kind.into()),
            ("outcome".to_owned(), outcome.into()),
        ]);
        if let Some((started, ended)) = times {
            fields.insert("started".to_owned(), started.into());
            fields.insert("ended".to_owned(), ended.into());
        }
        Value::Object(fields)
    }

    fn page_of(counts: &Counts) -> String {
        let mut registry = Registry::default();
        counts.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn outcomes_are_counted_with_their_time() {
        let counts = counts();
        let times = Some(("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.200Z"));
        let outcomes = vec![outcome("toy", "reading", times), outcome("toy", "refused", None)];
        let event = Event::new(RESULTS).with("outcomes", outcomes);
        counts.told(&ServerFrame::new("A", vec![event, Event::new("other")]));
        let page = page_of(&counts);
        for line in [
            r#"evaluations_total{kind="toy",outcome="reading"} 1"#,
            r#"evaluations_total{kind="toy",outcome="refused"} 1"#,
            r#"evaluation_seconds_sum{kind="toy",outcome="reading"} 0.2"#,
            r#"evaluation_seconds_bucket{le="0.1",kind="toy",outcome="reading"} 0"#,
            r#"evaluation_seconds_bucket{le="0.25",kind="toy",outcome="reading"} 1"#,
        ] {
            assert!(page.contains(line), "{line} is missing in\n{page}");
        }
    }

    #[test]
    fn words_of_a_states_own_make_no_series() {
        let counts = counts();
        for n in 0..100 {
            counts.evaluated(&outcome(&format!("k{n}"), &format!("o{n}"), None));
        }
        counts.evaluated(&Value::Null);
        let page = page_of(&counts);
        assert!(page.contains(r#"evaluations_total{kind="other",outcome="other"} 101"#), "{page}");
        assert_eq!(page.matches("evaluations_total{").count(), 1);
    }
}
