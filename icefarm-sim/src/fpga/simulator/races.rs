//! Registers that take a signal at an edge of a clock while the signal changes as well.
//!
//! Registers on the same clock are built so that each sees what the others were before the edge.
//! Between registers on different clocks that have their edges together, one of which came about by
//! way of logic or of another register, nothing is sure: either may be the faster one. For what such
//! a register takes, everything that changes in the same half cycle under another clock is unknown,
//! unless it changes because of the register's own edge. What changes only later in the half cycle,
//! after more edges than the register's own clock needed, is refused at once.

use super::super::circuit::{CLOCK_SLOT, Circuit, FIRST_FLIP_FLOP, Slot};

/// A set of groups; the last bit is the clock of the board.
type Set = Vec<u64>;

/// Which groups look at which.
#[derive(Debug, Clone)]
pub(super) struct Races {
    /// Whether the clock of each group is another one than that of the board.
    derived: Vec<bool>,
    /// For each group, those whose registers it takes; without itself.
    reads: Vec<Set>,
    /// Whether that is any.
    abroad: Vec<bool>,
    /// For each group, those whose registers its clock comes from.
    clocks: Vec<Set>,
    /// For each flip-flop and memory output, its group.
    owners: Vec<u16>,
    groups: usize,
    /// In this half cycle: which groups that look abroad had an edge, and in which wave; which had
    /// one at all, and because of which others.
    fired: Vec<(usize, usize)>,
    active: Vec<usize>,
    causes: Vec<Set>,
    changed: Set,
    spare: Set,
}

impl Races {
    /// `clocks` and `taken` are the clock of each group and the slots that its members look at;
    /// `owners` has the group of each flip-flop and memory output.
    pub(super) fn new(
        circuit: &Circuit,
        clocks: &[Slot],
        taken: &[Vec<Slot>],
        owners: Vec<u16>,
    ) -> Self {
        let groups = clocks.len();
        let words = (groups + 1).div_ceil(64);
        let first = circuit.first_lookup();
        // What each slot comes from, in the order of evaluation.
        let mut support: Vec<Set> =
            vec![vec![0; words]; usize::from(first) + circuit.lookups.len()];
        insert(&mut support[usize::from(CLOCK_SLOT)], groups);
        for (slot, &group) in (FIRST_FLIP_FLOP..).zip(&owners) {
            insert(&mut support[usize::from(slot)], usize::from(group));
        }
        for (slot, lookup) in (usize::from(first)..).zip(&circuit.lookups) {
            let mut sum = vec![0; words];
            lookup.inputs.iter().for_each(|&input| add(&mut sum, &support[usize::from(input)]));
            support[slot] = sum;
        }
        let of = |slots: &[Slot]| {
            let mut sum = vec![0; words];
            slots.iter().for_each(|&slot| add(&mut sum, &support[usize::from(slot)]));
            sum
        };
        let mut reads: Vec<Set> = taken.iter().map(|slots| of(slots)).collect();
        for (group, reads) in reads.iter_mut().enumerate() {
            reads[group / 64] &= !(1 << (group % 64));
        }
        let abroad = reads.iter().map(|reads| reads.iter().any(|&word| word != 0)).collect();
        let derived = clocks.iter().map(|&clock| clock != CLOCK_SLOT).collect();
        let clocks = clocks.iter().map(|&clock| of(&[clock])).collect();
        let causes = vec![vec![0; words]; groups];
        Self {
            derived,
            reads,
            abroad,
            clocks,
            owners,
            groups,
            fired: Vec::new(),
            active: Vec::new(),
            causes,
            changed: vec![0; words],
            spare: vec![0; words],
        }
    }

    pub(super) fn is_derived(&self, group: usize) -> bool {
        self.derived[group]
    }

    /// Whether a group looks at anything that another clock changes.
    pub(super) fn looks_abroad(&self, group: usize) -> bool {
        self.abroad[group]
    }

    /// Whether a group looks at the clock of the board.
    pub(super) fn looks_at_clock(&self, group: usize) -> bool {
        contains(&self.reads[group], self.groups)
    }

    pub(super) fn begin(&mut self) {
        for &group in &self.active {
            self.causes[group].fill(0);
        }
        self.active.clear();
        self.fired.clear();
        self.changed.fill(0);
    }

    /// The group of a flip-flop or memory output.
    pub(super) fn owner(&self, slot: Slot) -> usize {
        usize::from(self.owners[usize::from(slot - FIRST_FLIP_FLOP)])
    }

    /// A group has its edge.
    pub(super) fn fire(&mut self, group: usize, wave: usize) {
        let mut causes = std::mem::take(&mut self.spare);
        causes.fill(0);
        for (word, (clocks, changed)) in self.clocks[group].iter().zip(&self.changed).enumerate() {
            let mut others = clocks & changed;
            causes[word] |= others;
            while others != 0 {
                add(&mut causes, &self.causes[64 * word + others.trailing_zeros() as usize]);
                others &= others - 1;
            }
        }
        self.spare = std::mem::replace(&mut self.causes[group], causes);
        self.active.push(group);
        if self.derived[group] && self.looks_abroad(group) {
            self.fired.push((group, wave));
        }
    }

    /// A register of a group changes. Says whether that comes too late for a group that has taken
    /// it already, on another clock and not as its cause.
    pub(super) fn change(&mut self, slot: Slot, wave: usize) -> bool {
        let group = self.owner(slot);
        insert(&mut self.changed, group);
        self.fired.iter().any(|&(other, when)| {
            when < wave
                && other != group
                && contains(&self.reads[other], group)
                && !contains(&self.causes[group], other)
        })
    }
}

fn insert(set: &mut Set, member: usize) {
    set[member / 64] |= 1 << (member % 64);
}

fn contains(set: &Set, member: usize) -> bool {
    set[member / 64] >> (member % 64) & 1 != 0
}

fn add(set: &mut Set, other: &Set) {
    set.iter_mut().zip(other).for_each(|(word, more)| *word |= more);
}
