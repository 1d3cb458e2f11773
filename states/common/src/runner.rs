//! The task that gives a board one circuit after the other.

use crate::Instrument;
use crate::desk::Desk;
use crate::exchange::{Answer, Fault, explain};
use crate::link::Link;
use crate::queue::Circuit;
use icefarm_core::evaluation::{Evaluated, Outcome, Provenance};
use icefarm_core::{BoardError, Device, ImageInfo};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How often a circuit is tried on its board before it fails.
const TRIES: u32 = 2;

/// How often a board is restarted before it counts as lost.
const RESTARTS: u32 = 3;

/// How long a board that left the bus may take to come back. A worker usually gives up earlier.
const RETURN: Duration = Duration::from_secs(60);

/// How often it is looked whether it is back. Chosen: a board takes about half of it to start.
const LOOK: Duration = Duration::from_secs(1);

/// A board that did not come back to work, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unrecovered(String);

/// A board at work for one state, from one start to the next `reboot`.
pub(crate) struct Runner<I: Instrument> {
    device: Device,
    instrument: Arc<I>,
    desk: Arc<Desk<I>>,
    /// Which of the desk's runners this is.
    shift: u64,
    /// Notes when the board comes back without having been asked to leave.
    arrivals: watch::Receiver<u64>,
    ready: Option<Ready<I>>,
}

/// A board that waits for a circuit.
struct Ready<I> {
    link: Link<I>,
    image: ImageInfo,
}

impl<I: Instrument> Runner<I> {
    /// A runner for a board that is not looked at yet. It takes over from the one before.
    pub(crate) fn new(device: Device, instrument: Arc<I>, desk: Arc<Desk<I>>) -> Self {
        let shift = desk.take_over();
        let arrivals = desk.arrivals();
        Self { device, instrument, desk, shift, arrivals, ready: None }
    }

    /// Makes sure that the board runs the firmware and listens; one that does not is restarted.
    pub(crate) async fn prepare(&mut self) -> Result<(), Unrecovered> {
        if let Err(error @ BoardError::UnknownImage { .. }) = self.device.flash(I::IMAGE).await {
            return Err(Unrecovered(explain(&error)));
        }
        match self.connect().await {
            Ok(ready) => {
                self.ready = Some(ready);
                Ok(())
            }
            // A restart that fails does not tell what it was to mend.
            Err(fault) => {
                self.recover().await.map_err(|lost| Unrecovered(format!("{fault}; {lost}")))
            }
        }
    }

    /// Restarts the board, and makes sure that it listens.
    pub(crate) async fn recover(&mut self) -> Result<(), Unrecovered> {
        self.ready = None;
        let mut rounds = 0;
        loop {
            rounds += 1;
            self.restart().await?;
            match self.connect().await {
                Ok(ready) => {
                    self.ready = Some(ready);
                    return Ok(());
                }
                Err(_) if rounds < RESTARTS => {}
                Err(fault) => {
                    return Err(Unrecovered(format!("after {rounds} restarts still {fault}")));
                }
            }
        }
    }

    /// Restarts the board, or waits until it is back if it has left the bus.
    async fn restart(&mut self) -> Result<(), Unrecovered> {
        let end = Instant::now() + RETURN;
        loop {
            self.arrivals.borrow_and_update();
            match self.device.restart().await {
                Ok(()) => return Ok(()),
                // While a hook runs, nobody tells the state that its board is back: so it looks.
                Err(BoardError::Gone) => match timeout(LOOK, self.arrivals.changed()).await {
                    // What came back by itself has just started.
                    Ok(_) => return Ok(()),
                    Err(_) if Instant::now() < end => {}
                    Err(_) => {
                        let seconds = RETURN.as_secs();
                        let reason = format!("it was not back on the bus after {seconds} s");
                        return Err(Unrecovered(reason));
                    }
                },
                Err(error) => {
                    return Err(Unrecovered(format!("it did not restart: {}", explain(&error))));
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<Ready<I>, Fault> {
        self.arrivals.borrow_and_update();
        let image = self.device.flash(I::IMAGE).await?;
        let port = self.device.open().await?;
        let link = Link::settle(port, self.device.info().simulated, Arc::clone(&self.instrument));
        let link = link.await?;
        Ok(Ready { link, image })
    }

    /// Evaluates what waits at the desk, until the board fails for good or another runner takes
    /// over.
    pub(crate) async fn run(mut self) {
        let (device, desk) = (self.device.clone(), Arc::clone(&self.desk));
        while let Some(circuit) = desk.next(self.shift, &device).await {
            // Earlier outcomes do not wait for this one, however long it takes.
            let (outcome, fit) = tokio::select! {
                done = self.evaluate(&circuit) => done,
                never = desk.push_when_due(&device) => match never {},
            };
            if !desk.finish(self.shift, &circuit.batch, outcome) {
                return;
            }
            if let Err(reason) = fit {
                desk.push(&device);
                device.fail(format!("the board does not work any more: {reason}"));
                return;
            }
        }
    }

    /// The outcome of a circuit, and whether the board is fit for the next one.
    async fn evaluate(
        &mut self,
        circuit: &Circuit,
    ) -> (Evaluated<I::Reading>, Result<(), Unrecovered>) {
        let mut provenance = provenance::<I>(&self.device, &circuit.bytes);
        let mut tries = 0;
        let (outcome, fit) = loop {
            tries += 1;
            provenance.attempt = self.desk.begin(self.shift);
            let (evaluation, attempt) = (&circuit.id, provenance.attempt);
            tracing::debug!(%evaluation, attempt, "a circuit goes onto the board");
            let attempt = self.attempt(circuit, &mut provenance).await;
            provenance.ended = Some(self.device.now());
            let fault = match attempt {
                Ok(Answer::Reading { reading, falsified }) => {
                    provenance.window_us = window_us::<I>(&self.device);
                    provenance.falsified = falsified;
                    break (Outcome::Reading { reading }, Ok(()));
                }
                Ok(Answer::Refused { code, reason }) => {
                    break (Outcome::Refused { code, reason }, Ok(()));
                }
                Err(fault) => fault,
            };
            let attempt = provenance.attempt;
            tracing::warn!(%evaluation, attempt, "the board is restarted: {fault}");
            // What the board still has to say about this circuit must not meet the next one.
            let fit = self.recover().await;
            if fit.is_ok() && tries < TRIES {
                continue;
            }
            let reason = match &fit {
                Ok(()) => format!("{fault}; the circuit was tried {tries} times, send it again"),
                Err(reason) => format!("{fault}; {reason}"),
            };
            break (Outcome::Failed { code: fault.code().to_owned(), reason }, fit);
        };
        (Evaluated { id: circuit.id.clone(), outcome, provenance }, fit)
    }

    async fn attempt(
        &mut self,
        circuit: &Circuit,
        provenance: &mut Provenance,
    ) -> Result<Answer<I::Reading>, Fault> {
        // A board that was away has closed its port.
        let was_away = self.arrivals.has_changed().unwrap_or(true);
        let mut ready = match self.ready.take() {
            Some(ready) if !was_away => ready,
            _ => self.connect().await?,
        };
        provenance.image_sha256 = Some(ready.image.sha256.clone());
        let residue = self.device.load_circuit(&provenance.sha256);
        provenance.sequence = Some(residue.sequence);
        provenance.previous_sha256 = residue.previous_sha256;
        provenance.started = Some(self.device.now());
        let answer = ready.link.evaluate(&circuit.bytes).await?;
        self.ready = Some(ready);
        Ok(answer)
    }
}

/// What is known of an outcome before its circuit has reached the board.
pub(crate) fn provenance<I: Instrument>(device: &Device, circuit: &[u8]) -> Provenance {
    let info = device.info();
    Provenance {
        serial: Some(info.serial.clone()),
        board: info.name.clone(),
        worker: Some(info.worker.clone()),
        state_version: Some(I::STATE_VERSION.to_owned()),
        lease: Some(info.lease),
        simulated: Some(info.simulated),
        ..Provenance::of_circuit(hex(&Sha256::digest(circuit)), info.kind.clone())
    }
}

/// How long the board measured. A virtual one counts cycles; a real one does not tell.
fn window_us<I: Instrument>(device: &Device) -> Option<u64> {
    device.info().simulated.then_some(I::WINDOW_US)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
