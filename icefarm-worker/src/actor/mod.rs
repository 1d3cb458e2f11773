//! The supervisor of one board: one task that leads it through its life and never runs a line of
//! a plug-in itself, so that it is there whatever a plug-in does.

mod asks;
mod desk;
mod handle;
mod serve;

pub(crate) use handle::{BoardHandle, Request};

use crate::WorkerConfig;
use crate::board::{ResidueLedger, Restored, restore};
use crate::lease::{Abandoned, EventSink, Fence, PluginThreads, Tenancy, Urgent};
use crate::ledger::Ledger;
use crate::metrics::Counts;
use icefarm_core::board::Presence;
use icefarm_core::wire::{BoardReport, BoardStatus};
use icefarm_core::{Board, Clock, ImageInfo, LeaseId, Registry, Serial, WorkerName};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// What all boards of a worker have in common.
pub(crate) struct Shared {
    pub(crate) worker: WorkerName,
    pub(crate) config: WorkerConfig,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) threads: PluginThreads,
    pub(crate) counts: Counts,
    /// States that were left to themselves because they keep their threads.
    pub(crate) abandoned: Abandoned,
}

/// The supervisor.
pub(crate) struct Actor {
    board: Arc<dyn Board>,
    serial: Serial,
    presence: watch::Receiver<Presence>,
    shared: Arc<Shared>,
    mailbox: mpsc::Receiver<Request>,
    tenancy: Tenancy,
    residue: Arc<ResidueLedger>,
    /// The way to the state that runs, while it is not told to end.
    urgent: Option<mpsc::UnboundedSender<Urgent>>,
    /// What keeps it apart once its lease is over.
    fence: Option<Arc<Fence>>,
    /// The image that the board holds, as long as that is certain.
    running: Option<ImageInfo>,
    /// Why no lease can be taken at the moment.
    unfit: Option<String>,
    /// Whether a lease that is taken now has its state built at once.
    ready: bool,
    /// Somebody wants the board to begin its life anew.
    again: bool,
    /// The worker is stopping, and takes no more leases.
    draining: bool,
    /// The worker ends.
    closing: bool,
}

impl Actor {
    /// A supervisor to be spawned, and the way to reach it. `None` if the worker has a board of
    /// that serial.
    pub(crate) fn new(board: Arc<dyn Board>, shared: Arc<Shared>) -> Option<(Self, BoardHandle)> {
        let serial = board.serial().clone();
        let simulated = board.simulated();
        let labels = simulated.then(|| ("simulated".to_owned(), "true".to_owned()));
        let added = shared.ledger.add(BoardReport {
            serial: serial.clone(),
            status: BoardStatus::AwaitFlashDefault,
            reason: None,
            simulated,
            labels: labels.into_iter().collect::<BTreeMap<_, _>>(),
            token: LeaseId::default(),
            rev: 1,
            lease: None,
            ended: None,
        });
        if !added {
            return None;
        }
        let (handle, mailbox) = BoardHandle::new(serial.clone());
        let presence = board.presence();
        let actor = Self {
            board,
            serial,
            presence,
            shared,
            mailbox,
            tenancy: Tenancy::default(),
            residue: Arc::default(),
            urgent: None,
            fence: None,
            running: None,
            unfit: None,
            ready: false,
            again: false,
            draining: false,
            closing: false,
        };
        Some((actor, handle))
    }

    /// The board's whole life with this worker.
    pub(crate) async fn run(mut self) {
        while !self.closing {
            self.again = false;
            match self.restore().await {
                Some(Restored::Ready(info)) => {
                    self.running = Some(info);
                    self.offer().await;
                    if !self.closing && self.tenancy.next.is_some() {
                        self.serve().await;
                    }
                }
                Some(Restored::Gone) => self.away().await,
                Some(Restored::Broken(reason)) => self.broken(reason).await,
                None => {}
            }
        }
        self.fail("the worker is shutting down");
        self.stand(BoardStatus::Offline, Some("the worker is shutting down".to_owned()));
        self.mailbox.close();
        while let Some(request) = self.mailbox.recv().await {
            self.attend(request);
        }
    }

    /// Takes the board back to its default firmware. `None` if the worker stops meanwhile.
    async fn restore(&mut self) -> Option<Restored> {
        self.shared.ledger.list(&self.serial, true);
        let (board, shared, serial) =
            (self.board.clone(), self.shared.clone(), self.serial.clone());
        let running = self.running.take();
        let work = async move {
            let tell = |status, reason| tell(&shared.ledger, &serial, status, reason);
            let climbed = |rung, outcome| shared.counts.recovered(rung, outcome);
            restore(&*board, running, &shared.config.board, tell, climbed).await
        };
        let mut work = Box::pin(work);
        loop {
            tokio::select! {
                biased;
                restored = &mut work => return Some(restored),
                () = self.listen() => {
                    if self.closing {
                        return None;
                    }
                }
            }
        }
    }

    /// Offers the board until somebody takes it, or something happens to it.
    async fn offer(&mut self) {
        let mut presence = self.presence.clone();
        let before = *presence.borrow_and_update();
        if self.tenancy.next.is_none() {
            tracing::info!(serial = %self.serial, "available");
            self.stand(BoardStatus::Available, None);
        }
        self.ready = true;
        while self.tenancy.next.is_none() && !self.again && !self.closing {
            tokio::select! {
                biased;
                changed = presence.changed() => {
                    if changed.is_err() || *presence.borrow_and_update() != before {
                        // What runs on a board that was away is not known.
                        self.running = None;
                        break;
                    }
                }
                () = self.listen() => {}
            }
        }
        self.ready = false;
    }

    /// The board is off the bus: waits until it is back.
    async fn away(&mut self) {
        self.running = None;
        self.unfit("the board is not on the bus; check its cable and its power");
        let reason = self.unfit.clone();
        tracing::warn!(serial = %self.serial, "offline: not on the bus");
        self.stand(BoardStatus::Offline, reason);
        let mut presence = self.presence.clone();
        loop {
            tokio::select! {
                biased;
                back = reached(&mut presence, |presence| presence.face.is_some()) => {
                    if back {
                        tracing::info!(serial = %self.serial, "back on the bus");
                    } else {
                        self.until_closing().await;
                    }
                    break;
                }
                () = self.listen() => {
                    if self.closing {
                        break;
                    }
                    if std::mem::take(&mut self.again) {
                        // Deleted, and nothing is there to be added again.
                        tracing::info!(serial = %self.serial, "removed");
                        self.shared.ledger.list(&self.serial, false);
                    }
                }
            }
        }
        self.unfit = None;
    }

    /// Everything was tried in vain: waits until somebody deletes the board, or plugs it anew.
    async fn broken(&mut self, reason: String) {
        tracing::error!(serial = %self.serial, "broken: {reason}");
        self.unfit(&format!("the board is broken: {reason}"));
        self.stand(BoardStatus::Broken, Some(reason));
        let arrivals = self.presence.borrow_and_update().arrivals;
        let mut presence = self.presence.clone();
        while !self.again && !self.closing {
            tokio::select! {
                biased;
                plugged = reached(&mut presence, |presence| presence.arrivals > arrivals) => {
                    if !plugged {
                        self.until_closing().await;
                    }
                    break;
                }
                () = self.listen() => {}
            }
        }
        self.unfit = None;
    }

    /// From now on leases are refused, and the one that waits fails.
    fn unfit(&mut self, reason: &str) {
        self.unfit = Some(reason.to_owned());
        self.fail(reason);
    }

    /// The bus has no more to say of this board.
    async fn until_closing(&mut self) {
        while !self.closing {
            self.listen().await;
        }
    }

    fn stand(&self, status: BoardStatus, reason: Option<String>) {
        tell(&self.shared.ledger, &self.serial, status, reason);
    }
}

/// Waits until the bus shows what is wanted. `false` if it tells nothing of the board any more.
async fn reached(
    presence: &mut watch::Receiver<Presence>,
    wanted: impl FnMut(&Presence) -> bool,
) -> bool {
    presence.wait_for(wanted).await.is_ok()
}

fn tell(ledger: &Ledger, serial: &Serial, status: BoardStatus, reason: Option<String>) {
    tracing::debug!(%serial, reason, "the board is {status}");
    ledger.update(serial, |report| {
        report.status = status;
        report.reason = reason;
    });
}
