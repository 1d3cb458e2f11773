//! The event stream of one client name. Pure: the time is told, and nothing is sent from here.

use crate::weight::weight;
use icefarm_core::Epoch;
use icefarm_core::wire::{Position, ServerFrame};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Which subscriber: one that gives itself a name and acknowledges, or a socket of the old
/// protocol, which has acknowledged what was written to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubscriberKey {
    /// `sub` of a version 1 socket.
    Named(Arc<str>),
    /// The number of a plain socket.
    Plain(u64),
}

/// How long and how much an [`Outbox`] keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Bytes of frames. The oldest are given up first, the newest is always kept.
    pub bytes: usize,
    /// How long a subscriber may be away, and a frame may wait for a first subscriber.
    pub away: Duration,
    /// How many subscribers that are away are remembered: clients that call themselves something
    /// else each time must not add up.
    pub remembered: usize,
}

impl Default for OutboxLimits {
    /// 16 MiB, 10 minutes, 64 subscribers.
    fn default() -> Self {
        Self { bytes: 16 << 20, away: Duration::from_secs(600), remembered: 64 }
    }
}

/// What a subscriber gets next.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// A frame and its number.
    Frame(u64, Arc<ServerFrame>),
    /// The frames from one number to the other had to be given up.
    Dropped {
        /// The first one.
        from: u64,
        /// The last one.
        to: u64,
    },
}

impl Delivery {
    /// Where the subscriber stands when it has this.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Frame(seq, _) | Self::Dropped { to: seq, .. } => *seq,
        }
    }
}

/// How a subscriber starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// It has everything up to this number; [`Outbox::next`] goes on from here.
    pub cursor: u64,
    /// The position that it came with means nothing here.
    pub resync: bool,
    /// Frames that it does not have and that are gone, first and last number.
    pub dropped: Option<(u64, u64)>,
}

/// What an [`Outbox`] no longer keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// The last frame that was no longer needed.
    pub done: u64,
    /// The last frame that was given up although somebody may have needed it.
    pub dropped: u64,
}

impl Trimmed {
    /// Everything up to this number is gone.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.done.max(self.dropped)
    }
}

/// The event stream of one client name: numbered frames, and who has how many of them.
///
/// A frame goes when every subscriber has acknowledged it. A subscriber that is away counts for
/// [`OutboxLimits::away`]; frames for nobody wait as long for somebody. Frames beyond
/// [`OutboxLimits::bytes`] are given up, the oldest first, and whoever misses them is told.
///
/// Numbers rise and may have gaps. All times are durations since some fixed moment.
///
/// ```
/// use icefarm_core::wire::{Event, Position, ServerFrame};
/// use icefarm_net::{Delivery, Outbox, OutboxLimits, SubscriberKey};
/// use std::time::Duration;
///
/// let now = Duration::ZERO;
/// let mut outbox = Outbox::new(Position { epoch: "e".into(), seq: 0 }, OutboxLimits::default());
/// outbox.push(now, ServerFrame::new("A", vec![Event::new("initialized")]).into());
///
/// let sub = SubscriberKey::Named("s".into());
/// let start = outbox.attach(now, &sub, None);
/// let Some(Delivery::Frame(1, _)) = outbox.next(start.cursor) else { panic!("it waited") };
/// outbox.ack(now, &sub, &Position { epoch: "e".into(), seq: 1 });
/// assert!(outbox.is_empty());
/// ```
#[derive(Debug)]
pub struct Outbox {
    epoch: Epoch,
    limits: OutboxLimits,
    /// Where the stream stood when it came to be here.
    start: u64,
    /// Frames up to this number did not come here. Others needed them no longer; whether a
    /// subscriber from before a restart does is not known.
    before: u64,
    /// The highest number that was pushed here.
    pushed: u64,
    frames: VecDeque<Queued>,
    bytes: usize,
    gone: Trimmed,
    /// How many frames were given up.
    given_up: u64,
    subscribers: BTreeMap<SubscriberKey, Subscriber>,
    /// Subscribers from before a restart may still come: nothing is trimmed until then.
    hold: Duration,
}

#[derive(Debug)]
struct Queued {
    seq: u64,
    frame: Arc<ServerFrame>,
    bytes: usize,
    since: Duration,
}

#[derive(Debug)]
struct Subscriber {
    acked: u64,
    /// Since when it is away; `None` while it is connected.
    away: Option<Duration>,
}

impl Outbox {
    /// An empty outbox for a stream that stands at `start`.
    #[must_use]
    pub fn new(start: Position, limits: OutboxLimits) -> Self {
        Self {
            epoch: start.epoch,
            limits,
            start: start.seq,
            before: start.seq,
            pushed: 0,
            frames: VecDeque::new(),
            bytes: 0,
            gone: Trimmed::default(),
            given_up: 0,
            subscribers: BTreeMap::new(),
            hold: Duration::ZERO,
        }
    }

    /// An outbox with the frames that were kept over a restart, in the order of their numbers.
    /// None of them goes before [`OutboxLimits::away`] has passed, because it is not known who
    /// still waits for them. `dropped` is what [`Trimmed::dropped`] last said.
    #[must_use]
    pub fn restored(
        now: Duration,
        start: Position,
        dropped: u64,
        frames: impl IntoIterator<Item = (u64, Arc<ServerFrame>)>,
        limits: OutboxLimits,
    ) -> Self {
        let mut outbox = Self::new(start, limits);
        outbox.hold = now + limits.away;
        outbox.gone.dropped = dropped;
        for (seq, frame) in frames {
            outbox.push_numbered(now, seq, frame);
        }
        if let Some(first) = outbox.frames.front() {
            outbox.before = first.seq - 1;
        }
        outbox
    }

    /// The stream's name.
    #[must_use]
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// The number of the last frame.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.start.max(self.pushed)
    }

    /// Whether it holds no frames.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// How many frames are kept.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.frames.len()
    }

    /// How many bytes the frames take that are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many frames were given up because there was no room for them.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Whether nobody needs it: no frames, and no subscriber that may still come back.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.frames.is_empty() && self.subscribers.is_empty()
    }

    /// Whether this subscriber is known: connected, or not away for too long.
    #[must_use]
    pub fn knows(&self, key: &SubscriberKey) -> bool {
        self.subscribers.contains_key(key)
    }

    /// What is gone so far.
    #[must_use]
    pub fn trimmed(&self) -> Trimmed {
        self.gone
    }

    /// Adds a frame under the next number, which it returns.
    pub fn push(&mut self, now: Duration, frame: Arc<ServerFrame>) -> u64 {
        let seq = self.last() + 1;
        self.push_numbered(now, seq, frame);
        seq
    }

    /// Adds a frame under a number of the caller's. Says no to one that is not higher than that
    /// of the last frame: it was added already.
    pub fn push_numbered(&mut self, now: Duration, seq: u64, frame: Arc<ServerFrame>) -> bool {
        if seq <= self.pushed || seq <= self.gone.through() {
            return false;
        }
        self.pushed = seq;
        let bytes = weight(&frame);
        self.bytes += bytes;
        self.frames.push_back(Queued { seq, frame, bytes, since: now });
        self.trim(now);
        while self.bytes > self.limits.bytes && self.frames.len() > 1 {
            if let Some(seq) = self.pop() {
                self.gone.dropped = seq;
                self.given_up += 1;
            }
        }
        true
    }

    /// A subscriber is here, with the position that it says to be at, if any.
    ///
    /// One that was here before goes on after what it acknowledged. A new one gets everything
    /// that is kept, since a client may find out where its events are after they have happened.
    pub fn attach(
        &mut self,
        now: Duration,
        key: &SubscriberKey,
        resume: Option<&Position>,
    ) -> Attachment {
        self.trim(now);
        let known = match key {
            SubscriberKey::Named(_) => self.subscribers.get(key).map(|before| before.acked),
            SubscriberKey::Plain(_) => self.plain_before(),
        };
        let valid = |at: &&Position| at.epoch == self.epoch && at.seq <= self.last();
        let resumed = resume.filter(valid).map(|at| at.seq);
        let resync = resume.is_some() && resumed.is_none();
        let mut cursor = match (known, resumed) {
            // It has acknowledged more than it says now: it has that.
            (Some(acked), Some(at)) => acked.max(at),
            (Some(acked), None) => acked,
            (None, Some(at)) => at,
            (None, None) => self.gone.done,
        };
        // What it is told of as dropped it has not acknowledged: if its socket breaks before that
        // arrives, it is told again.
        let acked = cursor;
        // Others needed these no longer. What was given up, `next` tells.
        let mut dropped = None;
        let missing = self.before.max(self.gone.done);
        if resumed.is_some() && cursor < missing {
            let through = missing.max(self.gone.dropped);
            dropped = Some((cursor + 1, through));
            cursor = through;
        }
        self.subscribers.insert(key.clone(), Subscriber { acked, away: None });
        self.trim(now);
        Attachment { cursor, resync, dropped }
    }

    /// Where a plain socket goes on: after the one that was here last, or with those that are
    /// here, one of which may be its own predecessor that nobody has missed yet.
    fn plain_before(&mut self) -> Option<u64> {
        let plain = |key: &SubscriberKey| matches!(key, SubscriberKey::Plain(_));
        let acked = self
            .subscribers
            .iter()
            .filter(|(key, _)| plain(key))
            .map(|(_, subscriber)| subscriber.acked)
            .min();
        self.subscribers.retain(|key, subscriber| !plain(key) || subscriber.away.is_none());
        acked
    }

    /// A subscriber is gone, for now.
    pub fn detach(&mut self, now: Duration, key: &SubscriberKey) {
        let plain = |key: &SubscriberKey| matches!(key, SubscriberKey::Plain(_));
        // Plain sockets are all the same to us: one of them is enough to remember where to go on.
        let others = self.subscribers.keys().any(|other| plain(other) && other != key);
        if plain(key) && others {
            self.subscribers.remove(key);
        } else if let Some(subscriber) = self.subscribers.get_mut(key) {
            subscriber.away = Some(now);
            self.forget_longest_away();
        }
        self.trim(now);
    }

    fn forget_longest_away(&mut self) {
        let away = || {
            let subscribers = self.subscribers.iter();
            subscribers.filter_map(|(key, subscriber)| Some((subscriber.away?, key)))
        };
        if away().count() > self.limits.remembered
            && let Some(key) = away().min().map(|(_, key)| key.clone())
        {
            self.subscribers.remove(&key);
        }
    }

    /// What comes after `cursor`.
    #[must_use]
    pub fn next(&self, cursor: u64) -> Option<Delivery> {
        if cursor < self.gone.dropped {
            return Some(Delivery::Dropped { from: cursor + 1, to: self.gone.dropped });
        }
        let at = self.frames.partition_point(|queued| queued.seq <= cursor);
        self.frames.get(at).map(|queued| Delivery::Frame(queued.seq, queued.frame.clone()))
    }

    /// A subscriber has dealt with everything up to a position. Says no if the position means
    /// nothing here.
    pub fn ack(&mut self, now: Duration, key: &SubscriberKey, position: &Position) -> bool {
        if position.epoch != self.epoch || position.seq > self.last() {
            return false;
        }
        self.advance(now, key, position.seq);
        true
    }

    /// A plain socket was written everything up to a number.
    pub fn written(&mut self, now: Duration, key: &SubscriberKey, seq: u64) {
        self.advance(now, key, seq);
    }

    fn advance(&mut self, now: Duration, key: &SubscriberKey, seq: u64) {
        if let Some(subscriber) = self.subscribers.get_mut(key) {
            subscriber.acked = subscriber.acked.max(seq);
        }
        self.trim(now);
    }

    /// Forgets subscribers that were away for too long, and frames that nobody needs. Everything
    /// else does this, too; only the passing of time needs it to be called.
    pub fn trim(&mut self, now: Duration) {
        let overdue = |since: Duration| now.saturating_sub(since) >= self.limits.away;
        self.subscribers.retain(|_, subscriber| !subscriber.away.is_some_and(overdue));
        if now < self.hold {
            return;
        }
        let acked = self.subscribers.values().map(|subscriber| subscriber.acked).min();
        while let Some(first) = self.frames.front() {
            let done = match acked {
                Some(acked) => first.seq <= acked,
                None => now.saturating_sub(first.since) >= self.limits.away,
            };
            if !done {
                break;
            }
            if let Some(seq) = self.pop() {
                self.gone.done = seq;
            }
        }
    }

    fn pop(&mut self) -> Option<u64> {
        let Queued { seq, bytes, .. } = self.frames.pop_front()?;
        self.bytes -= bytes;
        Some(seq)
    }
}
