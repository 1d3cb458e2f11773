//! Circuits that run on the PLL.

use crate::builder::{Builder, CLOCK_TILE, Cell, tile};
use icefarm_sim::fpga::{Chip, Circuit, Limits, Refusal};

const A: Cell = Cell(tile(17, 30), 0);
const ONE: Cell = Cell(tile(15, 30), 0);

const NOT: u16 = 0x5555;

fn parameter(builder: &mut Builder, name: &str, bits: u8, value: u8) {
    for bit in (0..bits).filter(|bit| value >> bit & 1 != 0) {
        let (tile, row, column) = Chip::up5k().pll_bit(&format!("{name}_{bit}")).unwrap();
        builder.set(tile, row, column);
    }
}

/// Pin 35 goes to the PLL, whose output A takes its place; A toggles. The oscillator runs at 48 MHz
/// times `factor`, and the clock is that divided by the `divide`-th power of 2.
fn toggle(factor: u8, divide: u8) -> Builder {
    let mut builder = Builder::with_clock();
    parameter(&mut builder, "PLLTYPE", 3, 0b010);
    parameter(&mut builder, "FEEDBACK_PATH", 3, 1);
    parameter(&mut builder, "DIVF", 7, factor - 1);
    parameter(&mut builder, "DIVQ", 3, divide);
    builder.flip_flop(A, NOT);
    builder.feed(A, A, 0);
    builder.observe(A);
    builder
}

/// Lets the PLL out of reset.
fn running(mut builder: Builder) -> Builder {
    builder.table(ONE, 0xFFFF);
    builder.route(ONE.0, "lutff_0/out", tile(16, 31), "fabout");
    builder
}

fn circuit(builder: Builder) -> Result<Circuit, Refusal> {
    Circuit::extract(&builder.bitstream(), "27")
}

fn refusal(builder: Builder) -> Refusal {
    let counted = circuit(builder).and_then(|circuit| circuit.count(1000, &Limits::default()));
    counted.unwrap_err()
}

#[test]
fn the_ratio_is_exact() {
    // 960 MHz / 32 = 30 MHz: 30,000 ticks in a millisecond.
    let count = circuit(running(toggle(20, 5))).unwrap().count(48_000, &Limits::default()).unwrap();
    assert_eq!((count.pulses, count.cycles, count.uncertainty), (15_000, 48_000, 1));
    // Half of that.
    let mut builder = running(toggle(20, 5));
    parameter(&mut builder, "PLLOUT_SELECT_A", 2, 1);
    let count = circuit(builder).unwrap().count(48_000, &Limits::default()).unwrap();
    assert_eq!((count.pulses, count.uncertainty), (7500, 1));
}

#[test]
fn what_happens_once_is_uncertain() {
    // A becomes 1 with the first tick, which may be over when the window begins.
    let mut builder = running(toggle(20, 5));
    builder.table(A, 0xFFFF ^ NOT);
    let count = circuit(builder).unwrap().count(48_000, &Limits::default()).unwrap();
    assert_eq!((count.pulses, count.uncertainty), (1, 1));
}

#[test]
fn a_fast_clock_can_be_too_fast() {
    // 60 MHz give 30 million pulses in a second.
    let refused = refusal(running(toggle(20, 4)));
    assert_eq!(refused.code(), "too_fast", "{refused}");
}

#[test]
fn what_may_not_lock_is_refused() {
    for builder in [
        // In reset, out of range twice, and another feedback path.
        toggle(20, 5),
        running(toggle(11, 5)),
        running(toggle(23, 5)),
        {
            let mut builder = running(toggle(20, 5));
            let (tile, row, column) = Chip::up5k().pll_bit("FEEDBACK_PATH_1").unwrap();
            builder.set(tile, row, column);
            builder
        },
    ] {
        assert_eq!(refusal(builder).code(), "pll");
    }
}

#[test]
fn a_reference_from_elsewhere_is_refused() {
    let mut builder = running(toggle(20, 5));
    // The kind with a reference from the fabric, which brings none.
    let (tile, row, column) = Chip::up5k().pll_bit("PLLTYPE_0").unwrap();
    builder.set(tile, row, column);
    assert_eq!(refusal(builder).code(), "pll");
}

#[test]
fn moments_are_not_known() {
    let circuit = circuit(running(toggle(20, 5))).unwrap();
    let refused = circuit.sample(4800, 10, &Limits::default()).unwrap_err();
    assert_eq!(refused.code(), "pll_phase", "{refused}");
}

#[test]
fn without_an_enabled_pad_there_is_no_reference() {
    let mut builder = running(toggle(20, 5));
    builder.clear(CLOCK_TILE, 9, 3);
    assert_eq!(refusal(builder).code(), "pll");
}
