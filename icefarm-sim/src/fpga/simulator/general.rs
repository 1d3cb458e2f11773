//! Circuits with derived, gated or inverted clocks, asynchronous set and reset, or the clock among
//! their data.

use super::{CLOCK_SLOT, Circuit, Core, FIRST_FLIP_FLOP, Latch, Refusal, Slot};

/// Waves of changes within half a cycle after which a circuit counts as restless. A ripple counter
/// as long as the chip has flip-flops needs 5280.
const WAVES: usize = 6000;

/// Two rising edges must be this many half cycles apart: a real counter follows up to 24 MHz.
const PULSE_DISTANCE: u64 = 4;

/// Flip-flops that share a clock and an edge.
#[derive(Debug, Clone)]
struct Group {
    clock: Slot,
    falling: bool,
    /// The level of the clock when it was last looked at.
    last: u8,
    /// Numbers of flip-flops.
    members: Vec<u16>,
}

impl Group {
    /// Looks at the clock and says whether it had its edge.
    fn edge(&mut self, level: u8) -> bool {
        let before = std::mem::replace(&mut self.last, level);
        before != level && (level == 0) == self.falling
    }
}

#[derive(Debug, Clone)]
pub(super) struct General {
    latches: Vec<Latch>,
    groups: Vec<Group>,
    /// Numbers of the flip-flops whose set/reset acts at once.
    asynchronous: Vec<u16>,
    /// Whether tables look at the clock.
    clock_in_logic: bool,
    /// Levels to be taken together: slot and level.
    pending: Vec<(Slot, u8)>,
    /// When the pin last rose, in half cycles since the start.
    rose: Option<u64>,
    /// Whether the pin has been driven yet.
    driven: bool,
}

impl General {
    pub(super) fn new(circuit: &Circuit, core: &mut Core) -> Result<Self, Refusal> {
        let mut groups: Vec<Group> = Vec::new();
        for (number, latch) in circuit.latches.iter().enumerate() {
            let same =
                |group: &&mut Group| (group.clock, group.falling) == (latch.clock, latch.falling);
            match groups.iter_mut().find(same) {
                Some(group) => group.members.push(number as u16),
                None => groups.push(Group {
                    clock: latch.clock,
                    falling: latch.falling,
                    last: 0,
                    members: vec![number as u16],
                }),
            }
        }
        let latches = circuit.latches.iter().enumerate();
        let asynchronous = latches.filter(|(_, latch)| latch.asynchronous);
        let mut general = Self {
            latches: circuit.latches.clone(),
            groups,
            asynchronous: asynchronous.map(|(number, _)| number as u16).collect(),
            clock_in_logic: circuit.lookups.iter().any(|l| l.inputs.contains(&CLOCK_SLOT)),
            pending: Vec::new(),
            rose: None,
            driven: false,
        };
        // What is set at once is set from the start on, before there are edges.
        for _ in 0..WAVES {
            general.collect_asynchronous(core);
            if !general.apply(core) {
                for group in &mut general.groups {
                    group.last = core.levels[usize::from(group.clock)];
                }
                general.driven = core.levels[usize::from(core.pin_enable)] != 0;
                return Ok(general);
            }
            core.settle();
        }
        Err(Refusal::Unstable { cycle: 0 })
    }

    /// See [`super::Simulator::advance`]; here `work` is the total after which to stop.
    pub(super) fn advance(
        &mut self,
        core: &mut Core,
        cycles: u64,
        mark: Option<&[u8]>,
        work: u64,
    ) -> Result<(), Refusal> {
        for _ in 0..cycles {
            self.half_cycle(core, 1)?;
            self.half_cycle(core, 0)?;
            core.cycle += 1;
            if core.work >= work || mark == Some(core.state()) {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, cycles: u64) {
        self.rose = self.rose.map(|rose| rose + 2 * cycles);
    }

    /// One edge of the clock and everything that follows from it.
    fn half_cycle(&mut self, core: &mut Core, level: u8) -> Result<(), Refusal> {
        core.levels[usize::from(CLOCK_SLOT)] = level;
        // The clock is at the flip-flops before it has passed through any logic, so these take
        // their data as they were.
        self.collect_edges(core, |clock| clock == CLOCK_SLOT);
        if self.clock_in_logic {
            core.settle();
            self.collect_edges(core, |clock| clock != CLOCK_SLOT);
        }
        let mut changed = self.apply(core);
        if changed {
            core.settle();
        }
        for _ in 0..WAVES {
            self.collect_edges(core, |clock| clock != CLOCK_SLOT);
            self.collect_asynchronous(core);
            changed = self.apply(core);
            if !changed {
                return self.look(core, level);
            }
            core.settle();
        }
        Err(Refusal::Unstable { cycle: core.cycle })
    }

    /// Notes what the flip-flops take whose clock had its edge.
    fn collect_edges(&mut self, core: &mut Core, wanted: impl Fn(Slot) -> bool) {
        for group in self.groups.iter_mut().filter(|group| wanted(group.clock)) {
            if group.edge(core.levels[usize::from(group.clock)]) {
                for &number in &group.members {
                    let slot = FIRST_FLIP_FLOP + number;
                    let next = self.latches[usize::from(number)].next(slot, &core.levels);
                    self.pending.push((slot, next));
                }
                core.work += group.members.len() as u64;
            }
        }
    }

    /// Notes what is set or reset without an edge.
    fn collect_asynchronous(&mut self, core: &mut Core) {
        for &number in &self.asynchronous {
            let latch = &self.latches[usize::from(number)];
            if core.levels[usize::from(latch.set_reset)] != 0 {
                self.pending.push((FIRST_FLIP_FLOP + number, u8::from(latch.set)));
            }
        }
        core.work += self.asynchronous.len() as u64;
    }

    /// Gives the flip-flops the levels that were noted, and says whether any of them changed.
    fn apply(&mut self, core: &mut Core) -> bool {
        let mut changed = false;
        for (slot, level) in self.pending.drain(..) {
            let now = &mut core.levels[usize::from(slot)];
            changed |= *now != level;
            *now = level;
        }
        changed
    }

    /// Looks at the pin once everything is at rest. Whatever a pin shows before it is driven for the
    /// first time, it shows since before the FPGA was configured, and it is no pulse of the circuit.
    fn look(&mut self, core: &mut Core, clock: u8) -> Result<(), Refusal> {
        let driven = core.levels[usize::from(core.pin_enable)] != 0;
        let level = core.levels[usize::from(core.pin)];
        match (std::mem::replace(&mut self.driven, driven), driven) {
            (false, false) => return Ok(()),
            (false, true) => {
                core.last = level;
                return Ok(());
            }
            (true, false) => return Err(Refusal::Floating { cycle: core.cycle }),
            (true, true) => {}
        }
        if level & !core.last != 0 {
            let now = 2 * core.cycle + u64::from(1 - clock);
            if let Some(half_cycles) = self.rose.map(|rose| now - rose)
                && half_cycles < PULSE_DISTANCE
            {
                return Err(Refusal::TooFast { cycle: core.cycle, half_cycles });
            }
            self.rose = Some(now);
            core.pulses += 1;
        }
        core.last = level;
        Ok(())
    }
}
