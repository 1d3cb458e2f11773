//! Every reason to refuse a circuit: it counts if it reaches the pin, and not otherwise.

use crate::builder::{Builder, CLOCK_TILE, Cell, PIN_TILE, tile};
use icefarm_sim::fpga::{Chip, Circuit, Limits, Net, Refusal, Switch, Tile};

/// Near the pin, so that routes are short.
const HERE: Cell = Cell(tile(17, 30), 0);
const NEXT: Cell = Cell(tile(17, 30), 1);

/// Truth tables of inputs 0 and 1.
const SAME: u16 = 0xAAAA;
const NOT: u16 = 0x5555;
const AND: u16 = 0x8888;

fn extract(builder: Builder) -> Result<Circuit, Refusal> {
    Circuit::extract(&builder.bitstream(), "27")
}

fn refusal(builder: Builder) -> Refusal {
    extract(builder).unwrap_err()
}

fn pulses(builder: Builder) -> u64 {
    extract(builder).unwrap().count(1000, &Limits::default()).unwrap().pulses
}

/// Half of the cycles.
fn toggle(builder: &mut Builder, cell: Cell) {
    builder.flip_flop(cell, NOT);
    builder.feed(cell, cell, 0);
}

/// Observes the AND of a wire and a flip-flop that toggles, or of the wire and a constant 0. The
/// gate is beside the pin or, if there is no other way to the wire, in its tile.
fn observe_with(mut builder: Builder, from: Tile, wire: &str, open: bool) -> Builder {
    let gate = if wire.starts_with("neigh_op") { Cell(from, 0) } else { HERE };
    builder.table(gate, AND);
    builder.route(from, wire, gate.0, "lutff_0/in_0");
    if open {
        toggle(&mut builder, NEXT);
        builder.feed(NEXT, gate, 1);
    }
    builder.observe(gate);
    builder
}

/// The wire refuses with a code, but not if a closed gate keeps it from the pin.
fn wire_is_refused(prepare: impl Fn() -> Builder, x: u8, y: u8, wire: &str, code: &str) {
    let open = refusal(observe_with(prepare(), tile(x, y), wire, true));
    assert_eq!(open.code(), code, "{open}");
    assert_eq!(pulses(observe_with(prepare(), tile(x, y), wire, false)), 0, "{wire}");
}

#[test]
fn a_toggle_on_the_pin() {
    let mut builder = Builder::with_clock();
    toggle(&mut builder, HERE);
    builder.observe(HERE);
    assert_eq!(pulses(builder), 500);
}

#[test]
fn a_pin_that_nothing_drives_is_still() {
    assert_eq!(pulses(Builder::new()), 0);
}

#[test]
fn hard_blocks() {
    for (x, y, wire, code) in [
        // It is not switched on.
        (6, 2, "ram/RDATA_3", "block_ram"),
        (0, 1, "slf_op_3", "spram"),
        (25, 3, "slf_op_3", "spram"),
        (0, 5, "mult/O_3", "dsp"),
        (0, 9, "slf_op_0", "dsp"),
        (0, 28, "slf_op_7", "oscillator"),
        (25, 29, "slf_op_0", "oscillator"),
        (0, 20, "slf_op_1", "hard_block"),
        (0, 30, "slf_op_1", "hard_block"),
        (0, 28, "slf_op_4", "hard_block"),
        (1, 30, "neigh_op_tnl_1", "pll"),
        (1, 5, "neigh_op_lft_3", "dsp"),
        (1, 20, "neigh_op_lft_3", "hard_block"),
    ] {
        wire_is_refused(Builder::with_clock, x, y, wire, code);
    }
}

#[test]
fn oscillators_on_global_nets() {
    // Bank 1, row 174, columns 690 and 691 select them.
    for (net, column) in [(4, 690), (5, 691)] {
        let mut builder = Builder::with_clock();
        builder.flip_flop(Cell(HERE.0, 5), NOT);
        builder.flip_cram(1, 174, column);
        builder.force(tile(16, 30), &format!("glb_netwk_{net}"), "lutff_global/clk");
        let slow = Cell(tile(16, 30), 0);
        toggle(&mut builder, slow);
        builder.observe(slow);
        assert_eq!(refusal(builder).code(), "oscillator");
    }
}

#[test]
fn the_pll_takes_pads_over() {
    let prepare = || {
        let mut builder = Builder::with_clock();
        // PLLTYPE_0 is PLLCONFIG_5 of tile (12, 31).
        builder.set(CLOCK_TILE, 2, 3);
        builder
    };
    let mut builder = prepare();
    toggle(&mut builder, HERE);
    builder.observe(HERE);
    assert_eq!(refusal(builder).code(), "pll");
    // Without a clock nothing depends on it.
    assert_eq!(pulses(prepare()), 0);
}

#[test]
fn inputs() {
    // Pad 1 of tile (16, 31) is pin 31.
    let prepare = |mode: u8, enable: bool| {
        move || {
            let mut builder = Builder::with_clock();
            builder.input(tile(16, 31), 1, mode);
            if enable {
                builder.set(tile(16, 31), 9, 3);
            }
            builder
        }
    };
    wire_is_refused(prepare(0b01, true), 16, 31, "io_1/D_IN_0", "undriven_input");
    wire_is_refused(prepare(0b01, false), 16, 31, "io_1/D_IN_0", "input_disabled");
    wire_is_refused(prepare(0b11, true), 16, 31, "io_1/D_IN_0", "undriven_input");
}

#[test]
fn a_driven_pad_can_be_read_back() {
    let prepare = |mode: u8| {
        let mut builder = Builder::with_clock();
        builder.input(tile(16, 31), 1, 0b01);
        builder.output(tile(16, 31), 1, mode);
        builder.set(tile(16, 31), 9, 3);
        let source = Cell(tile(16, 30), 0);
        toggle(&mut builder, source);
        builder.route(source.0, "lutff_0/out", tile(16, 31), "io_1/D_OUT_0");
        builder.table(HERE, SAME);
        builder.route(tile(16, 31), "io_1/D_IN_0", HERE.0, "lutff_0/in_0");
        builder.observe(HERE);
        builder
    };
    assert_eq!(pulses(prepare(0b0110)), 500);
    // Here nobody says whether the pad drives.
    assert_eq!(refusal(prepare(0b1010)).code(), "output_mode");
}

#[test]
fn a_driven_clock_pad_is_a_contention() {
    let mut builder = Builder::with_clock();
    builder.output(CLOCK_TILE, 1, 0b0110);
    toggle(&mut builder, HERE);
    builder.observe(HERE);
    assert_eq!(refusal(builder).code(), "contention");
}

/// Two buffers of different tiles that bring the outputs of different cells to one wire.
fn two_drivers() -> [Switch; 2] {
    let buffers: Vec<Switch> = Chip::up5k()
        .switches()
        .filter(|s| s.buffer && s.bits.len() == 1 && s.tile.y == 28 && (8..16).contains(&s.tile.x))
        .collect();
    let pairs = buffers.iter().flat_map(|a| buffers.iter().map(move |b| [a, b]));
    let mut fights = pairs
        .filter(|[a, b]| a.net == b.net && a.tile != b.tile && a.options[0].1 != b.options[0].1);
    fights.next().unwrap().map(Clone::clone)
}

#[test]
fn contention_counts_on_the_way_to_the_pin_only() {
    let fight = || {
        let mut builder = Builder::with_clock();
        two_drivers().iter().for_each(|switch| builder.setting(switch, 1));
        builder
    };
    let mut builder = fight();
    toggle(&mut builder, HERE);
    builder.observe(HERE);
    assert_eq!(pulses(builder), 500);

    let mut builder = fight();
    builder.table(HERE, SAME);
    builder.route_net(two_drivers()[0].net, HERE.0, "lutff_0/in_0");
    builder.observe(HERE);
    let refusal = refusal(builder);
    assert_eq!(refusal.code(), "contention");
    let text = refusal.to_string();
    assert_eq!(text.matches(" by a switch in tile").count(), 2, "{text}");
}

/// The switch of tile (17, 30) that drives a wire.
fn switch_to(net: Net) -> Switch {
    Chip::up5k().switches().find(|s| s.tile == HERE.0 && s.net == net).unwrap()
}

/// The bits that are set in all options.
fn enable(switch: &Switch) -> u8 {
    switch.options.iter().fold(31, |bits, (setting, _)| bits & setting)
}

#[test]
fn without_its_enable_bit_a_switch_is_off() {
    let unused = switch_to(Builder::net(HERE.0, "lutff_0/in_3"));
    let mut builder = Builder::with_clock();
    builder.setting(&unused, 31 & !enable(&unused));
    // Input 3 reads 0, so that this is the table of input 0.
    builder.table(HERE, 0xFF & SAME);
    toggle(&mut builder, NEXT);
    builder.feed(NEXT, HERE, 0);
    builder.observe(HERE);
    assert_eq!(pulses(builder), 500);
}

#[test]
fn undocumented_settings() {
    // Of the 16 settings that switch on the clock of a tile, 12 are documented.
    let clock = switch_to(Builder::net(HERE.0, "lutff_global/clk"));
    let known = |value: &u8| clock.options.iter().any(|(setting, _)| setting == value);
    let on = enable(&clock);
    let setting = (0..32u8).find(|value| value & on == on && !known(value)).unwrap();
    let prepare = |observed: Cell| {
        let mut builder = Builder::with_clock();
        toggle(&mut builder, HERE);
        builder.setting(&clock, setting);
        toggle(&mut builder, Cell(tile(16, 30), 0));
        builder.observe(observed);
        builder
    };
    let refusal = refusal(prepare(HERE));
    let Refusal::UnknownSwitch { tile: at, wire, .. } = &refusal else { panic!("{refusal}") };
    assert_eq!((*at, wire.as_str()), (HERE.0, "lutff_global/clk"));
    assert_eq!(pulses(prepare(Cell(tile(16, 30), 0))), 500);
}

#[test]
fn rings_of_wires() {
    // A wire that drives itself by way of another.
    let switches: Vec<_> =
        Chip::up5k().switches().filter(|s| s.tile == tile(15, 28) && !s.buffer).collect();
    let pair = switches.iter().flat_map(|a| switches.iter().map(move |b| (a, b))).find(|(a, b)| {
        a.net != b.net
            && a.options.iter().any(|&(_, net)| net == b.net)
            && b.options.iter().any(|&(_, net)| net == a.net)
    });
    let (a, b) = pair.unwrap();
    let setting =
        |switch: &Switch, net| switch.options.iter().find(|&&(_, other)| other == net).unwrap().0;
    let mut builder = Builder::with_clock();
    builder.setting(a, setting(a, b.net));
    builder.setting(b, setting(b, a.net));
    builder.table(HERE, SAME);
    builder.route_net(a.net, HERE.0, "lutff_0/in_0");
    builder.observe(HERE);
    assert_eq!(refusal(builder).code(), "routing_ring");
}

#[test]
fn loops_of_logic() {
    let latch = || {
        let mut builder = Builder::with_clock();
        builder.table(HERE, NOT);
        builder.feed(HERE, HERE, 0);
        builder
    };
    let mut builder = latch();
    builder.observe(HERE);
    let refusal = refusal(builder);
    assert_eq!(refusal, Refusal::CombinationalLoop { cells: "(17, 30) cell 0".to_owned() });
    // The same loop, but the pin does not look at it.
    let mut builder = latch();
    toggle(&mut builder, NEXT);
    builder.observe(NEXT);
    assert_eq!(pulses(builder), 500);
    // A loop of wires whose table does not look at them.
    let mut builder = Builder::with_clock();
    builder.table(HERE, 0xFFFF);
    builder.feed(HERE, HERE, 0);
    builder.observe(HERE);
    assert_eq!(pulses(builder), 0);
}

#[test]
fn a_carry_needs_its_enable() {
    let prepare = |on: bool| {
        let mut builder = Builder::with_clock();
        toggle(&mut builder, NEXT);
        // The carry of cell 1 of tile (16, 30) is the toggle if the carry into the tile is 1.
        let at = tile(16, 30);
        builder.set(at, 1, 50);
        builder.cell_bit(Cell(at, 0), 8);
        if on {
            builder.cell_bit(Cell(at, 1), 8);
        }
        builder.feed(NEXT, Cell(at, 0), 1);
        builder.feed(NEXT, Cell(at, 1), 2);
        builder.table(Cell(at, 2), 0xFF00);
        builder.force(at, "lutff_1/cout", "lutff_2/in_3");
        builder.observe(Cell(at, 2));
        builder
    };
    assert_eq!(pulses(prepare(true)), 500);
    assert_eq!(refusal(prepare(false)), Refusal::CarryDisabled { tile: tile(16, 30), cell: 1 });
}

#[test]
fn the_carry_into_a_tile_has_one_source() {
    let prepare = |both: bool| {
        let mut builder = Builder::with_clock();
        let at = tile(16, 30);
        builder.force(at, "carry_in", "carry_in_mux");
        if both {
            builder.set(at, 1, 50);
        }
        // The carry of the tile below.
        toggle(&mut builder, NEXT);
        let below = Cell(tile(16, 29), 7);
        builder.cell_bit(below, 8);
        builder.feed(NEXT, below, 1);
        builder.feed(NEXT, below, 2);
        builder.cell_bit(Cell(tile(16, 29), 6), 8);
        builder.table(Cell(at, 0), 0xFF00);
        builder.force(at, "carry_in_mux", "lutff_0/in_3");
        builder.observe(Cell(at, 0));
        builder
    };
    // Both inputs of cell 7 below are the toggle, and the carry into it is 0.
    assert_eq!(pulses(prepare(false)), 500);
    assert_eq!(refusal(prepare(true)).code(), "unknown_switch");
}

#[test]
fn global_nets_need_their_column_buffers() {
    let mut builder = Builder::with_clock();
    toggle(&mut builder, HERE);
    builder.observe(HERE);
    // Global net 1 is row 8 of the tile that serves rows 27 to 31.
    builder.clear(tile(17, 27), 8, 7);
    let expected = Refusal::ColumnBuffer { tile: HERE.0, net: 1, buffer: tile(17, 27) };
    assert_eq!(refusal(builder), expected);

    let mut builder = Builder::with_clock();
    toggle(&mut builder, HERE);
    builder.observe(HERE);
    builder.clear(tile(17, 26), 8, 7);
    builder.clear(tile(17, 27), 9, 7);
    assert_eq!(pulses(builder), 500);
}

#[test]
fn a_design_that_can_reboot_the_device() {
    let prepare = |open: bool| {
        let mut builder = Builder::with_clock();
        toggle(&mut builder, NEXT);
        builder.table(HERE, AND);
        builder.feed(NEXT, HERE, 0);
        if open {
            builder.feed(NEXT, HERE, 1);
        }
        builder.route(HERE.0, "lutff_0/out", tile(22, 0), "fabout");
        builder.observe(NEXT);
        builder
    };
    assert_eq!(refusal(prepare(true)), Refusal::WarmBoot { tile: tile(22, 0) });
    assert_eq!(pulses(prepare(false)), 500);
}

#[test]
fn the_clock_itself() {
    let mut builder = Builder::with_clock();
    builder.route(CLOCK_TILE, "io_1/D_IN_0", PIN_TILE, "io_1/D_OUT_0");
    assert_eq!(refusal(builder), Refusal::ClockOnPin);
    let mut builder = Builder::with_clock();
    builder.table(HERE, NOT);
    builder.route(CLOCK_TILE, "io_1/D_IN_0", HERE.0, "lutff_0/in_0");
    builder.observe(HERE);
    let refusal = extract(builder).unwrap().count(1000, &Limits::default()).unwrap_err();
    assert_eq!(refusal, Refusal::TooFast { cycle: 1, half_cycles: 2 });
}
