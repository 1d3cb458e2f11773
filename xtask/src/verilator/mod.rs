//! Compares this simulator with Verilator, which reads what IceStorm's `icebox_vlog` makes of a
//! bitstream and knows nothing of us.

pub(crate) mod tools;
mod verilog;

use crate::Result;
use icefarm_sim::fpga::{Bitstream, Circuit, Refusal, Window};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tools::run;
use verilog::{Cone, cone};

/// Circuits in one build: compiling costs more than running.
const BATCH: usize = 20;

/// The pad of pin 27, as `icebox_vlog` calls it.
const PIN: &str = "io_18_31_1";

/// What a pin did: rising edges, and a checksum of its level at the end of every cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trace {
    pulses: u64,
    checksum: u64,
}

/// A bitstream with its name.
pub(crate) struct Named<'a> {
    pub(crate) name: String,
    pub(crate) bytes: &'a [u8],
}

/// A circuit cut out of a bitstream, as a Verilog module.
struct Module<'a> {
    circuit: &'a Named<'a>,
    text: String,
}

/// Runs circuits here and there over a window of `cycles`, and prints who agrees. Those that do
/// not are put into the folder `keep`.
pub(crate) fn compare(circuits: &[Named<'_>], cycles: u64, keep: Option<&Path>) -> Result {
    if circuits.is_empty() {
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("icefarm-verilator-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let compared = compare_in(&folder, circuits, cycles, keep);
    std::fs::remove_dir_all(&folder)?;
    compared
}

fn compare_in(folder: &Path, circuits: &[Named<'_>], cycles: u64, keep: Option<&Path>) -> Result {
    let cones = cones(folder, circuits)?;
    let mut modules = Vec::new();
    let mut unclear = Vec::new();
    for (circuit, cone) in circuits.iter().zip(cones) {
        match cone {
            Cone::Module(text) => modules.push(Module { circuit, text }),
            Cone::Unclear(reason) => unclear.push((&circuit.name, reason)),
        }
    }
    let (mut agree, mut moving, mut total) = (0, 0, 0);
    for batch in modules.chunks(BATCH) {
        for (Module { circuit, text }, theirs) in batch.iter().zip(verilate(folder, batch, cycles)?)
        {
            let name = &circuit.name;
            let Some(theirs) = theirs else {
                unclear.push((name, "has a loop that never rests in Verilator".to_owned()));
                continue;
            };
            total += 1;
            let ours = simulate(circuit.bytes, cycles);
            if ours.as_ref() == Ok(&theirs) {
                agree += 1;
                moving += usize::from(theirs.pulses > 0);
                continue;
            }
            println!("{name} differs: {ours:?} here, {theirs:?} there");
            if let Some(keep) = keep {
                std::fs::create_dir_all(keep)?;
                std::fs::write(keep.join(format!("{name}.bin")), circuit.bytes)?;
                std::fs::write(keep.join(format!("{name}.v")), text)?;
            }
        }
    }
    println!(
        "\nVerilator over {cycles} cycles: {agree} of {total} agree in every cycle ({moving} with \
         pulses); {} could not be compared",
        unclear.len()
    );
    for (name, reason) in unclear {
        println!("{name}: {reason}");
    }
    if agree == total { Ok(()) } else { Err("there are differences".into()) }
}

/// The Verilog of each circuit, made on all processors: `icebox_vlog` takes seconds.
fn cones(folder: &Path, circuits: &[Named<'_>]) -> Result<Vec<Cone>> {
    let next = AtomicUsize::new(0);
    let cones = Mutex::new(Vec::new());
    let failure = Mutex::new(None);
    let work = || {
        while let Some((index, circuit)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            circuits.get(index).map(|circuit| (index, circuit))
        } {
            match to_verilog(folder, circuit) {
                Ok(cone) => {
                    if let Ok(mut cones) = cones.lock() {
                        cones.push((index, cone));
                    }
                }
                Err(error) => {
                    if let Ok(mut failure) = failure.lock() {
                        *failure = Some(error.to_string());
                    }
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    if let Some(error) = failure.into_inner().unwrap_or_default() {
        return Err(error.into());
    }
    let mut cones = cones.into_inner().unwrap_or_default();
    cones.sort_unstable_by_key(|(index, _)| *index);
    Ok(cones.into_iter().map(|(_, cone)| cone).collect())
}

fn to_verilog(folder: &Path, circuit: &Named<'_>) -> Result<Cone> {
    let (binary, text) = (format!("{}.bin", circuit.name), format!("{}.asc", circuit.name));
    std::fs::write(folder.join(&binary), circuit.bytes)?;
    run("iceunpack", "fpga-icestorm", folder, &[&binary, &text])?;
    let verilog = run("icebox_vlog", "fpga-icestorm", folder, &["-s", &text])?;
    Ok(cone(&verilog, PIN, &format!("circuit_{}", circuit.name)))
}

/// Runs modules side by side. Verilator gives up if logic feeds back on itself and does not come
/// to rest, even where that cannot reach the pin; then halves are tried, to find whose fault it is.
fn verilate(folder: &Path, batch: &[Module<'_>], cycles: u64) -> Result<Vec<Option<Trace>>> {
    match verilate_together(&folder.join("build"), batch, cycles) {
        Ok(traces) => Ok(traces.into_iter().map(Some).collect()),
        Err(error) if error.to_string().contains("did not converge") => {
            if batch.len() == 1 {
                return Ok(vec![None]);
            }
            let (first, second) = batch.split_at(batch.len() / 2);
            let mut traces = verilate(folder, first, cycles)?;
            traces.extend(verilate(folder, second, cycles)?);
            Ok(traces)
        }
        Err(error) => Err(error),
    }
}

fn verilate_together(folder: &Path, batch: &[Module<'_>], cycles: u64) -> Result<Vec<Trace>> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let mut text = String::new();
    let mut top = format!("module top (input clk, output [{}:0] pins);\n", BATCH - 1);
    for (index, module) in batch.iter().enumerate() {
        text += &module.text;
        let name = &module.circuit.name;
        writeln!(top, "circuit_{name} c{index} (.io_12_31_1(clk), .pin(pins[{index}]));")?;
    }
    top += "endmodule\n";
    std::fs::write(folder.join("top.v"), text + &top)?;
    std::fs::write(folder.join("main.cpp"), MAIN.replace("BATCH", &batch.len().to_string()))?;
    let arguments = "--cc --exe --build --top-module top --x-assign 0 --x-initial 0 -Wno-lint \
                     -Wno-style -Wno-fatal -CFLAGS -O1 -MAKEFLAGS OPT_FAST=-O1 top.v main.cpp";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    run("verilator", "verilator g++ make", folder, &arguments)?;
    let program = folder.join("obj_dir/Vtop");
    let output = run(&program.display().to_string(), "verilator", folder, &[&cycles.to_string()])?;
    let traces: Option<Vec<Trace>> = output
        .lines()
        .map(|line| {
            let (pulses, checksum) = line.split_once(' ')?;
            Some(Trace { pulses: pulses.parse().ok()?, checksum: checksum.parse().ok()? })
        })
        .collect();
    let traces = traces.filter(|traces| traces.len() == batch.len());
    traces.ok_or_else(|| format!("cannot read what {} wrote", program.display()).into())
}

/// The program around the modules: two edges per cycle, levels looked at after each.
const MAIN: &str = r#"
#include "Vtop.h"
#include "verilated.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
int main(int argc, char** argv) {
    const uint64_t cycles = strtoull(argv[1], nullptr, 10);
    Vtop top;
    uint64_t pulses[BATCH] = {}, checksum[BATCH] = {};
    top.clk = 0;
    top.eval();
    uint64_t last = top.pins;
    for (uint64_t cycle = 0; cycle < cycles; cycle++) {
        for (int level = 1; level >= 0; level--) {
            top.clk = level;
            top.eval();
            const uint64_t pins = top.pins;
            for (int i = 0; i < BATCH; i++) pulses[i] += (pins & ~last) >> i & 1;
            last = pins;
        }
        for (int i = 0; i < BATCH; i++) checksum[i] = checksum[i] * 31 + (last >> i & 1);
    }
    for (int i = 0; i < BATCH; i++)
        printf("%llu %llu\n", (unsigned long long)pulses[i], (unsigned long long)checksum[i]);
    return 0;
}
"#;

/// The same with this simulator.
fn simulate(bytes: &[u8], cycles: u64) -> Result<Trace, Refusal> {
    let circuit = Circuit::extract(&Bitstream::parse(bytes)?, Window::SECOND.pin)?;
    let mut simulator = circuit.simulator()?;
    let mut checksum = 0u64;
    for _ in 0..cycles {
        simulator.run(1)?;
        checksum = checksum.wrapping_mul(31).wrapping_add(u64::from(simulator.pin()));
    }
    Ok(Trace { pulses: simulator.pulses(), checksum })
}
