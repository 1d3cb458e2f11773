//! Websockets for who only listens: a page that shows what the server is at.

use crate::error::ApiError;
use crate::transport::Peer;
use crate::upgrade::{Handshake, NotAnUpgrade, Request};
use crate::watched::{Heard, Watched};
use futures::{SinkExt as _, Stream, StreamExt as _};
use http::{HeaderMap, Method};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use warp::reply::{Reply as _, Response};
use warp::{Filter, Rejection};

/// Memory per socket.
const BUFFER: usize = 16 << 10;
/// What a listener says is thrown away; a page has no reason to send more than this.
const SAID: usize = 4 << 10;
/// How long a socket that the server ends may take to go.
const FAREWELL: Duration = Duration::from_secs(5);

/// The times of a websocket for listeners.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FeedConfig {
    /// How often it is asked for a sign of life. 20 s unless changed.
    pub ping: Duration,
    /// A listener that says nothing, or takes nothing, for so long is gone. 60 s unless changed.
    pub silence: Duration,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self { ping: Duration::from_secs(20), silence: Duration::from_secs(60) }
    }
}

/// A request for a websocket, in a way that can be answered or not.
#[derive(Debug)]
pub struct FeedRequest(Result<Handshake, ApiError>);

/// Takes requests for websockets, at any path: the caller's filters choose it. A request that asks
/// for no upgrade is left to other routes.
///
/// ```
/// use futures::stream;
/// use icefarm_net::{FeedConfig, FeedRequest, feed};
/// use warp::Filter;
///
/// let route = warp::path!("v1" / "time").and(feed()).map(|request: FeedRequest| {
///     let texts = stream::iter(["one".to_owned(), "two".to_owned()]);
///     request.pour(FeedConfig::default(), texts)
/// });
/// # let _ = warp::service(route.recover(icefarm_net::recover));
/// ```
pub fn feed() -> impl Filter<Extract = (FeedRequest,), Error = Rejection> + Clone + Send + Sync {
    warp::method()
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::ext::optional::<Peer>())
        .and_then(async |method: Method, headers: HeaderMap, upgrade, peer| {
            let mut request = Request { method, headers, upgrade, peer };
            match request.asks() {
                Some(upgrade) => Ok(FeedRequest(request.shake(upgrade))),
                None => Err(warp::reject::custom(NotAnUpgrade)),
            }
        })
}

impl FeedRequest {
    /// Answers with the beginning of the websocket, and sends each text of `texts` as one message,
    /// to the end of the texts or of the socket. The next text is asked for when the one before is
    /// out, so a listener that is slow keeps nothing waiting but itself.
    pub fn pour(
        self,
        config: FeedConfig,
        texts: impl Stream<Item = String> + Send + 'static,
    ) -> Response {
        let handshake = match self.0 {
            Ok(handshake) => handshake,
            Err(error) => return error.into_response(),
        };
        let peer = handshake.peer();
        let (response, upgrade) = handshake.switch();
        tokio::spawn(async move {
            match upgrade.await {
                Ok(upgraded) => {
                    let reason = run(upgraded, &config, texts).await;
                    tracing::debug!(%peer, reason, "a listener's socket ended");
                }
                Err(error) => tracing::debug!(%peer, %error, "an upgrade failed"),
            }
        });
        response
    }
}

async fn run(
    upgraded: Upgraded,
    config: &FeedConfig,
    texts: impl Stream<Item = String>,
) -> &'static str {
    let limits = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(SAID))
        .max_frame_size(Some(SAID));
    let heard = Heard::new();
    let io = Watched::new(TokioIo::new(upgraded), heard.clone());
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
    let mut texts = pin!(texts);
    let mut ping = interval_at(Instant::now() + config.ping, config.ping);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            said = socket.next() => match said {
                // What it says does not matter, only that it does.
                Some(Ok(_)) => continue,
                Some(Err(_)) => return "it broke, or said more than it may",
                None => return "the listener closed it",
            },
            () = heard.silence(config.silence) => return "nothing was heard for too long",
            _ = ping.tick() => Message::Ping(bytes::Bytes::new()),
            text = texts.next() => match text {
                Some(text) => Message::text(text),
                None => break,
            },
        };
        match timeout(config.silence, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return "it broke",
            Err(_) => return "it took nothing any more",
        }
    }
    let frame = CloseFrame { code: CloseCode::Away, reason: "the server is ending".into() };
    let farewell = async {
        // The listener says that it has heard; until then our reason may be thrown away.
        if socket.close(Some(frame)).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let _ = timeout(FAREWELL, farewell).await;
    "there is no more to tell"
}
