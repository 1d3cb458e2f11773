//! The worker's bond with control.

use crate::bus::FakeBoard;
use crate::farm::Farm;
use icefarm_core::wire::BoardStatus::{Available, Offline};
use icefarm_core::wire::{ErrorCode, ErrorDetail, PROTOCOL};
use icefarm_net::{HttpClient, RequestOptions};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_worker_says_what_it_has() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    let known = farm.known.borrow().clone();
    assert_eq!(known.registrations.len(), 1);
    let registration = &known.registrations[0];
    assert_eq!(registration.protocol, PROTOCOL);
    assert_eq!(registration.port, 1001);
    let kinds: Vec<_> = registration.kinds.iter().map(|info| info.kind.as_str()).collect();
    assert_eq!(kinds, ["example state", "mischief"]);
    assert!(registration.secret.len() >= 32);
    assert!(!registration.plugins.is_empty());
    assert_eq!(farm.heartbeat().await.incarnation, registration.incarnation);
}

#[tokio::test(start_paused = true)]
async fn only_control_may_call() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    let client = HttpClient::new(Arc::new(farm.net.clone()));
    let worker = "http://127.0.0.1:1001".parse().unwrap();
    for path in ["/heartbeat", "/reserve", "/extend", "/end", "/reboot", "/delete"] {
        for options in [RequestOptions::default(), RequestOptions::default().bearer("guess")] {
            let answer: Result<serde_json::Value, _> =
                client.post_json(&worker, path, &json!({}), &options).await;
            assert_eq!(answer.unwrap_err().code(), Some(ErrorCode::Unauthorized), "{path}");
        }
    }
    let open = async |path| {
        let options = RequestOptions::default();
        client.get_json::<serde_json::Value>(&worker, path, &options).await.unwrap()
    };
    assert_eq!(open("/healthz").await, json!({"status": "ok"}));
    assert_eq!(open("/version").await["protocol"], PROTOCOL);
}

/// As the Python system asks: `GET` with a body.
#[tokio::test(start_paused = true)]
async fn a_get_with_a_body_is_a_call_and_without_one_is_none() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.mischief(&board, "me").await;
    let secret = farm.known.borrow().registrations[0].secret.clone();
    let get = async |path: &str, body: &str| {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut stream = farm.net.dial(1001).unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = get("/end", "").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("the body is missing"), "{answer}");
    assert!(get("/heartbeat", "").await.contains("\"status\":\"reserved\""));
    let answer = get("/end", r#"{"serial": "B1", "lease": 1}"#).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n{}\n"), "{answer}");
    farm.until_status(&board, Available).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_registers_until_it_is_taken() {
    let refusal = |code| Some(ErrorDetail::new(code, "not now"));
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    *farm.refuse.lock().unwrap() = refusal(ErrorCode::Unavailable);
    // Control is silent for three heartbeats, and then refuses for a while.
    farm.silence();
    sleep(Duration::from_secs(60)).await;
    *farm.refuse.lock().unwrap() = None;
    let mut known = farm.known.clone();
    let before = Instant::now();
    known.wait_for(|known| known.registrations.len() == 2).await.unwrap();
    assert!(before.elapsed() <= Duration::from_secs(15), "retried soon");

    *farm.refuse.lock().unwrap() = refusal(ErrorCode::Conflict);
    sleep(Duration::from_secs(60)).await;
    *farm.refuse.lock().unwrap() = None;
    let before = Instant::now();
    known.wait_for(|known| known.registrations.len() == 3).await.unwrap();
    let waited = before.elapsed();
    assert!(waited > Duration::from_secs(5) && waited <= Duration::from_secs(60), "{waited:?}");
    let incarnations = known.borrow().registrations.iter().map(|r| r.incarnation.clone()).collect();
    let incarnations: std::collections::BTreeSet<_> = incarnations;
    assert_eq!(incarnations.len(), 1, "it is the same start");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_control_forgot_registers_again() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    *farm.refuse.lock().unwrap() =
        Some(ErrorDetail::new(ErrorCode::Unauthorized, "no worker shows this token"));
    board.unplug();
    sleep(Duration::from_secs(3)).await;
    *farm.refuse.lock().unwrap() = None;
    farm.until_status(&board, Offline).await;
    assert_eq!(farm.known.borrow().registrations.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_control_missed_is_told_later_and_only_the_latest_of_it() {
    let board = FakeBoard::new("B1");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    let told = farm.known.borrow().history.len();
    *farm.refuse.lock().unwrap() = Some(ErrorDetail::new(ErrorCode::Overloaded, "busy"));
    farm.call("/delete", json!({"serial": "B1"})).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    *farm.refuse.lock().unwrap() = None;
    sleep(Duration::from_secs(15)).await;
    let history = farm.known.borrow().history[told..].to_vec();
    assert_eq!(history, [("B1".to_owned(), Available)]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stops_ends_its_leases_and_says_so() {
    let board = FakeBoard::new("B1");
    let mut farm = Farm::start(&[&board]).await;
    let mut client = farm.mischief(&board, "me").await;
    farm.stop().await;
    let failure = client.event(&board, "failure").await;
    assert_eq!(failure["reason"], "the worker is shutting down");
    let report = farm.until_status(&board, Offline).await;
    assert_eq!(report.ended.unwrap().reason, "the worker is shutting down");
}
