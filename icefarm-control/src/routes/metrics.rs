//! `/metrics`: the server in figures.

use super::Context;
use super::permit::{Asker, Deed, asker};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    warp::path!("metrics")
        .and(warp::get())
        .and(asker(context))
        .map(|asker: Asker| match asker.check(Deed::Operate) {
            Ok(()) => asker.metrics.page(),
            Err(error) => error.into_response(),
        })
        .boxed()
}
