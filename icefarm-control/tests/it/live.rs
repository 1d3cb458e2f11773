//! The farm over `/v1/live`.

use crate::farm::{Farm, wish};
use crate::http::send;
use crate::worker::FakeWorker;
use futures::{SinkExt, StreamExt};
use icefarm_core::wire::{BoardStatus, LiveChange, LiveMessage, LiveSnapshot};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

struct Watcher(WebSocketStream<TcpStream>);

impl Watcher {
    async fn open(farm: &Farm) -> (Self, LiveSnapshot) {
        let stream = TcpStream::connect((farm.control.host(), farm.control.port())).await.unwrap();
        let url = format!("ws://{}/v1/live", farm.control.authority());
        let (socket, _) = client_async(url, stream).await.unwrap();
        let mut watcher = Self(socket);
        match watcher.next().await {
            Some(LiveMessage::Snapshot(snapshot)) => (watcher, snapshot),
            other => panic!("the first message is {other:?}"),
        }
    }

    /// The next message; nothing if the server ends it.
    async fn next(&mut self) -> Option<LiveMessage> {
        loop {
            let message = timeout(Duration::from_secs(30), self.0.next()).await.unwrap()?;
            match message {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => return None,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The first change that is what the test waits for.
    async fn until(&mut self, is_it: impl Fn(&LiveChange) -> bool) -> LiveChange {
        loop {
            match self.next().await.expect("the socket stays open") {
                LiveMessage::Change(change) if is_it(&change) => return change,
                LiveMessage::Change(_) => {}
                other => panic!("not a change: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_watcher_sees_the_farm_change() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A", "B"]).await;
    let (mut watcher, all) = Watcher::open(&farm).await;
    assert_eq!((all.boards.len(), all.workers.len(), all.status.boards.available), (2, 1, 2));
    assert_eq!(all.events.last().unwrap().seq, all.status.last_event);

    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    let change = watcher.until(|change| !change.boards.is_empty()).await;
    assert_eq!(change.boards.len(), 1, "only what changed");
    assert_eq!(change.boards[0].status, BoardStatus::Reserved);
    assert_eq!(change.boards[0].lease.as_ref().unwrap().client.as_str(), "ann");
    assert_eq!((change.status.boards.available, change.status.boards.reserved), (1, 1));
    assert!(change.events.iter().any(|entry| entry.text.contains("ann reserved board A")));

    worker.unplug("B");
    let change = watcher.until(|change| !change.boards_gone.is_empty()).await;
    assert_eq!(change.boards_gone[0].as_str(), "B");
    // Whatever a watcher says, nobody listens.
    watcher.0.send(Message::text("{}")).await.unwrap();
    worker.kill();
    let change = watcher.until(|change| change.status.workers.reachable == 0).await;
    assert!(!change.workers[0].reachable);
}

#[tokio::test]
async fn one_who_comes_later_sees_the_farm_as_it_is_then() {
    let farm = Farm::on_tcp().await;
    let (watcher, all) = Watcher::open(&farm).await;
    assert!(all.boards.is_empty());
    drop(watcher);
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    let (_watcher, all) = Watcher::open(&farm).await;
    assert_eq!(all.boards[0].status, BoardStatus::Reserved);
}

#[tokio::test]
async fn the_end_of_the_server_ends_the_watching() {
    let farm = Farm::on_tcp().await;
    let (mut watcher, _) = Watcher::open(&farm).await;
    let ending = farm.stop();
    let watching = async move { while watcher.next().await.is_some() {} };
    tokio::join!(ending, watching);
}

#[tokio::test]
async fn pages_of_others_see_nothing() {
    let farm = Farm::on_tcp().await;
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let foreign = format!("{upgrade}Origin: http://evil.example\r\n");
    let answer = send(&farm.control, "GET /v1/live", &foreign, "").await;
    assert_eq!((answer.status, answer.code()), (403, "forbidden".into()));
    let answer = send(&farm.control, "GET /v1/live", "", "").await;
    assert_eq!((answer.status, answer.code()), (400, "bad_request".into()));
}
