//! What operators may do.

use super::lab::{Lab, free, reasons, serial, told};
use super::{Command, EndReason, Refusal};
use icefarm_core::LeaseId;

#[test]
fn an_operator_can_end_any_lease() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    let revoke = |lease| Command::Revoke { serials: vec![serial("A"), serial("X")], lease };
    assert!(lab.run(revoke(Some(LeaseId(9)))).changes.is_empty(), "another lease was meant");
    let revoked = lab.run(revoke(Some(LeaseId(1))));
    assert_eq!(reasons(&revoked), [EndReason::Revoked]);
    assert_eq!(told(&revoked), ["ann A: reservation end"]);
    lab.beat("w", "w1", vec![free("A", 1, 2)]);
    lab.reserve("ann", 1);
    let deleted = lab.run(Command::DeleteBoard { serial: serial("A") });
    assert_eq!(reasons(&deleted), [EndReason::BoardDeleted]);
    assert!(lab.farm.boards.is_empty());
}

#[test]
fn a_worker_that_cannot_be_reached_can_be_forgotten_with_its_boards() {
    let mut lab = Lab::with(&["A", "B"]);
    lab.reserve("ann", 1);
    let worker = || "w".parse().unwrap();
    let refused = lab.try_run(Command::ForgetWorker { worker: worker() }).unwrap_err();
    assert_eq!(refused, Refusal::WorkerThere { worker: worker() });
    lab.run(Command::Unreachable { worker: worker(), incarnation: "w1".into() });
    let forgotten = lab.run(Command::ForgetWorker { worker: worker() });
    assert_eq!(reasons(&forgotten), [EndReason::WorkerLost]);
    assert!(lab.farm.workers.is_empty() && lab.farm.boards.is_empty());
    let refused = lab.try_run(Command::ForgetWorker { worker: worker() }).unwrap_err();
    assert_eq!(refused, Refusal::UnknownWorker { worker: worker() });
    // The boards are told apart from before by their tokens, if it comes back.
    lab.join("w", "w1", vec![free("A", 0, 1)]);
    assert_eq!(lab.available(), [""; 0]);
}
