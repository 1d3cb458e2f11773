//! A worker in small: one virtual board, one lease, one state.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use icefarm_core::evaluation::{Evaluated, Outcome};
use icefarm_core::{
    Blob, Board as _, BoardError, BuildError, CallError, Clock as _, Device, DeviceHost,
    DeviceInfo, DynState, Face, ImageInfo, ImageName, LeaseId, Message, NextState, Object,
    Registry, Residue, Serial, SerialPort, SteadyClock, Timestamp, Value,
};
use icefarm_sim::{VirtualBoard, VirtualBus};
use icefarm_state_pulse_count::{BITSTREAM_BYTES, Pulses};
use serde::Deserialize as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a test waits for anything, in time that is paused.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// Answers for the one device.
struct Host {
    info: DeviceInfo,
    board: VirtualBoard,
    clock: SteadyClock,
    flashed: Arc<Mutex<Option<ImageInfo>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
    residue: Mutex<Residue>,
    tasks: Mutex<JoinSet<()>>,
    events: mpsc::UnboundedSender<(String, Object)>,
    failures: mpsc::UnboundedSender<String>,
}

impl Host {
    /// Does one thing to the board after the other and each to its end, whoever still waits for
    /// it, as a worker does.
    fn in_turn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, BoardError>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, BoardError>> {
        let turn = Arc::clone(&self.turn);
        let done = tokio::spawn(async move {
            let _turn = turn.lock().await;
            work.await
        });
        async move { done.await.unwrap() }.boxed()
    }
}

/// Waits for the next enumeration.
async fn back(board: &VirtualBoard, before: u64) -> Result<Face, BoardError> {
    let mut presence = board.presence();
    let here = presence.wait_for(|now| now.arrivals > before && now.face.is_some());
    match timeout(Duration::from_secs(10), here).await {
        Ok(now) => Ok(now.unwrap().face.unwrap()),
        Err(_) => {
            let what = "come back".to_owned();
            Err(BoardError::Timeout { what, after: Duration::from_secs(10) })
        }
    }
}

fn present(board: &VirtualBoard) -> Result<u64, BoardError> {
    let now = *board.presence().borrow();
    now.face.map(|_| now.arrivals).ok_or(BoardError::Gone)
}

impl DeviceHost for Host {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn emit(&self, event: &str, contents: Object) {
        let _ = self.events.send((event.to_owned(), contents));
    }

    fn flash(&self, image: ImageName) -> BoxFuture<'static, Result<ImageInfo, BoardError>> {
        let (board, flashed) = (self.board.clone(), Arc::clone(&self.flashed));
        self.in_turn(async move {
            let before = present(&board)?;
            let known = flashed.lock().unwrap().clone().filter(|known| known.name == image);
            if let Some(known) = known {
                return Ok(known);
            }
            board.enter_bootloader().await?;
            back(&board, before).await?;
            let before = present(&board)?;
            let info = board.write_image(&image).await?;
            back(&board, before).await?;
            *flashed.lock().unwrap() = Some(info.clone());
            Ok(info)
        })
    }

    fn restart(&self) -> BoxFuture<'static, Result<(), BoardError>> {
        let board = self.board.clone();
        self.in_turn(async move {
            let before = present(&board)?;
            board.restart().await?;
            back(&board, before).await.map(drop)
        })
    }

    fn open(&self) -> BoxFuture<'static, Result<SerialPort, BoardError>> {
        let board = self.board.clone();
        self.in_turn(async move { board.open().await })
    }

    fn load_circuit(&self, sha256: &str) -> Residue {
        let mut residue = self.residue.lock().unwrap();
        let before = residue.clone();
        residue.sequence += 1;
        residue.previous_sha256 = Some(sha256.to_owned());
        before
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.tasks.lock().unwrap().spawn(task);
    }

    fn post(&self, _: Message) {}

    fn switch(&self, _: NextState) {}

    fn fail(&self, reason: String) {
        let _ = self.failures.send(reason);
    }
}

/// A board that is plugged in, and what its worker knows of it.
pub(crate) struct Plugged {
    pub(crate) board: VirtualBoard,
    flashed: Arc<Mutex<Option<ImageInfo>>>,
    _bus: VirtualBus,
}

impl Plugged {
    pub(crate) async fn new(speed: f64) -> Self {
        let serial = Serial::new("example pico2ice serial id").unwrap();
        let bus = VirtualBus::builder().serial(serial.clone()).speed(speed).build().unwrap();
        let board = bus.board(&serial).unwrap();
        back(&board, 0).await.unwrap();
        Self { board, flashed: Arc::default(), _bus: bus }
    }

    /// Builds the state, without starting it.
    pub(crate) fn lease(&self, args: serde_json::Value) -> Result<Bench, BuildError> {
        let (events_in, events) = mpsc::unbounded_channel();
        let (failures_in, failures) = mpsc::unbounded_channel();
        let info = DeviceInfo {
            serial: self.board.serial().clone(),
            name: Some("the left one".into()),
            simulated: true,
            worker: "bench".parse().unwrap(),
            client: "somebody".parse().unwrap(),
            lease: LeaseId(7),
            kind: "pulsecount".parse().unwrap(),
        };
        let host = Host {
            info,
            board: self.board.clone(),
            clock: SteadyClock::starting_at(Timestamp(1_795_374_502_134)),
            flashed: Arc::clone(&self.flashed),
            turn: Arc::default(),
            residue: Mutex::new(Residue { sequence: 0, previous_sha256: None }),
            tasks: Mutex::default(),
            events: events_in,
            failures: failures_in,
        };
        let registry = Registry::collect().unwrap();
        let host = Arc::new(host);
        let state = registry.build("pulsecount", Device::new(host.clone()), object(args))?;
        Ok(Bench { state, host, registry, events, failures })
    }
}

/// A lease on a virtual board.
pub(crate) struct Bench {
    pub(crate) state: Box<dyn DynState>,
    host: Arc<Host>,
    registry: Registry,
    events: mpsc::UnboundedReceiver<(String, Object)>,
    failures: mpsc::UnboundedReceiver<String>,
}

/// A `results` event.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) batch: String,
    /// As old clients read it.
    pub(crate) pairs: serde_json::Value,
    pub(crate) outcomes: Vec<Evaluated<Pulses>>,
}

impl Bench {
    /// Reserves a new board.
    pub(crate) async fn reserve() -> (Plugged, Self) {
        let plugged = Plugged::new(1.0).await;
        let mut bench = plugged.lease(json!({})).unwrap();
        bench.state.start().await.unwrap();
        (plugged, bench)
    }

    /// Ends the lease as a worker does: nothing of the state is left.
    pub(crate) async fn end(mut self) {
        self.state.exit().await;
        drop(self.state);
        let mut tasks = std::mem::take(&mut *self.host.tasks.lock().unwrap());
        tasks.shutdown().await;
    }

    /// The reason for which the lease failed.
    pub(crate) async fn failure(&mut self) -> String {
        timeout(LONG, self.failures.recv()).await.unwrap().unwrap()
    }

    /// Whether the lease has failed.
    pub(crate) fn has_failed(&mut self) -> bool {
        self.failures.try_recv().is_ok()
    }

    /// Sends circuits as one batch.
    pub(crate) async fn evaluate(
        &mut self,
        batch: &str,
        circuits: &[(&str, &Blob)],
    ) -> Result<(), CallError> {
        let files: BTreeMap<String, Value> =
            circuits.iter().map(|(id, bytes)| ((*id).into(), (*bytes).clone().into())).collect();
        let args = Object::from([
            ("files".to_owned(), Value::Object(files)),
            ("batch_id".to_owned(), batch.into()),
        ]);
        let call = self.registry.call(self.state.as_any_mut(), "evaluate", args);
        call.await.map(|reply| assert!(reply.is_null()))
    }

    /// The next event, which must be results.
    pub(crate) async fn results(&mut self) -> Results {
        let (event, contents) = timeout(LONG, self.events.recv()).await.unwrap().unwrap();
        assert_eq!(event, "results");
        let outcomes = contents["outcomes"].as_array().unwrap().iter().cloned();
        Results {
            batch: contents["batch_id"].as_str().unwrap().to_owned(),
            pairs: serde_json::to_value(&contents["results"]).unwrap(),
            outcomes: outcomes.map(|one| Evaluated::deserialize(one).unwrap()).collect(),
        }
    }

    /// The next event, which must be the result of one circuit.
    pub(crate) async fn result(&mut self) -> Evaluated<Pulses> {
        let mut results = self.results().await;
        assert_eq!(results.outcomes.len(), 1, "{results:?}");
        results.outcomes.remove(0)
    }

    /// The first outcome of the next event.
    pub(crate) async fn result_of_many(&mut self) -> Evaluated<Pulses> {
        self.results().await.outcomes.remove(0)
    }

    /// Whether the state says nothing for a minute.
    pub(crate) async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_secs(60), self.events.recv()).await.is_err()
    }
}

pub(crate) fn object(json: serde_json::Value) -> Object {
    Value::from(json).as_object().unwrap().clone()
}

/// A circuit that comes with the repository.
pub(crate) fn circuit(name: &str) -> Blob {
    let path = workspace().join("examples/circuits").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

/// A circuit of the Python iCEFARM's example, which lies beside the working copy on some machines
/// only. Says so if it is not there.
#[allow(clippy::print_stderr, reason = "whoever runs the tests must see what they left out")]
pub(crate) fn shared(name: &str) -> Option<Blob> {
    let path = workspace().join("../shared/bitstreams").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes.into()),
        Err(error) => {
            eprintln!("SKIPPED: {} cannot be read ({error})", path.display());
            None
        }
    }
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the right length that is no bitstream.
pub(crate) fn nonsense() -> Blob {
    vec![0x55; BITSTREAM_BYTES].into()
}

pub(crate) fn pulses(evaluated: &Evaluated<Pulses>) -> u64 {
    evaluated.outcome.reading().unwrap_or_else(|| panic!("no reading: {evaluated:?}")).pulses
}

/// The code of a refusal or failure, and its reason.
pub(crate) fn code(evaluated: &Evaluated<Pulses>) -> (&str, &str) {
    match &evaluated.outcome {
        Outcome::Refused { code, reason } | Outcome::Failed { code, reason } => (code, reason),
        Outcome::Reading { .. } => panic!("a reading: {evaluated:?}"),
    }
}
