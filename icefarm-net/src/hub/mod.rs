//! All event streams and living sockets of a server.

mod answers;
mod census;
mod commands;
mod journal;
mod outgoing;
mod service;
mod session;

pub use census::Census;
pub use journal::{Journal, MemoryJournal};
pub use service::{Answer, Caller, Pass, SocketService};

use crate::codec::CodecLimits;
use crate::error::ApiError;
use crate::memory::Memory;
use crate::outbox::{Attachment, Delivery, Outbox, OutboxLimits, SubscriberKey, Trimmed};
use crate::upgrade::SocketRequest;
use answers::Answers;
use census::Tally;
use icefarm_core::wire::{ErrorCode, Position, ServerFrame};
use icefarm_core::{ClientName, Epoch};
use outgoing::{Closing, Outgoing};
use session::Session;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use warp::reply::{Reply, Response};

/// The limits and times of a [`Hub`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HubConfig {
    /// How long and how much each event stream keeps. 16 MiB and 10 minutes unless changed.
    pub outbox: OutboxLimits,
    /// How often a socket is pinged. 20 s unless changed.
    pub ping: Duration,
    /// A socket that says nothing for so long is closed, and one that takes nothing for so long is
    /// cut. 60 s unless changed.
    pub silence: Duration,
    /// The largest message that a client may send, in bytes. [`MAX_MESSAGE`](crate::MAX_MESSAGE)
    /// unless changed.
    pub max_message: usize,
    /// What reading a message may cost beyond that.
    pub codec: CodecLimits,
    /// How many bytes of memory everything may take that clients have sent and that is not done
    /// with: messages that arrive, commands that wait, and their files for as long as anybody has
    /// them. What does not fit is answered `overloaded`, and a socket whose message does not fit
    /// while it arrives is closed with code 1013. 512 MiB unless changed.
    pub memory: usize,
    /// How many event streams there may be. A socket for one more takes the place of a
    /// [guest](SocketService::is_guest) who has no socket and for whom nothing waits; if there is
    /// none it is answered `overloaded`, unless it is no guest itself. 4096 unless changed.
    pub max_clients: usize,
    /// How many commands of a subscriber may run at a time. One more is answered `overloaded`.
    /// 256 unless changed.
    pub in_flight: usize,
    /// Bytes of answers that may wait to be written to a socket before its next command is read.
    /// 1 MiB unless changed.
    pub unwritten: usize,
    /// Bytes of answers that are remembered per subscriber, for commands that are repeated. 1 MiB
    /// unless changed; never more than 1024 answers.
    pub remembered: usize,
    /// How often [`SocketService::alive`] is told of a living socket. 5 s unless changed.
    pub alive_every: Duration,
    /// What `hello` says that this server can do beyond its version. `msgpack` and `zstd` unless
    /// changed.
    pub features: Vec<String>,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            outbox: OutboxLimits::default(),
            ping: Duration::from_secs(20),
            silence: Duration::from_secs(60),
            max_message: crate::MAX_MESSAGE,
            codec: CodecLimits::default(),
            memory: 512 << 20,
            max_clients: 4096,
            in_flight: 256,
            unwritten: 1 << 20,
            remembered: 1 << 20,
            alive_every: Duration::from_secs(5),
            features: vec!["msgpack".to_owned(), "zstd".to_owned()],
        }
    }
}

/// All event streams and living sockets of a server. Clones are the same hub.
///
/// Numbered frames wait in the client's [`Outbox`] until all its subscribers have them. Ephemeral
/// ones go to the sockets that are there now, and on a slow socket the latest of a kind takes the
/// place of the earlier one.
///
/// Whoever has a hub calls [`Hub::close`] at the end.
///
/// ```
/// use futures::stream::{self, BoxStream, StreamExt as _};
/// use icefarm_core::wire::{ClientFrame, Event, ServerFrame};
/// use icefarm_net::{Answer, Caller, Hub, HubConfig, MemoryJournal, SocketRequest, SocketService};
/// use std::sync::Arc;
/// use warp::Filter;
///
/// struct Echo;
///
/// impl SocketService for Echo {
///     fn command(&self, _: &Caller, frame: ClientFrame) -> BoxStream<'static, Answer> {
///         let value = icefarm_core::Value::from(frame.contents);
///         let answer = move |serial| (serial, Ok(value.clone()));
///         stream::iter(frame.serials).map(answer).boxed()
///     }
/// }
///
/// let hub = Hub::new(HubConfig::default(), Arc::new(MemoryJournal::new(|| "a UUID".into())));
/// let (sockets, echo) = (hub.clone(), Arc::new(Echo));
/// let route = icefarm_net::ws()
///     .map(move |request: SocketRequest| sockets.accept(request, echo.clone()));
/// # let _ = warp::service(route.recover(icefarm_net::recover));
///
/// let client = "me".parse().unwrap();
/// hub.publish(&client, ServerFrame::new("A", vec![Event::new("initialized")]));
/// assert!(!hub.connected(&client));
/// ```
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    config: HubConfig,
    journal: Arc<dyn Journal>,
    start: Instant,
    state: Mutex<State>,
    memory: Arc<Memory>,
    /// What [guests](SocketService::is_guest) may take.
    guests: Arc<Memory>,
    tally: Arc<Tally>,
}

/// How often a hub that is used looks for what is overdue.
const SWEEP: Duration = Duration::from_secs(10);

#[derive(Default)]
struct State {
    /// Sorted, so that a broadcast has the same order in each run of a simulation.
    streams: BTreeMap<ClientName, Stream>,
    last_socket: u64,
    swept: Duration,
    closed: bool,
}

/// What there is of one client name.
struct Stream {
    outbox: Outbox,
    sockets: BTreeMap<u64, Socket>,
    answers: BTreeMap<Arc<str>, Arc<Mutex<Answers>>>,
}

struct Socket {
    key: SubscriberKey,
    outgoing: Arc<Outgoing>,
    pass: Option<Pass>,
}

/// What a new socket starts with.
struct Start {
    key: SubscriberKey,
    epoch: Epoch,
    last: u64,
    attachment: Attachment,
    outgoing: Arc<Outgoing>,
    answers: Arc<Mutex<Answers>>,
    socket: u64,
}

impl Stream {
    fn new(outbox: Outbox) -> Self {
        Self { outbox, sockets: BTreeMap::new(), answers: BTreeMap::new() }
    }

    fn is_idle(&self) -> bool {
        self.sockets.is_empty() && self.outbox.is_idle()
    }

    /// Whether nobody is there and nothing waits.
    fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.outbox.is_empty()
    }

    fn wake(&self) {
        for socket in self.sockets.values() {
            socket.outgoing.wake();
        }
    }
}

impl Hub {
    /// A hub without streams and sockets.
    #[must_use]
    pub fn new(config: HubConfig, journal: Arc<dyn Journal>) -> Self {
        let (memory, guests) = (Memory::new(config.memory), Memory::new(config.memory / 4));
        let (start, state) = (Instant::now(), Mutex::default());
        let tally = Arc::default();
        let inner = Inner { config, journal, start, state, memory, guests, tally };
        Self { inner: Arc::new(inner) }
    }

    /// How many bytes of [`HubConfig::memory`] are taken.
    #[must_use]
    pub fn memory_taken(&self) -> usize {
        self.inner.memory.lent() + self.inner.guests.lent()
    }

    /// What the hub has done so far, and what it holds now.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census {
            memory_taken: self.memory_taken(),
            memory_limit: self.inner.config.memory,
            ..Census::default()
        };
        self.inner.tally.fill(&mut census);
        let state = self.inner.lock();
        census.streams = state.streams.len();
        for stream in state.streams.values() {
            census.sockets += stream.sockets.len();
            census.waiting += stream.outbox.waiting();
            census.waiting_bytes += stream.outbox.bytes();
        }
        census
    }

    /// Adds a frame to the client's stream under the next number, which it returns.
    pub fn publish(&self, client: &ClientName, frame: ServerFrame) -> u64 {
        let frame = Arc::new(frame);
        self.inner.change(client, |stream, now| {
            let before = stream.outbox.given_up();
            let seq = stream.outbox.push(now, frame);
            self.inner.added(stream.outbox.given_up() - before);
            stream.wake();
            seq
        })
    }

    /// Adds a frame to the client's stream under a number of the caller's. The numbers of a
    /// client must rise from call to call; says no, and changes nothing, if this one does not.
    pub fn publish_numbered(&self, client: &ClientName, seq: u64, frame: ServerFrame) -> bool {
        let frame = Arc::new(frame);
        self.inner.change(client, |stream, now| {
            let before = stream.outbox.given_up();
            let added = stream.outbox.push_numbered(now, seq, frame);
            if added {
                self.inner.added(stream.outbox.given_up() - before);
            }
            stream.wake();
            added
        })
    }

    /// Puts frames in place that were kept over a restart, in the order of their numbers.
    /// `position` is where the stream stands, `dropped` what [`Trimmed::dropped`] last said. They
    /// stay for [`OutboxLimits::away`] at least, since nobody knows who still waits for them.
    ///
    /// Says no, and changes nothing, if the client's stream is in use already.
    pub fn restore(
        &self,
        client: &ClientName,
        position: Position,
        dropped: u64,
        frames: impl IntoIterator<Item = (u64, ServerFrame)>,
    ) -> bool {
        let now = self.inner.now();
        let frames = frames.into_iter().map(|(seq, frame)| (seq, Arc::new(frame)));
        let mut state = self.inner.lock();
        let Entry::Vacant(entry) = state.streams.entry(client.clone()) else { return false };
        let limits = self.inner.config.outbox;
        entry.insert(Stream::new(Outbox::restored(now, position, dropped, frames, limits)));
        true
    }

    /// Sends an ephemeral frame to the sockets of a client that are there now.
    pub fn whisper(&self, client: &ClientName, frame: ServerFrame) {
        let frame = Arc::new(frame);
        if let Some(stream) = self.inner.lock().streams.get(client) {
            for socket in stream.sockets.values() {
                socket.outgoing.ephemeral(&frame);
            }
        }
    }

    /// Sends an ephemeral frame to all sockets that are there now.
    pub fn broadcast(&self, frame: ServerFrame) {
        let frame = Arc::new(frame);
        for stream in self.inner.lock().streams.values() {
            for socket in stream.sockets.values() {
                socket.outgoing.ephemeral(&frame);
            }
        }
    }

    /// Whether a socket of the client is there.
    #[must_use]
    pub fn connected(&self, client: &ClientName) -> bool {
        self.inner.lock().streams.get(client).is_some_and(|stream| !stream.sockets.is_empty())
    }

    /// Ends all sockets of a client; they may come again.
    pub fn disconnect(&self, client: &ClientName) {
        if let Some(stream) = self.inner.lock().streams.get(client) {
            stream.close(&DISCONNECTED);
        }
    }

    /// Ends the sockets of which `is_over` says so by the [`Pass`] that let them in. `reason` is what
    /// they are told, beside close code 1008.
    pub fn end_passes(&self, is_over: impl Fn(Option<&Pass>) -> bool, reason: &'static str) {
        for stream in self.inner.lock().streams.values() {
            for socket in stream.sockets.values() {
                if is_over(socket.pass.as_ref()) {
                    socket.outgoing.close(Closing::now(CloseCode::Policy, reason));
                }
            }
        }
    }

    /// Ends all sockets, each once everything that waits for it is written, and takes no more.
    /// The streams stay.
    pub fn close(&self) {
        let mut state = self.inner.lock();
        state.closed = true;
        state.streams.values().for_each(|stream| stream.close(&GOING_AWAY));
    }

    /// Forgets subscribers and frames whose time is over. A hub that is used does this by itself
    /// every few seconds, so that this is only needed where the journal shall hear of it sooner.
    pub fn sweep(&self) {
        self.inner.sweep();
    }

    /// Answers a request for a websocket, and runs the socket to its end in a task of its own.
    ///
    /// The answer is the beginning of the websocket or an error: what is wrong with the request,
    /// `unavailable` after [`Hub::close`], `overloaded` beyond [`HubConfig::max_clients`].
    pub fn accept(&self, request: SocketRequest, service: Arc<dyn SocketService>) -> Response {
        self.accept_by(request, service, None)
    }

    /// As [`Self::accept`], for a client that was let in by a pass. See [`Self::end_passes`].
    pub fn accept_by(
        &self,
        request: SocketRequest,
        service: Arc<dyn SocketService>,
        pass: Option<Pass>,
    ) -> Response {
        let asked = request.into_inner().and_then(|asked| {
            self.inner.admits(&asked.query.client, &*service)?;
            Ok(asked)
        });
        let asked = match asked {
            Ok(asked) => asked,
            Err(error) => return error.into_response(),
        };
        let (query, peer) = (asked.query.clone(), asked.peer);
        let (response, upgrade) = asked.switch();
        // Who has read the answer is subscribed: nothing is missed between the two.
        let session = Session::begin(self.inner.clone(), query, (peer, pass), service);
        tokio::spawn(async move {
            match upgrade.await {
                Ok(upgraded) => session.run(upgraded).await,
                Err(error) => tracing::debug!(%peer, %error, "an upgrade failed"),
            }
        });
        response
    }
}

const DISCONNECTED: Closing =
    Closing::now(CloseCode::Policy, "the server ended this client's sockets");
const GOING_AWAY: Closing =
    Closing { code: CloseCode::Away, reason: "the server is ending", drain: true };
const REPLACED: Closing = Closing::now(CloseCode::Policy, "the subscriber has another socket now");

impl Stream {
    fn close(&self, closing: &Closing) {
        for socket in self.sockets.values() {
            socket.outgoing.close(closing.clone());
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// A frame was added to a stream, for which so many others were given up.
    fn added(&self, given_up: u64) {
        self.tally.published.fetch_add(1, Ordering::Relaxed);
        self.tally.dropped.fetch_add(given_up, Ordering::Relaxed);
    }

    fn open(&self, client: &ClientName) -> Stream {
        Stream::new(Outbox::new(self.journal.open(client), self.config.outbox))
    }

    /// Changes the client's stream, and tells the journal what is gone from it then.
    fn change<R>(&self, client: &ClientName, act: impl FnOnce(&mut Stream, Duration) -> R) -> R {
        let now = self.now();
        let mut state = self.lock();
        let stream = state.streams.entry(client.clone()).or_insert_with(|| self.open(client));
        let before = stream.outbox.trimmed();
        let result = act(stream, now);
        let gone = stream.outbox.trimmed();
        let due = now.saturating_sub(state.swept) >= SWEEP;
        drop(state);
        if gone != before {
            self.journal.trimmed(client, gone);
        }
        if due {
            self.sweep();
        }
        result
    }

    fn sweep(&self) {
        let now = self.now();
        let mut gone: Vec<(ClientName, Trimmed)> = Vec::new();
        let mut state = self.lock();
        state.swept = now;
        state.streams.retain(|client, stream| {
            let before = stream.outbox.trimmed();
            stream.outbox.trim(now);
            let outbox = &stream.outbox;
            stream.answers.retain(|sub, _| outbox.knows(&SubscriberKey::Named(sub.clone())));
            if outbox.trimmed() != before {
                gone.push((client.clone(), outbox.trimmed()));
            }
            !stream.is_idle()
        });
        drop(state);
        for (client, gone) in gone {
            self.journal.trimmed(&client, gone);
        }
    }

    /// Whether a socket of this client may come.
    fn admits(&self, client: &ClientName, service: &dyn SocketService) -> Result<(), ApiError> {
        let is_full = |state: &State| {
            !state.streams.contains_key(client) && state.streams.len() >= self.config.max_clients
        };
        let (closed, full) = {
            let state = self.lock();
            (state.closed, is_full(&state))
        };
        if closed {
            return Err(ApiError::new(ErrorCode::Unavailable, GOING_AWAY.reason));
        }
        if full {
            self.sweep();
            while is_full(&self.lock()) && self.evict_guest(service) {}
            if is_full(&self.lock()) && service.is_guest(client) {
                let limit = self.config.max_clients;
                let message = format!("{limit} clients are here, which is this server's limit");
                return Err(ApiError::new(ErrorCode::Overloaded, message));
            }
        }
        Ok(())
    }

    /// Forgets a guest who has no socket and for whom nothing waits. All that this guest loses is
    /// the answers to commands that it may repeat.
    fn evict_guest(&self, service: &dyn SocketService) -> bool {
        let empty: Vec<ClientName> = {
            let state = self.lock();
            let empty = state.streams.iter().filter(|(_, stream)| stream.is_empty());
            empty.map(|(client, _)| client.clone()).collect()
        };
        // The service is asked without the lock, which it may need.
        let Some(guest) = empty.into_iter().find(|client| service.is_guest(client)) else {
            return false;
        };
        let mut state = self.lock();
        // Something may have come for it meanwhile.
        let still = state.streams.get(&guest).is_some_and(Stream::is_empty);
        still && state.streams.remove(&guest).is_some()
    }

    fn attach(
        &self,
        client: &ClientName,
        sub: Option<Arc<str>>,
        resume: Option<&Position>,
        pass: Option<Pass>,
    ) -> Start {
        let outgoing = Arc::new(Outgoing::new(self.config.unwritten));
        let limits =
            answers::Limits { running: self.config.in_flight, bytes: self.config.remembered };
        let socket = {
            let mut state = self.lock();
            state.last_socket += 1;
            if state.closed {
                outgoing.close(GOING_AWAY.clone());
            }
            state.last_socket
        };
        self.change(client, |stream, now| {
            let answers = || Arc::new(Mutex::new(Answers::new(limits)));
            let (key, answers) = match sub {
                Some(sub) => {
                    let answers = stream.answers.entry(sub.clone()).or_insert_with(answers);
                    (SubscriberKey::Named(sub), answers.clone())
                }
                None => (SubscriberKey::Plain(socket), answers()),
            };
            // The client knows better than we do that its last socket is dead.
            for before in stream.sockets.values().filter(|before| before.key == key) {
                before.outgoing.close(REPLACED.clone());
            }
            stream.sockets.retain(|_, before| before.key != key);
            let attachment = stream.outbox.attach(now, &key, resume);
            let entry = Socket { key: key.clone(), outgoing: outgoing.clone(), pass };
            stream.sockets.insert(socket, entry);
            let (epoch, last) = (stream.outbox.epoch().clone(), stream.outbox.last());
            Start { key, epoch, last, attachment, outgoing: outgoing.clone(), answers, socket }
        })
    }

    fn detach(&self, client: &ClientName, socket: u64) {
        self.change(client, |stream, now| {
            // A socket that was replaced has left its place to the new one.
            if let Some(Socket { key, .. }) = stream.sockets.remove(&socket) {
                stream.outbox.detach(now, &key);
            }
        });
    }

    fn next(&self, client: &ClientName, cursor: u64) -> Option<Delivery> {
        self.lock().streams.get(client)?.outbox.next(cursor)
    }

    fn ack(&self, client: &ClientName, key: &SubscriberKey, position: &Position) -> bool {
        self.change(client, |stream, now| stream.outbox.ack(now, key, position))
    }

    fn written(&self, client: &ClientName, key: &SubscriberKey, seq: u64) {
        self.change(client, |stream, now| stream.outbox.written(now, key, seq));
    }
}
