//! What an operator does to one board or worker: `POST /v1/boards/SERIAL/end`, `/reboot`,
//! `/delete` and `/drain`, `POST /v1/workers/NAME/forget` and `/drain`.
//!
//! Each wants a body of JSON, which may be `{}`, so that no page of another origin can send it
//! without being asked. `{"lease": 7}` means the board only while that lease is on it.

use super::boards::Act;
use super::permit::{Asker, Deed, asker};
use super::{Context, boards, details, in_path, needed};
use crate::ledger::Trail;
use crate::machine::{Answer, Command, Lease};
use icefarm_core::wire::{BoardActionAnswer, DrainAnswer, ErrorCode, ErrorDetail};
use icefarm_core::{Args, LeaseId, Serial, WorkerName};
use icefarm_net::{ApiError, answer};
use serde_json::{Value, json};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let body = || icefarm_net::args(context.body.clone());
    let board = warp::path!("v1" / "boards" / String / String)
        .and(warp::post())
        .and(asker(context))
        .and(body())
        .then(|serial: String, deed: String, asker: Asker, args| async move {
            if deed == "drain" {
                return answer(drain_board(&asker, &serial, args).await);
            }
            answer(act(&asker, &serial, &deed, args).await)
        });
    let worker = warp::path!("v1" / "workers" / String / "forget")
        .and(warp::post())
        .and(asker(context))
        .and(body())
        .then(|name: String, asker: Asker, args| async move {
            answer(forget(&asker, &name, args).await)
        });
    board.or(worker).unify().or(drains(context)).unify().boxed()
}

fn drains(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    warp::path!("v1" / "workers" / String / "drain")
        .and(warp::post())
        .and(asker(context))
        .and(icefarm_net::args(context.body.clone()))
        .then(|name: String, asker: Asker, args| async move {
            answer(drain_worker(&asker, &name, args).await)
        })
        .boxed()
}

async fn act(
    asker: &Asker,
    serial: &str,
    deed: &str,
    args: Option<Args>,
) -> Result<BoardActionAnswer, ApiError> {
    let act = match deed {
        "end" => Act::End,
        "reboot" => Act::Reboot,
        "delete" => Act::Delete,
        _ => return Err(ApiError::new(ErrorCode::NotFound, "there is nothing under this path")),
    };
    let trail = asker.trail(act.word());
    let trail = match in_path::<Serial>(serial) {
        Ok(serial) => trail.serials(&[serial]),
        Err(_) => trail,
    };
    asker.permit(Deed::Operate, &trail).await?;
    let only: Option<LeaseId> = needed(args)?.take("lease")?;
    let serial = in_path::<Serial>(serial)?;
    let farm = asker.ledger.farm();
    if !farm.boards.contains_key(&serial) {
        return Err(details::unknown(&serial));
    }
    let lease = farm.leases.get(&serial);
    if only.is_some() && lease.map(|lease| lease.id) != only {
        return Err(moved_on(&serial, lease));
    }
    let trail = trail.client(lease.map(|lease| &lease.client));
    let reached = match act {
        Act::End => end(asker, &serial, only.or(lease.map(|lease| lease.id)), trail).await?,
        Act::Delete => boards::delete(asker, &serial, trail).await?,
        Act::Reboot => boards::reboot(asker, &farm, &serial, trail).await?,
    };
    let (lease, client) = lease.map(|lease| (lease.id, lease.client.clone())).unzip();
    Ok(BoardActionAnswer { serial, lease, client, reached })
}

/// Ends the lease that the operator saw. That is done when control has written it down, so the
/// worker counts as reached: it is told until it has heard.
async fn end(
    context: &Context,
    serial: &Serial,
    lease: Option<LeaseId>,
    trail: Trail,
) -> Result<bool, ApiError> {
    let nobody = || {
        let message = format!("nobody holds a lease on board `{serial}`");
        ApiError(ErrorDetail::new(ErrorCode::NotReserved, message))
    };
    let lease = lease.ok_or_else(nobody)?;
    let command = Command::Revoke { serials: vec![serial.clone()], lease: Some(lease) };
    match context.submit_for(command, trail).await? {
        Answer::Serials(ended) if ended.is_empty() => {
            Err(moved_on(serial, context.ledger.farm().leases.get(serial)))
        }
        _ => Ok(true),
    }
}

fn moved_on(serial: &Serial, lease: Option<&Arc<Lease>>) -> ApiError {
    let present = match lease {
        Some(lease) => format!("{} holds it now, under lease {}", lease.client, lease.id),
        None => "nobody holds it now".to_owned(),
    };
    let message = format!("board `{serial}` has moved on: {present}; nothing was done");
    ErrorDetail::new(ErrorCode::Conflict, message).with("serial", serial.as_str()).into()
}

async fn forget(asker: &Asker, name: &str, args: Option<Args>) -> Result<Value, ApiError> {
    asker.permit(Deed::Operate, &asker.trail("forget_worker")).await?;
    needed(args)?;
    let worker: WorkerName = in_path(name)?;
    let trail = asker.trail("forget_worker").worker(&worker);
    asker.submit_for(Command::ForgetWorker { worker: worker.clone() }, trail).await?;
    Ok(json!({ "worker": worker }))
}

/// Out of service unless `on` is false.
fn on(args: Option<Args>) -> Result<bool, ApiError> {
    Ok(needed(args)?.take::<Option<bool>>("on")?.unwrap_or(true))
}

/// What the audit log says of it.
fn drain_word(on: bool) -> &'static str {
    if on { "drain" } else { "undrain" }
}

async fn drain_worker(
    asker: &Asker,
    name: &str,
    args: Option<Args>,
) -> Result<DrainAnswer, ApiError> {
    asker.permit(Deed::Operate, &asker.trail("drain")).await?;
    let (worker, on) = (in_path::<WorkerName>(name)?, on(args)?);
    let trail = asker.trail(drain_word(on)).worker(&worker);
    let command = Command::DrainWorker { worker: worker.clone(), on };
    let held = asker.submit_for(command, trail).await?;
    Ok(DrainAnswer { serial: None, worker: Some(worker), draining: on, held: held_of(held) })
}

async fn drain_board(
    asker: &Asker,
    serial: &str,
    args: Option<Args>,
) -> Result<DrainAnswer, ApiError> {
    asker.permit(Deed::Operate, &asker.trail("drain")).await?;
    let (serial, on) = (in_path::<Serial>(serial)?, on(args)?);
    let trail = asker.trail(drain_word(on)).serials(std::slice::from_ref(&serial));
    let command = Command::DrainBoard { serial: serial.clone(), on };
    let held = asker.submit_for(command, trail).await?;
    Ok(DrainAnswer { serial: Some(serial), worker: None, draining: on, held: held_of(held) })
}

fn held_of(answer: Answer) -> Vec<Serial> {
    match answer {
        Answer::Held(serials) => serials,
        _ => Vec::new(),
    }
}
