//! A control server and workers that do what a test tells them.

use futures::FutureExt as _;
use futures::stream::{self, BoxStream, StreamExt as _};
use icefarm_client::{Bounds, Client, ClientBuilder, Reservation, ReserveOptions};
use icefarm_core::wire::{ClientFrame, ErrorCode, ErrorDetail, Event, Position, ServerFrame};
use icefarm_core::{ClientName, Object, Serial, Value};
use icefarm_net::{
    Answer, ApiError, BodyLimits, Caller, Hub, HubConfig, Journal, ServeOptions, SocketRequest,
    SocketService, Trimmed,
};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use warp::{Filter, Reply};

use crate::network::Network;

pub(crate) const NAME: &str = "me";
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) fn serial(text: &str) -> Serial {
    Serial::new(text).unwrap()
}

pub(crate) fn me() -> ClientName {
    ClientName::new(NAME).unwrap()
}

/// A request that waits for its answer. Dropped, it never gets one.
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) body: Object,
    answer: oneshot::Sender<Result<serde_json::Value, ApiError>>,
}

impl Call {
    pub(crate) fn answer(self, value: serde_json::Value) {
        // The client may have gone away.
        let _ = self.answer.send(Ok(value));
    }

    pub(crate) fn refuse(self, error: ErrorDetail) {
        let _ = self.answer.send(Err(ApiError(error)));
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap()
    }
}

/// A command that waits for its answers. Dropped, it never gets them.
pub(crate) struct Command {
    pub(crate) frame: ClientFrame,
    answer: oneshot::Sender<Vec<Answer>>,
}

impl Command {
    pub(crate) fn answer(self, answer: impl Fn(&Serial) -> Result<Value, ErrorDetail>) {
        let serials = self.frame.serials.iter();
        let answers = serials.map(|serial| (serial.clone(), answer(serial))).collect();
        let _ = self.answer.send(answers);
    }

    /// The evaluation's id.
    pub(crate) fn evaluation(&self) -> String {
        self.frame.contents["files"].as_object().unwrap().keys().next().unwrap().clone()
    }

    pub(crate) fn boards(&self) -> Vec<&str> {
        self.frame.serials.iter().map(Serial::as_str).collect()
    }
}

struct Commands(mpsc::UnboundedSender<Command>);

impl SocketService for Commands {
    fn command(&self, _: &Caller, frame: ClientFrame) -> BoxStream<'static, Answer> {
        let (answer, answered) = oneshot::channel();
        let _ = self.0.send(Command { frame, answer });
        let answers = async move {
            match answered.await {
                Ok(answers) => stream::iter(answers),
                Err(_) => std::future::pending().await,
            }
        };
        answers.into_stream().flatten().boxed()
    }
}

/// Keeps nothing but how far the events are done with.
struct Trims(watch::Sender<u64>);

impl Journal for Trims {
    fn open(&self, _: &ClientName) -> Position {
        static EPOCHS: AtomicU64 = AtomicU64::new(0);
        let epoch = format!("epoch {}", EPOCHS.fetch_add(1, Ordering::Relaxed)).into();
        Position { epoch, seq: 0 }
    }

    fn trimmed(&self, _: &ClientName, gone: Trimmed) {
        self.0.send_if_modified(|done| std::mem::replace(done, gone.done.max(*done)) < gone.done);
    }
}

/// A server on a port of its own: control or a worker.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) hub: Hub,
    pub(crate) calls: mpsc::UnboundedReceiver<Call>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    /// The number of the last event that all subscribers have acknowledged.
    pub(crate) done: watch::Receiver<u64>,
    /// Whether new websockets are refused.
    pub(crate) refuses: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::at("127.0.0.1:0").await
    }

    /// Starts anew under the same address, with nothing left in memory.
    pub(crate) async fn restart(&mut self, network: &Network) {
        network.go_down();
        self.hub.close();
        let (stop, stopped) = (self.stop.take().unwrap(), self.serving.take().unwrap());
        drop(stop);
        stopped.await.unwrap();
        *self = Self::at(self.url.trim_start_matches("http://")).await;
        network.repair();
    }

    async fn at(address: &str) -> Self {
        let (trimmed, done) = watch::channel(0);
        let journal = Trims(trimmed);
        let hub = Hub::new(HubConfig::default(), Arc::new(journal));
        let (call, calls) = mpsc::unbounded_channel();
        let (command, commands) = mpsc::unbounded_channel();
        let service: Arc<dyn SocketService> = Arc::new(Commands(command));
        let (sockets, refuses) = (hub.clone(), Arc::new(AtomicBool::new(false)));
        let refusing = refuses.clone();
        let socket = icefarm_net::ws().map(move |request: SocketRequest| {
            if refusing.load(Ordering::Relaxed) {
                return ApiError::new(ErrorCode::Forbidden, "not today").into_response();
            }
            sockets.accept(request, service.clone())
        });
        let requests = warp::path::full().and(icefarm_net::object(BodyLimits::default())).then(
            move |path: warp::path::FullPath, body: Option<Object>| {
                let (answer, answered) = oneshot::channel();
                let (path, body) = (path.as_str().to_owned(), body.unwrap_or_default());
                let _ = call.send(Call { path, body, answer });
                async move {
                    match answered.await {
                        Ok(result) => icefarm_net::answer(result),
                        Err(_) => std::future::pending().await,
                    }
                }
            },
        );
        let routes = socket.or(requests).unify().recover(icefarm_net::recover);
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let service = warp::service(routes);
        let serving = icefarm_net::serve(listener, service, ServeOptions::default(), stopped);
        let serving = Some(tokio::spawn(serving));
        Self { url, hub, calls, commands, done, refuses, stop: Some(stop), serving }
    }

    /// Publishes one event of a board.
    pub(crate) fn tell(&self, board: &str, event: Event) {
        self.hub.publish(&me(), ServerFrame::new(board, vec![event]));
    }

    pub(crate) async fn call(&mut self, path: &str) -> Call {
        let call = self.calls.recv().await.unwrap();
        assert_eq!(call.path, path);
        call
    }

    pub(crate) async fn command(&mut self) -> Command {
        tokio::time::timeout(SOON, self.commands.recv()).await.expect("a command").unwrap()
    }

    /// The next circuit, which the worker takes.
    pub(crate) async fn circuit(&mut self) -> (String, Vec<String>) {
        let command = self.command().await;
        assert_eq!(command.frame.event, "evaluate");
        let boards = command.boards().into_iter().map(str::to_owned).collect();
        let id = command.evaluation();
        command.answer(|_| Ok(Value::Null));
        (id, boards)
    }

    /// Tells the reading of a board.
    pub(crate) fn read(&self, board: &str, id: &str, reading: u64) {
        self.tell(board, results(board, id, json!({"outcome": "reading", "reading": reading})));
    }
}

/// A `results` event with one outcome.
pub(crate) fn results(board: &str, id: &str, outcome: serde_json::Value) -> Event {
    let mut outcome = outcome;
    outcome["id"] = id.into();
    outcome["serial"] = board.into();
    outcome["sha256"] = "00".into();
    outcome["kind"] = "k".into();
    Event::new("results").with("batch_id", id).with("outcomes", vec![Value::from(outcome)])
}

/// The full answer to a reservation. Leases count from 1 in the order of the boards.
pub(crate) fn granted(boards: &[(&str, &str)]) -> serde_json::Value {
    let boards: Vec<_> = boards
        .iter()
        .zip(1..)
        .map(|((serial, url), lease)| {
            json!({"serial": serial, "url": url, "lease": lease, "expires_in_ms": 60_000})
        })
        .collect();
    json!({"reservation": "r", "boards": boards})
}

pub(crate) fn builder(control: &Server, network: &Network) -> ClientBuilder {
    // Nothing in these tests is meant to run into a bound of its own accord.
    let bounds = Bounds::default().away(Duration::from_secs(3600));
    Client::builder(&control.url).name(NAME).bounds(bounds).connector(Arc::new(network.clone()))
}

/// A farm with one control server, and a client that holds boards of one or more workers.
pub(crate) struct Farm {
    pub(crate) control: Server,
    pub(crate) workers: Vec<Server>,
    pub(crate) network: Network,
    pub(crate) client: Client,
    pub(crate) reservation: Reservation,
}

impl Farm {
    /// `boards` says for each board which worker has it. All are initialized.
    pub(crate) async fn with(boards: &[(&str, usize)]) -> Self {
        let farm = Self::uninitialized(boards).await;
        for (board, worker) in boards {
            farm.workers[*worker].tell(board, Event::new("initialized"));
        }
        farm.reservation.initialized(SOON).await.unwrap();
        farm
    }

    pub(crate) async fn uninitialized(boards: &[(&str, usize)]) -> Self {
        let mut control = Server::start().await;
        let mut workers = Vec::new();
        for _ in 0..=boards.iter().map(|(_, worker)| *worker).max().unwrap_or(0) {
            workers.push(Server::start().await);
        }
        let network = Network::new();
        let client = builder(&control, &network).connect().await.unwrap();
        let options = ReserveOptions::new(u32::try_from(boards.len()).unwrap(), "k");
        let urls: Vec<_> =
            boards.iter().map(|(board, worker)| (*board, workers[*worker].url.as_str())).collect();
        let (reservation, ()) = tokio::join!(client.reserve(options), async {
            control.call("/reserve").await.answer(granted(&urls));
        });
        let reservation = reservation.unwrap();
        Self { control, workers, network, client, reservation }
    }

    /// Closes the client; control ends what it is asked to.
    pub(crate) async fn close(mut self) {
        let serials = json!(self.reservation.serials());
        let (closed, ()) = tokio::join!(self.client.close(), async {
            self.control.call("/endall").await.answer(serials);
        });
        closed.unwrap();
    }
}
