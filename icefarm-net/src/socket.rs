//! The client's end of a websocket.

use crate::Endpoint;
use crate::client::{Bearer, USER_AGENT_TEXT, refusal};
use crate::codec::{CodecError, CodecLimits, Encoding, decode_server, encode_ack, encode_client};
use crate::query::SubscriberId;
use crate::transport::Connector;
use crate::watched::{Heard, Watched};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use http::header::{
    AUTHORIZATION, CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use icefarm_core::ClientName;
use icefarm_core::wire::{
    ClientFrame, ErrorDetail, Hello, META_SERIAL, PROTOCOL, Position, ServerFrame, events,
};
use std::fmt::Write as _;
use std::io;
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

type Stream = WebSocketStream<Watched<TokioIo<Upgraded>>>;
type Source = Box<dyn std::error::Error + Send + Sync>;

/// What a client says when it opens a websocket, and what it bears from it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SocketParams {
    /// Whose events are wanted, and in whose name commands are given.
    pub client: ClientName,
    /// Which subscriber of the client's events this is. It stays the same from socket to socket.
    pub sub: SubscriberId,
    /// The subscriber has everything up to here.
    pub resume: Option<Position>,
    /// A token or a ticket for `Authorization: Bearer`.
    pub bearer: Option<Bearer>,
    /// How frames are written, both ways. MessagePack unless changed.
    pub encoding: Encoding,
    /// How long it may take until the server's hello is there. 20 s unless changed.
    pub timeout: Duration,
    /// How long the server may be silent; it sends a ping every 20 s. 60 s unless changed.
    pub silence: Duration,
    /// The largest message, in bytes. [`MAX_MESSAGE`](crate::MAX_MESSAGE) unless changed.
    pub max_message: usize,
    /// What reading a message may cost beyond that.
    pub codec: CodecLimits,
}

impl SocketParams {
    /// Parameters for a subscriber's first socket.
    #[must_use]
    pub fn new(client: ClientName, sub: SubscriberId) -> Self {
        Self {
            client,
            sub,
            resume: None,
            bearer: None,
            encoding: Encoding::MessagePack,
            timeout: Duration::from_secs(20),
            silence: Duration::from_secs(60),
            max_message: crate::MAX_MESSAGE,
            codec: CodecLimits::default(),
        }
    }

    /// The same, going on after a position.
    #[must_use]
    pub fn resume(mut self, position: Option<Position>) -> Self {
        self.resume = position;
        self
    }

    /// The same with a token or a ticket.
    #[must_use]
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.bearer = Some(Bearer::new(token));
        self
    }

    /// The same in another encoding.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    fn path(&self) -> String {
        let mut path = format!(
            "/ws?v=1&client_id={}&sub={}",
            Escaped(self.client.as_str()),
            Escaped(self.sub.as_str())
        );
        if let Some(Position { epoch, seq }) = &self.resume {
            // Writing to a text never fails.
            let _ = write!(path, "&epoch={}&seq={seq}", Escaped(epoch.as_str()));
        }
        if self.encoding == Encoding::MessagePack {
            path.push_str("&enc=msgpack");
        }
        path
    }
}

/// A value in a query: everything but the unreserved characters of RFC 3986 is escaped.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    f.write_char(byte.into())?;
                }
                other => write!(f, "%{other:02X}")?,
            }
        }
        Ok(())
    }
}

/// Why a websocket could not be opened, or has ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The server cannot be reached.
    #[error("cannot connect to {url}: {source}")]
    Connect {
        /// The server.
        url: String,
        /// What the system says.
        source: io::Error,
    },
    /// The server took too long to begin.
    #[error("{url} did not open a websocket within {timeout:?}")]
    Timeout {
        /// The server.
        url: String,
        /// How long it had.
        timeout: Duration,
    },
    /// The server answered the request for a websocket with an error.
    #[error("{url} opens no websocket: {error}")]
    Refused {
        /// The server.
        url: String,
        /// The HTTP status.
        status: StatusCode,
        /// What the server says.
        #[source]
        error: ErrorDetail,
    },
    /// The server speaks another major version of the protocol.
    #[error("{url} speaks protocol {theirs}, and this program speaks {PROTOCOL}")]
    Version {
        /// The server.
        url: String,
        /// Its version.
        theirs: String,
    },
    /// The server closed the socket, and says why.
    #[error("the server closed the websocket: {reason} (code {code})")]
    Closed {
        /// The code of RFC 6455, section 7.4.
        code: u16,
        /// What the server says.
        reason: String,
    },
    /// Nothing came for too long: the server or the way to it is gone.
    #[error("nothing was heard of the server for {limit:?}")]
    Silent {
        /// How long it could be silent.
        limit: Duration,
    },
    /// The connection broke, or what came is not what should come.
    #[error("the websocket broke: {reason}")]
    Broken {
        /// What happened.
        reason: String,
        /// What the connection says.
        source: Option<Source>,
    },
    /// A frame cannot be read or written.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl SocketError {
    fn broken(what: &str, source: impl Into<Source>) -> Self {
        let source = source.into();
        Self::Broken { reason: format!("{what}: {source}"), source: Some(source) }
    }
}

impl From<WsError> for SocketError {
    fn from(error: WsError) -> Self {
        Self::broken("the connection failed", error)
    }
}

/// A websocket to a control server or a worker.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use icefarm_net::{ClientSocket, SocketParams, SubscriberId, TcpConnector};
///
/// let worker = "http://127.0.0.1:8081".parse()?;
/// let sub = SubscriberId::new("0b0e8bd2-7c0c-4a3a-9f2e-7a4f2a1c6f31").unwrap();
/// let params = SocketParams::new("me".parse()?, sub);
/// let (mut socket, hello) = ClientSocket::connect(&TcpConnector, &worker, params).await?;
/// while let Some(frame) = socket.next().await? {
///     if let (Some(epoch), Some(seq)) = (frame.epoch, frame.seq) {
///         socket.ack(&icefarm_core::wire::Position { epoch, seq }).await?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ClientSocket {
    sender: SocketSender,
    receiver: SocketReceiver,
}

/// The half of a [`ClientSocket`] that sends.
#[derive(Debug)]
pub struct SocketSender {
    sink: SplitSink<Stream, Message>,
    encoding: Encoding,
}

/// The half of a [`ClientSocket`] that receives. It answers the server's pings while it is asked
/// for frames.
#[derive(Debug)]
pub struct SocketReceiver {
    stream: SplitStream<Stream>,
    heard: Heard,
    silence: Duration,
    codec: CodecLimits,
}

impl ClientSocket {
    /// Opens a websocket and waits for the server's hello.
    ///
    /// # Errors
    /// [`SocketError`]; `Refused` carries the error that the server gives as the reason.
    pub async fn connect(
        connector: &dyn Connector,
        endpoint: &Endpoint,
        params: SocketParams,
    ) -> Result<(Self, Hello), SocketError> {
        let opened = tokio::time::timeout(params.timeout, open(connector, endpoint, &params)).await;
        opened.unwrap_or_else(|_| {
            Err(SocketError::Timeout { url: endpoint.to_string(), timeout: params.timeout })
        })
    }

    /// Sends a command.
    ///
    /// # Errors
    /// [`SocketError::Broken`], or [`SocketError::Codec`] if the command cannot be written.
    pub async fn send(&mut self, frame: &ClientFrame) -> Result<(), SocketError> {
        self.sender.send(frame).await
    }

    /// Acknowledges everything up to a position.
    ///
    /// # Errors
    /// [`SocketError::Broken`].
    pub async fn ack(&mut self, position: &Position) -> Result<(), SocketError> {
        self.sender.ack(position).await
    }

    /// As [`SocketReceiver::next`].
    ///
    /// # Errors
    /// [`SocketError`]; the socket is of no use then.
    pub async fn next(&mut self) -> Result<Option<ServerFrame>, SocketError> {
        self.receiver.next().await
    }

    /// Ends the socket in an orderly way.
    ///
    /// # Errors
    /// [`SocketError::Broken`].
    pub async fn close(mut self) -> Result<(), SocketError> {
        self.sender.close().await?;
        while self.receiver.next().await?.is_some() {}
        Ok(())
    }

    /// The two halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (SocketSender, SocketReceiver) {
        (self.sender, self.receiver)
    }
}

impl SocketSender {
    /// Sends a command.
    ///
    /// # Errors
    /// [`SocketError::Broken`], or [`SocketError::Codec`] if the command cannot be written.
    pub async fn send(&mut self, frame: &ClientFrame) -> Result<(), SocketError> {
        self.write(encode_client(frame, self.encoding)?).await
    }

    /// Acknowledges everything up to a position.
    ///
    /// # Errors
    /// [`SocketError::Broken`].
    pub async fn ack(&mut self, position: &Position) -> Result<(), SocketError> {
        self.write(encode_ack(position, self.encoding)?).await
    }

    /// Says that nothing more will be sent. The receiver ends when the server agrees.
    ///
    /// # Errors
    /// [`SocketError::Broken`].
    pub async fn close(&mut self) -> Result<(), SocketError> {
        match self.sink.send(Message::Close(None)).await {
            // The server was faster.
            Ok(()) | Err(WsError::ConnectionClosed | WsError::AlreadyClosed) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), SocketError> {
        let message = match self.encoding {
            Encoding::Json => Message::Text(
                bytes.try_into().map_err(|error| SocketError::broken("not text", error))?,
            ),
            Encoding::MessagePack => Message::Binary(bytes),
        };
        Ok(self.sink.send(message).await?)
    }
}

impl SocketReceiver {
    /// The next frame; `None` when the socket was closed without a reason to complain.
    ///
    /// Nothing is lost if the future is dropped before it is ready.
    ///
    /// # Errors
    /// [`SocketError`]; the socket is of no use then, unless it is [`SocketError::Codec`]: that is
    /// about one frame, and the next one may be asked for.
    pub async fn next(&mut self) -> Result<Option<ServerFrame>, SocketError> {
        loop {
            // What has arrived counts, however late it is fetched.
            let message = tokio::select! {
                biased;
                message = self.stream.next() => message,
                () = self.heard.silence(self.silence) => {
                    return Err(SocketError::Silent { limit: self.silence });
                }
            };
            let (bytes, encoding) = match message {
                None => return Ok(None),
                Some(Ok(Message::Text(text))) => (text.into(), Encoding::Json),
                Some(Ok(Message::Binary(bytes))) => (bytes, Encoding::MessagePack),
                Some(Ok(Message::Close(Some(frame))))
                    if !matches!(frame.code, CloseCode::Normal | CloseCode::Away) =>
                {
                    let (code, reason) = (frame.code.into(), frame.reason.to_string());
                    return Err(SocketError::Closed { code, reason });
                }
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error.into()),
            };
            return Ok(Some(decode_server(&bytes, encoding, &self.codec)?));
        }
    }
}

async fn open(
    connector: &dyn Connector,
    endpoint: &Endpoint,
    params: &SocketParams,
) -> Result<(ClientSocket, Hello), SocketError> {
    let upgraded = upgrade(connector, endpoint, params).await?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(params.max_message))
        .max_frame_size(Some(params.max_message));
    let heard = Heard::new();
    let io = Watched::new(TokioIo::new(upgraded), heard.clone());
    let (sink, stream) = Stream::from_raw_socket(io, Role::Client, Some(config)).await.split();
    let sender = SocketSender { sink, encoding: params.encoding };
    let (silence, codec) = (params.silence, params.codec.clone());
    let mut receiver = SocketReceiver { stream, heard, silence, codec };
    let first = receiver.next().await?;
    let hello = first.as_ref().and_then(hello).ok_or_else(|| SocketError::Broken {
        reason: "the server's first frame is no hello".to_owned(),
        source: None,
    })?;
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    if major(&hello.protocol) != major(PROTOCOL) {
        let (url, theirs) = (endpoint.to_string(), hello.protocol);
        return Err(SocketError::Version { url, theirs });
    }
    Ok((ClientSocket { sender, receiver }, hello))
}

fn hello(frame: &ServerFrame) -> Option<Hello> {
    let event = frame.contents.first().filter(|_| frame.serial == META_SERIAL)?;
    let text = |key: &str| Some(event.fields.get(key)?.as_str()?.to_owned());
    let features = match event.fields.get("features").and_then(|list| list.as_array()) {
        Some(list) => list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        None => Vec::new(),
    };
    (event.event == events::HELLO).then_some(Hello {
        protocol: text("protocol")?,
        epoch: text("epoch")?.into(),
        seq: event.fields.get("seq")?.as_u64()?,
        features,
    })
}

async fn upgrade(
    connector: &dyn Connector,
    endpoint: &Endpoint,
    params: &SocketParams,
) -> Result<Upgraded, SocketError> {
    let url = endpoint.to_string();
    let io = match connector.connect(endpoint).await {
        Ok(io) => io,
        Err(source) => return Err(SocketError::Connect { url, source }),
    };
    let failed = |error: hyper::Error| SocketError::broken("the request failed", error);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(failed)?;
    tokio::spawn(async move {
        // Whoever waits for the answer hears of the error, too.
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection failed");
        }
    });
    let key = generate_key();
    let mut request = Request::get(params.path())
        .header(HOST, endpoint.authority())
        .header(USER_AGENT, USER_AGENT_TEXT)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    if let Some(bearer) = &params.bearer {
        let value = bearer.header().ok_or_else(|| SocketError::Broken {
            reason: "the token holds characters that no token has".to_owned(),
            source: None,
        })?;
        request = request.header(AUTHORIZATION, value);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| SocketError::broken("the request cannot be made", error))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        // An error of ours is short. If it does not come whole, the status has to do.
        let body = Limited::new(response.into_body(), 64 << 10).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        return Err(SocketError::Refused { url, status, error: refusal(status, &body) });
    }
    let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
    {
        let reason = "the server's answer to the handshake is not RFC 6455".to_owned();
        return Err(SocketError::Broken { reason, source: None });
    }
    hyper::upgrade::on(response).await.map_err(failed)
}
