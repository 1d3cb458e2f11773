//! Requests that wait in control's queue.

use crate::farm::{NAME, SOON, Server, builder, granted, me};
use crate::network::Network;
use icefarm_client::{Client, ReserveOptions};
use icefarm_core::Value;
use icefarm_core::wire::{ErrorCode, ErrorDetail, Event, ServerFrame};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

async fn connect() -> (Server, Network, Client) {
    let (control, network) = (Server::start().await, Network::new());
    let client = builder(&control, &network).connect().await.unwrap();
    (control, network, client)
}

fn queued(request: &str, position: u32) -> serde_json::Value {
    json!({"queued": {"request": request, "reservation": "r", "position": position,
        "waiting": 3, "expires_in_ms": 60_000}})
}

fn wish() -> ReserveOptions {
    ReserveOptions::new(1, "k").wait(SOON)
}

/// Lets the next request wait, and returns its id.
async fn queue(control: &mut Server) -> String {
    let call = control.call("/reserve").await;
    let request = call.text("request").to_owned();
    call.answer(queued(&request, 2));
    request
}

async fn until(mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("what a test waits for comes in time");
}

#[tokio::test]
async fn a_request_waits_until_it_is_granted() {
    let (mut control, _network, client) = connect().await;
    let worker = Server::start().await;
    let places = Arc::new(Mutex::new(Vec::new()));
    let seen = places.clone();
    let options = wish()
        .wait(Duration::from_millis(1500))
        .priority(-3)
        .label("colour", "red")
        .on_position(move |place| seen.lock().unwrap().push((place.position, place.waiting)));
    let (reservation, ()) = tokio::join!(client.reserve(options), async {
        let call = control.call("/reserve").await;
        assert_eq!(call.body["wait_s"], Value::from(2u32), "rounded up");
        assert_eq!(call.body["priority"], Value::from(-3));
        assert_eq!(call.body["labels"], Value::from(json!({"colour": "red"})));
        let request = call.text("request").to_owned();
        call.answer(queued(&request, 2));
        until(|| places.lock().unwrap().len() == 1).await;
        let other = json!({"request": "another", "reservation": "o", "position": 1});
        let own = json!({"request": request, "reservation": "r", "position": 2});
        let positions = Event::new("queue positions")
            .with("waiting", 2u32)
            .with("requests", vec![Value::from(other), Value::from(own)]);
        control.hub.whisper(&me(), ServerFrame::new("meta", vec![positions]));
        until(|| places.lock().unwrap().len() == 2).await;
        // What becomes of another request is not looked at.
        control.tell("meta", Event::new("reservation granted").with("request", "another"));
        control.tell("meta", Event::new("reservation granted").with("request", request.as_str()));
        let again = control.call("/reserve").await;
        assert_eq!(again.text("request"), request);
        again.answer(granted(&[("A", &worker.url)]));
    });
    assert_eq!(reservation.unwrap().serials().len(), 1);
    assert_eq!(*places.lock().unwrap(), [(2, 3), (2, 2)]);
    let (closed, ()) = tokio::join!(client.close(), async {
        control.call("/endall").await.answer(json!(["A"]));
    });
    closed.unwrap();
}

#[tokio::test]
async fn who_waits_in_vain_is_told_why() {
    let (mut control, _network, client) = connect().await;
    let (reservation, ()) = tokio::join!(client.reserve(wish()), async {
        let request = queue(&mut control).await;
        control
            .tell("meta", Event::new("reservation not granted").with("request", request.as_str()));
        let error = ErrorDetail::new(ErrorCode::WaitExpired, "it waited for as long as it might");
        control.call("/reserve").await.refuse(error);
    });
    assert_eq!(reservation.unwrap_err().code(), Some(ErrorCode::WaitExpired));
}

#[tokio::test]
async fn to_stop_waiting_is_to_cancel() {
    let (mut control, _network, client) = connect().await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.reserve(wish()).await }
    });
    let request = queue(&mut control).await;
    waiting.abort();
    let call = control.call("/v1/queue/cancel").await;
    let named = |key: &str| call.body.get(key).and_then(Value::as_str).map(str::to_owned);
    assert_eq!(named("request"), Some(request));
    assert_eq!(named("name").as_deref(), Some(NAME));
    assert!(named("instance").is_some());
    // Control is just starting, so it is sent again.
    call.refuse(ErrorDetail::new(ErrorCode::Unavailable, "not yet"));
    let call = control.call("/v1/queue/cancel").await;
    call.answer(json!({"cancelled": ["r"], "ended": []}));
}

#[tokio::test]
async fn a_client_that_is_closed_waits_for_nothing() {
    let (mut control, _network, client) = connect().await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.reserve(wish()).await }
    });
    queue(&mut control).await;
    let (closed, ()) = tokio::join!(client.close(), async {
        let call = control.call("/endall").await;
        assert!(call.body.contains_key("instance"));
        call.answer(json!([]));
    });
    closed.unwrap();
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn after_a_gap_in_the_events_it_is_asked_what_became_of_it() {
    let (mut control, network, client) = connect().await;
    let worker = Server::start().await;
    let (reservation, ()) = tokio::join!(client.reserve(wish()), async {
        let request = queue(&mut control).await;
        // Nothing of the queue's events is left in memory.
        control.restart(&network).await;
        let again = loop {
            let call = control.calls.recv().await.unwrap();
            match call.path.as_str() {
                // Which leases are left is asked as well.
                "/v1/boards" => call.answer(json!([])),
                _ => break call,
            }
        };
        assert_eq!((again.path.as_str(), again.text("request")), ("/reserve", request.as_str()));
        again.answer(granted(&[("A", &worker.url)]));
    });
    reservation.unwrap();
}
