//! The client's end of a websocket.

use crate::farm::{client, farm, results};
use futures::future::BoxFuture;
use icefarm_core::wire::{ClientFrame, ErrorCode, Position};
use icefarm_core::{ClientName, Object, Serial, Value};
use icefarm_net::codec::Encoding;
use icefarm_net::{
    BoxIo, ClientSocket, Connector, Endpoint, HubConfig, SocketError, SocketParams, SubscriberId,
};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn endpoint() -> Endpoint {
    "http://127.0.0.1:8080".parse().unwrap()
}

fn params(name: &str) -> SocketParams {
    SocketParams::new(ClientName::new(name).unwrap(), SubscriberId::new("sub-1").unwrap())
}

fn command(file: bytes::Bytes) -> ClientFrame {
    ClientFrame {
        serials: vec![Serial::new("A").unwrap()],
        event: "getdata".into(),
        contents: Object::from([("file".to_owned(), file.into())]),
        id: Some("1".into()),
        leases: Default::default(),
    }
}

#[tokio::test]
async fn commands_and_events_go_both_ways_in_both_encodings() {
    let farm = farm(HubConfig::default());
    let file = bytes::Bytes::from(vec![0; 104_090]);
    for (seq, encoding) in [(1, Encoding::Json), (2, Encoding::MessagePack)] {
        let params = params("tester").encoding(encoding);
        let (mut socket, hello) = ClientSocket::connect(&farm, &endpoint(), params).await.unwrap();
        assert_eq!((hello.protocol.as_str(), hello.epoch.as_str()), ("1.0", "epoch"));
        assert_eq!((hello.seq, hello.features.len()), (seq - 1, 2));

        socket.send(&command(file.clone())).await.unwrap();
        // The second time it is answered from memory, in the form of the first.
        let reply = socket.next().await.unwrap().unwrap();
        let value = reply.contents[0].fields["value"].get("file").unwrap();
        if seq == 1 {
            assert_eq!(value.to_blob().unwrap()[..], file[..]);
        }

        farm.hub.publish(&client(), results(seq));
        let event = socket.next().await.unwrap().unwrap();
        assert_eq!(event.contents[0].fields["data"], Value::from(seq));
        let position = Position { epoch: event.epoch.unwrap(), seq: event.seq.unwrap() };
        assert_eq!(position.seq, seq);
        socket.ack(&position).await.unwrap();
        farm.logged(&format!("trimmed tester {seq}")).await;
        socket.close().await.unwrap();
    }
}

#[tokio::test]
async fn odd_names_arrive_as_they_are() {
    let farm = farm(HubConfig::default());
    let name = "pulse count & ü=1%2B?#/";
    let (_socket, _) = ClientSocket::connect(&farm, &endpoint(), params(name)).await.unwrap();
    assert!(farm.hub.connected(&ClientName::new(name).unwrap()));
}

#[tokio::test]
async fn a_socket_resumes_after_its_position() {
    let farm = farm(HubConfig::default());
    for n in 1..=3 {
        farm.hub.publish(&client(), results(n));
    }
    let position = Position { epoch: "epoch".into(), seq: 2 };
    let params = params("tester").resume(Some(position));
    let (socket, hello) = ClientSocket::connect(&farm, &endpoint(), params).await.unwrap();
    assert_eq!(hello.seq, 3);
    let (_sender, mut receiver) = socket.split();
    assert_eq!(receiver.next().await.unwrap().unwrap().seq, Some(3));
}

/// A client that loses its socket again and again, at places that change from run to run of the
/// loop, sees each event once and in order: what comes twice is below its position.
#[tokio::test]
async fn nothing_is_lost_over_many_sockets() {
    let farm = farm(HubConfig::default());
    let (mut position, mut sockets) = (None::<Position>, 0);
    let mut published = 0;
    while position.as_ref().is_none_or(|at| at.seq < 2000) {
        let params = params("tester").resume(position.clone());
        let (mut socket, _) = ClientSocket::connect(&farm, &endpoint(), params).await.unwrap();
        sockets += 1;
        for step in 0..sockets % 17 {
            for _ in 0..sockets % 5 {
                if published < 2000 {
                    published += 1;
                    assert_eq!(farm.hub.publish(&client(), results(published)), published);
                }
            }
            let at = position.as_ref().map_or(0, |at| at.seq);
            if at == published {
                break;
            }
            let frame = socket.next().await.unwrap().unwrap();
            assert_eq!(frame.seq, Some(at + 1));
            assert_eq!(frame.contents[0].fields["data"], Value::from(at + 1));
            position = Some(Position { epoch: frame.epoch.unwrap(), seq: at + 1 });
            if step % 3 == 0 {
                socket.ack(position.as_ref().unwrap()).await.unwrap();
            }
        }
    }
    assert!(sockets > 100, "{sockets}");
}

#[tokio::test]
async fn the_refusal_of_the_server_is_named() {
    let farm = farm(HubConfig::default());
    farm.hub.close();
    let error = ClientSocket::connect(&farm, &endpoint(), params("tester")).await.unwrap_err();
    assert_eq!(error.to_string(), "http://127.0.0.1:8080 opens no websocket: the server is ending");
    let SocketError::Refused { error, status, .. } = error else { panic!("{error}") };
    assert_eq!((error.code, status.as_u16()), (ErrorCode::Unavailable, 503));
}

#[tokio::test]
async fn the_end_of_the_server_is_no_error_and_a_complaint_is() {
    let farm = farm(HubConfig::default());
    let (mut first, _) = ClientSocket::connect(&farm, &endpoint(), params("tester")).await.unwrap();
    let (mut second, _) =
        ClientSocket::connect(&farm, &endpoint(), params("tester")).await.unwrap();
    let error = first.next().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server closed the websocket: the subscriber has another socket now (code 1008)"
    );
    farm.hub.close();
    assert_eq!(second.next().await.unwrap(), None);
}

/// A server that answers each connection with the same bytes, and then says nothing more.
struct Saying(&'static [u8]);

impl Connector for Saying {
    fn connect<'a>(&'a self, _endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        let (ours, mut theirs) = tokio::io::duplex(10_000);
        let bytes = self.0;
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(theirs.read_u8().await.unwrap());
            }
            theirs.write_all(bytes).await.unwrap();
            std::future::pending::<()>().await;
        });
        Box::pin(async { Ok(Box::new(ours) as BoxIo) })
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_are_none_of_ours_are_told_apart() {
    for (bytes, reason) in [
        (&b""[..], "did not open a websocket within 20s"),
        (
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nno\n",
            "HTTP status 404 Not Found: no",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
           sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            "is not RFC 6455",
        ),
    ] {
        let error =
            ClientSocket::connect(&Saying(bytes), &endpoint(), params("a")).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// A line to the farm that lets nothing through any more after 100 seconds, and stays open.
struct Failing<'f>(&'f crate::farm::Farm);

impl Connector for Failing<'static> {
    fn connect<'a>(&'a self, _endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            let mut farm = self.0.dial().await;
            let (ours, mut theirs) = tokio::io::duplex(10_000);
            tokio::spawn(async move {
                let copy = tokio::io::copy_bidirectional(&mut farm, &mut theirs);
                let _ = tokio::time::timeout(Duration::from_secs(100), copy).await;
                let _open = (farm, theirs);
                std::future::pending::<()>().await;
            });
            Ok(Box::new(ours) as BoxIo)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_vanishes_is_noticed() {
    // Connectors live as long as the program.
    let failing = Failing(Box::leak(Box::new(farm(HubConfig::default()))));
    let (mut socket, _) =
        ClientSocket::connect(&failing, &endpoint(), params("tester")).await.unwrap();
    let start = tokio::time::Instant::now();
    let error = socket.next().await.unwrap_err();
    assert_eq!(error.to_string(), "nothing was heard of the server for 60s");
    // The last ping came before the line was cut, or just at that moment.
    assert!((139..=161).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}
