//! `/metrics`: the server in figures; `/v1/workers/NAME/metrics`: a worker in figures.
//!
//! On a farm with tokens a worker shows its figures only to control, so they are had here.

use super::permit::{Asker, Deed, asker};
use super::{Context, in_path};
use crate::machine::Refusal;
use icefarm_core::WorkerName;
use icefarm_net::{ApiError, metrics};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let own =
        warp::path!("metrics").and(warp::get()).and(asker(context)).map(|asker: Asker| match asker
            .check(Deed::Operate)
        {
            Ok(()) => asker.metrics.page(),
            Err(error) => error.into_response(),
        });
    let worker = warp::path!("v1" / "workers" / String / "metrics")
        .and(warp::get())
        .and(asker(context))
        .then(|name: String, asker: Asker| async move {
            of_worker(&asker, &name).await.unwrap_or_else(ApiError::into_response)
        });
    own.or(worker).unify().boxed()
}

async fn of_worker(asker: &Asker, name: &str) -> Result<Response, ApiError> {
    asker.check(Deed::Operate)?;
    let farm = asker.ledger.farm();
    let worker: WorkerName = in_path(name)?;
    let Some(known) = farm.workers.get(&worker) else {
        return Err(ApiError(Refusal::UnknownWorker { worker }.detail()));
    };
    Ok(metrics::figures(asker.fleet.figures(known).await.map_err(ApiError)?))
}
