//! The two JSON samples of the communication protocol, byte for byte, through a websocket client
//! that knows nothing of this project.

use custom_state as _;
use futures::{SinkExt, StreamExt};
use icefarm_control::Control;
use icefarm_core::{Registry, Serial, WorkerName};
use icefarm_sim::VirtualBus;
use icefarm_worker::Worker;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

const COMMAND: &str = r#"{
    "serial": "example pico2ice serial",
    "event": "getdata",
    "contents": {
        "data": "Hello!"
    }
}"#;

const EVENT: &str = r#"{
    "serial": "example pico2ice serial",
    "contents": [
        {
            "event": "results",
            "data": "hello!"
        }
    ]
}"#;

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_of_the_protocol_work_literally() {
    let (control_listener, control) = listener().await;
    let (worker_listener, _) = listener().await;
    let server = Control::builder().in_memory().build().unwrap();
    tokio::spawn(server.run(control_listener, std::future::pending()));
    let bus = VirtualBus::builder()
        .serial(Serial::new("example pico2ice serial").unwrap())
        .speed(100.0)
        .build()
        .unwrap();
    let worker = Worker::builder()
        .name(WorkerName::new("seed").unwrap())
        .control(format!("http://{control}"))
        .registry(Registry::collect().unwrap())
        .bus(Arc::new(bus))
        .build()
        .unwrap();
    let url = format!("ws://{control}/ws?client_id=me");
    let (mut farm, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    // Who is not there yet is not told of the first board.
    tokio::spawn(worker.run(worker_listener, std::future::pending()));
    // The farm says when a board becomes available.
    let available = next(&mut farm).await;
    assert_eq!(
        available,
        json!({"serial": "meta", "contents": [{"event": "devices_available", "amount": 1}]})
    );

    let body = json!({
        "amount": 1, "name": "me", "kind": "example state", "args": {"message": "hello!"}
    });
    let answer = post(&control, "/reserve", &body).await;
    let url = answer["example pico2ice serial"].as_str().unwrap().replace("http://", "ws://");
    let (mut board, _) =
        tokio_tungstenite::connect_async(format!("{url}/?client_id=me")).await.unwrap();
    let initialized = next(&mut board).await;
    assert_eq!(initialized["contents"], json!([{"event": "initialized", "lease": 1}]));

    board.send(Message::text(COMMAND)).await.unwrap();
    assert_eq!(next(&mut board).await, serde_json::from_str::<Value>(EVENT).unwrap());
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// The next frame of text.
async fn next(socket: &mut Socket) -> Value {
    let wait = async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("a frame comes")
}

/// A POST as any program could send it.
async fn post(address: &str, path: &str, body: &Value) -> Value {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap()
}
