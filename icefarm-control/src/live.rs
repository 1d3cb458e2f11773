//! The farm as it changes, for those who watch it.
//!
//! There is one picture of the farm, and every entry of it has the number of the picture in which
//! it became what it is. A watcher is sent what is newer than the last picture that it saw, when it
//! has taken the message before. So a slow one costs no memory, and sees the farm as it is then.

use crate::ledger::{Chronicle, Ledger};
use crate::view::View;
use futures::{Stream, stream};
use icefarm_core::wire::{
    BoardDetail, ErrorCode, FarmStatus, Happening, JournalEntry, LiveChange, LiveMessage,
    LiveSnapshot, QueueEntry, WorkerDetail,
};
use icefarm_core::{Serial, Timestamp, WorkerName};
use icefarm_net::ApiError;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

/// The pause between two pictures: people see no difference, and a busy farm is not drawn all day.
const PAUSE: Duration = Duration::from_millis(250);
/// Something is said so often at least, so that a watcher sees that the line is dead when it is.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How many may watch at a time.
const WATCHERS: usize = 128;
/// How many entries of the journal come with a snapshot, and as many again that are not routine.
const EVENTS: usize = 100;
/// How many entries that are gone are remembered. Who has not seen more gets a snapshot.
const GONE: usize = 1000;

/// Something of the picture, and the picture in which it became so.
type Dated<T> = (u64, Arc<T>);

/// One picture of the farm.
#[derive(Debug)]
struct Picture {
    number: u64,
    status: FarmStatus,
    workers: BTreeMap<WorkerName, Dated<WorkerDetail>>,
    boards: BTreeMap<Serial, Dated<BoardDetail>>,
    workers_gone: Gone<WorkerName>,
    boards_gone: Gone<Serial>,
    queue: Dated<Vec<QueueEntry>>,
}

/// What is not in the picture any more.
#[derive(Debug, Clone)]
struct Gone<T> {
    names: VecDeque<(u64, T)>,
    /// What went in this picture or before may be forgotten.
    floor: u64,
}

impl<T> Gone<T> {
    fn nothing() -> Self {
        Self { names: VecDeque::new(), floor: 0 }
    }

    fn note(&mut self, number: u64, name: T) {
        self.names.push_back((number, name));
        if self.names.len() > GONE
            && let Some((number, _)) = self.names.pop_front()
        {
            self.floor = number;
        }
    }

    fn since(&self, seen: u64) -> impl Iterator<Item = &T> {
        self.names.iter().filter(move |(number, _)| *number > seen).map(|(_, name)| name)
    }
}

/// Dates what is new or different, and notes what is gone.
fn date<K: Ord + Clone, T>(
    before: &BTreeMap<K, Dated<T>>,
    gone: &mut Gone<K>,
    number: u64,
    now: impl Iterator<Item = (K, T)>,
    is_same: impl Fn(&T, &T) -> bool,
) -> BTreeMap<K, Dated<T>> {
    let dated = now.map(|(key, entry)| match before.get(&key) {
        Some(known) if is_same(&known.1, &entry) => (key, known.clone()),
        _ => (key, (number, Arc::new(entry))),
    });
    let dated: BTreeMap<K, Dated<T>> = dated.collect();
    for key in before.keys().filter(|key| !dated.contains_key(*key)) {
        gone.note(number, key.clone());
    }
    dated
}

/// Time goes on for every lease alike, which is no news.
fn is_same_board(a: &BoardDetail, b: &BoardDetail) -> bool {
    let lease = |board: &BoardDetail| {
        let mut lease = board.lease.clone();
        if let Some(lease) = &mut lease {
            lease.expires_in_ms = 0;
        }
        lease
    };
    lease(a) == lease(b)
        && BoardDetail { lease: None, ..a.clone() } == BoardDetail { lease: None, ..b.clone() }
}

impl Picture {
    fn empty(status: FarmStatus) -> Self {
        Self {
            number: 0,
            status,
            workers: BTreeMap::new(),
            boards: BTreeMap::new(),
            workers_gone: Gone::nothing(),
            boards_gone: Gone::nothing(),
            queue: (0, Arc::default()),
        }
    }

    /// The next picture.
    fn next(&self, view: &View, status: FarmStatus) -> Self {
        let number = self.number + 1;
        let (mut boards_gone, mut workers_gone) =
            (self.boards_gone.clone(), self.workers_gone.clone());
        let boards = view.boards().into_iter().map(|board| (board.serial.clone(), board));
        let boards = date(&self.boards, &mut boards_gone, number, boards, is_same_board);
        let workers = view.workers().into_iter().map(|worker| (worker.name.clone(), worker));
        let workers =
            date(&self.workers, &mut workers_gone, number, workers, |known, new| known == new);
        let queue = match view.queue() {
            queue if queue == *self.queue.1 => self.queue.clone(),
            queue => (number, Arc::new(queue)),
        };
        Self { number, status, workers, boards, workers_gone, boards_gone, queue }
    }

    /// The message for one who saw the farm at this position.
    fn message(
        &self,
        seen: Option<Position>,
        chronicle: &Chronicle,
        now: Timestamp,
    ) -> LiveMessage {
        let status = FarmStatus { now, ..self.status.clone() };
        let floor = self.boards_gone.floor.max(self.workers_gone.floor);
        let last = self.status.last_event;
        let seen = seen.filter(|seen| {
            seen.picture >= floor && last.saturating_sub(seen.event) <= EVENTS as u64
        });
        let newer = seen.map_or(0, |seen| seen.picture);
        let boards = fresh(&self.boards, newer, |board| with_time_left(board, now));
        let workers = fresh(&self.workers, newer, WorkerDetail::clone);
        let Some(seen) = seen else {
            let events = last_events(chronicle, last);
            let queue = self.queue.1.to_vec();
            return LiveMessage::Snapshot(LiveSnapshot { status, workers, boards, queue, events });
        };
        let is_there = |name: &&WorkerName| self.workers.contains_key(*name);
        let workers_gone = self.workers_gone.since(seen.picture).filter(|name| !is_there(name));
        let is_there = |serial: &&Serial| self.boards.contains_key(*serial);
        let boards_gone = self.boards_gone.since(seen.picture).filter(|serial| !is_there(serial));
        let events = chronicle.newest(EVENTS, |entry| (seen.event + 1..=last).contains(&entry.seq));
        LiveMessage::Change(LiveChange {
            status,
            workers,
            workers_gone: workers_gone.cloned().collect(),
            boards,
            boards_gone: boards_gone.cloned().collect(),
            queue: (self.queue.0 > newer).then(|| self.queue.1.to_vec()),
            events: events.iter().map(|entry| (**entry).clone()).collect(),
        })
    }
}

fn fresh<K, T, U>(entries: &BTreeMap<K, Dated<T>>, newer: u64, tell: impl Fn(&T) -> U) -> Vec<U> {
    entries.values().filter(|(number, _)| *number > newer).map(|(_, entry)| tell(entry)).collect()
}

fn with_time_left(board: &BoardDetail, now: Timestamp) -> BoardDetail {
    let mut board = board.clone();
    if let Some(lease) = &mut board.lease {
        lease.expires_in_ms = crate::machine::millis(lease.expires.since(now));
    }
    board
}

/// What a watcher begins with: the last entries, and those before that are more than the usual
/// life of boards.
fn last_events(chronicle: &Chronicle, last: u64) -> Vec<JournalEntry> {
    let is_telling = |entry: &JournalEntry| entry.warning || entry.what != Happening::BoardStatus;
    let mut events = chronicle.newest(EVENTS, |entry| entry.seq <= last);
    events.extend(chronicle.newest(EVENTS, |entry| entry.seq <= last && is_telling(entry)));
    events.sort_by_key(|entry| entry.seq);
    events.dedup_by_key(|entry| entry.seq);
    events.iter().map(|entry| (**entry).clone()).collect()
}

/// How far a watcher has seen.
#[derive(Debug, Clone, Copy)]
struct Position {
    picture: u64,
    event: u64,
}

/// Draws the farm for those who watch it.
pub(crate) struct Gallery {
    ledger: Arc<Ledger>,
    /// Gone when the server ends.
    wall: Mutex<Option<watch::Sender<Arc<Picture>>>>,
    places: Arc<Semaphore>,
}

impl Gallery {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        let status = View::of(&ledger).status(&ledger);
        let wall = watch::Sender::new(Arc::new(Picture::empty(status)));
        let places = Arc::new(Semaphore::new(WATCHERS));
        Self { ledger, wall: Mutex::new(Some(wall)), places }
    }

    /// Draws the farm whenever it changes, for as long as it is polled. Nothing is drawn that
    /// nobody watches.
    pub(crate) async fn run(&self) {
        let mut farm = self.ledger.watch();
        let mut events = self.ledger.chronicle().watch();
        let mut health = self.ledger.watch_health();
        loop {
            let changed = tokio::select! {
                changed = farm.changed() => changed,
                changed = events.changed() => changed,
                changed = health.changed() => changed,
            };
            if self.is_watched() {
                self.draw();
            }
            if changed.is_err() {
                // The ledger has ended; the last picture says so.
                return std::future::pending().await;
            }
            sleep(PAUSE).await;
        }
    }

    fn is_watched(&self) -> bool {
        let wall = self.wall.lock().unwrap_or_else(PoisonError::into_inner);
        wall.as_ref().is_some_and(|wall| wall.receiver_count() > 0)
    }

    fn draw(&self) {
        let wall = self.wall.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wall) = &*wall else { return };
        // What is told of the journal must be in it, so its end is looked at first.
        let last_event = self.ledger.chronicle().last();
        let view = View::of(&self.ledger);
        let status = FarmStatus { last_event, ..view.status(&self.ledger) };
        let next = wall.borrow().next(&view, status);
        wall.send_replace(Arc::new(next));
    }

    /// The messages for one more watcher, to the end of the server.
    ///
    /// # Errors
    /// `overloaded` if as many watch as may, `unavailable` if the server is ending.
    pub(crate) fn watch(&self) -> Result<impl Stream<Item = String> + use<>, ApiError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            let message = format!("{WATCHERS} watch the farm already, which is the limit");
            ApiError::new(ErrorCode::Overloaded, message)
        })?;
        let wall = self.wall.lock().unwrap_or_else(PoisonError::into_inner);
        let pictures = wall.as_ref().map(watch::Sender::subscribe);
        drop(wall);
        let pictures = pictures
            .ok_or_else(|| ApiError::new(ErrorCode::Unavailable, "the server is ending"))?;
        // Nobody may have watched for long.
        self.draw();
        let watcher = Watcher { ledger: self.ledger.clone(), pictures, seen: None, _place: place };
        Ok(stream::unfold(watcher, Watcher::next))
    }

    /// Ends all watching.
    pub(crate) fn close(&self) {
        self.wall.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

struct Watcher {
    ledger: Arc<Ledger>,
    pictures: watch::Receiver<Arc<Picture>>,
    seen: Option<Position>,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    async fn next(mut self) -> Option<(String, Self)> {
        // Time that runs out is no end: then the message has no news.
        if self.seen.is_some()
            && let Ok(changed) = timeout(SIGN_OF_LIFE, self.pictures.changed()).await
        {
            changed.ok()?;
        }
        let picture = self.pictures.borrow_and_update().clone();
        let message = picture.message(self.seen, self.ledger.chronicle(), self.ledger.now());
        self.seen = Some(Position { picture: picture.number, event: picture.status.last_event });
        match serde_json::to_string(&message) {
            Ok(text) => Some((text, self)),
            Err(error) => {
                tracing::error!(%error, "the farm cannot be written as JSON");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Standings;
    use crate::machine::lab::{Lab, free};

    struct Bench {
        lab: Lab,
        picture: Picture,
        chronicle: Chronicle,
    }

    impl Bench {
        fn new(boards: &[&str]) -> Self {
            let status = serde_json::json!({"version": "0", "protocol": "1.0", "boards": {
                "total": 0, "available": 0, "reserved": 0, "preparing": 0, "broken": 0,
                "offline": 0, "draining": 0, "simulated": 0}, "last_event": 0,
                "workers": {"total": 0, "reachable": 0},
                "started": Timestamp(0), "now": Timestamp(0)});
            let status = serde_json::from_value(status).unwrap();
            let chronicle = Chronicle::new("e".into(), Vec::new(), Standings::new());
            let picture = Picture::empty(status);
            let mut bench = Self { lab: Lab::with(boards), picture, chronicle };
            bench.draw();
            bench
        }

        fn draw(&mut self) {
            let farm = Arc::new(self.lab.farm.clone());
            let view = View { farm, standings: Arc::default(), now: self.lab.now };
            let last_event = self.chronicle.last();
            let status = FarmStatus { last_event, ..self.picture.status.clone() };
            self.picture = self.picture.next(&view, status);
        }

        fn position(&self) -> Position {
            Position { picture: self.picture.number, event: self.chronicle.last() }
        }

        fn message(&self, seen: Option<Position>) -> LiveMessage {
            self.picture.message(seen, &self.chronicle, self.lab.now)
        }

        fn change(&self, seen: Position) -> LiveChange {
            match self.message(Some(seen)) {
                LiveMessage::Change(change) => change,
                other => panic!("{other:?}"),
            }
        }

        fn happens(&self, count: u64, what: &str) {
            let last = self.chronicle.last();
            let entry = |seq| {
                let entry = serde_json::json!({"seq": seq, "at": Timestamp(seq), "what": what,
                    "text": "it happened"});
                serde_json::from_value(entry).unwrap()
            };
            self.chronicle.add((last + 1..=last + count).map(entry).collect());
        }
    }

    fn serials(boards: &[BoardDetail]) -> Vec<&str> {
        boards.iter().map(|board| board.serial.as_str()).collect()
    }

    #[test]
    fn only_what_changed_is_sent() {
        let mut bench = Bench::new(&["A", "B", "C"]);
        let LiveMessage::Snapshot(all) = bench.message(None) else { panic!("no snapshot") };
        assert_eq!((serials(&all.boards).len(), all.workers.len()), (3, 1));
        let seen = bench.position();
        bench.lab.reserve("ann", 1);
        bench.draw();
        assert_eq!(serials(&bench.change(seen).boards), ["A"]);
        let seen = bench.position();
        // Time alone changes nothing, but what is sent says how much of it is left.
        bench.lab.now = bench.lab.now.after(Duration::from_secs(60));
        bench.draw();
        assert_eq!(bench.change(seen).boards, []);
        let LiveMessage::Snapshot(all) = bench.message(None) else { panic!("no snapshot") };
        assert_eq!(all.boards[0].lease.as_ref().unwrap().expires_in_ms, 3_540_000);
    }

    #[test]
    fn what_is_gone_is_said_once_and_not_if_it_is_back() {
        let mut bench = Bench::new(&["A", "B"]);
        let start = bench.position();
        for serial in ["A", "B"] {
            let serial = serial.parse().unwrap();
            bench.lab.run(crate::machine::Command::DeleteBoard { serial });
        }
        bench.draw();
        let gone = bench.position();
        bench.lab.beat("w", "w1", vec![free("B", 0, 1)]);
        bench.draw();
        let change = bench.change(start);
        assert_eq!(change.boards_gone, ["A".parse().unwrap()]);
        assert_eq!(serials(&change.boards), ["B"]);
        let change = bench.change(gone);
        assert_eq!((change.boards_gone, serials(&change.boards)), (vec![], vec!["B"]));
    }

    #[test]
    fn who_was_away_for_long_gets_everything() {
        let mut bench = Bench::new(&["A"]);
        let seen = bench.position();
        bench.happens(EVENTS as u64, "board_came");
        bench.draw();
        assert_eq!(bench.change(seen).events.len(), EVENTS);
        bench.happens(1, "board_came");
        bench.draw();
        assert!(matches!(bench.message(Some(seen)), LiveMessage::Snapshot(_)));

        let seen = bench.position();
        for number in 0..=GONE as u64 {
            bench.picture.boards_gone.note(seen.picture + number, "X".parse().unwrap());
        }
        assert!(matches!(bench.message(Some(seen)), LiveMessage::Change(_)));
        bench.picture.boards_gone.note(seen.picture + 9999, "X".parse().unwrap());
        assert!(matches!(bench.message(Some(seen)), LiveMessage::Snapshot(_)));
    }

    #[test]
    fn the_usual_life_of_boards_does_not_hide_the_rest() {
        let mut bench = Bench::new(&[]);
        bench.happens(2, "worker_lost");
        bench.happens(500, "board_status");
        bench.draw();
        let LiveMessage::Snapshot(all) = bench.message(None) else { panic!("no snapshot") };
        let seqs: Vec<_> = all.events.iter().map(|entry| entry.seq).collect();
        assert_eq!((seqs.len(), &seqs[..3]), (EVENTS + 2, &[1, 2, 403][..]));
    }
}
