//! `cargo xtask circuits`: compares the bitstreams of `examples/circuits` with Verilator over the
//! whole second that their README speaks of.

use crate::Result;
use crate::verilator::{self, Named};
use icefarm_sim::fpga::{Limits, Window, count_pulses};
use std::path::Path;

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Result {
    if !arguments.is_empty() {
        return Err("usage: cargo xtask circuits".into());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/circuits");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "bin") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, std::fs::read(&path)?));
        }
    }
    files.sort_unstable();
    let mut simulated = Vec::new();
    for (name, bytes) in &files {
        match count_pulses(bytes, Window::SECOND, &Limits::default()) {
            Ok(count) => {
                println!("{name}: {} pulses", count.pulses);
                simulated.push(Named { name: name.clone(), bytes });
            }
            Err(refusal) => println!("{name}: refused, {}: {refusal}", refusal.code()),
        }
    }
    verilator::compare(&simulated, Window::SECOND.cycles, None)
}
