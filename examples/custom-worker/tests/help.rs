//! The worker as its user meets it first.

use std::process::Command;

#[test]
fn its_examples_are_of_this_program() {
    let output = Command::new(env!("CARGO_BIN_EXE_custom-worker")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("\n  custom-worker --sim 4 "), "{help}");
    assert!(!help.contains("icefarm worker"), "{help}");
}
