//! A hub behind a server, in memory: its time is the test's.

use crate::support::{Raw, parse};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use icefarm_core::wire::Position;
use icefarm_core::wire::{ClientFrame, ErrorCode, ErrorDetail, Event, ServerFrame};
use icefarm_core::{ClientName, Object, Serial, Value};
use icefarm_net::{
    Answer, BoxIo, Caller, Connector, Endpoint, Hub, HubConfig, Journal, Listener, ServeOptions,
    SocketRequest, SocketService, Trimmed, recover, serve, ws,
};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{Notify, mpsc};
use warp::Filter;

pub(crate) fn client() -> ClientName {
    ClientName::new("tester").unwrap()
}

/// A frame of board `A` with one event.
pub(crate) fn results(data: impl Into<Value>) -> ServerFrame {
    ServerFrame::new("A", vec![Event::new("results").with("data", data)])
}

/// What the service and the journal were told.
#[derive(Default)]
pub(crate) struct Boards {
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) go_on: Notify,
    /// What `keep` was given.
    pub(crate) kept: Mutex<Vec<Object>>,
}

impl Boards {
    fn note(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.as_str() == what).count()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

/// `getdata` answers its arguments, `slow` waits for [`Boards::go_on`], `keep` keeps what it is
/// given, `fail` and `panic` do. A client `stranger..` holds no board.
pub(crate) struct Service(pub(crate) Arc<Boards>);

impl SocketService for Service {
    fn command(&self, _caller: &Caller, frame: ClientFrame) -> BoxStream<'static, Answer> {
        let n = frame.contents.get("n").and_then(Value::as_i64);
        self.0.note(format!("{} {}", frame.event, n.unwrap_or_default()));
        assert_ne!(frame.event, "panic", "on purpose");
        let boards = self.0.clone();
        if frame.event == "slow B" {
            // The one board answers at once, the other later.
            let answer = move |serial: Serial| {
                let boards = boards.clone();
                async move {
                    if serial.as_str() == "B" {
                        boards.go_on.notified().await;
                    }
                    (serial, Ok(Value::Null))
                }
            };
            return stream::iter(frame.serials).map(answer).buffer_unordered(9).boxed();
        }
        let answers = async move {
            if frame.event == "keep" {
                boards.kept.lock().unwrap().push(frame.contents);
                return frame.serials.into_iter().map(|serial| (serial, Ok(Value::Null))).collect();
            }
            if frame.event == "slow" {
                boards.go_on.notified().await;
                return frame.serials.into_iter().map(|serial| (serial, Ok(Value::Null))).collect();
            }
            assert_ne!(frame.event, "panic later", "on purpose");
            let value = Value::from(frame.contents);
            let answer = |_| match frame.event.as_str() {
                "fail" => Err(ErrorDetail::new(ErrorCode::CommandFailed, "it does").with("n", 1)),
                _ => Ok(value.clone()),
            };
            frame.serials.iter().map(|serial| (serial.clone(), answer(serial))).collect::<Vec<_>>()
        };
        answers.map(stream::iter).into_stream().flatten().boxed()
    }

    fn admit(&self, caller: &Caller, _: &Serial) -> Result<(), ErrorDetail> {
        match self.is_guest(&caller.client) {
            true => Err(ErrorDetail::new(ErrorCode::NotHolder, "it is not yours")),
            false => Ok(()),
        }
    }

    fn is_guest(&self, client: &ClientName) -> bool {
        client.as_str().starts_with("stranger")
    }

    fn opened(&self, caller: &Caller) {
        self.0.note(format!("opened {}", caller.client));
    }

    fn alive(&self, caller: &Caller) {
        self.0.note(format!("alive {}", caller.client));
    }

    fn closed(&self, caller: &Caller) {
        self.0.note(format!("closed {}", caller.client));
    }
}

impl Journal for Boards {
    fn open(&self, _client: &ClientName) -> Position {
        Position { epoch: "epoch".into(), seq: 0 }
    }

    fn trimmed(&self, client: &ClientName, gone: Trimmed) {
        self.note(format!("trimmed {client} {}", gone.through()));
    }
}

struct InMemory(mpsc::Receiver<DuplexStream>);

impl Listener for InMemory {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        match self.0.recv().await {
            Some(io) => Ok((io, ([127, 0, 0, 1], 50_000).into())),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], 8080).into())
    }
}

pub(crate) struct Farm {
    pub(crate) hub: Hub,
    pub(crate) boards: Arc<Boards>,
    dial: mpsc::Sender<DuplexStream>,
}

pub(crate) fn farm(config: HubConfig) -> Farm {
    farm_where(config, |_| {})
}

/// In which something happens to each socket before its client can know that it is open.
pub(crate) fn farm_where(config: HubConfig, happens: fn(&Hub)) -> Farm {
    let boards = Arc::new(Boards::default());
    let hub = Hub::new(config, boards.clone());
    let (sockets, service) = (hub.clone(), Arc::new(Service(boards.clone())));
    let route = ws().map(move |request: SocketRequest| {
        let response = sockets.accept(request, service.clone());
        happens(&sockets);
        response
    });
    let panel = warp::path::end().and(warp::get()).map(|| "the panel");
    let (dial, connections) = mpsc::channel(100);
    let service = warp::service(route.or(panel).recover(recover));
    let options = ServeOptions::default();
    tokio::spawn(serve(InMemory(connections), service, options, std::future::pending()));
    Farm { hub, boards, dial }
}

impl Farm {
    pub(crate) async fn dial(&self) -> DuplexStream {
        self.dial_with(1 << 16).await
    }

    /// The network holds so many bytes in each direction.
    pub(crate) async fn dial_with(&self, bytes: usize) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(bytes);
        self.dial.send(theirs).await.unwrap();
        ours
    }

    /// The answer to a request for a websocket that is refused.
    pub(crate) async fn request(&self, request: &str) -> Raw {
        let mut io = self.dial().await;
        io.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(io.read_u8().await.unwrap());
        }
        let head = parse(&bytes).head;
        let (_, length) = head.split_once("content-length: ").unwrap_or_else(|| panic!("{head}"));
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        io.read_exact(&mut body).await.unwrap();
        bytes.extend(body);
        parse(&bytes)
    }

    /// A socket of the first protocol.
    pub(crate) async fn plain(&self) -> RawSocket {
        RawSocket::open(self.dial().await, "/ws?client_id=tester").await
    }

    /// A version 1 socket; its hello is still to be read.
    pub(crate) async fn v1(&self, query: &str) -> RawSocket {
        RawSocket::open(self.dial().await, &format!("/ws?client_id=tester&v=1{query}")).await
    }

    /// Waits until the log has the line.
    pub(crate) async fn logged(&self, line: &str) {
        while self.boards.count(line) == 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl Farm {
    /// Waits until the log has the line, which it must within that time.
    pub(crate) async fn logged_after(&self, limit: Duration, line: &str) {
        let waiting = async {
            while self.boards.count(line) == 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::time::timeout(limit, waiting).await.unwrap();
    }
}

impl Connector for Farm {
    fn connect<'a>(&'a self, _endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async { Ok(Box::new(self.dial().await) as BoxIo) })
    }
}

/// A websocket by hand (RFC 6455, section 5.2).
pub(crate) struct RawSocket {
    pub(crate) io: DuplexStream,
}

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// The request of RFC 6455, section 1.3.
pub(crate) fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A client's frame; the mask is fixed.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        long @ 126..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend((long as u16).to_be_bytes());
        }
        huge => {
            bytes.push(0x80 | 127);
            bytes.extend((huge as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    bytes
}

impl RawSocket {
    pub(crate) async fn open(mut io: DuplexStream, path: &str) -> Self {
        io.write_all(upgrade(path).as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(io.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self { io }
    }

    pub(crate) async fn send(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        self.io.write_all(&masked(first, payload.as_ref())).await.unwrap();
    }

    pub(crate) async fn command(&mut self, json: serde_json::Value) {
        self.send(TEXT, json.to_string()).await;
    }

    /// The next frame as it is.
    pub(crate) async fn frame(&mut self) -> (u8, Vec<u8>) {
        let first = self.io.read_u8().await.unwrap();
        let length = match self.io.read_u8().await.unwrap() {
            126 => self.io.read_u16().await.unwrap().into(),
            127 => self.io.read_u64().await.unwrap() as usize,
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.io.read_exact(&mut payload).await.unwrap();
        (first, payload)
    }

    /// The next frame that must be text.
    pub(crate) async fn text(&mut self) -> String {
        let (first, payload) = self.frame().await;
        let payload = String::from_utf8_lossy(&payload).into_owned();
        assert_eq!(first, TEXT, "{payload}");
        payload
    }

    pub(crate) async fn json(&mut self) -> serde_json::Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// The next frame that must be a close; its code and reason.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        let (first, payload) = self.frame().await;
        assert_eq!(first, CLOSE, "{payload:?}");
        let (code, reason) = payload.split_at(2);
        (u16::from_be_bytes([code[0], code[1]]), String::from_utf8_lossy(reason).into_owned())
    }
}
