//! The writer: decides, commits, answers, tells.

use super::chronicle::Chronicle;
use super::draft::Draft;
use super::{BATCH, Health, LedgerError, Trims, Work};
use crate::access::Tokens;
use crate::machine::{Answer, Change, Farm};
use crate::store::{AuditWanted, Letter, Store};
use icefarm_core::wire::{AuditEntry, Event, QueuePosition, events};
use icefarm_core::{ClientName, Object, Timestamp, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Where events go when they are written down.
pub(crate) trait Outlet: Send + Sync + 'static {
    /// Sends a numbered letter to a client.
    fn deliver(&self, client: &ClientName, seq: u64, letter: &Letter);
    /// Sends an event that is soon out of date to everybody.
    fn announce(&self, event: Event);
    /// Sends an event that is soon out of date to a client.
    fn whisper(&self, client: &ClientName, event: Event);
    /// Hears of changes that were written down, and how long that took.
    fn committed(&self, changes: &[Change], took: Duration);
    /// Hears that something could not be written down.
    fn failed(&self);
}

pub(super) type Reply = oneshot::Sender<Result<Answer, LedgerError>>;

/// What the writer is given to do.
pub(super) enum Order {
    /// Something, and trims on the way.
    Do { work: Work, now: Timestamp, reply: Reply },
    /// To look something up in the audit log.
    Audit { wanted: AuditWanted, reply: oneshot::Sender<Result<Vec<AuditEntry>, LedgerError>> },
    /// To end, and to say so when the store is closed.
    Close { done: oneshot::Sender<()> },
}

pub(super) struct Writer {
    pub(super) store: Box<dyn Store>,
    pub(super) farm: Arc<Farm>,
    pub(super) published: watch::Sender<Arc<Farm>>,
    pub(super) health: watch::Sender<Health>,
    pub(super) chronicle: Arc<Chronicle>,
    pub(super) trims: Arc<Trims>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) last_audit: u64,
    pub(super) audit_kept: u64,
    pub(super) outlet: Arc<dyn Outlet>,
    pub(super) last: Timestamp,
}

impl Writer {
    /// Works until the end.
    pub(super) fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        while let Some(first) = orders.blocking_recv() {
            let mut batch = vec![first];
            // Whoever came while the disk was busy shares the next commit.
            while batch.len() < BATCH
                && let Ok(next) = orders.try_recv()
            {
                batch.push(next);
            }
            if let Some(done) = self.write(batch) {
                // Who still waits is told by the end of the queue.
                drop((self, orders));
                // Nobody may be waiting for it any more.
                let _ = done.send(());
                return;
            }
        }
    }

    /// Does what is ordered, all of it in one transaction. What is ordered after an end is
    /// dropped, and its senders see that.
    pub(super) fn write(&mut self, orders: Vec<Order>) -> Option<oneshot::Sender<()>> {
        let mut end = None;
        let (standings, last_entry) = (self.chronicle.standings(), self.chronicle.last());
        let mut draft = Draft::new(&self.farm, self.last, standings, last_entry);
        (draft.last_audit, draft.batch.audit_kept) = (self.last_audit, self.audit_kept);
        let mut questions = Vec::new();
        for order in orders {
            match order {
                Order::Do { work, now, reply } => draft.add(work, now, reply),
                Order::Audit { wanted, reply } => questions.push((wanted, reply)),
                Order::Close { done } => {
                    end = Some(done);
                    break;
                }
            }
        }
        draft.batch.trims = self.trims.take();
        self.last = draft.batch.at;
        let begun = Instant::now();
        match self.store.commit(&draft.batch) {
            Ok(numbers) => {
                if !draft.batch.is_empty() {
                    self.outlet.committed(&draft.batch.changes, begun.elapsed());
                }
                self.finish(draft, &numbers);
            }
            Err(error) => {
                tracing::error!(%error, "the ledger cannot be written");
                self.outlet.failed();
                let error = Arc::new(error);
                self.health.send_replace(Health::Failing(error.clone()));
                for trim in draft.batch.trims {
                    self.trims.note(&trim.client, trim.through, trim.dropped);
                }
                for (reply, _) in draft.replies {
                    // A refusal may rest on what was not written, so it does not count either.
                    let _ = reply.send(Err(LedgerError::Failed(error.clone())));
                }
            }
        }
        for (wanted, reply) in questions {
            let found = self.store.audit(&wanted);
            // The asker may have gone.
            let _ = reply.send(found.map_err(|error| LedgerError::Failed(Arc::new(error))));
        }
        end
    }

    fn finish(&mut self, draft: Draft, numbers: &[u64]) {
        if !draft.batch.is_empty() {
            self.health.send_if_modified(|health| {
                let recovers = matches!(health, Health::Failing(_));
                if recovers {
                    tracing::info!("the ledger can be written again");
                    *health = Health::Well;
                }
                recovers
            });
        }
        self.chronicle.add(draft.batch.entries);
        self.tokens.apply(&draft.batch.tokens);
        self.last_audit = draft.last_audit;
        let before = self.farm.clone();
        if !draft.batch.changes.is_empty() {
            self.farm = Arc::new(draft.farm);
            self.published.send_replace(self.farm.clone());
        }
        for (reply, answer) in draft.replies {
            // The asker may have gone; what it asked for is done all the same.
            let _ = reply.send(answer);
        }
        for ((client, letter), seq) in draft.batch.letters.iter().zip(numbers) {
            self.outlet.deliver(client, *seq, letter);
        }
        if let Some(amount) = draft.available {
            self.outlet.announce(Event::new(events::DEVICES_AVAILABLE).with("amount", amount));
        }
        self.tell_positions(&before);
    }

    /// Tells who waits where they stand now, if that is elsewhere than before.
    fn tell_positions(&self, before: &Farm) {
        let now = &self.farm;
        let (old, new) = (before.queue.keys(), now.queue.keys());
        if old.eq(new) {
            return;
        }
        let before = before.positions();
        for (client, positions) in now.positions() {
            let known = before.get(&client);
            if known.is_some_and(|known| known.requests == positions.requests) {
                continue;
            }
            let request = |position: &QueuePosition| {
                Value::Object(Object::from_iter([
                    ("request".to_owned(), position.request.as_str().into()),
                    ("reservation".to_owned(), position.reservation.as_str().into()),
                    ("position".to_owned(), position.position.into()),
                ]))
            };
            let requests: Vec<Value> = positions.requests.iter().map(request).collect();
            let event = Event::new(events::QUEUE_POSITIONS)
                .with("waiting", positions.waiting)
                .with("requests", requests);
            self.outlet.whisper(&client, event);
        }
    }
}
