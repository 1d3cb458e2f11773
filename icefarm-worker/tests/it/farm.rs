//! A worker with its boards, a control server that only listens, and clients.

use crate::bus::{FakeBoard, FakeBus};
use crate::memory::Memory;
use crate::states;
use futures::{SinkExt, StreamExt};
use icefarm_core::wire::{
    BoardReport, BoardStatus, BoardsReport, ErrorDetail, HeartbeatAnswer, Registration,
    RegistrationAnswer,
};
use icefarm_core::{LeaseId, Serial, WorkerName};
use icefarm_net::{BodyLimits, HttpClient, HttpError, RequestOptions, ServeOptions};
use icefarm_net::{answer, object, recover, serve};
use icefarm_worker::{Worker, WorkerConfig, WorkerError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use warp::Filter;

const CONTROL: u16 = 1000;
const WORKER: u16 = 1001;
/// Nothing in a test takes that long, however much paused time passes.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// What control knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) registrations: Vec<Registration>,
    pub(crate) boards: BTreeMap<String, BoardReport>,
    /// The status of each board, in the order in which it was told.
    pub(crate) history: Vec<(String, BoardStatus)>,
    pub(crate) gone: Vec<Serial>,
    /// In how many milliseconds the worker said first that it stops.
    pub(crate) stops: Option<u64>,
    /// The worker said that it has stopped.
    pub(crate) left: bool,
}

impl Known {
    fn tell(&mut self, report: BoardReport) {
        let serial = report.serial.to_string();
        if let Some(before) = self.boards.get(&serial) {
            assert!(report.rev >= before.rev, "reports come in order");
        }
        self.history.push((serial.clone(), report.status));
        self.boards.insert(serial, report);
    }
}

pub(crate) struct Farm {
    pub(crate) net: Memory,
    pub(crate) bus: Arc<FakeBus>,
    pub(crate) known: watch::Receiver<Known>,
    /// What control answers with instead, if anything.
    pub(crate) refuse: Arc<Mutex<Option<ErrorDetail>>>,
    drain: Option<oneshot::Sender<()>>,
    stop: Option<oneshot::Sender<()>>,
    worker: JoinHandle<Result<(), WorkerError>>,
    heartbeats: JoinHandle<()>,
}

impl Farm {
    /// A worker with these boards, all states on the test's own runtime.
    pub(crate) async fn start(boards: &[&Arc<FakeBoard>]) -> Self {
        Self::start_with(boards, WorkerConfig::default(), true).await
    }

    pub(crate) async fn start_with(
        boards: &[&Arc<FakeBoard>],
        config: WorkerConfig,
        here: bool,
    ) -> Self {
        let net = Memory::default();
        let (knows, known) = watch::channel(Known::default());
        let refuse = Arc::new(Mutex::new(None));
        let listener = net.listen(CONTROL);
        let service = warp::service(control(knows, refuse.clone()).recover(recover));
        tokio::spawn(serve(listener, service, ServeOptions::default(), std::future::pending()));

        let bus = Arc::new(FakeBus::new());
        for board in boards {
            bus.add(Arc::clone(board));
        }
        let mut worker = Worker::builder()
            .name(WorkerName::new("bench").unwrap())
            .control(format!("http://127.0.0.1:{CONTROL}"))
            .registry(states::registry())
            .bus(bus.clone())
            .http_client(HttpClient::new(Arc::new(net.clone())))
            .config(config);
        if here {
            worker = worker.boards_on(tokio::runtime::Handle::current());
        }
        let worker = worker.build().unwrap();
        let (drain, drained) = oneshot::channel::<()>();
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = net.listen(WORKER);
        let heard = |signal: oneshot::Receiver<()>| async {
            if signal.await.is_err() {
                // The test keeps it as long as it may want to send it.
                std::future::pending::<()>().await;
            }
        };
        let worker = tokio::spawn(worker.run_draining(listener, heard(drained), heard(stopped)));
        let heartbeats = tokio::spawn(heartbeats(net.clone(), known.clone()));
        let (drain, stop) = (Some(drain), Some(stop));
        Self { net, bus, known, refuse, drain, stop, worker, heartbeats }
    }

    /// Control falls silent.
    pub(crate) fn silence(&self) {
        self.heartbeats.abort();
    }

    /// The first signal.
    pub(crate) fn drain(&mut self) {
        self.drain.take().unwrap().send(()).unwrap();
    }

    /// Has the worker end by itself, which it must.
    pub(crate) async fn ended(&mut self) {
        timeout(LONG, &mut self.worker).await.expect("the worker stops").unwrap().unwrap();
    }

    pub(crate) async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        timeout(LONG, &mut self.worker).await.expect("the worker stops").unwrap().unwrap();
    }

    /// Waits until control knows of the board what is wanted.
    pub(crate) async fn until(
        &self,
        board: &FakeBoard,
        wanted: impl Fn(&BoardReport) -> bool,
    ) -> BoardReport {
        let serial = icefarm_core::Board::serial(board).to_string();
        let mut known = self.known.clone();
        let there = known.wait_for(|known| known.boards.get(&serial).is_some_and(&wanted));
        let result = timeout(LONG, there).await.map(|known| known.unwrap().boards[&serial].clone());
        result.unwrap_or_else(|_| {
            panic!("it never came to that; the last was {:?}", self.known.borrow().boards[&serial])
        })
    }

    pub(crate) async fn until_status(&self, board: &FakeBoard, status: BoardStatus) -> BoardReport {
        self.until(board, |report| report.status == status).await
    }

    /// Calls the worker as control does.
    pub(crate) async fn call(&self, path: &str, body: Value) -> Result<Value, HttpError> {
        call(&self.net, &self.known, path, body).await
    }

    pub(crate) async fn reserve(
        &self,
        board: &FakeBoard,
        lease: u64,
        client: &str,
        kind: &str,
        args: Value,
    ) -> Result<Value, HttpError> {
        let serial = icefarm_core::Board::serial(board);
        let body = json!({
            "serial": serial, "kind": kind, "args": args, "lease": lease, "lease_rev": 1,
            "client": client, "expires_in_ms": 3_600_000
        });
        self.call("/reserve", body).await
    }

    pub(crate) async fn end(&self, board: &FakeBoard, lease: u64) -> Result<Value, HttpError> {
        let serial = icefarm_core::Board::serial(board);
        self.call("/end", json!({"serial": serial, "lease": lease})).await
    }

    /// A board that `client` has as `mischief`, and the client's socket.
    pub(crate) async fn mischief(&self, board: &FakeBoard, client: &str) -> Client {
        self.until_status(board, BoardStatus::Available).await;
        let lease = self.token(board).0 + 1;
        self.reserve(board, lease, client, "mischief", json!({})).await.unwrap();
        let mut socket = self.connect(client).await;
        socket.event(board, "initialized").await;
        socket
    }

    pub(crate) fn token(&self, board: &FakeBoard) -> LeaseId {
        let serial = icefarm_core::Board::serial(board).to_string();
        self.known.borrow().boards[&serial].token
    }

    pub(crate) async fn connect(&self, client: &str) -> Client {
        let stream = self.net.dial(WORKER).unwrap();
        let url = format!("ws://127.0.0.1:{WORKER}/ws?client_id={client}");
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Client { socket, ids: 0, events: Vec::new() }
    }

    pub(crate) async fn heartbeat(&self) -> HeartbeatAnswer {
        let answer = self.call("/heartbeat", json!({})).await.unwrap();
        HeartbeatAnswer::deserialize(answer).unwrap()
    }
}

async fn call(
    net: &Memory,
    known: &watch::Receiver<Known>,
    path: &str,
    body: Value,
) -> Result<Value, HttpError> {
    let secret = known.borrow().registrations.last().map(|last| last.secret.clone());
    let options = RequestOptions::default().timeout(LONG).bearer(secret.unwrap_or_default());
    let worker = format!("http://127.0.0.1:{WORKER}").parse().unwrap();
    HttpClient::new(Arc::new(net.clone())).post_json(&worker, path, &body, &options).await
}

async fn heartbeats(net: Memory, known: watch::Receiver<Known>) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let _ = call(&net, &known, "/heartbeat", json!({})).await;
    }
}

/// A control server that takes everything down and grants nothing.
fn control(
    knows: watch::Sender<Known>,
    refuse: Arc<Mutex<Option<ErrorDetail>>>,
) -> warp::filters::BoxedFilter<(warp::reply::Response,)> {
    let knows = Arc::new(knows);
    let (registers, reports) = (knows.clone(), knows);
    let refuses = refuse.clone();
    let register = warp::path!("worker" / "register").and(object(BodyLimits::default())).map(
        move |body: Option<_>| {
            if let Some(refusal) = refuses.lock().unwrap().clone() {
                return answer(Err::<(), _>(refusal));
            }
            let body = icefarm_core::Value::Object(body.unwrap());
            let registration = Registration::deserialize(body).unwrap();
            let url = format!("http://127.0.0.1:{}", registration.port);
            registers.send_modify(|known| {
                for report in registration.boards.clone() {
                    known.tell(report);
                }
                known.registrations.push(registration);
            });
            answer(Ok::<_, ErrorDetail>(RegistrationAnswer { url, heartbeat_ms: 5000, news: None }))
        },
    );
    let boards = warp::path!("worker" / "boards").and(object(BodyLimits::default())).map(
        move |body: Option<_>| {
            if let Some(refusal) = refuse.lock().unwrap().clone() {
                return answer(Err::<(), _>(refusal));
            }
            let body = icefarm_core::Value::Object(body.unwrap());
            let report = BoardsReport::deserialize(body).unwrap();
            reports.send_modify(|known| {
                known.stops = known.stops.or(report.stops_in_ms);
                known.left |= report.left;
                report.boards.into_iter().for_each(|report| known.tell(report));
                known.gone.extend(report.gone);
            });
            answer(Ok::<_, ErrorDetail>(json!({})))
        },
    );
    register.or(boards).unify().boxed()
}

/// One websocket, as the seed has it.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<DuplexStream>,
    ids: u64,
    /// What came while something else was waited for.
    pub(crate) events: Vec<Value>,
}

impl Client {
    pub(crate) async fn send(&mut self, frame: &Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let message = timeout(LONG, self.socket.next()).await.expect("a frame comes");
            if let Message::Text(text) = message.expect("the socket is open").unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Lets time pass. Who does not listen meanwhile is taken for dead.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        while let Ok(frame) = tokio::time::timeout_at(end, self.next()).await {
            self.keep(&frame);
        }
    }

    fn keep(&mut self, frame: &Value) {
        for event in frame["contents"].as_array().unwrap() {
            let mut event = event.clone();
            event["serial"] = frame["serial"].clone();
            self.events.push(event);
        }
    }

    /// The next event of the board for which `wanted` holds; others are kept.
    async fn find(&mut self, board: &FakeBoard, wanted: impl Fn(&Value) -> bool) -> Value {
        let serial = icefarm_core::Board::serial(board).to_string();
        let wanted = |event: &Value| event["serial"] == *serial && wanted(event);
        if let Some(at) = self.events.iter().position(wanted) {
            return self.events.remove(at);
        }
        loop {
            let frame = self.next().await;
            self.keep(&frame);
            if let Some(at) = self.events.iter().position(wanted) {
                return self.events.remove(at);
            }
        }
    }

    pub(crate) async fn event(&mut self, board: &FakeBoard, event: &str) -> Value {
        self.find(board, |found| found["event"] == event).await
    }

    /// Whether the server ends the socket in good order, after everything that it has to say.
    pub(crate) async fn is_ended(&mut self) -> bool {
        loop {
            let message = timeout(LONG, self.socket.next()).await.expect("the socket ends");
            match message {
                Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code) == 1001,
                Some(Ok(Message::Text(text))) => self.keep(&serde_json::from_str(&text).unwrap()),
                Some(Ok(_)) => {}
                _ => return false,
            }
        }
    }

    /// Sends a command, and gives its id.
    pub(crate) async fn command(
        &mut self,
        board: &FakeBoard,
        event: &str,
        contents: Value,
    ) -> String {
        self.ids += 1;
        let id = self.ids.to_string();
        let serial = icefarm_core::Board::serial(board);
        self.send(&json!({"serial": serial, "event": event, "contents": contents, "id": id})).await;
        id
    }

    /// The answer to a command: its value, or its code and message.
    pub(crate) async fn answer(
        &mut self,
        board: &FakeBoard,
        id: &str,
    ) -> Result<Value, (String, String)> {
        let is_answer = |event: &Value| {
            event["id"] == id && (event["event"] == "reply" || event["event"] == "error")
        };
        let mut event = self.find(board, is_answer).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        if event["event"] == "reply" {
            Ok(event["value"].take())
        } else {
            Err((text(&event["code"]), text(&event["message"])))
        }
    }

    pub(crate) async fn ask(
        &mut self,
        board: &FakeBoard,
        event: &str,
        contents: Value,
    ) -> Result<Value, (String, String)> {
        let id = self.command(board, event, contents).await;
        self.answer(board, &id).await
    }
}
