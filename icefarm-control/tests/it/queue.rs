//! Waiting for boards, and choosing them by what operators call them.

use crate::events::next;
use crate::farm::{Farm, quick, until, wish};
use crate::network::Net;
use crate::worker::FakeWorker;
use icefarm_control::Control;
use icefarm_core::wire::{
    ErrorCode, ErrorDetail, Queued, ReservationAnswer, ReserveAnswer, V1_JSON, events,
};
use icefarm_net::{ClientSocket, HttpError, RequestOptions};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A request that waits up to ten minutes.
fn patient(client: &str, amount: u32, request: &str) -> Value {
    let mut wish = wish(client, amount);
    wish["request"] = json!(request);
    wish["wait_s"] = json!(600);
    wish
}

async fn ask(farm: &Farm, body: &Value) -> Result<ReserveAnswer, ErrorDetail> {
    let path = if body.get("serials").is_some() { "/reserveserials" } else { "/reserve" };
    let options = RequestOptions::default().accept(V1_JSON);
    farm.http.post_json(&farm.control, path, body, &options).await.map_err(|error| match error {
        HttpError::Answer { error, .. } => error,
        other => panic!("{other}"),
    })
}

async fn queued(farm: &Farm, body: &Value) -> Queued {
    match ask(farm, body).await.unwrap() {
        ReserveAnswer::Queued(answer) => answer.queued,
        ReserveAnswer::Granted(answer) => panic!("{answer:?}"),
    }
}

async fn granted(farm: &Farm, body: &Value) -> ReservationAnswer {
    match ask(farm, body).await.unwrap() {
        ReserveAnswer::Granted(answer) => answer,
        ReserveAnswer::Queued(answer) => panic!("{answer:?}"),
    }
}

async fn end_all(farm: &Farm, client: &str) {
    farm.post("/endall", json!({"name": client})).await.unwrap();
}

async fn queue(farm: &Farm) -> Vec<Value> {
    farm.get("/v1/queue").await.unwrap().as_array().unwrap().clone()
}

/// In one thread, on paused time.
async fn in_memory() -> Farm {
    Farm::start(Net::memory(), 0, Control::builder().in_memory().inline_store()).await
}

#[tokio::test]
async fn who_waits_is_told_of_its_boards() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut socket = farm.socket("bob", "s", None).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    let cy = queued(&farm, &patient("cy", 1, "q")).await;
    assert_eq!((cy.position, cy.waiting), (1, 1));
    let wish = patient("bob", 1, "q");
    let bob = queued(&farm, &wish).await;
    assert_eq!((bob.position, bob.waiting, bob.request.as_str()), (2, 2, "q"));
    let positions = next(&mut socket, events::QUEUE_POSITIONS).await;
    assert_eq!(positions.fields["waiting"].as_u64(), Some(2));

    let line = queue(&farm).await;
    let clients: Vec<_> = line.iter().map(|entry| entry["client"].as_str().unwrap()).collect();
    assert_eq!(clients, ["cy", "bob"]);
    assert_eq!(line[0]["position"], 1);
    assert!(line[0]["why"].as_str().unwrap().contains("0 can be had"), "{}", line[0]);
    assert_eq!(farm.get("/v1/status").await.unwrap()["waiting"], 2);

    let cancelled = farm.post("/v1/queue/cancel", json!({"name": "cy", "request": "q"})).await;
    assert_eq!(cancelled.unwrap()["cancelled"], json!([cy.reservation]));
    let positions = next(&mut socket, events::QUEUE_POSITIONS).await;
    let request = positions.fields["requests"].as_array().unwrap()[0].as_object().unwrap();
    assert_eq!(request["position"].as_u64(), Some(1));

    end_all(&farm, "ann").await;
    let event = next(&mut socket, events::GRANTED).await;
    assert_eq!(event.fields["reservation"].as_str(), Some(bob.reservation.as_str()));
    let told = event.fields["boards"].as_array().unwrap()[0].as_object().unwrap();
    let answer = granted(&farm, &wish).await;
    assert_eq!(told["url"].as_str(), Some(answer.boards[0].url.as_str()));
    assert_eq!(told["lease"].as_u64(), Some(answer.boards[0].lease.0));
    until(async || worker.serving("A") == Some(answer.boards[0].lease)).await;
}

#[tokio::test]
async fn the_queue_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("farm.db");
    let start = async |port: u16, database: &Path| {
        Farm::start(Net::Tcp, port, Control::builder().database(database).config(quick())).await
    };
    let farm = start(0, &database).await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    let (bob, cy) = (patient("bob", 1, "q"), patient("cy", 1, "q"));
    let place = queued(&farm, &bob).await;
    queued(&farm, &cy).await;
    let (_, port) = farm.stop().await;

    let farm = start(port, &database).await;
    let again = queued(&farm, &bob).await;
    assert_eq!((again.reservation, again.position), (place.reservation.clone(), 1));
    let mut socket = farm.socket("bob", "s", None).await;
    end_all(&farm, "ann").await;
    next(&mut socket, events::GRANTED).await;
    assert_eq!(granted(&farm, &bob).await.reservation, place.reservation);
    assert_eq!(queued(&farm, &cy).await.position, 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_waits_no_more() {
    let farm = in_memory().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    let wish = |client: &str| {
        let mut wish = patient(client, 1, "q");
        wish["instance"] = json!("s");
        wish["ttl_s"] = json!(60);
        wish
    };
    let listen = |mut socket: ClientSocket| {
        tokio::spawn(async move { while let Ok(Some(_)) = socket.next().await {} })
    };
    let (dying, _living) =
        (listen(farm.socket("bob", "s", None).await), listen(farm.socket("cy", "s", None).await));
    queued(&farm, &wish("bob")).await;
    queued(&farm, &wish("cy")).await;
    sleep(Duration::from_secs(120)).await;
    assert_eq!(queue(&farm).await.len(), 2);
    dying.abort();
    let start = Instant::now();
    while queue(&farm).await.len() > 1 {
        sleep(Duration::from_secs(1)).await;
    }
    // The last sign of life may be as old as a sign of life is not worth noting.
    let gone = start.elapsed().as_secs();
    assert!((35..=65).contains(&gone), "{gone} s");
    assert_eq!(ask(&farm, &wish("bob")).await.unwrap_err().code, ErrorCode::WaitCancelled);

    // Who dies between the grant and its receipt holds the board for a minute.
    end_all(&farm, "ann").await;
    until(async || worker.serving("A").is_some()).await;
    assert_eq!(granted(&farm, &wish("cy")).await.boards.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_nobody_fetches_is_taken_back() {
    let farm = in_memory().await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    sleep(Duration::from_secs(60)).await;
    let mut wish = patient("bob", 1, "q");
    wish["ttl_s"] = json!(60);
    queued(&farm, &wish).await;
    end_all(&farm, "ann").await;
    let start = Instant::now();
    until(async || !farm.get("/v1/leases").await.unwrap().as_array().unwrap().is_empty()).await;
    while farm.available().await == 0 {
        sleep(Duration::from_secs(1)).await;
    }
    let held = start.elapsed().as_secs();
    assert!((59..=63).contains(&held), "{held} s");
}

/// Two clients want the last board at the same time, again and again.
#[tokio::test(start_paused = true)]
async fn two_race_for_the_last_board_a_thousand_times() {
    let farm = in_memory().await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut sockets = [farm.socket("ann", "s", None).await, farm.socket("bob", "s", None).await];
    let names = ["ann", "bob"];
    for round in 0..1000u64 {
        farm.until_available(1).await;
        let wishes = names.map(|name| patient(name, 1, &round.to_string()));
        // Who is first at the door changes.
        let (first, second) = if round % 2 == 0 { (0, 1) } else { (1, 0) };
        let (one, other) = tokio::join!(ask(&farm, &wishes[first]), ask(&farm, &wishes[second]));
        let (winner, loser, reservation) = match (one.unwrap(), other.unwrap()) {
            (ReserveAnswer::Granted(granted), ReserveAnswer::Queued(answer)) => {
                assert_eq!(granted.boards[0].lease.0, 2 * round + 1);
                (first, second, answer.queued.reservation)
            }
            (ReserveAnswer::Queued(answer), ReserveAnswer::Granted(granted)) => {
                assert_eq!(granted.boards[0].lease.0, 2 * round + 1);
                (second, first, answer.queued.reservation)
            }
            other => panic!("round {round}: {other:?}"),
        };
        end_all(&farm, names[winner]).await;
        let event = next(&mut sockets[loser], events::GRANTED).await;
        assert_eq!(event.fields["reservation"].as_str(), Some(reservation.as_str()));
        let answer = granted(&farm, &wishes[loser]).await;
        assert_eq!(answer.boards[0].lease.0, 2 * round + 2, "the loser comes right after");
        end_all(&farm, names[loser]).await;
    }
    assert!(queue(&farm).await.is_empty());
}

#[tokio::test]
async fn operators_call_boards_what_they_like() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A", "a b"]).await;
    let label = json!({"set": {"name": "rack2-p3", "colour": "red"}});
    let answer = farm.post("/v1/boards/A/label", label).await.unwrap();
    assert_eq!(answer, json!({"serial": "A", "name": "rack2-p3", "labels": {"colour": "red"}}));
    let taken = json!({"set": {"name": "rack2-p3"}});
    let error = farm.post("/v1/boards/a%20b/label", taken).await.unwrap_err();
    assert_eq!((error.code, error.message.contains("`A`")), (ErrorCode::Conflict, true));
    let error = farm.post("/v1/boards/X/label", json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UnknownSerial);

    let boards = farm.boards().await;
    assert_eq!(
        (&boards[0]["name"], &boards[0]["labels"]),
        (&json!("rack2-p3"), &json!({"colour": "red"}))
    );
    assert_eq!(boards[1]["labels"], json!({}));
    let mut wish = wish("ann", 1);
    wish["labels"] = json!({"colour": "blue"});
    assert_eq!(farm.reserve(wish.clone()).await.unwrap_err().code, ErrorCode::NotEnoughDevices);
    wish["labels"] = json!({"colour": "red"});
    let answer = farm.reserve(wish).await.unwrap();
    assert_eq!(answer.boards[0].name.as_deref(), Some("rack2-p3"));
    until(async || worker.serving("A").is_some()).await;
    let told = worker.calls().into_iter().find(|call| call.starts_with("reserve")).unwrap();
    assert!(told.contains("A"), "{told}");
}

#[tokio::test]
async fn an_operator_ends_everything_of_a_client() {
    let farm = Farm::on_tcp().await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut socket = farm.socket("a b", "s", None).await;
    farm.post("/reserve", wish("a b", 1)).await.unwrap();
    let place = queued(&farm, &patient("a b", 1, "q")).await;
    let ended = farm.post("/v1/clients/a%20b/end", json!({})).await.unwrap();
    assert_eq!(ended, json!({"client": "a b", "ended": ["A"], "cancelled": [place.reservation]}));
    let event = next(&mut socket, events::NOT_GRANTED).await;
    assert_eq!(event.fields["reason"].as_str(), Some("revoked"));
    assert_eq!(
        next(&mut socket, events::RESERVATION_END).await.fields["reason"].as_str(),
        Some("revoked")
    );
    farm.until_available(1).await;
}

#[tokio::test]
async fn limits_are_those_of_the_configuration() {
    let mut config = quick();
    config.rules.limits = ["ann*:boards=1,ttl=60".parse().unwrap()].into();
    let farm = Farm::start(Net::Tcp, 0, Control::builder().in_memory().config(config)).await;
    let _worker = FakeWorker::join(&farm, "w", &["A", "B"]).await;
    let error = farm.post("/reserve", wish("anna", 2)).await.unwrap_err();
    assert_eq!((error.code, error.message.contains("`ann*`")), (ErrorCode::LimitExceeded, true));
    assert_eq!(farm.reserve(wish("anna", 1)).await.unwrap().boards[0].expires_in_ms, 60_000);
    farm.post("/reserve", wish("bob", 1)).await.unwrap();
}
