//! Circuits whose flip-flops all act at the same edge of the clock.

use super::{CLOCK_SLOT, Circuit, Core, FIRST_FLIP_FLOP, Latch};

/// Whether a circuit needs no more than this: one edge per cycle, and nothing else that looks at
/// the clock.
pub(super) fn fits(circuit: &Circuit) -> bool {
    let edge = circuit.latches.first().map(|latch| latch.falling);
    let latches = circuit.latches.iter().all(|latch| {
        latch.clock == CLOCK_SLOT
            && Some(latch.falling) == edge
            && ![latch.data, latch.enable, latch.set_reset].contains(&CLOCK_SLOT)
            && !(latch.asynchronous && latch.set_reset != super::circuit::LOW_SLOT)
    });
    let driven = circuit.pin_enable == super::circuit::HIGH_SLOT;
    driven && latches && circuit.lookups.iter().all(|lookup| !lookup.inputs.contains(&CLOCK_SLOT))
}

/// The flip-flops of such a circuit.
#[derive(Debug, Clone)]
pub(super) struct OneClock {
    latches: Vec<Latch>,
    /// Their levels after the next edge.
    next: Vec<u8>,
}

impl OneClock {
    pub(super) fn new(latches: &[Latch]) -> Self {
        Self { latches: latches.to_vec(), next: vec![0; latches.len()] }
    }

    /// See [`super::Simulator::advance`]; here `work` is the total after which to stop.
    pub(super) fn advance(&mut self, core: &mut Core, cycles: u64, mark: Option<&[u8]>, work: u64) {
        let first = usize::from(FIRST_FLIP_FLOP);
        for _ in 0..cycles {
            let latches = self.latches.iter().zip(&mut self.next);
            for (slot, (latch, next)) in (FIRST_FLIP_FLOP..).zip(latches) {
                *next = latch.next(slot, &core.levels);
            }
            core.levels[first..first + self.next.len()].copy_from_slice(&self.next);
            core.settle();
            core.work += self.next.len() as u64;
            core.cycle += 1;
            let level = core.levels[usize::from(core.pin)];
            core.pulses += u64::from(level & !core.last);
            core.last = level;
            if core.work >= work || mark == Some(self.next.as_slice()) {
                return;
            }
        }
    }
}
