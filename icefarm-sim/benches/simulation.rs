//! How long simulations take: `cargo bench -p icefarm-sim`.
//!
//! A second on the board is 48,000,000 cycles. Verilator's compiled model of a circuit of 50 tables
//! and as many carries goes through them in 1.6 to 1.8 s, after 5 s of compiling it.

#![allow(clippy::unwrap_used, reason = "a benchmark may stop where it fails")]

use divan::Bencher;
use icefarm_sim::fpga::{Bitstream, CLOCK_HZ, Circuit, Counting, Limits, Window, count_pulses};
use std::path::{Path, PathBuf};

fn main() {
    divan::main();
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn example(name: &str) -> PathBuf {
    here().join("../examples/circuits").join(name).with_extension("bin")
}

/// Reads one of the circuits for this benchmark, or else one of the examples.
fn read(name: &str) -> Vec<u8> {
    let own = here().join("benches/circuits").join(name).with_extension("bin");
    std::fs::read(&own).or_else(|_| std::fs::read(example(name))).unwrap()
}

/// Circuits of about 60 tables that do not repeat within a second, and a smaller one.
const WITHOUT_PERIOD: [&str; 8] = [
    "network_2",
    "network_4",
    "network_8",
    "nlfsr",
    "lfsr_timer",
    "accumulator",
    "timer",
    "long_period",
];

#[divan::bench(args = WITHOUT_PERIOD, sample_count = 3, sample_size = 1)]
fn second_without_period(bencher: Bencher<'_, '_>, name: &str) {
    let circuit = Circuit::extract(&Bitstream::parse(&read(name)).unwrap(), "27").unwrap();
    bencher.bench_local(|| circuit.count(CLOCK_HZ, &Limits::default()).unwrap());
}

const WITH_PERIOD: [&str; 5] = ["pulses_1000", "pulses_12345", "johnson", "lfsr", "ripple"];

/// From the file to the count.
#[divan::bench(args = WITH_PERIOD)]
fn second_with_period(bencher: Bencher<'_, '_>, name: &str) {
    let bytes = read(name);
    bencher.bench_local(|| count_pulses(&bytes, Window::SECOND, &Limits::default()).unwrap());
}

/// From the file to a circuit at rest.
#[divan::bench(args = ["network_2", "accumulator", "pulses_1000"])]
fn preparation(bencher: Bencher<'_, '_>, name: &str) {
    let bytes = read(name);
    bencher.bench_local(|| Counting::parse(&bytes, Window::SECOND).unwrap());
}
