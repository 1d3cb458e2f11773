//! Circuits with derived, gated or inverted clocks, asynchronous set and reset, block RAM, a pin that
//! is not always driven, or the clock among their data.

use super::super::Tile;
use super::super::circuit::Lookup;
use super::groups::{Group, groups, taken};
use super::memory::{Ram, Write};
use super::races::Races;
use super::unknown::{UNKNOWN, either, settle};
use super::{CLOCK_SLOT, Circuit, FIRST_FLIP_FLOP, HIGH_SLOT, Latch, Levels, Refusal, Slot};

/// Waves of changes within half a cycle after which a circuit counts as restless. A ripple counter
/// as long as the chip has flip-flops needs 5280.
const WAVES: usize = 6000;

/// Two rising edges must be this many half cycles of the clock of the board apart: a real counter
/// follows up to 24 MHz.
const PULSE_DISTANCE: u64 = 4;

/// Bytes of the digest of all memories.
const DIGEST: usize = 16;

/// About how many nanoseconds it takes to evaluate a lookup, to give a flip-flop its level, to look
/// at a clock, and what else comes with half a cycle.
const LOOKUP: u64 = 3;
const FLIP_FLOP: u64 = 4;
const CLOCK: u64 = 2;
const HALF_CYCLE: u64 = 40;

/// A circuit that is simulated edge by edge.
#[derive(Debug, Clone)]
pub(super) struct General {
    levels: Box<Levels>,
    lookups: Vec<Lookup>,
    /// The slot of the first lookup.
    first_lookup: Slot,
    pin: Slot,
    /// Whether the pin is driven.
    pin_enable: Slot,
    /// The pin's level at the last look.
    last: u8,
    cycle: u64,
    pulses: u64,
    /// See [`super::Simulator::work`].
    work: u64,

    latches: Vec<Latch>,
    rams: Vec<Ram>,
    groups: Vec<Group>,
    races: Races,
    /// Numbers of the flip-flops whose set/reset acts at once.
    asynchronous: Vec<u16>,
    /// Whether tables look at the clock.
    clock_in_logic: bool,
    /// Levels to be taken together: slot and level.
    pending: Vec<(Slot, u8)>,
    writes: Vec<Write>,
    /// Lists for groups whose clocks have their edge, by their clock: that of the board or another.
    fired: [Vec<usize>; 2],
    /// The levels at the beginning of the half cycle, up to the first lookup.
    before: Vec<u8>,
    /// For what could come instead.
    other: Box<Levels>,
    /// Half cycles since the start.
    half_cycle: u64,
    /// Two rising edges must be this many half cycles apart.
    pulse_distance: u64,
    /// When the pin last rose, in half cycles since the start.
    rose: Option<u64>,
    /// Whether the pin has been driven yet.
    driven: bool,
    /// Until this half cycle memories may read zeros.
    zeros_until: u64,
    /// A memory that read something else than zeros until then.
    hidden: Option<Tile>,
    /// Until this half cycle nobody looks at the pin.
    unseen_until: u64,
    /// The last reason why a level became unknown.
    doubt: Option<Refusal>,
}

impl General {
    /// The circuit at rest, before the first edge of the clock.
    pub(super) fn new(circuit: &Circuit) -> Result<Self, Refusal> {
        let rams: Vec<Ram> = circuit
            .memories
            .iter()
            .enumerate()
            .map(|(number, memory)| Ram::new(number, memory, circuit.memory_slot(number)))
            .collect();
        let groups = groups(circuit, &rams);
        let taken: Vec<Vec<Slot>> =
            groups.iter().map(|group| taken(group, circuit, &rams)).collect();
        let clocks: Vec<Slot> = groups.iter().map(|group| group.clock).collect();
        let first_lookup = circuit.first_lookup();
        let mut owners = vec![0; usize::from(first_lookup - FIRST_FLIP_FLOP)];
        for (number, group) in groups.iter().enumerate() {
            let memories = group.reads.iter().map(|&memory| circuit.latches.len() + 16 * memory);
            let bits = memories.flat_map(|first| first..first + 16);
            for place in group.flip_flops.iter().map(|&member| usize::from(member)).chain(bits) {
                owners[place] = number as u16;
            }
        }
        let races = Races::new(circuit, &clocks, &taken, owners);
        let latches = circuit.latches.iter().enumerate();
        let asynchronous = latches.filter(|(_, latch)| latch.asynchronous);
        let mut general = Self {
            levels: levels(),
            lookups: circuit.lookups.clone(),
            first_lookup,
            pin: circuit.pin,
            pin_enable: circuit.pin_enable,
            last: 0,
            cycle: 0,
            pulses: 0,
            work: 0,
            latches: circuit.latches.clone(),
            rams,
            groups,
            races,
            asynchronous: asynchronous.map(|(number, _)| number as u16).collect(),
            clock_in_logic: circuit.lookups.iter().any(|l| l.inputs.contains(&CLOCK_SLOT)),
            pending: Vec::new(),
            writes: Vec::new(),
            fired: [Vec::new(), Vec::new()],
            before: vec![0; usize::from(first_lookup)],
            other: levels(),
            half_cycle: 0,
            pulse_distance: circuit.pll.map_or(PULSE_DISTANCE, |ratio| {
                (PULSE_DISTANCE * ratio.ticks).div_ceil(ratio.cycles)
            }),
            rose: None,
            driven: false,
            zeros_until: 0,
            hidden: None,
            unseen_until: 0,
            doubt: None,
        };
        general.settle();
        // What is set at once is set from the start on, before there are edges.
        for _ in 0..WAVES {
            general.collect_asynchronous();
            if !general.apply(0)? {
                return general.start();
            }
            general.settle();
        }
        Err(Refusal::Unstable { cycle: 0 })
    }

    fn start(mut self) -> Result<Self, Refusal> {
        for group in &mut self.groups {
            group.last = self.levels[usize::from(group.clock)];
        }
        self.driven = self.levels[usize::from(self.pin_enable)] == 1;
        self.last = self.levels[usize::from(self.pin)];
        Ok(self)
    }

    pub(super) fn pin(&self) -> bool {
        self.last == 1
    }

    pub(super) fn cycle(&self) -> u64 {
        self.cycle
    }

    pub(super) fn pulses(&self) -> u64 {
        self.pulses
    }

    pub(super) fn work(&self) -> u64 {
        self.work
    }

    /// Everything that the future depends on: flip-flops, what memories have read, and a digest of
    /// what is in them.
    pub(super) fn state(&self) -> Vec<u8> {
        let mut state = self.kept().to_vec();
        if !self.rams.is_empty() {
            state.extend(self.digest());
        }
        state
    }

    fn kept(&self) -> &[u8] {
        &self.levels[usize::from(FIRST_FLIP_FLOP)..usize::from(self.first_lookup)]
    }

    fn digest(&self) -> [u8; DIGEST] {
        let digests = self.rams.iter().map(Ram::digest);
        digests.fold(0u128, u128::wrapping_add).to_le_bytes()
    }

    fn is_state(&self, mark: &[u8]) -> bool {
        let kept = self.kept();
        mark.starts_with(kept) && (self.rams.is_empty() || mark[kept.len()..] == self.digest())
    }

    /// Lets memories read either what is in them or zeros for some cycles from now on, with nobody
    /// looking at the pin.
    pub(super) fn distrust(&mut self, cycles: u64) {
        self.zeros_until = self.half_cycle + 2 * cycles;
        self.hide();
    }

    /// A memory that could have read something else since then.
    pub(super) fn hidden(&self) -> Option<Tile> {
        self.hidden
    }

    /// Lets nobody look at the pin any more.
    pub(super) fn hide(&mut self) {
        self.unseen_until = u64::MAX;
    }

    /// See [`super::Simulator::advance`]; here `work` is the total after which to stop.
    pub(super) fn advance(
        &mut self,
        cycles: u64,
        mark: Option<&[u8]>,
        work: u64,
    ) -> Result<bool, Refusal> {
        for _ in 0..cycles {
            self.half_cycle(1)?;
            self.half_cycle(0)?;
            self.cycle += 1;
            if mark.is_some_and(|mark| self.is_state(mark)) {
                return Ok(true);
            }
            if self.work >= work {
                return Ok(false);
            }
        }
        Ok(mark.is_some_and(|mark| self.is_state(mark)))
    }

    pub(super) fn skip(&mut self, cycles: u64, pulses: u64) {
        self.cycle += cycles;
        self.pulses += pulses;
        self.half_cycle += 2 * cycles;
        self.rose = self.rose.map(|rose| rose + 2 * cycles);
    }

    /// One edge of the clock and everything that follows from it.
    fn half_cycle(&mut self, level: u8) -> Result<(), Refusal> {
        self.half_cycle += 1;
        self.work += HALF_CYCLE;
        self.races.begin();
        let kept = self.before.len();
        self.before.copy_from_slice(&self.levels[..kept]);
        self.levels[usize::from(CLOCK_SLOT)] = level;
        // The clock is at the flip-flops before it has passed through any logic, so these take
        // their data as they were.
        let [first, derived] = std::mem::take(&mut self.fired);
        let first = self.edges(false, first)?;
        let mut derived = cleared(derived);
        if self.clock_in_logic {
            self.settle();
            derived = self.edges(true, derived)?;
        }
        self.collect(&first, 0);
        self.collect(&derived, 0);
        let mut changed = self.apply(0)?;
        if changed {
            self.settle();
        }
        for wave in 1..=WAVES {
            derived = self.edges(true, derived)?;
            self.collect_asynchronous();
            self.collect(&derived, wave);
            changed = self.apply(wave)?;
            if !changed {
                self.fired = [first, derived];
                return self.look(level);
            }
            self.settle();
        }
        Err(Refusal::Unstable { cycle: self.cycle })
    }

    /// Evaluates all lookups.
    fn settle(&mut self) {
        settle(&self.lookups, self.first_lookup, &mut self.levels);
        self.work += LOOKUP * self.lookups.len() as u64;
    }

    /// The groups whose clock has its edge: those on the clock of the board, or the others.
    /// They come in a list that was used before: this is so frequent that making new ones tells.
    fn edges(&mut self, derived: bool, fired: Vec<usize>) -> Result<Vec<usize>, Refusal> {
        self.work += CLOCK * self.groups.len() as u64;
        let mut fired = cleared(fired);
        for (number, group) in self.groups.iter_mut().enumerate() {
            if self.races.is_derived(number) == derived {
                match group.edge(self.levels[usize::from(group.clock)]) {
                    Some(true) => fired.push(number),
                    Some(false) => {}
                    None => return Err(self.doubted()),
                }
            }
        }
        Ok(fired)
    }

    /// Notes what the members of groups take whose clocks have their edge.
    fn collect(&mut self, fired: &[usize], wave: usize) {
        for &number in fired {
            self.races.fire(number, wave);
            self.take(number, false);
        }
        // Nothing else changes with the first edges, which come straight from the board.
        for &number in fired {
            let unsure = if self.races.is_derived(number) {
                self.races.looks_abroad(number)
            } else {
                self.races.looks_at_clock(number)
            };
            if unsure {
                self.imagine(number);
                let races = &self.races;
                self.pending.retain(|(slot, _)| races.owner(*slot) != number);
                self.take(number, true);
            }
        }
    }

    /// Prepares levels in which everything is unknown that changes in this half cycle and does not
    /// belong to a group.
    fn imagine(&mut self, group: usize) {
        let kept = self.before.len();
        self.other[..kept].copy_from_slice(&self.levels[..kept]);
        let moved = (FIRST_FLIP_FLOP..self.first_lookup)
            .filter(|&slot| self.before[usize::from(slot)] != self.levels[usize::from(slot)]);
        let coming =
            self.pending.iter().filter(|(slot, level)| self.levels[usize::from(*slot)] != *level);
        for slot in moved.chain(coming.map(|&(slot, _)| slot)) {
            if self.races.owner(slot) != group {
                self.other[usize::from(slot)] = UNKNOWN;
            }
        }
        self.other[usize::from(CLOCK_SLOT)] = UNKNOWN;
        settle(&self.lookups, self.first_lookup, &mut self.other);
        self.work += LOOKUP * self.lookups.len() as u64;
    }

    /// Notes what the members of a group take, from the levels as they are or as they were imagined.
    fn take(&mut self, number: usize, imagined: bool) {
        let Self { groups, latches, rams, pending, writes, levels, other, .. } = self;
        let levels: &Levels = if imagined { other } else { levels };
        let group = &groups[number];
        let start = pending.len();
        for &member in &group.flip_flops {
            let slot = FIRST_FLIP_FLOP + member;
            pending.push((slot, latches[usize::from(member)].next(slot, levels)));
        }
        if imagined && pending[start..].iter().any(|&(_, level)| level == UNKNOWN) {
            self.doubt = Some(Refusal::Race { cycle: self.cycle });
        }
        for &memory in &group.reads {
            let ram = &mut rams[memory];
            let start = pending.len();
            let clear = ram.read(levels, self.half_cycle, pending);
            if !clear {
                self.doubt = Some(Refusal::MemoryCollision { tile: ram.tile(), cycle: self.cycle });
            } else if imagined && pending[start..].iter().any(|&(_, level)| level == UNKNOWN) {
                self.doubt = Some(Refusal::Race { cycle: self.cycle });
            }
            if self.half_cycle <= self.zeros_until && ram.reads_zeros(&mut pending[start..]) {
                self.hidden = Some(ram.tile());
            }
        }
        for &memory in &group.writes {
            writes.retain(|write| write.memory() != memory);
            writes.extend(rams[memory].write(levels));
        }
        let members = group.flip_flops.len() + 16 * (group.reads.len() + group.writes.len());
        self.work += FLIP_FLOP * members as u64;
    }

    /// Notes what is set or reset without an edge.
    fn collect_asynchronous(&mut self) {
        for &number in &self.asynchronous {
            let latch = &self.latches[usize::from(number)];
            let slot = FIRST_FLIP_FLOP + number;
            let given = u8::from(latch.set);
            match self.levels[usize::from(latch.set_reset)] {
                0 => {}
                1 => self.pending.push((slot, given)),
                _ => self.pending.push((slot, either(given, self.levels[usize::from(slot)]))),
            }
        }
        self.work += CLOCK * self.asynchronous.len() as u64;
    }

    /// Gives the flip-flops and memories what was noted, and says whether any of them changed.
    fn apply(&mut self, wave: usize) -> Result<bool, Refusal> {
        let mut changed = false;
        let mut late = false;
        for (slot, level) in self.pending.drain(..) {
            let now = &mut self.levels[usize::from(slot)];
            if *now != level {
                *now = level;
                changed = true;
                late |= self.races.change(slot, wave);
            }
        }
        for write in std::mem::take(&mut self.writes) {
            let ram = &mut self.rams[write.memory()];
            for slot in ram.make(&write, self.half_cycle) {
                let (tile, cycle) = (ram.tile(), self.cycle);
                self.doubt = Some(Refusal::MemoryCollision { tile, cycle });
                let now = &mut self.levels[usize::from(slot)];
                changed |= *now != UNKNOWN;
                *now = UNKNOWN;
            }
        }
        if late { Err(Refusal::Race { cycle: self.cycle }) } else { Ok(changed) }
    }

    /// Looks at the pin once everything is at rest. Whatever a pin shows before it is driven for the
    /// first time, it shows since before the FPGA was configured, and it is no pulse of the circuit.
    fn look(&mut self, clock: u8) -> Result<(), Refusal> {
        let enable = self.levels[usize::from(self.pin_enable)];
        let level = self.levels[usize::from(self.pin)];
        if self.half_cycle <= self.unseen_until {
            return Ok(());
        }
        if enable == UNKNOWN || (enable == 1 && level == UNKNOWN) {
            return Err(self.doubted());
        }
        match (std::mem::replace(&mut self.driven, enable == 1), enable == 1) {
            (false, false) => return Ok(()),
            (false, true) => {
                self.last = level;
                return Ok(());
            }
            (true, false) => return Err(Refusal::Floating { cycle: self.cycle }),
            (true, true) => {}
        }
        if level == 1 && self.last == 0 {
            let now = 2 * self.cycle + u64::from(1 - clock);
            if let Some(half_cycles) = self.rose.map(|rose| now - rose)
                && half_cycles < self.pulse_distance
            {
                return Err(Refusal::TooFast { cycle: self.cycle, half_cycles });
            }
            self.rose = Some(now);
            self.pulses += 1;
        }
        self.last = level;
        Ok(())
    }

    /// Why something is not known.
    fn doubted(&self) -> Refusal {
        self.doubt.clone().unwrap_or(Refusal::Race { cycle: self.cycle })
    }
}

fn cleared(mut list: Vec<usize>) -> Vec<usize> {
    list.clear();
    list
}

fn levels() -> Box<Levels> {
    let levels: Box<[u8]> = vec![0; 1 << Slot::BITS].into_boxed_slice();
    let mut levels: Box<Levels> = levels.try_into().expect("it has that many levels");
    levels[usize::from(HIGH_SLOT)] = 1;
    levels
}
