//! The paths of the control server.

mod access;
mod actions;
mod assets;
mod boards;
mod clients;
mod details;
mod events;
mod labels;
mod live;
mod login;
mod markup;
mod metrics;
mod panel;
mod permit;
mod queue;
mod workers;

use crate::access::{Gate, Sessions, Tokens};
use crate::control::Ids;
use crate::fleet::Fleet;
use crate::ledger::{Ledger, LedgerError, Trail};
use crate::live::Gallery;
use crate::machine::{Answer, Command, millis};
use crate::metrics::Metrics;
use crate::sockets::Sockets;
use icefarm_core::wire::{ErrorCode, ErrorDetail, HeartbeatNews, PROTOCOL, Tickets, TokenDetail};
use icefarm_core::{ArgError, Args, ClientName, TokenId};
use icefarm_net::{
    ApiError, BodyLimits, Hub, Paces, Pass, SocketRequest, TicketClaims, TicketKey, answer, json,
    ws,
};
use percent_encoding::percent_decode_str;
use permit::{Asker, Deed, asker};
use serde_json::json;
use std::fmt::Display;
use std::str::FromStr;
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
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) gate: Arc<Gate>,
    /// How often a token's misdeeds are written down.
    pub(crate) forbidden: Paces<TokenId>,
    /// How long tickets for workers last.
    pub(crate) ticket: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) body: BodyLimits,
}

impl Context {
    async fn submit(&self, command: Command) -> Result<Answer, ApiError> {
        self.ledger.submit(command).await.map_err(|error: LedgerError| ApiError(error.detail()))
    }

    /// As [`Self::submit`], for somebody whose deeds are written down.
    async fn submit_for(&self, command: Command, trail: Trail) -> Result<Answer, ApiError> {
        let done = self.ledger.submit_for(command, trail).await;
        done.map_err(|error: LedgerError| ApiError(error.detail()))
    }

    /// What workers are told beside everything else.
    fn news(&self) -> HeartbeatNews {
        HeartbeatNews { now: self.ledger.now(), tickets: !self.tokens.is_empty() }
    }

    /// Tickets in the name of `client` for the workers whose address is meant, for who has shown
    /// `token`. None on a farm without tokens.
    fn tickets(
        &self,
        token: Option<&Arc<TokenDetail>>,
        client: &ClientName,
        is_meant: impl Fn(&str) -> bool,
    ) -> Tickets {
        let Some(token) = token else { return Tickets::default() };
        let now = self.ledger.now();
        let usual = now.after(self.ticket);
        let expires = token.expires.map_or(usual, |expires| expires.min(usual));
        let farm = self.ledger.farm();
        let meant = farm.workers_by_url().into_values().filter(|worker| is_meant(&worker.url));
        let tickets = meant.map(|worker| {
            let claims = TicketClaims {
                client: client.clone(),
                worker: worker.name.clone(),
                token: token.id.clone(),
                expires,
            };
            (worker.url.clone(), TicketKey::derive(&worker.secret.0).issue(&claims))
        });
        Tickets { tickets: tickets.collect(), expires_in_ms: millis(expires.since(now)) }
    }

    /// Ends the sockets of tokens that are not good for anything any more.
    pub(crate) fn end_sockets(&self) {
        let now = self.ledger.now();
        let is_over = |pass: Option<&Pass>| match pass {
            Some(pass) => !self.tokens.is_valid(&TokenId(pass.token.clone()), now),
            // It came before there were tokens.
            None => !self.tokens.is_empty(),
        };
        self.hub.end_passes(is_over, "the access token that let this socket in is over");
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
    let panel = panel::routes(&context).or(login::routes(&context)).unify().boxed();
    let access = access::routes(&context);
    let socket = ws().and(asker(&context)).map(socket).boxed();
    let health = health(&context);
    let calls = clients.or(boards).unify().or(workers).unify().or(actions).unify().boxed();
    let views = socket.or(panel).unify().or(live).unify().boxed();
    let metrics = metrics::routes(&context);
    let facts = details.or(health).unify().or(access).unify().or(metrics).unify().boxed();
    calls.or(views).unify().or(facts).unify().boxed()
}

/// A websocket in the name of a client.
fn socket(request: SocketRequest, asker: Asker) -> Response {
    if let Ok(query) = request.query()
        && let Err(error) = asker.check(Deed::Hold(&query.client))
    {
        return answer(Err::<(), _>(error));
    }
    let pass =
        asker.token().map(|token| Pass { token: token.id.0.clone(), expires: token.expires });
    asker.hub.accept_by(request, asker.sockets.clone(), pass)
}

fn health(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let name = warp::path!("healthz").or(warp::path!("readyz")).unify();
    let shown = context.clone();
    let health = name.and(warp::get()).map(move || match shown.ledger.complaint() {
        None => json(&json!({"status": "ok"})),
        Some(complaint) => {
            let error = ErrorDetail::new(ErrorCode::Unavailable, complaint);
            answer(Err::<(), _>(ApiError(error)))
        }
    });
    let version = json!({
        "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL
    });
    let version = warp::path!("version")
        .and(warp::get())
        .and(asker(context))
        .map(move |asker: Asker| answer(asker.identity().map(|_| &version)));
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
) -> impl Filter<Extract = (Asker, Method, Option<Args>), Error = Rejection> + Clone + use<> {
    let body = icefarm_net::args(context.body.clone());
    warp::path(path).and(warp::path::end()).and(asker(context)).and(get_or_post()).and(body)
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

/// A serial or a name that is a part of the path.
fn in_path<T: FromStr<Err: Display>>(part: &str) -> Result<T, ApiError> {
    let bad = |reason: String| ApiError::new(ErrorCode::BadRequest, format!("the path: {reason}"));
    let text = percent_decode_str(part).decode_utf8().map_err(|error| bad(error.to_string()))?;
    text.parse().map_err(|error: T::Err| bad(error.to_string()))
}

/// A request of the wire types from its arguments.
fn read<T>(
    args: Option<Args>,
    read: impl FnOnce(Args) -> Result<T, ArgError>,
) -> Result<T, ApiError> {
    read(needed(args)?).map_err(ApiError::from)
}
