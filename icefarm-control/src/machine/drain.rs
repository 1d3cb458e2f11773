//! Boards and workers go out of service: nothing new is placed on them, and what goes on goes on.

use super::draft::Draft;
use super::farm::millis;
use super::workers::{boards_of, check_speaker};
use super::{Answer, Change, EndReason, Lease, Refusal};
use icefarm_core::wire::{Event, events};
use icefarm_core::{Incarnation, Serial, WorkerName};
use std::sync::Arc;
use std::time::Duration;

/// An operator drains a worker, or takes it back. What is out of service already needs nothing.
pub(super) fn worker(
    draft: &mut Draft<'_>,
    worker: &WorkerName,
    on: bool,
) -> Result<Answer, Refusal> {
    let farm = draft.farm();
    let before = farm.drained.workers.contains(worker);
    // One that was forgotten meanwhile can be taken back: it may come again.
    if !before && !farm.workers.contains_key(worker) {
        return Err(Refusal::UnknownWorker { worker: worker.clone() });
    }
    if before != on {
        draft.change(Change::WorkerDrained { worker: worker.clone(), on });
        if on {
            tell(draft, &leases_of(draft, worker), None);
        }
    }
    Ok(held(&leases_of(draft, worker)))
}

/// An operator drains a board, or takes it back.
pub(super) fn board(draft: &mut Draft<'_>, serial: &Serial, on: bool) -> Result<Answer, Refusal> {
    let farm = draft.farm();
    let before = farm.drained.boards.contains(serial);
    if !before && !farm.boards.contains_key(serial) {
        return Err(Refusal::UnknownSerial { serial: serial.clone() });
    }
    let lease: Vec<_> = farm.leases.get(serial).cloned().into_iter().collect();
    if before != on {
        draft.change(Change::BoardDrained { serial: serial.clone(), on });
        if on {
            tell(draft, &lease, None);
        }
    }
    Ok(held(&lease))
}

/// A worker says that it is stopping.
pub(super) fn stops(
    draft: &mut Draft<'_>,
    worker: &WorkerName,
    incarnation: &Incarnation,
    within: Duration,
) -> Result<Answer, Refusal> {
    check_speaker(draft.farm(), worker, incarnation)?;
    stop_within(draft, worker, within);
    Ok(Answer::Done)
}

/// The first word counts: with every heartbeat the time that is left is told again.
pub(super) fn stop_within(draft: &mut Draft<'_>, worker: &WorkerName, within: Duration) {
    let known = draft.farm().workers.get(worker);
    if known.is_none_or(|known| known.stops.is_some()) {
        return;
    }
    let at = draft.now.after(within);
    draft.change(Change::WorkerStops { worker: worker.clone(), at });
    tell(draft, &leases_of(draft, worker), Some(within));
}

/// A worker has stopped. What it did not end itself never arrived there, and is ended here.
pub(super) fn leave(
    draft: &mut Draft<'_>,
    worker: &WorkerName,
    incarnation: &Incarnation,
) -> Result<Answer, Refusal> {
    check_speaker(draft.farm(), worker, incarnation)?;
    for lease in leases_of(draft, worker) {
        draft.end_lease(&lease.serial, EndReason::Drained);
    }
    let at = draft.now;
    draft.change(Change::WorkerLeft { worker: worker.clone(), at });
    Ok(Answer::Done)
}

fn leases_of(draft: &Draft<'_>, worker: &WorkerName) -> Vec<Arc<Lease>> {
    let farm = draft.farm();
    let boards = boards_of(farm, worker);
    boards.iter().filter_map(|board| farm.leases.get(board.serial()).cloned()).collect()
}

fn held(leases: &[Arc<Lease>]) -> Answer {
    Answer::Held(leases.iter().map(|lease| lease.serial.clone()).collect())
}

/// Tells the holders, with the time that is left if the worker does not wait for ever.
fn tell(draft: &mut Draft<'_>, leases: &[Arc<Lease>], within: Option<Duration>) {
    for lease in leases {
        let mut event = Event::new(events::DRAINING);
        if let Some(board) = draft.farm().boards.get(&lease.serial) {
            event = event.with("worker", board.worker.as_str());
        }
        if let Some(within) = within {
            event = event.with("ends_in_ms", millis(within));
        }
        draft.tell(lease, vec![event]);
    }
}
