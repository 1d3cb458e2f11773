//! From Verilog to bitstreams with Debian's yosys, nextpnr and icepack.

use super::design::Design;
use crate::Result;
use crate::verilator::tools::run;
use std::fmt::Write as _;
use std::path::Path;

const PINS: &str = "set_io -nowarn clk 35\nset_io -nowarn pin 27\nset_io -nowarn pad 31\n";

/// What became of a design on its way to a bitstream.
pub(super) enum Built {
    Bitstream(Vec<u8>),
    /// The tools do not take it.
    Unbuilt(String),
}

/// Builds designs together: synthesis spends most of its time on reading its own libraries.
pub(super) fn build(folder: &Path, designs: &[Design]) -> Result<Vec<Built>> {
    let mut sources = String::new();
    // Nothing is outside of the pads, so that synthesis must be told to keep what they belong to.
    let mut top = format!("module all (input clk, inout [{}:0] pins);\n", designs.len() - 1);
    for (number, Design { name, verilog, .. }) in designs.iter().enumerate() {
        sources += verilog;
        writeln!(top, "    (* keep *) {name} one_{name} (.clk(clk), .pin(pins[{number}]));")?;
    }
    std::fs::write(folder.join("all.v"), sources + &top + "endmodule\n")?;
    std::fs::write(folder.join("pins.pcf"), PINS)?;
    let mut script =
        "read_verilog all.v\nsynth_ice40 -device u -noflatten -top all\ndesign -save all\n"
            .to_owned();
    for Design { name, .. } in designs {
        writeln!(script, "design -load all\nhierarchy -top {name}\nwrite_json {name}.json")?;
    }
    std::fs::write(folder.join("all.ys"), script)?;
    run("yosys", "yosys", folder, &["-q", "all.ys"])?;
    designs.iter().map(|design| place(folder, design)).collect()
}

fn place(folder: &Path, Design { name, seed, .. }: &Design) -> Result<Built> {
    let (json, text, binary) =
        (format!("{name}.json"), format!("{name}.asc"), format!("{name}.bin"));
    let seed = seed.to_string();
    let arguments = [
        "--quiet",
        "--timing-allow-fail",
        "--up5k",
        "--package",
        "sg48",
        "--pcf",
        "pins.pcf",
        "--seed",
        &seed,
        "--json",
        &json,
        "--asc",
        &text,
    ];
    let arguments = [&["30", "nextpnr-ice40"], arguments.as_slice()].concat();
    if let Err(error) = run("timeout", "coreutils", folder, &arguments) {
        let error = error.to_string();
        if error.contains("exit status: 124") {
            let reason = "nextpnr does not find its way within half a minute".to_owned();
            return Ok(Built::Unbuilt(reason));
        }
        let reason = error.lines().find(|line| line.contains("ERROR")).map(str::to_owned);
        return reason.map(Built::Unbuilt).ok_or_else(|| error.into());
    }
    run("icepack", "fpga-icestorm", folder, &[&text, &binary])?;
    Ok(Built::Bitstream(std::fs::read(folder.join(binary))?))
}
