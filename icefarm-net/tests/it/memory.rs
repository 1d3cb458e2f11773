//! What clients send takes only so much memory, whoever sends it and however. Counted, not
//! measured.

use crate::farm::{BINARY, Farm, RawSocket, farm};
use icefarm_core::wire::ClientFrame;
use icefarm_core::{Object, Value};
use icefarm_net::HubConfig;
use icefarm_net::codec::{Encoding, encode_client};
use tokio::io::AsyncWriteExt as _;

const LIMIT: usize = 4 << 20;

fn small() -> Farm {
    let mut config = HubConfig::default();
    config.memory = LIMIT;
    farm(config)
}

async fn socket(farm: &Farm, client: &str, sub: usize) -> RawSocket {
    let path = format!("/ws?client_id={client}&v=1&sub=s{sub}");
    let mut socket = RawSocket::open(farm.dial().await, &path).await;
    socket.json().await;
    socket
}

/// A command with a file of zeros, which shrinks to next to nothing.
fn bomb(event: &str, id: &str, bytes: usize) -> bytes::Bytes {
    let contents = Object::from([("file".to_owned(), Value::Bytes(vec![0; bytes].into()))]);
    let serials = vec!["A".parse().unwrap()];
    let (event, id, leases) = (event.into(), Some(id.into()), Default::default());
    let frame = ClientFrame { serials, event, contents, id, leases };
    let packed = encode_client(&frame, Encoding::MessagePack).unwrap();
    assert!(packed.len() < 10_000);
    packed
}

async fn code(socket: &mut RawSocket) -> String {
    let event = socket.json().await["contents"][0].clone();
    event["code"].as_str().unwrap_or("done").to_owned()
}

async fn until_free(farm: &Farm) {
    while farm.hub.memory_taken() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn commands_of_many_sockets_take_no_more_than_the_servers_memory() {
    let farm = small();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..40 {
        let mut socket = socket(&farm, "tester", n).await;
        socket.send(BINARY, bomb("slow", "1", 1 << 20)).await;
        let tell = tell.clone();
        tokio::spawn(async move {
            let code = code(&mut socket).await;
            let _ = tell.send((socket, code));
        });
    }
    let mut refused = Vec::new();
    for _ in 0..37 {
        let (socket, code) = told.recv().await.unwrap();
        assert_eq!(code, "overloaded");
        assert!(farm.hub.memory_taken() <= LIMIT);
        refused.push(socket);
    }
    assert_eq!(farm.boards.count("slow 0"), 3, "each takes a little more than its file");
    assert!(farm.hub.memory_taken() > 3 << 20);
    farm.boards.go_on.notify_waiters();
    for _ in 0..3 {
        assert_eq!(told.recv().await.unwrap().1, "done");
    }
    until_free(&farm).await;
    // What was refused was not done, and may be sent again under its id.
    refused[0].send(BINARY, bomb("keep", "1", 1 << 20)).await;
    assert_eq!(code(&mut refused[0]).await, "done");
}

#[tokio::test]
async fn files_take_memory_as_long_as_anybody_has_them() {
    let farm = small();
    let mut socket = socket(&farm, "tester", 0).await;
    for id in ["1", "2", "3", "4"] {
        socket.send(BINARY, bomb("keep", id, 1 << 20)).await;
        assert_eq!(code(&mut socket).await, if id == "4" { "overloaded" } else { "done" });
    }
    // As text they are just as long in the end.
    let text = "A".repeat(1 << 20);
    let file = serde_json::json!({"serial": "A", "event": "keep", "id": "5",
        "contents": {"file": {"base64": text}}});
    farm.boards.kept.lock().unwrap().clear();
    for _ in 0..3 {
        socket.command(file.clone()).await;
        assert_eq!(code(&mut socket).await, "done");
    }
    let taken = farm.hub.memory_taken();
    assert!((700_000..900_000).contains(&taken), "{taken}");
    assert!(matches!(farm.boards.kept.lock().unwrap()[0]["file"], Value::Bytes(_)));
    farm.boards.kept.lock().unwrap().clear();
    until_free(&farm).await;
}

#[tokio::test]
async fn nothing_is_unpacked_for_who_holds_no_board() {
    let farm = small();
    let mut stranger = socket(&farm, "stranger", 0).await;
    for id in 0..50 {
        // It would not fit if it were looked at.
        stranger.send(BINARY, bomb("getdata", &id.to_string(), 2 * LIMIT)).await;
        assert_eq!(code(&mut stranger).await, "not_holder");
    }
    assert_eq!(farm.boards.count("getdata 0"), 0);
    let mut holder = socket(&farm, "tester", 0).await;
    holder.send(BINARY, bomb("getdata", "1", 2 * LIMIT)).await;
    assert_eq!(code(&mut holder).await, "overloaded");
}

#[tokio::test]
async fn a_message_is_counted_while_it_arrives_and_strangers_share_a_quarter() {
    let farm = small();
    // The beginning of a message of 2 MiB that never ends.
    let mut begun = vec![BINARY, 0x80 | 127];
    begun.extend((2u64 << 20).to_be_bytes());
    begun.extend([0; 4]);
    let mut strangers = Vec::new();
    for n in 0..2 {
        let mut stranger = socket(&farm, "stranger", n).await;
        stranger.io.write_all(&begun).await.unwrap();
        stranger.io.write_all(&vec![0; 600 << 10]).await.unwrap();
        strangers.push(stranger);
    }
    let (code, reason) = strangers[1].closed().await;
    assert_eq!((code, reason.contains("memory")), (1013, true), "{reason}");
    assert!((500 << 10..1 << 20).contains(&farm.hub.memory_taken()));
    let mut holders = Vec::new();
    for n in 0..3 {
        let mut holder = socket(&farm, "tester", n).await;
        holder.io.write_all(&begun).await.unwrap();
        holder.io.write_all(&vec![0; 1500 << 10]).await.unwrap();
        holders.push(holder);
    }
    assert_eq!(holders[2].closed().await.0, 1013);
    assert!(farm.hub.memory_taken() <= LIMIT + LIMIT / 4);
    drop((holders, strangers));
    until_free(&farm).await;
}
