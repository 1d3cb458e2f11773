//! One websocket of a server, from its upgrade to its end.

use super::commands::Commands;
use super::outgoing::Closing;
use super::service::{Caller, Pass, SocketService};
use super::{Inner, Start};
use crate::codec::{ClientMessage, Encoding, decode_packed, encode_numbered};
use crate::memory::Intake;
use crate::outbox::{Attachment, Delivery, SubscriberKey};
use crate::query::SocketQuery;
use crate::watched::{Heard, Watched};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use icefarm_core::wire::{
    ErrorCode, ErrorDetail, Event, META_SERIAL, PROTOCOL, Position, ServerFrame, events,
};
use icefarm_core::{Epoch, Value};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

type Socket = WebSocketStream<Watched<TokioIo<Upgraded>>>;

/// Frames that are written before it is made sure that they are out.
const BATCH: u32 = 64;
/// Memory per socket: most of a thousand sockets are idle most of the time.
const BUFFER: usize = 16 << 10;
/// How long a socket that the server ends may take to go.
const FAREWELL: Duration = Duration::from_secs(5);

/// One websocket of a server.
pub(super) struct Session {
    inner: Arc<Inner>,
    start: Start,
    commands: Commands,
    intake: Arc<Intake>,
    /// `None` for sockets of the first protocol.
    v1: Option<Encoding>,
}

/// Why a socket ends.
enum End {
    /// The client closed it, or it broke.
    Gone,
    /// It takes nothing any more.
    Stalled,
    /// We end it.
    Close(Closing),
}

impl From<WsError> for End {
    fn from(error: WsError) -> Self {
        let (code, reason) = match error {
            WsError::Capacity(_) => {
                (CloseCode::Size, "the message is larger than this server takes")
            }
            WsError::Utf8(_) => (CloseCode::Invalid, "the text is not UTF-8"),
            WsError::Protocol(_) => (CloseCode::Protocol, "not what RFC 6455 allows"),
            WsError::Io(error) if error.kind() == ErrorKind::OutOfMemory => {
                (CloseCode::Again, "the messages of all clients take as much memory as they may")
            }
            _ => return Self::Gone,
        };
        Self::Close(Closing::now(code, reason))
    }
}

impl Session {
    /// Takes its place among the client's sockets. What happens from now on comes to the client,
    /// however long the upgrade takes.
    pub(super) fn begin(
        inner: Arc<Inner>,
        query: SocketQuery,
        (peer, pass): (SocketAddr, Option<Pass>),
        service: Arc<dyn SocketService>,
    ) -> Self {
        let SocketQuery { client, v1 } = query;
        let sub = v1.as_ref().map(|v1| v1.sub.clone());
        let resume = v1.as_ref().and_then(|v1| v1.resume.as_ref());
        let start = inner.attach(&client, sub.as_ref().map(|sub| sub.shared()), resume, pass);
        let caller = Caller { client, sub, peer, socket: start.socket };
        let commands = Commands {
            service,
            caller,
            outgoing: start.outgoing.clone(),
            answers: start.answers.clone(),
            codec: inner.config.codec.clone(),
            memory: inner.memory.clone(),
            guests: inner.guests.clone(),
            tally: inner.tally.clone(),
        };
        let intake = Arc::new(Intake::new(Box::new(commands.lender())));
        let session = Self { inner, start, commands, intake, v1: v1.map(|v1| v1.encoding) };
        session.commands.service.opened(&session.commands.caller);
        session
    }

    /// Speaks on the socket until it ends.
    pub(super) async fn run(self, upgraded: Upgraded) {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(self.inner.config.max_message))
            .max_frame_size(Some(self.inner.config.max_message));
        let heard = Heard::new();
        let io = Watched::new(TokioIo::new(upgraded), heard.clone()).counted(self.intake.clone());
        let socket = Socket::from_raw_socket(io, Role::Server, Some(config)).await;
        let (mut sink, mut stream) = socket.split();
        let end = tokio::select! {
            end = self.read(&mut stream, &heard) => end,
            end = self.write(&mut sink) => end,
        };
        let peer = self.commands.caller.peer;
        match end {
            End::Gone => tracing::debug!(%peer, "a socket ended"),
            End::Stalled => tracing::debug!(%peer, "a socket took nothing any more and was cut"),
            End::Close(closing) => {
                tracing::debug!(%peer, reason = closing.reason, "a socket is closed");
                if let Ok(socket) = sink.reunite(stream) {
                    let _ = timeout(FAREWELL, farewell(socket, closing)).await;
                }
            }
        }
    }

    async fn read(&self, stream: &mut SplitStream<Socket>, heard: &Heard) -> End {
        let config = &self.inner.config;
        let mut told = None;
        loop {
            // Who does not read its answers has no further commands read.
            self.start.outgoing.room().await;
            // What has arrived counts, however late it is fetched.
            let message = tokio::select! {
                biased;
                message = stream.next() => message,
                () = heard.silence(config.silence) => {
                    let reason = "nothing was heard for too long";
                    return End::Close(Closing::now(CloseCode::Policy, reason));
                }
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => return error.into(),
                None => return End::Gone,
            };
            if told.is_none_or(|told: Instant| told.elapsed() >= config.alive_every) {
                told = Some(Instant::now());
                self.commands.service.alive(&self.commands.caller);
            }
            match message {
                Message::Text(text) => self.take(text.into(), Encoding::Json).await,
                Message::Binary(bytes) => self.take(bytes, Encoding::MessagePack).await,
                Message::Ping(payload) => {
                    self.intake.aside(payload.len());
                    self.start.outgoing.pinged();
                }
                Message::Pong(payload) => self.intake.aside(payload.len()),
                Message::Close(_) | Message::Frame(_) => {}
            }
        }
    }

    async fn take(&self, bytes: Bytes, encoding: Encoding) {
        // Files are parts of the message, which goes with the last of them.
        let (bytes, fits) = match self.intake.message(bytes.len()) {
            Some(loan) => (loan.hold(bytes), true),
            None => (bytes, false),
        };
        let decoded = decode_packed(&bytes, encoding, &self.inner.config.codec);
        drop(bytes);
        match decoded {
            Ok(ClientMessage::Command(frame)) => self.commands.take(frame, encoding, fits).await,
            Ok(ClientMessage::Ack(position)) => self.acknowledge(&position),
            Err(error) => {
                let error = ErrorDetail::new(ErrorCode::BadRequest, error.to_string());
                self.commands.complain(&error);
            }
        }
    }

    fn acknowledge(&self, position: &Position) {
        let client = &self.commands.caller.client;
        if !self.inner.ack(client, &self.start.key, position) {
            let message = format!(
                "the acknowledged position, {} of `{}`, is not one of this stream",
                position.seq,
                position.epoch.as_str().escape_debug().take(64).collect::<String>()
            );
            self.commands.complain(&ErrorDetail::new(ErrorCode::BadRequest, message));
        }
    }

    async fn write(&self, sink: &mut SplitSink<Socket, Message>) -> End {
        let mut writer = Writer { session: self, sink, unflushed: 0 };
        match writer.run().await {
            Ok(closing) => End::Close(closing),
            Err(end) => end,
        }
    }

    fn next(&self, cursor: u64) -> Option<Delivery> {
        self.inner.next(&self.commands.caller.client, cursor)
    }
}

/// However a session ends, it leaves its place.
impl Drop for Session {
    fn drop(&mut self) {
        self.start.outgoing.end();
        self.inner.detach(&self.commands.caller.client, self.start.socket);
        self.commands.service.closed(&self.commands.caller);
    }
}

struct Writer<'a> {
    session: &'a Session,
    sink: &'a mut SplitSink<Socket, Message>,
    unflushed: u32,
}

impl Writer<'_> {
    async fn run(&mut self) -> Result<Closing, End> {
        let Start { outgoing, attachment, .. } = &self.session.start;
        let Attachment { mut cursor, .. } = *attachment;
        let every = self.session.inner.config.ping;
        let mut ping = interval_at(Instant::now() + every, every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.greet().await?;
        // In turn, so that neither answers nor events can hold up the other.
        let mut replies_first = false;
        loop {
            let closing = outgoing.closing();
            if let Some(closing) = closing.clone().filter(|closing| !closing.drain) {
                return Ok(closing);
            }
            if ping.tick().now_or_never().is_some() {
                self.feed(Message::Ping(Bytes::new())).await?;
            }
            replies_first = !replies_first;
            let reply = if replies_first { outgoing.pop() } else { None };
            let numbered = if reply.is_none() { self.session.next(cursor) } else { None };
            if let Some(delivery) = numbered {
                self.deliver(&delivery).await?;
                cursor = delivery.seq();
            } else if let Some(frame) = reply.or_else(|| outgoing.pop()) {
                self.frame(&frame, None).await?;
            } else if self.unflushed > 0 || outgoing.needs_flush() {
                self.flush(cursor).await?;
            } else if let Some(closing) = closing {
                return Ok(closing);
            } else {
                tokio::select! {
                    () = outgoing.changed() => {}
                    _ = ping.tick() => self.feed(Message::Ping(Bytes::new())).await?,
                }
            }
            if self.unflushed >= BATCH {
                self.flush(cursor).await?;
            }
        }
    }

    /// What a version 1 socket is told first.
    async fn greet(&mut self) -> Result<(), End> {
        if self.session.v1.is_none() {
            return Ok(());
        }
        let Start { epoch, last, attachment, .. } = &self.session.start;
        let features = self.session.inner.config.features.clone();
        let hello = Event::new(events::HELLO)
            .with("protocol", PROTOCOL)
            .with("epoch", epoch.as_str())
            .with("seq", *last)
            .with("features", Value::from(features));
        self.meta(hello).await?;
        if attachment.resync {
            self.meta(Event::new(events::RESYNC).with("epoch", epoch.as_str())).await?;
        }
        if let Some((from, to)) = attachment.dropped {
            self.meta(dropped(from, to)).await?;
        }
        Ok(())
    }

    async fn meta(&mut self, event: Event) -> Result<(), End> {
        self.frame(&ServerFrame::new(META_SERIAL, vec![event]), None).await
    }

    async fn deliver(&mut self, delivery: &Delivery) -> Result<(), End> {
        let epoch = &self.session.start.epoch;
        match delivery {
            Delivery::Frame(seq, frame) => self.frame(frame, Some((epoch, *seq))).await,
            Delivery::Dropped { from, to } => self.meta(dropped(*from, *to)).await,
        }
    }

    async fn frame(
        &mut self,
        frame: &ServerFrame,
        number: Option<(&Epoch, u64)>,
    ) -> Result<(), End> {
        let v1 = self.session.v1;
        let number = number.filter(|_| v1.is_some());
        let encoding = v1.unwrap_or_default();
        let message = match encode_numbered(frame, number, encoding) {
            Ok(bytes) => match encoding {
                Encoding::Json => bytes.try_into().map(Message::Text).map_err(|error| {
                    // serde_json writes nothing but UTF-8.
                    tracing::error!(%error, "a frame is not text");
                }),
                Encoding::MessagePack => Ok(Message::Binary(bytes)),
            },
            Err(error) => {
                tracing::error!(%error, serial = frame.serial, "a frame was not sent");
                Err(())
            }
        };
        match message {
            Ok(message) => self.feed(message).await,
            Err(()) => Ok(()),
        }
    }

    async fn feed(&mut self, message: Message) -> Result<(), End> {
        self.unflushed += 1;
        self.bounded(|sink| sink.feed(message)).await
    }

    async fn flush(&mut self, cursor: u64) -> Result<(), End> {
        self.bounded(|sink| sink.flush()).await?;
        self.unflushed = 0;
        let Start { outgoing, key, .. } = &self.session.start;
        outgoing.flushed();
        if let SubscriberKey::Plain(_) = key {
            self.session.inner.written(&self.session.commands.caller.client, key, cursor);
        }
        Ok(())
    }

    /// A client that takes nothing for too long is given up.
    async fn bounded<'s, F>(
        &'s mut self,
        write: impl FnOnce(&'s mut SplitSink<Socket, Message>) -> F,
    ) -> Result<(), End>
    where
        F: Future<Output = Result<(), WsError>> + 's,
    {
        match timeout(self.session.inner.config.silence, write(self.sink)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Stalled),
        }
    }
}

fn dropped(from: u64, to: u64) -> Event {
    Event::new(events::DROPPED).with("from", from).with("to", to)
}

/// Says why, and waits for the client to close: what it still sends would otherwise make the
/// system throw our reason away.
async fn farewell(mut socket: Socket, closing: Closing) {
    let frame = CloseFrame { code: closing.code, reason: closing.reason.into() };
    if socket.close(Some(frame)).await.is_err() {
        return;
    }
    let io = socket.get_mut();
    let _ = io.shutdown().await;
    let mut rest = vec![0; BUFFER];
    while io.read(&mut rest).await.is_ok_and(|count| count > 0) {}
}
