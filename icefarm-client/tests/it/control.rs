//! Reservations and waiting for boards.

use crate::farm::{Call, Farm, SOON, Server, builder, granted, me, serial};
use crate::network::Network;
use futures::StreamExt as _;
use icefarm_client::{Client, ClientError, Reservation, ReserveOptions, codes};
use icefarm_core::Value;
use icefarm_core::wire::{ErrorCode, ErrorDetail, Event};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinHandle;

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_id() {
    let (mut control, worker, network) =
        (Server::start().await, Server::start().await, Network::new());
    let client = builder(&control, &network).connect().await.unwrap();
    let options = ReserveOptions::new(1, "k").args(json!({"a": 1})).simulated(true);
    let (reservation, requests) = tokio::join!(client.reserve(options), async {
        let lost = control.call("/reserve").await;
        network.cut();
        let again = control.call("/reserve").await;
        let requests = (lost.body.clone(), again.body.clone());
        again.answer(granted(&[("A", &worker.url)]));
        requests
    });
    assert_eq!(requests.0, requests.1);
    let body = &requests.0;
    assert!(body["request"].as_str().is_some_and(|request| !request.is_empty()));
    assert_eq!(body["instance"].as_str(), Some(client.instance().as_str()));
    assert_eq!(body["ttl_s"], Value::from(60));
    assert_eq!(body["simulated"], Value::from(true));
    assert_eq!(body["args"].get("a"), Some(&1.into()));
    assert_eq!(reservation.unwrap().serials(), [serial("A")]);
}

#[tokio::test]
async fn controls_reason_comes_through() {
    let (mut control, network) = (Server::start().await, Network::new());
    let client = builder(&control, &network).connect().await.unwrap();
    let (reserved, ()) = tokio::join!(client.reserve(ReserveOptions::new(5, "k")), async {
        let error = ErrorDetail::new(ErrorCode::NotEnoughDevices, "5 wanted, 1 free");
        control.call("/reserve").await.refuse(error.with("available", 1));
    });
    let error = reserved.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotEnoughDevices));
    assert_eq!(error.to_string(), "5 wanted, 1 free (not_enough_devices)");
    let ClientError::Refused { details, .. } = error else { panic!("{error:?}") };
    assert_eq!(details["available"], Value::from(1));
}

#[tokio::test]
async fn a_wish_for_nothing_is_refused_without_asking() {
    let control = Server::start().await;
    let client = builder(&control, &Network::new()).connect().await.unwrap();
    for options in [ReserveOptions::new(0, "k"), ReserveOptions::serials([], "k")] {
        let error = client.reserve(options).await.unwrap_err();
        assert!(matches!(error, ClientError::NoBoards), "{error:?}");
    }
    let options = ReserveOptions::new(1, "k").args(5);
    let error = client.reserve(options).await.unwrap_err().to_string();
    assert!(error.contains("must be an object, as in json!("), "{error}");
    // JSON would say that there is none.
    let options = ReserveOptions::new(1, "k").args(BTreeMap::from([("interval", f64::INFINITY)]));
    let error = client.reserve(options).await.unwrap_err().to_string();
    assert!(error.contains("`interval` is not a finite number"), "{error}");
}

#[tokio::test]
async fn boards_that_nobody_waits_for_any_more_are_given_back() {
    let (mut control, worker, network) =
        (Server::start().await, Server::start().await, Network::new());
    let client = builder(&control, &network).connect().await.unwrap();
    let mut reserving = Box::pin(client.reserve(ReserveOptions::new(1, "k")));
    let call = tokio::select! {
        call = control.call("/reserve") => call,
        _ = &mut reserving => panic!("nobody answered"),
    };
    drop(reserving);
    call.answer(granted(&[("A", &worker.url)]));
    let end = control.call("/end").await;
    assert_eq!(end.body["serials"], Value::from(vec!["A"]));
    assert_eq!(end.text("instance"), client.instance().as_str());
}

#[tokio::test]
async fn boards_that_are_granted_and_not_taken_are_given_back() {
    let (mut control, worker, network) =
        (Server::start().await, Server::start().await, Network::new());
    let client = builder(&control, &network).connect().await.unwrap();
    for waits in [false, true] {
        let mut options = ReserveOptions::new(1, "k");
        if waits {
            options = options.wait(SOON);
        }
        let mut reserving = Box::pin(client.reserve(options));
        let call = tokio::select! {
            call = control.call("/reserve") => call,
            _ = &mut reserving => panic!("nobody answered"),
        };
        let board = if waits { "B" } else { "A" };
        call.answer(granted(&[(board, &worker.url)]));
        // The board is in the book as soon as the answer is there, for a caller who is not awake.
        while client
            .wait_initialized(&[serial(board)], Duration::ZERO)
            .await
            .is_err_and(|error| matches!(error, ClientError::NotHeld { .. }))
        {
            tokio::task::yield_now().await;
        }
        drop(reserving);
        let end = control.call("/end").await;
        assert_eq!(end.body["serials"], Value::from(vec![board]));
        end.answer(json!([board]));
    }
}

/// A client with a request for a board that control has not answered.
struct Asking {
    control: Server,
    worker: Server,
    client: Client,
    reserving: JoinHandle<Result<Reservation, ClientError>>,
    reserve: Call,
}

impl Asking {
    async fn begin() -> Self {
        let (mut control, worker) = (Server::start().await, Server::start().await);
        let client = builder(&control, &Network::new()).connect().await.unwrap();
        let asking = client.clone();
        let reserving =
            tokio::spawn(async move { asking.reserve(ReserveOptions::new(1, "k")).await });
        let reserve = control.call("/reserve").await;
        Self { control, worker, client, reserving, reserve }
    }
}

#[tokio::test]
async fn what_is_granted_to_a_client_that_is_closed_is_given_back() {
    let Asking { mut control, worker, client, reserving, reserve } = Asking::begin().await;
    let (closed, ()) = tokio::join!(client.close(), async {
        control.call("/endall").await.answer(json!([]));
    });
    closed.unwrap();
    reserve.answer(granted(&[("A", &worker.url)]));
    let end = control.call("/end").await;
    assert_eq!(end.body["serials"], Value::from(vec!["A"]));
    let reserved = reserving.await.unwrap();
    assert!(matches!(reserved, Err(ClientError::Closed)), "{reserved:?}");
}

#[tokio::test]
async fn what_is_granted_while_the_client_is_being_closed_is_given_back() {
    let Asking { mut control, worker, client, reserving, reserve } = Asking::begin().await;
    let (closed, ()) = tokio::join!(client.close(), async {
        let end_all = control.call("/endall").await;
        // Control granted it when it had ended all.
        reserve.answer(granted(&[("A", &worker.url)]));
        reserving.await.unwrap().unwrap();
        end_all.answer(json!([]));
        let end = control.call("/end").await;
        assert_eq!(end.body["serials"], Value::from(vec!["A"]));
        end.answer(json!(["A"]));
    });
    closed.unwrap();
}

#[tokio::test]
async fn a_board_that_is_granted_while_control_is_asked_for_the_others_is_not_lost() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    // Nothing is left of the stream: events may be missing.
    farm.control.restart(&farm.network).await;
    let boards = farm.control.call("/v1/boards").await;
    let (reservation, ()) = tokio::join!(farm.client.reserve(ReserveOptions::new(1, "k")), async {
        let mut answer = granted(&[("B", &farm.workers[0].url)]);
        answer["boards"][0]["lease"] = 7.into();
        farm.control.call("/reserve").await.answer(answer);
    });
    boards.answer(json!([]));
    let error = farm.reservation.losses().next().await.unwrap();
    assert!(matches!(error, ClientError::BoardLost { .. }), "{error:?}");
    farm.workers[0].tell("B", Event::new("initialized").with("lease", 7));
    reservation.unwrap().initialized(SOON).await.unwrap();
}

#[tokio::test]
async fn an_initialized_that_comes_before_the_answer_or_the_wait_is_not_lost() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    // `A` keeps the worker's socket open, so `B` can be faster than control's answer.
    let options = ReserveOptions::new(1, "k");
    let (reservation, ()) = tokio::join!(farm.client.reserve(options), async {
        let call = farm.control.call("/reserve").await;
        let mut events = farm.client.events();
        farm.workers[0].tell("B", Event::new("initialized"));
        events.next().await.unwrap();
        let mut answer = granted(&[("B", &farm.workers[0].url)]);
        answer["boards"][0]["lease"] = 7.into();
        call.answer(answer);
    });
    reservation.unwrap().initialized(Duration::ZERO).await.unwrap();
    farm.client.wait_initialized(&[serial("A"), serial("B")], Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_failure_ends_the_wait_with_its_reason() {
    let farm = Farm::uninitialized(&[("A", 0), ("B", 0)]).await;
    farm.workers[0].tell("A", Event::new("initialized"));
    let (waited, ()) = tokio::join!(farm.reservation.initialized(SOON), async {
        farm.workers[0].tell("B", Event::new("failure").with("reason", "too hot"));
    });
    let error = waited.unwrap_err();
    assert_eq!(error.to_string(), "board B failed: too hot (board_failed)");
    let ClientError::BoardLost { serial: lost, code, .. } = error else { panic!("{error:?}") };
    assert_eq!((lost, code.as_str()), (serial("B"), codes::BOARD_FAILED));
}

#[tokio::test]
async fn the_end_of_a_lease_ends_the_wait() {
    let farm = Farm::uninitialized(&[("A", 0)]).await;
    let end = Event::new("reservation end").with("lease", 1).with("message", "it expired");
    farm.control.tell("A", end);
    let error = farm.reservation.initialized(SOON).await.unwrap_err();
    assert_eq!(error.to_string(), "the lease on A is over: it expired (lease_ended)");
}

#[tokio::test]
async fn boards_that_are_not_ready_in_time_are_named() {
    let farm = Farm::uninitialized(&[("A", 0), ("B", 0)]).await;
    let error = farm.reservation.initialized(Duration::ZERO).await.unwrap_err();
    assert_eq!(error.to_string(), "after 0ns these boards are not ready: A, B");
}

#[tokio::test]
async fn closing_ends_what_this_instance_holds() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    let instance = farm.client.instance().clone();
    let (closed, call) = tokio::join!(farm.client.close(), async {
        let call = farm.control.call("/endall").await;
        let asked = (call.text("name").to_owned(), call.text("instance").to_owned());
        call.answer(json!(["A"]));
        asked
    });
    closed.unwrap();
    assert_eq!(call, (me().to_string(), instance.to_string()));
    let error = farm.reservation.initialized(SOON).await.unwrap_err();
    assert!(matches!(error, ClientError::BoardLost { .. }), "{error:?}");
}

#[tokio::test]
async fn the_last_clone_ends_the_client() {
    let mut farm = Farm::with(&[("A", 0)]).await;
    drop(farm.reservation);
    drop(farm.client);
    farm.control.call("/endall").await.answer(json!(["A"]));
    while farm.control.hub.connected(&me()) || farm.workers[0].hub.connected(&me()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let (control, network) = (Server::start().await, Network::new());
    network.go_down();
    let error = builder(&control, &network).connect().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&control.url), "{error}");
}
