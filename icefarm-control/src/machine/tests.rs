use super::lab::{
    Lab, START, ask, events, failed, free, kind, reasons, registration, serial, serving, told,
};
use super::{Answer, Change, Command, Contact, EndReason, Refusal, decide};
use icefarm_core::wire::{BoardStatus, ErrorCode, ReserveRequest, Selection};
use icefarm_core::{Object, Serial, Timestamp, Value};
use std::time::Duration;

fn serials(answer: Answer) -> Vec<Serial> {
    match answer {
        Answer::Serials(serials) => serials,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_boards_are_granted_or_none() {
    let mut lab = Lab::with(&["A", "B"]);
    let refusal = lab.try_reserve(ask("ann", Selection::Amount(3))).unwrap_err();
    assert_eq!(refusal, Refusal::NotEnough { wanted: 3, available: 2, simulated: 0, kept: 0 });
    assert_eq!(refusal.detail().details["available"], Value::from(2u32));
    assert!(lab.farm.leases.is_empty());

    let answer = lab.reserve("ann", 2);
    assert_eq!(answer.to_map()[&serial("A")], "http://w:8081");
    assert_eq!(answer.boards.iter().map(|board| board.lease.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(answer.boards[0].expires_in_ms, 3_600_000);
    assert!(lab.available().is_empty());
}

#[test]
fn nothing_at_all_may_be_reserved() {
    let mut lab = Lab::with(&["A"]);
    assert!(lab.reserve("ann", 0).boards.is_empty());
    assert!(lab.reserve_named("ann", &[]).unwrap().boards.is_empty());
}

#[test]
fn what_is_asked_for_is_checked_before_anything_is_leased() {
    let mut lab = Lab::with(&["A"]);
    let with = |change: fn(&mut ReserveRequest)| {
        let mut request = ask("ann", Selection::Amount(1));
        change(&mut request);
        request
    };
    let mut refuse = |change| lab.try_reserve(with(change)).unwrap_err().detail();

    let unknown = refuse(|request| request.kind = "pulse cuont".parse().unwrap());
    assert_eq!(unknown.code, ErrorCode::UnknownKind);
    assert!(unknown.message.ends_with("kinds: pulse count"), "{}", unknown.message);

    let wrong = refuse(|request| request.args = Object::from([("windw".into(), 1.into())]));
    assert_eq!(wrong.code, ErrorCode::BadArguments);
    assert_eq!(wrong.details["key"], Value::from("windw"));

    assert_eq!(refuse(|request| request.ttl_s = Some(0)).code, ErrorCode::BadRequest);
    assert!(lab.farm.leases.is_empty());
}

#[test]
fn boards_can_be_named() {
    let mut lab = Lab::with(&["A", "B"]);
    let unknown = lab.reserve_named("ann", &["A", "C"]).unwrap_err();
    assert_eq!(unknown, Refusal::UnknownSerial { serial: serial("C") });
    let answer = lab.reserve_named("ann", &["B", "B"]).unwrap();
    assert_eq!(answer.boards.len(), 1, "a board that is named twice is one board");
    let taken = lab.reserve_named("bob", &["A", "B"]).unwrap_err();
    assert_eq!(taken, Refusal::NotAvailable { serial: serial("B"), status: BoardStatus::Reserved });
    assert_eq!(lab.farm.leases.len(), 1);
}

#[test]
fn simulated_boards_are_never_mixed_in_silently() {
    let mut lab = Lab::with(&["A", "SIM1", "SIM2"]);
    assert_eq!(lab.available(), ["A"]);
    let refusal = lab.try_reserve(ask("ann", Selection::Amount(2))).unwrap_err();
    assert_eq!(refusal, Refusal::NotEnough { wanted: 2, available: 1, simulated: 2, kept: 0 });
    let simulated = |simulated| ReserveRequest {
        simulated: Some(simulated),
        ..ask("ann", Selection::Amount(2))
    };
    assert!(lab.try_reserve(simulated(false)).is_err());
    assert_eq!(lab.reserve_named("ann", &["A", "SIM1"]).unwrap_err(), Refusal::Mixed);
    let named = ReserveRequest {
        simulated: Some(false),
        ..ask("ann", Selection::Serials(vec![serial("SIM1")]))
    };
    let refusal = lab.try_reserve(named).unwrap_err();
    assert_eq!(refusal, Refusal::OtherNature { serial: serial("SIM1"), simulated: true });
    assert_eq!(lab.try_reserve(simulated(true)).unwrap().boards.len(), 2);

    let mut only_simulated = Lab::with(&["SIM1", "SIM2"]);
    assert_eq!(only_simulated.reserve("ann", 2).boards.len(), 2);
}

#[test]
fn a_repeated_request_gets_the_same_answer() {
    let mut lab = Lab::with(&["A", "B"]);
    let request = ReserveRequest { request: Some("q".into()), ..ask("ann", Selection::Amount(1)) };
    let first = lab.try_reserve(request.clone()).unwrap();
    lab.now = lab.now.after(Duration::from_secs(10));
    let again = lab.try_reserve(request.clone()).unwrap();
    assert_eq!(again.reservation, first.reservation);
    assert_eq!(again.boards[0].lease, first.boards[0].lease);
    assert_eq!(again.boards[0].expires_in_ms, 3_590_000);
    assert_eq!(lab.farm.leases.len(), 1);

    let mut other = request.clone();
    other.selection = Selection::Amount(2);
    assert_eq!(lab.try_reserve(other).unwrap_err(), Refusal::RequestReused { request: "q".into() });
    let mut of_bob = request;
    of_bob.name = "bob".parse().unwrap();
    assert_ne!(lab.try_reserve(of_bob).unwrap().reservation, first.reservation);
    lab.wait(3600);
    assert!(lab.farm.requests.is_empty());
}

#[test]
fn a_board_is_free_only_when_its_worker_has_seen_the_last_lease() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    // A report that was under way while the lease was given and ended.
    lab.end_all("ann");
    let late = lab.beat("w", "w1", vec![free("A", 0, 2)]);
    assert!(told(&late).is_empty() && lab.available().is_empty());
    let board = &lab.farm.boards[&serial("A")];
    assert_eq!(lab.farm.status(board), BoardStatus::AwaitFlashDefault);

    let seen = lab.beat("w", "w1", vec![free("A", 1, 3)]);
    assert_eq!(told(&seen), ["all: 1 available"]);
    assert_eq!(lab.reserve("bob", 1).boards[0].lease.0, 2);
}

#[test]
fn leases_are_moved_past_what_workers_have_seen() {
    // Control's database was restored from a backup.
    let mut lab = Lab::empty();
    lab.join("w", "w1", vec![free("A", 41, 1)]);
    assert_eq!(lab.reserve("ann", 1).boards[0].lease.0, 42);
    let refusal = lab.register("x", "x1", vec![free("B", u64::MAX, 1)]).unwrap_err();
    assert_eq!(refusal, Refusal::ImpossibleToken { serial: serial("B"), token: u64::MAX });
}

#[test]
fn a_worker_that_has_seen_a_later_lease_ends_the_present_one() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    let decision = lab.beat("w", "w1", vec![serving("A", 7, 2)]);
    assert_eq!(reasons(&decision), [EndReason::Superseded]);
    assert_eq!(told(&decision), ["ann A: failure", "ann A: reservation end"]);
    assert_eq!(lab.farm.next_lease.0, 8);
}

#[test]
fn late_reports_are_put_in_order() {
    let mut lab = Lab::with(&["A"]);
    let broken = BoardStatus::Broken;
    let mut report = free("A", 0, 3);
    report.status = broken;
    lab.beat("w", "w1", vec![report]);
    lab.beat("w", "w1", vec![free("A", 0, 2)]);
    assert_eq!(lab.farm.boards[&serial("A")].report.status, broken);
    lab.beat("w", "w1", vec![free("A", 0, 4)]);
    assert_eq!(lab.available(), ["A"]);
}

#[test]
fn who_holds_a_board_ends_it_and_nobody_else() {
    let mut lab = Lab::with(&["A", "B", "C"]);
    lab.reserve_named("ann", &["A", "B"]).unwrap();
    let end = |client: &str, serials: &[&str]| Command::End {
        client: client.parse().unwrap(),
        serials: Some(serials.iter().map(|text| serial(text)).collect()),
        instance: None,
    };
    let foreign = lab.run(end("bob", &["A", "B", "C", "D"]));
    assert!(serials(foreign.answer).is_empty() && foreign.notices.is_empty());
    let decision = lab.run(end("ann", &["C", "B", "A", "B"]));
    assert_eq!(told(&decision), ["ann B: reservation end", "ann A: reservation end"]);
    assert_eq!(events(&decision)[0].fields["reason"], Value::from("ended"));
    assert_eq!(serials(decision.answer), [serial("B"), serial("A")]);
    assert!(serials(lab.end_all("ann").answer).is_empty());
}

#[test]
fn a_process_ends_and_extends_only_what_it_reserved_itself() {
    let mut lab = Lab::with(&["A", "B"]);
    for instance in ["one", "two"] {
        let request =
            ReserveRequest { instance: Some(instance.into()), ..ask("ann", Selection::Amount(1)) };
        lab.try_reserve(request).unwrap();
    }
    let (client, instance) = ("ann".parse().unwrap(), Some("two".into()));
    let extend = Command::Extend { client, serials: None, instance };
    assert_eq!(serials(lab.run(extend).answer), [serial("B")]);
    let (client, instance) = ("ann".parse().unwrap(), Some("one".into()));
    let end = Command::End { client, serials: None, instance };
    assert_eq!(serials(lab.run(end).answer), [serial("A")]);
    // People at a terminal have no instance: they mean everything under the name.
    assert_eq!(serials(lab.end_all("ann").answer), [serial("B")]);
}

#[test]
fn a_lease_is_warned_about_once_and_then_expires() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    for _ in 0..39 {
        assert!(told(&lab.wait(60)).is_empty());
        lab.beat("w", "w1", vec![serving("A", 1, 2)]);
    }
    assert_eq!(lab.farm.next_tick(), Some(START.after(Duration::from_secs(2400))));
    let warning = lab.wait(60);
    assert_eq!(told(&warning), ["ann A: reservation ending soon"]);
    assert_eq!(events(&warning)[0].fields["expires_in_ms"], Value::from(1_200_000));
    assert!(told(&lab.run(Command::Tick)).is_empty());

    // Extending arms the warning again.
    let extend = Command::Extend { client: "ann".parse().unwrap(), serials: None, instance: None };
    assert_eq!(serials(lab.run(extend).answer), [serial("A")]);
    assert_eq!(lab.farm.leases[&serial("A")].revision, 2);
    let mut last = Vec::new();
    while lab.farm.leases.contains_key(&serial("A")) {
        lab.beat("w", "w1", vec![serving("A", 1, 2)]);
        last.extend(told(&lab.wait(60)));
    }
    assert_eq!(last, ["ann A: reservation ending soon", "ann A: reservation end"]);
    assert_eq!(lab.now, START.after(Duration::from_secs(2400 + 3600)));
}

#[test]
fn times_to_live_are_honoured_up_to_the_maximum() {
    let mut lab = Lab::with(&["A", "B"]);
    lab.farm.rules.max_ttl = Some(Duration::from_secs(100));
    assert_eq!(lab.reserve("ann", 1).boards[0].expires_in_ms, 100_000);
    let short = ReserveRequest { ttl_s: Some(60), ..ask("ann", Selection::Amount(1)) };
    assert_eq!(lab.try_reserve(short).unwrap().boards[0].expires_in_ms, 60_000);
}

#[test]
fn a_living_socket_renews_what_its_process_reserved() {
    let mut lab = Lab::with(&["A", "B"]);
    let request = ReserveRequest {
        ttl_s: Some(60),
        instance: Some("one".into()),
        ..ask("ann", Selection::Amount(1))
    };
    lab.try_reserve(request.clone()).unwrap();
    lab.try_reserve(ReserveRequest { instance: Some("two".into()), ..request }).unwrap();
    let renew = || Command::Renew { client: "ann".parse().unwrap(), instance: "one".into() };
    lab.wait(19);
    assert!(lab.run(renew()).changes.is_empty(), "it is not worth writing down yet");
    lab.wait(1);
    assert_eq!(serials(lab.run(renew()).answer), [serial("A")]);
    let ended = lab.wait(40);
    assert_eq!(reasons(&ended), [EndReason::Expired]);
    assert_eq!(lab.farm.leases.keys().map(Serial::as_str).collect::<Vec<_>>(), ["A"]);
}

#[test]
fn a_restart_of_control_costs_nobody_a_board() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    // Control comes back when the lease and the worker would long be over.
    let back = START.after(Duration::from_secs(10_000));
    lab.farm = lab.farm.as_stored();
    lab.farm.started = back;
    lab.farm.awake = lab.farm.started;
    lab.now = back;
    assert!(lab.available().is_empty());
    assert!(told(&lab.wait(0)).is_empty());
    assert!(told(&lab.wait(59)).is_empty());
    assert_eq!(lab.farm.next_tick(), Some(back.after(Duration::from_secs(60))));
    assert_eq!(reasons(&lab.wait(1)), [EndReason::Expired]);
    assert!(lab.farm.workers["w"].contact == Contact::Awaited);
    lab.wait(120);
    assert!(lab.farm.workers["w"].contact == Contact::Lost, "180 s after the start");
}

#[test]
fn an_unreachable_worker_keeps_its_leases_but_gets_no_new_ones() {
    let mut lab = Lab::with(&["A", "B"]);
    lab.reserve_named("ann", &["A"]).unwrap();
    let silent = |incarnation: &str| Command::Unreachable {
        worker: "w".parse().unwrap(),
        incarnation: incarnation.into(),
    };
    assert!(lab.try_run(silent("w0")).is_err());
    assert_eq!(told(&lab.run(silent("w1"))), ["ann A: unreachable"]);
    assert!(told(&lab.run(silent("w1"))).is_empty(), "holders are told once");
    assert!(lab.available().is_empty());
    assert_eq!(lab.farm.leases.len(), 1);
    let back = lab.beat("w", "w1", vec![serving("A", 1, 2), free("B", 0, 1)]);
    assert_eq!(told(&back), ["all: 1 available"]);
}

#[test]
fn the_leases_of_a_lost_worker_end() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    lab.wait(179);
    let lost = lab.wait(1);
    assert_eq!(told(&lost), ["ann A: failure", "ann A: reservation end"]);
    assert_eq!(reasons(&lost), [EndReason::WorkerLost]);
    assert_eq!(lab.farm.boards.len(), 1);
    // It comes back and still serves the lease, which nobody holds any more.
    let back = lab.beat("w", "w1", vec![serving("A", 1, 2)]);
    assert!(told(&back).is_empty() && lab.available().is_empty());
    lab.beat("w", "w1", vec![free("A", 1, 3)]);
    assert_eq!(lab.available(), ["A"]);
    // And is lost for good.
    lab.wait(180);
    lab.wait(7 * 24 * 3600);
    assert!(lab.farm.workers.is_empty() && lab.farm.boards.is_empty());
    assert_eq!(lab.farm.next_tick(), None);
    assert_eq!(lab.farm.given[&serial("A")].lease.0, 1, "leases never come again");
}

#[test]
fn a_worker_that_restarts_keeps_its_leases() {
    let mut lab = Lab::with(&["A", "B"]);
    lab.reserve_named("ann", &["A"]).unwrap();
    lab.beat("w", "w1", vec![serving("A", 1, 9), free("B", 0, 9)]);
    lab.join("w", "w2", vec![]);
    assert_eq!(lab.farm.leases.len(), 1);
    assert!(lab.available().is_empty());
    // Its boards appear one by one, with nothing left in its memory.
    lab.beat("w", "w2", vec![free("A", 0, 1)]);
    let board = &lab.farm.boards[&serial("A")];
    assert!(board.missing.is_none() && board.report.lease.is_none());
    assert_eq!(lab.farm.leases.len(), 1);
    // The start before does not come back.
    let (worker, incarnation) = ("w".parse().unwrap(), "w1".into());
    let late = Command::Heartbeat { worker, incarnation, boards: vec![] };
    assert_eq!(
        lab.try_run(late).unwrap_err(),
        Refusal::StaleIncarnation { worker: "w".parse().unwrap() }
    );
    assert!(lab.register("w", "w1", vec![]).is_err());
    // B was unplugged meanwhile.
    lab.wait(100);
    lab.beat("w", "w2", vec![free("A", 0, 1)]);
    lab.wait(80);
    assert_eq!(lab.farm.boards.keys().map(Serial::as_str).collect::<Vec<_>>(), ["A"]);
}

#[test]
fn a_board_that_is_gone_takes_its_lease_with_it() {
    let mut lab = Lab::with(&["A", "B"]);
    lab.reserve("ann", 2);
    let decision = lab.run(Command::Report {
        worker: "w".parse().unwrap(),
        incarnation: "w1".into(),
        boards: vec![],
        gone: vec![serial("A"), serial("X")],
    });
    assert_eq!(told(&decision), ["ann A: failure", "ann A: reservation end"]);
    // One that is only not listed may have been plugged in while the heartbeat was under way.
    lab.beat("w", "w1", vec![]);
    assert_eq!(lab.farm.leases.len(), 1);
    lab.wait(100);
    lab.beat("w", "w1", vec![]);
    assert_eq!(reasons(&lab.wait(80)), [EndReason::BoardGone]);
    let delete = lab.run(Command::DeleteBoard { serial: serial("B") });
    assert!(delete.changes.is_empty());
}

#[test]
fn a_lease_that_fails_on_its_worker_ends_with_the_reason() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    let decision = lab.beat("w", "w1", vec![failed("A", 1, 2)]);
    assert_eq!(told(&decision), ["ann A: failure", "ann A: reservation end"]);
    assert_eq!(events(&decision)[0].fields["reason"], Value::from("no clock"));
    assert_eq!(events(&decision)[1].fields["lease"], Value::from(1));
    assert!(told(&lab.beat("w", "w1", vec![failed("A", 1, 2)])).is_empty());
    // Another lease is not meant.
    lab.beat("w", "w1", vec![free("A", 1, 3)]);
    lab.reserve("bob", 1);
    assert!(told(&lab.beat("w", "w1", vec![failed("A", 1, 4)])).is_empty());
    let fail = |lease| Command::LeaseFailed {
        serial: serial("A"),
        lease: icefarm_core::LeaseId(lease),
        reason: "stale".into(),
        code: Some(ErrorCode::BadArguments),
    };
    assert!(lab.run(fail(1)).changes.is_empty());
    let decision = lab.run(fail(2));
    let (reason, code) = ("stale".into(), Some(ErrorCode::BadArguments));
    assert_eq!(reasons(&decision), [EndReason::Failed { reason, code }]);
    assert_eq!(events(&decision)[0].fields["code"], Value::from("bad_arguments"));
}

#[test]
fn one_board_is_at_one_worker() {
    let mut lab = Lab::with(&["A"]);
    let decision = lab.register("x", "x1", vec![free("A", 0, 1), free("B", 0, 1)]).unwrap();
    assert_eq!(decision.answer, Answer::Reported { refused: vec![serial("A")] });
    assert_eq!(lab.farm.boards[&serial("A")].worker.as_str(), "w");
    assert_eq!(lab.farm.boards[&serial("B")].worker.as_str(), "x");
    // Until the first one says that it is gone.
    lab.run(Command::Report {
        worker: "w".parse().unwrap(),
        incarnation: "w1".into(),
        boards: vec![],
        gone: vec![serial("A")],
    });
    lab.beat("x", "x1", vec![free("A", 0, 1), free("B", 0, 1)]);
    assert_eq!(lab.farm.boards[&serial("A")].worker.as_str(), "x");
    assert!(lab.farm.workers["x"].refused.is_empty());
    // Or is lost.
    lab.wait(100);
    lab.beat("w", "w1", vec![]);
    lab.wait(80);
    assert_eq!(lab.farm.workers["x"].contact, Contact::Lost);
    lab.beat("w", "w1", vec![free("A", 0, 1)]);
    assert_eq!(lab.available(), ["A"]);
}

#[test]
fn a_living_worker_keeps_its_name() {
    let mut lab = Lab::with(&["A"]);
    let elsewhere = |incarnation: &str| Command::Register {
        registration: Box::new(registration("w", incarnation, vec![])),
        url: "http://elsewhere:8081".into(),
    };
    let taken = lab.try_run(elsewhere("other")).unwrap_err();
    assert_eq!(taken.detail().code, ErrorCode::Conflict);
    // The same process may have changed its address.
    lab.run(elsewhere("w1"));
    assert_eq!(lab.farm.workers["w"].contact, Contact::Reachable);
    lab.run(Command::Unreachable { worker: "w".parse().unwrap(), incarnation: "w1".into() });
    lab.register("w", "w2", vec![]).unwrap();
}

#[test]
fn other_versions_are_refused() {
    let mut lab = Lab::empty();
    let mut other = registration("w", "w1", vec![]);
    other.protocol = "2.0".into();
    let command = Command::Register { registration: Box::new(other), url: "http://w:1".into() };
    let detail = lab.try_run(command).unwrap_err().detail();
    assert_eq!(detail.code, ErrorCode::VersionMismatch);
    assert!(detail.message.contains("2.0") && detail.message.contains("1.0"));
}

#[test]
fn warm_boards_come_first_and_then_rested_ones() {
    let mut lab = Lab::empty();
    let boards = |tokens: [u64; 3]| {
        ["A", "B", "C"].iter().zip(tokens).map(|(s, token)| free(s, token, token)).collect()
    };
    let mut registration = registration("w", "w1", boards([0, 0, 0]));
    registration.kinds.push(kind("variance"));
    let registration = Box::new(registration);
    lab.run(Command::Register { registration, url: "http://w:1".into() });
    lab.beat("w", "w1", boards([0, 0, 0]));
    let other = |amount| ReserveRequest {
        kind: "variance".parse().unwrap(),
        ..ask("ann", Selection::Amount(amount))
    };
    lab.reserve("ann", 2);
    lab.try_reserve(other(1)).unwrap();
    lab.end_all("ann");
    lab.beat("w", "w1", boards([1, 2, 3]));
    let first = lab.try_reserve(other(2)).unwrap();
    let first: Vec<_> = first.boards.iter().map(|board| board.serial.as_str()).collect();
    assert_eq!(first, ["C", "A"]);
}

#[test]
fn heartbeats_without_news_store_nothing() {
    let lab = Lab::with(&["A"]);
    let (worker, incarnation) = ("w".parse().unwrap(), "w1".into());
    let beat = Command::Heartbeat { worker, incarnation, boards: vec![free("A", 0, 1)] };
    let decision = decide(&lab.farm, beat, Timestamp(START.0 + 5000)).unwrap();
    assert!(!decision.changes.iter().any(Change::is_stored));
    assert!(decision.notices.is_empty());
}
