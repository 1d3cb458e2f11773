//! What operators call boards: `POST /v1/boards/SERIAL/label`.

use super::permit::{Deed, permit};
use super::{Context, details, read};
use crate::machine::Command;
use crate::view::View;
use icefarm_core::Args;
use icefarm_core::wire::{BoardLabels, LabelRequest};
use icefarm_net::{ApiError, answer};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let body = icefarm_net::args(context.body.clone());
    let context = context.clone();
    warp::path!("v1" / "boards" / String / "label")
        .and(warp::post())
        .map(move |serial: String| (serial, context.clone()))
        .and(body)
        .then(|(serial, context): (String, Arc<Context>), args| async move {
            answer(label(&context, &serial, args).await)
        })
        .boxed()
}

async fn label(
    context: &Context,
    serial: &str,
    args: Option<Args>,
) -> Result<BoardLabels, ApiError> {
    permit(context, Deed::Label)?;
    let LabelRequest { set, remove } = read(args, LabelRequest::read)?;
    let serial = details::serial(serial)?;
    context.submit(Command::Label { serial: serial.clone(), set, remove }).await?;
    Ok(View::of(&context.ledger).labels(&serial))
}
