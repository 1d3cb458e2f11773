//! What an operator does to one board or worker: `POST /v1/boards/SERIAL/end`, `/reboot`,
//! `/delete` and `/drain`, `POST /v1/workers/NAME/forget` and `/drain`.
//!
//! Each wants a body of JSON, which may be `{}`, so that no page of another origin can send it
//! without being asked. `{"lease": 7}` means the board only while that lease is on it.

use super::permit::{Deed, permit};
use super::{Context, boards, details, needed};
use crate::machine::{Answer, Command, Lease};
use icefarm_core::wire::{BoardActionAnswer, DrainAnswer, ErrorCode, ErrorDetail};
use icefarm_core::{Args, LeaseId, Serial, WorkerName};
use icefarm_net::{ApiError, answer};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let with = |context: &Arc<Context>| {
        let context = context.clone();
        warp::any().map(move || context.clone())
    };
    let body = || icefarm_net::args(context.body.clone());
    let board = warp::path!("v1" / "boards" / String / String)
        .and(warp::post())
        .and(with(context))
        .and(body())
        .then(|serial: String, deed: String, context: Arc<Context>, args| async move {
            if deed == "drain" {
                return answer(drain_board(&context, &serial, args).await);
            }
            answer(act(&context, &serial, &deed, args).await)
        });
    let worker = warp::path!("v1" / "workers" / String / "forget")
        .and(warp::post())
        .and(with(context))
        .and(body())
        .then(|name: String, context: Arc<Context>, args| async move {
            answer(forget(&context, &name, args).await)
        });
    board.or(worker).unify().or(drains(context)).unify().boxed()
}

fn drains(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let body = icefarm_net::args(context.body.clone());
    let context = context.clone();
    warp::path!("v1" / "workers" / String / "drain")
        .and(warp::post())
        .map(move |name: String| (context.clone(), name))
        .and(body)
        .then(|(context, name): (Arc<Context>, String), args| async move {
            answer(drain_worker(&context, &name, args).await)
        })
        .boxed()
}

async fn act(
    context: &Context,
    serial: &str,
    deed: &str,
    args: Option<Args>,
) -> Result<BoardActionAnswer, ApiError> {
    let deed = match deed {
        "end" => Deed::End,
        "reboot" => Deed::Reboot,
        "delete" => Deed::Delete,
        _ => return Err(ApiError::new(ErrorCode::NotFound, "there is nothing under this path")),
    };
    permit(context, deed)?;
    let only: Option<LeaseId> = needed(args)?.take("lease")?;
    let serial = details::serial(serial)?;
    let farm = context.ledger.farm();
    if !farm.boards.contains_key(&serial) {
        return Err(details::unknown(&serial));
    }
    let lease = farm.leases.get(&serial);
    if only.is_some() && lease.map(|lease| lease.id) != only {
        return Err(moved_on(&serial, lease));
    }
    let reached = match deed {
        Deed::End => end(context, &serial, only.or(lease.map(|lease| lease.id))).await?,
        Deed::Delete => boards::delete(context, &serial).await?,
        _ => boards::reboot(context, &serial).await?,
    };
    let (lease, client) = lease.map(|lease| (lease.id, lease.client.clone())).unzip();
    Ok(BoardActionAnswer { serial, lease, client, reached })
}

/// Ends the lease that the operator saw. That is done when control has written it down, so the
/// worker counts as reached: it is told until it has heard.
async fn end(context: &Context, serial: &Serial, lease: Option<LeaseId>) -> Result<bool, ApiError> {
    let nobody = || {
        let message = format!("nobody holds a lease on board `{serial}`");
        ApiError(ErrorDetail::new(ErrorCode::NotReserved, message))
    };
    let lease = lease.ok_or_else(nobody)?;
    let command = Command::Revoke { serials: vec![serial.clone()], lease: Some(lease) };
    match context.submit(command).await? {
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

async fn forget(context: &Context, name: &str, args: Option<Args>) -> Result<Value, ApiError> {
    permit(context, Deed::Forget)?;
    needed(args)?;
    let worker = worker(name)?;
    context.submit(Command::ForgetWorker { worker: worker.clone() }).await?;
    Ok(json!({ "worker": worker }))
}

fn worker(name: &str) -> Result<WorkerName, ApiError> {
    let bad = |reason: String| ApiError::new(ErrorCode::BadRequest, format!("the path: {reason}"));
    let name = percent_decode_str(name).decode_utf8().map_err(|error| bad(error.to_string()))?;
    WorkerName::new(&*name).map_err(|error| bad(error.to_string()))
}

/// Out of service unless `on` is false.
fn on(args: Option<Args>) -> Result<bool, ApiError> {
    Ok(needed(args)?.take::<Option<bool>>("on")?.unwrap_or(true))
}

async fn drain_worker(
    context: &Context,
    name: &str,
    args: Option<Args>,
) -> Result<DrainAnswer, ApiError> {
    permit(context, Deed::Drain)?;
    let (worker, on) = (worker(name)?, on(args)?);
    let held = context.submit(Command::DrainWorker { worker: worker.clone(), on }).await?;
    Ok(DrainAnswer { serial: None, worker: Some(worker), draining: on, held: serials(held) })
}

async fn drain_board(
    context: &Context,
    serial: &str,
    args: Option<Args>,
) -> Result<DrainAnswer, ApiError> {
    permit(context, Deed::Drain)?;
    let (serial, on) = (details::serial(serial)?, on(args)?);
    let held = context.submit(Command::DrainBoard { serial: serial.clone(), on }).await?;
    Ok(DrainAnswer { serial: Some(serial), worker: None, draining: on, held: serials(held) })
}

fn serials(answer: Answer) -> Vec<Serial> {
    match answer {
        Answer::Serials(serials) => serials,
        _ => Vec::new(),
    }
}
