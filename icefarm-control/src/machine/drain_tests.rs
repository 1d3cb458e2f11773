//! Boards and workers that go out of service, and come back.

use super::lab::{Lab, events, free, kind, reasons, registration, serial, serving, told};
use super::{Command, Contact, Drain, EndReason, Obstacle, Refusal};
use icefarm_core::LeaseId;
use icefarm_core::wire::{BoardStatus, EndedLease};
use std::time::Duration;

fn worker(on: bool) -> Command {
    Command::DrainWorker { worker: "w".parse().unwrap(), on }
}

fn board(name: &str, on: bool) -> Command {
    Command::DrainBoard { serial: serial(name), on }
}

fn stops(seconds: u64) -> Command {
    let within = Duration::from_secs(seconds);
    Command::Stops { worker: "w".parse().unwrap(), incarnation: "w1".into(), within }
}

fn leave(incarnation: &str) -> Command {
    Command::Leave { worker: "w".parse().unwrap(), incarnation: incarnation.into() }
}

fn status(lab: &Lab, name: &str) -> BoardStatus {
    lab.farm.status(&lab.farm.boards[&serial(name)])
}

#[test]
fn nothing_new_is_placed_on_a_board_that_is_drained() {
    let mut lab = Lab::with(&["A", "B"]);
    lab.run(board("A", true));
    assert_eq!((lab.available(), status(&lab, "A")), (vec!["B"], BoardStatus::Draining));
    let refusal = lab.reserve_named("ann", &["A"]).unwrap_err();
    let status = BoardStatus::Draining;
    assert_eq!(refusal, Refusal::NotAvailable { serial: serial("A"), status });
    assert!(lab.run(board("A", true)).changes.is_empty(), "it is drained already");
    let back = lab.run(board("A", false));
    assert_eq!(told(&back), ["all: 2 available"]);
    assert_eq!(lab.available(), ["A", "B"]);
    assert_eq!(
        lab.try_run(board("C", true)).unwrap_err(),
        Refusal::UnknownSerial { serial: serial("C") }
    );
}

#[test]
fn leases_go_on_and_holders_are_told_once() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    lab.beat("w", "w1", vec![serving("A", 1, 2)]);
    let drained = lab.run(worker(true));
    assert_eq!(told(&drained), ["ann A: draining"]);
    let event = events(&drained)[0];
    assert_eq!(event.fields["worker"].as_str(), Some("w"));
    assert!(!event.fields.contains_key("ends_in_ms"), "nobody ends it");
    assert!(lab.run(worker(true)).notices.is_empty());
    assert_eq!(lab.farm.leases.len(), 1);
    let client = || "ann".parse().unwrap();
    lab.run(Command::Extend { client: client(), serials: None, instance: None });
    lab.end_all("ann");
    lab.beat("w", "w1", vec![free("A", 1, 3)]);
    assert!(lab.available().is_empty());
    let the_board = &lab.farm.boards[&serial("A")];
    assert_eq!(lab.farm.obstacle(the_board), Some(Obstacle::Draining));
    assert_eq!(lab.farm.drain(the_board), Some(Drain::Worker));
}

#[test]
fn what_an_operator_drained_stays_so() {
    let mut lab = Lab::with(&["A"]);
    lab.run(board("A", true));
    lab.run(worker(true));
    lab.farm = lab.farm.as_stored();
    lab.join("w", "w2", vec![]);
    lab.run(Command::Report {
        worker: "w".parse().unwrap(),
        incarnation: "w2".into(),
        boards: vec![],
        gone: vec![serial("A")],
    });
    lab.beat("w", "w2", vec![free("A", 0, 1)]);
    lab.run(worker(false));
    assert!(lab.available().is_empty(), "the board is drained by itself");
    lab.run(board("A", false));
    assert_eq!(lab.available(), ["A"]);
}

#[test]
fn a_worker_that_stops_gets_nothing_new_and_its_holders_know() {
    let mut lab = Lab::with(&["A", "B"]);
    lab.reserve_named("ann", &["A"]).unwrap();
    let stopping = lab.run(stops(60));
    assert_eq!(told(&stopping), ["ann A: draining"]);
    assert_eq!(events(&stopping)[0].fields["ends_in_ms"].as_u64(), Some(60_000));
    assert!(lab.available().is_empty());
    assert!(lab.run(stops(55)).notices.is_empty(), "it says so with every heartbeat");
    // A registration and a heartbeat that were on their way do not take it back.
    let late = lab.register("w", "w1", vec![serving("A", 1, 2), free("B", 0, 1)]).unwrap();
    assert!(told(&late).is_empty());
    lab.beat("w", "w1", vec![serving("A", 1, 2), free("B", 0, 1)]);
    assert!(lab.available().is_empty());

    let mut report = free("A", 1, 3);
    let reason = "it stops".to_owned();
    report.ended = Some(EndedLease { lease: LeaseId(1), reason, code: None, drained: true });
    let ended = lab.beat("w", "w1", vec![report, free("B", 0, 1)]);
    assert_eq!(told(&ended), ["ann A: reservation end"], "it is no failure");
    assert_eq!(reasons(&ended), [EndReason::Drained]);
}

#[test]
fn a_worker_that_left_is_not_waited_for() {
    let mut lab = Lab::with(&["A", "B"]);
    // It was granted while the worker had not heard of it, and never arrived.
    lab.reserve_named("ann", &["A"]).unwrap();
    lab.run(stops(60));
    let left = lab.run(leave("w1"));
    assert_eq!(told(&left), ["ann A: reservation end"]);
    assert_eq!(reasons(&left), [EndReason::Drained]);
    assert_eq!(lab.farm.workers["w"].contact, Contact::Left);
    assert_eq!(status(&lab, "B"), BoardStatus::Offline);
    // What comes late of it changes nothing, and its silence is no news.
    assert!(lab.try_run(leave("w1")).is_err() && lab.try_run(stops(1)).is_err());
    assert!(lab.register("w", "w1", vec![free("A", 0, 1)]).is_err());
    for _ in 0..3 {
        assert!(lab.wait(300).notices.is_empty());
    }
    assert_eq!(lab.farm.workers["w"].contact, Contact::Left);
    // Another may have its name and its boards.
    let mut other = registration("w", "w2", vec![free("A", 0, 1), free("B", 0, 1)]);
    other.kinds = vec![kind("pulse count")];
    let url = "http://elsewhere:1".to_owned();
    lab.run(Command::Register { registration: Box::new(other), url });
    lab.beat("w", "w2", vec![free("A", 0, 1), free("B", 0, 1)]);
    lab.beat("w", "w2", vec![free("A", 1, 2), free("B", 0, 1)]);
    assert_eq!(lab.available(), ["A", "B"], "it is another start");
}

#[test]
fn boards_of_a_worker_that_left_may_be_plugged_elsewhere() {
    let mut lab = Lab::with(&["A"]);
    lab.run(leave("w1"));
    lab.farm = lab.farm.as_stored();
    assert_eq!(lab.farm.workers["w"].contact, Contact::Left);
    lab.join("v", "v1", vec![free("A", 0, 1)]);
    assert_eq!(lab.available(), ["A"]);
}

#[test]
fn a_worker_that_was_stopping_when_control_came_back_says_so_again() {
    let mut lab = Lab::with(&["A"]);
    lab.run(stops(60));
    lab.farm = lab.farm.as_stored();
    let mut again = registration("w", "w1", vec![free("A", 0, 1)]);
    again.stops_in_ms = Some(40_000);
    let url = "http://w:8081".to_owned();
    lab.run(Command::Register { registration: Box::new(again), url });
    lab.beat("w", "w1", vec![free("A", 0, 1)]);
    assert!(lab.available().is_empty());
    assert_eq!(lab.farm.drain(&lab.farm.boards[&serial("A")]), Some(Drain::Stopping));
}
