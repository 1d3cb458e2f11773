//! The level of the pin over time.

use crate::files::bundled;
use icefarm_sim::fpga::{Bitstream, Circuit, Limits};
use proptest::prelude::*;
use std::sync::atomic::AtomicBool;

fn circuit(name: &str) -> Circuit {
    Circuit::extract(&Bitstream::parse(&bundled(name)).unwrap(), "27").unwrap()
}

/// The same, cycle by cycle.
fn step(circuit: &Circuit, every: u64, count: usize) -> Vec<bool> {
    let mut simulator = circuit.simulator().unwrap();
    let look = |_| {
        for _ in 0..every {
            simulator.run(1).unwrap();
        }
        simulator.pin()
    };
    (0..count).map(look).collect()
}

#[test]
fn ten_thousand_looks_in_a_second() {
    // One cycle in 48,000, the first at the 48,000th edge: every tenth look falls on it.
    let samples = circuit("pulses_1000.bin").sample(4800, 500, &Limits::default()).unwrap();
    let expected: Vec<bool> = (1..=500).map(|look| look % 10 == 0).collect();
    assert_eq!(samples.levels, expected);
    assert_eq!(samples.period.unwrap().cycles, 48_000);
    assert!(samples.simulated_cycles < 250_000, "{}", samples.simulated_cycles);
}

#[test]
fn looks_far_apart_cost_no_more_than_a_period() {
    let samples = circuit("lfsr.bin").sample(1 << 40, 1000, &Limits::default()).unwrap();
    assert_eq!(samples.levels.len(), 1000);
    assert!(samples.levels.contains(&true) && samples.levels.contains(&false));
    assert!(samples.simulated_cycles < 300_000, "{}", samples.simulated_cycles);
}

#[test]
fn limits_hold_for_looks_too() {
    let long = circuit("long_period.bin");
    let limits = Limits { work: 1_000_000, cancel: None };
    let refusal = long.sample(48_000, 1000, &limits).unwrap_err();
    assert_eq!(refusal.code(), "too_long");
    let cancel = AtomicBool::new(true);
    let limits = Limits { cancel: Some(&cancel), ..Limits::default() };
    assert_eq!(long.sample(48_000, 1000, &limits).unwrap_err().code(), "cancelled");
    assert!(long.sample(48_000, 0, &limits).unwrap().levels.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn sampling_is_stepping(
        name in prop_oneof![
            Just("johnson.bin"), Just("ripple.bin"), Just("pulses_12345.bin"), Just("lfsr.bin"),
            Just("long_period.bin"),
        ],
        every in prop_oneof![0u64..4, 0u64..2000],
        count in 0usize..200,
    ) {
        let circuit = circuit(name);
        let samples = circuit.sample(every, count, &Limits::default()).unwrap();
        prop_assert_eq!(samples.levels, step(&circuit, every, count));
    }
}
