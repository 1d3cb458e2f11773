//! `/v1`: what the farm is at, in detail.

use super::Context;
use crate::machine::Farm;
use crate::view;
use icefarm_core::Timestamp;
use icefarm_net::json;
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let view = |show: fn(&Farm, Timestamp) -> Response| {
        let context = context.clone();
        move || show(&context.ledger.farm(), context.ledger.now())
    };
    let boards = warp::path!("v1" / "boards")
        .and(warp::get())
        .map(view(|farm, now| json(&view::boards(farm, now))));
    let leases = warp::path!("v1" / "leases")
        .and(warp::get())
        .map(view(|farm, now| json(&view::leases(farm, now))));
    let workers = warp::path!("v1" / "workers")
        .and(warp::get())
        .map(view(|farm, _| json(&view::workers(farm))));
    boards.or(leases).unify().or(workers).unify().boxed()
}
