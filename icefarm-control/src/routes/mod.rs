//! The paths of the control server.

mod actions;
mod assets;
mod boards;
mod clients;
mod details;
mod events;
mod labels;
mod live;
mod markup;
mod metrics;
mod panel;
mod permit;
mod queue;
mod workers;

use crate::control::Ids;
use crate::fleet::Fleet;
use crate::ledger::{Ledger, LedgerError};
use crate::live::Gallery;
use crate::machine::{Answer, Command};
use crate::metrics::Metrics;
use crate::sockets::Sockets;
use icefarm_core::wire::{ErrorCode, ErrorDetail, PROTOCOL};
use icefarm_core::{ArgError, Args};
use icefarm_net::{ApiError, BodyLimits, Hub, SocketRequest, answer, json, ws};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use warp::filters::BoxedFilter;
use warp::http::Method;
use warp::reply::Response;
use warp::{Filter, Rejection};

/// What the paths work with.
pub(crate) struct Context {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) hub: Hub,
    pub(crate) gallery: Arc<Gallery>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) ids: Ids,
    pub(crate) heartbeat: Duration,
    pub(crate) body: BodyLimits,
}

impl Context {
    async fn submit(&self, command: Command) -> Result<Answer, ApiError> {
        self.ledger.submit(command).await.map_err(|error: LedgerError| ApiError(error.detail()))
    }
}

/// All paths.
pub(crate) fn routes(context: Arc<Context>) -> BoxedFilter<(Response,)> {
    let clients = clients::routes(&context);
    let boards = boards::routes(&context);
    let workers = workers::routes(&context);
    let details = details::routes(&context);
    let live = live::routes(&context);
    // Before the other deeds to boards, which are told apart by their last word.
    let deeds = labels::routes(&context).or(queue::routes(&context)).unify().boxed();
    let actions = deeds.or(actions::routes(&context)).unify().boxed();
    let panel = panel::routes(&context);
    let (hub, sockets) = (context.hub.clone(), context.sockets.clone());
    let socket =
        ws().map(move |request: SocketRequest| hub.accept(request, sockets.clone())).boxed();
    let health = health(&context);
    let calls = clients.or(boards).unify().or(workers).unify().or(actions).unify().boxed();
    let views = socket.or(panel).unify().or(live).unify().boxed();
    let metrics = metrics::routes(&context);
    let facts = details.or(health).unify().or(metrics).unify().boxed();
    calls.or(views).unify().or(facts).unify().boxed()
}

fn health(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let name = warp::path!("healthz").or(warp::path!("readyz")).unify();
    let context = context.clone();
    let health = name.and(warp::get()).map(move || match context.ledger.complaint() {
        None => json(&json!({"status": "ok"})),
        Some(complaint) => {
            let error = ErrorDetail::new(ErrorCode::Unavailable, complaint);
            answer(Err::<(), _>(ApiError(error)))
        }
    });
    let version = json!({
        "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL
    });
    let version = warp::path!("version").and(warp::get()).map(move || json(&version));
    health.or(version).unify().boxed()
}

/// GET and POST. The old clients send everything as GET, with a body.
fn get_or_post() -> impl Filter<Extract = (Method,), Error = Rejection> + Clone {
    warp::get().or(warp::post()).unify().and(warp::method())
}

/// A path of one word that takes arguments, and the method by which they came.
fn call(
    context: &Arc<Context>,
    path: &'static str,
) -> impl Filter<Extract = (Arc<Context>, Method, Option<Args>), Error = Rejection> + Clone + use<>
{
    let body = icefarm_net::args(context.body.clone());
    let context = context.clone();
    warp::path(path)
        .and(warp::path::end())
        .map(move || context.clone())
        .and(get_or_post())
        .and(body)
}

/// The arguments of a path that changes something. A request without a body changes nothing,
/// whatever it was meant to: browsers fetch addresses that nobody clicked on.
fn needed(args: Option<Args>) -> Result<Args, ApiError> {
    args.ok_or_else(|| {
        let message =
            "this path takes its arguments as a JSON object in the body, and there is none";
        ApiError::new(ErrorCode::BadRequest, message)
    })
}

/// A request of the wire types from its arguments.
fn read<T>(
    args: Option<Args>,
    read: impl FnOnce(Args) -> Result<T, ArgError>,
) -> Result<T, ApiError> {
    read(needed(args)?).map_err(ApiError::from)
}
