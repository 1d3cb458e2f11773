//! What `/metrics` shows: counters of what was committed, and the farm as it is.

use crate::ledger::Ledger;
use crate::machine::{Change, Contact, EndReason, Farm, WaitEnd};
use icefarm_core::wire::BoardStatus;
use icefarm_core::{Kind, Timestamp};
use icefarm_net::Hub;
use icefarm_net::metrics::{Figures, HubSeries, Labels, Requests, page, registry};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use warp::reply::Response;

/// The paths that are told apart. Serials and names would be series without end.
const PATHS: &[&str] = &[
    "/",
    "/ws",
    "/assets/*",
    "/available",
    "/devices",
    "/reserve",
    "/reserveserials",
    "/extend",
    "/extendall",
    "/end",
    "/endall",
    "/reboot",
    "/delete",
    "/healthz",
    "/readyz",
    "/metrics",
    "/version",
    "/v1/status",
    "/v1/boards",
    "/v1/boards/*",
    "/v1/boards/*/end",
    "/v1/boards/*/reboot",
    "/v1/boards/*/delete",
    "/v1/boards/*/label",
    "/v1/boards/*/drain",
    "/v1/clients/*/end",
    "/v1/queue",
    "/v1/queue/cancel",
    "/v1/leases",
    "/v1/workers",
    "/v1/workers/*/forget",
    "/v1/workers/*/drain",
    "/v1/workers/*/metrics",
    "/v1/events",
    "/v1/live",
    "/v1/whoami",
    "/v1/tickets",
    "/v1/tokens",
    "/v1/tokens/*/revoke",
    "/v1/audit",
    "/login",
    "/logout",
    "/worker/register",
    "/worker/boards",
];

/// Seconds from a request to its boards, which may be long if it waits.
const TO_LEASE: [f64; 14] =
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 3600.0, 14400.0];
/// Seconds of a commit: an SSD takes less than a millisecond, an SD card some hundred.
const COMMIT: [f64; 12] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Counts what was committed. Everything that happens to the farm is a change, so nothing else
/// needs to count.
#[derive(Debug)]
pub(crate) struct Decisions {
    granted: Family<Labels<1>, Counter>,
    ended: Family<Labels<1>, Counter>,
    to_lease: Histogram,
    commits: Histogram,
    failures: Counter,
}

impl Default for Decisions {
    fn default() -> Self {
        // What has not happened yet is there with 0: its first time is a rise, too.
        let ended = Family::<Labels<1>, Counter>::default();
        for reason in EndReason::WORDS {
            drop(ended.get_or_create(&[("reason", (*reason).to_owned())]));
        }
        Self {
            granted: Family::default(),
            ended,
            to_lease: Histogram::new(TO_LEASE),
            commits: Histogram::new(COMMIT),
            failures: Counter::default(),
        }
    }
}

impl Decisions {
    /// These changes were committed now, which took so long.
    pub(crate) fn committed(&self, changes: &[Change], now: Timestamp, took: Duration) {
        self.commits.observe(took.as_secs_f64());
        // Boards that are reserved together are one request.
        let mut arrivals = BTreeMap::new();
        for change in changes {
            match change {
                Change::LeaseGranted(lease) => {
                    let kind = lease.kind.to_string();
                    self.granted.get_or_create(&[("kind", kind)]).inc();
                    arrivals.entry(&lease.reservation).or_insert(lease.granted);
                }
                Change::WaitEnded { waiting, end: WaitEnd::Granted } => {
                    // It may have been there long before its leases.
                    arrivals.insert(&waiting.reservation, waiting.since);
                }
                Change::LeaseEnded { reason, .. } => {
                    let reason = reason.word().to_owned();
                    self.ended.get_or_create(&[("reason", reason)]).inc();
                }
                _ => {}
            }
        }
        for arrival in arrivals.into_values() {
            self.to_lease.observe(now.since(arrival).as_secs_f64());
        }
    }

    /// Something could not be written down.
    pub(crate) fn failed(&self) {
        self.failures.inc();
    }

    fn register(&self, registry: &mut Registry) {
        let help = "Leases that were granted since control started, by kind";
        registry.register("leases_granted", help, self.granted.clone());
        let help = "Leases that ended since control started, by the reason of `reservation end`";
        registry.register("leases_ended", help, self.ended.clone());
        let help = "From the arrival of a request to the commit of its leases";
        registry.register_with_unit("time_to_lease", help, Unit::Seconds, self.to_lease.clone());
        let help = "What writing a batch of decisions to the database took";
        registry.register_with_unit("store_commit", help, Unit::Seconds, self.commits.clone());
        let help = "Batches of decisions that could not be written, and so had no effect";
        registry.register("store_commits_failed", help, self.failures.clone());
    }
}

/// The page.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Requests,
}

impl Metrics {
    pub(crate) fn new(decisions: &Decisions, ledger: Arc<Ledger>, hub: Hub) -> Self {
        let mut registry = registry("icefarm_control", env!("CARGO_PKG_VERSION"));
        decisions.register(&mut registry);
        let requests = Requests::new(&mut registry, PATHS);
        registry.register_collector(Box::new(FarmSeries(ledger)));
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

/// The farm as it was committed last.
struct FarmSeries(Arc<Ledger>);

impl fmt::Debug for FarmSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FarmSeries")
    }
}

impl Collector for FarmSeries {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let farm = self.0.farm();
        let mut figures = Figures::new(encoder);
        figures.gauges("leases", "Leases that are held, by kind", "kind", leases(&farm))?;
        let help = "Requests that wait for boards";
        figures.gauge("requests_waiting", help, farm.queue.len())?;
        figures.gauges("boards", "Boards, by status", "status", boards(&farm))?;
        let help = "Workers that have registered, by whether control reaches them";
        figures.gauges("workers", help, "contact", workers(&farm))
    }
}

/// Kinds that nobody holds a board of are there, too, with none: a series that comes and goes is
/// hard to draw.
fn leases(farm: &Farm) -> Vec<(&str, usize)> {
    let offered = farm.workers.values().flat_map(|worker| &worker.kinds).map(|info| &info.kind);
    let held = farm.leases.values().map(|lease| &lease.kind);
    let kinds: BTreeSet<&Kind> = offered.chain(held).collect();
    let count = |kind: &Kind| farm.leases.values().filter(|lease| lease.kind == *kind).count();
    kinds.into_iter().map(|kind| (kind.as_str(), count(kind))).collect()
}

fn boards(farm: &Farm) -> impl Iterator<Item = (&'static str, usize)> {
    let count = |status| farm.boards.values().filter(|board| farm.status(board) == status).count();
    BoardStatus::ALL.iter().map(move |status| (status.as_str(), count(*status)))
}

fn workers(farm: &Farm) -> impl Iterator<Item = (&'static str, usize)> {
    let all =
        [Contact::Awaited, Contact::Reachable, Contact::Unreachable, Contact::Lost, Contact::Left];
    let count = |contact| farm.workers.values().filter(|worker| worker.contact == contact).count();
    all.into_iter().map(move |contact| (contact.as_str(), count(contact)))
}
