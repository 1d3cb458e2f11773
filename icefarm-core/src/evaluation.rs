//! What comes of a circuit that was given to a board.

use crate::clock::Timestamp;
use crate::{EvaluationId, Kind, LeaseId, Serial, WorkerName};
use serde::{Deserialize, Serialize};

/// The command by which circuits are given to a state: `files` (evaluation id to bitstream) and
/// `batch_id`.
pub const EVALUATE: &str = "evaluate";

/// The event by which a state tells what came of them: `batch_id`, `results` (pairs of evaluation
/// id and plain value, for old clients) and `outcomes` (a list of [`Evaluated`]).
pub const RESULTS: &str = "results";

/// What came of one circuit on one board. Exactly one of these is told for every circuit and
/// placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome<R> {
    /// The board measured the circuit.
    Reading {
        /// What it measured; the kind says what that looks like.
        reading: R,
    },
    /// The circuit itself cannot be measured. Trying again gives the same answer.
    Refused {
        /// A stable word for programs, for example `bad_crc`.
        code: String,
        /// What is wrong, for people.
        reason: String,
    },
    /// The farm could not finish the job; the circuit may be sound.
    Failed {
        /// A stable word for programs, for example `board_lost`.
        code: String,
        /// What happened, for people.
        reason: String,
    },
}

impl<R> Outcome<R> {
    /// The reading, if there is one.
    pub fn reading(&self) -> Option<&R> {
        match self {
            Self::Reading { reading } => Some(reading),
            Self::Refused { .. } | Self::Failed { .. } => None,
        }
    }
}

/// Where an outcome comes from: enough to repeat the measurement, and to judge it.
///
/// Fields that are not known, for example because the board was lost before it began, are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The SHA-256 of the circuit's bytes as sent, in lower-case hex.
    pub sha256: String,
    /// The board; `None` if the circuit never reached one.
    #[serde(default)]
    pub serial: Option<Serial>,
    /// The name that the operator gave the board.
    #[serde(default)]
    pub board: Option<String>,
    /// The worker that the board is plugged to.
    #[serde(default)]
    pub worker: Option<WorkerName>,
    /// The kind of the state that measured.
    pub kind: Kind,
    /// The version of the crate that the state comes from.
    #[serde(default)]
    pub state_version: Option<String>,
    /// The SHA-256 of the firmware image that measured, in lower-case hex.
    #[serde(default)]
    pub image_sha256: Option<String>,
    /// The lease under which it was measured.
    #[serde(default)]
    pub lease: Option<LeaseId>,
    /// Which try this is, from 1.
    #[serde(default = "one")]
    pub attempt: u32,
    /// How many circuits the board had been given before, since its worker started.
    #[serde(default)]
    pub sequence: Option<u64>,
    /// The circuit that was on the board before, whose residue may matter.
    #[serde(default)]
    pub previous_sha256: Option<String>,
    /// When the circuit began to be written to the board (UTC, RFC 3339).
    #[serde(default)]
    pub started: Option<Timestamp>,
    /// When the board's answer was complete (UTC, RFC 3339).
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// How long was measured, in microseconds. A real board's window is up to 1 ms shorter than
    /// the nominal one, and it does not tell by how much.
    #[serde(default)]
    pub window_us: Option<u64>,
    /// Whether the board is simulated.
    #[serde(default)]
    pub simulated: Option<bool>,
    /// Why the reading is wrong on purpose; absent from JSON if it is not. Only a simulated board
    /// that was told to does that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub falsified: Option<String>,
}

fn one() -> u32 {
    1
}

impl Provenance {
    /// What is known before a circuit has reached any board.
    #[must_use]
    pub fn of_circuit(sha256: impl Into<String>, kind: Kind) -> Self {
        Self {
            sha256: sha256.into(),
            serial: None,
            board: None,
            worker: None,
            kind,
            state_version: None,
            image_sha256: None,
            lease: None,
            attempt: 1,
            sequence: None,
            previous_sha256: None,
            started: None,
            ended: None,
            window_us: None,
            simulated: None,
            falsified: None,
        }
    }
}

/// One outcome with its id and where it comes from: an element of `outcomes`, and with the
/// circuit's name beside it one line of `icefarm evaluate --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluated<R> {
    /// The evaluation that this answers.
    pub id: EvaluationId,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome<R>,
    /// Where it comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}
