//! Whole circuits, from the file to the count.

use crate::files::{bundled, shared};
use icefarm_sim::fpga::{Count, Limits, Refusal, Window, count_pulses};
use std::sync::atomic::AtomicBool;

fn count(bytes: &[u8]) -> Count {
    count_pulses(bytes, Window::SECOND, &Limits::default()).unwrap()
}

/// Verified with Verilator, see `examples/circuits/README.md`.
#[test]
fn bundled_circuits_have_their_counts() {
    for (name, pulses) in [
        ("pulses_1000.bin", 1000),
        ("pulses_12345.bin", 12_345),
        ("johnson.bin", 300_000),
        ("lfsr.bin", 12_000_215),
        ("ripple.bin", 1465),
    ] {
        let count = count(&bundled(name));
        assert_eq!(count.pulses, pulses, "{name}");
        assert_eq!(count.cycles, 48_000_000, "{name}");
        assert!(count.simulated_cycles < 200_000, "{name}: {}", count.simulated_cycles);
    }
}

#[test]
fn a_period_is_reported() {
    let count = count(&bundled("pulses_1000.bin"));
    let period = count.period.unwrap();
    assert_eq!((period.cycles, period.pulses), (48_000, 1));
    assert_eq!(count.flip_flops, 17);
}

#[test]
fn windows_need_not_be_whole_periods() {
    let bytes = bundled("pulses_1000.bin");
    // The first pulse rises at the 48,000th edge of the clock.
    for (cycles, pulses) in [(0, 0), (1, 0), (47_999, 0), (48_000, 1), (95_999, 1), (96_000, 2)] {
        let window = Window { cycles, pin: "27" };
        assert_eq!(count_pulses(&bytes, window, &Limits::default()).unwrap().pulses, pulses);
    }
}

#[test]
fn the_examples_of_the_python_icefarm() {
    for (name, pulses) in [("2Khz", 2000), ("8Khz", 8000), ("32Khz", 32_000)] {
        if let Some(bytes) = shared(&format!("circuit_generated_{name}.bin")) {
            let count = count(&bytes);
            assert_eq!((count.pulses, count.flip_flops), (pulses, 24), "{name}");
        }
    }
}

#[test]
fn oscillators_made_of_delays_are_refused() {
    let refusal = count_pulses(&bundled("ring_oscillator.bin"), Window::SECOND, &Limits::default());
    let Err(Refusal::CombinationalLoop { cells }) = refusal else { panic!("{refusal:?}") };
    assert_eq!(cells.matches("cell").count(), 3, "{cells}");
}

#[test]
fn the_budget_bounds_what_does_not_repeat() {
    let limits = Limits { work: 10_000_000, cancel: None };
    let long = bundled("long_period.bin");
    let once = count_pulses(&long, Window::SECOND, &limits).unwrap_err();
    let Refusal::TooLong { simulated, cycles, budget } = once else { panic!("{once}") };
    assert_eq!((cycles, budget), (48_000_000, 10_000_000));
    assert!((10_000..4_000_000).contains(&simulated), "{simulated}");
    // The same amount of work every time.
    assert_eq!(count_pulses(&long, Window::SECOND, &limits), Err(once));
    // What does repeat is not affected.
    count_pulses(&bundled("lfsr.bin"), Window::SECOND, &limits).unwrap();
}

#[test]
fn a_count_can_be_cancelled() {
    let cancel = AtomicBool::new(true);
    let limits = Limits { cancel: Some(&cancel), ..Limits::default() };
    let refusal = count_pulses(&bundled("lfsr.bin"), Window::SECOND, &limits).unwrap_err();
    assert_eq!(refusal.code(), "cancelled");
}

#[test]
fn other_pins() {
    let bytes = bundled("pulses_1000.bin");
    let on = |pin| count_pulses(&bytes, Window { cycles: 1000, pin }, &Limits::default());
    assert_eq!(on("12").unwrap().pulses, 0);
    assert_eq!(on("35").unwrap_err(), Refusal::ClockOnPin);
    assert_eq!(on("5").unwrap_err().code(), "unknown_pin");
    assert_eq!(on("").unwrap_err().code(), "unknown_pin");
}
