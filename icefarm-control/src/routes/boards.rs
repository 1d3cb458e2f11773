//! What goes on to the workers: reboot and delete.

use super::{Context, call, read};
use crate::machine::Command;
use icefarm_core::Serial;
use icefarm_core::wire::{ErrorCode, ErrorDetail, Serials};
use icefarm_net::{ApiError, answer};
use std::collections::BTreeSet;
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let reboot = call(context, "reboot").then(|context: Arc<Context>, _, args| async move {
        let reached = match read(args, Serials::read) {
            Ok(body) => ask(&context, "/reboot", body.serials).await,
            Err(error) => Err(error),
        };
        answer(reached)
    });
    let delete = call(context, "delete").then(|context: Arc<Context>, _, args| async move {
        let reached = match read(args, Serials::read) {
            Ok(body) => delete(&context, body.serials).await,
            Err(error) => Err(error),
        };
        answer(reached)
    });
    reboot.or(delete).unify().boxed()
}

/// Asks the workers of all these boards, and answers with those that did it.
async fn ask(
    context: &Context,
    path: &'static str,
    serials: Vec<Serial>,
) -> Result<Vec<Serial>, ApiError> {
    let farm = context.ledger.farm();
    let mut seen = BTreeSet::new();
    let mut wanted = Vec::new();
    for serial in serials {
        if !farm.boards.contains_key(&serial) {
            let error = ErrorDetail::new(
                ErrorCode::UnknownSerial,
                format!("no worker has a board `{serial}`; nothing was done"),
            );
            return Err(ApiError(error.with("serial", serial.as_str())));
        }
        if seen.insert(serial.clone()) {
            wanted.push(serial);
        }
    }
    let asked = context.fleet.ask(&farm, path, &wanted).await;
    let mut reached = Vec::new();
    for (serial, result) in wanted.iter().zip(asked) {
        match result {
            Ok(serial) => reached.push(serial),
            Err(error) => tracing::warn!(board = %serial, %error, "{path} was not done"),
        }
    }
    Ok(reached)
}

async fn delete(context: &Context, serials: Vec<Serial>) -> Result<Vec<Serial>, ApiError> {
    let reached = ask(context, "/delete", serials).await?;
    for serial in &reached {
        context.submit(Command::DeleteBoard { serial: serial.clone() }).await?;
    }
    Ok(reached)
}
