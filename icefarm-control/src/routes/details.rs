//! `/v1`: what the farm is at, in detail.

use super::events;
use super::permit::{Asker, Deed, asker};
use super::{Context, in_path};
use crate::redact;
use crate::view::View;
use icefarm_core::Serial;
use icefarm_core::wire::{BoardDetail, BoardInFull, ErrorCode, ErrorDetail, LeaseDetail};
use icefarm_net::{ApiError, answer, json};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let view = |show: fn(&Asker, &View) -> Response| {
        move |asker: Asker| match asker.check(Deed::Look) {
            Ok(()) => show(&asker, &View::of(&asker.ledger)),
            Err(error) => answer(Err::<(), _>(error)),
        }
    };
    let boards = warp::path!("v1" / "boards")
        .and(warp::get())
        .and(asker(context))
        .map(view(|asker, view| json(&boards(asker, view))));
    let leases = warp::path!("v1" / "leases")
        .and(warp::get())
        .and(asker(context))
        .map(view(|asker, view| json(&leases(asker, view))));
    let workers = warp::path!("v1" / "workers")
        .and(warp::get())
        .and(asker(context))
        .map(view(|_, view| json(&view.workers())));
    let status = warp::path!("v1" / "status")
        .and(warp::get())
        .and(asker(context))
        .map(view(|asker, view| json(&view.status(&asker.ledger))));
    let board = warp::path!("v1" / "boards" / String)
        .and(warp::get())
        .and(asker(context))
        .map(|serial: String, asker: Asker| answer(board(&asker, &serial)));
    let lists = boards.or(leases).unify().or(workers).unify().boxed();
    lists.or(status).unify().or(board).unify().or(events::routes(context)).unify().boxed()
}

fn boards(asker: &Asker, view: &View) -> Vec<BoardDetail> {
    let mut boards = view.boards();
    boards.iter_mut().for_each(|board| redact::board(board, |client| asker.sees(client)));
    boards
}

fn leases(asker: &Asker, view: &View) -> Vec<LeaseDetail> {
    view.leases().into_iter().filter(|lease| asker.sees(&lease.client)).collect()
}

fn board(asker: &Asker, text: &str) -> Result<BoardInFull, ApiError> {
    asker.check(Deed::Look)?;
    let serial: Serial = in_path(text)?;
    let view = View::of(&asker.ledger);
    let mut board = view.in_full(&asker.ledger, &serial).ok_or_else(|| unknown(&serial))?;
    if !asker.is_operator() {
        redact::in_full(&mut board, |client| asker.sees(client));
    }
    Ok(board)
}

pub(super) fn unknown(serial: &Serial) -> ApiError {
    let message = format!(
        "no worker has a board `{serial}`; `icefarm devices` and /v1/boards list those there are"
    );
    ErrorDetail::new(ErrorCode::UnknownSerial, message).with("serial", serial.as_str()).into()
}
