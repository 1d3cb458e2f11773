//! `/v1`: what the farm is at, in detail.

use super::Context;
use super::events;
use crate::view::View;
use icefarm_core::Serial;
use icefarm_core::wire::{BoardInFull, ErrorCode, ErrorDetail};
use icefarm_net::{ApiError, answer, json};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let view = |show: fn(&Context, &View) -> Response| {
        let context = context.clone();
        move || show(&context, &View::of(&context.ledger))
    };
    let boards =
        warp::path!("v1" / "boards").and(warp::get()).map(view(|_, view| json(&view.boards())));
    let leases =
        warp::path!("v1" / "leases").and(warp::get()).map(view(|_, view| json(&view.leases())));
    let workers =
        warp::path!("v1" / "workers").and(warp::get()).map(view(|_, view| json(&view.workers())));
    let status = warp::path!("v1" / "status")
        .and(warp::get())
        .map(view(|context, view| json(&view.status(&context.ledger))));
    let asked = context.clone();
    let board = warp::path!("v1" / "boards" / String)
        .and(warp::get())
        .map(move |serial: String| answer(board(&asked, &serial)));
    let lists = boards.or(leases).unify().or(workers).unify().boxed();
    lists.or(status).unify().or(board).unify().or(events::routes(context)).unify().boxed()
}

fn board(context: &Context, text: &str) -> Result<BoardInFull, ApiError> {
    let serial = serial(text)?;
    let view = View::of(&context.ledger);
    view.in_full(&context.ledger, &serial).ok_or_else(|| unknown(&serial))
}

/// A serial as part of a path.
pub(super) fn serial(text: &str) -> Result<Serial, ApiError> {
    let bad = |reason: String| ApiError::new(ErrorCode::BadRequest, format!("the path: {reason}"));
    let text = percent_decode_str(text).decode_utf8().map_err(|error| bad(error.to_string()))?;
    Serial::new(&*text).map_err(|error| bad(error.to_string()))
}

pub(super) fn unknown(serial: &Serial) -> ApiError {
    let message = format!(
        "no worker has a board `{serial}`; `icefarm devices` and /v1/boards list those there are"
    );
    ErrorDetail::new(ErrorCode::UnknownSerial, message).with("serial", serial.as_str()).into()
}
