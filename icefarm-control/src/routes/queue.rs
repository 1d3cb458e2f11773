//! Who waits for boards, and who shall not any more: `GET /v1/queue`, `POST /v1/queue/cancel` and
//! `POST /v1/clients/NAME/end`.

use super::permit::{Asker, Deed, asker};
use super::{Context, in_path, needed, read};
use crate::ledger::Trail;
use crate::machine::{Answer, Cancelled, Command};
use crate::view::View;
use icefarm_core::wire::{CancelAnswer, CancelRequest, ClientEnded, QueueEntry};
use icefarm_core::{Args, ClientName};
use icefarm_net::{ApiError, answer};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let body = || icefarm_net::args(context.body.clone());
    let queue = warp::path!("v1" / "queue")
        .and(warp::get())
        .and(asker(context))
        .map(|asker: Asker| answer(waiting(&asker)));
    let cancel = warp::path!("v1" / "queue" / "cancel")
        .and(warp::post())
        .and(asker(context))
        .and(body())
        .then(|asker: Asker, args| async move { answer(cancel(&asker, args).await) });
    let end =
        warp::path!("v1" / "clients" / String / "end")
            .and(warp::post())
            .and(asker(context))
            .and(body())
            .then(|name: String, asker: Asker, args| async move {
                answer(end(&asker, &name, args).await)
            });
    queue.or(cancel).unify().or(end).unify().boxed()
}

/// Who waits, as far as it is the asker's business. Positions count everybody.
fn waiting(asker: &Asker) -> Result<Vec<QueueEntry>, ApiError> {
    asker.check(Deed::Look)?;
    let mut queue = View::of(&asker.ledger).queue();
    queue.retain(|waiting| asker.sees(&waiting.client));
    Ok(queue)
}

async fn cancel(asker: &Asker, args: Option<Args>) -> Result<CancelAnswer, ApiError> {
    let CancelRequest { name, request, reservation, instance } = read(args, CancelRequest::read)?;
    let trail = asker.trail("cancel_wait").client(name.as_ref());
    match &name {
        Some(name) => asker.permit(Deed::Hold(name), &trail).await?,
        None => asker.permit(Deed::Operate, &trail).await?,
    }
    let which = Cancelled { client: name, request, reservation, instance };
    cleared(asker, Command::CancelWait(which), trail).await
}

async fn cleared(asker: &Asker, command: Command, trail: Trail) -> Result<CancelAnswer, ApiError> {
    match asker.submit_for(command, trail).await? {
        Answer::Cancelled(answer) => Ok(answer),
        _ => Ok(CancelAnswer::default()),
    }
}

/// Ends everything that a client has and waits for.
async fn end(asker: &Asker, name: &str, args: Option<Args>) -> Result<ClientEnded, ApiError> {
    asker.permit(Deed::Operate, &asker.trail("end_client")).await?;
    needed(args)?;
    let client: ClientName = in_path(name)?;
    let trail = asker.trail("end_client").client(Some(&client));
    let command = Command::ClearClient { client: client.clone() };
    let CancelAnswer { cancelled, ended } = cleared(asker, command, trail).await?;
    Ok(ClientEnded { client, ended, cancelled })
}
