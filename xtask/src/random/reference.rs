//! What the Verilog itself does, by Icarus Verilog with yosys' models of the cells.

use super::design::Design;
use crate::Result;
use crate::verilator::tools::run;
use std::fmt::Write as _;
use std::path::Path;

const CELLS: &str = "/usr/share/yosys/ice40/cells_sim.v";

/// What the models leave undefined: registers until their first clock edge, which are 0 here, and
/// logic whose inputs never change.
const UNDEFINED: [(&str, &str); 9] = [
    ("always @* begin", "always_comb begin"),
    ("reg outclk_delayed_1;", "reg outclk_delayed_1 = 0;"),
    ("reg outclk_delayed_2;", "reg outclk_delayed_2 = 0;"),
    ("reg  clken_pulled_ri;", "reg  clken_pulled_ri = 0;"),
    ("reg  clken_pulled_ro;", "reg  clken_pulled_ro = 0;"),
    ("reg din_q_0, din_q_1;", "reg din_q_0 = 0, din_q_1 = 0;"),
    ("reg dout_q_0, dout_q_1;", "reg dout_q_0 = 0, dout_q_1 = 0;"),
    ("reg outena_q;", "reg outena_q = 0;"),
    ("reg  [15:0] RDATA_I;", "reg  [15:0] RDATA_I = 0;"),
];

/// The level of a pin, as Verilog writes it: `0`, `1`, `x` or `z`.
pub(super) type Level = u8;

/// The pin of each design at rest: before the first edge of the clock, and then half a cycle after
/// each edge, the rising one first.
pub(super) fn simulate(folder: &Path, designs: &[Design], cycles: u64) -> Result<Vec<Vec<Level>>> {
    let mut cells = std::fs::read_to_string(CELLS)
        .map_err(|error| format!("{CELLS}: {error}; Debian: apt-get install yosys"))?;
    for (before, after) in UNDEFINED {
        if !cells.contains(before) {
            return Err(format!("{CELLS} has no line {before:?} any more").into());
        }
        cells = cells.replace(before, after);
    }
    // One tick of the PLL is one of the clock here.
    let start = cells.find("module SB_PLL40_PAD ").ok_or("the PLL has no model")?;
    let end = cells[start..].find("endmodule").ok_or("the model of the PLL has no end")?;
    cells.insert_str(
        start + end,
        "assign PLLOUTCORE = PACKAGEPIN;\nassign PLLOUTGLOBAL = PACKAGEPIN;\n",
    );
    let mut bench = String::new();
    writeln!(bench, "module bench;\nbit clk;\nwire [{}:0] pins;", designs.len() - 1)?;
    for (number, design) in designs.iter().enumerate() {
        bench += &format!("{0} one_{0} (.clk(clk), .pin(pins[{number}]));\n", design.name);
    }
    writeln!(
        bench,
        "integer i;\ninitial begin\n#10 $display(\"%b\", pins);\nfor (i = 0; i < {}; i = i + 1) \
         begin\nclk = !clk;\n#10 $display(\"%b\", pins);\nend\n$finish;\nend\nendmodule",
        2 * cycles
    )?;
    let sources: String = designs.iter().map(|design| design.verilog.as_str()).collect();
    std::fs::write(folder.join("cells.v"), cells)?;
    std::fs::write(folder.join("bench.v"), sources + &bench)?;
    let arguments = [
        "-g2012",
        "-DNO_ICE40_DEFAULT_ASSIGNMENTS",
        "-s",
        "bench",
        "-o",
        "bench.vvp",
        "bench.v",
        "cells.v",
    ];
    run("iverilog", "iverilog", folder, &arguments)?;
    let output = run("vvp", "iverilog", folder, &["-n", "bench.vvp"])?;
    let mut levels = vec![Vec::with_capacity(2 * cycles as usize + 1); designs.len()];
    for line in output.lines().filter(|line| line.len() == designs.len()) {
        // The last bit comes first.
        for (levels, level) in levels.iter_mut().zip(line.bytes().rev()) {
            levels.push(level);
        }
    }
    if levels.iter().any(|levels| levels.len() as u64 != 2 * cycles + 1) {
        return Err("cannot read what vvp wrote".into());
    }
    Ok(levels)
}
