//! Control ends and comes back on the same database.

use crate::farm::{Farm, quick, until, wish};
use crate::network::Net;
use crate::worker::FakeWorker;
use icefarm_control::{Control, ControlError};
use icefarm_core::wire::Position;
use serde_json::json;
use std::path::Path;

async fn start(port: u16, database: &Path) -> Farm {
    Farm::start(Net::Tcp, port, Control::builder().database(database).config(quick())).await
}

#[tokio::test]
async fn leases_survive_and_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("farm.db");
    let farm = start(0, &database).await;
    let worker = FakeWorker::join(&farm, "w", &["A", "B"]).await;
    let mut wish = wish("ann", 1);
    wish["request"] = json!("q");
    let before = farm.reserve(wish.clone()).await.unwrap();
    until(async || worker.serving("A").is_some()).await;
    let (_, port) = farm.stop().await;

    // The worker's reports reach nobody for a while; then control is back at its address.
    let farm = start(port, &database).await;
    assert_eq!(farm.get("/v1/leases").await.unwrap()[0]["lease"], 1);
    let again = farm.reserve(wish).await.unwrap();
    assert_eq!(again.reservation, before.reservation, "the answer may have been lost");
    assert_eq!(again.boards[0].lease, before.boards[0].lease);
    farm.until_available(1).await;
    assert_eq!(worker.serving("A").unwrap(), before.boards[0].lease);

    let next = farm.reserve(json!({"amount": 1, "name": "bob", "kind": "pulse count"}));
    assert_eq!(next.await.unwrap().boards[0].lease.0, 2);
    farm.post("/endall", json!({"name": "ann"})).await.unwrap();
    farm.until_available(1).await;
    assert_eq!(worker.serving("A"), None);
}

#[tokio::test]
async fn an_end_that_the_worker_never_heard_of_reaches_it_later() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("farm.db");
    let farm = start(0, &database).await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    until(async || worker.serving("A").is_some()).await;
    worker.hang(&["end"]);
    farm.post("/endall", json!({"name": "ann"})).await.unwrap();
    let (_, port) = farm.stop().await;
    worker.hang(&[]);
    let farm = start(port, &database).await;
    farm.until_available(1).await;
    assert_eq!(worker.serving("A"), None);
}

#[tokio::test]
async fn events_wait_in_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("farm.db");
    let farm = start(0, &database).await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let (mut socket, hello) = farm.open("ann", "s", None).await;
    for _ in 0..2 {
        farm.post("/reserve", wish("ann", 1)).await.unwrap();
        farm.post("/endall", json!({"name": "ann"})).await.unwrap();
        farm.until_available(1).await;
    }
    crate::events::next(&mut socket, "reservation end").await;
    let (_, port) = farm.stop().await;

    let farm = start(port, &database).await;
    let position = Position { epoch: hello.epoch, seq: 1 };
    let (mut socket, hello) = farm.open("ann", "s", Some(position.clone())).await;
    assert_eq!((&hello.epoch, hello.seq), (&position.epoch, 2));
    let end = crate::events::next(&mut socket, "reservation end").await;
    assert_eq!(end.fields["lease"].as_u64(), Some(2), "the first one was dealt with");
}

#[tokio::test]
async fn a_second_control_on_a_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("farm.db");
    let farm = start(0, &database).await;
    let error = Control::builder().database(&database).build().unwrap_err();
    assert!(matches!(error, ControlError::Store(_)) && error.to_string().contains("in use"));
    farm.stop().await;
    Control::builder().database(&database).build().unwrap();
    assert!(matches!(Control::builder().build(), Err(ControlError::NoStore)));
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_said_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("farm.db");
    let open = || icefarm_control::Control::builder().database(&path).build();
    drop(open().unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("INSERT INTO requests VALUES ('ann', 'q', '{')").unwrap();
    drop(connection);
    let error = open().unwrap_err().to_string();
    assert!(error.contains("`requests`"), "{error}");
}
