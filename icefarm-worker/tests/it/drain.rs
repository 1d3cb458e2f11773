//! A worker that is stopping.

use crate::bus::FakeBoard;
use crate::farm::Farm;
use icefarm_core::LeaseId;
use icefarm_core::wire::BoardStatus::{Available, Reserved};
use icefarm_core::wire::{ErrorCode, ErrorDetail};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_worker_without_leases_stops_at_once_and_says_goodbye() {
    let board = FakeBoard::new("B1");
    let mut farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    let before = Instant::now();
    farm.drain();
    farm.ended().await;
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    assert!(farm.known.borrow().left);
    assert_eq!(board.image(), "default");
}

#[tokio::test(start_paused = true)]
async fn leases_go_on_while_a_worker_drains() {
    let board = FakeBoard::new("B1");
    let mut farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    let before = Instant::now();
    farm.drain();
    let mut known = farm.known.clone();
    let stops = known.wait_for(|known| known.stops.is_some()).await.unwrap().stops.unwrap();
    assert!((59_000..=60_000).contains(&stops), "control knows at once: {stops}");
    client.pass(Duration::from_secs(30)).await;
    let left = farm.heartbeat().await.stops_in_ms.unwrap();
    assert!((29_000..=30_000).contains(&left), "and with every heartbeat: {left}");
    assert_eq!(client.ask(&board, "echo", json!({"data": 1})).await, Ok(json!(1)));
    let taken = farm.reserve(&board, 1, "me", "mischief", json!({})).await;
    taken.expect("control says again what it granted before");
    assert_eq!(farm.heartbeat().await.boards[0].status, Reserved);

    client.ask(&board, "flash", json!({"image": "app"})).await.unwrap();
    farm.end(&board, 1).await.unwrap();
    farm.ended().await;
    assert!(before.elapsed() < Duration::from_secs(50), "it waits for nothing more");
    assert_eq!(board.image(), "default");
    let known = farm.known.borrow();
    assert!(known.left && known.boards["B1"].ended.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_deadline_is_ended_and_the_holder_told() {
    let board = FakeBoard::new("B1");
    let mut farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    client.ask(&board, "flash", json!({"image": "app"})).await.unwrap();
    let before = Instant::now();
    farm.drain();
    let end = client.event(&board, "reservation end").await;
    assert_eq!(before.elapsed().as_secs(), 60);
    assert_eq!((&end["reason"], &end["lease"]), (&json!("drained"), &json!(1)));
    assert!(end["message"].as_str().unwrap().contains("was stopped"), "{end}");
    let names = |events: &[serde_json::Value]| -> Vec<String> {
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&client.events), ["exiting"], "first all that the state has to tell");
    let code = client.ask(&board, "echo", json!({"data": 1})).await.unwrap_err().0;
    assert_eq!(code, "not_reserved");
    let late = farm.reserve(&board, 2, "you", "mischief", json!({})).await.unwrap_err();
    assert_eq!(late.code(), Some(ErrorCode::Unavailable), "{late}");

    assert!(client.is_ended().await);
    farm.ended().await;
    assert!(before.elapsed() < Duration::from_secs(80), "{:?}", before.elapsed());
    assert_eq!(board.image(), "default");
    let known = farm.known.borrow();
    let ended = known.boards["B1"].ended.clone().unwrap();
    assert!(known.left && ended.drained && ended.lease == LeaseId(1), "{ended:?}");
    assert!(client.events.iter().all(|event| event["event"] != "failure"), "the board is sound");
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_at_once() {
    let board = FakeBoard::new("B1");
    let mut farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    farm.reserve(&board, 1, "me", "mischief", json!({"exit_hangs": true})).await.unwrap();
    let mut client = farm.connect("me").await;
    client.event(&board, "initialized").await;
    farm.drain();
    client.pass(Duration::from_secs(10)).await;
    let before = Instant::now();
    farm.stop().await;
    // Who does not read does not hold it up either.
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
    assert_eq!(client.event(&board, "failure").await["reason"], "the worker is shutting down");
    assert!(farm.known.borrow().left);
}

#[tokio::test(start_paused = true)]
async fn a_worker_stops_without_control_too() {
    let board = FakeBoard::new("B1");
    let mut farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    let away = ErrorDetail::new(ErrorCode::Unavailable, "as the test wants it");
    *farm.refuse.lock().unwrap() = Some(away);
    farm.silence();
    let before = Instant::now();
    farm.drain();
    let end = client.event(&board, "reservation end").await;
    assert_eq!(end["reason"], "drained", "nobody else could tell it");
    assert!(client.is_ended().await);
    farm.ended().await;
    assert!(before.elapsed() < Duration::from_secs(80), "{:?}", before.elapsed());
    assert!(!farm.known.borrow().left);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_hangs_does_not_hold_up_the_end() {
    let board = FakeBoard::new("B1");
    let mut farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    farm.drain();
    // The command fails after 30 s, by itself; this one is under way when the time is over.
    client.pass(Duration::from_secs(50)).await;
    let id = client.command(&board, "hang", json!({})).await;
    client.event(&board, "reservation end").await;
    assert_eq!(client.answer(&board, &id).await.unwrap_err().0, "command_failed");
    sleep(Duration::from_millis(1)).await;
    assert!(client.is_ended().await);
    farm.ended().await;
    assert_eq!(board.image(), "default");
}
