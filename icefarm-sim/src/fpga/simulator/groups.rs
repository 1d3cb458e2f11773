//! What acts together.

use super::super::circuit::{Circuit, Slot};
use super::memory::Ram;
use super::unknown::UNKNOWN;

/// What shares a clock and an edge.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) clock: Slot,
    falling: bool,
    /// The level of the clock when it was last looked at.
    pub(super) last: u8,
    /// Numbers of flip-flops.
    pub(super) flip_flops: Vec<u16>,
    /// Numbers of memories that are read and written.
    pub(super) reads: Vec<usize>,
    pub(super) writes: Vec<usize>,
}

impl Group {
    /// Looks at the clock and says whether it had its edge, if that is known.
    pub(super) fn edge(&mut self, level: u8) -> Option<bool> {
        let before = std::mem::replace(&mut self.last, level);
        if before == level {
            return Some(false);
        }
        let known = before != UNKNOWN && level != UNKNOWN;
        known.then_some((level == 0) == self.falling)
    }
}

/// Everything that has a clock, by clock and edge.
pub(super) fn groups(circuit: &Circuit, rams: &[Ram]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (number, latch) in circuit.latches.iter().enumerate() {
        group(&mut groups, latch.clock, latch.falling).flip_flops.push(number as u16);
    }
    for (number, ram) in rams.iter().enumerate() {
        let [read, write] = ram.clocks();
        group(&mut groups, read.0, read.1).reads.push(number);
        if ram.is_written() {
            group(&mut groups, write.0, write.1).writes.push(number);
        }
    }
    groups
}

/// The group of a clock and an edge, which is made if it is not there.
fn group(groups: &mut Vec<Group>, clock: Slot, falling: bool) -> &mut Group {
    let same = |group: &Group| (group.clock, group.falling) == (clock, falling);
    let number = groups.iter().position(same).unwrap_or_else(|| {
        let (flip_flops, reads, writes) = (Vec::new(), Vec::new(), Vec::new());
        groups.push(Group { clock, falling, last: 0, flip_flops, reads, writes });
        groups.len() - 1
    });
    &mut groups[number]
}

/// What the members of a group look at when they take something.
pub(super) fn taken(group: &Group, circuit: &Circuit, rams: &[Ram]) -> Vec<Slot> {
    let mut taken = Vec::new();
    for &member in &group.flip_flops {
        let latch = &circuit.latches[usize::from(member)];
        taken.extend([latch.data, latch.enable, latch.set_reset]);
    }
    group.reads.iter().for_each(|&memory| taken.extend(&rams[memory].inputs()[0]));
    group.writes.iter().for_each(|&memory| taken.extend(&rams[memory].inputs()[1]));
    taken
}
