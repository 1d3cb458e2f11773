//! Circuits in, outcomes out, whatever happens in between.

use crate::farm::{Farm, SOON, results, serial};
use futures::StreamExt as _;
use icefarm_client::{
    Circuit, CircuitOutcome, ClientError, Evaluation, Evaluator, Outcomes, Placement, Untyped,
    codes,
};
use icefarm_core::evaluation::Outcome;
use icefarm_core::wire::{ErrorCode, ErrorDetail, Event};
use icefarm_core::{Kind, LeaseId, Value};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug)]
enum Counting {}

impl Evaluation for Counting {
    const KIND: &'static str = "k";
    type Args = ();
    type Reading = u64;
}

fn circuits(count: u8) -> Vec<Circuit> {
    (0..count).map(|n| Circuit::new(format!("c{n}"), vec![n])).collect()
}

/// Circuits without end, of which it counts how many were taken.
fn endless(taken: Arc<AtomicU32>) -> impl Iterator<Item = Circuit> {
    (0..u64::MAX).map(move |n| {
        taken.fetch_add(1, Ordering::Relaxed);
        Circuit::new(format!("c{n}"), vec![1])
    })
}

async fn next<R: Send + 'static>(outcomes: &mut Outcomes<R>) -> CircuitOutcome<R> {
    tokio::time::timeout(SOON, outcomes.next()).await.expect("an outcome").expect("one more")
}

fn failure<R>(outcome: &CircuitOutcome<R>) -> &str {
    match &outcome.evaluated.outcome {
        Outcome::Failed { code, .. } => code,
        _ => panic!("it did not fail"),
    }
}

/// Polls the stream, so that it submits, while the test plays the worker.
macro_rules! while_reading {
    ($outcomes:expr, $play:expr) => {{
        let play = async { $play };
        tokio::select! {
            biased;
            played = play => played,
            outcome = $outcomes.next() => panic!("{outcome:?}"),
        }
    }};
}

#[tokio::test]
async fn each_board_tells_its_outcome_and_where_it_comes_from() {
    let mut farm = Farm::with(&[("A", 0), ("B", 0), ("C", 1)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.evaluate(circuits(1), Placement::Each);
    let id = while_reading!(outcomes, {
        // One upload for both boards of the first worker.
        let (id, boards) = farm.workers[0].circuit().await;
        assert_eq!(boards, ["A", "B"]);
        let (same, boards) = farm.workers[1].circuit().await;
        assert_eq!((&same, boards), (&id, vec!["C".to_owned()]));
        id
    });
    for (board, worker, reading) in [("C", 1, 3), ("A", 0, 1), ("B", 0, 2)] {
        farm.workers[worker].read(board, &id, reading);
        let outcome = next(&mut outcomes).await;
        assert_eq!((outcome.circuit.as_str(), outcome.reading()), ("c0", Some(&reading)));
        assert_eq!(outcome.serial(), Some(&serial(board)));
        assert_eq!(outcome.evaluated.id.as_str(), id);
    }
    assert!(outcomes.next().await.is_none());
    farm.close().await;
}

#[tokio::test]
async fn outcomes_come_in_any_order_and_repeated_ones_once() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    // Equal bytes on purpose: they are two circuits.
    let same = [Circuit::new("first", vec![1]), Circuit::new("second", vec![1])];
    let mut outcomes = evaluator.evaluate(same, Placement::Any);
    let (first, second) = while_reading!(outcomes, {
        let worker = &mut farm.workers[0];
        (worker.circuit().await.0, worker.circuit().await.0)
    });
    assert_ne!(first, second);
    let worker = &farm.workers[0];
    worker.read("A", &second, 2);
    worker.read("A", &second, 9);
    worker.read("A", "unknown", 9);
    worker.read("A", &first, 1);
    let got = [next(&mut outcomes).await, next(&mut outcomes).await];
    assert_eq!(got.each_ref().map(|got| got.circuit.as_str()), ["second", "first"]);
    assert_eq!(got.each_ref().map(|got| got.reading().copied()), [Some(2), Some(1)]);
    assert!(outcomes.next().await.is_none());
}

#[tokio::test]
async fn two_outcomes_in_one_packet_are_two() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let evaluator = Evaluator::<Untyped>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.evaluate(circuits(2), Placement::Each);
    let ids = while_reading!(outcomes, {
        [farm.workers[0].circuit().await.0, farm.workers[0].circuit().await.0]
    });
    let events =
        ids.map(|id| results("A", &id, json!({"outcome": "reading", "reading": {"v": id}})));
    let frame = icefarm_core::wire::ServerFrame::new("A", events.to_vec());
    farm.workers[0].hub.publish(&crate::farm::me(), frame);
    let readings = [next(&mut outcomes).await, next(&mut outcomes).await].map(|outcome| {
        let reading = outcome.reading().and_then(|reading| reading.get("v"));
        reading.and_then(Value::as_str).unwrap().to_owned()
    });
    assert_eq!(readings.len(), 2);
    assert!(outcomes.next().await.is_none());
}

#[tokio::test]
async fn when_a_board_dies_what_is_pinned_fails_and_what_may_move_moves() {
    let mut farm = Farm::with(&[("A", 0), ("B", 1)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let mut pinned = evaluator.submit(("pinned", vec![1]), Placement::On(vec![serial("A")])).await;
    farm.workers[0].circuit().await;
    let busy = evaluator.submit(("busy", vec![2]), Placement::On(vec![serial("B")])).await;
    let (busy_id, _) = farm.workers[1].circuit().await;
    let mut moving = evaluator.submit(("moving", vec![3]), Placement::Any).await;
    // Both boards have one circuit, and the last one is not given in advance: A is free first.
    drop(busy);
    farm.control.tell("A", Event::new("reservation end").with("lease", 1).with("message", "gone"));
    let outcome = next(&mut pinned).await;
    assert_eq!(failure(&outcome), codes::LEASE_ENDED);
    let provenance = &outcome.evaluated.provenance;
    assert_eq!(provenance.serial, Some(serial("A")));
    assert_eq!((provenance.lease, provenance.kind.as_str()), (Some(LeaseId(1)), "k"));
    assert_eq!(provenance.sha256.len(), 64);
    farm.workers[1].read("B", &busy_id, 0);
    let (id, _) = farm.workers[1].circuit().await;
    farm.workers[1].read("B", &id, 5);
    let outcome = next(&mut moving).await;
    assert_eq!((outcome.reading(), outcome.serial()), (Some(&5), Some(&serial("B"))));
    // Whatever comes for the dead board fails at once.
    let mut late = evaluator.evaluate(circuits(1), Placement::On(vec![serial("A")]));
    assert_eq!(failure(&next(&mut late).await), codes::LEASE_ENDED);
}

#[tokio::test]
async fn a_moved_circuit_counts_its_attempts_and_the_first_outcome_counts() {
    let mut farm = Farm::with(&[("A", 0), ("B", 1)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.submit(("moves", vec![1]), Placement::Any).await;
    let (id, boards) = farm.workers[0].circuit().await;
    assert_eq!(boards, ["A"]);
    let failed = json!({"outcome": "failed", "code": "no_answer", "reason": "it hangs"});
    farm.workers[0].tell("A", results("A", &id, failed));
    let (same, boards) = farm.workers[1].circuit().await;
    assert_eq!((same.as_str(), boards), (id.as_str(), vec!["B".to_owned()]));
    farm.workers[1].read("B", &id, 4);
    let outcome = next(&mut outcomes).await;
    assert_eq!((outcome.reading(), outcome.evaluated.provenance.attempt), (Some(&4), 2));
}

#[tokio::test]
async fn a_command_names_its_lease_and_a_lease_that_is_over_is_lost() {
    let mut farm = Farm::with(&[("A", 0), ("B", 0)]).await;
    let leases: Vec<_> = farm.reservation.boards().iter().map(|board| board.lease).collect();
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.submit(("c", vec![1]), Placement::Each).await;
    let command = farm.workers[0].command().await;
    assert_eq!(command.boards(), ["A", "B"]);
    assert_eq!(command.frame.leases.values().copied().collect::<Vec<_>>(), leases);
    command.answer(|_| Err(ErrorDetail::new(ErrorCode::StaleLease, "there is a later one")));
    for _ in 0..2 {
        assert_eq!(failure(&next(&mut outcomes).await), codes::LEASE_ENDED);
    }
}

#[tokio::test]
async fn a_refused_command_is_an_outcome_with_the_workers_words() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.submit(("c", vec![1]), Placement::Each).await;
    let command = farm.workers[0].command().await;
    command.answer(|_| Err(ErrorDetail::new(ErrorCode::BadArguments, "no such file")));
    let outcome = next(&mut outcomes).await;
    let Outcome::Failed { code, reason } = &outcome.evaluated.outcome else { panic!() };
    assert_eq!((code.as_str(), reason.as_str()), ("bad_arguments", "no such file"));
}

#[tokio::test]
async fn an_outcome_that_cannot_be_read_is_told() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.evaluate(circuits(2), Placement::Each);
    let ids = while_reading!(outcomes, {
        [farm.workers[0].circuit().await.0, farm.workers[0].circuit().await.0]
    });
    let wrong = json!({"outcome": "reading", "reading": "many"});
    farm.workers[0].tell("A", results("A", &ids[0], wrong));
    assert_eq!(failure(&next(&mut outcomes).await), codes::UNREADABLE);
    farm.workers[0].tell("A", Event::new("results").with("batch_id", ids[1].as_str()));
    assert_eq!(failure(&next(&mut outcomes).await), codes::UNREADABLE);
    assert!(outcomes.next().await.is_none());
}

#[tokio::test]
async fn a_board_that_is_initialized_again_gets_what_it_has_not_answered() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.evaluate(circuits(2), Placement::Each);
    let worker = &mut farm.workers[0];
    let (first, second) =
        while_reading!(outcomes, (worker.circuit().await.0, worker.circuit().await.0));
    worker.read("A", &first, 1);
    assert_eq!(next(&mut outcomes).await.reading(), Some(&1));
    worker.tell("A", Event::new("initialized"));
    let (again, _) = while_reading!(outcomes, worker.circuit().await);
    assert_eq!(again, second);
    worker.read("A", &second, 2);
    assert_eq!(next(&mut outcomes).await.reading(), Some(&2));
}

#[tokio::test]
async fn a_worker_that_was_just_restarted_is_waited_for() {
    // It has not been told of the lease yet, or has not found the board.
    for code in [ErrorCode::NotReserved, ErrorCode::UnknownSerial] {
        let mut farm = Farm::with(&[("A", 0)]).await;
        let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
        let mut outcomes = evaluator.submit(("c", vec![1]), Placement::Each).await;
        let worker = &mut farm.workers[0];
        let command = worker.command().await;
        let id = command.evaluation();
        command.answer(|_| Err(ErrorDetail::new(code, "restarted")));
        // The answer is written before this event.
        worker.tell("A", Event::new("initialized"));
        let again = worker.circuit().await;
        assert_eq!(again.0, id);
        worker.read("A", &id, 2);
        assert_eq!(next(&mut outcomes).await.reading(), Some(&2));
    }
}

#[tokio::test]
async fn input_is_taken_only_as_fast_as_boards_work() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let taken = Arc::new(AtomicU32::new(0));
    let mut outcomes = evaluator.evaluate(endless(taken.clone()), Placement::Each);
    for n in 0..40u64 {
        let (id, _) = while_reading!(outcomes, farm.workers[0].circuit().await);
        farm.workers[0].read("A", &id, n);
        assert_eq!(next(&mut outcomes).await.reading(), Some(&n));
    }
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken < 60, "{taken} circuits were taken for 40 outcomes");
}

#[tokio::test]
async fn a_board_that_never_answers_holds_up_no_other() {
    let mut farm = Farm::with(&[("A", 0), ("B", 1)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.evaluate(endless(Arc::default()), Placement::Each);
    for n in 0..60u64 {
        let (id, _) = while_reading!(outcomes, farm.workers[0].circuit().await);
        farm.workers[0].read("A", &id, n);
        assert_eq!(next(&mut outcomes).await.reading(), Some(&n));
    }
    // Whoever is held up by the slow board is no obstacle to others either.
    let slow = [serial("B")];
    let mut stuck = evaluator.evaluate(endless(Arc::default()), Placement::On(slow.to_vec()));
    assert!(futures::poll!(stuck.next()).is_pending());
    drop(outcomes);
    // What the board was given before is of the stream that was dropped, and may have to be
    // answered before it is given more.
    let played = async {
        let mut file = 0;
        while file != 9 {
            let command = farm.workers[0].command().await;
            let id = command.evaluation();
            file = command.frame.contents["files"].get(&id).unwrap().to_blob().unwrap()[0];
            command.answer(|_| Ok(Value::Null));
            farm.workers[0].read("A", &id, 7);
        }
    };
    let on_a = Placement::On(vec![serial("A")]);
    let (mut wanted, ()) = tokio::join!(evaluator.submit(("wanted", vec![9]), on_a), played);
    assert_eq!(next(&mut wanted).await.reading(), Some(&7));
}

#[tokio::test]
async fn a_dropped_stream_makes_room_although_no_board_answers() {
    // Whatever is asked of the silent board, and of any board.
    let on_a = || Placement::On(vec![serial("A")]);
    for placement in [on_a(), Placement::Any, Placement::Each] {
        let mut farm = Farm::with(&[("A", 0)]).await;
        let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
        let taken = Arc::new(AtomicU32::new(0));
        let mut dropped = evaluator.evaluate(endless(taken.clone()), placement.clone());
        while_reading!(dropped, farm.workers[0].circuit().await);
        // Until nothing more is taken, for want of room.
        let mut before = 0;
        while taken.load(Ordering::Relaxed) != before {
            before = taken.load(Ordering::Relaxed);
            for _ in 0..100 {
                assert!(futures::poll!(dropped.next()).is_pending());
                tokio::task::yield_now().await;
            }
        }
        drop(dropped);
        // Submitting ends when there is room for the circuit.
        let submitting = evaluator.submit(("wanted", vec![9]), placement);
        let wanted = tokio::time::timeout(SOON, submitting).await.expect("room");
        drop(wanted);
    }
}

#[tokio::test]
async fn boards_are_not_given_what_nobody_waits_for() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let taken = Arc::new(AtomicU32::new(0));
    let mut dropped = evaluator.evaluate(endless(taken.clone()), Placement::Each);
    let given = while_reading!(dropped, {
        // More than the board is given at once: the rest waits.
        while taken.load(Ordering::Relaxed) < 7 {
            tokio::task::yield_now().await;
        }
        farm.workers[0].circuit().await.0
    });
    drop(dropped);
    farm.workers[0].read("A", &given, 0);
    let mut wanted = evaluator.submit(("wanted", vec![99]), Placement::Each).await;
    // Whatever else the board was given, it was given before the stream was dropped.
    let mut files = Vec::new();
    while files.last() != Some(&99) {
        let command = farm.workers[0].command().await;
        let id = command.evaluation();
        files.push(command.frame.contents["files"].get(&id).unwrap().to_blob().unwrap()[0]);
        command.answer(|_| Ok(Value::Null));
        farm.workers[0].read("A", &id, 7);
    }
    assert!(files.len() <= 4, "{files:?}");
    assert_eq!(next(&mut wanted).await.reading(), Some(&7));
}

#[tokio::test]
async fn closing_the_client_settles_everything() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.evaluate(circuits(20), Placement::Each);
    while_reading!(outcomes, farm.workers[0].circuit().await);
    let (closed, ()) = tokio::join!(farm.client.clone().close(), async {
        farm.control.call("/endall").await.answer(json!([]));
    });
    closed.unwrap();
    let all: Vec<_> = outcomes.collect().await;
    assert_eq!(all.len(), 20);
    assert!(all.iter().all(|outcome| failure(outcome) == codes::CLIENT_CLOSED));
}

#[tokio::test]
async fn the_cause_is_told_also_after_the_client_was_closed() {
    let mut farm = Farm::uninitialized(&[("A", 0), ("B", 0)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    // As the worker tells of arguments that make no state.
    let wrong = "`args` of kind `k`: `window`: text where a number should be";
    farm.workers[0].tell("A", Event::new("failure").with("lease", 1).with("reason", wrong));
    let error = farm.reservation.initialized(SOON).await.unwrap_err();
    assert!(error.to_string().contains(wrong), "{error}");
    let (closed, ()) = tokio::join!(farm.client.clone().close(), async {
        farm.control.call("/endall").await.answer(json!([]));
    });
    closed.unwrap();
    let outcomes = evaluator.evaluate(circuits(3), Placement::Each);
    let told: Vec<_> = outcomes.collect().await;
    assert_eq!(told.len(), 6, "one for each circuit and board");
    for outcome in &told {
        let of_a = outcome.serial() == Some(&serial("A"));
        assert_eq!(failure(outcome), if of_a { codes::BOARD_FAILED } else { codes::CLIENT_CLOSED });
        let Outcome::Failed { reason, .. } = &outcome.evaluated.outcome else { panic!() };
        assert_eq!(of_a, reason.contains(wrong), "{reason}");
    }
    assert_eq!(told.iter().filter(|told| told.serial() == Some(&serial("A"))).count(), 3);
}

#[tokio::test]
async fn another_kind_is_refused() {
    enum Other {}
    impl Evaluation for Other {
        const KIND: &'static str = "other";
        type Args = ();
        type Reading = u64;
    }
    let farm = Farm::with(&[("A", 0)]).await;
    let error = Evaluator::<Other>::new(&farm.client, &farm.reservation).unwrap_err();
    assert_eq!(error.to_string(), "the boards are reserved as `k`, but this evaluates `other`");
    let ClientError::WrongKind { found, .. } = error else { panic!("{error:?}") };
    assert_eq!(found, Kind::new("k").unwrap());
}

#[tokio::test]
async fn an_outcome_is_one_flat_object() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.submit(("c", vec![1]), Placement::Each).await;
    let (id, _) = farm.workers[0].circuit().await;
    farm.workers[0].read("A", &id, 7);
    let json = serde_json::to_value(next(&mut outcomes).await).unwrap();
    assert_eq!((&json["circuit"], &json["reading"]), (&json!("c"), &json!(7)));
    assert_eq!((&json["outcome"], &json["serial"]), (&json!("reading"), &json!("A")));
}

#[tokio::test]
async fn a_circuit_that_no_message_can_carry_is_refused_at_each_of_its_places() {
    let mut farm = Farm::with(&[("A", 0), ("B", 0)]).await;
    let evaluator = Evaluator::<Counting>::new(&farm.client, &farm.reservation).unwrap();
    let huge = Circuit::new("huge", vec![0; (64 << 20) + 1]);
    let twice = vec![serial("B"), serial("B")];
    let cases = [
        (Placement::Each, vec![Some(("A", 1)), Some(("B", 2))]),
        (Placement::On(twice), vec![Some(("B", 2))]),
        (Placement::Any, vec![None]),
    ];
    for (placement, expected) in cases {
        let outcomes: Vec<_> = evaluator.submit(huge.clone(), placement).await.collect().await;
        let told: Vec<_> = outcomes
            .iter()
            .map(|outcome| {
                let refused = matches!(&outcome.evaluated.outcome,
                    Outcome::Refused { code, .. } if code == "too_large");
                assert!(refused, "{outcome:?}");
                let lease = outcome.evaluated.provenance.lease;
                Some((outcome.serial()?.as_str(), lease.unwrap().0))
            })
            .collect();
        assert_eq!(told, expected);
    }
    let nowhere = evaluator.submit(huge, Placement::On(vec![])).await.next().await.unwrap();
    assert_eq!(failure(&nowhere), codes::NO_BOARD);
    // The boards were not bothered, and the largest circuit goes through.
    let largest = Circuit::new("largest", vec![0; 64 << 20]);
    let mut outcomes = evaluator.submit(largest, Placement::On(vec![serial("A")])).await;
    let (id, _) = farm.workers[0].circuit().await;
    farm.workers[0].read("A", &id, 7);
    assert_eq!(next(&mut outcomes).await.reading(), Some(&7));
}
