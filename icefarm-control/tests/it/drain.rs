//! What goes out of service, and comes back.

use crate::events::next;
use crate::farm::{Farm, quick, until, wish};
use crate::network::Net;
use crate::worker::FakeWorker;
use icefarm_control::Control;
use icefarm_core::wire::{ErrorCode, events};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

async fn worker(farm: &Farm, name: &str) -> Value {
    let workers = farm.get("/v1/workers").await.unwrap();
    let found = workers.as_array().unwrap().iter().find(|worker| worker["name"] == name);
    found.cloned().unwrap_or(Value::Null)
}

async fn board(farm: &Farm, serial: &str) -> Value {
    farm.get(&format!("/v1/boards/{serial}")).await.unwrap()
}

async fn happened(farm: &Farm) -> Vec<String> {
    let page = farm.get("/v1/events?limit=1000").await.unwrap();
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["what"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_operator_drains_a_board_and_a_worker_and_takes_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("farm.db");
    let builder = || Control::builder().database(&database).config(quick());
    let farm = Farm::start(Net::Tcp, 0, builder()).await;
    let held = FakeWorker::join(&farm, "w", &["A", "B"]).await;
    let mut socket = farm.socket("ann", "s", None).await;
    farm.post("/reserve", json!({"amount": 1, "name": "ann", "kind": "pulse count"}))
        .await
        .unwrap();
    until(async || held.serving("A").is_some()).await;

    let answer = farm.post("/v1/workers/w/drain", json!({"on": true})).await.unwrap();
    assert_eq!(answer, json!({"worker": "w", "draining": true, "held": ["A"]}));
    let event = next(&mut socket, events::DRAINING).await;
    assert_eq!(event.fields["worker"].as_str(), Some("w"));
    assert_eq!(event.fields["lease"].as_u64(), Some(1));
    assert_eq!(farm.available().await, 0);
    assert_eq!(farm.status("B").await.unwrap(), "draining");
    let in_full = board(&farm, "B").await;
    assert_eq!((&in_full["draining"], &in_full["reported"]), (&json!(true), &json!("available")));
    assert!(in_full["why"].as_str().unwrap().contains("drains its worker w"), "{in_full}");
    let counts = farm.get("/v1/status").await.unwrap()["boards"].clone();
    assert_eq!((&counts["draining"], &counts["reserved"]), (&json!(1), &json!(1)));
    assert_eq!(worker(&farm, "w").await["draining"], true);
    let error = farm.reserve(wish("bob", 1)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotEnoughDevices);
    let answer = farm.post("/v1/boards/A/drain", json!({})).await.unwrap();
    assert_eq!(answer, json!({"serial": "A", "draining": true, "held": ["A"]}));

    // A restart of control takes nothing back.
    let (_, port) = farm.stop().await;
    let farm = Farm::start(Net::Tcp, port, builder()).await;
    until(async || worker(&farm, "w").await["reachable"] == true).await;
    assert_eq!(farm.available().await, 0);
    farm.post("/endall", json!({"name": "ann"})).await.unwrap();
    until(async || farm.status("A").await.unwrap() == "draining").await;
    let answer = farm.post("/v1/workers/w/drain", json!({"on": false})).await.unwrap();
    assert_eq!(answer, json!({"worker": "w", "draining": false, "held": []}));
    farm.until_available(1).await;
    assert_eq!(farm.status("A").await.unwrap(), "draining", "the board itself is drained");
    farm.post("/v1/boards/A/drain", json!({"on": false})).await.unwrap();
    farm.until_available(2).await;

    let happened = happened(&farm).await;
    for what in ["worker_drained", "board_drained", "worker_undrained", "board_undrained"] {
        assert!(happened.iter().any(|word| word == what), "{what} in {happened:?}");
    }
    for (path, code) in [
        ("/v1/workers/none/drain", ErrorCode::NotFound),
        ("/v1/boards/none/drain", ErrorCode::UnknownSerial),
    ] {
        assert_eq!(farm.post(path, json!({})).await.unwrap_err().code, code);
    }
    let wrong = farm.post("/v1/boards/A/drain", json!({"on": "maybe"})).await.unwrap_err();
    assert_eq!(wrong.code, ErrorCode::BadRequest);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stops_is_let_go_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let farm = Farm::simulated(&folder.path().join("farm.db")).await;
    let stopping = FakeWorker::join(&farm, "w", &["A", "B"]).await;
    let mut socket = farm.socket("ann", "s", None).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    until(async || stopping.serving("A").is_some()).await;
    stopping.stop_within(60_000);
    let event = next(&mut socket, events::DRAINING).await;
    assert_eq!(event.fields["ends_in_ms"].as_u64(), Some(60_000));
    assert_eq!(farm.available().await, 0);
    assert!(worker(&farm, "w").await["stops"].is_string());
    assert!(farm.boards().await.iter().all(|board| board["draining"] == true));

    stopping.leave().await;
    let end = next(&mut socket, events::RESERVATION_END).await;
    assert_eq!(end.fields["reason"].as_str(), Some("drained"));
    assert_eq!(worker(&farm, "w").await["contact"], "left");
    assert_eq!(farm.status("B").await.unwrap(), "offline");
    // Nobody misses it, however long it is away.
    sleep(Duration::from_secs(400)).await;
    let told = happened(&farm).await;
    let alarms = ["worker_unreachable", "worker_lost", "board_missing"];
    assert!(!told.iter().any(|what| alarms.contains(&what.as_str())), "{told:?}");
    assert_eq!(worker(&farm, "w").await["contact"], "left");
    assert!(board(&farm, "B").await["why"].as_str().unwrap().contains("w was stopped"));

    // Under the same name at another address, and not draining.
    let again = FakeWorker::start(&farm, "w", &["A", "B"]).await;
    again.restart().await;
    farm.until_available(2).await;
    assert_eq!(worker(&farm, "w").await["stops"], Value::Null);
}

#[tokio::test]
async fn control_ends_in_good_order() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("farm.db");
    let builder = || Control::builder().database(&database).config(quick());
    let farm = Farm::start(Net::Tcp, 0, builder()).await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let (mut socket, hello) = farm.open("ann", "s", None).await;
    let last = farm.get("/v1/events?limit=1").await.unwrap()["last"].as_u64().unwrap();
    let (http, control) = (farm.http.clone(), farm.control.clone());
    let waiting = tokio::spawn(async move {
        let path = format!("/v1/events?after={last}&wait_s=60&serial=none");
        let options = icefarm_net::RequestOptions::default();
        http.get_json::<Value>(&control, &path, &options).await
    });
    // The question above was put before these.
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    farm.post("/endall", json!({"name": "ann"})).await.unwrap();
    let (_, port) = farm.stop().await;
    let page = waiting.await.unwrap().expect("what was being answered is answered");
    assert_eq!(page["events"], json!([]));
    let end = next(&mut socket, events::RESERVATION_END).await;
    assert_eq!(end.fields["lease"].as_u64(), Some(1), "what was numbered was written");
    // Free boards may have been announced meanwhile.
    let rest = loop {
        match socket.next().await {
            Ok(Some(_)) => {}
            rest => break rest,
        }
    };
    assert!(matches!(rest, Ok(None)), "and then the socket was closed: {rest:?}");

    let farm = Farm::start(Net::Tcp, port, builder()).await;
    let (mut socket, again) = farm.open("ann", "s", None).await;
    assert_eq!((again.epoch, again.seq), (hello.epoch, 1));
    let end = next(&mut socket, events::RESERVATION_END).await;
    assert_eq!(end.fields["lease"].as_u64(), Some(1), "it was not acknowledged");
    farm.until_available(1).await;
}
