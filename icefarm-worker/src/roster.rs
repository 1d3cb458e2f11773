//! Which boards there are: every board of every bus gets a supervisor.

use crate::actor::{Actor, BoardHandle, Shared};
use crate::lease::check_holder;
use futures::StreamExt;
use icefarm_core::wire::{ErrorCode, ErrorDetail};
use icefarm_core::{Bus, ClientName, Serial};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) struct Roster {
    shared: Arc<Shared>,
    boards: Mutex<Boards>,
}

#[derive(Default)]
struct Boards {
    handles: BTreeMap<Serial, BoardHandle>,
    supervisors: JoinSet<()>,
}

impl Roster {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, boards: Mutex::default() }
    }

    /// Gives every board of the bus a supervisor, as long as the bus tells of boards.
    pub(crate) async fn follow(&self, bus: Arc<dyn Bus>) {
        let mut boards = bus.boards();
        while let Some(board) = boards.next().await {
            let serial = board.serial().clone();
            let simulated = board.simulated();
            let Some((actor, handle)) = Actor::new(board, self.shared.clone()) else {
                tracing::error!(
                    %serial, bus = bus.name(),
                    "a board of this serial is here already; this one is left alone"
                );
                continue;
            };
            tracing::info!(%serial, bus = bus.name(), simulated, "found a board");
            let mut boards = self.lock();
            boards.handles.insert(serial, handle);
            boards.supervisors.spawn(actor.run());
        }
        tracing::warn!(bus = bus.name(), "the bus has ended; no more boards are found on it");
    }

    /// The board of that serial, if it belongs to the inventory.
    pub(crate) fn get(&self, serial: &Serial) -> Result<BoardHandle, ErrorDetail> {
        let listed = self.shared.ledger.get(serial).is_some();
        let handle = self.lock().handles.get(serial).filter(|_| listed).cloned();
        handle.ok_or_else(|| unknown(serial))
    }

    /// Whether the client may command the board, by its last report.
    pub(crate) fn admit(&self, client: &ClientName, serial: &Serial) -> Result<(), ErrorDetail> {
        let report = self.shared.ledger.get(serial).ok_or_else(|| unknown(serial))?;
        check_holder(report.lease.as_ref().map(|lease| &lease.client), client)
    }

    /// Whether the client holds any board of this worker.
    pub(crate) fn serves(&self, client: &ClientName) -> bool {
        self.shared.ledger.holds_any(client)
    }

    /// Ends the leases that are left, because the worker is stopping. The boards go on to where they
    /// are between leases.
    pub(crate) async fn drain(&self) {
        let handles: Vec<BoardHandle> = self.lock().handles.values().cloned().collect();
        futures::future::join_all(handles.iter().map(BoardHandle::drain)).await;
    }

    /// Ends all leases and their states, and gives them so long.
    pub(crate) async fn close(&self, limit: Duration) {
        let (handles, mut supervisors) = {
            let mut boards = self.lock();
            let handles: Vec<BoardHandle> = boards.handles.values().cloned().collect();
            (handles, std::mem::take(&mut boards.supervisors))
        };
        let closed = async {
            futures::future::join_all(handles.iter().map(BoardHandle::close)).await;
            while supervisors.join_next().await.is_some() {}
        };
        if timeout(limit, closed).await.is_err() {
            tracing::warn!("{} boards did not finish in time and are let go", supervisors.len());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Boards> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(serial: &Serial) -> ErrorDetail {
    let message = format!("this worker has no board {serial}");
    ErrorDetail::new(ErrorCode::UnknownSerial, message)
}
