//! Chips full of random bits: whatever they do, the answer is a count or a refusal.

use crate::files::bundled;
use icefarm_sim::fpga::{Bitstream, CLOCK_HZ, Circuit, Editor, Limits, Tile};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_panics(
        name in prop_oneof![Just("pulses_1000.bin"), Just("ripple.bin"), Just("johnson.bin")],
        // One bit in so many is flipped.
        rarity in prop_oneof![Just(2u64), 10u64..100, 100u64..2000],
        seed in 1u64..,
        pin in prop_oneof![Just("27"), Just("12"), Just("44")],
    ) {
        let mut editor = Editor::new(bundled(name)).unwrap();
        let mut state = seed;
        for (x, y) in (0..26).flat_map(|x| (0..32).map(move |y| (x, y))) {
            for (row, column) in (0..16).flat_map(|row| (0..54).map(move |column| (row, column))) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if (state >> 33) % rarity == 0 {
                    editor.flip(Tile { x, y }, row, column);
                }
            }
        }
        let bitstream = Bitstream::parse(&editor.finish()).unwrap();
        if let Ok(circuit) = Circuit::extract(&bitstream, pin) {
            let _ = circuit.count(CLOCK_HZ, &Limits { work: 2_000_000, cancel: None });
        }
    }
}
