//! Where everything that the sockets bring in meets everybody who waits for it.

use crate::book::{Book, Change, Held, Phase};
use crate::events::ClientEvent;
use crate::loss::Loss;
use icefarm_core::wire::{Event, GrantedBoard, events};
use icefarm_core::{LeaseId, Serial, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// What those who follow a client's boards are told.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    Event(Arc<ClientEvent>),
    Changed(Change),
    /// The socket to the server is open.
    Connected(Arc<str>),
    /// The socket to the server broke, and is being opened again.
    Away(Arc<str>),
    /// The server has been away for longer than it is waited for.
    Unreachable(Arc<str>, Loss),
    /// Events of the server may be missing.
    Resync(Arc<str>),
}

/// How the socket to a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    Connected,
    Away,
    Unreachable(Loss),
}

#[derive(Default)]
struct Inner {
    book: Book,
    reach: BTreeMap<Arc<str>, Reach>,
    followers: Vec<mpsc::UnboundedSender<Notice>>,
    streams: Vec<mpsc::UnboundedSender<ClientEvent>>,
    /// The last lease of each board whose failure, and whose end, was told.
    failed: BTreeMap<Serial, LeaseId>,
    ended: BTreeMap<Serial, LeaseId>,
    closed: bool,
}

pub(crate) struct Hub {
    inner: Mutex<Inner>,
    version: watch::Sender<u64>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self { inner: Mutex::default(), version: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What is done under the lock leaves no half-made state behind.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told whenever something about boards or servers has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// See [`Book::begin`].
    pub(crate) fn begin(&self) -> u64 {
        self.lock().book.begin()
    }

    /// See [`Book::grant`].
    pub(crate) fn grant(&self, mark: u64, granted: &[GrantedBoard]) {
        self.lock().book.grant(mark, granted);
        self.changed();
    }

    /// See [`Book::adopt`].
    pub(crate) fn adopt(&self, mark: u64, granted: &[GrantedBoard]) {
        self.lock().book.adopt(mark, granted);
        self.changed();
    }

    /// Whether the event tells a loss once more: a worker and control both tell of a failure, and
    /// of the end of a lease for which the worker did not wait any longer.
    pub(crate) fn repeats(&self, serial: &Serial, event: &Event) -> bool {
        let lease = event.fields.get("lease").and_then(Value::as_u64).map(LeaseId);
        let (Some(lease), mut inner) = (lease, self.lock()) else { return false };
        let told = match event.event.as_str() {
            events::FAILURE => &mut inner.failed,
            events::RESERVATION_END => &mut inner.ended,
            _ => return false,
        };
        told.insert(serial.clone(), lease) == Some(lease)
    }

    /// An event came.
    pub(crate) fn event(&self, event: ClientEvent) -> Option<Change> {
        let mut inner = self.lock();
        let change = inner.book.event(&event.serial, &event.event);
        inner.streams.retain(|stream| stream.send(event.clone()).is_ok());
        inner.tell(Notice::Event(Arc::new(event)));
        if let Some(change) = &change {
            inner.tell(Notice::Changed(change.clone()));
        }
        drop(inner);
        if change.is_some() {
            self.changed();
        }
        change
    }

    /// Boards are not held any more, by what this client did or found.
    pub(crate) fn lose(&self, serials: &[Serial], loss: &Loss) {
        let mut inner = self.lock();
        for change in inner.book.lose(serials, loss) {
            inner.tell(Notice::Changed(change));
        }
        drop(inner);
        self.changed();
    }

    pub(crate) fn reach(&self, server: &Arc<str>, reach: Reach) {
        let mut inner = self.lock();
        inner.reach.insert(server.clone(), reach.clone());
        inner.tell(match reach {
            Reach::Connected => Notice::Connected(server.clone()),
            Reach::Away => Notice::Away(server.clone()),
            Reach::Unreachable(loss) => Notice::Unreachable(server.clone(), loss),
        });
        drop(inner);
        self.changed();
    }

    pub(crate) fn resync(&self, server: &Arc<str>) {
        self.lock().tell(Notice::Resync(server.clone()));
    }

    /// Follows everything from now on, and tells how it is now.
    pub(crate) fn follow<'a>(&self, serials: impl IntoIterator<Item = &'a Serial>) -> Followed {
        let (sender, notices) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        if !inner.closed {
            inner.followers.push(sender);
        }
        let found = |serial: &Serial| Some((serial.clone(), inner.book.get(serial)?.clone()));
        let boards = serials.into_iter().filter_map(found).collect();
        Followed { notices, boards, reach: inner.reach.clone() }
    }

    /// All events from now on.
    pub(crate) fn stream(&self) -> mpsc::UnboundedReceiver<ClientEvent> {
        let (sender, events) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        if !inner.closed {
            inner.streams.push(sender);
        }
        events
    }

    pub(crate) fn board(&self, serial: &Serial) -> Option<Held> {
        self.lock().book.get(serial).cloned()
    }

    /// The boards that are held.
    pub(crate) fn held(&self) -> Vec<(Serial, Held)> {
        let inner = self.lock();
        inner.book.held().map(|(serial, held)| (serial.clone(), held.clone())).collect()
    }

    pub(crate) fn holds_any(&self) -> bool {
        self.lock().book.held().next().is_some()
    }

    /// The workers whose sockets are needed.
    pub(crate) fn workers(&self) -> BTreeSet<Arc<str>> {
        self.lock().book.workers()
    }

    /// The first of these boards that is not ready, and why; `None` if all are.
    pub(crate) fn not_ready(&self, serials: &[Serial], control: &Arc<str>) -> Option<NotReady> {
        let inner = self.lock();
        let mut waiting = Vec::new();
        for serial in serials {
            match inner.book.get(serial) {
                None => return Some(NotReady::NotHeld(serial.clone())),
                Some(Held { phase: Phase::Ready, .. }) => {}
                Some(Held { phase: Phase::Lost(loss), .. }) => {
                    return Some(NotReady::Lost(serial.clone(), loss.clone()));
                }
                Some(Held { phase: Phase::Initializing, url, .. }) => {
                    for server in [url, control] {
                        if let Some(Reach::Unreachable(loss)) = inner.reach.get(server) {
                            return Some(NotReady::Unreachable(server.clone(), loss.clone()));
                        }
                    }
                    waiting.push(serial.clone());
                }
            }
        }
        (!waiting.is_empty()).then_some(NotReady::Initializing(waiting))
    }

    /// Lets go of everybody who follows: nothing more will come.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.followers.clear();
        inner.streams.clear();
        drop(inner);
        self.changed();
    }
}

impl Inner {
    fn tell(&mut self, notice: Notice) {
        self.followers.retain(|follower| follower.send(notice.clone()).is_ok());
    }
}

/// A follower's first look, and what comes after it.
pub(crate) struct Followed {
    pub(crate) notices: mpsc::UnboundedReceiver<Notice>,
    pub(crate) boards: BTreeMap<Serial, Held>,
    pub(crate) reach: BTreeMap<Arc<str>, Reach>,
}

/// Why boards are not ready.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotReady {
    Initializing(Vec<Serial>),
    NotHeld(Serial),
    Lost(Serial, Loss),
    Unreachable(Arc<str>, Loss),
}
