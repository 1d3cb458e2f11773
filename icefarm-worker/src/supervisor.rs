//! The supervisor of one board without a farm around it.

use crate::WorkerConfig;
use crate::actor::{Actor, BoardHandle, Shared};
use crate::lease::{Abandoned, EventSink, PluginThreads};
use crate::ledger::Ledger;
use crate::metrics::Counts;
use icefarm_core::wire::{BoardReport, EndBoard, ErrorDetail, ExtendBoard, ReserveBoard};
use icefarm_core::{
    Board, ClientName, Clock, LeaseId, Object, Registry, Serial, Value, WorkerName,
};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What a [`Supervisor`] needs beside its board.
pub struct Supervision {
    /// The name of the worker, as states see it.
    pub worker: WorkerName,
    /// The kinds that the board can be reserved as.
    pub registry: Registry,
    /// What tells states the wall time.
    pub clock: Arc<dyn Clock>,
    /// Deadlines and bounds.
    pub config: WorkerConfig,
    /// Where events for clients go.
    pub events: Arc<dyn EventSink>,
    /// The runtime on which states run, as that of a test which pauses time. `None` gives each
    /// state a thread and a runtime of its own, as in a worker.
    pub states_on: Option<Handle>,
}

impl fmt::Debug for Supervision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, registry, config, .. } = self;
        f.debug_struct("Supervision")
            .field("worker", worker)
            .field("registry", registry)
            .field("config", config)
            .finish_non_exhaustive()
    }
}

/// A board with what a worker does for it: it is flashed, tested, offered, leased and taken back
/// by the same code, with the same deadlines. Instead of a control server its owner gives the
/// leases, and instead of sockets it has an [`EventSink`].
///
/// Test kits and simulations are made of this. Dropping it ends the lease and lets go of the board.
pub struct Supervisor {
    serial: Serial,
    board: BoardHandle,
    ledger: Arc<Ledger>,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl Supervisor {
    /// Begins with making the board ready. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(board: Arc<dyn Board>, supervision: Supervision) -> Self {
        let Supervision { worker, registry, clock, config, events, states_on } = supervision;
        let ledger = Arc::new(Ledger::new());
        let counts = Counts::new(&registry.kind_infos());
        let shared = Arc::new(Shared {
            counts,
            worker,
            config,
            registry: Arc::new(registry),
            clock,
            events,
            ledger: ledger.clone(),
            threads: states_on.map_or(PluginThreads::Own, PluginThreads::On),
            abandoned: Abandoned::default(),
        });
        let serial = board.serial().clone();
        let (actor, board) =
            Actor::new(board, shared).expect("the ledger is new, and has no board");
        tokio::spawn(actor.run());
        Self { serial, board, ledger }
    }

    /// What a worker would tell its control server of the board now. `None` once the board was
    /// deleted, until it is back.
    #[must_use]
    pub fn report(&self) -> Option<BoardReport> {
        self.ledger.get(&self.serial)
    }

    /// Waits until there is a report as `wanted`.
    pub async fn wait_for(&self, mut wanted: impl FnMut(&BoardReport) -> bool) -> BoardReport {
        let mut changes = self.ledger.changes();
        loop {
            if let Some(report) = self.report().filter(|report| wanted(report)) {
                return report;
            }
            // The sender lives as long as the ledger.
            let _ = changes.changed().await;
        }
    }

    /// Gives the board to a client, as control does with `/reserve`. Answers when it is known
    /// whether the arguments make a state, or at once if the board is not ready yet.
    ///
    /// # Errors
    /// As a worker answers: `unknown_kind`, `bad_arguments`, `stale_lease`, `not_available`.
    pub async fn reserve(&self, terms: ReserveBoard) -> Result<(), ErrorDetail> {
        self.board.reserve(terms).await
    }

    /// Moves the end of a lease.
    ///
    /// # Errors
    /// `stale_lease` and `not_reserved`.
    pub async fn extend(&self, extend: ExtendBoard) -> Result<(), ErrorDetail> {
        self.board.extend(extend).await
    }

    /// Ends a lease. That nothing is left of it shows in [`Self::report`].
    ///
    /// # Errors
    /// If the supervisor has ended.
    pub async fn end(&self, lease: LeaseId) -> Result<(), ErrorDetail> {
        self.board.end(EndBoard { serial: self.serial.clone(), lease }).await
    }

    /// Has the state bring the board back to work.
    ///
    /// # Errors
    /// `not_reserved`.
    pub async fn reboot(&self) -> Result<(), ErrorDetail> {
        self.board.reboot(None).await
    }

    /// Puts a client's command into the board's queue before it returns; the future is its answer.
    pub fn command(
        &self,
        client: &ClientName,
        event: String,
        contents: Object,
    ) -> impl Future<Output = Result<Value, ErrorDetail>> + Send + use<> {
        let bytes = icefarm_net::heft(&contents);
        self.board.command(client, None, event, contents.into(), bytes)
    }
}
