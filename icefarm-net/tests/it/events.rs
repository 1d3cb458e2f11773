//! Event streams over sockets: numbers, resuming, several sockets of one name.

use crate::farm::{BINARY, CLOSE, RawSocket, client, farm, farm_where, results};
use icefarm_core::ClientName;
use icefarm_core::wire::{Event, ServerFrame};
use icefarm_net::HubConfig;
use serde_json::{Value, json};
use std::time::Duration;

fn ack(seq: u64) -> Value {
    json!({"event": "ack", "epoch": "epoch", "seq": seq})
}

/// The event of a frame that must be `meta`'s.
fn meta(frame: &Value) -> &Value {
    assert_eq!(frame["serial"], "meta");
    &frame["contents"][0]
}

#[tokio::test]
async fn version_1_is_greeted_and_gets_numbers() {
    let farm = farm(HubConfig::default());
    farm.hub.publish(&client(), results(1));
    let mut socket = farm.v1("&sub=a").await;
    assert_eq!(
        socket.text().await,
        r#"{"serial":"meta","contents":[{"event":"hello","epoch":"epoch","features":["msgpack","zstd"],"protocol":"1.0","seq":1}]}"#
    );
    assert_eq!(
        socket.text().await,
        r#"{"serial":"A","contents":[{"event":"results","data":1}],"epoch":"epoch","seq":1}"#
    );
    farm.hub.whisper(&client(), results(2));
    assert_eq!(socket.text().await, r#"{"serial":"A","contents":[{"event":"results","data":2}]}"#);
}

#[tokio::test]
async fn who_is_answered_is_subscribed() {
    // What comes between the answer and the first byte of the websocket is no stranger's.
    let farm = farm_where(HubConfig::default(), |hub| hub.broadcast(results(1)));
    let told = r#"{"serial":"A","contents":[{"event":"results","data":1}]}"#;
    assert_eq!(farm.plain().await.text().await, told);
}

#[tokio::test]
async fn acknowledged_events_go_and_the_journal_is_told() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.v1("&sub=a").await;
    socket.json().await;
    for n in 1..=3 {
        assert_eq!(farm.hub.publish(&client(), results(n)), n);
        assert_eq!(socket.json().await["seq"], n);
    }
    socket.command(ack(2)).await;
    farm.logged("trimmed tester 2").await;
    // Another stream, and a number that there is not yet: said, and nothing happens.
    for wrong in [json!({"event": "ack", "epoch": "other", "seq": 3}), ack(4)] {
        socket.command(wrong).await;
        assert_eq!(meta(&socket.json().await)["code"], "bad_request");
    }
    socket.command(ack(3)).await;
    farm.logged("trimmed tester 3").await;
}

#[tokio::test]
async fn a_lost_socket_is_resumed_without_loss() {
    let farm = farm(HubConfig::default());
    let mut first = farm.v1("&sub=a").await;
    first.json().await;
    for n in 1..=4 {
        farm.hub.publish(&client(), results(n));
    }
    assert_eq!(first.json().await["seq"], 1);
    first.command(ack(1)).await;
    farm.logged("trimmed tester 1").await;
    drop(first);
    farm.logged("closed tester").await;
    farm.hub.publish(&client(), results(5));

    let mut second = farm.v1("&sub=a&epoch=epoch&seq=2").await;
    assert_eq!(meta(&second.json().await)["seq"], 5);
    for n in 3..=5 {
        assert_eq!(second.json().await["seq"], n);
    }
}

#[tokio::test]
async fn a_position_of_another_life_is_answered_by_resync() {
    let farm = farm(HubConfig::default());
    farm.hub.publish(&client(), results(1));
    let mut socket = farm.v1("&sub=a&epoch=former&seq=99").await;
    assert_eq!(meta(&socket.json().await)["event"], "hello");
    assert_eq!(meta(&socket.json().await), &json!({"event": "resync", "epoch": "epoch"}));
    assert_eq!(socket.json().await["seq"], 1);
}

#[tokio::test]
async fn a_newer_socket_of_a_subscriber_takes_the_place_of_the_older() {
    let farm = farm(HubConfig::default());
    let mut older = farm.v1("&sub=a").await;
    older.json().await;
    let mut newer = farm.v1("&sub=a").await;
    newer.json().await;
    assert_eq!(older.closed().await, (1008, "the subscriber has another socket now".to_owned()));
    older.send(CLOSE, [0x03, 0xf0]).await;
    drop(older);
    farm.logged("closed tester").await;
    // The end of the older one does not deafen the newer.
    assert!(farm.hub.connected(&client()));
    farm.hub.publish(&client(), results(1));
    assert_eq!(newer.json().await["seq"], 1);
}

#[tokio::test]
async fn two_subscribers_of_one_name_both_get_everything() {
    let farm = farm(HubConfig::default());
    let (mut plain, mut new) = (farm.plain().await, farm.v1("&sub=b&enc=msgpack").await);
    assert_eq!(new.frame().await.0, BINARY);
    farm.logged("opened tester").await;
    farm.hub.publish(&client(), results("both"));
    let text = r#"{"serial":"A","contents":[{"event":"results","data":"both"}]}"#;
    assert_eq!(plain.text().await, text);
    let (kind, bytes) = new.frame().await;
    assert_eq!(kind, BINARY);
    let packed = b"\x84\xa6serial\xa1A\xa8contents\x91\x82\xa5event\xa7results\xa4data\xa4both\xa5epoch\xa5epoch\xa3seq\x01";
    assert_eq!(bytes, packed);
    // Closing one never deafens the other.
    plain.send(CLOSE, [0x03, 0xe8]).await;
    plain.closed().await;
    farm.logged("closed tester").await;
    farm.hub.publish(&client(), results("one"));
    assert_eq!(new.frame().await.0, BINARY);
}

#[tokio::test]
async fn an_old_client_gets_what_happened_while_it_was_away() {
    let farm = farm(HubConfig::default());
    let mut first = farm.plain().await;
    farm.hub.publish(&client(), results(1));
    first.json().await;
    farm.logged("trimmed tester 1").await;
    drop(first);
    farm.logged("closed tester").await;
    farm.hub.publish(&client(), results(2));
    let mut second = farm.plain().await;
    assert_eq!(second.json().await["contents"][0]["data"], 2);
    farm.logged("trimmed tester 2").await;
}

#[tokio::test(start_paused = true)]
async fn what_had_to_be_given_up_is_said() {
    let mut config = HubConfig::default();
    config.outbox.bytes = 5000;
    for query in ["", "&v=1&sub=a"] {
        let farm = farm(config.clone());
        for n in 0..10 {
            farm.hub.publish(&client(), results("x".repeat(1000 + n)));
        }
        let path = format!("/ws?client_id=tester{query}");
        let mut socket = crate::farm::RawSocket::open(farm.dial().await, &path).await;
        if !query.is_empty() {
            assert_eq!(meta(&socket.json().await)["event"], "hello");
        }
        let dropped = socket.json().await;
        assert_eq!(meta(&dropped)["event"], "dropped");
        assert_eq!(meta(&dropped)["from"], 1);
        let kept = 10 - meta(&dropped)["to"].as_u64().unwrap();
        assert!((2..=4).contains(&kept), "{dropped}");
        for _ in 0..kept {
            assert_eq!(socket.json().await["serial"], "A");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_the_latest_of_what_is_ephemeral() {
    let farm = farm(HubConfig::default());
    let io = farm.dial_with(300).await;
    let mut slow = crate::farm::RawSocket::open(io, "/ws?client_id=tester").await;
    let mut other = crate::farm::RawSocket::open(farm.dial().await, "/ws?client_id=other").await;
    farm.logged("opened other").await;
    for amount in 0..10_000 {
        let event = Event::new("devices_available").with("amount", amount);
        farm.hub.broadcast(ServerFrame::new("meta", vec![event]));
        if amount % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for socket in [&mut slow, &mut other] {
        let (mut count, mut last) = (0, Value::Null);
        while last != 9999 {
            last = socket.json().await["contents"][0]["amount"].clone();
            count += 1;
        }
        assert!(count < 9000, "{count} frames");
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_kept_for_who_is_away_for_ten_minutes() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.v1("&sub=a").await;
    socket.json().await;
    drop(socket);
    farm.logged("closed tester").await;
    farm.hub.publish(&client(), results(1));
    tokio::time::advance(Duration::from_secs(599)).await;
    farm.hub.sweep();
    assert_eq!(farm.boards.count("trimmed tester 1"), 0);
    tokio::time::advance(Duration::from_secs(601)).await;
    farm.hub.sweep();
    assert_eq!(farm.boards.count("trimmed tester 1"), 1);
}

#[tokio::test]
async fn what_a_store_kept_is_delivered_after_a_restart() {
    let farm = farm(HubConfig::default());
    let position = icefarm_core::wire::Position { epoch: "kept".into(), seq: 9 };
    let frames = [(4, results(4)), (9, results(9))];
    assert!(farm.hub.restore(&client(), position.clone(), 0, frames));
    assert!(!farm.hub.restore(&client(), position, 0, []));
    assert!(!farm.hub.publish_numbered(&client(), 9, results(9)));
    let mut socket = farm.v1("&sub=a&epoch=kept&seq=4").await;
    assert_eq!(meta(&socket.json().await)["epoch"], "kept");
    assert_eq!(socket.json().await["seq"], 9);
    assert!(farm.hub.publish_numbered(&client(), 17, results(17)));
    let frame = socket.json().await;
    assert_eq!((&frame["epoch"], &frame["seq"]), (&json!("kept"), &json!(17)));
}

#[tokio::test]
async fn the_number_of_clients_is_bounded() {
    let mut config = HubConfig::default();
    config.max_clients = 1;
    let farm = farm(config);
    let _socket = farm.plain().await;
    farm.logged("opened tester").await;
    let _second = farm.plain().await;
    assert_eq!(refusal(&farm, "stranger").await, (429, "overloaded".to_owned()));
    // The server's own events are not bounded by it.
    farm.hub.publish(&ClientName::new("third").unwrap(), results(1));
    farm.hub.close();
    assert_eq!(refusal(&farm, "tester").await, (503, "unavailable".to_owned()));
}

#[tokio::test]
async fn names_that_hold_nothing_lock_nobody_out() {
    let mut config = HubConfig::default();
    config.max_clients = 3;
    let farm = farm(config);
    let connect = async |client: &str| {
        let dialled = farm.dial().await;
        RawSocket::open(dialled, &format!("/ws?client_id={client}&v=1&sub=s")).await
    };
    // Many names, each gone at once.
    for n in 0..20 {
        drop(connect(&format!("stranger{n}")).await);
        farm.logged(&format!("closed stranger{n}")).await;
    }
    // Those who are here, for whom something waits, or who hold a board, stay.
    let _here = connect("stranger-here").await;
    farm.logged("opened stranger-here").await;
    farm.hub.publish(&ClientName::new("stranger-awaited").unwrap(), results(1));
    drop(connect("tester").await);
    farm.logged("closed tester").await;
    assert_eq!(refusal(&farm, "stranger-late").await, (429, "overloaded".to_owned()));
    // Who holds a board is never locked out.
    let mut holder = connect("holder").await;
    holder.json().await;
    let mut awaited = connect("stranger-awaited").await;
    awaited.json().await;
    assert_eq!(awaited.json().await["seq"], 1);
}

async fn refusal(farm: &crate::farm::Farm, client: &str) -> (u16, String) {
    let request = crate::farm::upgrade(&format!("/ws?client_id={client}"));
    let answer = farm.request(&request).await;
    (answer.status, answer.code())
}

#[tokio::test]
async fn the_end_of_the_server_is_said_to_all_sockets() {
    let farm = farm(HubConfig::default());
    let (mut a, mut b) = (farm.plain().await, farm.v1("&sub=b").await);
    b.json().await;
    farm.hub.publish(&client(), results(1));
    a.json().await;
    b.json().await;
    farm.hub.close();
    for socket in [&mut a, &mut b] {
        assert_eq!(socket.closed().await, (1001, "the server is ending".to_owned()));
    }
}

#[tokio::test]
async fn what_waits_is_written_before_the_server_ends() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.v1("&sub=a").await;
    socket.json().await;
    for n in 1..=300 {
        farm.hub.publish(&client(), results(n));
    }
    farm.hub.close();
    for n in 1..=300 {
        assert_eq!(socket.json().await["seq"], n);
    }
    assert_eq!(socket.closed().await, (1001, "the server is ending".to_owned()));
}
