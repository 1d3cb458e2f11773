//! The farm as it is shown: by `/v1`, by the panel, and live.

use crate::machine::{Board, Contact, Farm, Lease, Worker, millis};
use icefarm_core::Timestamp;
use icefarm_core::wire::{BoardDetail, LeaseDetail, WorkerContact, WorkerDetail};
use std::sync::Arc;

pub(crate) fn boards(farm: &Farm, now: Timestamp) -> Vec<BoardDetail> {
    farm.boards.values().map(|board| self::board(farm, board, now)).collect()
}

pub(crate) fn board(farm: &Farm, board: &Board, now: Timestamp) -> BoardDetail {
    let report = &board.report;
    BoardDetail {
        serial: report.serial.clone(),
        name: None,
        worker: board.worker.clone(),
        status: farm.status(board),
        reason: report.reason.clone(),
        since: None,
        simulated: report.simulated,
        labels: report.labels.clone(),
        lease: farm.leases.get(&report.serial).map(|lease| self::lease(farm, lease, now)),
    }
}

pub(crate) fn leases(farm: &Farm, now: Timestamp) -> Vec<LeaseDetail> {
    farm.leases.values().map(|lease| self::lease(farm, lease, now)).collect()
}

fn lease(farm: &Farm, lease: &Lease, now: Timestamp) -> LeaseDetail {
    let served = farm.boards.get(&lease.serial).and_then(|board| board.report.lease.as_ref());
    LeaseDetail {
        lease: lease.id,
        serial: lease.serial.clone(),
        client: lease.client.clone(),
        kind: lease.kind.clone(),
        args: lease.args.keys().cloned().collect(),
        reservation: lease.reservation.clone(),
        since: lease.granted,
        expires_in_ms: millis(lease.expires.since(now)),
        expires: lease.expires,
        renewed_by_socket: lease.renewed_by_socket,
        phase: served.filter(|served| served.lease == lease.id).map(|served| served.phase),
    }
}

pub(crate) fn workers(farm: &Farm) -> Vec<WorkerDetail> {
    farm.workers.values().map(|worker| self::worker(farm, worker)).collect()
}

fn worker(farm: &Farm, worker: &Arc<Worker>) -> WorkerDetail {
    let boards = farm.boards.values().filter(|board| board.worker == worker.name).count();
    WorkerDetail {
        name: worker.name.clone(),
        url: worker.url.clone(),
        version: worker.version.clone(),
        incarnation: worker.incarnation.clone(),
        kinds: worker.kinds.clone(),
        plugins: worker.plugins.clone(),
        reachable: worker.contact == Contact::Reachable,
        contact: contact(worker.contact),
        last_contact: worker.heard.unwrap_or(worker.seen),
        boards: u32::try_from(boards).unwrap_or(u32::MAX),
        refused: worker.refused.iter().cloned().collect(),
    }
}

pub(crate) fn contact(contact: Contact) -> WorkerContact {
    match contact {
        Contact::Awaited => WorkerContact::Awaited,
        Contact::Reachable => WorkerContact::Reachable,
        Contact::Unreachable => WorkerContact::Unreachable,
        Contact::Lost => WorkerContact::Lost,
    }
}
