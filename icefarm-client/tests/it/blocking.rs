//! The client for programs without tokio.

use crate::farm::{NAME, SOON, Server, granted, serial};
use icefarm_client::blocking::{Client, Evaluator, Reservation};
use icefarm_client::{ClientError, Placement, ReserveOptions, Untyped, codes};
use icefarm_core::wire::Event;
use icefarm_core::{Value, register};
use serde_json::json;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Runs `program` on a thread without tokio, while the test plays the farm.
fn play<T: Send + 'static>(
    program: impl FnOnce(String) -> T + Send + 'static,
    farm: impl AsyncFnOnce(&mut Server, &mut Server),
) -> T {
    let runtime = Runtime::new().unwrap();
    let (mut control, mut worker) =
        runtime.block_on(async { (Server::start().await, Server::start().await) });
    let url = control.url.clone();
    let running = std::thread::spawn(move || program(url));
    runtime.block_on(farm(&mut control, &mut worker));
    running.join().unwrap()
}

fn connect(url: String) -> Client {
    Client::builder(url).name(NAME).connect().unwrap()
}

fn reserve(client: &Client) -> Reservation {
    client.reserve(ReserveOptions::new(1, "k")).unwrap()
}

/// Grants board A.
async fn grant(control: &mut Server, worker: &Server) {
    control.call("/reserve").await.answer(granted(&[("A", &worker.url)]));
}

async fn ended(control: &mut Server) {
    control.call("/endall").await.answer(json!(["A"]));
}

#[test]
fn a_program_reserves_evaluates_and_gives_back() {
    let program = |url| {
        let client = connect(url);
        let reservation = reserve(&client);
        assert_eq!((reservation.serials(), reservation.kind().as_str()), (vec![serial("A")], "k"));
        reservation.initialized(SOON).unwrap();
        let evaluator = Evaluator::<Untyped>::new(&client, &reservation).unwrap();
        let circuits = (0..20u8).map(|n| (n.to_string(), vec![n]));
        let mut read = Vec::new();
        for outcome in evaluator.evaluate(circuits, Placement::Each) {
            assert_eq!(outcome.reading(), Some(&7.into()));
            read.push(outcome.circuit);
        }
        let mut one = evaluator.submit(("last", vec![1]), Placement::Any).unwrap();
        read.push(one.next_within(SOON).unwrap().circuit);
        assert_eq!(one.next_within(SOON).unwrap_err(), RecvTimeoutError::Disconnected);
        client.close().unwrap();
        read
    };
    let read = play(program, async |control, worker| {
        grant(control, worker).await;
        worker.tell("A", Event::new("initialized"));
        for _ in 0..=20 {
            let (id, _) = worker.circuit().await;
            worker.read("A", &id, 7);
        }
        ended(control).await;
    });
    let expected: Vec<_> = (0..20).map(|n: u8| n.to_string()).chain(["last".to_owned()]).collect();
    assert_eq!(read, expected);
}

#[test]
fn boards_are_held_as_long_as_anything_of_the_client_lives() {
    let (say, said) = mpsc::channel();
    let program = move |url| {
        let client = connect(url);
        let reservation = reserve(&client);
        let events = client.events();
        drop(client);
        assert_eq!(reservation.clone().extend().unwrap(), [serial("A")]);
        drop(reservation);
        say.send("the last").unwrap();
        drop(events);
        say.send("dropped").unwrap();
    };
    play(program, async |control, worker| {
        grant(control, worker).await;
        control.call("/extend").await.answer(json!(["A"]));
        let call = control.call("/endall").await;
        // It was asked for by the last drop, which waits for it.
        assert_eq!(said.recv().unwrap(), "the last");
        assert_eq!(said.try_recv(), Err(mpsc::TryRecvError::Empty));
        call.answer(json!(["A"]));
        assert_eq!(said.recv().unwrap(), "dropped");
    });
}

#[test]
fn events_are_an_iterator_and_run_handlers() {
    struct Teller(mpsc::Sender<String>);
    #[register]
    impl Teller {
        #[register("note", "text")]
        fn note(&mut self, text: String) {
            self.0.send(text).unwrap();
        }
    }
    let program = |url: String| {
        let (tell, told) = mpsc::channel();
        let client = Client::builder(url).name(NAME).handler(Teller(tell)).connect().unwrap();
        let mut events = client.events();
        let nothing = events.next_within(Duration::ZERO);
        assert_eq!(nothing.unwrap_err(), RecvTimeoutError::Timeout);
        let reservation = reserve(&client);
        let losses = reservation.losses();
        assert_eq!(told.recv().unwrap(), "hello");
        let names: Vec<String> =
            events.by_ref().take(2).map(|event| event.event.event.clone()).collect();
        assert_eq!(names, ["note", "failure"]);
        let lost: Vec<ClientError> = losses.collect();
        client.close().unwrap();
        assert!(events.next().is_none());
        lost
    };
    let lost = play(program, async |control, worker| {
        grant(control, worker).await;
        worker.tell("A", Event::new("note").with("text", "hello"));
        worker.tell("A", Event::new("failure").with("lease", 1).with("reason", "hot"));
    });
    let [ClientError::BoardLost { code, .. }] = &lost[..] else { panic!("{lost:?}") };
    assert_eq!(code, codes::BOARD_FAILED);
}

#[test]
fn commands_are_answered() {
    let program = |url| {
        let client = connect(url);
        let reservation = reserve(&client);
        let answer = client.command(&reservation.serials()[0], "ask", json!({"n": 1}));
        client.close().unwrap();
        answer.unwrap()
    };
    let answer = play(program, async |control, worker| {
        grant(control, worker).await;
        let command = worker.command().await;
        assert_eq!(command.frame.event, "ask");
        command.answer(|_| Ok(Value::from(8)));
        ended(control).await;
    });
    assert_eq!(answer, Value::from(8));
}

/// Within tasks and on the threads of `spawn_blocking`, nothing panics and nothing hangs.
#[tokio::test]
async fn within_a_runtime_calls_fail_and_iterators_work() {
    let (mut control, worker) = (Server::start().await, Server::start().await);
    let connected = Client::builder(&control.url).connect();
    assert!(matches!(connected, Err(ClientError::InsideRuntime)), "{connected:?}");

    let url = control.url.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let client = connect(url);
        let reservation = reserve(&client);
        let _ = tell.send((client, reservation));
    });
    grant(&mut control, &worker).await;
    let (client, reservation) = told.await.unwrap();
    let error = client.available().unwrap_err();
    assert!(error.to_string().contains("std::thread::spawn"), "{error}");
    let asking = client.clone();
    let error = tokio::task::spawn_blocking(move || asking.available()).await.unwrap();
    assert!(matches!(error, Err(ClientError::InsideRuntime)), "{error:?}");

    let mut events = client.events();
    let none = events.next_within(Duration::ZERO).unwrap_err();
    assert_eq!(none, RecvTimeoutError::Timeout);
    // Dropped here, it gives its boards back without holding this task up.
    drop((client, reservation, events));
    ended(&mut control).await;
}
