//! Who waits for boards, and who shall not any more: `GET /v1/queue`, `POST /v1/queue/cancel` and
//! `POST /v1/clients/NAME/end`.

use super::permit::{Deed, permit};
use super::{Context, needed, read};
use crate::machine::{Answer, Cancelled, Command};
use crate::view::View;
use icefarm_core::wire::{CancelAnswer, CancelRequest, ClientEnded, ErrorCode};
use icefarm_core::{Args, ClientName};
use icefarm_net::{ApiError, answer, json};
use percent_encoding::percent_decode_str;
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
    let queue = warp::path!("v1" / "queue")
        .and(warp::get())
        .and(with(context))
        .map(|context: Arc<Context>| json(&View::of(&context.ledger).queue()));
    let cancel = warp::path!("v1" / "queue" / "cancel")
        .and(warp::post())
        .and(with(context))
        .and(body())
        .then(|context: Arc<Context>, args| async move { answer(cancel(&context, args).await) });
    let end = warp::path!("v1" / "clients" / String / "end")
        .and(warp::post())
        .and(with(context))
        .and(body())
        .then(|name: String, context: Arc<Context>, args| async move {
            answer(end(&context, &name, args).await)
        });
    queue.or(cancel).unify().or(end).unify().boxed()
}

async fn cancel(context: &Context, args: Option<Args>) -> Result<CancelAnswer, ApiError> {
    let CancelRequest { name, request, reservation, instance } = read(args, CancelRequest::read)?;
    if name.is_none() {
        permit(context, Deed::End)?;
    }
    let which = Cancelled { client: name, request, reservation, instance };
    cleared(context, Command::CancelWait(which)).await
}

async fn cleared(context: &Context, command: Command) -> Result<CancelAnswer, ApiError> {
    match context.submit(command).await? {
        Answer::Cancelled(answer) => Ok(answer),
        _ => Ok(CancelAnswer::default()),
    }
}

/// Ends everything that a client has and waits for.
async fn end(context: &Context, name: &str, args: Option<Args>) -> Result<ClientEnded, ApiError> {
    permit(context, Deed::End)?;
    needed(args)?;
    let bad = |reason: String| ApiError::new(ErrorCode::BadRequest, format!("the path: {reason}"));
    let name = percent_decode_str(name).decode_utf8().map_err(|error| bad(error.to_string()))?;
    let client = ClientName::new(&*name).map_err(|error| bad(error.to_string()))?;
    let command = Command::ClearClient { client: client.clone() };
    let CancelAnswer { cancelled, ended } = cleared(context, command).await?;
    Ok(ClientEnded { client, ended, cancelled })
}
