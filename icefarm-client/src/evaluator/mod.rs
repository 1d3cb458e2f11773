//! Evaluation of circuits on reserved boards.

mod circuit;
mod driver;
mod outcomes;
mod report;
mod schedule;

pub use circuit::{Circuit, CircuitOutcome, Evaluation, Placement, Untyped};
pub use outcomes::Outcomes;

use crate::client::Client;
use crate::error::ClientError;
use crate::reservation::Reservation;
use driver::{Driver, Submission};
use futures::{Stream, StreamExt as _, stream};
use icefarm_core::Kind;
use outcomes::Door;
use schedule::Limits;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// How an [`Evaluator`] works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EvaluatorOptions {
    /// How many circuits a board may have been given that it has not answered yet. 4 unless
    /// changed; at least 1.
    pub credits: usize,
    /// How many boards may lose a circuit that is placed on [`Placement::Any`] before it counts
    /// as failed. 3 unless changed.
    pub attempts: u32,
    /// How long a board may have circuits without giving any outcome before it is given up: its
    /// circuits move, or fail with `timeout`. 120 s unless changed.
    pub silence: Duration,
    /// How long a board may take to become ready, also after a restart of its worker, before it
    /// is given up in the same way, with `not_initialized`. 180 s unless changed.
    pub patience: Duration,
    /// How many bytes of circuits may be kept for boards that lag behind others of the same
    /// placement, as when one of them hangs: so long the others go on at their own pace, and
    /// beyond that at the slowest one's. 256 MiB unless changed, 2,500 bitstreams of an
    /// iCE40UP5K; 0 keeps all in step.
    pub lag: usize,
}

impl Default for EvaluatorOptions {
    fn default() -> Self {
        let (silence, patience) = (Duration::from_secs(120), Duration::from_secs(180));
        Self { credits: 4, attempts: 3, silence, patience, lag: 256 << 20 }
    }
}

impl EvaluatorOptions {
    /// The same with another number of circuits per board.
    #[must_use]
    pub fn credits(mut self, credits: usize) -> Self {
        self.credits = credits;
        self
    }

    /// The same with another bound for silent boards.
    #[must_use]
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// The same with another bound for boards that are not ready.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The same with another bound for what waits for slow boards, in bytes.
    #[must_use]
    pub fn lag(mut self, lag: usize) -> Self {
        self.lag = lag;
        self
    }
}

/// Has circuits evaluated on the boards of a reservation.
///
/// For each circuit and place there is exactly one outcome, whatever becomes of boards, workers
/// and connections; each comes as soon as it is known. Circuits that no board can answer any more
/// come out as `Failed` with the reason. A circuit of more than 64 MiB, which no message can carry,
/// is refused as `too_large`.
///
/// What waits for a dropped [`Outcomes`] is forgotten, and makes room for the next; boards still
/// finish what they were given.
pub struct Evaluator<K: Evaluation> {
    submissions: mpsc::Sender<Submission<K::Reading>>,
    dropped: Arc<Notify>,
    kind: Kind,
    client: Client,
    of: PhantomData<fn() -> K>,
}

impl<K: Evaluation> fmt::Debug for Evaluator<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, client) = (&self.kind, &self.client);
        f.debug_struct("Evaluator").field("kind", kind).field("client", client).finish()
    }
}

impl<K: Evaluation> Clone for Evaluator<K> {
    fn clone(&self) -> Self {
        Self {
            submissions: self.submissions.clone(),
            dropped: self.dropped.clone(),
            kind: self.kind.clone(),
            client: self.client.clone(),
            of: PhantomData,
        }
    }
}

impl<K: Evaluation> Evaluator<K> {
    /// Evaluates on the boards of `reservation`. They need not be ready yet. Must be called within
    /// a tokio runtime.
    ///
    /// # Errors
    /// [`ClientError::WrongKind`] if the boards were reserved for something else.
    pub fn new(client: &Client, reservation: &Reservation) -> Result<Self, ClientError> {
        Self::with_options(client, reservation, &EvaluatorOptions::default())
    }

    /// As [`Self::new`], with options.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_options(
        client: &Client,
        reservation: &Reservation,
        options: &EvaluatorOptions,
    ) -> Result<Self, ClientError> {
        let kind = reservation.kind().clone();
        if !K::accepts(&kind) {
            return Err(ClientError::WrongKind { expected: K::KIND, found: kind });
        }
        let limits = Limits {
            credits: options.credits.max(1),
            attempts: options.attempts.max(1),
            silence: options.silence,
            patience: options.patience,
            lag: options.lag,
        };
        let boards = reservation.boards();
        let dropped = Arc::new(Notify::new());
        let (inner, told) = (client.inner().clone(), dropped.clone());
        let driver = Driver::<K>::new(inner, kind.clone(), boards, limits, told);
        // One at a time: what waits, waits where it comes from.
        let (submissions, receiver) = mpsc::channel(1);
        tokio::spawn(driver.run(receiver));
        Ok(Self { submissions, dropped, kind, client: client.clone(), of: PhantomData })
    }

    /// Evaluates circuits. The next circuit is taken from `circuits` only when boards have room
    /// for it and the outcomes are being read, so there may be any number of them.
    ///
    /// The outcomes come in the order in which they become known. Nothing is submitted before the
    /// stream is polled.
    pub fn evaluate<I>(&self, circuits: I, placement: Placement) -> Outcomes<K::Reading>
    where
        I: IntoIterator,
        I::IntoIter: Send + 'static,
        I::Item: Into<Circuit> + Send,
    {
        self.evaluate_stream(stream::iter(circuits), placement)
    }

    /// As [`Self::evaluate`], from a stream.
    pub fn evaluate_stream<S>(&self, circuits: S, placement: Placement) -> Outcomes<K::Reading>
    where
        S: Stream + Send + 'static,
        S::Item: Into<Circuit> + Send,
    {
        Outcomes::feed(circuits.map(Into::into), placement, self.door())
    }

    /// Submits one circuit, as soon as boards have room for it, and returns its outcomes to come.
    pub async fn submit(
        &self,
        circuit: impl Into<Circuit>,
        placement: Placement,
    ) -> Outcomes<K::Reading> {
        Outcomes::submit(circuit.into(), placement, self.door()).await
    }

    fn door(&self) -> Door<K::Reading> {
        Door {
            submissions: self.submissions.clone(),
            dropped: self.dropped.clone(),
            kind: self.kind.clone(),
            client: self.client.clone(),
        }
    }
}
