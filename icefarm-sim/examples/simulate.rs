//! Counts the pulses of bitstreams and says how long each stage takes.
//!
//! `cargo run --release -p icefarm-sim --example simulate -- FILE.bin ..`

#![allow(clippy::print_stdout, reason = "an example talks to a terminal")]

use icefarm_sim::fpga::{Bitstream, Chip, Circuit, Limits, Refusal, Window};
use std::time::Instant;

fn main() -> std::io::Result<()> {
    let start = Instant::now();
    let nets = Chip::up5k().nets();
    println!("chip table: {nets} nets in {:.1?}", start.elapsed());
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        match simulate(&bytes) {
            Ok(text) => println!("{path}: {text}"),
            Err(refusal) => println!("{path}: refused, {}: {refusal}", refusal.code()),
        }
    }
    Ok(())
}

fn simulate(bytes: &[u8]) -> Result<String, Refusal> {
    let window = Window::SECOND;
    let start = Instant::now();
    let bitstream = Bitstream::parse(bytes)?;
    let parsed = start.elapsed();
    let circuit = Circuit::extract(&bitstream, window.pin)?;
    let extracted = start.elapsed();
    let count = circuit.count(window.cycles, &Limits::default())?;
    let counted = start.elapsed();
    let nanoseconds = (counted - extracted).as_nanos() / u128::from(count.simulated_cycles.max(1));
    Ok(format!(
        "{} pulses in {} cycles, {} simulated ({nanoseconds} ns each), period {:?}; {} LUT {} FF \
         {} carry; parse {:.1?}, extract {:.1?}, count {:.1?}, in all {counted:.1?}",
        count.pulses,
        count.cycles,
        count.simulated_cycles,
        count.period.map(|period| (period.cycles, period.pulses)),
        count.luts,
        count.flip_flops,
        count.carries,
        parsed,
        extracted - parsed,
        counted - extracted,
    ))
}
