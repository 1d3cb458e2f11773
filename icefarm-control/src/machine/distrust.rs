//! What workers say that is not so, and what must not come of it.

use super::lab::{Lab, free, reasons, registration, serial, serving};
use super::{Command, Refusal};

/// The highest lease that control believes a worker to have seen.
const HIGHEST: u64 = 1 << 53;

#[test]
fn a_lease_that_control_gave_is_never_refused() {
    for seen in [HIGHEST - 1, HIGHEST] {
        let mut lab = Lab::empty();
        lab.join("w", "w1", vec![free("A", seen, 1)]);
        let lease = lab.reserve("ann", 1).boards[0].lease.0;
        assert_eq!(lease, seen + 1);
        // Every way in which the worker says that it has the lease.
        assert!(reasons(&lab.beat("w", "w1", vec![serving("A", lease, 2)])).is_empty());
        lab.join("w", "w2", vec![serving("A", lease, 1)]);
        lab.end_all("ann");
        lab.beat("w", "w2", vec![free("A", lease, 2)]);
        assert_eq!(lab.available(), ["A"]);
        assert_eq!(lab.reserve("bob", 1).boards[0].lease.0, lease + 1);
    }
}

#[test]
fn a_lease_beyond_all_that_can_be_moves_nothing() {
    for token in [HIGHEST + 1, u64::MAX - 1, u64::MAX] {
        let mut lab = Lab::empty();
        let refusal = lab.register("w", "w1", vec![free("A", token, 1)]).unwrap_err();
        assert_eq!(refusal, Refusal::ImpossibleToken { serial: serial("A"), token });
        lab.join("w", "w1", vec![free("A", 0, 1)]);
        assert_eq!(lab.reserve("ann", 1).boards[0].lease.0, 1);
    }
}

#[test]
fn who_knows_a_workers_incarnation_is_not_that_worker() {
    let mut lab = Lab::with(&["A"]);
    let mut forged = registration("w", "w1", vec![]);
    forged.secret = "another".into();
    let url = "http://elsewhere:1".to_owned();
    let forged = Command::Register { registration: Box::new(forged), url };
    let refusal = lab.try_run(forged).unwrap_err();
    assert!(matches!(refusal, Refusal::NameTaken { .. }), "{refusal}");
    assert_eq!(lab.available(), ["A"]);
}

#[test]
fn real_boards_that_are_only_claimed_hide_no_simulated_ones() {
    let mut lab = Lab::with(&["SIM1"]);
    lab.register("ghost", "g1", vec![free("A", 0, 1)]).unwrap();
    assert_eq!(lab.available(), ["SIM1"]);
    lab.reserve("ann", 1);
    lab.end_all("ann");
    lab.beat("w", "w1", vec![free("SIM1", 1, 2)]);
    // Once its worker has answered the farm has a real board, also while it is started again.
    lab.beat("ghost", "g1", vec![free("A", 0, 1)]);
    assert_eq!(lab.available(), ["A"]);
    lab.register("ghost", "g2", vec![free("A", 0, 1)]).unwrap();
    assert!(lab.available().is_empty());
    // And after a restart of control, when nobody has answered yet.
    lab.farm = lab.farm.as_stored();
    lab.beat("w", "w1", vec![free("SIM1", 1, 3)]);
    assert!(lab.available().is_empty());
}
