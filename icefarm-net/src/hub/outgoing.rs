//! What waits to be written to one socket, beside its numbered frames.

use crate::weight::weight;
use icefarm_core::wire::ServerFrame;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Different ephemeral frames that may wait at a time.
const EPHEMERAL: usize = 256;
/// Pings of the client that may wait for their answer at a time.
const PINGS: usize = 64;

/// Why the server ends a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) code: CloseCode,
    pub(crate) reason: &'static str,
    /// Whether what waits is written first.
    pub(crate) drain: bool,
}

impl Closing {
    /// An end that does not wait for what is not written yet.
    pub(crate) const fn now(code: CloseCode, reason: &'static str) -> Self {
        Self { code, reason, drain: false }
    }
}

/// What waits to be written to one socket, beside its numbered frames, which wait in the outbox.
///
/// Replies are bounded by not reading further commands, ephemeral frames by keeping the latest
/// of each kind.
#[derive(Debug)]
pub(super) struct Outgoing {
    waiting: Mutex<Waiting>,
    /// For the writer: there is something to do.
    changed: Notify,
    /// For the reader: there may be room again.
    room: Notify,
    limit: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    replies: VecDeque<Arc<ServerFrame>>,
    /// The weight of `replies`.
    bytes: usize,
    ephemeral: VecDeque<Arc<ServerFrame>>,
    pings: usize,
    closing: Option<Closing>,
    ended: bool,
}

impl Outgoing {
    /// `limit` is in bytes of replies.
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: Mutex::default(), changed: Notify::new(), room: Notify::new(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer to what the client sent.
    pub(super) fn reply(&self, frame: Arc<ServerFrame>) {
        let mut waiting = self.lock();
        if waiting.ended {
            return;
        }
        waiting.bytes += weight(&frame);
        waiting.replies.push_back(frame);
        drop(waiting);
        self.changed.notify_one();
    }

    /// A frame that takes the place of an earlier one about the same, if that still waits.
    pub(super) fn ephemeral(&self, frame: &Arc<ServerFrame>) {
        let mut waiting = self.lock();
        if waiting.ended {
            return;
        }
        let same = |other: &&mut Arc<ServerFrame>| about(other).eq(about(frame));
        if let Some(earlier) = waiting.ephemeral.iter_mut().find(same) {
            *earlier = frame.clone();
        } else {
            if waiting.ephemeral.len() == EPHEMERAL {
                waiting.ephemeral.pop_front();
            }
            waiting.ephemeral.push_back(frame.clone());
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// The socket shall end. The first reason stands.
    pub(super) fn close(&self, closing: Closing) {
        self.lock().closing.get_or_insert(closing);
        self.changed.notify_one();
    }

    pub(super) fn closing(&self) -> Option<Closing> {
        self.lock().closing.clone()
    }

    /// The socket has ended: nothing more is kept for it.
    pub(super) fn end(&self) {
        *self.lock() = Waiting { ended: true, ..Waiting::default() };
    }

    /// There are numbered frames.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// The client sent a ping, which is answered at the next flush.
    pub(super) fn pinged(&self) {
        self.lock().pings += 1;
        self.changed.notify_one();
    }

    pub(super) fn needs_flush(&self) -> bool {
        self.lock().pings > 0
    }

    /// Everything that was handed over has been written.
    pub(super) fn flushed(&self) {
        self.lock().pings = 0;
        self.room.notify_one();
    }

    /// The next frame.
    pub(super) fn pop(&self) -> Option<Arc<ServerFrame>> {
        let mut waiting = self.lock();
        if let Some(reply) = waiting.replies.pop_front() {
            waiting.bytes -= weight(&reply);
            self.room.notify_one();
            return Some(reply);
        }
        waiting.ephemeral.pop_front()
    }

    /// For the one writer: waits for something to do.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// For the one reader: waits until little enough is waiting.
    pub(super) async fn room(&self) {
        loop {
            {
                let waiting = self.lock();
                if waiting.bytes <= self.limit && waiting.pings < PINGS {
                    return;
                }
            }
            self.room.notified().await;
        }
    }
}

/// What a frame is about: its board, and the names of its events.
fn about(frame: &ServerFrame) -> impl Iterator<Item = &str> {
    let events = frame.contents.iter().map(|event| event.event.as_str());
    std::iter::once(frame.serial.as_str()).chain(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use icefarm_core::wire::Event;

    fn frame(serial: &str, amount: u32) -> Arc<ServerFrame> {
        let event = Event::new("devices_available").with("amount", amount);
        ServerFrame::new(serial, vec![event]).into()
    }

    #[test]
    fn the_latest_of_each_kind_is_kept_in_its_place() {
        let outgoing = Outgoing::new(1000);
        for (serial, amount) in [("meta", 1), ("A", 2), ("meta", 3)] {
            outgoing.ephemeral(&frame(serial, amount));
        }
        assert_eq!(outgoing.pop(), Some(frame("meta", 3)));
        assert_eq!(outgoing.pop(), Some(frame("A", 2)));
        assert_eq!(outgoing.pop(), None);
        for n in 0..1000 {
            outgoing.ephemeral(&frame(&n.to_string(), 0));
        }
        assert_eq!(outgoing.lock().ephemeral.len(), EPHEMERAL);
    }

    #[test]
    fn reading_waits_for_room() {
        let outgoing = Outgoing::new(1000);
        let reading = || outgoing.room().now_or_never().is_some();
        while reading() {
            outgoing.reply(frame("A", 1));
        }
        assert!(outgoing.pop().is_some() && reading());
        for _ in 0..PINGS {
            outgoing.pinged();
        }
        assert!(!reading() && outgoing.needs_flush());
        outgoing.flushed();
        assert!(reading());
    }

    #[test]
    fn a_socket_that_ended_keeps_nothing() {
        let outgoing = Outgoing::new(1000);
        outgoing.reply(frame("A", 1));
        outgoing.end();
        outgoing.reply(frame("A", 1));
        outgoing.ephemeral(&frame("A", 1));
        assert_eq!(outgoing.pop(), None);
    }
}
