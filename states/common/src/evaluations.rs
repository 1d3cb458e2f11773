//! A state's work: it takes commands and leaves the board to its runner.

use crate::desk::Desk;
use crate::lines::BITSTREAM_BYTES;
use crate::queue::Circuit;
use crate::runner::{Runner, provenance};
use crate::{Instrument, Settings};
use futures::future::{AbortHandle, abortable};
use icefarm_core::evaluation::{Evaluated, Outcome};
use icefarm_core::{Blob, Device, EvaluationId, Overloaded, StateError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The evaluation of circuits on a board, for a state to hand its hooks and its command to.
///
/// Circuits are evaluated in the order of their arrival, and each is answered once, in a
/// `results` event of its batch. A board that does not answer, or not with what its firmware
/// writes, is restarted, and the circuit is tried once more; then it has failed. When the board
/// does not come back the lease fails, and whatever still waited has no outcome from this board.
pub struct Evaluations<I: Instrument> {
    device: Device,
    instrument: Arc<I>,
    desk: Arc<Desk<I>>,
    runner: Option<AbortHandle>,
}

impl<I: Instrument> fmt::Debug for Evaluations<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluations").field("device", &self.device).finish_non_exhaustive()
    }
}

impl<I: Instrument> Evaluations<I> {
    /// Nothing is done before [`start`](Self::start).
    #[must_use]
    pub fn new(device: Device, instrument: I, settings: Settings) -> Self {
        let instrument = Arc::new(instrument);
        let desk = Arc::new(Desk::new(Arc::clone(&instrument), settings));
        Self { device, instrument, desk, runner: None }
    }

    /// The command `evaluate`: takes in circuits, all of them or none. An id that waits or is
    /// being evaluated is not taken a second time, so that a command may be repeated.
    ///
    /// # Errors
    /// [`Overloaded`] if too many circuits wait at the board.
    pub fn evaluate(
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

    /// The hook `start`: the board runs the firmware and listens.
    ///
    /// # Errors
    /// The reason why it does not.
    pub async fn start(&mut self) -> Result<(), StateError> {
        let mut runner = self.runner();
        runner.prepare().await?;
        self.run(runner);
        Ok(())
    }

    /// The hook `added`: the board came back without having been asked to leave.
    pub fn added(&mut self) {
        // Which firmware it came back with is seen when the next circuit wants it.
        self.desk.arrived();
    }

    /// The hook `reboot`: the board is restarted, the interrupted circuit is the next one again.
    ///
    /// # Errors
    /// The reason why the board does not come back to work.
    pub async fn reboot(&mut self) -> Result<(), StateError> {
        self.stop();
        let mut runner = self.runner();
        runner.recover().await?;
        self.run(runner);
        Ok(())
    }

    /// The hook `exit`: what is there is told.
    pub fn exit(&mut self) {
        self.stop();
        self.desk.push(&self.device);
    }

    fn wrong_length(&self, id: EvaluationId, bytes: &[u8]) -> Evaluated<I::Reading> {
        let reason = format!(
            "the circuit has {} bytes, the board takes exactly {BITSTREAM_BYTES}: send the \
             uncompressed .bin file that icepack writes for the iCE40UP5K",
            bytes.len()
        );
        let outcome = Outcome::Refused { code: "wrong_length".to_owned(), reason };
        Evaluated { id, outcome, provenance: provenance::<I>(&self.device, bytes) }
    }

    fn runner(&self) -> Runner<I> {
        Runner::new(self.device.clone(), Arc::clone(&self.instrument), Arc::clone(&self.desk))
    }

    fn run(&mut self, runner: Runner<I>) {
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
