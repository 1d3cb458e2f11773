//! Output that nobody gets: a reader that has seen enough, and a disk that is full.

use crate::farm::{Farm, circuit, icefarm, stderr};
use std::fs::File;
use std::process::Output;

/// Runs a command whose stdout takes nothing, as on a full disk.
pub fn into_nothing(args: &[&str]) -> Output {
    let full = File::options().write(true).open("/dev/full").unwrap();
    icefarm(args).stdout(full).output().unwrap()
}

fn assert_told_once(output: &Output, code: i32) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.matches("the output cannot be written").count(), 1, "{text}");
}

#[test]
fn lost_output_is_told_and_fails() {
    let pulses = circuit("pulses_1000.bin");
    assert_told_once(&into_nothing(&["simulate", &pulses, &pulses, "--json"]), 1);
    assert_told_once(&into_nothing(&["simulate", &pulses]), 1);
    assert_told_once(&into_nothing(&["completions", "bash"]), 1);
    assert_told_once(&into_nothing(&["help"]), 1);
    // That some were refused is not all that is wrong.
    let ring = circuit("ring_oscillator.bin");
    assert_told_once(&into_nothing(&["simulate", &ring, "--json"]), 1);
}

#[test]
fn a_run_goes_on_to_its_end_if_its_output_is_lost() {
    let farm = Farm::start(1);
    let url = farm.control.url.as_str();
    let pulses = circuit("pulses_1000.bin");
    let output = into_nothing(&["evaluate", &pulses, &pulses, "--json", "--control", url]);
    assert_told_once(&output, 1);
    assert_told_once(&into_nothing(&["events", "--control", url]), 1);
    farm.wait_for_boards(1);
}
