//! Where commands leave circuits, the runner takes them, and outcomes wait to be pushed.

use crate::outbox::Outbox;
use crate::queue::{Circuit, Queue};
use crate::{Instrument, Settings};
use icefarm_core::evaluation::{Evaluated, Outcome, RESULTS};
use icefarm_core::{Device, EvaluationId, Overloaded};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What the state and its runner share.
pub(crate) struct Desk<I: Instrument> {
    papers: Mutex<Papers<I>>,
    /// Sent after every change that a runner may wait for.
    changed: watch::Sender<()>,
    /// Counts how often the board came back without having been asked to.
    arrivals: watch::Sender<u64>,
}

struct Papers<I: Instrument> {
    queue: Queue,
    outbox: Outbox<I>,
    /// Counts the runners. What an earlier one still has to say is not wanted.
    shift: u64,
}

impl<I: Instrument> Desk<I> {
    pub(crate) fn new(instrument: Arc<I>, settings: Settings) -> Self {
        let outbox = Outbox::new(instrument, settings);
        let papers = Papers { queue: Queue::default(), outbox, shift: 0 };
        Self {
            papers: Mutex::new(papers),
            changed: watch::Sender::default(),
            arrivals: watch::Sender::default(),
        }
    }

    fn papers(&self) -> MutexGuard<'_, Papers<I>> {
        // A panic in between would have failed the lease already.
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a batch, all of it or nothing: circuits for the board, and outcomes of those that
    /// never reach it. What is here already under the same id is left out.
    pub(crate) fn take_in(
        &self,
        batch: &Arc<str>,
        mut circuits: Vec<Circuit>,
        outcomes: Vec<Evaluated<I::Reading>>,
    ) -> Result<(), Overloaded> {
        let mut papers = self.papers();
        circuits.retain(|circuit| !papers.outbox.has(&circuit.id));
        let ids: Vec<EvaluationId> = circuits.iter().map(|circuit| circuit.id.clone()).collect();
        papers.queue.offer(circuits)?;
        for evaluation in ids {
            tracing::debug!(%evaluation, "a circuit waits for the board");
        }
        for outcome in outcomes {
            if !papers.outbox.has(&outcome.id) && !papers.queue.has(&outcome.id) {
                tell(&outcome);
                papers.outbox.push(batch, outcome, Instant::now());
            }
        }
        self.changed.send_replace(());
        Ok(())
    }

    /// Begins the next runner's shift. What was on the board is next again.
    pub(crate) fn take_over(&self) -> u64 {
        let mut papers = self.papers();
        papers.queue.interrupt();
        papers.shift += 1;
        self.changed.send_replace(());
        papers.shift
    }

    /// Waits for the next circuit; `None` if another runner has taken over.
    pub(crate) async fn next(&self, shift: u64, device: &Device) -> Option<Circuit> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            {
                let mut papers = self.papers();
                if papers.shift != shift {
                    return None;
                }
                let next = papers.queue.next();
                papers.push_if_due(device);
                if next.is_some() {
                    return next;
                }
            }
            // The sender lives in this desk.
            let _ = changed.changed().await;
        }
    }

    /// Counts one more attempt for the circuit on the board.
    pub(crate) fn begin(&self, shift: u64) -> u32 {
        let mut papers = self.papers();
        if papers.shift == shift { papers.queue.begin() } else { 0 }
    }

    /// Takes the outcome of the circuit on the board. `false` if another runner has taken over:
    /// the circuit is its, and this outcome is not used.
    pub(crate) fn finish(
        &self,
        shift: u64,
        batch: &Arc<str>,
        outcome: Evaluated<I::Reading>,
    ) -> bool {
        let mut papers = self.papers();
        if papers.shift != shift {
            return false;
        }
        papers.queue.finish();
        tell(&outcome);
        papers.outbox.push(batch, outcome, Instant::now());
        true
    }

    /// Pushes outcomes to the client whenever they are due.
    pub(crate) async fn push_when_due(&self, device: &Device) -> Infallible {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let due = self.papers().push_if_due(device);
            tokio::select! {
                _ = changed.changed() => {}
                () = until(due) => {}
            }
        }
    }

    /// Pushes all outcomes to the client now.
    pub(crate) fn push(&self, device: &Device) {
        self.papers().push(device);
    }

    /// Notes that the board came back.
    pub(crate) fn arrived(&self) {
        self.arrivals.send_modify(|arrivals| *arrivals += 1);
    }

    pub(crate) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }
}

impl<I: Instrument> Papers<I> {
    /// When the next push is due, after those that are have been made.
    fn push_if_due(&mut self, device: &Device) -> Option<Instant> {
        let due = self.outbox.due(self.queue.waiting())?;
        if due > Instant::now() {
            return Some(due);
        }
        self.push(device);
        None
    }

    fn push(&mut self, device: &Device) {
        for contents in self.outbox.take() {
            device.emit(RESULTS, contents);
        }
    }
}

/// Logs an outcome.
fn tell<R>(evaluated: &Evaluated<R>) {
    let (evaluation, attempt) = (&evaluated.id, evaluated.provenance.attempt);
    match &evaluated.outcome {
        Outcome::Reading { .. } => {
            tracing::debug!(%evaluation, attempt, outcome = "reading", "a circuit was read");
        }
        Outcome::Refused { code, reason } => {
            tracing::debug!(%evaluation, attempt, outcome = "refused", code, "refused: {reason}");
        }
        Outcome::Failed { code, reason } => {
            tracing::warn!(%evaluation, attempt, outcome = "failed", code, "failed: {reason}");
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
