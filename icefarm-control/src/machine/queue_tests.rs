//! Waiting for boards.

use super::lab::{Lab, ask, events, free, serial, serving, told};
use super::{Answer, Cancelled, Command, Decision, Refusal, WaitEnd};
use icefarm_core::wire::{
    BoardReport, BoardStatus, CancelAnswer, ErrorCode, ReserveRequest, Selection,
};
use icefarm_core::{ClientName, Value};
use std::time::Duration;

/// A request that waits up to 100 s, which goes by the client's name and `q`.
fn wait(client: &str, amount: u32) -> ReserveRequest {
    wait_for(client, Selection::Amount(amount))
}

fn wait_for(client: &str, selection: Selection) -> ReserveRequest {
    ReserveRequest {
        request: Some(format!("{client}'s").into()),
        wait_s: Some(100),
        ..ask(client, selection)
    }
}

fn named(serials: &[&str]) -> Selection {
    Selection::Serials(serials.iter().map(|text| serial(text)).collect())
}

impl Lab {
    fn submit(&mut self, request: ReserveRequest) -> Result<Decision, Refusal> {
        self.reservations += 1;
        let reservation = format!("r{}", self.reservations).into();
        self.try_run(Command::Reserve { request: Box::new(request), reservation })
    }

    /// Lets a request wait, and returns its position.
    fn queue(&mut self, request: ReserveRequest) -> u32 {
        match self.submit(request).unwrap().answer {
            Answer::Queued(queued) => queued.position,
            other => panic!("{other:?}"),
        }
    }

    /// The boards are free again, with the present leases served.
    fn settle(&mut self) -> Decision {
        let report = |board: &std::sync::Arc<super::Board>| {
            let given = self.farm.given.get(board.serial()).map_or(0, |given| given.lease.0);
            let (name, rev) = (board.serial().as_str(), board.report.rev + 1);
            match self.farm.leases.get(board.serial()) {
                Some(lease) => serving(name, lease.id.0, rev),
                None => free(name, given, rev),
            }
        };
        let boards: Vec<BoardReport> = self.farm.boards.values().map(report).collect();
        self.beat("w", "w1", boards)
    }

    fn line_up(&self) -> Vec<&str> {
        self.farm.line().into_iter().map(|waiting| waiting.client().as_str()).collect()
    }

    fn holders(&self) -> Vec<String> {
        let leases = self.farm.leases.values();
        leases.map(|lease| format!("{}:{}", lease.serial, lease.client)).collect()
    }

    fn cancel(&mut self, client: &str) -> CancelAnswer {
        let which = Cancelled {
            client: Some(client.parse().unwrap()),
            request: Some(format!("{client}'s").into()),
            reservation: None,
            instance: None,
        };
        match self.run(Command::CancelWait(which)).answer {
            Answer::Cancelled(answer) => answer,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn who_waits_is_served_in_order() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    lab.settle();
    for (client, position) in [("bob", 1), ("cy", 2), ("dan", 3)] {
        assert_eq!(lab.queue(wait(client, 1)), position);
    }
    for (before, next) in [("ann", "bob"), ("bob", "cy"), ("cy", "dan")] {
        lab.end_all(before);
        let decision = lab.settle();
        assert_eq!(told(&decision), [format!("{next} meta: reservation granted")]);
        assert_eq!(lab.holders(), [format!("A:{next}")]);
        lab.settle();
    }
    assert!(lab.farm.queue.is_empty());
}

#[test]
fn a_grant_tells_everything_and_is_found_again() {
    let mut lab = Lab::with(&["A", "B"]);
    lab.reserve("ann", 2);
    let request = ReserveRequest { ttl_s: Some(60), ..wait("bob", 2) };
    assert_eq!(lab.queue(request.clone()), 1);
    assert_eq!(lab.queue(request.clone()), 1, "a repeated request waits once");
    lab.now = lab.now.after(Duration::from_secs(50));
    lab.end_all("ann");
    let decision = lab.settle();
    let event = events(&decision)[0];
    assert_eq!(event.fields["request"], Value::from("bob's"));
    let boards = event.fields["boards"].as_array().unwrap();
    let board = boards[0].as_object().unwrap();
    assert_eq!((&board["serial"], &board["lease"]), (&Value::from("A"), &Value::from(3u64)));
    assert_eq!(board["url"], Value::from("http://w:8081"));
    assert_eq!(board["expires_in_ms"], Value::from(60_000u64), "time counts from the grant");

    lab.now = lab.now.after(Duration::from_secs(10));
    let answer = lab.try_reserve(request).unwrap();
    assert_eq!(Value::from(answer.reservation.as_str()), event.fields["reservation"]);
    assert_eq!(answer.boards.len(), 2);
    assert_eq!(answer.boards[0].expires_in_ms, 50_000);
}

#[test]
fn what_one_who_waits_could_use_is_set_aside() {
    let mut lab = Lab::with(&["A", "B", "C"]);
    lab.reserve_named("ann", &["A", "B"]).unwrap();
    lab.settle();
    assert_eq!(lab.queue(wait("bob", 2)), 1);
    assert!(lab.available().is_empty(), "C is bob's as soon as there is another");
    let refusal = lab.try_reserve(ask("eve", Selection::Amount(1))).unwrap_err();
    assert_eq!(refusal, Refusal::NotEnough { wanted: 1, available: 0, simulated: 0, kept: 1 });
    assert!(refusal.to_string().contains("set aside"), "{refusal}");
    let refusal = lab.reserve_named("eve", &["C"]).unwrap_err();
    assert_eq!(refusal, Refusal::Kept { serial: serial("C") });
    assert_eq!(lab.queue(wait("cy", 1)), 2);

    let end = Command::End {
        client: "ann".parse().unwrap(),
        serials: Some(vec![serial("A")]),
        instance: None,
    };
    lab.run(end);
    lab.settle();
    assert_eq!(lab.holders(), ["A:bob", "B:ann", "C:bob"]);
    lab.end_all("ann");
    lab.settle();
    assert_eq!(lab.holders(), ["A:bob", "B:cy", "C:bob"]);
}

#[test]
fn a_request_that_fits_beside_those_who_wait_is_granted_at_once() {
    let mut lab = Lab::with(&["A", "B", "C"]);
    lab.reserve_named("ann", &["A"]).unwrap();
    lab.settle();
    assert_eq!(lab.queue(wait_for("bob", named(&["A", "B"]))), 1);
    assert_eq!(lab.available(), ["C"]);
    let decision = lab.submit(wait("cy", 1)).unwrap();
    assert!(matches!(decision.answer, Answer::Reserved(_)));
    assert_eq!(lab.holders(), ["A:ann", "C:cy"]);
    assert!(told(&decision).is_empty(), "the answer says it");
}

#[test]
fn priority_goes_before_arrival() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    for (client, priority) in [("bob", None), ("cy", Some(-1)), ("dan", Some(5)), ("eve", Some(0))]
    {
        lab.queue(ReserveRequest { priority, ..wait(client, 1) });
    }
    assert_eq!(lab.line_up(), ["dan", "bob", "eve", "cy"]);
}

#[test]
fn nothing_is_set_aside_for_what_may_never_come() {
    let mut lab = Lab::with(&["A", "B"]);
    let broken = BoardReport { status: BoardStatus::Broken, ..free("B", 0, 2) };
    lab.beat("w", "w1", vec![free("A", 0, 2), broken]);
    assert_eq!(lab.queue(wait("bob", 2)), 1);
    assert_eq!(lab.available(), ["A"]);
    lab.reserve("cy", 1);
    // Once it is in service again, it is.
    lab.beat("w", "w1", vec![serving("A", 1, 3), free("B", 0, 3)]);
    assert!(lab.available().is_empty());
    lab.end_all("cy");
    lab.settle();
    assert_eq!(lab.holders(), ["A:bob", "B:bob"]);
}

#[test]
fn what_cannot_be_is_refused_at_once() {
    let mut lab = Lab::with(&["A", "SIM1"]);
    let code =
        |lab: &mut Lab, request: ReserveRequest| lab.submit(request).unwrap_err().detail().code;
    assert_eq!(
        lab.submit(wait("bob", 2)).unwrap_err(),
        Refusal::Impossible { wanted: 2, known: 1 }
    );
    assert_eq!(code(&mut lab, wait_for("bob", named(&["A", "X"]))), ErrorCode::UnknownSerial);
    assert_eq!(code(&mut lab, wait_for("bob", named(&["A", "SIM1"]))), ErrorCode::BadRequest);
    let labels = [("colour".to_owned(), "red".to_owned())].into();
    assert_eq!(
        code(&mut lab, ReserveRequest { labels, ..wait("bob", 1) }),
        ErrorCode::NotEnoughDevices
    );
    assert_eq!(
        code(&mut lab, ReserveRequest { request: None, ..wait("bob", 1) }),
        ErrorCode::BadRequest
    );
    let kind = "puls".parse().unwrap();
    assert_eq!(code(&mut lab, ReserveRequest { kind, ..wait("bob", 1) }), ErrorCode::UnknownKind);
    // A board that is away may come back.
    let (worker, incarnation) = ("w".parse().unwrap(), "w1".into());
    lab.run(Command::Unreachable { worker, incarnation });
    lab.queue(wait("bob", 1));
    lab.wait(101);
    lab.wait(200);
    lab.queue(ReserveRequest { request: Some("2".into()), ..wait("bob", 1) });
}

#[test]
fn waiting_ends_when_its_time_is_over() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    lab.settle();
    lab.queue(wait("bob", 1));
    lab.wait(99);
    let decision = lab.wait(1);
    assert_eq!(told(&decision), ["bob meta: reservation not granted"]);
    assert_eq!(events(&decision)[0].fields["reason"], Value::from("expired"));
    let refusal = lab.submit(wait("bob", 1)).unwrap_err();
    assert_eq!(refusal.detail().code, ErrorCode::WaitExpired);
    let other = lab.submit(wait("bob", 0)).unwrap_err();
    assert!(matches!(other, Refusal::RequestReused { .. }));
    lab.end_all("ann");
    lab.settle();
    assert!(lab.farm.leases.is_empty());
}

#[test]
fn a_process_waits_as_long_as_it_gives_signs_of_life() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    lab.settle();
    let of = |client: &str, instance: &str| ReserveRequest {
        instance: Some(instance.into()),
        wait_s: Some(1000),
        ..wait(client, 1)
    };
    lab.queue(of("bob", "b"));
    lab.queue(of("cy", "c"));
    lab.queue(of("dan", "d"));
    for _ in 0..3 {
        lab.wait(30);
        let renew = Command::Renew { client: "cy".parse().unwrap(), instance: "c".into() };
        lab.run(renew);
        // To ask again is a sign of life, too.
        lab.queue(of("dan", "d"));
    }
    assert_eq!(lab.line_up(), ["cy", "dan"]);
    let refusal = lab.submit(of("bob", "b")).unwrap_err();
    let WaitEnd::ClientGone = (match refusal {
        Refusal::WaitOver { end, .. } => end,
        other => panic!("{other:?}"),
    }) else {
        panic!("for another reason")
    };
    // After a restart everybody has the time to be heard again.
    lab.farm = lab.farm.as_stored();
    (lab.farm.started, lab.farm.awake) = (lab.now, lab.now);
    lab.wait(59);
    assert_eq!(lab.line_up(), ["cy", "dan"]);
    lab.wait(1);
    assert!(lab.farm.queue.is_empty());
}

#[test]
fn who_cancels_has_no_boards_in_the_end() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    lab.queue(wait("bob", 1));
    assert_eq!(lab.cancel("bob").cancelled, ["r2".into()]);
    assert_eq!(lab.submit(wait("bob", 1)).unwrap_err().detail().code, ErrorCode::WaitCancelled);

    // Granted while it was being cancelled.
    lab.queue(wait("cy", 1));
    lab.end_all("ann");
    lab.settle();
    assert_eq!(lab.holders(), ["A:cy"]);
    assert_eq!(lab.cancel("cy").ended, [serial("A")]);
    assert!(lab.cancel("cy").ended.is_empty());
    lab.settle();

    // Cancelled before it came.
    assert_eq!(lab.cancel("dan"), CancelAnswer::default());
    assert_eq!(lab.submit(wait("dan", 1)).unwrap_err().detail().code, ErrorCode::WaitCancelled);
    assert!(lab.farm.leases.is_empty() && lab.farm.queue.is_empty());
}

#[test]
fn an_operator_cancels_by_reservation() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    lab.queue(wait("bob", 1));
    let cancel = |client: Option<&str>, reservation: Option<&str>| {
        Command::CancelWait(Cancelled {
            client: client.map(|name| name.parse().unwrap()),
            request: None,
            reservation: reservation.map(Into::into),
            instance: None,
        })
    };
    assert_eq!(lab.try_run(cancel(None, None)).unwrap_err(), Refusal::CancelWhat);
    let foreign = lab.try_run(cancel(Some("eve"), Some("r2"))).unwrap_err();
    assert_eq!(foreign, Refusal::NotWaiting { reservation: "r2".into() });
    let decision = lab.run(cancel(None, Some("r2")));
    assert_eq!(events(&decision)[0].fields["reason"], Value::from("revoked"));
    assert!(lab.farm.queue.is_empty());

    lab.queue(ReserveRequest { request: Some("2".into()), ..wait("bob", 1) });
    lab.run(cancel(Some("bob"), None));
    assert!(lab.farm.queue.is_empty(), "without an id all of the client's are meant");
}

#[test]
fn to_end_everything_is_to_wait_for_nothing() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    for instance in ["one", "two"] {
        let request = Some(instance.into());
        lab.queue(ReserveRequest { request, instance: Some(instance.into()), ..wait("ann", 1) });
    }
    let (client, instance) = ("ann".parse().unwrap(), Some("one".into()));
    lab.run(Command::End { client, serials: None, instance });
    assert_eq!(lab.farm.queue.len(), 1, "the other process waits on");
    lab.end_all("ann");
    assert!(lab.farm.queue.is_empty() && lab.farm.leases.is_empty());

    lab.settle();
    lab.reserve("ann", 1);
    lab.queue(ReserveRequest { request: Some("3".into()), ..wait("ann", 1) });
    let client: ClientName = "ann".parse().unwrap();
    let decision = lab.run(Command::ClearClient { client });
    assert_eq!(told(&decision), ["ann meta: reservation not granted", "ann A: reservation end"]);
    let Answer::Cancelled(answer) = decision.answer else { panic!("{:?}", decision.answer) };
    assert_eq!((answer.ended.len(), answer.cancelled.len()), (1, 1));
}

#[test]
fn the_queue_is_bounded() {
    let mut lab = Lab::with(&["A"]);
    lab.farm.rules.waiting = 3;
    lab.farm.rules.waiting_each = 2;
    lab.reserve("ann", 1);
    let mut number = 0;
    let mut wait = |lab: &mut Lab, client: &str| {
        number += 1;
        lab.submit(ReserveRequest { request: Some(number.to_string().into()), ..wait(client, 1) })
    };
    wait(&mut lab, "bob").unwrap();
    wait(&mut lab, "bob").unwrap();
    let refusal = wait(&mut lab, "bob").unwrap_err();
    assert!(refusal.to_string().contains("2 requests of `bob`"), "{refusal}");
    wait(&mut lab, "cy").unwrap();
    let refusal = wait(&mut lab, "dan").unwrap_err();
    assert_eq!(refusal.detail().code, ErrorCode::Overloaded);
    assert_eq!(refusal, Refusal::QueueFull { limit: 3, client: None });
}

#[test]
fn limits_are_named_and_keep_boards_from_nobody_else() {
    let mut lab = Lab::with(&["A", "B", "C"]);
    lab.farm.rules.limits =
        ["a*:boards=2,ttl=60,priority=1".parse().unwrap(), "*:boards=3".parse().unwrap()].into();
    let refusal = lab.try_reserve(ask("ann", Selection::Amount(3))).unwrap_err();
    assert_eq!(refusal.detail().code, ErrorCode::LimitExceeded);
    assert_eq!(refusal.detail().details["limit"], Value::from("a*"));
    assert!(refusal.to_string().contains("may hold 2 by the farm's limit for `a*`"), "{refusal}");
    let long = ReserveRequest { ttl_s: Some(61), ..ask("ann", Selection::Amount(1)) };
    assert!(lab.try_reserve(long).unwrap_err().to_string().contains("60 s"));
    let urgent = ReserveRequest { priority: Some(2), ..wait("ann", 1) };
    assert!(lab.submit(urgent).unwrap_err().to_string().contains("priority 2"));

    let answer = lab.reserve("ann", 2);
    assert_eq!(answer.boards[0].expires_in_ms, 60_000);
    lab.settle();
    assert!(lab.try_reserve(ask("ann", Selection::Amount(1))).is_err());
    assert_eq!(lab.queue(wait("ann", 1)), 1);
    assert_eq!(lab.available(), ["C"], "ann may not have it");
    let why = lab.farm.why_waiting(lab.farm.line()[0]);
    assert!(why.contains("who holds 2"), "{why}");
    let end = Command::Revoke { serials: vec![serial("A")], lease: None };
    lab.run(end);
    assert_eq!(lab.holders(), ["B:ann", "C:ann"]);
}

#[test]
fn nobody_is_granted_boards_after_its_time() {
    let mut lab = Lab::with(&["A"]);
    lab.reserve("eve", 1);
    lab.settle();
    lab.queue(wait("ann", 1));
    lab.queue(ReserveRequest { wait_s: Some(600), ..wait("bob", 1) });
    // No tick comes meanwhile, as when nothing can be written.
    lab.now = lab.now.after(Duration::from_secs(101));
    lab.end_all("eve");
    let decision = lab.settle();
    assert_eq!(lab.holders(), ["A:bob"]);
    assert!(lab.line_up().is_empty(), "{:?}", told(&decision));
}

#[test]
fn what_was_set_aside_for_one_who_may_not_have_it_any_more_is_granted() {
    let mut lab = Lab::with(&["A", "B", "C", "SIM1"]);
    lab.farm.rules.limits = ["bob:boards=2".parse().unwrap()].into();
    lab.try_reserve(ask("eve", named(&["A", "B"]))).unwrap();
    lab.try_reserve(ask("eve", named(&["SIM1"]))).unwrap();
    lab.settle();
    lab.queue(wait("bob", 2));
    lab.queue(wait("ann", 1));
    assert!(lab.available().is_empty(), "C is set aside for bob");
    lab.queue(ReserveRequest { request: Some("2".into()), ..wait_for("bob", named(&["SIM1"])) });
    lab.run(Command::Revoke { serials: vec![serial("SIM1")], lease: None });
    lab.settle();
    // With the simulated board bob may not have two others.
    assert_eq!(lab.holders(), ["A:eve", "B:eve", "C:ann", "SIM1:bob"]);
}

#[test]
fn boards_are_chosen_by_labels() {
    let mut lab = Lab::with(&["A", "B", "SIM1"]);
    let label = |serial: &str, pairs: &[(&str, &str)], remove: &[&str]| Command::Label {
        serial: super::lab::serial(serial),
        set: pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        remove: remove.iter().map(|key| (*key).into()).collect(),
    };
    lab.run(label("B", &[("colour", "red"), ("name", "b-1")], &[]));
    let wish = |pairs: &[(&str, &str)]| ReserveRequest {
        labels: pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ..ask("ann", Selection::Amount(1))
    };
    assert!(lab.try_reserve(wish(&[("colour", "blue")])).is_err());
    let answer = lab.try_reserve(wish(&[("colour", "red"), ("name", "b-1")])).unwrap();
    assert_eq!(answer.boards[0].serial, serial("B"));
    assert_eq!(answer.boards[0].name.as_deref(), Some("b-1"));
    let simulated = lab.try_reserve(wish(&[("simulated", "true")])).unwrap();
    assert_eq!(simulated.boards[0].serial, serial("SIM1"));
    let named = ReserveRequest {
        labels: [("colour".to_owned(), "red".to_owned())].into(),
        ..ask("ann", Selection::Serials(vec![serial("A")]))
    };
    assert!(matches!(lab.try_reserve(named).unwrap_err(), Refusal::OtherLabels { .. }));

    // Names are for one board each, and labels stay with the serial.
    let taken = lab.try_run(label("A", &[("name", "b-1")], &[])).unwrap_err();
    assert_eq!(taken, Refusal::NameInUse { name: "b-1".into(), serial: serial("B") });
    let serial_as_name = lab.try_run(label("A", &[("name", "SIM1")], &[])).unwrap_err();
    assert_eq!(serial_as_name.detail().code, ErrorCode::Conflict);
    for (key, value) in
        [("simulated", "true"), ("a b", "x"), ("k-", "x"), ("k", ""), ("name", "a b")]
    {
        let refusal = lab.try_run(label("A", &[(key, value)], &[])).unwrap_err();
        assert_eq!(refusal.detail().code, ErrorCode::BadRequest, "{key}={value}");
    }
    lab.run(Command::DeleteBoard { serial: serial("B") });
    lab.join("v", "v1", vec![free("B", 5, 1)]);
    assert_eq!(lab.farm.name_of(&serial("B")), Some("b-1"));
    lab.run(label("B", &[], &["name", "colour", "none"]));
    assert!(lab.farm.labels.is_empty());
    assert!(lab.try_run(label("X", &[("k", "v")], &[])).is_err());
}

#[test]
fn what_is_drained_is_granted_to_nobody_who_waits() {
    let board = |on| Command::DrainBoard { serial: serial("A"), on };
    let mut lab = Lab::with(&["A", "B"]);
    lab.reserve("ann", 2);
    lab.settle();
    lab.queue(wait_for("bob", named(&["A"])));
    lab.queue(wait("cy", 2));
    assert_eq!(lab.queue(wait("dan", 1)), 3);
    lab.run(board(true));
    let why = lab.farm.why_waiting(lab.farm.line()[0]);
    assert_eq!(why, "too few of the boards that would do are in service; drained: 1");
    lab.end_all("ann");
    // Nothing is set aside for those who wait for what may never come back.
    assert_eq!(told(&lab.settle()), ["dan meta: reservation granted"]);
    assert_eq!((lab.holders(), lab.line_up()), (vec!["B:dan".to_owned()], vec!["bob", "cy"]));
    lab.settle();
    // A request for exactly that board may come while it is out of service.
    assert_eq!(lab.queue(wait_for("eve", named(&["A"]))), 3);
    let refusal = lab.reserve_named("fay", &["A"]).unwrap_err();
    assert_eq!(refusal.detail().code, ErrorCode::NotAvailable);

    let back = lab.run(board(false));
    assert_eq!(told(&back), ["bob meta: reservation granted"], "at once, without a report");
    assert_eq!(lab.line_up(), ["cy", "eve"]);
}

#[test]
fn who_waits_for_a_worker_that_is_drained_or_stops_is_served_when_it_is_back() {
    let worker = |on| Command::DrainWorker { worker: "w".parse().unwrap(), on };
    let mut lab = Lab::with(&["A"]);
    lab.reserve("ann", 1);
    lab.queue(wait("bob", 1));
    lab.run(worker(true));
    lab.end_all("ann");
    assert_eq!(told(&lab.settle()), [""; 0]);
    lab.run(worker(false));
    assert_eq!(lab.holders(), ["A:bob"]);

    lab.settle();
    lab.queue(wait("cy", 1));
    let (name, incarnation) = (|| "w".parse().unwrap(), "w1".into());
    let within = Duration::from_secs(60);
    lab.run(Command::Stops { worker: name(), incarnation, within });
    lab.end_all("bob");
    assert_eq!(told(&lab.settle()), [""; 0]);
    lab.run(Command::Leave { worker: name(), incarnation: "w1".into() });
    assert_eq!(lab.line_up(), ["cy"], "it waits on");
    lab.join("w", "w2", vec![free("A", 2, 1)]);
    assert_eq!(lab.holders(), ["A:cy"]);
}

#[test]
fn a_label_may_be_what_somebody_waits_for() {
    let mut lab = Lab::with(&["A", "B"]);
    let set = |serial: &str| Command::Label {
        serial: super::lab::serial(serial),
        set: [("colour".to_owned(), "red".to_owned())].into(),
        remove: Vec::new(),
    };
    lab.run(set("A"));
    lab.reserve_named("ann", &["A"]).unwrap();
    let labels = [("colour".to_owned(), "red".to_owned())].into();
    lab.queue(ReserveRequest { labels, ..wait("bob", 1) });
    assert_eq!(lab.available(), ["B"]);
    lab.run(set("B"));
    assert_eq!(lab.holders(), ["A:ann", "B:bob"]);
}
