//! Registered, tri-state and double data rate pads.
//!
//! The behaviour that is expected here is that of the cell `SB_IO` in Lattice's iCE Technology
//! Library and of yosys' simulation model of it.

use crate::builder::{Builder, CLOCK_NET, CLOCK_TILE, Cell, PIN_TILE, tile};
use icefarm_sim::fpga::{Circuit, Limits, Refusal, Tile};

const A: Cell = Cell(tile(17, 30), 0);
const B: Cell = Cell(tile(16, 30), 0);
const C: Cell = Cell(tile(15, 30), 0);

/// Truth tables of input 0.
const SAME: u16 = 0xAAAA;
const NOT: u16 = 0x5555;
const ONE: u16 = 0xFFFF;

/// Output modes: PINTYPE 5 to 2.
const DOUBLE: u8 = 0b0100;
const REGISTERED: u8 = 0b0101;
const INVERTED: u8 = 0b0111;
const TRI_STATE: u8 = 0b1010;
const TRI_STATE_REGISTERED: u8 = 0b1101;

/// Another pad, that of pin 31.
const OTHER: Tile = tile(16, 31);

fn out(Cell(_, index): Cell) -> String {
    format!("lutff_{index}/out")
}

/// A builder whose observed pin has this mode.
fn with_mode(mode: u8) -> Builder {
    let mut builder = Builder::with_clock();
    builder.clear(PIN_TILE, 10, 16);
    builder.clear(PIN_TILE, 14, 16);
    builder.output(PIN_TILE, 1, mode);
    builder
}

fn clock_to_pad(builder: &mut Builder, tile: Tile, wire: &str) {
    builder.force(tile, &format!("glb_netwk_{CLOCK_NET}"), &format!("io_global/{wire}"));
}

fn falling(builder: &mut Builder, tile: Tile) {
    builder.set(tile, 9, 13);
    builder.set(tile, 15, 13);
}

/// 1, 0, 1, 0 .. from the first edge on.
fn toggle(builder: &mut Builder, cell: Cell) {
    builder.flip_flop(cell, NOT);
    builder.feed(cell, cell, 0);
}

fn to_pad(builder: &mut Builder, cell: Cell, tile: Tile, wire: &str) {
    builder.route(cell.0, &out(cell), tile, wire);
}

/// The level of the pin at the end of each of the first cycles.
fn levels(builder: Builder, cycles: usize) -> Result<Vec<u8>, Refusal> {
    let mut simulator = Circuit::extract(&builder.bitstream(), "27")?.simulator()?;
    (0..cycles)
        .map(|_| {
            simulator.run(1)?;
            Ok(u8::from(simulator.pin()))
        })
        .collect()
}

fn pulses(builder: Builder) -> Result<u64, Refusal> {
    let circuit = Circuit::extract(&builder.bitstream(), "27")?;
    Ok(circuit.count(1000, &Limits::default())?.pulses)
}

#[test]
fn a_register_is_a_cycle_late() {
    for (mode, expected) in [(REGISTERED, [0, 1, 0, 1, 0, 1]), (INVERTED, [1, 0, 1, 0, 1, 0])] {
        let mut builder = with_mode(mode);
        toggle(&mut builder, A);
        to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_0");
        clock_to_pad(&mut builder, PIN_TILE, "outclk");
        assert_eq!(levels(builder, 6).unwrap(), expected, "{mode:04b}");
    }
}

#[test]
fn a_register_without_a_clock_is_still() {
    let mut builder = with_mode(REGISTERED);
    toggle(&mut builder, A);
    to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_0");
    assert_eq!(pulses(builder), Ok(0));
}

#[test]
fn a_register_at_the_falling_edge_is_half_a_cycle_late() {
    let mut builder = with_mode(REGISTERED);
    toggle(&mut builder, A);
    to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_0");
    clock_to_pad(&mut builder, PIN_TILE, "outclk");
    falling(&mut builder, PIN_TILE);
    assert_eq!(levels(builder, 6).unwrap(), [1, 0, 1, 0, 1, 0]);
}

#[test]
fn one_inverted_clock_of_two_is_refused() {
    let mut builder = with_mode(REGISTERED);
    toggle(&mut builder, A);
    to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_0");
    clock_to_pad(&mut builder, PIN_TILE, "outclk");
    builder.set(PIN_TILE, 15, 13);
    let refusal = pulses(builder).unwrap_err();
    assert_eq!(refusal.code(), "output_mode", "{refusal}");
}

#[test]
fn a_clock_enable_holds_a_register() {
    // B is 1 in every second cycle, A in two of four: the register takes A where B is 1.
    let mut builder = with_mode(REGISTERED);
    toggle(&mut builder, B);
    builder.route(B.0, &out(B), A.0, "lutff_global/cen");
    toggle(&mut builder, A);
    to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_0");
    to_pad(&mut builder, B, PIN_TILE, "io_global/cen");
    clock_to_pad(&mut builder, PIN_TILE, "outclk");
    // B: 1 0 1 0 1 0 1 0; A: 0 1 1 0 0 1 1 0; taken at the edges that see B = 1.
    assert_eq!(levels(builder, 8).unwrap(), [0, 0, 0, 1, 1, 0, 0, 1]);
}

#[test]
fn double_data_rate_shows_both_edges() {
    // High while the clock is high, and low at the end of every cycle: as fast as the clock.
    let mut builder = with_mode(DOUBLE);
    builder.table(A, ONE);
    to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_0");
    clock_to_pad(&mut builder, PIN_TILE, "outclk");
    assert_eq!(pulses(builder), Err(Refusal::TooFast { cycle: 1, half_cycles: 2 }));
    // The first half of a cycle shows what A was before, the second what B is.
    let mut builder = with_mode(DOUBLE);
    toggle(&mut builder, A);
    toggle(&mut builder, B);
    to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_0");
    to_pad(&mut builder, B, PIN_TILE, "io_1/D_OUT_1");
    clock_to_pad(&mut builder, PIN_TILE, "outclk");
    assert_eq!(levels(builder, 6).unwrap(), [1, 0, 1, 0, 1, 0]);
    // Only in the first half of every second cycle.
    let mut builder = with_mode(DOUBLE);
    toggle(&mut builder, A);
    to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_0");
    clock_to_pad(&mut builder, PIN_TILE, "outclk");
    assert_eq!(pulses(builder), Ok(500));
}

#[test]
fn the_enable_of_the_second_edge_is_taken_at_the_first() {
    // The enable is 1 from a falling edge to the next one, so a rising edge lies in between. The
    // second register must take its data at the falling edge at the end, where the enable is
    // changing, and not at the one before it.
    let mut builder = with_mode(DOUBLE);
    builder.set(B.0, 0, 0);
    toggle(&mut builder, B);
    toggle(&mut builder, A);
    to_pad(&mut builder, B, PIN_TILE, "io_global/cen");
    to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_1");
    clock_to_pad(&mut builder, PIN_TILE, "outclk");
    // Falling edges: B becomes 1, 0, 1, 0; rising edges see 0, 1, 0, 1. A is 1, 0, 1, 0 at the
    // falling edges, the second register is enabled at the second and the fourth: always 0.
    assert_eq!(levels(builder, 8).unwrap(), [0; 8]);
}

#[test]
fn a_pin_that_is_let_go_is_refused() {
    // Driven always, never, or every second cycle.
    let prepare = |bits: Option<u16>| {
        let mut builder = with_mode(TRI_STATE);
        toggle(&mut builder, A);
        to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_0");
        match bits {
            Some(bits) => builder.table(B, bits),
            None => toggle(&mut builder, B),
        }
        to_pad(&mut builder, B, PIN_TILE, "io_1/OUT_ENB");
        builder
    };
    assert_eq!(pulses(prepare(Some(ONE))), Ok(500));
    assert_eq!(pulses(prepare(Some(0))), Ok(0));
    assert_eq!(pulses(prepare(None)), Err(Refusal::Floating { cycle: 1 }));
}

#[test]
fn a_pin_can_be_driven_from_some_moment_on() {
    // B is 0 until the third edge and then 1 for ever; the first level that A drives is no pulse.
    let mut builder = with_mode(TRI_STATE_REGISTERED);
    toggle(&mut builder, A);
    builder.flip_flop(B, ONE);
    to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_0");
    to_pad(&mut builder, B, PIN_TILE, "io_1/OUT_ENB");
    clock_to_pad(&mut builder, PIN_TILE, "outclk");
    let circuit = Circuit::extract(&builder.bitstream(), "27").unwrap();
    let mut simulator = circuit.simulator().unwrap();
    let pulses: Vec<u64> = (0..5).map(|_| simulator.run(1).unwrap()).collect();
    // The register of the output is 0, 1, 0, 1, 0; it is shown from the second edge on.
    assert_eq!(pulses, [0, 0, 0, 1, 0]);
}

#[test]
fn an_enable_that_nobody_drives_is_refused() {
    let mut builder = with_mode(TRI_STATE);
    toggle(&mut builder, A);
    to_pad(&mut builder, A, PIN_TILE, "io_1/D_OUT_0");
    let refusal = pulses(builder).unwrap_err();
    assert_eq!(refusal.code(), "output_mode", "{refusal}");
}

/// Reads back another pad that A drives, by way of C.
fn read_back(input: u8, output: u8, wire: &str) -> Builder {
    let mut builder = Builder::with_clock();
    builder.input(OTHER, 1, input);
    builder.output(OTHER, 1, output);
    builder.set(OTHER, 9, 3);
    toggle(&mut builder, B);
    to_pad(&mut builder, B, OTHER, "io_1/D_OUT_0");
    builder.table(C, SAME);
    builder.route(OTHER, wire, C.0, "lutff_0/in_0");
    builder.observe(C);
    builder
}

#[test]
fn registered_inputs() {
    let mut builder = read_back(0b00, 0b0110, "io_1/D_IN_0");
    clock_to_pad(&mut builder, OTHER, "inclk");
    assert_eq!(levels(builder, 6).unwrap(), [0, 1, 0, 1, 0, 1]);
    // The second input takes what is there at the falling edge.
    let mut builder = read_back(0b01, 0b0110, "io_1/D_IN_1");
    clock_to_pad(&mut builder, OTHER, "inclk");
    assert_eq!(levels(builder, 6).unwrap(), [1, 0, 1, 0, 1, 0]);
}

#[test]
fn latches_are_exact_while_they_are_open() {
    assert_eq!(pulses(read_back(0b11, 0b0110, "io_1/D_IN_0")), Ok(500));
    // The latches of the upper side are closed by `fabout` of tile (14, 31).
    let mut builder = read_back(0b11, 0b0110, "io_1/D_IN_0");
    builder.route(B.0, &out(B), tile(14, 31), "fabout");
    let refusal = pulses(builder).unwrap_err();
    assert_eq!(refusal.code(), "registered_input", "{refusal}");
}

#[test]
fn a_pad_that_feeds_itself_is_a_loop() {
    let mut builder = Builder::with_clock();
    builder.input(OTHER, 1, 0b01);
    builder.output(OTHER, 1, 0b0110);
    builder.set(OTHER, 9, 3);
    builder.table(C, NOT);
    builder.route(OTHER, "io_1/D_IN_0", C.0, "lutff_0/in_0");
    to_pad(&mut builder, C, OTHER, "io_1/D_OUT_0");
    builder.observe(C);
    let refusal = pulses(builder).unwrap_err();
    assert_eq!(refusal.code(), "combinational_loop", "{refusal}");
}

#[test]
fn the_clock_cannot_be_sampled_by_its_own_pad() {
    let mut builder = Builder::with_clock();
    builder.table(C, SAME);
    builder.route(CLOCK_TILE, "io_1/D_IN_1", C.0, "lutff_0/in_0");
    clock_to_pad(&mut builder, CLOCK_TILE, "inclk");
    builder.observe(C);
    let refusal = pulses(builder).unwrap_err();
    assert_eq!(refusal.code(), "registered_input", "{refusal}");
}
