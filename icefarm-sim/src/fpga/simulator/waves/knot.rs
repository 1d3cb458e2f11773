//! Flip-flops that depend on each other.

use super::super::super::circuit::{Circuit, FIRST_FLIP_FLOP, Slot};
use super::clusters::Clusters;
use super::flip_flop::FlipFlop;
use super::lanes::Lanes;
use super::plan::{self, Part, rings};
use super::table::Table;
use super::{Edges, LENGTH, Waves};
use std::collections::HashSet;

/// Flip-flops that depend on each other, and the tables between them.
///
/// There are two ways to make their waves. One goes through the cycles [one by one](Steps). The
/// other *guesses* the waves of a few signals that all rings run through, makes all others from
/// these, and from them the guessed ones. What comes out is right up to and including the first
/// cycle in which a guess was wrong, and a better guess. That is fast where the rings seldom act,
/// as with the reset of a counter. Which one is better shows as they run, and is measured in work
/// and not in time, so that every machine does the same.
#[derive(Debug, Clone)]
pub(super) struct Knot {
    /// The tables that others look at as well, and those that these look at.
    tables: Vec<Table>,
    steps: Steps,
    guess: Option<Guess>,
    /// For so many waves no guess is tried.
    wait: u32,
    /// How long to wait after the next failure.
    caution: u32,
}

/// The ways to go through the cycles one by one: with signals in one word or two, where whatever
/// tables have few inputs together are looked up at once, or with 64 tables at a time, where it is
/// the moving of signals to where they are needed that takes time.
#[derive(Debug, Clone)]
enum Steps {
    Narrow(Box<Clusters<1>>),
    Wide(Box<Clusters<2>>),
    Lanes(Lanes),
}

impl Steps {
    /// The best way for a knot.
    fn new(circuit: &Circuit, ring: &[Slot]) -> Self {
        let narrow = Clusters::new(circuit, ring).map(|clusters| Self::Narrow(Box::new(clusters)));
        let wide = || Clusters::new(circuit, ring).map(|clusters| Self::Wide(Box::new(clusters)));
        let lanes = Self::Lanes(Lanes::new(circuit, ring));
        match narrow.or_else(wide) {
            Some(clusters) if clusters.cost() < lanes.cost() => clusters,
            _ => lanes,
        }
    }

    fn cost(&self) -> u64 {
        match self {
            Self::Narrow(clusters) => clusters.cost(),
            Self::Wide(clusters) => clusters.cost(),
            Self::Lanes(lanes) => lanes.cost(),
        }
    }

    fn run(&mut self, waves: &mut Waves, edges: &mut Edges) {
        match self {
            Self::Narrow(clusters) => clusters.run(waves, edges),
            Self::Wide(clusters) => clusters.run(waves, edges),
            Self::Lanes(lanes) => lanes.run(waves, edges),
        }
    }
}

/// A set of signals without which a knot has no rings of several flip-flops.
#[derive(Debug, Clone)]
struct Guess {
    flip_flops: Vec<FlipFlop>,
    tables: Vec<Table>,
    /// The rest of the knot.
    parts: Vec<Part>,
}

/// The most signals that are guessed.
const CUTS: usize = 6;

/// How many signals are tried for each cut.
const CANDIDATES: usize = 12;

/// The longest that no guess is tried, in waves.
const CAUTION: u32 = 256;

impl Knot {
    /// A knot of flip-flops and tables, in ascending order of their slots.
    pub(super) fn new(circuit: &Circuit, ring: Vec<Slot>, mut tables: Vec<Table>) -> Self {
        let others = FIRST_FLIP_FLOP..circuit.end();
        let others = others.filter(|slot| ring.binary_search(slot).is_err());
        let mut seen: HashSet<Slot> =
            others.flat_map(|slot| plan::needs(circuit, slot)).chain([circuit.pin]).collect();
        for table in tables.iter().rev() {
            if seen.contains(&table.output) {
                seen.extend(plan::needs(circuit, table.output));
            }
        }
        tables.retain(|table| seen.contains(&table.output));
        let steps = Steps::new(circuit, &ring);
        let guess = cuts(circuit, &ring).map(|cut| Guess::new(circuit, &ring, &cut));
        Self { tables, steps, guess, wait: 0, caution: 1 }
    }

    /// Makes the waves, and gives the work.
    pub(super) fn run(&mut self, waves: &mut Waves, edges: &mut Edges) -> u64 {
        let mut work = 0;
        if let Some(guess) = &mut self.guess {
            if self.wait == 0 {
                if guess.run(waves, edges, self.steps.cost(), &mut work) {
                    self.caution = 1;
                    return work;
                }
                self.caution = CAUTION.min(2 * self.caution);
                self.wait = self.caution;
            }
            self.wait -= 1;
        }
        self.steps.run(waves, edges);
        self.tables.iter().for_each(|table| table.settle(waves));
        work + self.steps.cost() + self.tables.iter().map(Table::cost).sum::<u64>()
    }
}

impl Guess {
    fn new(circuit: &Circuit, ring: &[Slot], cut: &[Slot]) -> Self {
        let first_table = circuit.first_table();
        let mut guess = Self {
            flip_flops: Vec::new(),
            tables: Vec::new(),
            parts: plan::parts(circuit, ring.iter().copied(), cut),
        };
        for &slot in cut {
            if let Some(number) = slot.checked_sub(first_table) {
                let lookup = &circuit.lookups[usize::from(number)];
                guess.tables.push(Table::new(slot, lookup));
            } else {
                let number = usize::from(slot - FIRST_FLIP_FLOP);
                guess.flip_flops.push(FlipFlop::new(number, &circuit.latches[number]));
            }
        }
        guess
    }

    /// Tries to make the waves with no more than some work; says whether they are right, and adds
    /// to the work.
    fn run(&mut self, waves: &mut Waves, edges: &mut Edges, most: u64, work: &mut u64) -> bool {
        let slots = self.flip_flops.iter().map(|flip_flop| flip_flop.slot);
        for slot in slots.chain(self.tables.iter().map(|table| table.output)) {
            // The first guess is that nothing changes.
            waves[slot] = (waves[slot] >> (LENGTH - 1)).wrapping_neg();
        }
        loop {
            let before = *work;
            *work += plan::run(&mut self.parts, waves, edges);
            let mut right = true;
            for flip_flop in &self.flip_flops {
                let wave = flip_flop.delay(flip_flop.next(waves), edges);
                right &= std::mem::replace(&mut waves[flip_flop.slot], wave) == wave;
            }
            for table in &self.tables {
                let wave = table.wave(waves);
                right &= std::mem::replace(&mut waves[table.output], wave) == wave;
                *work += table.cost();
            }
            if right || *work + (*work - before) > most {
                return right;
            }
        }
    }
}

/// A few slots without which a ring falls into such with one flip-flop each, if some are found.
fn cuts(circuit: &Circuit, ring: &[Slot]) -> Option<Vec<Slot>> {
    let first_table = circuit.first_table();
    let is_knot = |ring: &[Slot]| ring.get(1).is_some_and(|&second| second < first_table);
    let mut cut = Vec::new();
    let mut knots = vec![ring.to_vec()];
    while let Some(knot) = knots.pop() {
        if cut.len() == CUTS {
            return None;
        }
        let left = |&slot: &Slot| {
            let rings = rings(circuit, knot.iter().copied(), &[slot]);
            rings.into_iter().filter(|ring| is_knot(ring)).collect::<Vec<_>>()
        };
        let size = |slot: &Slot| left(slot).iter().map(|ring| ring.len().pow(2)).sum::<usize>();
        let candidates = busiest(circuit, &knot);
        let best = candidates.into_iter().min_by_key(size)?;
        knots.extend(left(&best));
        cut.push(best);
    }
    cut.sort_unstable();
    Some(cut)
}

/// The slots of a ring by which most ways lead.
fn busiest(circuit: &Circuit, ring: &[Slot]) -> Vec<Slot> {
    let place = |slot| ring.binary_search(&slot).ok();
    let mut readers = vec![0; ring.len()];
    let mut needed = vec![0; ring.len()];
    for (number, &slot) in ring.iter().enumerate() {
        for other in plan::needs(circuit, slot).into_iter().filter_map(place) {
            readers[other] += 1;
            needed[number] += 1;
        }
    }
    let mut order: Vec<usize> = (0..ring.len()).collect();
    order.sort_by_key(|&number| std::cmp::Reverse(readers[number] * needed[number]));
    order.into_iter().take(CANDIDATES).map(|number| ring[number]).collect()
}
