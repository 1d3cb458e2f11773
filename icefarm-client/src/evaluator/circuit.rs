//! What goes in and what comes out.

use icefarm_core::evaluation::Evaluated;
use icefarm_core::{Blob, Kind, Serial, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a kind of state measures, for [`Evaluator`](crate::Evaluator). Crates of states implement
/// it for a type without values.
///
/// ```
/// use icefarm_client::Evaluation;
/// use serde::{Deserialize, Serialize};
///
/// enum Temperature {}
///
/// #[derive(Serialize)]
/// struct Args { samples: u32 }
///
/// #[derive(Serialize, Deserialize, Clone)]
/// struct Celsius { mean: f64 }
///
/// impl Evaluation for Temperature {
///     const KIND: &'static str = "temperature";
///     type Args = Args;
///     type Reading = Celsius;
/// }
/// ```
pub trait Evaluation: Send + 'static {
    /// The kind that boards are reserved as.
    const KIND: &'static str;
    /// The arguments of the reservation, written as an object.
    type Args: Serialize;
    /// What comes of a circuit.
    type Reading: Serialize + DeserializeOwned + Clone + Send + 'static;

    /// Whether boards that are reserved as `kind` measure this.
    #[must_use]
    fn accepts(kind: &Kind) -> bool {
        kind.as_str() == Self::KIND
    }
}

/// Any kind, with readings as they travel: for programs that do not know the kind beforehand.
#[derive(Debug, Clone, Copy)]
pub enum Untyped {}

impl Evaluation for Untyped {
    const KIND: &'static str = "*";
    type Args = Value;
    type Reading = Value;

    fn accepts(_kind: &Kind) -> bool {
        true
    }
}

/// A bitstream and the name that its outcomes go under. Names need not be unique, and circuits of
/// equal bytes are evaluated each for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    /// What the user calls it, for example its file's name.
    pub name: String,
    /// The bitstream.
    pub bytes: Blob,
}

impl Circuit {
    /// A circuit.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: impl Into<Blob>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

impl<N: Into<String>, B: Into<Blob>> From<(N, B)> for Circuit {
    fn from((name, bytes): (N, B)) -> Self {
        Self::new(name, bytes)
    }
}

/// On which boards a circuit is evaluated.
///
/// Circuits that were evolved on a board work on that board: only what is placed on [`Self::Any`]
/// may move to another board when one is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// On each of these boards of the reservation. One that is named twice counts once.
    On(Vec<Serial>),
    /// On every board of the reservation.
    Each,
    /// On one board, whichever is free.
    Any,
}

/// What came of one circuit on one board. For each circuit and place there is exactly one.
///
/// As JSON it is one flat object: `circuit` beside the keys of [`Evaluated`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitOutcome<R> {
    /// The circuit's name.
    pub circuit: String,
    /// The outcome, and where it comes from. Outcomes of one circuit on several boards share the
    /// evaluation id: the serial tells them apart.
    #[serde(flatten)]
    pub evaluated: Evaluated<R>,
}

impl<R> CircuitOutcome<R> {
    /// The reading, if there is one.
    pub fn reading(&self) -> Option<&R> {
        self.evaluated.outcome.reading()
    }

    /// The board that it is of, if it reached one.
    #[must_use]
    pub fn serial(&self) -> Option<&Serial> {
        self.evaluated.provenance.serial.as_ref()
    }
}
