//! What control calls.

use crate::door::Door;
use crate::link::Heard;
use crate::metrics::Metrics;
use crate::roster::Roster;
use crate::secret::Secret;
use icefarm_core::wire::{
    EndBoard, ErrorCode, ErrorDetail, ExtendBoard, HeartbeatAnswer, HeartbeatNews, OneBoard,
    PROTOCOL, ReserveBoard,
};
use icefarm_core::{Incarnation, Object, Value, WorkerName};
use icefarm_net::{ApiError, BodyLimits, answer, json, object};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Rejection};

/// A worker as control sees it.
pub(crate) struct Api {
    pub(crate) worker: WorkerName,
    pub(crate) incarnation: Incarnation,
    pub(crate) secret: Secret,
    pub(crate) ledger: Arc<crate::ledger::Ledger>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) heard: Heard,
    pub(crate) door: Arc<Door>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: BodyLimits,
}

/// All paths but those of websockets.
pub(crate) fn routes(api: Arc<Api>) -> BoxedFilter<(Response,)> {
    let version = json!({
        "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL
    });
    let healthz = warp::path!("healthz").and(warp::get()).map(|| json(&json!({"status": "ok"})));
    let version = warp::path!("version").and(warp::get()).map(move || json(&version));
    let heartbeat = warp::path!("heartbeat")
        .and(method())
        .and(authorized(api.clone()))
        .and(object(api.limits.clone()))
        .map(|api: Arc<Api>, body: Option<Object>| {
            // A control server that says nothing of tickets changes nothing about them.
            if let Ok(news) = HeartbeatNews::deserialize(Value::Object(body.unwrap_or_default())) {
                api.door.hear(news);
            }
            json(&HeartbeatAnswer {
                worker: api.worker.clone(),
                incarnation: api.incarnation.clone(),
                boards: api.ledger.inventory(),
                stops_in_ms: api.ledger.stops_in_ms(),
            })
        });
    let reserve = call(&api, "reserve", |api, body: ReserveBoard| async move {
        api.roster.get(&body.serial)?.reserve(body).await
    });
    let extend = call(&api, "extend", |api, body: ExtendBoard| async move {
        api.roster.get(&body.serial)?.extend(body).await
    });
    let end = call(&api, "end", |api, body: EndBoard| async move {
        api.roster.get(&body.serial)?.end(body).await
    });
    let reboot = call(&api, "reboot", |api, body: OneBoard| async move {
        api.roster.get(&body.serial)?.reboot(body.lease).await
    });
    let delete = call(&api, "delete", |api, body: OneBoard| async move {
        api.roster.get(&body.serial)?.delete().await
    });
    let leases = reserve.or(extend).unify().or(end).unify();
    let boards = reboot.or(delete).unify();
    let shown = api.clone();
    let metrics = warp::path!("metrics").and(warp::get()).map(move || shown.metrics.page());
    let open = healthz.or(version).unify().or(metrics).unify();
    heartbeat.or(leases).unify().or(boards).unify().or(open).unify().boxed()
}

/// A path that takes an object of the type `T`, and answers `{}` when it was done.
fn call<T, F, Fut>(api: &Arc<Api>, path: &'static str, act: F) -> BoxedFilter<(Response,)>
where
    T: DeserializeOwned + Send + 'static,
    F: Fn(Arc<Api>, T) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), ErrorDetail>> + Send + 'static,
{
    warp::path(path)
        .and(warp::path::end())
        .and(method())
        .and(authorized(api.clone()))
        .and(object(api.limits.clone()))
        .then(move |api: Arc<Api>, body: Option<Object>| {
            let act = act.clone();
            async move {
                let done = match read(body) {
                    Ok(body) => act(api, body).await,
                    Err(error) => Err(error),
                };
                answer(done.map(|()| json!({})))
            }
        })
        .boxed()
}

fn read<T: DeserializeOwned>(body: Option<Object>) -> Result<T, ErrorDetail> {
    let bad = |message: String| ErrorDetail::new(ErrorCode::BadRequest, message);
    let body = body.ok_or_else(|| bad("the body is missing".to_owned()))?;
    T::deserialize(Value::Object(body)).map_err(|error| bad(format!("the body is wrong: {error}")))
}

/// Control's own way of asking is POST; others of its kind send GET with a body.
fn method() -> impl Filter<Extract = (), Error = Rejection> + Clone {
    warp::post().or(warp::get()).unify()
}

/// Lets nobody pass but control. Whoever passes was heard.
fn authorized(api: Arc<Api>) -> impl Filter<Extract = (Arc<Api>,), Error = Rejection> + Clone {
    warp::header::optional::<String>("authorization").and_then(move |shown: Option<String>| {
        let api = api.clone();
        async move {
            if shown.is_some_and(|shown| api.secret.is_shown(&shown)) {
                api.heard.now();
                return Ok(api);
            }
            let message = "only the control server that this worker is registered at may ask this";
            Err(warp::reject::custom(ApiError::new(ErrorCode::Unauthorized, message)))
        }
    })
}
