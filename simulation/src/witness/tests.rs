//! Each invariant, broken once by hand: the witness says which it was.

use super::*;
use icefarm_control::machine::{Answered, Change, EndReason, Lease, WaitEnd, Waiting};
use icefarm_control::store::Letter;
use icefarm_core::wire::{Event, ReserveRequest, Selection, ServerFrame};
use icefarm_core::{ClientName, Epoch, Kind, LeaseId, Object, Serial, Timestamp};
use std::sync::Arc;

const SECOND: Duration = Duration::from_secs(1);

fn witness() -> Witness {
    set_time(Some(Duration::ZERO));
    let rules = Judgement { kept: 10, orphaned: 10 * SECOND, silence: 20 * SECOND };
    Witness { rules, ..Witness::new() }
}

fn at(seconds: u64) {
    set_time(Some(Duration::from_secs(seconds)));
}

fn client(name: &str) -> ClientName {
    ClientName::new(name).unwrap()
}

fn lease(id: u64, serial: &str, holder: &str, reservation: &str) -> Arc<Lease> {
    Arc::new(Lease {
        id: LeaseId(id),
        revision: 1,
        serial: Serial::new(serial).unwrap(),
        client: client(holder),
        instance: None,
        kind: Kind::new("probe").unwrap(),
        args: Object::new(),
        reservation: reservation.into(),
        granted: Timestamp(0),
        expires: Timestamp(30_000),
        ttl: 30 * SECOND,
        renewed_by_socket: false,
        warned: false,
    })
}

fn waiting(arrival: u64, name: &str, amount: u32, priority: i32) -> Arc<Waiting> {
    let request = ReserveRequest {
        selection: Selection::Amount(amount),
        name: client(name),
        kind: Kind::new("probe").unwrap(),
        args: Object::new(),
        request: Some(format!("q-{name}").into()),
        instance: None,
        ttl_s: None,
        simulated: None,
        labels: BTreeMap::new(),
        wait_s: Some(60),
        priority: Some(priority),
    };
    Arc::new(Waiting {
        arrival,
        request: Arc::new(request),
        reservation: format!("r-{name}").into(),
        since: Timestamp(0),
        until: Timestamp(60_000),
        seen: Timestamp(0),
    })
}

fn answered(reservation: &str) -> Change {
    let answered = Arc::new(Answered {
        asked: String::new(),
        at: Timestamp(0),
        reservation: reservation.into(),
        boards: Vec::new(),
        over: None,
    });
    Change::RequestAnswered { client: client("any"), request: "any".into(), answered }
}

impl Witness {
    fn writes(&mut self, changes: Vec<Change>) {
        self.committed(&Batch { changes, ..Batch::default() }, &[]);
    }

    fn grants(&mut self, id: u64, serial: &str, holder: &str, reservation: &str) {
        let lease = lease(id, serial, holder, reservation);
        self.writes(vec![Change::LeaseGranted(lease), answered(reservation)]);
    }

    fn ends(&mut self, id: u64, serial: &str, holder: &str, reservation: &str) {
        let lease = lease(id, serial, holder, reservation);
        self.writes(vec![Change::LeaseEnded { lease, reason: EndReason::Ended }]);
    }

    #[track_caller]
    fn says(&self, invariant: Invariant) {
        let broken = self.broken.as_ref().map(|broken| broken.invariant);
        assert_eq!(broken, Some(invariant), "{:?}", self.broken);
    }

    #[track_caller]
    fn is_content(&self) {
        assert!(self.broken.is_none(), "{:?}", self.broken);
    }
}

/// A farm with one lease: 1 of A, held by ann.
fn held() -> Witness {
    let mut witness = witness();
    witness.grants(1, "A", "ann", "r1");
    witness.used("A", 1, "ann", "ann");
    witness.is_content();
    witness
}

#[test]
fn nobody_commands_the_board_of_another() {
    let mut witness = held();
    witness.used("A", 1, "ann", "bob");
    witness.says(Invariant::OneUser);
}

#[test]
fn no_earlier_lease_comes_back() {
    let mut witness = held();
    witness.ends(1, "A", "ann", "r1");
    witness.grants(2, "A", "bob", "r2");
    witness.used("A", 1, "ann", "ann");
    witness.is_content();
    witness.used("A", 2, "bob", "bob");
    witness.used("A", 1, "ann", "ann");
    witness.says(Invariant::OneUser);
}

#[test]
fn no_lease_is_served_that_was_never_written_down_or_is_of_another_board() {
    let mut witness = held();
    witness.used("A", 7, "ann", "ann");
    witness.says(Invariant::OneUser);
    let mut witness = held();
    witness.used("B", 1, "ann", "ann");
    witness.says(Invariant::OneUser);
}

#[test]
fn a_board_serves_no_lease_long_after_its_end() {
    let mut witness = held();
    witness.ends(1, "A", "ann", "r1");
    at(10);
    witness.used("A", 1, "ann", "ann");
    witness.is_content();
    at(11);
    witness.used("A", 1, "ann", "ann");
    witness.says(Invariant::Orphan);
}

#[test]
fn control_ends_leases_in_time_if_it_is_well() {
    let mut witness = held();
    at(40);
    witness.look(35 * SECOND, 10 * SECOND);
    witness.is_content();
    let extended = Change::LeaseExtended {
        serial: Serial::new("A").unwrap(),
        revision: 2,
        expires: Timestamp(60_000),
    };
    let batch = Batch { at: Timestamp(40_000), changes: vec![extended], ..Batch::default() };
    witness.committed(&batch, &[]);
    at(70);
    witness.look(Duration::ZERO, 10 * SECOND);
    witness.is_content();
    at(71);
    witness.look(Duration::ZERO, 10 * SECOND);
    witness.says(Invariant::Orphan);
}

#[test]
fn leases_rise_and_a_board_has_one() {
    let mut witness = held();
    witness.grants(2, "A", "bob", "r2");
    witness.says(Invariant::LeaseIds);
    let mut witness = held();
    witness.ends(1, "A", "ann", "r1");
    witness.grants(1, "B", "bob", "r2");
    witness.says(Invariant::LeaseIds);
    let mut witness = held();
    witness.ends(2, "A", "ann", "r1");
    witness.says(Invariant::LeaseIds);
}

#[test]
fn a_measurement_is_one_circuits_reading() {
    let mut witness = held();
    let count = witness.measured("A", "c1");
    witness.reading("A", count, "c1");
    witness.is_content();
    witness.reading("A", count, "c1");
    witness.says(Invariant::OneOutcome);
    let mut witness = held();
    let count = witness.measured("A", "c1");
    witness.reading("A", count, "c2");
    witness.says(Invariant::OneOutcome);
    let mut witness = held();
    witness.reading("A", 1, "c1");
    witness.says(Invariant::OneOutcome);
}

#[test]
fn a_client_is_told_of_what_was_written_down_and_once() {
    let mut witness = held();
    witness.granted("ann", "A", 1);
    witness.is_content();
    witness.granted("ann", "A", 1);
    witness.says(Invariant::Answered);
    let mut witness = held();
    witness.granted("bob", "A", 1);
    witness.says(Invariant::Answered);
    let mut witness = held();
    witness.granted("ann", "A", 2);
    witness.says(Invariant::Answered);
}

/// Sends ann these events and lets a subscriber receive frames with these numbers and texts.
fn told(received: &[(u64, &str)]) -> Witness {
    let mut witness = witness();
    for (number, event) in [(1, "one"), (2, "two"), (3, "three")] {
        let letter = Letter { serial: Serial::meta(), contents: vec![Event::new(event)] };
        let letters = vec![(client("ann"), letter)];
        witness.committed(&Batch { letters, ..Batch::default() }, &[number]);
    }
    let mut seen = Seen { epoch: "e".to_owned(), seq: 1, before: 1, strict: true };
    witness.follows("ann~1", "ann", "control", 1);
    for (seq, event) in received {
        let mut frame = ServerFrame::new(Serial::meta().as_str(), vec![Event::new(*event)]);
        (frame.epoch, frame.seq) = (Some(Epoch::from("e".to_owned())), Some(*seq));
        witness.frame("ann~1", "ann", "control", &mut seen, &frame);
    }
    witness
}

#[test]
fn events_come_once_in_order_and_as_they_were_sent() {
    told(&[(2, "two"), (3, "three")]).is_content();
    told(&[(3, "three")]).says(Invariant::Events);
    told(&[(2, "two"), (2, "two")]).says(Invariant::Events);
    told(&[(2, "three")]).says(Invariant::Events);
    told(&[(2, "two"), (3, "three"), (4, "four")]).says(Invariant::Events);
}

#[test]
fn whoever_has_not_heard_the_last_event_is_behind() {
    assert!(told(&[(2, "two"), (3, "three")]).behind().is_empty());
    assert_eq!(told(&[(2, "two")]).behind(), ["ann~1 is at event 2 of 3"]);
}

#[test]
fn letters_have_numbers_without_gaps() {
    let mut witness = witness();
    for number in [1, 3] {
        let letter = Letter { serial: Serial::meta(), contents: Vec::new() };
        let letters = vec![(client("ann"), letter)];
        witness.committed(&Batch { letters, ..Batch::default() }, &[number]);
    }
    witness.says(Invariant::Events);
}

/// A farm in which ann waits for a board, and then bob.
fn line() -> Witness {
    let mut witness = witness();
    witness.writes(vec![Change::WaitBegan(waiting(1, "ann", 1, 0))]);
    witness.writes(vec![Change::WaitBegan(waiting(2, "bob", 1, 0))]);
    witness.is_content();
    witness
}

fn served(arrival: u64, id: u64, name: &str) -> Vec<Change> {
    let reservation = format!("r-{name}");
    let lease = lease(id, &format!("B{id}"), name, &reservation);
    let waiting = waiting(arrival, name, 1, 0);
    vec![
        Change::LeaseGranted(lease),
        answered(&reservation),
        Change::WaitEnded { waiting, end: WaitEnd::Granted },
    ]
}

#[test]
fn who_waits_is_served_in_order() {
    let mut witness = line();
    witness.writes(served(1, 1, "ann"));
    witness.writes(served(2, 2, "bob"));
    witness.is_content();
    assert!(witness.line().is_empty());
    let mut witness = line();
    witness.writes(served(2, 1, "bob"));
    witness.says(Invariant::Queue);
}

#[test]
fn who_does_not_wait_passes_nobody() {
    let mut witness = line();
    witness.grants(1, "A", "cleo", "r3");
    witness.says(Invariant::Queue);
    let mut witness = line();
    witness.waits_with("cleo", 1);
    witness.grants(1, "A", "cleo", "r3");
    witness.is_content();
}

#[test]
fn who_waits_for_more_is_not_passed_by_fewer_boards() {
    let mut witness = witness();
    witness.writes(vec![Change::WaitBegan(waiting(1, "ann", 2, 0))]);
    witness.grants(1, "A", "cleo", "r3");
    witness.is_content();
}

#[test]
fn a_request_gets_all_its_boards_once_or_none() {
    let mut witness = witness();
    witness.writes(vec![Change::WaitBegan(waiting(1, "ann", 2, 0))]);
    witness.writes(served(1, 1, "ann"));
    witness.says(Invariant::Queue);
    let mut witness = line();
    witness.writes(served(1, 1, "ann"));
    witness.grants(2, "C", "ann", "r-ann");
    witness.says(Invariant::Queue);
    for (end, boards) in [(WaitEnd::Expired, true), (WaitEnd::Granted, false)] {
        let mut witness = line();
        if boards {
            witness.grants(1, "A", "ann", "r-ann");
        }
        witness.writes(vec![Change::WaitEnded { waiting: waiting(1, "ann", 1, 0), end }]);
        witness.says(Invariant::Queue);
    }
}

#[test]
fn nobody_waits_for_longer_than_allowed() {
    let mut witness = line();
    at(70);
    witness.look(Duration::ZERO, 10 * SECOND);
    witness.is_content();
    at(71);
    witness.look(65 * SECOND, 10 * SECOND);
    witness.is_content();
    witness.look(Duration::ZERO, 10 * SECOND);
    witness.says(Invariant::Queue);
    let mut witness = line();
    at(5);
    witness.process_gone("ann");
    at(36);
    witness.look(Duration::ZERO, 10 * SECOND);
    witness.says(Invariant::Queue);
}
