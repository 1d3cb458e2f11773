//! The state itself: it takes commands and leaves the work to its runner.

use crate::Pulses;
use crate::desk::Desk;
use crate::protocol::BITSTREAM_BYTES;
use crate::queue::Circuit;
use crate::runner::{Runner, provenance};
use crate::settings::{Settings, SettingsError};
use futures::future::{AbortHandle, abortable};
use icefarm_core::evaluation::{Evaluated, Outcome};
use icefarm_core::{
    Blob, Device, EvaluationId, Face, Overloaded, State, StateError, register, reservable,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The state of kind `pulsecount`.
///
/// It is reserved with two optional arguments. `flush_interval_seconds` (10) is how long a reading
/// may wait to be pushed; while at most `flush_at_bitstreams_remaining` (25) circuits wait at the
/// board, none waits at all.
///
/// Its one command is `evaluate`, with `files`, a map from evaluation ids to circuits, and
/// `batch_id`. Circuits are evaluated in the order of their arrival, and each is answered once, in
/// a `results` event of its batch. An id that waits or is being evaluated is not taken a second
/// time, so that a command may be repeated.
///
/// A board that does not answer, or not with what its firmware writes, is restarted, and the
/// circuit is tried once more; then it has failed. When the board does not come back the lease
/// fails, and whatever still waited has no outcome from this board.
#[derive(Debug)]
pub struct PulseCountState {
    device: Device,
    desk: Arc<Desk>,
    runner: Option<AbortHandle>,
}

#[reservable("pulsecount", "flush_interval_seconds", "flush_at_bitstreams_remaining")]
impl PulseCountState {
    fn new(
        device: Device,
        flush_interval_seconds: Option<f64>,
        flush_at_bitstreams_remaining: Option<i64>,
    ) -> Result<Self, SettingsError> {
        let settings = Settings::new(flush_interval_seconds, flush_at_bitstreams_remaining)?;
        Ok(Self { device, desk: Arc::new(Desk::new(settings)), runner: None })
    }

    #[register("evaluate", "files", "batch_id")]
    async fn evaluate(
        &mut self,
        files: BTreeMap<EvaluationId, Blob>,
        batch_id: String,
    ) -> Result<(), Overloaded> {
        let batch: Arc<str> = batch_id.into();
        let (sound, odd): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(_, bytes)| bytes.len() == BITSTREAM_BYTES);
        let circuits = sound.into_iter().map(|(id, bytes)| Circuit {
            id,
            batch: Arc::clone(&batch),
            bytes,
            attempts: 0,
        });
        let refused = odd.into_iter().map(|(id, bytes)| self.wrong_length(id, &bytes));
        self.desk.take_in(&batch, circuits.collect(), refused.collect())
    }
}

impl PulseCountState {
    fn wrong_length(&self, id: EvaluationId, bytes: &[u8]) -> Evaluated<Pulses> {
        let reason = format!(
            "the circuit has {} bytes, the board takes exactly {BITSTREAM_BYTES}: send the \
             uncompressed .bin file that icepack writes for the iCE40UP5K",
            bytes.len()
        );
        let outcome = Outcome::Refused { code: "wrong_length".to_owned(), reason };
        Evaluated { id, outcome, provenance: provenance(&self.device, bytes) }
    }

    fn run(&mut self, runner: Runner) {
        let (task, handle) = abortable(runner.run());
        self.runner = Some(handle);
        self.device.spawn(async move {
            // Aborted by a reboot or at the end, which have seen to what it leaves behind.
            let _ = task.await;
        });
    }

    fn stop(&mut self) {
        if let Some(runner) = self.runner.take() {
            runner.abort();
        }
    }
}

impl State for PulseCountState {
    async fn start(&mut self) -> Result<(), StateError> {
        let mut runner = Runner::new(self.device.clone(), Arc::clone(&self.desk));
        runner.prepare().await?;
        self.run(runner);
        Ok(())
    }

    async fn added(&mut self, _face: Face) -> Result<(), StateError> {
        // Which firmware it came back with is seen when the next circuit wants it.
        self.desk.arrived();
        Ok(())
    }

    async fn reboot(&mut self) -> Result<(), StateError> {
        self.stop();
        let mut runner = Runner::new(self.device.clone(), Arc::clone(&self.desk));
        runner.recover().await?;
        self.run(runner);
        Ok(())
    }

    async fn exit(&mut self) {
        self.stop();
        self.desk.push(&self.device);
    }
}
