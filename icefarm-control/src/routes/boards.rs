//! What goes on to the workers: reboot and delete.

use super::permit::{Asker, Deed};
use super::{Context, call, details, read};
use crate::ledger::{Trail, of_reboot};
use crate::machine::{Command, Contact, Farm};
use futures::future::join_all;
use icefarm_core::wire::{ErrorCode, OneBoard, Serials};
use icefarm_core::{Args, Serial};
use icefarm_net::{ApiError, answer};
use std::collections::BTreeSet;
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let reboot = call(context, "reboot")
        .then(|asker: Asker, _, args| async move { answer(each(&asker, args, Act::Reboot).await) });
    let delete = call(context, "delete")
        .then(|asker: Asker, _, args| async move { answer(each(&asker, args, Act::Delete).await) });
    reboot.or(delete).unify().boxed()
}

/// What is done to a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Its lease is ended.
    End,
    /// Its state brings it back to work.
    Reboot,
    /// It is taken out of the books.
    Delete,
}

impl Act {
    /// The word in the audit log.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::End => "end_lease",
            Self::Reboot => "reboot",
            Self::Delete => "delete",
        }
    }
}

/// Does something with several boards at the same time, and answers with those for which it was
/// done. As with `/end` and `/extend`, a board that is not there any more keeps it from no other.
async fn each(asker: &Asker, args: Option<Args>, act: Act) -> Result<Vec<Serial>, ApiError> {
    let serials = read(args, Serials::read)?.serials;
    let trail = asker.trail(act.word()).serials(&serials);
    let context: &Context = asker;
    let farm = context.ledger.farm();
    if act == Act::Delete {
        asker.permit(Deed::Operate, &trail).await?;
    }
    asker.check(Deed::Look)?;
    let holder = |serial: &Serial| farm.leases.get(serial).map(|lease| lease.client.clone());
    if !asker.is_operator() && serials.iter().filter_map(holder).any(|holder| !asker.sees(&holder))
    {
        let message =
            "a board of these is reserved under a name that is not yours; nothing was done";
        let trail = trail.refused(ErrorCode::NotHolder);
        asker.note_refusal(trail).await;
        return Err(ApiError::new(ErrorCode::NotHolder, message));
    }
    let mut seen = BTreeSet::new();
    // What nobody holds is not rebooted, and somebody else may hold it by the time the worker hears.
    let is_meant = |serial: &Serial| asker.is_operator() || farm.leases.contains_key(serial);
    let wanted: Vec<Serial> = serials
        .into_iter()
        .filter(|serial| seen.insert(serial.clone()) && is_meant(serial))
        .collect();
    let done = join_all(wanted.iter().map(async |serial| {
        let trail = asker.trail(act.word()).serials(std::slice::from_ref(serial));
        let trail = trail.client(holder(serial).as_ref());
        match act {
            Act::Delete => delete(context, serial, trail).await,
            _ => reboot(context, &farm, serial, trail).await,
        }
    }));
    let mut reached = Vec::new();
    for (serial, result) in wanted.iter().zip(done.await) {
        match result {
            Ok(_) => reached.push(serial.clone()),
            Err(error) => tracing::warn!(%serial, %error, "{} was not done", act.word()),
        }
    }
    Ok(reached)
}

/// Has a board rebooted by its worker, while the lease is on it that is on it in `farm`.
pub(super) async fn reboot(
    context: &Context,
    farm: &Farm,
    serial: &Serial,
    trail: Trail,
) -> Result<bool, ApiError> {
    if !farm.boards.contains_key(serial) {
        return Err(details::unknown(serial));
    }
    let lease = farm.leases.get(serial).map(|lease| lease.id);
    context.fleet.ask(farm, "/reboot", &OneBoard { serial: serial.clone(), lease }).await?;
    // It is done, written down or not; what the writing failed of stands in the log.
    let _ = context.ledger.note(of_reboot(farm, serial)).await;
    let _ = context.ledger.audit(trail).await;
    Ok(true)
}

/// Takes a board out of the books of its worker and of control. If it is plugged, the worker finds
/// it anew. A board whose worker is gone is forgotten by control alone, and `false` says so.
pub(super) async fn delete(
    context: &Context,
    serial: &Serial,
    trail: Trail,
) -> Result<bool, ApiError> {
    let farm = context.ledger.farm();
    if !farm.boards.contains_key(serial) {
        return Err(details::unknown(serial));
    }
    let is_there = is_there(&farm, serial);
    // First the lease, so that its holder is told the cause: the worker may report that it cannot
    // go on with it before it answers.
    context.submit(Command::RecallBoard { serial: serial.clone() }).await?;
    if is_there {
        context
            .fleet
            .ask(&farm, "/delete", &OneBoard { serial: serial.clone(), lease: None })
            .await?;
    }
    context.submit_for(Command::DeleteBoard { serial: serial.clone() }, trail).await?;
    Ok(is_there)
}

/// Whether the board's worker can be asked about it.
fn is_there(farm: &Farm, serial: &Serial) -> bool {
    farm.boards.get(serial).is_some_and(|board| {
        let worker = farm.worker_of(board).map(|worker| worker.contact);
        board.missing.is_none() && matches!(worker, Some(Contact::Reachable | Contact::Awaited))
    })
}
