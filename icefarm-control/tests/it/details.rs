//! What can be asked about the farm: one board in full, what happened, how all is.

use crate::farm::{Farm, until, wish};
use crate::worker::FakeWorker;
use icefarm_core::wire::{BoardInFull, ErrorCode, FarmStatus, Happening, JournalPage};
use serde::de::DeserializeOwned;
use serde_json::json;

async fn get<T: DeserializeOwned>(farm: &Farm, path: &str) -> T {
    serde_json::from_value(farm.get(path).await.unwrap()).unwrap()
}

async fn events(farm: &Farm, query: &str) -> JournalPage {
    get(farm, &format!("/v1/events{query}")).await
}

fn whats(page: &JournalPage) -> Vec<&str> {
    page.events.iter().map(|entry| entry.what.as_str()).collect()
}

#[tokio::test]
async fn a_board_is_told_in_full() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A 1"]).await;
    let mut wish = wish("ann", 1);
    wish["args"] = json!({"window": 5});
    farm.post("/reserve", wish).await.unwrap();
    until(async || worker.serving("A 1").is_some()).await;
    let told = async || get::<BoardInFull>(&farm, "/v1/boards/A%201").await;
    until(async || told().await.why.contains("takes commands")).await;

    let board = told().await;
    let lease = board.board.lease.unwrap();
    assert_eq!((lease.client.as_str(), lease.args.as_slice()), ("ann", &["window".to_owned()][..]));
    assert!(lease.expires_in_ms > 3_590_000 && lease.expires.0 > lease.since.0);
    assert_eq!(board.board.since, Some(lease.since));
    assert_eq!(board.worker_url.as_deref(), Some(&*worker.url()));
    assert_eq!((board.contact.as_str(), board.token.0), ("reachable", 1));
    assert_eq!(board.last_lease.unwrap().lease.0, 1);
    let history: Vec<_> = board.history.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(history, ["lease_granted", "board_status", "board_came"], "the newest first");

    farm.post("/endall", json!({"name": "ann"})).await.unwrap();
    farm.until_available(1).await;
    let history = told().await.history;
    let statuses: Vec<_> = history.iter().filter_map(|entry| entry.status).collect();
    let words: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
    assert_eq!(words, ["available", "await_flash_default", "reserved", "available"]);
}

#[tokio::test]
async fn an_unknown_board_is_said_to_be_that() {
    let farm = Farm::on_tcp().await;
    let error = farm.get("/v1/boards/nobody").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UnknownSerial);
    assert!(error.message.contains("`nobody`") && error.message.contains("/v1/boards"), "{error}");
    assert_eq!(error.details["serial"].as_str(), Some("nobody"));
    let error = farm.get("/v1/boards/%FF").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::BadRequest);
}

#[tokio::test]
async fn the_journal_is_read_in_pages() {
    let farm = Farm::on_tcp().await;
    let _worker = FakeWorker::join(&farm, "w", &["A", "B"]).await;
    let all = events(&farm, "").await;
    assert_eq!(
        whats(&all),
        [
            "worker_came",
            "board_came",
            "board_came",
            "worker_answers",
            "board_status",
            "board_status"
        ]
    );
    assert_eq!((all.first, all.last), (1, 6));
    assert_eq!(whats(&events(&farm, "?limit=2").await), ["board_status", "board_status"]);
    assert_eq!(whats(&events(&farm, "?after=1&limit=2").await), ["board_came", "board_came"]);
    let of_a = events(&farm, "?serial=A").await;
    assert_eq!(whats(&of_a), ["board_came", "board_status"]);
    assert!(of_a.events.iter().all(|entry| entry.worker.as_ref().unwrap().as_str() == "w"));
    assert!(events(&farm, "?after=6").await.events.is_empty());

    for (query, key) in [
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?after=x", "after"),
        ("?after=1&after=2", "after"),
        ("?serial=", "serial"),
        ("?wait_s=5", "wait_s"),
        ("?after=1&wait_s=61", "wait_s"),
    ] {
        let error = farm.get(&format!("/v1/events{query}")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::BadRequest, "{query}");
        assert!(error.message.contains(&format!("`{key}`")), "{query}: {error}");
    }
}

#[tokio::test]
async fn who_waits_for_the_next_event_is_told_at_once() {
    let farm = Farm::on_tcp().await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let last = events(&farm, "").await.last;
    let waiting = async { events(&farm, &format!("?after={last}&wait_s=60&serial=A")).await };
    let (page, _) = tokio::join!(waiting, farm.reserve(wish("ann", 1)));
    assert_eq!(whats(&page), ["lease_granted"]);
    assert!(page.events[0].text.starts_with("ann reserved board A for pulse count (lease 1"));
    assert_eq!(page.events[0].client.as_ref().unwrap().as_str(), "ann");
    // A number from another database is answered at once; the epoch says that it is another.
    let page = events(&farm, "?after=999999&wait_s=60").await;
    assert!(page.events.is_empty() && page.last < 999_999 && !page.epoch.as_str().is_empty());
}

#[tokio::test]
async fn the_farm_is_told_at_a_glance() {
    let farm = Farm::on_tcp().await;
    let status: FarmStatus = get(&farm, "/v1/status").await;
    assert_eq!((status.boards.total, status.workers.total, status.last_event), (0, 0, 0));
    let worker = FakeWorker::join(&farm, "w", &["SIM1", "SIM2", "SIM3"]).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    let status: FarmStatus = get(&farm, "/v1/status").await;
    let boards = status.boards;
    assert_eq!((boards.total, boards.available, boards.reserved, boards.simulated), (3, 2, 1, 3));
    assert_eq!((status.workers.reachable, status.trouble), (1, None));
    assert!(status.now >= status.started && status.last_event > 0);

    worker.kill();
    until(async || get::<FarmStatus>(&farm, "/v1/status").await.workers.reachable == 0).await;
    let status: FarmStatus = get(&farm, "/v1/status").await;
    assert_eq!((status.boards.offline, status.boards.reserved), (2, 1));
    let board: BoardInFull = get(&farm, "/v1/boards/SIM3").await;
    assert_eq!(board.board.reason.as_deref(), Some("its worker w cannot be reached"));
    assert_eq!((board.contact.as_str(), board.reported.as_str()), ("unreachable", "available"));
    assert_eq!(board.history[0].what, Happening::BoardStatus);
}
