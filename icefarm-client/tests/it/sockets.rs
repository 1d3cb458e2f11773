//! Commands, events, and sockets that break.

use crate::farm::{Farm, SOON, Server, builder, granted, me, serial};
use crate::network::Network;
use futures::StreamExt as _;
use icefarm_client::{ClientError, Evaluator, Placement, ReserveOptions, Untyped, codes};
use icefarm_core::evaluation::Outcome;
use icefarm_core::wire::{ErrorCode, ErrorDetail, Event, ServerFrame};
use icefarm_core::{Blob, Value, register};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc;

#[tokio::test]
async fn a_command_is_answered_by_its_id() {
    let mut farm = Farm::with(&[("A", 0), ("B", 0)]).await;
    #[derive(serde::Serialize)]
    struct Contents {
        file: Blob,
    }
    let (a, contents) = (serial("A"), Contents { file: Blob::from(vec![1, 2]) });
    let slow = farm.client.command(&a, "slow", json!({}));
    let fast = farm.client.command(&a, "fast", contents);
    let (slow, fast, ()) = tokio::join!(slow, fast, async {
        let worker = &mut farm.workers[0];
        let (first, second) = (worker.command().await, worker.command().await);
        let file = second.frame.contents["file"].to_blob().unwrap();
        assert_eq!(&file[..], [1, 2]);
        second.answer(|_| Ok(2.into()));
        let why = ErrorDetail::new(ErrorCode::CommandFailed, "not today").with("until", "noon");
        first.answer(|_| Err(why.clone()));
    });
    assert_eq!(fast.unwrap(), Value::from(2));
    let error = slow.unwrap_err();
    assert_eq!(error.to_string(), "`slow` on board A: not today (command_failed)");
    let ClientError::Command { details, .. } = error else { panic!("{error:?}") };
    assert_eq!(details["until"], Value::from("noon"));
}

#[tokio::test]
async fn a_command_for_several_boards_is_uploaded_once_and_answered_by_each() {
    let mut farm = Farm::with(&[("A", 0), ("B", 0), ("C", 1)]).await;
    let boards = ["C", "A", "B", "Z"].map(serial);
    let (answers, ()) = tokio::join!(farm.client.command_each(&boards, "name", ()), async {
        for (worker, boards) in [(0, vec!["A", "B"]), (1, vec!["C"])] {
            let command = farm.workers[worker].command().await;
            assert_eq!(command.boards(), boards);
            command.answer(|serial| Ok(serial.as_str().into()));
        }
    });
    let answers: Vec<_> = answers.unwrap().into_iter().map(|(_, answer)| answer).collect();
    assert_eq!(answers.len(), 4);
    for (answer, name) in answers.iter().zip(["C", "A", "B"]) {
        assert_eq!(*answer.as_ref().unwrap(), Value::from(name));
    }
    assert!(matches!(answers[3], Err(ClientError::NotHeld { .. })));
}

#[tokio::test]
async fn a_command_that_was_not_answered_is_sent_again_under_its_id() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let a = serial("A");
    let (answer, ()) = tokio::join!(farm.client.command(&a, "once", ()), async {
        let worker = &mut farm.workers[0];
        let command = worker.command().await;
        assert!(command.frame.id.is_some());
        farm.network.cut();
        // The server knows the id: the command does not come here again.
        command.answer(|_| Ok(1.into()));
    });
    assert_eq!(answer.unwrap(), Value::from(1));
    assert!(farm.workers[0].commands.try_recv().is_err());
}

#[tokio::test]
async fn a_command_ends_with_its_board() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let a = serial("A");
    let (answer, _command) = tokio::join!(farm.client.command(&a, "e", ()), async {
        let command = farm.workers[0].command().await;
        farm.workers[0].tell("A", Event::new("failure").with("reason", "smoke"));
        command
    });
    assert!(matches!(answer.unwrap_err(), ClientError::BoardLost { .. }));
}

struct Recorder {
    name: &'static str,
    lines: mpsc::UnboundedSender<String>,
}

#[register]
impl Recorder {
    #[register("results", "serial", "data")]
    async fn results(&mut self, serial: String, data: String) -> Result<(), &'static str> {
        let _ = self.lines.send(format!("{} {serial} {data}", self.name));
        if data == "bad" { Err("as the test wants it") } else { Ok(()) }
    }

    #[register("devices_available", "serial", "amount")]
    fn available(&mut self, serial: String, amount: u32) {
        assert!(amount > 0, "as the test wants it");
        let _ = self.lines.send(format!("{} {serial} {amount}", self.name));
    }
}

#[tokio::test]
async fn every_handler_gets_every_event_in_order() {
    let (control, network) = (Server::start().await, Network::new());
    let (lines, mut recorded) = mpsc::unbounded_channel();
    let [first, second] = ["first", "second"].map(|name| Recorder { name, lines: lines.clone() });
    let client = builder(&control, &network).handler(first).handler(second);
    let client = client.connect().await.unwrap();
    let data = |text: &str| Event::new("results").with("data", text);
    let frame = ServerFrame::new("A", vec![data("bad"), data("good"), data("more")]);
    control.hub.publish(&me(), frame);
    for wanted in ["first A bad", "second A bad", "first A good", "second A good"] {
        assert_eq!(recorded.recv().await.unwrap(), wanted);
    }
    assert_eq!(recorded.recv().await.unwrap(), "first A more");
    assert_eq!(recorded.recv().await.unwrap(), "second A more");
    // Farm-wide, and the handlers panic over the first one.
    for amount in [0, 3] {
        let event = Event::new("devices_available").with("amount", amount);
        control.hub.publish(&me(), ServerFrame::new("meta", vec![event]));
    }
    assert_eq!(recorded.recv().await.unwrap(), "first meta 3");
    drop(client);
}

struct Slow {
    begun: mpsc::UnboundedSender<()>,
    go_on: Arc<tokio::sync::Semaphore>,
}

#[register]
impl Slow {
    #[register("results")]
    async fn results(&mut self) {
        let _ = self.begun.send(());
        self.go_on.acquire().await.expect("it is never closed").forget();
    }
}

#[tokio::test]
async fn an_event_is_acknowledged_after_its_handlers_have_run() {
    let (mut control, mut worker, network) =
        (Server::start().await, Server::start().await, Network::new());
    let (begun, mut begins) = mpsc::unbounded_channel();
    let go_on = Arc::new(tokio::sync::Semaphore::new(0));
    let handler = Slow { begun, go_on: go_on.clone() };
    let client = builder(&control, &network).handler(handler).connect().await.unwrap();
    let (reservation, ()) = tokio::join!(client.reserve(ReserveOptions::new(1, "k")), async {
        control.call("/reserve").await.answer(granted(&[("A", &worker.url)]));
    });
    worker.tell("A", Event::new("initialized"));
    reservation.unwrap().initialized(SOON).await.unwrap();
    worker.tell("A", Event::new("results"));
    begins.recv().await.unwrap();
    // Whatever was acknowledged before this command has arrived before its answer. It also shows
    // that a slow handler keeps nothing from being answered.
    let a = serial("A");
    let (answer, ()) = tokio::join!(client.command(&a, "e", ()), async {
        worker.command().await.answer(|_| Ok(Value::Null));
    });
    answer.unwrap();
    assert!(*worker.done.borrow() < 2, "the second event is not done");
    go_on.add_permits(1);
    worker.done.wait_for(|done| *done == 2).await.unwrap();
}

#[tokio::test]
async fn after_a_break_every_event_comes_once() {
    let farm = Farm::with(&[("A", 0)]).await;
    let mut events = farm.client.events();
    for n in 0..10u32 {
        farm.workers[0].tell("A", Event::new("tick").with("n", n));
        if n % 3 == 0 {
            farm.network.cut();
        }
        let event = tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap();
        assert_eq!((event.event.event.as_str(), &event.event.fields["n"]), ("tick", &n.into()));
        assert_eq!(*event.server, *farm.workers[0].url);
    }
}

#[tokio::test]
async fn an_evaluation_survives_broken_sockets() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let evaluator = Evaluator::<Untyped>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.submit(("c", vec![1]), Placement::Each).await;
    let (id, _) = farm.workers[0].circuit().await;
    farm.network.go_down();
    farm.workers[0].read("A", &id, 3);
    farm.network.repair();
    let outcome = tokio::time::timeout(SOON, outcomes.next()).await.unwrap().unwrap();
    assert_eq!(outcome.reading(), Some(&Value::from(3)));
}

#[tokio::test]
async fn a_stream_that_began_anew_is_told_and_open_circuits_are_given_again() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let evaluator = Evaluator::<Untyped>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.submit(("c", vec![1]), Placement::Each).await;
    let (id, _) = farm.workers[0].circuit().await;
    // Once this is answered, so is the circuit's command: it is not sent again for its own sake.
    let a = serial("A");
    let (answer, ()) = tokio::join!(farm.client.command(&a, "e", ()), async {
        farm.workers[0].command().await.answer(|_| Ok(Value::Null));
    });
    answer.unwrap();
    let mut events = farm.client.events();
    // The worker restarts in place: another hub with another epoch under the same address.
    farm.workers[0].restart(&farm.network).await;
    let event = tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap();
    assert_eq!(event.event.event, "resync");
    assert!(event.is_farm_wide());
    let (again, _) = farm.workers[0].circuit().await;
    assert_eq!(again, id);
    farm.workers[0].read("A", &id, 3);
    let outcome = tokio::time::timeout(SOON, outcomes.next()).await.unwrap().unwrap();
    assert_eq!(outcome.reading(), Some(&Value::from(3)));
}

#[tokio::test]
async fn a_worker_that_does_not_come_back_fails_what_waits_for_it() {
    let mut farm = Farm::uninitialized(&[("A", 0), ("B", 0)]).await;
    let (a, b) = (serial("A"), serial("B"));
    farm.workers[0].tell("A", Event::new("initialized"));
    farm.client.wait_initialized(std::slice::from_ref(&a), SOON).await.unwrap();
    let evaluator = Evaluator::<Untyped>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.submit(("c", vec![1]), Placement::On(vec![a.clone()])).await;
    farm.workers[0].circuit().await;
    let (waited, commanded, outcome, ()) = tokio::join!(
        farm.client.wait_initialized(std::slice::from_ref(&b), SOON),
        farm.client.command(&a, "e", ()),
        outcomes.next(),
        async {
            farm.workers[0].command().await;
            farm.workers[0].refuses.store(true, Ordering::Relaxed);
            farm.network.cut();
        }
    );
    for error in [waited.unwrap_err(), commanded.unwrap_err()] {
        let ClientError::Unreachable { reason, .. } = &error else { panic!("{error:?}") };
        assert!(reason.contains("not today"), "{reason}");
    }
    let Outcome::Failed { code, reason } = outcome.unwrap().evaluated.outcome else { panic!() };
    assert_eq!(code, codes::UNREACHABLE);
    assert!(reason.contains(&farm.workers[0].url), "{reason}");
    // It is tried on, and what comes later works.
    farm.workers[0].refuses.store(false, Ordering::Relaxed);
    let mut events = farm.client.events();
    farm.workers[0].tell("B", Event::new("initialized"));
    events.next().await.unwrap();
    farm.client.wait_initialized(&[b], SOON).await.unwrap();
}

#[tokio::test]
async fn leases_are_looked_up_when_events_of_control_may_be_missing() {
    let mut farm = Farm::with(&[("A", 0), ("B", 0)]).await;
    farm.control.restart(&farm.network).await;
    let lease = json!({
        "lease": 2, "serial": "B", "client": "me", "kind": "k", "reservation": "r",
        "since": "2026-11-22T20:15:00.000Z", "expires_in_ms": 1
    });
    let board = |serial: &str, lease: serde_json::Value| {
        json!({
            "serial": serial, "worker": "w", "status": "reserved", "simulated": true,
            "lease": lease
        })
    };
    let boards = json!([board("A", json!(null)), board("B", lease)]);
    farm.control.call("/v1/boards").await.answer(boards);
    let (a, b) = (serial("A"), serial("B"));
    // `A` was ended while nobody could be told.
    let lost = loop {
        match farm.client.wait_initialized(std::slice::from_ref(&a), SOON).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(matches!(lost, ClientError::BoardLost { .. }), "{lost:?}");
    farm.client.wait_initialized(&[b], SOON).await.unwrap();
}

#[tokio::test]
async fn an_evaluator_of_an_ended_reservation_does_not_use_a_later_lease() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let a = serial("A");
    let (ended, ()) = tokio::join!(farm.client.end(std::slice::from_ref(&a)), async {
        farm.control.call("/end").await.answer(json!(["A"]));
    });
    ended.unwrap();
    let options = ReserveOptions::new(1, "k");
    let (reservation, ()) = tokio::join!(farm.client.reserve(options), async {
        let mut answer = granted(&[("A", &farm.workers[0].url)]);
        answer["boards"][0]["lease"] = 5.into();
        farm.control.call("/reserve").await.answer(answer);
    });
    farm.workers[0].tell("A", Event::new("initialized").with("lease", 5));
    reservation.unwrap().initialized(SOON).await.unwrap();
    let evaluator = Evaluator::<Untyped>::new(&farm.client, &farm.reservation).unwrap();
    let mut outcomes = evaluator.submit(("c", vec![1]), Placement::Each).await;
    let outcome = outcomes.next().await.unwrap().evaluated.outcome;
    let Outcome::Failed { code, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(code, codes::LEASE_ENDED);
}

#[tokio::test]
async fn a_loss_that_worker_and_control_tell_is_told_once() {
    let farm = Farm::with(&[("A", 0), ("B", 0)]).await;
    let mut events = farm.client.events();
    let failure = |lease: u64| Event::new("failure").with("lease", lease).with("reason", "hot");
    let mut next = async || {
        let event = tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap();
        (event.server.to_string(), event.event.event.clone())
    };
    farm.workers[0].tell("A", failure(1));
    assert_eq!(next().await, (farm.workers[0].url.clone(), "failure".to_owned()));
    let end = Event::new("reservation end").with("lease", 1);
    farm.control.hub.publish(&me(), ServerFrame::new("A", vec![failure(1), end]));
    assert_eq!(next().await, (farm.control.url.clone(), "reservation end".to_owned()));
    // A worker that is stopping tells the end as well.
    farm.workers[0].tell("A", Event::new("reservation end").with("lease", 1));
    farm.workers[0].tell("A", Event::new("another"));
    assert_eq!(next().await.1, "another");
    // A later lease may fail, too.
    farm.control.tell("A", failure(2));
    assert_eq!(next().await.1, "failure");
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_is_dropped_and_that_is_told() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let mut events = farm.client.events();
    let deep = (0..100).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    farm.workers[0].tell("A", Event::new("results").with("data", deep));
    farm.workers[0].tell("A", Event::new("tick"));
    let mut next = async || tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap();
    let dropped = next().await;
    assert_eq!((dropped.event.event.as_str(), dropped.is_farm_wide()), ("dropped", true));
    assert!(dropped.event.fields["reason"].as_str().unwrap().contains("nested"));
    assert_eq!(next().await.event.event, "tick");
    // It is acknowledged with the next one, and does not come again.
    farm.workers[0].done.wait_for(|done| *done == 3).await.unwrap();
    farm.network.cut();
    farm.workers[0].tell("A", Event::new("tock"));
    assert_eq!(next().await.event.event, "tock");
}

#[tokio::test]
async fn the_stream_of_events_ends_with_the_client() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let events = farm.client.events();
    let (closed, ()) = tokio::join!(farm.client.clone().close(), async {
        farm.control.call("/endall").await.answer(json!(["A"]));
    });
    closed.unwrap();
    events.for_each(async |_| ()).await;
    assert!(farm.client.events().next().await.is_none());
}

#[tokio::test]
async fn the_socket_to_a_worker_lasts_as_long_as_boards_of_it_are_held() {
    let mut farm = Farm::with(&[("A", 0), ("B", 1)]).await;
    farm.control.tell("A", Event::new("reservation end").with("lease", 1));
    while farm.workers[0].hub.connected(&me()) {
        tokio::task::yield_now().await;
    }
    assert!(farm.workers[1].hub.connected(&me()));
    let mut events = farm.client.events();
    let (reservation, ()) = tokio::join!(farm.client.reserve(ReserveOptions::new(1, "k")), async {
        let mut answer = granted(&[("A", &farm.workers[0].url)]);
        answer["boards"][0]["lease"] = 5.into();
        farm.control.call("/reserve").await.answer(answer);
    });
    farm.workers[0].tell("A", Event::new("initialized").with("lease", 5));
    reservation.unwrap().initialized(SOON).await.unwrap();
    // The new socket goes on where the old one was: nothing is told twice.
    let event = events.next().await.unwrap();
    assert_eq!((event.serial, event.event.fields.get("lease")), (serial("A"), Some(&5.into())));
}
