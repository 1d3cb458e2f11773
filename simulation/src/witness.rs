//! Who sees everything: what the store was told, what reached the boards, what clients heard. It
//! judges by that alone, and asks nothing of the code that it watches.
//!
//! One simulation runs in one thread of one process, and has one witness there.

mod events;
mod leases;
mod queue;
mod tally;
#[cfg(test)]
mod tests;

pub(crate) use events::Seen;
pub(crate) use tally::Tally;

use events::Streams;
use icefarm_control::store::Batch;
use leases::Leases;
use queue::Queue;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Write as _};
use std::time::Duration;

thread_local! {
    static WITNESS: RefCell<Witness> = RefCell::new(Witness::new());
    /// The simulation's time outside of its hosts.
    static OUTSIDE: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Tells the witness of this thread something, or asks it.
pub(crate) fn with<T>(tell: impl FnOnce(&mut Witness) -> T) -> T {
    WITNESS.with_borrow_mut(tell)
}

/// A new witness for a new simulation.
pub(crate) fn begin(rules: Judgement, verbose: bool) {
    WITNESS.with_borrow_mut(|witness| {
        *witness = Witness { rules, verbose, ..Witness::new() };
    });
}

/// Sets the time for what happens between two steps; `None` while the hosts run.
pub(crate) fn set_time(outside: Option<Duration>) {
    OUTSIDE.set(outside);
}

/// The simulation's time.
pub(crate) fn now() -> Duration {
    OUTSIDE.get().or_else(turmoil::sim_elapsed).unwrap_or_default()
}

/// Adds a line to the trace.
macro_rules! note {
    ($($text:tt)*) => {
        $crate::witness::with(|witness| witness.note(format_args!($($text)*)))
    };
}
pub(crate) use note;

/// What the witness goes by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Judgement {
    /// How many lines of the trace are kept for who wants to know what led to a failure.
    pub(crate) kept: usize,
    /// How long a board may serve a lease after its end was written down, whatever happens on the
    /// network.
    pub(crate) orphaned: Duration,
    /// For how long a request may wait whose process has died.
    pub(crate) silence: Duration,
}

/// What must always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Invariant {
    /// No board is used by two.
    OneUser,
    /// No lease is served beyond its end plus the grace.
    Orphan,
    /// The ids of leases rise, and a board has at most one.
    LeaseIds,
    /// Who waits is served in order, with all its boards, once.
    Queue,
    /// Every accepted circuit is answered exactly once, and each reading is its own.
    OneOutcome,
    /// No event is missing, doubled, or another than was sent.
    Events,
    /// What was answered was written down.
    Answered,
    /// When all is well again the farm comes to rest.
    Convergence,
    /// Nothing panics, and no server ends by itself.
    Alive,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OneUser => "no board is used by two",
            Self::Orphan => "no lease outlives its end and the grace",
            Self::LeaseIds => "leases rise, one per board",
            Self::Queue => "who waits is served in order, once",
            Self::OneOutcome => "every circuit is answered exactly once",
            Self::Events => "no event is missing or doubled",
            Self::Answered => "what was answered was written down",
            Self::Convergence => "the farm comes to rest",
            Self::Alive => "nothing panics or ends by itself",
        })
    }
}

/// What did not hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Broken {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
}

/// See the module.
pub(crate) struct Witness {
    rules: Judgement,
    verbose: bool,
    pub(crate) tally: Tally,
    pub(crate) broken: Option<Broken>,
    hash: u64,
    tail: VecDeque<String>,
    leases: Leases,
    queue: Queue,
    streams: Streams,
    /// How many circuits each board has measured.
    measured: BTreeMap<String, u64>,
    /// The circuit of each measurement.
    measurements: BTreeMap<(String, u64), String>,
    /// Measurements that came out as a reading.
    read: BTreeSet<(String, u64)>,
    /// Whether control's machine has died and is to be cut off.
    silence: bool,
}

impl Witness {
    fn new() -> Self {
        Self {
            rules: Judgement::default(),
            verbose: false,
            tally: Tally::default(),
            broken: None,
            hash: 0xcbf2_9ce4_8422_2325,
            tail: VecDeque::new(),
            leases: Leases::default(),
            queue: Queue::default(),
            streams: Streams::default(),
            measured: BTreeMap::new(),
            measurements: BTreeMap::new(),
            read: BTreeSet::new(),
            silence: false,
        }
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&mut self, text: fmt::Arguments<'_>) {
        let mut line = format!("{:>9.3} ", now().as_secs_f64());
        // Writing to a text never fails.
        let _ = line.write_fmt(text);
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.verbose {
            println!("{line}");
        }
        if self.tail.len() == self.rules.kept {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// Something does not hold. The first one counts: others may follow from it.
    pub(crate) fn broken(&mut self, invariant: Invariant, what: fmt::Arguments<'_>) {
        self.note(format_args!("BROKEN {invariant}: {what}"));
        if self.broken.is_none() {
            self.broken = Some(Broken { invariant, what: what.to_string() });
        }
    }

    /// A figure that two runs of one seed have in common.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines of the trace.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.tail.iter().cloned().collect()
    }

    /// A write failed on purpose.
    pub(crate) fn write_failed(&mut self) {
        self.tally.failed_writes += 1;
        self.note(format_args!("disk: a write fails"));
    }

    /// Control's machine has just died.
    pub(crate) fn silence_control(&mut self) {
        self.silence = true;
        self.note(format_args!("disk: control's machine dies in a transaction"));
    }

    /// Whether control is to be cut off, once.
    pub(crate) fn take_silence(&mut self) -> bool {
        std::mem::take(&mut self.silence)
    }

    /// A transaction was written.
    pub(crate) fn committed(&mut self, batch: &Batch, numbers: &[u64]) {
        self.tally.commits += 1;
        for change in &batch.changes {
            self.changed(change, batch.at);
            self.queued(change, batch.at);
        }
        for ((client, letter), number) in batch.letters.iter().zip(numbers) {
            self.letter(client, *number, letter);
        }
    }

    /// Looks after every step whether anything is there that control should have ended, which has
    /// been well since `well`.
    pub(crate) fn look(&mut self, well: Duration, allowed: Duration) {
        if let Some(lease) = self.held_too_long(well, allowed) {
            self.broken(Invariant::Orphan, format_args!("{lease}"));
        }
        if let Some(waiting) = self.waits_too_long(well, allowed) {
            self.broken(Invariant::Queue, format_args!("{waiting}"));
        }
    }

    /// The process of a client has died: its subscribers with it, and nobody waits for what it
    /// has asked for.
    pub(crate) fn process_gone(&mut self, client: &str) {
        self.subscribers_gone(client);
        self.waiter_gone(client);
    }

    /// A board has measured a circuit; the number of the measurement on this board.
    pub(crate) fn measured(&mut self, serial: &str, circuit: &str) -> u64 {
        let count = self.measured.entry(serial.to_owned()).or_default();
        *count += 1;
        let count = *count;
        self.measurements.insert((serial.to_owned(), count), circuit.to_owned());
        self.note(format_args!("board {serial}: measurement {count} of {circuit}"));
        count
    }

    /// A client was told a reading of a circuit.
    pub(crate) fn reading(&mut self, serial: &str, count: u64, circuit: &str) {
        self.tally.readings += 1;
        let key = (serial.to_owned(), count);
        let of = self.measurements.get(&key).cloned();
        if of.as_deref() != Some(circuit) {
            let what = format_args!(
                "{circuit} was told measurement {count} of {serial}, which is {}",
                of.as_deref().unwrap_or("none at all")
            );
            self.broken(Invariant::OneOutcome, what);
        }
        if !self.read.insert(key) {
            let what = format_args!("measurement {count} of {serial} is the reading of two");
            self.broken(Invariant::OneOutcome, what);
        }
    }
}
