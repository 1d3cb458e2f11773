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
use tokio::sync::{mpsc, oneshot};

/// A stream of outcomes, which ends when every circuit has all of its own.
///
/// It may be dropped early; boards still finish what they were given.
#[must_use = "nothing is evaluated unless the outcomes are read"]
pub struct Outcomes<R> {
    stream: BoxStream<'static, CircuitOutcome<R>>,
    /// Keeps the boards as long as somebody waits for what comes of them.
    _client: Client,
}

impl<R> fmt::Debug for Outcomes<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes").finish_non_exhaustive()
    }
}

impl<R> Stream for Outcomes<R> {
    type Item = CircuitOutcome<R>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.poll_next_unpin(context)
    }
}

impl<R: Send + 'static> Outcomes<R> {
    pub(super) fn feed(
        circuits: impl Stream<Item = Circuit> + Send + 'static,
        placement: Placement,
        submissions: mpsc::Sender<Submission<R>>,
        kind: Kind,
        client: Client,
    ) -> Self {
        let (sink, outcomes) = mpsc::unbounded_channel();
        let placement = Arc::new(placement);
        let of = client.clone();
        // Runs as part of the stream: who does not read outcomes is given no more of them.
        let feeding = async move {
            let mut circuits = pin!(circuits);
            while let Some(circuit) = circuits.next().await {
                submit(&circuit, &placement, &sink, &submissions, &kind, &of).await;
            }
        };
        let fed = stream::once(feeding).filter_map(|()| std::future::ready(None));
        Self { stream: stream::select(fed, received(outcomes)).boxed(), _client: client }
    }

    pub(super) async fn submit(
        circuit: Circuit,
        placement: Placement,
        submissions: &mpsc::Sender<Submission<R>>,
        kind: &Kind,
        client: Client,
    ) -> Self {
        let (sink, outcomes) = mpsc::unbounded_channel();
        submit(&circuit, &Arc::new(placement), &sink, submissions, kind, &client).await;
        drop(sink);
        Self { stream: received(outcomes).boxed(), _client: client }
    }
}

/// Ends when the last sink is gone, which every open circuit has a copy of.
fn received<R>(outcomes: mpsc::UnboundedReceiver<R>) -> impl Stream<Item = R> {
    stream::unfold(outcomes, async |mut outcomes| Some((outcomes.recv().await?, outcomes)))
}

async fn submit<R>(
    circuit: &Circuit,
    placement: &Arc<Placement>,
    sink: &Sink<R>,
    submissions: &mpsc::Sender<Submission<R>>,
    kind: &Kind,
    client: &Client,
) {
    let upload = Arc::new(Upload {
        name: circuit.name.clone(),
        bytes: circuit.bytes.clone(),
        sha256: hex(&Sha256::digest(&circuit.bytes)),
    });
    let (placement, sink) = (placement.clone(), sink.clone());
    let (taken, is_taken) = oneshot::channel();
    let submission = Submission { upload, placement, sink, taken };
    match submissions.send(submission).await {
        // It ends either way: what was not taken in is settled by the driver.
        Ok(()) => drop(is_taken.await),
        Err(refused) => closed(&refused.0, kind, client),
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
