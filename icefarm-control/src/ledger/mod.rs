//! The one place where the farm changes.
//!
//! A single writer owns the store. It decides about a batch of commands, commits what comes of
//! them, and only then answers, shows the new farm to readers, and sends the events. The farm in
//! memory is a copy of what is stored.

mod chronicle;
mod draft;
mod story;
mod trail;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use chronicle::{Chronicle, Standings, Wanted};
pub(crate) use story::of_reboot;
pub(crate) use trail::Trail;
pub(crate) use writer::Outlet;

use crate::access::Tokens;
use crate::machine::{Answer, Command, Farm, Refusal};
use crate::store::{AuditWanted, Store, StoreError, Stored, TokenChange, Trim};
use icefarm_core::wire::{AuditEntry, ErrorCode, ErrorDetail, JournalEntry};
use icefarm_core::{ClientName, Clock, SteadyClock, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};
use writer::{Order, Writer};

/// How many commands may wait for the writer before who brings more has to wait too.
const QUEUE: usize = 1024;
/// How many commands are committed together at most.
const BATCH: usize = 256;

/// Why a command has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LedgerError {
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be written down, and has had no effect.
    #[error("{0}")]
    Failed(Arc<StoreError>),
    /// The writer has ended.
    #[error("the ledger is closed")]
    Closed,
}

impl LedgerError {
    /// The error as it travels. What the store says stays in the log.
    pub(crate) fn detail(&self) -> ErrorDetail {
        match self {
            Self::Refused(refusal) => refusal.detail(),
            Self::Failed(_) => ErrorDetail::new(
                ErrorCode::Internal,
                "control could not write this down, so nothing was done; its log says why",
            ),
            Self::Closed => ErrorDetail::new(
                ErrorCode::Unavailable,
                "control is ending, or its database has failed for good; see its log",
            ),
        }
    }
}

/// Whether the ledger writes.
#[derive(Debug, Clone)]
pub(crate) enum Health {
    Well,
    Failing(Arc<StoreError>),
}

/// The positions up to which letters are not needed any more, until the writer takes them.
#[derive(Debug, Default)]
pub(crate) struct Trims(Mutex<BTreeMap<ClientName, (u64, u64)>>);

impl Trims {
    /// Notes that a stream's letters up to `through` go, of which those up to `dropped` were given
    /// up.
    pub(crate) fn note(&self, client: &ClientName, through: u64, dropped: u64) {
        let mut trims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = trims.entry(client.clone()).or_default();
        *entry = (entry.0.max(through), entry.1.max(dropped));
    }

    fn take(&self) -> Vec<Trim> {
        let mut trims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let trims = std::mem::take(&mut *trims);
        let trim = |(client, (through, dropped))| Trim { client, through, dropped };
        trims.into_iter().map(trim).collect()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// What the writer is asked for.
enum Work {
    /// To decide about a command, and to write down who gave it if it changes something.
    Command(Box<Command>, Option<Box<Trail>>),
    /// To write down that something happened that changes nothing.
    Note(Box<JournalEntry>),
    /// To write down what becomes of tokens, and by whom.
    Tokens(Vec<TokenChange>, Box<Trail>),
    /// To write down that somebody did something, or was not allowed to.
    Trail(Box<Trail>),
    /// Nothing but what is due anyway.
    Nothing,
}

/// What the ledger keeps beside the farm.
pub(crate) struct Beside {
    /// Positions up to which letters are not needed any more.
    pub(crate) trims: Arc<Trims>,
    /// The tokens as they were committed last.
    pub(crate) tokens: Arc<Tokens>,
    /// How many entries of the audit log are kept.
    pub(crate) audit_kept: u64,
}

/// Where the writer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Desk {
    /// In a thread of its own, so that waiting for the disk holds nothing up.
    Thread,
    /// In the task that brings the command, which keeps a simulation in one thread.
    Inline,
}

enum Door {
    Thread(mpsc::Sender<Order>),
    Inline(Mutex<Option<Writer>>),
}

/// The way to the writer, and the view of what it has committed.
pub(crate) struct Ledger {
    door: Door,
    farm: watch::Receiver<Arc<Farm>>,
    health: watch::Receiver<Health>,
    chronicle: Arc<Chronicle>,
    trims: Arc<Trims>,
    clock: SteadyClock,
}

impl Ledger {
    /// Starts the writer on a store that was loaded as `stored`. Called in a runtime.
    pub(crate) fn start(
        store: Box<dyn Store>,
        stored: Stored,
        Beside { trims, tokens, audit_kept }: Beside,
        outlet: Arc<dyn Outlet>,
        clock: SteadyClock,
        desk: Desk,
    ) -> std::io::Result<Self> {
        let Stored { farm, epoch, journal, standings, last_audit, .. } = stored;
        let farm = Arc::new(farm);
        let (farm_sender, farm_receiver) = watch::channel(farm.clone());
        let (health_sender, health) = watch::channel(Health::Well);
        let chronicle = Arc::new(Chronicle::new(epoch, journal, standings));
        let writer = Writer {
            store,
            last: farm.started,
            farm,
            published: farm_sender,
            health: health_sender,
            chronicle: chronicle.clone(),
            trims: trims.clone(),
            tokens,
            last_audit,
            audit_kept,
            outlet,
        };
        let door = match desk {
            Desk::Inline => Door::Inline(Mutex::new(Some(writer))),
            Desk::Thread => {
                let (sender, orders) = mpsc::channel(QUEUE);
                let runtime = tokio::runtime::Handle::current();
                std::thread::Builder::new().name("icefarm-ledger".to_owned()).spawn(move || {
                    // Timers and clocks of the runtime must work in here, too.
                    let _runtime = runtime.enter();
                    writer.run(orders);
                })?;
                Door::Thread(sender)
            }
        };
        Ok(Self { door, farm: farm_receiver, health, chronicle, trims, clock })
    }

    /// Has a command decided, and its effects written down.
    pub(crate) async fn submit(&self, command: Command) -> Result<Answer, LedgerError> {
        self.send(Work::Command(Box::new(command), None)).await
    }

    /// As [`Self::submit`], for somebody whose deeds are written down.
    pub(crate) async fn submit_for(
        &self,
        command: Command,
        trail: Trail,
    ) -> Result<Answer, LedgerError> {
        self.send(Work::Command(Box::new(command), Some(Box::new(trail)))).await
    }

    /// Has it written down that somebody did something, or was not allowed to.
    pub(crate) async fn audit(&self, trail: Trail) -> Result<(), LedgerError> {
        self.send(Work::Trail(Box::new(trail))).await.map(drop)
    }

    /// Has it written down what becomes of tokens, and shows it to [`Tokens`].
    pub(crate) async fn change_tokens(
        &self,
        changes: Vec<TokenChange>,
        trail: Trail,
    ) -> Result<(), LedgerError> {
        self.send(Work::Tokens(changes, Box::new(trail))).await.map(drop)
    }

    /// Who did what.
    pub(crate) async fn audited(
        &self,
        wanted: AuditWanted,
    ) -> Result<Vec<AuditEntry>, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Audit { wanted, reply }).await?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Has it written down that something happened that changes nothing.
    pub(crate) async fn note(&self, entry: JournalEntry) -> Result<(), LedgerError> {
        self.send(Work::Note(Box::new(entry))).await.map(drop)
    }

    /// Has trims written down, if there are any.
    pub(crate) async fn tidy(&self) -> Result<(), LedgerError> {
        if self.trims.is_empty() {
            return Ok(());
        }
        self.send(Work::Nothing).await.map(drop)
    }

    async fn send(&self, work: Work) -> Result<Answer, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Do { work, now: self.clock.now(), reply }).await?;
        // A writer that panics drops the reply.
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    async fn order(&self, order: Order) -> Result<(), LedgerError> {
        match &self.door {
            Door::Thread(orders) => orders.send(order).await.map_err(|_| LedgerError::Closed)?,
            Door::Inline(writer) => {
                let mut writer = writer.lock().map_err(|_| LedgerError::Closed)?;
                writer.as_mut().ok_or(LedgerError::Closed)?.write(vec![order]);
            }
        }
        Ok(())
    }

    /// Ends the writer and lets go of the store.
    pub(crate) async fn close(&self) {
        match &self.door {
            Door::Thread(orders) => {
                let (done, ended) = oneshot::channel();
                if orders.send(Order::Close { done }).await.is_ok() {
                    // An error means that the writer has ended by itself.
                    let _ = ended.await;
                }
            }
            Door::Inline(writer) => {
                writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        }
    }

    /// The farm as it was committed last.
    pub(crate) fn farm(&self) -> Arc<Farm> {
        self.farm.borrow().clone()
    }

    /// The farm, for who wants to be told of every change.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Farm>> {
        self.farm.clone()
    }

    /// Whether the ledger writes, for who wants to be told when that changes.
    pub(crate) fn watch_health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// What happened last.
    pub(crate) fn chronicle(&self) -> &Chronicle {
        &self.chronicle
    }

    /// The present time by the farm's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What is wrong with the ledger, if anything is.
    pub(crate) fn complaint(&self) -> Option<String> {
        let is_closed = match &self.door {
            Door::Thread(orders) => orders.is_closed(),
            Door::Inline(writer) => writer.lock().map_or(true, |writer| writer.is_none()),
        };
        if is_closed {
            return Some("the ledger has ended; control must be started again".to_owned());
        }
        match &*self.health.borrow() {
            Health::Well => None,
            Health::Failing(error) => Some(format!("the last write failed: {error}")),
        }
    }
}
