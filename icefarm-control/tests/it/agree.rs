//! Control and worker come to one mind again, whatever happened while they did not hear of each
//! other.

use crate::farm::{Farm, until, wish};
use crate::worker::FakeWorker;
use icefarm_core::Serial;
use icefarm_core::wire::events;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// One heartbeat, and the time that the one before it may take.
const SOON: Duration = Duration::from_secs(11);
const EVERYTHING: [&str; 4] = ["heartbeat", "reserve", "extend", "end"];

struct Scene {
    farm: Farm,
    worker: FakeWorker,
    told: mpsc::UnboundedReceiver<(Serial, String)>,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// Ann has three boards.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let farm = Farm::simulated(&folder.path().join("farm.db")).await;
        let worker = FakeWorker::join(&farm, "w", &["A", "B", "C"]).await;
        let mut socket = farm.socket("ann", "s", None).await;
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(frame)) = socket.next().await {
                for event in frame.contents {
                    let _ = tell.send((frame.serial.parse().unwrap(), event.event));
                }
            }
        });
        farm.post("/reserve", wish("ann", 3)).await.unwrap();
        let all = ["A", "B", "C"];
        until(async || all.iter().all(|board| worker.serving(board).is_some())).await;
        Self { farm, worker, told, _folder: folder }
    }

    /// Nothing gets through in either direction.
    async fn cut(&self) {
        self.worker.hang(&EVERYTHING);
        self.worker.quiet(true);
        until(async || self.farm.get("/v1/workers").await.unwrap()[0]["reachable"] == false).await;
    }

    fn heal(&self) {
        self.worker.hang(&[]);
        self.worker.quiet(false);
    }

    async fn leases(&self) -> Vec<String> {
        let leases = self.farm.get("/v1/leases").await.unwrap();
        let serials = leases.as_array().unwrap().iter().map(|lease| lease["serial"].as_str());
        serials.map(|serial| serial.unwrap().to_owned()).collect()
    }

    /// Waits until both say that exactly these boards are held.
    async fn agrees_soon(&self, held: &[&str]) {
        let since = Instant::now();
        let agree = until(async || {
            let serving = ["A", "B", "C"].into_iter().filter(|b| self.worker.serving(b).is_some());
            serving.eq(held.iter().copied()) && self.leases().await == held
        });
        timeout(SOON, agree).await.expect("they agree within one heartbeat");
        assert!(since.elapsed() < SOON);
    }

    /// How often each event was told of each board.
    fn count(&mut self) -> BTreeMap<(String, String), usize> {
        let mut count = BTreeMap::new();
        while let Ok((serial, event)) = self.told.try_recv() {
            *count.entry((serial.to_string(), event)).or_default() += 1;
        }
        count
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_partition_they_agree_within_one_heartbeat() {
    let mut scene = Scene::start().await;
    scene.cut().await;
    // Each of them changes something that the other does not hear of.
    scene.farm.post("/end", json!({"name": "ann", "serials": ["A"]})).await.unwrap();
    scene.worker.give_up("B", "no clock");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(scene.leases().await, ["B", "C"]);
    scene.heal();
    scene.agrees_soon(&["C"]).await;
    scene.farm.until_available(2).await;
    let count = scene.count();
    let told = |serial: &str, event: &str| {
        count.get(&(serial.to_owned(), event.to_owned())).copied().unwrap_or_default()
    };
    for serial in ["A", "B", "C"] {
        assert_eq!(told(serial, events::UNREACHABLE), 1, "{count:?}");
    }
    assert_eq!((told("A", events::RESERVATION_END), told("A", events::FAILURE)), (1, 0));
    assert_eq!((told("B", events::RESERVATION_END), told("B", events::FAILURE)), (1, 1));
    assert_eq!((told("C", events::RESERVATION_END), told("C", events::FAILURE)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn boards_of_a_vanished_worker_fail_once_and_come_back_with_it() {
    let mut scene = Scene::start().await;
    scene.cut().await;
    sleep(Duration::from_secs(400)).await;
    assert!(scene.leases().await.is_empty());
    let count = scene.count();
    for serial in ["A", "B", "C"] {
        let failures = count[&(serial.to_owned(), events::FAILURE.to_owned())];
        assert_eq!(failures, 1, "{count:?}");
    }
    scene.heal();
    scene.agrees_soon(&[]).await;
    scene.farm.until_available(3).await;
    assert!(!scene.count().iter().any(|((_, event), _)| event == events::FAILURE));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_forgot_everything_is_told_it_within_one_heartbeat() {
    let mut scene = Scene::start().await;
    scene.farm.post("/end", json!({"name": "ann", "serials": ["A"]})).await.unwrap();
    scene.worker.restart().await;
    scene.agrees_soon(&["B", "C"]).await;
    scene.farm.until_available(1).await;
    let count = scene.count();
    assert!(!count.keys().any(|(_, event)| event == events::FAILURE), "{count:?}");
}
