//! Hours in moments: everything runs in one thread on a network in memory, and time is paused.

use crate::farm::{Farm, until, wish};
use crate::worker::FakeWorker;
use icefarm_core::wire::{Event, events};
use serde_json::json;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

async fn farm() -> (Farm, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Farm::simulated(&folder.path().join("farm.db")).await, folder)
}

/// A socket that is read all the time, as clients do: reading answers the server's pings.
struct Ears {
    heard: mpsc::UnboundedReceiver<(Instant, Event)>,
    reading: JoinHandle<()>,
}

impl Ears {
    async fn open(farm: &Farm, client: &str, sub: &str) -> Self {
        let mut socket = farm.socket(client, sub, None).await;
        let (sender, heard) = mpsc::unbounded_channel();
        let reading = tokio::spawn(async move {
            while let Ok(Some(frame)) = socket.next().await {
                for event in frame.contents {
                    let _ = sender.send((Instant::now(), event));
                }
            }
        });
        Self { heard, reading }
    }

    /// The next event of this name, and when it came; others are skipped.
    async fn hear(&mut self, name: &str) -> (Instant, Event) {
        loop {
            let heard = self.heard.recv().await.expect("the socket stays open");
            if heard.1.event == name {
                return heard;
            }
        }
    }
}

async fn leases(farm: &Farm) -> usize {
    farm.get("/v1/leases").await.unwrap().as_array().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_warned_about_and_expires_after_an_hour() {
    let (farm, _folder) = farm().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut ears = Ears::open(&farm, "ann", "s").await;
    let start = Instant::now();
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    let (at, soon) = ears.hear(events::ENDING_SOON).await;
    assert_eq!((at - start).as_secs(), 2400);
    assert_eq!(soon.fields["expires_in_ms"].as_u64(), Some(1_200_000));
    farm.post("/extendall", json!({"name": "ann"})).await.unwrap();
    let (at, _) = ears.hear(events::ENDING_SOON).await;
    assert_eq!((at - start).as_secs(), 4800);
    let (at, end) = ears.hear(events::RESERVATION_END).await;
    assert_eq!(end.fields["reason"].as_str(), Some("expired"));
    assert_eq!((at - start).as_secs(), 6000);
    farm.until_available(1).await;
    assert_eq!(worker.serving("A"), None);
}

#[tokio::test(start_paused = true)]
async fn a_living_socket_keeps_short_leases() {
    let (farm, _folder) = farm().await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut ears = Ears::open(&farm, "ann", "one").await;
    let mut short = wish("ann", 1);
    short["ttl_s"] = json!(60);
    short["instance"] = json!("one");
    farm.reserve(short).await.unwrap();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(leases(&farm).await, 1);
    while let Ok((_, event)) = ears.heard.try_recv() {
        assert_ne!(event.event, events::ENDING_SOON, "it is renewed long before");
    }
    // The process is killed: its boards are free within a minute or so.
    ears.reading.abort();
    sleep(Duration::from_secs(70)).await;
    assert_eq!(leases(&farm).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_worker_costs_its_leases() {
    let (farm, _folder) = farm().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut ears = Ears::open(&farm, "ann", "s").await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    until(async || worker.serving("A").is_some()).await;
    worker.hang(&["heartbeat"]);
    let start = Instant::now();
    let (at, event) = ears.hear(events::UNREACHABLE).await;
    assert!(at - start < Duration::from_secs(20));
    assert_eq!(event.fields["worker"].as_str(), Some("w"));
    assert_eq!(leases(&farm).await, 1);
    let (at, _) = ears.hear(events::FAILURE).await;
    let silent = (at - start).as_secs();
    assert!((170..=180).contains(&silent), "lost after {silent} s");
    assert_eq!(leases(&farm).await, 0);
    assert!(worker.serving("A").is_some(), "it does not know yet");
    worker.hang(&[]);
    farm.until_available(1).await;
    assert_eq!(worker.serving("A"), None, "what it served is revoked when it is back");
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_control_costs_nobody_a_board() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("farm.db");
    let builder = || icefarm_control::Control::builder().database(&database).inline_store();
    let net = crate::network::Net::memory();
    // Wall time goes on while control is away, by its stored leases' reckoning for two hours.
    let clock = |hours: u64| {
        icefarm_core::SteadyClock::starting_at(icefarm_core::Timestamp(
            1_800_000_000_000 + hours * 3_600_000,
        ))
    };
    let farm = Farm::start(net, 0, builder().clock(clock(0))).await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    until(async || worker.serving("A").is_some()).await;
    let (net, port) = farm.stop().await;
    let farm = Farm::start(net, port, builder().clock(clock(2))).await;
    sleep(Duration::from_secs(55)).await;
    assert_eq!(leases(&farm).await, 1);
    assert_eq!(farm.post("/extendall", json!({"name": "ann"})).await.unwrap(), json!(["A"]));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(leases(&farm).await, 1);
    assert_eq!(worker.serving("A").unwrap().0, 1);
}

#[tokio::test(start_paused = true)]
async fn control_that_stood_still_costs_nobody_a_board() {
    let (farm, _folder) = farm().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut short = wish("ann", 1);
    short["ttl_s"] = json!(60);
    farm.post("/reserve", short).await.unwrap();
    until(async || worker.serving("A").is_some()).await;
    // Nobody gets a word in, as when the machine is suspended.
    tokio::time::advance(Duration::from_secs(900)).await;
    sleep(Duration::from_secs(55)).await;
    assert_eq!(leases(&farm).await, 1);
    assert_eq!(farm.post("/extendall", json!({"name": "ann"})).await.unwrap(), json!(["A"]));
    assert!(worker.serving("A").is_some());
    sleep(Duration::from_secs(70)).await;
    assert_eq!(leases(&farm).await, 0, "the grace is over");
}

#[tokio::test(start_paused = true)]
async fn one_hanging_worker_holds_up_no_other() {
    let (farm, _folder) = farm().await;
    let slow = FakeWorker::join(&farm, "slow", &["A", "B"]).await;
    let quick = FakeWorker::join(&farm, "quick", &["C"]).await;
    slow.hang(&["heartbeat", "reserve", "reboot"]);
    until(async || {
        let workers = farm.get("/v1/workers").await.unwrap();
        workers[1]["reachable"] == false && workers[0]["reachable"] == true
    })
    .await;
    assert_eq!(farm.available().await, 1, "nothing new is placed on it");
    assert_eq!(farm.status("A").await.unwrap(), "offline");
    let answer = farm.reserve(wish("ann", 1)).await.unwrap();
    assert_eq!(answer.boards[0].serial.as_str(), "C");
    until(async || quick.serving("C").is_some()).await;
    slow.hang(&[]);
    farm.until_available(2).await;
}
