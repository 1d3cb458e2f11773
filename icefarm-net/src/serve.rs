//! The accept loop: every connection of a server comes through here.

use crate::error::error_response;
use crate::transport::{Io, Listener, Peer, Secured};
use crate::{Access, Denial, Guard, held::Held};
use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use icefarm_core::wire::{ErrorCode, ErrorDetail};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_service::Service;

/// Connections over the limit that are told so at a time; further ones are just closed.
const REFUSALS: usize = 32;
/// How long a connection over the limit may take to send its request.
const REFUSAL_TIME: Duration = Duration::from_secs(5);

type Error = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, Error>>;

/// The limits of a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Which hosts and origins are served.
    pub guard: Guard,
    /// Who is let in. Everybody, unless changed.
    pub access: Option<Arc<dyn Access>>,
    /// How many connections may be open at a time, websockets included. Whoever comes beyond
    /// that is answered `overloaded`. 1024 unless changed.
    pub max_connections: usize,
    /// How long a client may take to send a request's head. A connection without a request ends
    /// after the same time. 30 s unless changed.
    pub header_timeout: Duration,
    /// How long a client may take nothing of what is written to it, websockets included, before
    /// its connection is cut. 60 s unless changed.
    pub write_timeout: Duration,
    /// How long requests that are being answered may go on when the server ends. 10 s unless
    /// changed.
    pub shutdown_grace: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            guard: Guard::default(),
            access: None,
            max_connections: 1024,
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// Serves HTTP/1.1 on a listener until `shutdown` is ready.
///
/// `service` is a [`warp::service`] or one around it. Each request carries its [`Peer`] in its
/// extensions and has passed the [`Guard`] and the [`Access`]. A panic in the service is answered with 500
/// `internal` and logged.
///
/// Errors of `accept` never end it: connections that died in the queue are skipped, and when the
/// system is out of descriptors or memory it waits and tries again.
///
/// When `shutdown` is ready the listener is dropped, idle connections end at once, and requests
/// that are being answered have [`ServeOptions::shutdown_grace`]. Websockets are not touched, but
/// waited for as long: whoever runs them ends them ([`Hub::close`](crate::Hub::close)).
pub async fn serve<L, S, B>(
    mut listener: L,
    service: S,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) where
    L: Listener,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data = Bytes, Error: Into<Error>> + Send + 'static,
{
    let options = Arc::new(options);
    let is_secure = listener.is_secure();
    let places = Arc::new(Semaphore::new(options.max_connections));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let (closing, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut full = false;
    let mut pause = Duration::ZERO;
    let mut not_before = Instant::now();
    loop {
        let (io, peer) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&mut listener, not_before) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause = after(&error, pause);
                    not_before = Instant::now() + pause;
                    continue;
                }
            },
        };
        pause = Duration::ZERO;
        if let Ok(place) = places.clone().try_acquire_owned() {
            full = false;
            let answering =
                Answering { service: service.clone(), options: options.clone(), peer, is_secure };
            let held = Held::new(io, options.write_timeout, place);
            connections.spawn(answering.run(held, closing.subscribe()));
            continue;
        }
        if !std::mem::replace(&mut full, true) {
            let limit = options.max_connections;
            tracing::warn!(limit, "as many connections are open as are allowed; more are refused");
        }
        if let Ok(place) = refusals.clone().try_acquire_owned() {
            connections.spawn(refuse(io, options.max_connections, place));
        }
    }
    drop(listener);
    closing.send_replace(true);
    let all = u32::try_from(options.max_connections).unwrap_or(u32::MAX);
    let ended = async {
        while connections.join_next().await.is_some() {}
        // The places come back when the upgraded sockets are gone, too.
        let _ = places.acquire_many(all).await;
    };
    if tokio::time::timeout(options.shutdown_grace, ended).await.is_err() {
        let open = options.max_connections - places.available_permits();
        tracing::warn!(open, "connections did not end in time; the server ends without them");
    }
}

async fn accept<L: Listener>(
    listener: &mut L,
    not_before: Instant,
) -> io::Result<(L::Io, SocketAddr)> {
    tokio::time::sleep_until(not_before).await;
    listener.accept().await
}

/// How long to wait after an error of `accept`.
fn after(error: &io::Error, last: Duration) -> Duration {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    // The connection failed, not the listener: the next one is there already.
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
    {
        tracing::debug!(%error, "a connection was gone before it was accepted");
        return Duration::ZERO;
    }
    // Out of descriptors or memory. Trying at once would only burn the processor.
    let pause = (last * 2).clamp(Duration::from_millis(50), Duration::from_secs(1));
    tracing::warn!(%error, ?pause, "no connection can be accepted; trying again");
    pause
}

fn builder(header_timeout: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(header_timeout);
    builder
}

async fn refuse(io: impl Io, limit: usize, _place: OwnedSemaphorePermit) {
    let message = format!("{limit} connections are open, which is this server's limit");
    let detail = ErrorDetail::new(ErrorCode::Overloaded, message);
    let service = service_fn(|_| std::future::ready(Ok::<_, Infallible>(error_answer(&detail))));
    let mut builder = builder(REFUSAL_TIME);
    let connection = builder.keep_alive(false).serve_connection(TokioIo::new(io), service);
    // Whether the refused one listens is up to it.
    let _ = tokio::time::timeout(REFUSAL_TIME, connection).await;
}

fn error_answer(detail: &ErrorDetail) -> Answer {
    error_response(detail)
        .map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync())
}

fn denied(denial: &Denial) -> Answer {
    let mut answer = error_answer(&denial.detail);
    if let Some(location) = denial.location {
        *answer.status_mut() = http::StatusCode::SEE_OTHER;
        let location = http::HeaderValue::from_static(location);
        answer.headers_mut().insert(http::header::LOCATION, location);
    }
    answer
}

/// What answers the requests of one connection.
struct Answering<S> {
    service: S,
    options: Arc<ServeOptions>,
    peer: SocketAddr,
    is_secure: bool,
}

impl<S, B> Answering<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data = Bytes, Error: Into<Error>> + Send + 'static,
{
    async fn run(self, io: impl Io, mut closing: watch::Receiver<bool>) {
        let peer = self.peer;
        let builder = builder(self.options.header_timeout);
        let service =
            service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        let connection = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = async { let _ = closing.wait_for(|closing| *closing).await; } => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection failed");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (mut parts, body) = request.into_parts();
        if self.is_secure {
            parts.extensions.insert(Secured);
        }
        if let Err(detail) = self.options.guard.check(&parts) {
            tracing::debug!(peer = %self.peer, error = %detail, "a request was refused");
            return error_answer(&detail);
        }
        parts.extensions.insert(Peer(self.peer));
        if let Some(access) = &self.options.access
            && let Err(denial) = access.admit(&mut parts, self.peer)
        {
            tracing::debug!(peer = %self.peer, error = %denial.detail, "a request was not let in");
            return denied(&denial);
        }
        let path = parts.uri.path().to_owned();
        let mut service = self.service.clone();
        let answered = AssertUnwindSafe(async {
            std::future::poll_fn(|context| service.poll_ready(context)).await?;
            service.call(Request::from_parts(parts, body)).await
        });
        match answered.catch_unwind().await {
            Ok(Ok(response)) => response.map(|body| body.map_err(Into::into).boxed_unsync()),
            Ok(Err(never)) => match never {},
            Err(panic) => {
                let panic = crate::panics::message(&*panic);
                tracing::error!(%path, panic, "the answer to a request panicked");
                let message = "the server failed; its log says more";
                error_answer(&ErrorDetail::new(ErrorCode::Internal, message))
            }
        }
    }
}
