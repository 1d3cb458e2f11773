//! Registers that take what another clock changes at the same moment.

use crate::builder::{Builder, CLOCK_TILE, Cell, tile};
use icefarm_sim::fpga::{Circuit, Limits, Refusal};

const A: Cell = Cell(tile(17, 30), 0);
const B: Cell = Cell(tile(16, 30), 0);
const C: Cell = Cell(tile(15, 30), 0);
const D: Cell = Cell(tile(14, 30), 0);

const SAME: u16 = 0xAAAA;
const NOT: u16 = 0x5555;
const AND: u16 = 0x8888;

fn count(builder: Builder) -> Result<u64, Refusal> {
    let circuit = Circuit::extract(&builder.bitstream(), "27")?;
    Ok(circuit.count(1000, &Limits::default())?.pulses)
}

fn out(Cell(_, index): Cell) -> String {
    format!("lutff_{index}/out")
}

fn toggle(builder: &mut Builder, cell: Cell) {
    builder.flip_flop(cell, NOT);
    builder.feed(cell, cell, 0);
}

fn clocked_by(builder: &mut Builder, cell: Cell, clock: Cell) {
    builder.route(clock.0, &out(clock), cell.0, "lutff_global/clk");
}

/// B divides the clock by two. A takes, at each rise of B, what D is; D is on the clock itself.
fn divided(falling: bool) -> Builder {
    let mut builder = Builder::with_clock();
    toggle(&mut builder, B);
    builder.flip_flop(C, NOT);
    builder.feed(C, C, 0);
    // D follows C, which changes in every cycle.
    if falling {
        builder.set(D.0, 0, 0);
    }
    builder.flip_flop(D, SAME);
    builder.feed(C, D, 0);
    clocked_by(&mut builder, A, B);
    builder.flip_flop(A, SAME);
    builder.feed(D, A, 0);
    builder.observe(A);
    builder
}

#[test]
fn data_that_change_with_a_derived_clock_are_a_race() {
    let refused = count(divided(false)).unwrap_err();
    assert_eq!(refused.code(), "race", "{refused}");
}

#[test]
fn data_that_rest_are_none() {
    // D changes half a cycle before B rises: it is 0 whenever that happens.
    assert_eq!(count(divided(true)), Ok(0));
}

#[test]
fn a_gate_that_moves_with_the_clock_is_a_race() {
    // A is clocked by the clock AND B, and takes C, which changes with the clock.
    let mut builder = Builder::with_clock();
    builder.set(B.0, 0, 0);
    toggle(&mut builder, B);
    toggle(&mut builder, C);
    builder.table(D, AND);
    builder.feed(B, D, 0);
    builder.route(CLOCK_TILE, "io_1/D_IN_0", D.0, "lutff_0/in_1");
    clocked_by(&mut builder, A, D);
    builder.flip_flop(A, SAME);
    builder.feed(C, A, 0);
    builder.observe(A);
    let refused = count(builder).unwrap_err();
    assert_eq!(refused.code(), "race", "{refused}");
}

#[test]
fn a_register_that_takes_its_own_clock_is_a_race() {
    let mut builder = Builder::with_clock();
    builder.flip_flop(A, 0x6666);
    builder.feed(A, A, 0);
    builder.route(CLOCK_TILE, "io_1/D_IN_0", A.0, "lutff_0/in_1");
    builder.observe(A);
    let refused = count(builder).unwrap_err();
    assert_eq!(refused.code(), "race", "{refused}");
}

#[test]
fn a_chain_of_derived_clocks_is_none() {
    let mut builder = Builder::with_clock();
    toggle(&mut builder, A);
    for (clock, cell) in [(A, B), (B, C), (C, D)] {
        clocked_by(&mut builder, cell, clock);
        toggle(&mut builder, cell);
    }
    builder.observe(D);
    // Each rises with the rise of the one before: 500, 250, 125, 63 (the first at the first edge).
    assert_eq!(count(builder), Ok(63));
}

#[test]
fn data_that_change_after_more_edges_are_a_race() {
    // B and C divide the clock; D divides C, and what A takes at the rise of B divides D. That is
    // slower than B in logic steps, but who knows in nanoseconds?
    let last = Cell(tile(18, 30), 0);
    let mut builder = Builder::with_clock();
    toggle(&mut builder, B);
    toggle(&mut builder, C);
    for (clock, cell) in [(C, D), (D, last)] {
        clocked_by(&mut builder, cell, clock);
        toggle(&mut builder, cell);
    }
    clocked_by(&mut builder, A, B);
    builder.flip_flop(A, SAME);
    builder.feed(last, A, 0);
    builder.observe(A);
    let refused = count(builder).unwrap_err();
    assert_eq!(refused, Refusal::Race { cycle: 0 });
}

#[test]
fn data_that_change_because_of_the_clock_are_no_race() {
    // Both A and D have B for their clock; what A takes divides D, and so comes after.
    let last = Cell(tile(18, 30), 0);
    let mut builder = Builder::with_clock();
    toggle(&mut builder, B);
    for (clock, cell) in [(B, D), (D, last)] {
        clocked_by(&mut builder, cell, clock);
        toggle(&mut builder, cell);
    }
    clocked_by(&mut builder, A, B);
    builder.flip_flop(A, SAME);
    builder.feed(last, A, 0);
    builder.observe(A);
    assert_eq!(count(builder), Ok(125));
}
