//! `/v1/live`: the farm over a websocket, as it changes.

use super::Context;
use super::permit::{Deed, permit};
use icefarm_net::{FeedConfig, FeedRequest, feed};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    warp::path!("v1" / "live")
        .and(feed())
        .map(move |request: FeedRequest| {
            let messages = permit(&context, Deed::Watch).and_then(|()| context.gallery.watch());
            match messages {
                Ok(messages) => request.pour(FeedConfig::default(), messages),
                Err(error) => error.into_response(),
            }
        })
        .boxed()
}
