//! States that misbehave harm their own lease, and nothing else.

use crate::bus::FakeBoard;
use crate::farm::{Client, Farm};
use crate::states::{Gates, LEAKS};
use icefarm_core::BoardError;
use icefarm_core::wire::BoardStatus::{Available, Broken};
use icefarm_worker::WorkerConfig;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// Two boards, both leased; what is done to the first must not be felt at the second.
async fn two() -> (Farm, [Arc<FakeBoard>; 2], [Client; 2]) {
    let boards = [FakeBoard::new("B1"), FakeBoard::new("B2")];
    let farm = Farm::start(&[&boards[0], &boards[1]]).await;
    let clients = [farm.mischief(&boards[0], "bad").await, farm.mischief(&boards[1], "good").await];
    (farm, boards, clients)
}

async fn fails_alone(command: &str, args: Value, reason: &str) {
    let (farm, [bad, good], [mut culprit, mut bystander]) = two().await;
    let id = culprit.command(&bad, command, args).await;
    let failure = culprit.event(&bad, "failure").await;
    assert!(failure["reason"].as_str().unwrap().contains(reason), "{failure}");
    let answer = culprit.answer(&bad, &id).await;
    assert!(answer.is_err() || command == "spawn" || command == "fail", "{answer:?}");

    let report = farm.until(&bad, |report| report.ended.is_some()).await;
    let ended = report.ended.unwrap();
    assert!(ended.reason.contains(reason));
    farm.until_status(&bad, Available).await;
    assert_eq!(bystander.ask(&good, "echo", json!({"data": 1})).await, Ok(json!(1)));
    let code = culprit.ask(&bad, "echo", json!({"data": 1})).await.unwrap_err().0;
    assert_eq!(code, "not_reserved");
    // And the board can be had again.
    farm.end(&bad, ended.lease.0).await.unwrap();
    farm.mischief(&bad, "next").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_command() {
    fails_alone("panic", json!({}), "`panic` of the state `mischief`: it panicked: as asked").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_spawned_task() {
    let reason = "`a task` of the state `mischief`: it panicked: beside";
    fails_alone("spawn", json!({"what": "panic"}), reason).await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_never_ends() {
    fails_alone("hang", json!({}), "`hang` of the state `mischief`: it took longer than 30 s")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_state_that_gives_up() {
    fails_alone("fail", json!({}), "it wants no more").await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_goes_wrong() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.connect("me").await;
    let cases = [
        ("panic", "`start` of the state `mischief`: it panicked: at the start"),
        ("fail", "`start` of the state `mischief`: no thanks"),
        ("hang", "`start` of the state `mischief`: it took longer than 120 s"),
    ];
    for (lease, (start, reason)) in (1..).zip(cases) {
        farm.until_status(&board, Available).await;
        let args = json!({"start": start});
        farm.reserve(&board, lease, "me", "mischief", args).await.unwrap();
        let failure = client.event(&board, "failure").await;
        assert_eq!(failure["reason"], reason);
        farm.end(&board, lease).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_does_not_wait_for_a_state_that_hangs() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    let id = client.command(&board, "hang", json!({})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Instant::now();
    farm.end(&board, 1).await.unwrap();
    assert_eq!(client.answer(&board, &id).await.unwrap_err().0, "command_failed");
    farm.until_status(&board, Available).await;
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_hangs_is_cut_short() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    farm.reserve(&board, 1, "me", "mischief", json!({"exit_hangs": true})).await.unwrap();
    let mut client = farm.connect("me").await;
    client.event(&board, "initialized").await;
    let before = Instant::now();
    farm.end(&board, 1).await.unwrap();
    farm.until_status(&board, Available).await;
    let took = before.elapsed();
    assert!((10..15).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_state_outlives_its_lease() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    client.ask(&board, "spawn", json!({"what": "tick"})).await.unwrap();
    client.event(&board, "tick").await;
    client.ask(&board, "flash", json!({"image": "app"})).await.unwrap();
    client.ask(&board, "open", json!({})).await.unwrap();
    assert_eq!(client.ask(&board, "say", json!({"text": "ab"})).await, Ok(json!("abab")));
    farm.end(&board, 1).await.unwrap();
    client.event(&board, "exiting").await;
    farm.until_status(&board, Available).await;
    assert_eq!(board.image(), "default");
    client.events.clear();
    tokio::time::sleep(Duration::from_secs(5)).await;
    // The answer to this is the first frame that comes.
    client.ask(&board, "echo", json!({"data": 1})).await.unwrap_err();
    assert!(client.events.is_empty(), "{:?}", client.events);
}

#[tokio::test(start_paused = true)]
async fn a_handle_of_an_ended_lease_refuses_everything() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    client.ask(&board, "leak", json!({"name": "handle"})).await.unwrap();
    farm.end(&board, 1).await.unwrap();
    client.event(&board, "exiting").await;
    farm.until_status(&board, Available).await;
    farm.mischief(&board, "next").await;
    board.take_log();

    let (device, mut port) = LEAKS.lock().unwrap().remove("handle").unwrap();
    let read = port.read_u8().await.unwrap_err();
    assert_eq!(read.to_string(), "the lease is over, and the port with it");
    assert!(matches!(device.flash("app").await, Err(BoardError::LeaseOver)));
    assert!(matches!(device.restart().await, Err(BoardError::LeaseOver)));
    assert!(matches!(device.open().await, Err(BoardError::LeaseOver)));
    let _ = device.load_circuit("aa");
    assert_eq!(device.load_circuit("bb").sequence, 0, "it counts for nothing");
    device.emit("results", 1);
    device.spawn(async { unreachable!("nobody runs this") });
    device.fail("it would like to");
    device.post("anything");
    assert!(board.take_log().is_empty());
    // The answer to this is all that comes.
    client.ask(&board, "echo", json!({"data": 1})).await.unwrap_err();
    assert!(client.events.is_empty(), "{:?}", client.events);
}

/// A worker whose states are on threads of their own, and so on real time: everything that is
/// waited for is brought about.
async fn on_threads(boards: &[&Arc<FakeBoard>], abandoned: usize) -> Farm {
    boards.iter().for_each(|board| board.script(|script| script.fast = true));
    let mut config = WorkerConfig::default();
    config.lease.exit = Duration::from_millis(100);
    config.lease.abandoned = abandoned;
    Farm::start_with(boards, config, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_keeps_its_thread_for_ever_is_left_behind() {
    let boards = [FakeBoard::new("B1"), FakeBoard::new("B2")];
    let [bad, good] = &boards;
    let farm = on_threads(&[bad, good], 1).await;
    let mut culprit = farm.mischief(bad, "bad").await;
    let mut bystander = farm.mischief(good, "good").await;
    culprit.ask(bad, "flash", json!({"image": "app"})).await.unwrap();
    let id = culprit.command(bad, "block", json!({"gate": "thread"})).await;
    culprit.event(bad, "busy").await;
    assert_eq!(farm.heartbeat().await.boards.len(), 2);
    assert_eq!(bystander.ask(good, "echo", json!({"data": 1})).await, Ok(json!(1)));

    farm.end(bad, 1).await.unwrap();
    farm.until_status(bad, Available).await;
    assert_eq!(bad.image(), "default", "it was taken back without the state");
    let mut next = farm.mischief(bad, "next").await;
    assert_eq!(next.ask(bad, "echo", json!({"data": 2})).await, Ok(json!(2)));
    assert_eq!(bystander.ask(good, "echo", json!({"data": 2})).await, Ok(json!(2)));

    // What the first state says when it wakes up is no business of the second lease.
    Gates::open("thread");
    assert_eq!(culprit.answer(bad, &id).await.unwrap_err().0, "command_failed");
    assert_eq!(next.ask(bad, "echo", json!({"data": 3})).await, Ok(json!(3)));
    let late = |event: &Value| event["event"] == "late";
    assert!(!culprit.events.iter().chain(&next.events).any(late));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_states_are_left_behind() {
    let board = FakeBoard::new("B1");
    let farm = on_threads(&[&board], 0).await;
    let mut culprit = farm.mischief(&board, "bad").await;
    let id = culprit.command(&board, "block", json!({"gate": "threads"})).await;
    culprit.event(&board, "busy").await;
    farm.end(&board, 1).await.unwrap();
    let report = farm.until_status(&board, Broken).await;
    assert!(report.reason.unwrap().contains("does not let go of its thread"));
    let refused = farm.reserve(&board, 2, "next", "mischief", json!({})).await.unwrap_err();
    assert!(refused.to_string().contains("does not let go of its thread"), "{refused}");
    Gates::open("threads");
    farm.until_status(&board, Available).await;
    culprit.answer(&board, &id).await.unwrap_err();
    farm.reserve(&board, 2, "next", "mischief", json!({})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_never_ends_by_itself_is_ended() {
    let boards = [FakeBoard::new("B1"), FakeBoard::new("B2")];
    let [spins, clings] = &boards;
    let farm = on_threads(&[spins, clings], 1).await;
    let mut client = farm.mischief(spins, "me").await;
    client.command(spins, "spin", json!({})).await;
    client.event(spins, "busy").await;
    farm.end(spins, 1).await.unwrap();
    farm.until_status(spins, Available).await;

    let mut client = farm.mischief(clings, "you").await;
    client.ask(clings, "cling", json!({"gate": "cling"})).await.unwrap();
    farm.end(clings, 1).await.unwrap();
    farm.until_status(clings, Available).await;
    farm.mischief(clings, "next").await;
    Gates::open("cling");
}

#[tokio::test(start_paused = true)]
async fn a_board_that_hangs_is_taken_back_in_time() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    // In a read.
    let mut client = farm.mischief(&board, "me").await;
    client.ask(&board, "flash", json!({"image": "app"})).await.unwrap();
    client.ask(&board, "open", json!({})).await.unwrap();
    board.script(|script| (script.deaf, script.power) = (true, true));
    let id = client.command(&board, "say", json!({"text": "ab"})).await;
    client.pass(Duration::from_secs(1)).await;
    let before = Instant::now();
    farm.end(&board, 1).await.unwrap();
    assert_eq!(client.answer(&board, &id).await.unwrap_err().0, "command_failed");
    farm.until_status(&board, Available).await;
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    assert_eq!(board.image(), "default");

    // In a write, which a state has asked for.
    let mut client = farm.mischief(&board, "you").await;
    board.script(|script| script.hang_write = true);
    let id = client.command(&board, "flash", json!({"image": "app"})).await;
    client.pass(Duration::from_secs(5)).await;
    let before = Instant::now();
    farm.end(&board, 2).await.unwrap();
    assert_eq!(client.answer(&board, &id).await.unwrap_err().0, "command_failed");
    farm.until_status(&board, Available).await;
    // Every write has a minute, also those of the recovery, until it cuts the power.
    assert!(before.elapsed() < Duration::from_secs(300), "{:?}", before.elapsed());
    assert_eq!(board.image(), "default");
    farm.mischief(&board, "next").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_keeps_its_thread_for_too_long_fails() {
    let board = FakeBoard::new("B1");
    board.script(|script| script.fast = true);
    let mut config = WorkerConfig::default();
    config.lease.exit = Duration::from_millis(100);
    config.lease.stall = Duration::from_secs(5);
    let farm = Farm::start_with(&[&board], config, false).await;
    let mut client = farm.mischief(&board, "me").await;
    client.command(&board, "block", json!({"gate": "stall"})).await;
    let failure = client.event(&board, "failure").await;
    assert!(failure["reason"].as_str().unwrap().contains("does not let go of its thread"));
    Gates::open("stall");
    farm.until_status(&board, Available).await;
}
