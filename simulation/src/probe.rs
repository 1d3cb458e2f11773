//! A kind of state that is cheap to simulate: its board tells the witness who used it.

use crate::witness::{self, note};
use icefarm_client::Evaluation;
use icefarm_core::evaluation::{Evaluated, Outcome, Provenance};
use icefarm_core::{
    Blob, Device, EvaluationId, Kind, Object, Overloaded, SerialPort, State, StateError, Value,
    register, reservable, to_value,
};
use icefarm_sim::{Firmware, FirmwarePort, VirtualHardware};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The kind, and the firmware image that it needs.
pub(crate) const KIND: &str = "probe";

/// What a board takes for a circuit, of its own time.
const MEASURING: Duration = Duration::from_secs(1);
/// How long a board may take for a circuit before it is restarted.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a circuit is tried.
const TRIES: u32 = 2;

/// For the client's evaluator.
#[derive(Debug)]
pub(crate) enum Probe {}

impl Evaluation for Probe {
    const KIND: &'static str = KIND;
    type Args = ();
    type Reading = Measurement;
}

/// What a board measures: which measurement of its own this was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) count: u64,
}

/// A circuit is the text `SENDER CIRCUIT`.
pub(crate) fn circuit(sender: &str, name: &str) -> Vec<u8> {
    format!("{sender} {name}").into_bytes()
}

struct Waiting {
    id: EvaluationId,
    batch: String,
    text: String,
}

/// What waits for the board, or is on it.
type Ids = Arc<Mutex<BTreeSet<EvaluationId>>>;

fn lock(ids: &Ids) -> MutexGuard<'_, BTreeSet<EvaluationId>> {
    ids.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state.
pub(crate) struct ProbeState {
    device: Device,
    ids: Ids,
    queue: mpsc::UnboundedSender<Waiting>,
    /// Until the board runs the firmware.
    waiting: Option<mpsc::UnboundedReceiver<Waiting>>,
}

#[reservable("probe")]
impl ProbeState {
    fn new(device: Device) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        Self { device, ids: Ids::default(), queue, waiting: Some(waiting) }
    }

    #[register("evaluate", "files", "batch_id")]
    async fn evaluate(
        &mut self,
        files: BTreeMap<EvaluationId, Blob>,
        batch_id: String,
    ) -> Result<(), Overloaded> {
        for (id, bytes) in files {
            if lock(&self.ids).insert(id.clone()) {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                // The runner ends with the state.
                let _ = self.queue.send(Waiting { id, batch: batch_id.clone(), text });
            }
        }
        Ok(())
    }
}

impl State for ProbeState {
    async fn start(&mut self) -> Result<(), StateError> {
        let info = self.device.info();
        let (serial, client) = (info.serial.to_string(), info.client.to_string());
        note!("board {serial}: a state for lease {} of {client}", info.lease);
        witness::with(|witness| witness.used(&serial, info.lease.0, &client, &client));
        self.device.flash(KIND).await?;
        if let Some(waiting) = self.waiting.take() {
            let (device, ids) = (self.device.clone(), self.ids.clone());
            let runner = Runner { device: device.clone(), ids, port: None };
            device.spawn(runner.run(waiting));
        }
        Ok(())
    }

    async fn reboot(&mut self) -> Result<(), StateError> {
        self.device.restart().await?;
        Ok(())
    }
}

struct Runner {
    device: Device,
    ids: Ids,
    port: Option<BufReader<SerialPort>>,
}

impl Runner {
    async fn run(mut self, mut waiting: mpsc::UnboundedReceiver<Waiting>) {
        while let Some(circuit) = waiting.recv().await {
            let outcome = self.evaluate(&circuit.text).await;
            lock(&self.ids).remove(&circuit.id);
            self.tell(&circuit, outcome);
        }
    }

    async fn evaluate(&mut self, text: &str) -> Outcome<Measurement> {
        let mut tries = 0;
        loop {
            tries += 1;
            let fault = match timeout(PATIENCE, self.measure(text)).await {
                Ok(Ok(count)) => return Outcome::Reading { reading: Measurement { count } },
                Ok(Err(fault)) => fault,
                Err(_) => "it does not answer".to_owned(),
            };
            self.port = None;
            if tries == TRIES {
                return Outcome::Failed { code: "board_fault".to_owned(), reason: fault };
            }
            if let Err(error) = self.device.restart().await {
                // A board that is away may be back in a moment.
                tracing::debug!(%error, "a board does not restart");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }

    async fn measure(&mut self, text: &str) -> Result<u64, String> {
        if self.port.is_none() {
            let port = self.device.open().await.map_err(|error| error.to_string())?;
            self.port = Some(BufReader::new(port));
        }
        let port = self.port.as_mut().ok_or("no port")?;
        let info = self.device.info();
        let order = format!("run {} {} {text}\n", info.lease, info.client);
        port.write_all(order.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut line = Vec::new();
        let read = port.read_until(b'\n', &mut line).await.map_err(|error| error.to_string())?;
        if read == 0 {
            return Err("its port has ended".to_owned());
        }
        let line = String::from_utf8_lossy(&line);
        let answer = line.trim_end().strip_prefix("done ").and_then(|rest| rest.split_once(' '));
        match answer.map(|(count, of)| (count.parse(), of)) {
            Some((Ok(count), of)) if of == text => Ok(count),
            _ => Err(format!("garbage: {line:?}")),
        }
    }

    fn tell(&self, circuit: &Waiting, outcome: Outcome<Measurement>) {
        let info = self.device.info();
        let Ok(kind) = Kind::new(KIND) else { return };
        let mut provenance = Provenance::of_circuit("", kind);
        provenance.serial = Some(info.serial.clone());
        provenance.lease = Some(info.lease);
        provenance.simulated = Some(true);
        let evaluated = Evaluated { id: circuit.id.clone(), outcome, provenance };
        let Ok(outcomes) = to_value(&[evaluated]) else { return };
        let contents = Object::from([
            ("batch_id".to_owned(), Value::from(circuit.batch.as_str())),
            ("outcomes".to_owned(), outcomes),
        ]);
        self.device.emit("results", contents);
    }
}

/// The firmware: it tells the witness who uses the board, and counts.
#[derive(Debug, Default)]
pub(crate) struct ProbeFirmware;

icefarm_sim::firmware!("probe", ProbeFirmware);

impl Firmware for ProbeFirmware {
    async fn run(self, mut port: FirmwarePort, board: VirtualHardware) -> io::Result<()> {
        let serial = board.serial().to_string();
        let mut dtr = port.dtr();
        loop {
            port.opened().await;
            let mut line = Vec::new();
            let complete = loop {
                tokio::select! {
                    biased;
                    byte = port.read_u8() => match byte? {
                        b'\n' => break true,
                        byte => line.push(byte),
                    },
                    _ = dtr.wait_for(|open| !open) => break false,
                }
            };
            if !complete {
                continue;
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            let Some((lease, client, text)) = order(&line) else {
                note!("board {serial}: it does not understand {line:?}");
                port.write_all(b"what?\n").await?;
                continue;
            };
            let (sender, circuit) = text.split_once(' ').unwrap_or((text, ""));
            let sender = sender.split('#').next().unwrap_or(sender);
            note!("board {serial}: {circuit} of {sender} under lease {lease} of {client}");
            witness::with(|witness| witness.used(&serial, lease, client, sender));
            board.sleep(MEASURING).await;
            let count = witness::with(|witness| witness.measured(&serial, circuit));
            port.write_all(format!("done {count} {text}\n").as_bytes()).await?;
        }
    }
}

/// `run LEASE CLIENT TEXT`.
fn order(line: &str) -> Option<(u64, &str, &str)> {
    let rest = line.strip_prefix("run ")?;
    let (lease, rest) = rest.split_once(' ')?;
    let (client, text) = rest.split_once(' ')?;
    Some((lease.parse().ok()?, client, text))
}
