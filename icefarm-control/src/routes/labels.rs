//! What operators call boards: `POST /v1/boards/SERIAL/label`.

use super::permit::{Asker, Deed, asker};
use super::{Context, in_path, read};
use crate::machine::Command;
use crate::view::View;
use icefarm_core::wire::{BoardLabels, LabelRequest};
use icefarm_core::{Args, Serial};
use icefarm_net::{ApiError, answer};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let body = icefarm_net::args(context.body.clone());
    warp::path!("v1" / "boards" / String / "label")
        .and(warp::post())
        .and(asker(context))
        .and(body)
        .then(|serial: String, asker: Asker, args| async move {
            answer(label(&asker, &serial, args).await)
        })
        .boxed()
}

async fn label(asker: &Asker, serial: &str, args: Option<Args>) -> Result<BoardLabels, ApiError> {
    let trail = asker.trail("label");
    let trail = match in_path::<Serial>(serial) {
        Ok(serial) => trail.serials(&[serial]),
        Err(_) => trail,
    };
    asker.permit(Deed::Operate, &trail).await?;
    let LabelRequest { set, remove } = read(args, LabelRequest::read)?;
    let serial = in_path::<Serial>(serial)?;
    asker.submit_for(Command::Label { serial: serial.clone(), set, remove }, trail).await?;
    Ok(View::of(&asker.ledger).labels(&serial))
}
