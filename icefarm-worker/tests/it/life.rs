//! A board's way to being available, and back to it.

use crate::bus::FakeBoard;
use crate::farm::Farm;
use icefarm_core::wire::BoardStatus::{
    Available, AwaitFlashDefault, Broken, FlashingDefault, Offline, Testing,
};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_board_is_flashed_and_tested_before_it_is_offered() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    assert_eq!(board.take_log(), ["bootloader", "write default", "open"]);
    let told: Vec<_> = farm.known.borrow().history.iter().map(|(_, status)| *status).collect();
    assert_eq!(told, [AwaitFlashDefault, FlashingDefault, Testing, Available]);
    let heartbeat = farm.heartbeat().await;
    assert_eq!(heartbeat.boards[0].labels["simulated"], "true");
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_climbed_out_of() {
    let board = FakeBoard::new("B1");
    board.script(|script| {
        script.ignore_bootloader = 1;
        script.refuse_write = 1;
    });
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    let log = board.take_log();
    assert_eq!(log[..4], ["bootloader", "restart", "bootloader", "write default"]);
    assert_eq!(log[log.len() - 2..], ["write default", "open"]);
}

#[tokio::test(start_paused = true)]
async fn power_helps_where_nothing_else_does() {
    let board = FakeBoard::new("B1");
    board.script(|script| {
        script.mute = true;
        script.power = true;
    });
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    assert!(board.take_log().contains(&"power".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_board_that_cannot_be_recovered_is_broken_with_its_reason() {
    let board = FakeBoard::new("B1");
    board.script(|script| script.mute = true);
    let farm = Farm::start(&[&board]).await;
    let report = farm.until_status(&board, Broken).await;
    assert!(report.reason.unwrap().contains("print its line `default firmware` within 5 s"));
    let refused = farm.reserve(&board, 1, "me", "mischief", json!({})).await.unwrap_err();
    assert!(refused.to_string().contains("the board is broken"), "{refused}");

    // Somebody has mended it, and says so.
    board.script(|script| script.mute = false);
    farm.call("/delete", json!({"serial": "B1"})).await.unwrap();
    farm.until_status(&board, Available).await;
    // What was refused was not seen.
    farm.reserve(&board, 1, "me", "mischief", json!({})).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broken_board_that_is_plugged_anew_begins_anew() {
    let board = FakeBoard::new("B1");
    board.script(|script| script.mute = true);
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Broken).await;
    board.script(|script| script.mute = false);
    board.unplug();
    board.plug();
    farm.until_status(&board, Available).await;
}

#[tokio::test(start_paused = true)]
async fn a_free_board_that_leaves_is_offline_until_it_is_back() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    board.unplug();
    let report = farm.until_status(&board, Offline).await;
    assert!(report.reason.unwrap().contains("not on the bus"));
    board.take_log();
    board.plug();
    farm.until_status(&board, Available).await;
    assert_eq!(board.take_log(), ["bootloader", "write default", "open"], "nothing is trusted");
}

#[tokio::test(start_paused = true)]
async fn deleting_adds_again_what_is_there() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    board.take_log();
    farm.call("/delete", json!({"serial": "B1"})).await.unwrap();
    farm.until_status(&board, FlashingDefault).await;
    farm.until_status(&board, Available).await;
    assert_eq!(board.take_log(), ["bootloader", "write default", "open"]);

    board.unplug();
    farm.until_status(&board, Offline).await;
    farm.call("/delete", json!({"serial": "B1"})).await.unwrap();
    let mut known = farm.known.clone();
    known.wait_for(|known| known.gone.len() == 1).await.unwrap();
    assert!(farm.heartbeat().await.boards.is_empty());
    let unknown = farm.reserve(&board, 1, "me", "mischief", json!({})).await.unwrap_err();
    assert!(unknown.to_string().contains("this worker has no board B1"));
    board.plug();
    farm.until_status(&board, Available).await;
}

#[tokio::test(start_paused = true)]
async fn boards_that_come_later_are_found_and_a_serial_counts_once() {
    let farm = Farm::start(&[]).await;
    let (first, twin) = (FakeBoard::new("B1"), FakeBoard::new("B1"));
    farm.bus.add(first.clone());
    farm.until_status(&first, Available).await;
    farm.bus.add(twin.clone());
    let other = FakeBoard::new("B2");
    farm.bus.add(other.clone());
    farm.until_status(&other, Available).await;
    assert!(twin.take_log().is_empty(), "the second of one serial is left alone");
}
