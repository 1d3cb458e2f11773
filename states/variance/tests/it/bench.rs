//! Circuits for a board under test, and what it tells of them.

use icefarm_core::evaluation::{Evaluated, Outcome};
use icefarm_core::{Blob, Object, Value, to_value};
use icefarm_sim::{Fault, FaultPlan};
use icefarm_state_variance::{SAMPLES, Variation};
use icefarm_testkit::{TestBench, TestBoard, TestError, json};
use std::path::PathBuf;

/// A bench on which these faults happen to the board.
pub(crate) fn faulty(faults: impl IntoIterator<Item = Fault>) -> TestBench {
    let plan = faults.into_iter().try_fold(FaultPlan::new(7), FaultPlan::with).unwrap();
    TestBench::builder().bus(|bus| bus.faults(plan)).plug().unwrap()
}

/// A board that was reserved without arguments.
pub(crate) async fn reserved() -> TestBoard {
    TestBoard::reserve_kind("variance", json!({})).await.unwrap()
}

/// A circuit that comes with the repository.
pub(crate) fn circuit(name: &str) -> Blob {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/circuits");
    let path = root.join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

/// Sends circuits as one batch.
pub(crate) async fn evaluate(
    board: &TestBoard,
    batch: &str,
    circuits: &[(&str, &Blob)],
) -> Result<(), TestError> {
    let files: Object =
        circuits.iter().map(|(id, bytes)| ((*id).into(), (*bytes).clone().into())).collect();
    let args = Object::from([
        ("files".to_owned(), Value::Object(files)),
        ("batch_id".to_owned(), batch.into()),
    ]);
    board.command("evaluate", Value::Object(args)).await.map(drop)
}

/// A `results` event.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Results {
    pub(crate) batch_id: String,
    /// As old clients read it.
    pub(crate) results: serde_json::Value,
    pub(crate) outcomes: Vec<Evaluated<Variation>>,
}

pub(crate) async fn results(board: &TestBoard) -> Result<Results, TestError> {
    Ok(board.event("results").await?.decode().unwrap())
}

/// The result of the one circuit that is being evaluated.
pub(crate) async fn result(board: &TestBoard) -> Evaluated<Variation> {
    let mut results = results(board).await.unwrap();
    assert_eq!(results.outcomes.len(), 1, "{results:?}");
    results.outcomes.remove(0)
}

pub(crate) fn reading(evaluated: &Evaluated<Variation>) -> &Variation {
    evaluated.outcome.reading().unwrap_or_else(|| panic!("no reading: {evaluated:?}"))
}

/// The code of a refusal or failure, and its reason.
pub(crate) fn code(evaluated: &Evaluated<Variation>) -> (&str, &str) {
    match &evaluated.outcome {
        Outcome::Refused { code, reason } | Outcome::Failed { code, reason } => (code, reason),
        Outcome::Reading { .. } => panic!("a reading: {evaluated:?}"),
    }
}

/// What `pulses_1000.bin` does: it is high for one cycle in 48,000, and each tenth sample falls
/// on that, the first of them the first one.
pub(crate) fn pulses_1000() -> Vec<u16> {
    (0..SAMPLES).map(|sample| if sample % 10 == 0 { 4095 } else { 0 }).collect()
}

/// The fitness of that: up and down at 50 pulses, but for the first, which only goes down.
pub(crate) const FITNESS_1000: f64 = 99.0 * 4095.0 / 500.0;

/// An object of serde's as the value that travels.
pub(crate) fn value(json: serde_json::Value) -> Value {
    to_value(&json).unwrap()
}
