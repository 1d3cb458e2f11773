//! Websockets byte by byte.

use crate::farm::{
    BINARY, CLOSE, PING, PONG, RawSocket, TEXT, client, farm, masked, results, upgrade,
};
use crate::support::parse;
use icefarm_net::HubConfig;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

#[tokio::test]
async fn the_handshake_and_the_samples_of_the_first_protocol_literally() {
    let farm = farm(HubConfig::default());
    let mut io = farm.dial().await;
    io.write_all(upgrade("/ws?client_id=tester").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    for line in [
        "http/1.1 101 switching protocols\r\n",
        "\r\nconnection: upgrade\r\n",
        "\r\nupgrade: websocket\r\n",
        "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    let mut socket = RawSocket { io };

    let event =
        r#"{"serial":"example pico2ice serial","contents":[{"event":"results","data":"hello!"}]}"#;
    farm.hub.publish(&client(), serde_json::from_str(event).unwrap());
    assert_eq!(socket.text().await, event);

    // As in the document, with its white space; the mask is the one of RFC 6455, section 5.7.
    let command = r#"{
    "serial": "example pico2ice serial id",
    "event": "getdata",
    "contents": {
        "data": "Hello!"
    }
}"#;
    socket.io.write_all(&masked(TEXT, command.as_bytes())).await.unwrap();
    farm.logged("getdata 0").await;
}

#[tokio::test]
async fn a_single_masked_frame_in_bytes() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.plain().await;
    // "Hello" from RFC 6455, section 5.7: text, but no frame of ours.
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    socket.io.write_all(&hello).await.unwrap();
    let error = socket.json().await;
    assert_eq!(error["serial"], "meta");
    assert_eq!(error["contents"][0]["event"], "error");
    assert_eq!(error["contents"][0]["code"], "bad_request");
    let message = error["contents"][0]["message"].as_str().unwrap();
    assert!(message.contains("not valid JSON: expected value at line 1 column 1"), "{message}");
    assert_eq!(error.as_object().unwrap().len(), 2, "no epoch, no seq: {error}");
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_the_socket_stays() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.plain().await;
    let cases: [(u8, &[u8], &str); 5] = [
        (TEXT, b"{}", "`event` is missing"),
        (TEXT, b"{\"event\":\"e\",\"event\":\"f\"}", "there twice"),
        (BINARY, b"\x81\xa5event", "should follow"),
        (BINARY, b"{}", "bytes follow the value"),
        (TEXT, br#"{"serial":"A","event":"e","contents":[]}"#, "`contents` is not an object"),
    ];
    for (kind, payload, reason) in cases {
        socket.send(kind, payload).await;
        let error = socket.json().await;
        let message = error["contents"][0]["message"].as_str().unwrap();
        assert!(message.contains(reason), "{message}");
    }
    socket.command(json!({"serial": "A", "event": "getdata", "id": "1"})).await;
    assert_eq!(socket.json().await["contents"][0]["event"], "reply");
}

#[tokio::test]
async fn commands_come_in_text_and_binary_and_pieces() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.plain().await;
    let packed = b"\x84\xa6serial\x91\xa1A\xa5event\xa7getdata\xa8contents\x81\xa1n\x07\xa2id\xa1x";
    socket.send(BINARY, packed).await;
    let reply =
        json!({"serial": "A", "contents": [{"event": "reply", "id": "x", "value": {"n": 7}}]});
    assert_eq!(socket.json().await, reply);

    // A text in three fragments, with a ping between them, written byte by byte.
    let text = br#"{"serial":"A","event":"getdata","contents":{"n":8},"id":"y"}"#;
    let mut bytes = masked(0x01, &text[..10]);
    bytes.extend(masked(0x00, &text[10..30]));
    bytes.extend(masked(PING, b"ping"));
    bytes.extend(masked(0x80, &text[30..]));
    for byte in bytes {
        socket.io.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(socket.frame().await, (PONG, b"ping".to_vec()));
    assert_eq!(socket.json().await["contents"][0]["value"], json!({"n": 8}));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_large_ends_the_socket() {
    let mut config = HubConfig::default();
    config.max_message = 1000;
    let farm = farm(config);
    let fits = format!("{:1000}", r#"{"serial":"A","event":"getdata","id":"1"}"#);
    for fragments in [false, true] {
        let mut socket = farm.plain().await;
        socket.send(TEXT, &fits).await;
        assert_eq!(socket.json().await["contents"][0]["event"], "reply");
        if fragments {
            socket.send(0x01, vec![b' '; 600]).await;
            socket.send(0x80, vec![b' '; 600]).await;
        } else {
            socket.send(TEXT, vec![b' '; 1001]).await;
        }
        assert_eq!(socket.closed().await.0, 1009);
        // What it goes on to send does not cut our reason off.
        socket.send(TEXT, vec![b' '; 10_000]).await;
        let mut rest = Vec::new();
        socket.io.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    }
}

#[tokio::test]
async fn breaches_of_the_websocket_protocol_end_the_socket() {
    let farm = farm(HubConfig::default());
    for (bytes, code) in [
        (masked(TEXT, b"\xff\xfe"), 1007),
        // Not masked; a reserved opcode; a reserved bit; a fragment of nothing.
        (vec![0x81, 0x02, b'{', b'}'], 1002),
        (masked(0x83, b""), 1002),
        (masked(0xc1, b"{}"), 1002),
        (masked(0x80, b"{}"), 1002),
    ] {
        let mut socket = farm.plain().await;
        socket.io.write_all(&bytes).await.unwrap();
        assert_eq!(socket.closed().await.0, code, "{bytes:x?}");
    }
}

#[tokio::test]
async fn a_close_is_answered_and_the_place_is_free() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.plain().await;
    farm.logged("opened tester").await;
    assert!(farm.hub.connected(&client()));
    socket.send(CLOSE, [0x03, 0xe8]).await;
    assert_eq!(socket.closed().await.0, 1000);
    let mut rest = Vec::new();
    socket.io.read_to_end(&mut rest).await.unwrap();
    farm.logged("closed tester").await;
    assert!(!farm.hub.connected(&client()));
}

#[tokio::test]
async fn wrong_requests_are_answered_before_the_upgrade() {
    let farm = farm(HubConfig::default());
    let good = upgrade("/ws?client_id=tester");
    for (request, status, code) in [
        (upgrade("/ws"), 400, "bad_request"),
        (upgrade("/ws?client_id=tester&v=2"), 400, "version_mismatch"),
        (upgrade("/?client_id=tester&v=1"), 400, "bad_request"),
        (good.replace("Version: 13", "Version: 8"), 400, "bad_request"),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400, "bad_request"),
        (good.replace("Upgrade: websocket", "Upgrade: h2c"), 400, "bad_request"),
        (good.replace("Connection: Upgrade\r\n", ""), 400, "bad_request"),
        (good.replace("GET", "POST"), 400, "bad_request"),
        (good.replace("127.0.0.1:8080", "evil.example"), 403, "forbidden"),
        (good.replace("Host:", "Origin: http://evil.example\r\nHost:"), 403, "forbidden"),
        (upgrade("/other"), 404, "not_found"),
    ] {
        let answer = farm.request(&request).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{request}");
    }
    assert_eq!(farm.boards.log(), [""; 0]);
}

#[tokio::test]
async fn both_paths_take_websockets_and_the_panel_stays_where_it_is() {
    let farm = farm(HubConfig::default());
    RawSocket::open(farm.dial().await, "/?client_id=tester").await;
    RawSocket::open(farm.dial().await, "/ws?client_id=tester&unknown=%F0%9F%A7%8A").await;
    let mut io = farm.dial().await;
    io.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    io.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(parse(&bytes).body, "the panel");
}

#[tokio::test(start_paused = true)]
async fn sockets_are_pinged_and_silent_ones_are_closed() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.plain().await;
    let start = Instant::now();
    for n in 1..=3 {
        assert_eq!(socket.frame().await, (PING, Vec::new()));
        assert_eq!(start.elapsed().as_secs(), 20 * n);
        socket.send(PONG, "").await;
    }
    // From now on it says nothing, and its time is over just when a third ping would be due.
    let (mut pings, mut frame) = (0, socket.frame().await);
    while frame.0 == PING {
        pings += 1;
        frame = socket.frame().await;
    }
    assert!((2..=3).contains(&pings), "{pings} pings");
    assert_eq!(frame, (CLOSE, b"\x03\xf0nothing was heard for too long".to_vec()));
    assert_eq!(start.elapsed().as_secs(), 120);
    drop(socket);
    farm.logged("closed tester").await;
}

#[tokio::test(start_paused = true)]
async fn each_byte_of_a_slow_upload_is_a_sign_of_life() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.plain().await;
    for byte in masked(TEXT, br#"{"serial":"A","event":"getdata"}"#) {
        tokio::time::sleep(Duration::from_secs(50)).await;
        socket.io.write_all(&[byte]).await.unwrap();
    }
    farm.logged("getdata 0").await;
    assert_eq!(farm.boards.count("closed tester"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_cut_and_holds_nothing_up() {
    let farm = farm(HubConfig::default());
    let deaf = RawSocket::open(farm.dial_with(2000).await, "/ws?client_id=tester").await;
    let mut well = farm.v1("&sub=well").await;
    well.json().await;
    for n in 0..100 {
        farm.hub.publish(&client(), results("x".repeat(10_000)));
        let frame = well.json().await;
        assert_eq!(frame["seq"], n + 1);
        well.command(json!({"event": "ack", "epoch": "epoch", "seq": n + 1})).await;
    }
    assert_eq!(farm.boards.count("closed tester"), 0);
    farm.logged_after(Duration::from_secs(130), "closed tester").await;
    drop(deaf);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_pings_and_never_reads_costs_little() {
    let farm = farm(HubConfig::default());
    let mut socket = RawSocket::open(farm.dial_with(1000).await, "/ws?client_id=tester").await;
    // Far more than what may be under way: the server stops reading.
    let pings = masked(PING, &[0; 100]).repeat(1000);
    let written = tokio::time::timeout(Duration::from_secs(10), socket.io.write_all(&pings)).await;
    assert!(written.is_err(), "the server went on reading");
    farm.logged_after(Duration::from_secs(130), "closed tester").await;
}
