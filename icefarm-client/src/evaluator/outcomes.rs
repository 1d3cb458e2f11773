//! Circuits in, outcomes out.

use super::circuit::{Circuit, CircuitOutcome, Placement};
use super::driver::{Sink, Submission};
use super::schedule::Upload;
use crate::client::Client;
use crate::loss::codes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, stream};
use icefarm_core::evaluation::{Evaluated, Outcome, Provenance};
use icefarm_core::{EvaluationId, Kind};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{Notify, mpsc, oneshot};

/// A stream of outcomes, which ends when every circuit has all of its own.
///
/// It may be dropped early; boards still finish what they were given.
#[must_use = "nothing is evaluated unless the outcomes are read"]
pub struct Outcomes<R> {
    stream: BoxStream<'static, CircuitOutcome<R>>,
    /// Goes after the stream.
    farewell: Farewell,
    /// Keeps the boards as long as somebody waits for what comes of them.
    _client: Client,
}

/// The way to an evaluator's task.
pub(super) struct Door<R> {
    pub(super) submissions: mpsc::Sender<Submission<R>>,
    pub(super) dropped: Arc<Notify>,
    pub(super) kind: Kind,
    pub(super) client: Client,
}

/// Tells the evaluator that outcomes which may still come are not waited for.
struct Farewell {
    dropped: Arc<Notify>,
    at_its_end: bool,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if !self.at_its_end {
            self.dropped.notify_one();
        }
    }
}

impl<R> fmt::Debug for Outcomes<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes").finish_non_exhaustive()
    }
}

impl<R> Stream for Outcomes<R> {
    type Item = CircuitOutcome<R>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.stream.poll_next_unpin(context);
        if let Poll::Ready(None) = &next {
            self.farewell.at_its_end = true;
        }
        next
    }
}

impl<R: Send + 'static> Outcomes<R> {
    pub(super) fn feed(
        circuits: impl Stream<Item = Circuit> + Send + 'static,
        placement: Placement,
        door: Door<R>,
    ) -> Self {
        let (sink, outcomes) = mpsc::unbounded_channel();
        let placement = Arc::new(placement);
        let (client, dropped) = (door.client.clone(), door.dropped.clone());
        // Runs as part of the stream: who does not read outcomes is given no more of them.
        let feeding = async move {
            let mut circuits = pin!(circuits);
            while let Some(circuit) = circuits.next().await {
                submit(&circuit, &placement, &sink, &door).await;
            }
        };
        let fed = stream::once(feeding).filter_map(|()| std::future::ready(None));
        Self::of(stream::select(fed, received(outcomes)), client, dropped)
    }

    pub(super) async fn submit(circuit: Circuit, placement: Placement, door: Door<R>) -> Self {
        let (sink, outcomes) = mpsc::unbounded_channel();
        submit(&circuit, &Arc::new(placement), &sink, &door).await;
        drop(sink);
        Self::of(received(outcomes), door.client, door.dropped)
    }

    fn of(
        stream: impl Stream<Item = CircuitOutcome<R>> + Send + 'static,
        client: Client,
        dropped: Arc<Notify>,
    ) -> Self {
        let farewell = Farewell { dropped, at_its_end: false };
        Self { stream: stream.boxed(), farewell, _client: client }
    }
}

/// Ends when the last sink is gone, which every open circuit has a copy of.
fn received<R>(outcomes: mpsc::UnboundedReceiver<R>) -> impl Stream<Item = R> {
    stream::unfold(outcomes, async |mut outcomes| Some((outcomes.recv().await?, outcomes)))
}

async fn submit<R>(circuit: &Circuit, placement: &Arc<Placement>, sink: &Sink<R>, door: &Door<R>) {
    let upload = Arc::new(Upload {
        name: circuit.name.clone(),
        bytes: circuit.bytes.clone(),
        sha256: hex(&Sha256::digest(&circuit.bytes)),
    });
    let (placement, sink) = (placement.clone(), sink.clone());
    let (taken, is_taken) = oneshot::channel();
    let submission = Submission { upload, placement, sink, taken };
    match door.submissions.send(submission).await {
        // It ends either way: what was not taken in is settled by the driver.
        Ok(()) => drop(is_taken.await),
        Err(refused) => closed(&refused.0, &door.kind, &door.client),
    }
}

/// The evaluator's task is over, as after `close`: still no circuit is passed over in silence.
fn closed<R>(submission: &Submission<R>, kind: &Kind, client: &Client) {
    let sha256 = submission.upload.sha256.clone();
    let outcome = Outcome::Failed {
        code: codes::CLIENT_CLOSED.to_owned(),
        reason: "the client was closed before the circuit was submitted".to_owned(),
    };
    let provenance = Provenance::of_circuit(sha256, kind.clone());
    let id = EvaluationId::from(client.inner().new_id());
    let evaluated = Evaluated { id, outcome, provenance };
    let circuit = submission.upload.name.clone();
    let _ = submission.sink.send(CircuitOutcome { circuit, evaluated });
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
