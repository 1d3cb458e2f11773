//! What clients send takes only so much of the worker's memory.

use crate::bus::FakeBoard;
use crate::farm::{Client, Farm};
use futures::SinkExt as _;
use icefarm_core::wire::ClientFrame;
use icefarm_core::{Object, Value};
use icefarm_net::codec::{Encoding, encode_client};
use icefarm_worker::WorkerConfig;
use tokio_tungstenite::tungstenite::Message;

/// Has the boards echo a file of zeros, which shrinks to next to nothing on its way.
async fn send(client: &mut Client, boards: &[&FakeBoard], id: &str, bytes: usize) {
    let contents = Object::from([("data".to_owned(), Value::Bytes(vec![0; bytes].into()))]);
    let serials = boards.iter().map(|board| icefarm_core::Board::serial(*board).clone()).collect();
    let (event, id, leases) = ("echo".into(), Some(id.into()), Default::default());
    let frame = ClientFrame { serials, event, contents, id, leases };
    let packed = encode_client(&frame, Encoding::MessagePack).unwrap();
    client.socket.send(Message::binary(packed)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn files_are_unpacked_for_who_holds_the_board_and_as_far_as_memory_goes() {
    let boards = [FakeBoard::new("B1"), FakeBoard::new("B2")];
    let mut config = WorkerConfig::default();
    config.memory = 1 << 20;
    let farm = Farm::start_with(&[&boards[0], &boards[1]], config, true).await;
    let mut holder = farm.mischief(&boards[0], "me").await;
    let mut other = farm.mischief(&boards[1], "other").await;
    let mut stranger = farm.connect("stranger").await;
    let [board, foreign] = &boards;
    for client in [&mut stranger, &mut other] {
        send(client, &[board], "big", 4 << 20).await;
        assert_eq!(client.answer(board, "big").await.unwrap_err().0, "not_holder");
    }
    send(&mut holder, &[board], "big", 4 << 20).await;
    assert_eq!(holder.answer(board, "big").await.unwrap_err().0, "overloaded");
    // One of its boards is enough; the other answers for itself.
    send(&mut holder, &[board, foreign], "small", 1000).await;
    assert!(holder.answer(board, "small").await.is_ok());
    assert_eq!(holder.answer(foreign, "small").await.unwrap_err().0, "not_holder");
}

#[tokio::test(start_paused = true)]
async fn a_board_has_a_bound_of_its_own() {
    let board = FakeBoard::new("B1");
    let mut config = WorkerConfig::default();
    config.lease.command_bytes = 10_000;
    let farm = Farm::start_with(&[&board], config, true).await;
    let mut client = farm.mischief(&board, "me").await;
    client.command(&board, "hang", serde_json::json!({})).await;
    for id in ["first", "second"] {
        send(&mut client, &[&board], id, 8_000).await;
    }
    let error = client.answer(&board, "second").await.unwrap_err();
    assert_eq!(error.0, "overloaded");
    assert!(error.1.contains("bytes of commands wait at this board"), "{}", error.1);
}
