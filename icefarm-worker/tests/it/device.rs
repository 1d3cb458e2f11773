//! What states get done by their board.

use crate::bus::FakeBoard;
use crate::farm::Farm;
use icefarm_core::wire::BoardStatus::{Available, Offline};
use icefarm_core::wire::LeasePhase;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn an_image_is_flashed_once() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    board.take_log();
    for _ in 0..2 {
        let flashed = client.ask(&board, "flash", json!({"image": "app"})).await;
        assert_eq!(flashed, Ok(json!("app")));
    }
    assert_eq!(board.take_log(), ["bootloader", "write app"]);
    board.script(|script| script.refuse_write = 1);
    let (code, message) = client.ask(&board, "flash", json!({"image": "b"})).await.unwrap_err();
    assert_eq!(code, "command_failed");
    assert!(message.contains("talking to the board failed: "), "{message}");
    client.ask(&board, "flash", json!({"image": "b"})).await.unwrap();
    assert_eq!(client.ask(&board, "hooks", json!({})).await, Ok(json!([])), "it was asked for");
}

#[tokio::test(start_paused = true)]
async fn a_board_that_needs_no_flashing_is_back_at_once() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.mischief(&board, "me").await;
    board.take_log();
    farm.end(&board, 1).await.unwrap();
    farm.until_status(&board, Available).await;
    assert_eq!(board.take_log(), ["open"], "the default firmware was never replaced");
}

#[tokio::test(start_paused = true)]
async fn a_reboot_keeps_the_state_and_its_work() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    client.ask(&board, "spawn", json!({"what": "post"})).await.unwrap();
    let first = client.command(&board, "sleep", json!({"ms": 2000})).await;
    let second = client.command(&board, "hooks", json!({})).await;
    farm.call("/reboot", json!({"serial": "B1"})).await.unwrap();
    assert_eq!(client.answer(&board, &first).await, Ok(json!(2000)));
    client.event(&board, "initialized").await;
    // The reboot came before the command that waited.
    assert_eq!(client.answer(&board, &second).await, Ok(json!(["posted", "reboot"])));
    let report = farm.until(&board, |report| {
        report.lease.as_ref().is_some_and(|lease| lease.phase == LeasePhase::Ready)
    });
    report.await;
    farm.end(&board, 1).await.unwrap();
    farm.until_status(&board, Available).await;
    let refused = farm.call("/reboot", json!({"serial": "B1"})).await.unwrap_err();
    assert!(refused.to_string().contains("nobody holds a lease"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_board_that_leaves_and_comes_back_keeps_its_lease() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    board.unplug();
    tokio::time::sleep(std::time::Duration::from_secs(9)).await;
    board.plug();
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    // So fast that nobody sees it go.
    board.unplug();
    board.plug();
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    let hooks = client.ask(&board, "hooks", json!({})).await.unwrap();
    let (gone, back) = ("removed", "added default firmware");
    assert_eq!(hooks, json!([gone, back, gone, back]));
}

#[tokio::test(start_paused = true)]
async fn a_board_that_leaves_for_good_fails_its_lease() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    board.unplug();
    let failure = client.event(&board, "failure").await;
    let reason = "the board left the bus and did not come back within 10 s";
    assert_eq!(failure["reason"], reason);
    let report = farm.until_status(&board, Offline).await;
    assert_eq!(report.ended.unwrap().reason, reason);
    farm.end(&board, 1).await.unwrap();
    board.plug();
    farm.until_status(&board, Available).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_loses_the_board_is_told_and_then_fails() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    board.script(|script| script.stay_away = true);
    let (_, message) = client.ask(&board, "restart", json!({})).await.unwrap_err();
    assert_eq!(message, "the board did not come back after a restart within 10 s");
    let failure = client.event(&board, "failure").await;
    assert!(failure["reason"].as_str().unwrap().contains("did not come back within 10 s"));
}

#[tokio::test(start_paused = true)]
async fn circuits_are_counted_across_leases() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    let loaded = client.ask(&board, "load", json!({"sha256": "aa"})).await;
    assert_eq!(loaded, Ok(json!({"sequence": 0, "previous": null})));
    farm.end(&board, 1).await.unwrap();
    let mut client = farm.mischief(&board, "you").await;
    let loaded = client.ask(&board, "load", json!({"sha256": "bb"})).await;
    assert_eq!(loaded, Ok(json!({"sequence": 1, "previous": "aa"})));
}

#[tokio::test(start_paused = true)]
async fn a_state_can_make_way_for_another() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    client.ask(&board, "become", json!({"message": "I am "})).await.unwrap();
    client.event(&board, "exiting").await;
    client.event(&board, "initialized").await;
    client.ask(&board, "getdata", json!({"data": "Another"})).await.unwrap();
    assert_eq!(client.event(&board, "results").await["data"], "I am another");
    assert_eq!(
        client.ask(&board, "echo", json!({"data": 1})).await.unwrap_err().0,
        "unknown_command"
    );
}
