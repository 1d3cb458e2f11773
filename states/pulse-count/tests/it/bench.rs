//! Circuits for a board under test, and what it tells of them.

use icefarm_core::evaluation::{Evaluated, Outcome};
use icefarm_core::{Blob, EvaluationId};
use icefarm_state_pulse_count::{BITSTREAM_BYTES, PulseCountState, Pulses};
use icefarm_testkit::{TestBench, TestBenchBuilder, TestBoard, TestError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A bench whose worker and board have names to be found again in outcomes.
pub(crate) fn bench() -> TestBenchBuilder {
    TestBench::builder()
        .serial("example pico2ice serial id")
        .name("the left one")
        .worker("bench")
        .client("somebody")
}

/// A board that was reserved with these arguments.
pub(crate) async fn reserve(args: impl Serialize) -> TestBoard {
    bench().plug().unwrap().reserve::<PulseCountState>(args).await.unwrap()
}

/// A board that was reserved without arguments.
pub(crate) async fn reserved() -> TestBoard {
    reserve(json!({})).await
}

/// A `results` event.
#[derive(Debug, Deserialize)]
pub(crate) struct Results {
    #[serde(rename = "batch_id")]
    pub(crate) batch: String,
    /// As old clients read it.
    #[serde(rename = "results")]
    pub(crate) pairs: serde_json::Value,
    pub(crate) outcomes: Vec<Evaluated<Pulses>>,
}

/// Sends circuits as one batch.
pub(crate) async fn evaluate(
    board: &TestBoard,
    batch: &str,
    circuits: &[(&str, &Blob)],
) -> Result<(), TestError> {
    #[derive(Serialize)]
    struct Batch<'a> {
        files: BTreeMap<EvaluationId, &'a Blob>,
        batch_id: &'a str,
    }
    let files = circuits.iter().map(|(id, bytes)| (EvaluationId::from(*id), *bytes)).collect();
    let reply = board.command("evaluate", Batch { files, batch_id: batch }).await?;
    assert!(reply.is_null());
    Ok(())
}

/// The next results.
pub(crate) async fn results(board: &TestBoard) -> Results {
    board.event("results").await.unwrap().decode().unwrap()
}

/// The next results, which must be of one circuit.
pub(crate) async fn result(board: &TestBoard) -> Evaluated<Pulses> {
    let mut results = results(board).await;
    assert_eq!(results.outcomes.len(), 1, "{results:?}");
    results.outcomes.remove(0)
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
