//! Leases and their tokens.

use crate::bus::FakeBoard;
use crate::farm::Farm;
use icefarm_core::LeaseId;
use icefarm_core::wire::BoardStatus::{Available, Reserved};
use icefarm_core::wire::{ErrorCode, LeasePhase};
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_lease_is_served_and_ended() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    let report =
        farm.until(&board, |report| report.status == Reserved && report.lease.is_some()).await;
    let lease = report.lease.unwrap();
    assert_eq!((lease.lease, lease.client.as_str(), report.token), (LeaseId(1), "me", LeaseId(1)));
    let ready = |report: &icefarm_core::wire::BoardReport| {
        report.lease.as_ref().is_some_and(|lease| lease.phase == LeasePhase::Ready)
    };
    farm.until(&board, ready).await;
    assert_eq!(client.ask(&board, "echo", json!({"data": [1, "a"]})).await, Ok(json!([1, "a"])));

    farm.end(&board, 1).await.unwrap();
    client.event(&board, "exiting").await;
    let report = farm.until_status(&board, Available).await;
    assert_eq!((report.token, report.lease, report.ended), (LeaseId(1), None, None));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_served_is_refused_before_anything_happens() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    let refused =
        async |kind: &str, args| farm.reserve(&board, 1, "me", kind, args).await.unwrap_err();
    let error = refused("mystery", json!({})).await;
    assert_eq!(error.code(), Some(ErrorCode::UnknownKind));
    assert!(error.to_string().contains("known kinds: example state, mischief"), "{error}");
    let error = refused("example state", json!({"mesage": "x"})).await;
    assert_eq!(error.code(), Some(ErrorCode::BadArguments));
    assert!(error.to_string().contains("argument `mesage` is not known"), "{error}");
    assert_eq!(farm.token(&board), LeaseId(0), "what was refused was not seen");

    // The key is right, the value is not: only the constructor can tell.
    let error = refused("example state", json!({"message": 7})).await;
    assert_eq!(error.code(), Some(ErrorCode::BadArguments));
    assert!(error.to_string().contains("argument `message`: invalid type"), "{error}");
    let report = farm.until(&board, |report| report.ended.is_some()).await;
    assert_eq!(report.token, LeaseId(1));
    farm.until_status(&board, Available).await;

    // The value is of the right type, and still not what the state takes.
    let mut client = farm.connect("me").await;
    let error = farm.reserve(&board, 2, "me", "example state", json!({"message": "never"})).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::BadArguments));
    let reason = "the state does not take these arguments: `message` must not be `never`";
    assert!(error.to_string().contains(reason), "{error}");
    let ended = farm.until(&board, |report| report.token == LeaseId(2) && report.ended.is_some());
    assert_eq!(ended.await.ended.unwrap().code, Some(ErrorCode::BadArguments));
    let first = client.event(&board, "failure").await;
    assert_eq!((&first["lease"], &first["code"]), (&json!(1), &json!("bad_arguments")));
    let failure = client.event(&board, "failure").await;
    assert_eq!((&failure["reason"], &failure["code"]), (&json!(reason), &json!("bad_arguments")));
    farm.until_status(&board, Available).await;

    let stranger = FakeBoard::new("B2");
    let error = farm.reserve(&stranger, 1, "me", "mischief", json!({})).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownSerial));
    let error = farm.call("/reserve", json!({"serial": "B1"})).await.unwrap_err();
    assert!(error.to_string().contains("missing field `kind`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn tokens_only_rise() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    let take = async |lease| {
        let taken = farm.reserve(&board, lease, "me", "mischief", json!({})).await;
        taken.map(drop).map_err(|error| error.code().unwrap())
    };
    take(5).await.unwrap();
    take(5).await.unwrap();
    assert_eq!(take(4).await, Err(ErrorCode::StaleLease));
    farm.end(&board, 5).await.unwrap();
    farm.end(&board, 5).await.unwrap();
    assert_eq!(take(5).await, Err(ErrorCode::StaleLease));
    take(6).await.unwrap();
    assert_eq!(farm.end(&board, 5).await.unwrap_err().code(), Some(ErrorCode::StaleLease));
    farm.until(&board, |report| report.lease.as_ref().is_some_and(|l| l.lease == LeaseId(6))).await;
}

#[tokio::test(start_paused = true)]
async fn a_higher_lease_ends_the_one_before_it() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut old = farm.mischief(&board, "old").await;
    let mut new = farm.connect("new").await;
    farm.reserve(&board, 2, "new", "mischief", json!({})).await.unwrap();
    let code = old.ask(&board, "echo", json!({"data": 1})).await.unwrap_err().0;
    assert_eq!(code, "not_holder");
    // The command waits until the board was taken back, tested and made ready for the new one.
    assert_eq!(new.ask(&board, "echo", json!({"data": 1})).await, Ok(json!(1)));
    assert_eq!(board.image(), "default");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_comes_before_its_board_is_ready_waits_for_it() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut known = farm.known.clone();
    known.wait_for(|known| known.boards.contains_key("B1")).await.unwrap();
    farm.reserve(&board, 7, "me", "mischief", json!({})).await.unwrap();
    let mut client = farm.connect("me").await;
    assert_eq!(client.ask(&board, "echo", json!({"data": 1})).await, Ok(json!(1)));
    let offered = farm.known.borrow().history.iter().any(|(_, status)| *status == Available);
    assert!(!offered, "it belongs to somebody already");
}

#[tokio::test(start_paused = true)]
async fn only_the_holder_commands() {
    let (board, free) = (FakeBoard::new("B1"), FakeBoard::new("B2"));
    let farm = Farm::start(&[&board, &free]).await;
    let mut holder = farm.mischief(&board, "holder").await;
    let mut other = farm.connect("other").await;
    let mut code = async |board: &FakeBoard, event: &str, args| {
        other.ask(board, event, args).await.unwrap_err().0
    };
    assert_eq!(code(&board, "echo", json!({"data": 1})).await, "not_holder");
    assert_eq!(code(&free, "echo", json!({"data": 1})).await, "not_reserved");
    assert_eq!(code(&FakeBoard::new("B3"), "echo", json!({})).await, "unknown_serial");

    let (code, message) = holder.ask(&board, "ehco", json!({})).await.unwrap_err();
    assert_eq!(code, "unknown_command");
    assert!(message.contains("`ehco` is not known; known: echo, "), "{message}");
    let (code, message) = holder.ask(&board, "echo", json!({"date": 1})).await.unwrap_err();
    assert_eq!(code, "bad_arguments");
    assert!(message.contains("argument `date` is not known"), "{message}");
    let (code, message) = holder.ask(&board, "say", json!({"text": "x"})).await.unwrap_err();
    assert_eq!((code.as_str(), message.as_str()), ("command_failed", "not open"));
}

#[tokio::test(start_paused = true)]
async fn commands_of_a_board_are_done_in_order_and_bounded() {
    let board = FakeBoard::new("B1");
    let mut config = icefarm_worker::WorkerConfig::default();
    config.lease.commands = 3;
    let farm = Farm::start_with(&[&board], config, true).await;
    let mut client = farm.mischief(&board, "me").await;
    let mut ids = Vec::new();
    for ms in [500, 20, 10, 1, 1] {
        ids.push(client.command(&board, "sleep", json!({"ms": ms})).await);
        // One is being done, three wait.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (code, message) = client.answer(&board, &ids[4]).await.unwrap_err();
    assert_eq!(code, "overloaded");
    assert!(message.contains("3 commands wait"), "{message}");
    for (id, ms) in ids.iter().zip([500, 20, 10, 1]) {
        assert_eq!(client.answer(&board, id).await, Ok(json!(ms)));
    }
}

#[tokio::test(start_paused = true)]
async fn several_boards_answer_each_for_itself() {
    let (one, two) = (FakeBoard::new("B1"), FakeBoard::new("B2"));
    let farm = Farm::start(&[&one, &two]).await;
    let mut client = farm.mischief(&one, "me").await;
    client
        .send(&json!({"serial": ["B1", "B2"], "event": "echo", "contents": {"data": 3}, "id": "x"}))
        .await;
    assert_eq!(client.answer(&one, "x").await, Ok(json!(3)));
    assert_eq!(client.answer(&two, "x").await.unwrap_err().0, "not_reserved");
}

#[tokio::test(start_paused = true)]
async fn a_lease_outlives_its_end_only_while_control_may_come_back() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    farm.silence();
    client.pass(Duration::from_secs(3600 + 590)).await;
    assert_eq!(client.ask(&board, "echo", json!({"data": 1})).await, Ok(json!(1)));
    let failure = client.event(&board, "failure").await;
    assert!(failure["reason"].as_str().unwrap().contains("control says nothing"));
    assert_eq!(failure["lease"], 1, "a later lease of the client would be blamed");
    let report = farm.until(&board, |report| report.ended.is_some()).await;
    assert_eq!(report.ended.unwrap().lease, LeaseId(1));
    farm.until_status(&board, Available).await;
}

#[tokio::test(start_paused = true)]
async fn an_extension_moves_the_end() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    let extend = json!({"serial": "B1", "lease": 1, "lease_rev": 2, "expires_in_ms": 9_000_000});
    farm.call("/extend", extend).await.unwrap();
    client.pass(Duration::from_secs(2 * 3600)).await;
    assert_eq!(client.ask(&board, "echo", json!({"data": 1})).await, Ok(json!(1)));
}

#[tokio::test(start_paused = true)]
async fn deleting_a_leased_board_fails_the_lease() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    farm.call("/delete", json!({"serial": "B1"})).await.unwrap();
    let failure = client.event(&board, "failure").await;
    assert_eq!(failure["reason"], "an operator deleted the board");
    let report = farm.until_status(&board, Available).await;
    assert_eq!(report.ended.unwrap().lease, LeaseId(1));
    farm.end(&board, 1).await.unwrap();
    farm.until(&board, |report| report.ended.is_none()).await;
    assert_eq!(board.image(), "default");
}
