//! The samples of the communication protocol, byte for byte.

use crate::bus::FakeBoard;
use crate::farm::Farm;
use futures::{SinkExt, StreamExt};
use icefarm_core::wire::BoardStatus::Available;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const COMMAND: &str = r#"{
    "serial": "example pico2ice serial id",
    "event": "getdata",
    "contents": {
        "data": "Hello!"
    }
}"#;

const EVENT: &str = r#"{
    "serial": "example pico2ice serial id",
    "contents": [
        {
            "event": "results",
            "data": "hello!"
        }
    ]
}"#;

#[tokio::test(start_paused = true)]
async fn the_samples_work_literally() {
    let board = FakeBoard::new("example pico2ice serial id");
    let farm = Farm::start(&[&board]).await;
    farm.until_status(&board, Available).await;
    let args = json!({"message": ""});
    farm.reserve(&board, 1, "me", "example state", args).await.unwrap();
    let mut socket = farm.connect("me").await.socket;
    let mut frames = Vec::new();
    socket.send(Message::text(COMMAND)).await.unwrap();
    while frames.len() < 2 {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            frames.push(serde_json::from_str::<Value>(&text).unwrap());
        }
    }
    let initialized = json!({"serial": "example pico2ice serial id", "contents": [{"event": "initialized", "lease": 1}]});
    // Nothing more than this: without an id, what went well is not answered.
    assert_eq!(frames, [initialized, serde_json::from_str(EVENT).unwrap()]);
}
