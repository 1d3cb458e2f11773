//! One seed: a farm in its storm, and whether it comes to rest afterwards.

use crate::farm::{Farm, LINGER};
use crate::plan::{LONGEST, Plan};
use crate::weather::Weather;
use crate::witness::{self, Broken, Invariant, Judgement, Tally, note};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How many lines of the trace are kept in case of a failure.
const TAIL: usize = 200;
/// The longest lease that clients ask for.
const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// What a state may take to end, and a message that was not held back.
const SLACK: Duration = Duration::from_secs(15);

/// What came of a seed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) seed: u64,
    pub(crate) broken: Option<Broken>,
    pub(crate) tail: Vec<String>,
    pub(crate) hash: u64,
    pub(crate) tally: Tally,
    pub(crate) took: Duration,
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the message of a panic for the seed that it belongs to.
pub(crate) fn note_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        eprintln!("{text}");
        PANIC.with_borrow_mut(|message| {
            message.get_or_insert(text);
        });
    }));
}

/// Whether anything has panicked.
pub(crate) fn has_panicked() -> bool {
    PANIC.with_borrow(Option::is_some)
}

/// How much is kept of what happened, and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace {
    /// The end is kept.
    Tail,
    /// All of it is kept.
    Whole,
    /// The end is kept, and everything is printed when it happens.
    Print,
}

impl Trace {
    const WORDS: [(Self, &'static str); 3] =
        [(Self::Tail, "tail"), (Self::Whole, "whole"), (Self::Print, "print")];

    pub(crate) fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(trace, _)| *trace == self).map_or("tail", |(_, word)| word)
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(trace, _)| *trace)
    }
}

/// Simulates a seed. To be called once in a process.
pub(crate) fn run(seed: u64, trace: Trace) -> Verdict {
    let began = Instant::now();
    let plan = Plan::of(seed);
    let silence = plan.wait_silence + LONGEST;
    let orphaned = LONGEST_LEASE + LINGER + LONGEST + SLACK;
    let kept = if trace == Trace::Whole { usize::MAX } else { TAIL };
    witness::begin(Judgement { kept, orphaned, silence }, trace == Trace::Print);
    witness::set_time(Some(Duration::ZERO));
    note!("seed {seed}: {plan:?}");
    if let Err(error) = storm(&plan) {
        witness::with(|w| w.broken(Invariant::Alive, format_args!("{error}")));
    }
    if let Some(panic) = PANIC.take() {
        witness::with(|w| w.broken(Invariant::Alive, format_args!("{panic}")));
    }
    witness::with(|witness| Verdict {
        seed,
        broken: witness.broken.clone(),
        tail: witness.tail(),
        hash: witness.hash(),
        tally: std::mem::take(&mut witness.tally),
        took: began.elapsed(),
    })
}

fn storm(plan: &Plan) -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(plan.seed)
        .tick_duration(plan.tick)
        .simulation_duration(Duration::from_secs(24 * 3600))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(plan.latency)
        .epoch(std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
        .tcp_capacity(4096)
        .enable_random_order();
    let mut sim = builder.build();
    let farm = Farm::start(plan, &mut sim)?;
    let mut weather = Weather::new(plan, farm);
    // A program that panics has left the simulation in pieces, which are not touched again.
    let passed = catch_unwind(AssertUnwindSafe(|| weather.pass(&mut sim)));
    match passed {
        Ok(result) => {
            witness::with(|w| w.tally.simulated_s += sim.elapsed().as_secs());
            if result.is_err() {
                std::mem::forget(sim);
            }
            result
        }
        Err(_) => {
            std::mem::forget(sim);
            witness::set_time(Some(witness::now()));
            Ok(())
        }
    }
}
