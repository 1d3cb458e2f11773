//! Random circuits, in waves and edge by edge.

use super::super::super::circuit::{
    CLOCK_SLOT, Circuit, FIRST_FLIP_FLOP, HIGH_SLOT, LOW_SLOT, Latch, Lookup, Slot,
};
use super::super::Simulator;
use super::clusters::Clusters;
use super::lanes::Lanes;
use super::plan::rings;
use super::{Edges, Wave, Waves};
use proptest::prelude::*;

/// What makes one table or flip-flop: numbers from which its inputs and kind follow.
type Seed = (u16, [u16; 4]);

#[derive(Debug, Clone)]
struct Shape {
    latches: Vec<Seed>,
    lookups: Vec<Seed>,
    /// How far from its own place a signal finds its inputs. Small makes chains, large makes knots.
    reach: u16,
    /// One flip-flop in so many has an enable, and one a set or reset.
    rarity: u16,
    falling: bool,
    pin: u16,
}

/// Tables that designs are full of, beside random ones: counters, carries, gates, copies.
const USUAL: [u16; 8] = [0x6666, 0xE8E8, 0x9696, 0x8000, 0xAAAA, 0x5555, 0x6996, 0xCACA];

impl Shape {
    fn circuit(&self) -> Circuit {
        let count = self.latches.len() as u16;
        let first_table = FIRST_FLIP_FLOP + count;
        let end = first_table + self.lookups.len() as u16;
        // A flip-flop takes its inputs from anywhere near its place in proportion.
        let near = |place: u16, seed: u16, below: Slot| -> Slot {
            let (low, high) = (place.saturating_sub(self.reach), place + self.reach);
            let slot = low + seed % (high - low + 1);
            match slot % below {
                CLOCK_SLOT | LOW_SLOT => LOW_SLOT,
                slot => slot,
            }
        };
        let lookups = self.lookups.iter().zip(first_table..).map(|(&(kind, inputs), slot)| {
            let bits = USUAL.get(usize::from(kind % 12)).copied().unwrap_or(kind);
            let one = |seed: u16| {
                let among = if seed.is_multiple_of(3) {
                    slot
                } else {
                    slot - first_table + FIRST_FLIP_FLOP
                };
                near(among, seed / 3, slot)
            };
            Lookup { bits, inputs: inputs.map(one) }
        });
        let latches = self.latches.iter().zip(0u16..).map(|(&(kind, [a, b, c, d]), number)| {
            let place = FIRST_FLIP_FLOP + number * (end - FIRST_FLIP_FLOP) / count;
            let rare = |seed: u16, otherwise| {
                if d.is_multiple_of(self.rarity) { near(place, seed, end) } else { otherwise }
            };
            Latch {
                data: near(place, a, end),
                clock: CLOCK_SLOT,
                enable: rare(b, HIGH_SLOT),
                set_reset: rare(c, LOW_SLOT),
                falling: self.falling,
                set: kind & 1 != 0,
                asynchronous: false,
            }
        });
        let (latches, lookups) = (latches.collect(), lookups.collect());
        Circuit::of(FIRST_FLIP_FLOP + self.pin % (end - FIRST_FLIP_FLOP), latches, lookups)
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let seeds = |most| prop::collection::vec(any::<Seed>(), 1..most);
    (seeds(40), seeds(60), 1u16..50, 1u16..8, any::<bool>(), any::<u16>()).prop_map(
        |(latches, lookups, reach, rarity, falling, pin)| Shape {
            latches,
            lookups,
            reach,
            rarity,
            falling,
            pin,
        },
    )
}

fn both(circuit: &Circuit) -> (Simulator, Simulator) {
    assert!(super::fits(circuit));
    (circuit.simulator().unwrap(), circuit.general().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_cycle_is_the_same(shape in shapes(), strides in prop::collection::vec(1u64..70, 8)) {
        let circuit = shape.circuit();
        let (mut waves, mut plain) = both(&circuit);
        for stride in strides.into_iter().chain([1; 40]).chain([64; 10]) {
            prop_assert_eq!(waves.run(stride).unwrap(), plain.run(stride).unwrap());
            prop_assert_eq!(waves.pin(), plain.pin());
            prop_assert_eq!(waves.state(), plain.state(), "cycle {}", plain.cycle());
        }
        prop_assert_eq!(waves.cycle(), plain.cycle());
    }

    /// A state is found in the first cycle that has it.
    #[test]
    fn states_are_found(shape in shapes(), at in 0u64..300, from in 0u64..100) {
        const END: u64 = 600;
        let circuit = shape.circuit();
        let (mut waves, mut plain) = both(&circuit);
        plain.run(at).unwrap();
        let mark = plain.state();
        let (_, mut plain) = both(&circuit);
        plain.run(from).unwrap();
        let mut is_there = |_: &u64| {
            plain.run(1).unwrap();
            plain.state() == mark
        };
        let expected = (from + 1..=END).find(&mut is_there);
        waves.run(from).unwrap();
        let mut found = None;
        while found.is_none() && waves.cycle() < END {
            let repeated = waves.advance(END - waves.cycle(), Some(&mark), 20).unwrap();
            found = repeated.then_some(waves.cycle());
        }
        prop_assert_eq!(found, expected);
    }

    /// All ways to go through the cycles do the same, whatever goes on outside of a knot.
    #[test]
    fn steps_are_the_same(shape in shapes(), levels in prop::collection::vec(any::<u64>(), 110)) {
        let circuit = shape.circuit();
        let first_table = circuit.first_table();
        let slots = FIRST_FLIP_FLOP..circuit.end();
        let mut waves = Waves::new(usize::from(slots.end));
        for (slot, &level) in slots.clone().zip(&levels) {
            waves[slot] = level;
        }
        let first: Vec<Wave> = levels.iter().map(|level| level >> 17 & 1).collect();
        let edges = Edges { after: vec![0; first.len()], first };
        for ring in rings(&circuit, slots, &[]).iter().filter(|ring| ring[0] < first_table) {
            let after = |run: &mut dyn FnMut(&mut Waves, &mut Edges)| {
                let (mut waves, mut edges) = (waves.clone(), edges.clone());
                run(&mut waves, &mut edges);
                let flip_flops = ring.iter().filter(|&&slot| slot < first_table);
                (flip_flops.map(|&slot| waves[slot]).collect::<Vec<_>>(), edges.after)
            };
            let mut lanes = Lanes::new(&circuit, ring);
            let expected = after(&mut |waves, edges| lanes.run(waves, edges));
            let narrow = Clusters::<1>::new(&circuit, ring);
            let wide = Clusters::<2>::new(&circuit, ring);
            prop_assert!(wide.is_some() || ring.len() > 50);
            if let Some(narrow) = narrow {
                prop_assert_eq!(&after(&mut |waves, edges| narrow.run(waves, edges)), &expected);
            }
            if let Some(wide) = wide {
                prop_assert_eq!(&after(&mut |waves, edges| wide.run(waves, edges)), &expected);
            }
        }
    }

    /// Chains of all kinds of carries, whose sums are turned and come back.
    #[test]
    fn chains_are_added(
        seeds in prop::collection::vec((any::<u16>(), 0usize..3), 2..90), turn in 1u16..90,
    ) {
        // Majority, and, or, select, and two that do not rise with the carry.
        const CARRIES: [u16; 6] = [0xE8E8, 0x8080, 0xFEFE, 0xB8B8, 0x6868, 0x9696];
        let width = seeds.len() as u16;
        let first_table = FIRST_FLIP_FLOP + width;
        let mut lookups = Vec::new();
        let mut carry = HIGH_SLOT;
        for (bit, &(kind, place)) in (0..width).zip(&seeds) {
            let mut inputs = [FIRST_FLIP_FLOP + bit, FIRST_FLIP_FLOP + (bit + turn) % width, carry];
            lookups.push(Lookup { bits: 0x9696, inputs: [inputs[0], inputs[1], carry, LOW_SLOT] });
            inputs.swap(2, place);
            let common = if kind % 16 > 3 { 0 } else { kind >> 4 };
            let bits = CARRIES[usize::from(common % 6)];
            let [a, b, c] = inputs;
            lookups.push(Lookup { bits, inputs: [a, b, c, LOW_SLOT] });
            carry = first_table + 2 * bit + 1;
        }
        let latch = |bit| Latch {
            data: first_table + 2 * ((bit + turn / 2) % width),
            clock: CLOCK_SLOT,
            enable: HIGH_SLOT,
            set_reset: LOW_SLOT,
            falling: false,
            set: false,
            asynchronous: false,
        };
        let latches = (0..width).map(latch).collect();
        let circuit = Circuit::of(first_table + 2 * (width - 1), latches, lookups);
        let (mut waves, mut plain) = both(&circuit);
        for _ in 0..200 {
            prop_assert_eq!(waves.run(1).unwrap(), plain.run(1).unwrap());
            prop_assert_eq!(waves.state(), plain.state());
        }
    }
}

#[test]
fn a_long_chain_is_no_depth() {
    // A counter as wide as the chip is high.
    let width: u16 = 240;
    let first_table = FIRST_FLIP_FLOP + width;
    let lookups: Vec<Lookup> = (0..width)
        .flat_map(|bit| {
            let carry = if bit == 0 { HIGH_SLOT } else { first_table + 2 * bit - 1 };
            let inputs = [FIRST_FLIP_FLOP + bit, carry, LOW_SLOT, LOW_SLOT];
            [0x6666, 0x8888].map(|bits| Lookup { bits, inputs })
        })
        .collect();
    let latch = |bit| Latch {
        data: first_table + 2 * bit,
        clock: CLOCK_SLOT,
        enable: HIGH_SLOT,
        set_reset: LOW_SLOT,
        falling: false,
        set: false,
        asynchronous: false,
    };
    let circuit = Circuit::of(FIRST_FLIP_FLOP + 11, (0..width).map(latch).collect(), lookups);
    let mut simulator = circuit.simulator().unwrap();
    assert_eq!(simulator.run(1 << 20).unwrap(), 1 << (20 - 12));
    assert!(simulator.work() < 1 << 28, "{}", simulator.work());
}
