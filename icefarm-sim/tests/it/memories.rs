//! Block RAM. What `cargo xtask random` compares with yosys' model of the cell in bulk is here in
//! single cases.

use crate::builder::{Builder, CLOCK_NET, Cell, PIN_TILE, tile};
use icefarm_sim::fpga::{Circuit, Limits, Refusal, Tile};

/// The two tiles of a block RAM near the pin.
const LOWER: Tile = tile(19, 29);
const UPPER: Tile = tile(19, 30);

const A: Cell = Cell(tile(17, 30), 0);
const B: Cell = Cell(tile(16, 30), 0);
const ONE: Cell = Cell(tile(15, 30), 0);

const SAME: u16 = 0xAAAA;
const NOT: u16 = 0x5555;
const HIGH: u16 = 0xFFFF;

fn out(Cell(_, index): Cell) -> String {
    format!("lutff_{index}/out")
}

/// The memory is read at every rising edge, at an address whose lowest bit is A: 0, 1, 0, 1 ..
fn reading(mut builder: Builder) -> Builder {
    builder.set(tile(19, 27), 8, 7);
    builder.set(LOWER, 1, 7);
    builder.table(ONE, HIGH);
    builder.flip_flop(A, NOT);
    builder.feed(A, A, 0);
    builder.force(LOWER, &format!("glb_netwk_{CLOCK_NET}"), "ram/RCLK");
    builder.route(ONE.0, &out(ONE), LOWER, "ram/RE");
    builder
}

fn with_address() -> Builder {
    let mut builder = reading(Builder::with_clock());
    builder.route(A.0, &out(A), LOWER, "ram/RADDR_0");
    builder
}

/// Shows a bit of what was read.
fn show(builder: &mut Builder, bit: u8) {
    let tile = if bit < 8 { UPPER } else { LOWER };
    builder.route(tile, &format!("ram/RDATA_{bit}"), PIN_TILE, "io_1/D_OUT_0");
}

/// The memory is written at every rising edge, with bit 0 of the address and of the data.
fn writing(builder: &mut Builder, address: Cell, data: Cell) {
    builder.force(UPPER, &format!("glb_netwk_{CLOCK_NET}"), "ram/WCLK");
    builder.route(ONE.0, &out(ONE), UPPER, "ram/WE");
    builder.route(address.0, &out(address), UPPER, "ram/WADDR_0");
    builder.route(data.0, &out(data), UPPER, "ram/WDATA_0");
}

fn levels(builder: Builder) -> Result<[u8; 6], Refusal> {
    let mut simulator = Circuit::extract(&builder.bitstream(), "27")?.simulator()?;
    let mut levels = [0; 6];
    for level in &mut levels {
        simulator.run(1)?;
        *level = u8::from(simulator.pin());
    }
    Ok(levels)
}

fn refusal(builder: Builder) -> Refusal {
    let circuit = Circuit::extract(&builder.bitstream(), "27");
    circuit.and_then(|circuit| circuit.count(1000, &Limits::default())).unwrap_err()
}

#[test]
fn contents_come_from_the_bitstream() {
    for bit in [0, 7, 8, 15] {
        let mut builder = with_address();
        builder.flip_ram(LOWER, 1, bit);
        show(&mut builder, bit);
        assert_eq!(levels(builder).unwrap(), [0, 1, 0, 1, 0, 1], "{bit}");
    }
}

#[test]
fn memories_count() {
    let mut builder = with_address();
    builder.flip_ram(LOWER, 1, 0);
    show(&mut builder, 0);
    let circuit = Circuit::extract(&builder.bitstream(), "27").unwrap();
    assert_eq!((circuit.block_rams(), circuit.flip_flops()), (1, 1));
    let count = circuit.count(1_000_000, &Limits::default()).unwrap();
    assert_eq!((count.pulses, count.uncertainty), (500_000, 0));
    assert!(count.simulated_cycles < 1000, "{count:?}");
}

#[test]
fn reads_at_the_falling_edge() {
    let mut builder = with_address();
    builder.flip_ram(LOWER, 1, 0);
    builder.set(LOWER, 0, 0);
    show(&mut builder, 0);
    assert_eq!(levels(builder).unwrap(), [1, 0, 1, 0, 1, 0]);
}

#[test]
fn narrow_words_are_parts_of_wide_ones() {
    // 2048 words of 2 bits: bits 8 to 10 of the address choose among 8 places.
    let mut builder = reading(Builder::with_clock());
    builder.set(UPPER, 3, 7);
    builder.set(UPPER, 2, 7);
    builder.route(A.0, &out(A), LOWER, "ram/RADDR_8");
    builder.flip_ram(LOWER, 0, 9);
    show(&mut builder, 11);
    assert_eq!(levels(builder).unwrap(), [0, 1, 0, 1, 0, 1]);
}

#[test]
fn what_is_written_is_read_later() {
    // Written is always the word that is not read.
    let mut builder = with_address();
    builder.table(B, NOT);
    builder.feed(A, B, 0);
    writing(&mut builder, B, ONE);
    show(&mut builder, 0);
    assert_eq!(levels(builder).unwrap(), [0, 1, 1, 1, 1, 1]);
}

#[test]
fn a_mask_keeps_bits() {
    let mut builder = with_address();
    builder.table(B, NOT);
    builder.feed(A, B, 0);
    writing(&mut builder, B, ONE);
    builder.route(ONE.0, &out(ONE), UPPER, "ram/MASK_0");
    show(&mut builder, 0);
    assert_eq!(levels(builder).unwrap(), [0; 6]);
}

#[test]
fn a_read_at_the_edge_of_a_write_is_refused() {
    // B changes twice in four cycles, so that the word is changed by what is written.
    let prepare = |data: Cell| {
        let mut builder = with_address();
        builder.flip_flop(B, 0x6666);
        builder.feed(B, B, 0);
        builder.feed(A, B, 1);
        writing(&mut builder, A, data);
        show(&mut builder, 0);
        builder
    };
    let refused = refusal(prepare(B));
    assert_eq!(refused.code(), "memory_collision", "{refused}");
    assert_eq!(refused, Refusal::MemoryCollision { tile: LOWER, cycle: 2 });
    // What does not change a word does not matter: after two cycles all words are 1.
    let mut builder = prepare(ONE);
    builder.flip_ram(LOWER, 0, 0);
    builder.flip_ram(LOWER, 1, 0);
    assert_eq!(levels(builder).unwrap(), [1; 6]);
}

#[test]
fn what_is_kept_of_the_first_microseconds_is_refused() {
    // B counts the ones that were read, for ever.
    let mut builder = with_address();
    builder.flip_ram(LOWER, 1, 0);
    builder.flip_flop(B, 0x6666);
    builder.feed(B, B, 0);
    builder.route(UPPER, "ram/RDATA_0", B.0, "lutff_0/in_1");
    builder.observe(B);
    let refused = refusal(builder);
    assert_eq!(refused.code(), "memory_start", "{refused}");
    // A register that only shows them is no worse than the memory.
    let mut builder = with_address();
    builder.flip_ram(LOWER, 1, 0);
    builder.flip_flop(B, SAME);
    builder.route(UPPER, "ram/RDATA_0", B.0, "lutff_0/in_0");
    builder.observe(B);
    assert_eq!(levels(builder).unwrap(), [0, 0, 1, 0, 1, 0]);
}

#[test]
fn unknown_contents_are_refused() {
    let mut builder = reading(Builder::without_ram_contents());
    builder.route(A.0, &out(A), LOWER, "ram/RADDR_0");
    show(&mut builder, 0);
    assert_eq!(refusal(builder).code(), "block_ram");
}

#[test]
fn joined_memories_are_refused() {
    let mut builder = with_address();
    builder.set(UPPER, 5, 7);
    show(&mut builder, 0);
    assert_eq!(refusal(builder).code(), "block_ram");
}
