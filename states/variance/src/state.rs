//! The state itself.

use crate::sampler::Sampler;
use icefarm_core::{
    Blob, Device, EvaluationId, Face, Overloaded, State, StateError, register, reservable,
};
use icefarm_state_kit::{Evaluations, Settings, SettingsError};
use std::collections::BTreeMap;

/// The state of kind `variance`.
///
/// It is reserved with three optional arguments. With `send_waveform` (false) readings have the
/// samples beside the fitness. `flush_interval_seconds` (10) is how long a reading may wait to be
/// pushed; while at most `flush_at_bitstreams_remaining` (25) circuits wait at the board, none
/// waits at all.
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
pub struct VarianceState {
    evaluations: Evaluations<Sampler>,
}

#[reservable(
    "variance",
    "send_waveform",
    "flush_interval_seconds",
    "flush_at_bitstreams_remaining"
)]
impl VarianceState {
    fn new(
        device: Device,
        send_waveform: Option<bool>,
        flush_interval_seconds: Option<f64>,
        flush_at_bitstreams_remaining: Option<i64>,
    ) -> Result<Self, SettingsError> {
        let settings = Settings::new(flush_interval_seconds, flush_at_bitstreams_remaining)?;
        let sampler = Sampler { send_waveform: send_waveform.unwrap_or(false) };
        Ok(Self { evaluations: Evaluations::new(device, sampler, settings) })
    }

    #[register("evaluate", "files", "batch_id")]
    async fn evaluate(
        &mut self,
        files: BTreeMap<EvaluationId, Blob>,
        batch_id: String,
    ) -> Result<(), Overloaded> {
        self.evaluations.evaluate(files, batch_id)
    }
}

impl State for VarianceState {
    async fn start(&mut self) -> Result<(), StateError> {
        self.evaluations.start().await
    }

    async fn added(&mut self, _face: Face) -> Result<(), StateError> {
        self.evaluations.added();
        Ok(())
    }

    async fn reboot(&mut self) -> Result<(), StateError> {
        self.evaluations.reboot().await
    }

    async fn exit(&mut self) {
        self.evaluations.exit();
    }
}
