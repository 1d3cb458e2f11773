//! Flip-flops in all their modes, and clocks that are not the board's.

use crate::builder::{Builder, CLOCK_TILE, Cell, tile};
use crate::files::bundled;
use icefarm_sim::fpga::{Bitstream, Circuit, Limits, Refusal};
use proptest::prelude::*;

const A: Cell = Cell(tile(17, 30), 0);
const B: Cell = Cell(tile(16, 30), 0);
const C: Cell = Cell(tile(15, 30), 0);
const D: Cell = Cell(tile(14, 30), 0);

/// Truth tables of input 0, or of inputs 0 and 1.
const SAME: u16 = 0xAAAA;
const NOT: u16 = 0x5555;
const AND: u16 = 0x8888;
const XOR: u16 = 0x6666;

/// The bits of a cell that choose set, and set or reset without the clock.
const SET: u8 = 18;
const ASYNCHRONOUS: u8 = 19;

fn count(builder: Builder) -> Result<u64, Refusal> {
    let circuit = Circuit::extract(&builder.bitstream(), "27")?;
    Ok(circuit.count(1000, &Limits::default())?.pulses)
}

/// 1, 0, 1, 0 .. from the first edge on.
fn toggle(builder: &mut Builder, cell: Cell) {
    builder.flip_flop(cell, NOT);
    builder.feed(cell, cell, 0);
}

/// A flip-flop that toggles at the edges of what a cell gives.
fn toggle_by(builder: &mut Builder, cell: Cell, clock: Cell) {
    builder.route(clock.0, &out(clock), cell.0, "lutff_global/clk");
    toggle(builder, cell);
}

fn out(Cell(_, index): Cell) -> String {
    format!("lutff_{index}/out")
}

fn clock_to(builder: &mut Builder, Cell(tile, index): Cell, input: u8) {
    builder.route(CLOCK_TILE, "io_1/D_IN_0", tile, &format!("lutff_{index}/in_{input}"));
}

/// The bit that makes all flip-flops of a cell's tile act at the falling edge.
fn falling(builder: &mut Builder, cell: Cell) {
    builder.set(cell.0, 0, 0);
}

#[test]
fn clock_enable() {
    let mut builder = Builder::with_clock();
    toggle(&mut builder, A);
    toggle(&mut builder, B);
    builder.route(B.0, &out(B), A.0, "lutff_global/cen");
    builder.observe(A);
    assert_eq!(count(builder), Ok(250));
}

#[test]
fn synchronous_set_and_reset() {
    // A takes 1 while B is 0, and what set/reset gives while B is 1.
    let prepare = |set: bool| {
        let mut builder = Builder::with_clock();
        toggle(&mut builder, B);
        builder.flip_flop(A, if set { 0x0000 } else { 0xFFFF });
        builder.route(B.0, &out(B), A.0, "lutff_global/s_r");
        if set {
            builder.cell_bit(A, SET);
        }
        builder.observe(A);
        builder
    };
    assert_eq!(count(prepare(false)), Ok(500));
    assert_eq!(count(prepare(true)), Ok(500));
}

#[test]
fn synchronous_reset_needs_the_enable() {
    let prepare = |enable: bool| {
        let mut builder = Builder::with_clock();
        toggle(&mut builder, B);
        builder.flip_flop(A, 0xFFFF);
        builder.route(B.0, &out(B), A.0, "lutff_global/s_r");
        // C is 1 while B is 0.
        builder.table(C, NOT);
        builder.feed(B, C, 0);
        if enable {
            builder.route(C.0, &out(C), A.0, "lutff_global/cen");
        }
        builder.observe(A);
        builder
    };
    assert_eq!(count(prepare(false)), Ok(500));
    // Once A is 1, the reset never meets the enable.
    assert_eq!(count(prepare(true)), Ok(1));
}

#[test]
fn falling_edges_alone_are_one_clock_too() {
    let mut builder = Builder::with_clock();
    falling(&mut builder, A);
    toggle(&mut builder, A);
    builder.observe(A);
    assert_eq!(count(builder), Ok(500));
}

#[test]
fn both_edges() {
    // B follows A half a cycle later; where they differ there is a pulse of half a cycle.
    let prepare = |cell: Cell| {
        let mut builder = Builder::with_clock();
        toggle(&mut builder, A);
        falling(&mut builder, B);
        builder.flip_flop(B, SAME);
        builder.feed(A, B, 0);
        builder.table(C, XOR);
        builder.feed(A, C, 0);
        builder.feed(B, C, 1);
        builder.observe(cell);
        builder
    };
    assert_eq!(count(prepare(B)), Ok(500));
    assert_eq!(count(prepare(C)), Err(Refusal::TooFast { cycle: 1, half_cycles: 2 }));
}

#[test]
fn an_inverted_clock() {
    let mut builder = Builder::with_clock();
    builder.table(C, NOT);
    clock_to(&mut builder, C, 0);
    toggle_by(&mut builder, A, C);
    builder.observe(A);
    assert_eq!(count(builder), Ok(500));
}

#[test]
fn a_derived_clock() {
    for on_falling in [false, true] {
        let mut builder = Builder::with_clock();
        toggle(&mut builder, B);
        if on_falling {
            falling(&mut builder, A);
        }
        toggle_by(&mut builder, A, B);
        builder.observe(A);
        assert_eq!(count(builder), Ok(250));
    }
}

#[test]
fn a_gated_clock() {
    // The gate changes at the falling edge, while the clock is low.
    let mut builder = Builder::with_clock();
    falling(&mut builder, B);
    toggle(&mut builder, B);
    builder.table(C, AND);
    builder.feed(B, C, 0);
    clock_to(&mut builder, C, 1);
    toggle_by(&mut builder, A, C);
    builder.observe(A);
    assert_eq!(count(builder), Ok(250));
}

#[test]
fn a_shift_register_shifts_by_one() {
    // A ring of four with one inversion: a period of eight cycles.
    let mut builder = Builder::with_clock();
    let ring = [A, B, C, D];
    for (index, &cell) in ring.iter().enumerate() {
        builder.flip_flop(cell, if index == 0 { NOT } else { SAME });
        builder.feed(ring[(index + 3) % 4], cell, 0);
    }
    // High during the first half of one cycle in eight.
    let gate = Cell(tile(18, 30), 0);
    builder.table(gate, 0x2020);
    builder.feed(A, gate, 0);
    builder.feed(B, gate, 1);
    clock_to(&mut builder, gate, 2);
    builder.observe(gate);
    assert_eq!(count(builder), Ok(125));
}

#[test]
fn asynchronous_reset_acts_at_once() {
    // B is 1 in the first half of every second cycle only: it resets itself at the falling edge,
    // by way of C, which takes 1 there.
    let mut builder = Builder::with_clock();
    toggle(&mut builder, D);
    builder.flip_flop(B, SAME);
    builder.feed(D, B, 0);
    builder.cell_bit(B, ASYNCHRONOUS);
    falling(&mut builder, C);
    builder.flip_flop(C, SAME);
    builder.feed(B, C, 0);
    builder.route(C.0, &out(C), B.0, "lutff_global/s_r");
    builder.observe(B);
    assert_eq!(count(builder), Ok(500));
}

#[test]
fn asynchronous_set_holds_from_the_start() {
    let mut builder = Builder::with_clock();
    // A is set while B is 0, so it falls for the first time at the second edge.
    toggle(&mut builder, B);
    builder.flip_flop(A, 0x0000);
    builder.cell_bit(A, SET);
    builder.cell_bit(A, ASYNCHRONOUS);
    builder.table(C, NOT);
    builder.feed(B, C, 0);
    builder.route(C.0, &out(C), A.0, "lutff_global/s_r");
    builder.observe(A);
    let circuit = Circuit::extract(&builder.bitstream(), "27").unwrap();
    let mut simulator = circuit.simulator().unwrap();
    assert!(simulator.pin(), "set before the first edge");
    let levels: Vec<bool> = (0..6)
        .map(|_| {
            simulator.run(1).unwrap();
            simulator.pin()
        })
        .collect();
    // At the first edge A is still being set; B, now 1, lets go of it, and the second edge takes
    // the 0 while B falls and sets it again.
    assert_eq!(levels, [true; 6]);
    assert_eq!(simulator.pulses(), 0);
}

#[test]
fn what_never_rests_is_refused() {
    // Once B is 1, A is set, which is the edge at which it takes a 0, which sets it ..
    let mut builder = Builder::with_clock();
    toggle(&mut builder, B);
    builder.table(C, 0x2222);
    builder.feed(B, C, 0);
    builder.feed(A, C, 1);
    builder.route(A.0, &out(A), A.0, "lutff_global/clk");
    builder.cell_bit(A, 9);
    builder.cell_bit(A, SET);
    builder.cell_bit(A, ASYNCHRONOUS);
    builder.route(C.0, &out(C), A.0, "lutff_global/s_r");
    builder.observe(A);
    assert_eq!(count(builder), Err(Refusal::Unstable { cycle: 0 }));
}

#[test]
fn a_flip_flop_without_a_clock_is_still() {
    let mut builder = Builder::with_clock();
    builder.table(A, NOT);
    builder.cell_bit(A, 9);
    builder.feed(A, A, 0);
    builder.observe(A);
    assert_eq!(count(builder), Ok(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// What the period says is what happens.
    #[test]
    fn counting_is_simulating(
        name in prop_oneof![
            Just("johnson.bin"), Just("ripple.bin"), Just("pulses_12345.bin"), Just("lfsr.bin")
        ],
        cycles in 0u64..200_000,
    ) {
        let circuit = Circuit::extract(&Bitstream::parse(&bundled(name)).unwrap(), "27").unwrap();
        let counted = circuit.count(cycles, &Limits::default()).unwrap();
        let mut simulator = circuit.simulator().unwrap();
        prop_assert_eq!(counted.pulses, simulator.run(cycles).unwrap());
        prop_assert!(counted.simulated_cycles <= cycles);
    }
}
