//! What happens when control goes on after it stood still.

use super::lab::{Lab, free, reasons, serving, told};
use super::{Command, Contact, EndReason};
use std::time::Duration;

/// Time that nobody was awake in.
fn freeze(lab: &mut Lab, seconds: u64) {
    lab.now = lab.now.after(Duration::from_secs(seconds));
    lab.run(Command::Wake);
}

#[test]
fn leases_are_kept_for_a_minute_after_control_stood_still() {
    let mut lab = Lab::with(&["A", "B"]);
    lab.reserve("ann", 2);
    freeze(&mut lab, 7200);
    assert!(told(&lab.wait(0)).is_empty(), "it does not warn of what is over");
    lab.wait(30);
    lab.beat("w", "w1", vec![serving("A", 1, 2), serving("B", 2, 2)]);
    let client = "ann".parse().unwrap();
    let serials = Some(vec![super::lab::serial("A")]);
    lab.run(Command::Extend { client, serials, instance: None });
    assert!(reasons(&lab.wait(29)).is_empty());
    assert_eq!(reasons(&lab.wait(1)), [EndReason::Expired]);
    assert_eq!(lab.farm.leases.len(), 1);
}

#[test]
fn workers_and_boards_are_waited_for_anew_after_control_stood_still() {
    let mut lab = Lab::with(&["A", "B"]);
    lab.reserve("ann", 2);
    lab.beat("w", "w1", vec![serving("A", 1, 2)]);
    freeze(&mut lab, 1000);
    assert!(reasons(&lab.wait(179)).is_empty());
    lab.beat("w", "w1", vec![serving("A", 1, 2)]);
    assert_eq!(reasons(&lab.wait(1)), [EndReason::BoardGone]);
    freeze(&mut lab, 1000);
    assert!(reasons(&lab.wait(59)).is_empty());
    lab.run(Command::Extend { client: "ann".parse().unwrap(), serials: None, instance: None });
    assert_eq!(reasons(&lab.wait(121)), [EndReason::WorkerLost]);
    assert_eq!(lab.farm.workers["w"].contact, Contact::Lost);
    // Nor is a lost one forgotten in its sleep.
    freeze(&mut lab, 30 * 24 * 3600);
    lab.wait(0);
    lab.beat("w", "w1", vec![free("A", 1, 3)]);
}
