//! `/v1`: what the farm is at, in detail.

use super::Context;
use crate::machine::{Board, Contact, Farm, Lease, Worker, millis};
use icefarm_core::Timestamp;
use icefarm_core::wire::{BoardDetail, LeaseDetail, WorkerDetail};
use icefarm_net::json;
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let view = |show: fn(&Farm, Timestamp) -> Response| {
        let context = context.clone();
        move || show(&context.ledger.farm(), context.ledger.now())
    };
    let boards = warp::path!("v1" / "boards")
        .and(warp::get())
        .map(view(|farm, now| json(&boards(farm, now))));
    let leases = warp::path!("v1" / "leases")
        .and(warp::get())
        .map(view(|farm, now| json(&leases(farm, now))));
    let workers =
        warp::path!("v1" / "workers").and(warp::get()).map(view(|farm, _| json(&workers(farm))));
    boards.or(leases).unify().or(workers).unify().boxed()
}

pub(super) fn boards(farm: &Farm, now: Timestamp) -> Vec<BoardDetail> {
    farm.boards.values().map(|board| detail(farm, board, now)).collect()
}

fn detail(farm: &Farm, board: &Board, now: Timestamp) -> BoardDetail {
    let report = &board.report;
    BoardDetail {
        serial: report.serial.clone(),
        name: None,
        worker: board.worker.clone(),
        status: farm.status(board),
        reason: report.reason.clone(),
        simulated: report.simulated,
        labels: report.labels.clone(),
        lease: farm.leases.get(&report.serial).map(|lease| lease_detail(lease, now)),
    }
}

pub(super) fn leases(farm: &Farm, now: Timestamp) -> Vec<LeaseDetail> {
    farm.leases.values().map(|lease| lease_detail(lease, now)).collect()
}

fn lease_detail(lease: &Lease, now: Timestamp) -> LeaseDetail {
    LeaseDetail {
        lease: lease.id,
        serial: lease.serial.clone(),
        client: lease.client.clone(),
        kind: lease.kind.clone(),
        reservation: lease.reservation.clone(),
        since: lease.granted,
        expires_in_ms: millis(lease.expires.since(now)),
    }
}

pub(super) fn workers(farm: &Farm) -> Vec<WorkerDetail> {
    let worker = |worker: &Arc<Worker>| WorkerDetail {
        name: worker.name.clone(),
        url: worker.url.clone(),
        version: worker.version.clone(),
        incarnation: worker.incarnation.clone(),
        kinds: worker.kinds.clone(),
        reachable: worker.contact == Contact::Reachable,
        last_contact: worker.heard.unwrap_or(worker.seen),
    };
    farm.workers.values().map(worker).collect()
}
