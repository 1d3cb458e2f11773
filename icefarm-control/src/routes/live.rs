//! `/v1/live`: the farm over a websocket, as it changes.

use super::Context;
use super::permit::{Asker, Deed, asker};
use futures::StreamExt as _;
use icefarm_net::{FeedConfig, FeedRequest, feed};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    warp::path!("v1" / "live")
        .and(feed())
        .and(asker(context))
        .map(|request: FeedRequest, asker: Asker| {
            // The whole farm is shown, with everybody's leases.
            let messages = asker
                .check(Deed::Operate)
                .and_then(|()| Ok((asker.identity()?.clone(), asker.gallery.watch()?)));
            match messages {
                Ok((identity, messages)) => {
                    let context = asker.context().clone();
                    let ended = async move { context.gate.ended(&identity).await };
                    request.pour(FeedConfig::default(), messages.take_until(Box::pin(ended)))
                }
                Err(error) => error.into_response(),
            }
        })
        .boxed()
}
