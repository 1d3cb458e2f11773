//! What clients are told over their sockets.

use crate::farm::{Farm, wish};
use crate::worker::FakeWorker;
use icefarm_core::wire::{Event, Position, events};
use icefarm_net::ClientSocket;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

/// The next event of this name; others are skipped.
pub(crate) async fn next(socket: &mut ClientSocket, name: &str) -> Event {
    numbered(socket, name).await.0
}

/// The next event of this name, and its position.
async fn numbered(socket: &mut ClientSocket, name: &str) -> (Event, Option<Position>) {
    let wait = async {
        loop {
            let frame = socket.next().await.unwrap().expect("the socket stays open");
            let position = match (frame.epoch, frame.seq) {
                (Some(epoch), Some(seq)) => Some(Position { epoch, seq }),
                _ => None,
            };
            if let Some(event) = frame.contents.into_iter().find(|event| event.event == name) {
                return (event, position);
            }
        }
    };
    timeout(Duration::from_secs(30), wait).await.expect("the event comes in time")
}

#[tokio::test]
async fn free_boards_are_announced_to_everybody() {
    let farm = Farm::on_tcp().await;
    let mut socket = farm.socket("ann", "s", None).await;
    let _worker = FakeWorker::join(&farm, "w", &["A", "B"]).await;
    let (event, position) = numbered(&mut socket, events::DEVICES_AVAILABLE).await;
    assert_eq!(event.fields["amount"].as_u64(), Some(2));
    assert_eq!(position, None, "it is soon out of date, so it has no number");
}

#[tokio::test]
async fn every_socket_of_a_name_is_told() {
    let farm = Farm::on_tcp().await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut first = farm.socket("ann", "one", None).await;
    let mut second = farm.socket("ann", "two", None).await;
    let mut other = farm.socket("bob", "s", None).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    farm.post("/endall", json!({"name": "ann"})).await.unwrap();
    for socket in [&mut first, &mut second] {
        let (end, position) = numbered(socket, events::RESERVATION_END).await;
        assert_eq!(end.fields["reason"].as_str(), Some("ended"));
        assert_eq!(end.fields["lease"].as_u64(), Some(1));
        assert_eq!(position.unwrap().seq, 1);
    }
    // A frame for bob comes behind whatever bob might have been told by mistake.
    farm.until_available(1).await;
    farm.post("/reserve", wish("bob", 1)).await.unwrap();
    farm.post("/endall", json!({"name": "bob"})).await.unwrap();
    let (end, _) = numbered(&mut other, events::RESERVATION_END).await;
    assert_eq!(end.fields["lease"].as_u64(), Some(2));
}

#[tokio::test]
async fn what_happened_while_a_client_was_away_waits_for_it() {
    let farm = Farm::on_tcp().await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    farm.post("/endall", json!({"name": "ann"})).await.unwrap();
    let mut socket = farm.socket("ann", "s", None).await;
    let (_, position) = numbered(&mut socket, events::RESERVATION_END).await;
    let position = position.unwrap();
    socket.ack(&position).await.unwrap();
    socket.close().await.unwrap();
    farm.until_available(1).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    farm.post("/endall", json!({"name": "ann"})).await.unwrap();
    let mut socket = farm.socket("ann", "s", Some(position)).await;
    let (end, position) = numbered(&mut socket, events::RESERVATION_END).await;
    assert_eq!((end.fields["lease"].as_u64(), position.unwrap().seq), (Some(2), 2));
}

#[tokio::test]
async fn control_takes_no_commands_over_its_socket() {
    let farm = Farm::on_tcp().await;
    let mut socket = farm.socket("ann", "s", None).await;
    let frame = serde_json::from_value(
        json!({"serial": "A", "event": "evaluate", "contents": {}, "id": "1"}),
    );
    socket.send(&frame.unwrap()).await.unwrap();
    let error = next(&mut socket, events::ERROR).await;
    assert_eq!(error.fields["code"].as_str(), Some("unknown_command"));
}
