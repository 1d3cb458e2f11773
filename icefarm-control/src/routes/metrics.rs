//! `/metrics`: the server in figures.

use super::Context;
use super::permit::{Deed, permit};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    warp::path!("metrics")
        .and(warp::get())
        .map(move || match permit(&context, Deed::Measure) {
            Ok(()) => context.metrics.page(),
            Err(error) => error.into_response(),
        })
        .boxed()
}
