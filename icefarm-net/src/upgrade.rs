//! The way from HTTP to a websocket.
//!
//! warp's own filter is bound to another version of tungstenite and hides its settings.

use crate::error::ApiError;
use crate::query::SocketQuery;
use crate::transport::Peer;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Method, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use icefarm_core::wire::ErrorCode;
use std::net::SocketAddr;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use warp::reject::Reject;
use warp::reply::Response;
use warp::{Filter, Rejection};

/// The request asks for no websocket. Another route of the path may take it.
#[derive(Debug)]
pub(crate) struct NotAnUpgrade;

impl Reject for NotAnUpgrade {}

/// A client that asks for a websocket, in a way that can be answered or not.
/// [`Hub::accept`](crate::Hub::accept) answers it in any case: left to further routes, a wrong
/// request for `/` would get the panel.
#[derive(Debug)]
pub struct SocketRequest(Result<Asked, ApiError>);

/// What is known of a client that asks for a websocket.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) query: SocketQuery,
    pub(crate) peer: SocketAddr,
    handshake: Handshake,
}

/// A websocket that can begin.
#[derive(Debug)]
pub(crate) struct Handshake {
    peer: SocketAddr,
    upgrade: OnUpgrade,
    accept: String,
}

/// Takes requests for websockets at `/ws` and `/`.
///
/// A request for `/` that asks for no upgrade is left to other routes. Everything that is wrong
/// with the query is answered before the upgrade, as `bad_request` or `version_mismatch`.
pub fn ws() -> impl Filter<Extract = (SocketRequest,), Error = Rejection> + Clone + Send + Sync {
    let path = warp::path::end().or(warp::path!("ws")).unify();
    let query = warp::query::<Vec<(String, String)>>();
    path.and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::ext::optional::<Peer>())
        .and(query)
        .and_then(async |method, headers, upgrade, peer, query: Vec<(String, String)>| {
            let mut request = Request { method, headers, upgrade, peer };
            match request.asks() {
                Some(upgrade) => Ok(SocketRequest(request.read(upgrade, &query))),
                None => Err(warp::reject::custom(NotAnUpgrade)),
            }
        })
}

pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) upgrade: Option<OnUpgrade>,
    pub(crate) peer: Option<Peer>,
}

impl Request {
    /// The way to the websocket, if that is what is asked for.
    pub(crate) fn asks(&mut self) -> Option<OnUpgrade> {
        let asks = self.method == Method::GET
            && self.lists(UPGRADE, "websocket")
            && self.lists(CONNECTION, "upgrade");
        self.upgrade.take().filter(|_| asks)
    }

    fn read(self, upgrade: OnUpgrade, query: &[(String, String)]) -> Result<Asked, ApiError> {
        let handshake = self.shake(upgrade)?;
        let query = SocketQuery::read(query).map_err(ApiError)?;
        Ok(Asked { query, peer: handshake.peer, handshake })
    }

    /// Checks what RFC 6455 wants of a request, and prepares the answer.
    pub(crate) fn shake(self, upgrade: OnUpgrade) -> Result<Handshake, ApiError> {
        let bad = |message: &str| ApiError::new(ErrorCode::BadRequest, message);
        if self.headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(bad("only version 13 of websockets (RFC 6455) is spoken here"));
        }
        let key = self.headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        let Some(key) = key.filter(|key| key.len() == 24) else {
            return Err(bad("the header sec-websocket-key is missing or no key"));
        };
        let Some(Peer(peer)) = self.peer else {
            tracing::error!("a websocket was asked for on a connection of an unknown client");
            return Err(ApiError::new(ErrorCode::Internal, "the server failed; its log says more"));
        };
        Ok(Handshake { peer, upgrade, accept: derive_accept_key(key) })
    }

    /// Whether a header is a list that has `item` in it.
    fn lists(&self, name: HeaderName, item: &str) -> bool {
        let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(item))
    }
}

impl SocketRequest {
    /// What the client says of itself, or why it cannot be answered with a websocket.
    ///
    /// # Errors
    /// What [`Hub::accept`](crate::Hub::accept) will answer.
    pub fn query(&self) -> Result<&SocketQuery, &ApiError> {
        self.0.as_ref().map(|asked| &asked.query)
    }

    pub(crate) fn into_inner(self) -> Result<Asked, ApiError> {
        self.0
    }
}

impl Asked {
    pub(crate) fn switch(self) -> (Response, impl Future<Output = hyper::Result<Upgraded>>) {
        self.handshake.switch()
    }
}

impl Handshake {
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The answer that begins the websocket, and the stream that it is then spoken on.
    pub(crate) fn switch(self) -> (Response, impl Future<Output = hyper::Result<Upgraded>>) {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::try_from(self.accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        (response, self.upgrade)
    }
}
