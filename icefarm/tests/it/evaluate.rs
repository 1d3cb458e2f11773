//! The main job: circuits in, outcomes out.

use crate::farm::{Farm, circuit, icefarm, run, stderr, stdout};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Stdio;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_circuit_is_counted_on_each_board() {
    let farm = Farm::start(3);
    let circuits = [circuit("pulses_1000.bin"), circuit("pulses_12345.bin")];
    let output = run(&[
        "evaluate",
        &circuits[0],
        &circuits[1],
        "--boards",
        "2",
        "--json",
        "--control",
        &farm.control.url,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = lines(&stdout(&output));
    assert_eq!(lines.len(), 4);
    let boards: BTreeSet<&str> = lines.iter().map(|l| l["serial"].as_str().unwrap()).collect();
    assert_eq!(boards.len(), 2);
    for line in &lines {
        let wanted = if line["circuit"] == circuits[0].as_str() { 1000 } else { 12345 };
        assert_eq!(line["reading"]["pulses"], wanted, "{line}");
        assert_eq!(line["window_us"], 1_000_000);
        assert_eq!(line["simulated"], true);
        for key in ["id", "sha256", "worker", "kind", "state_version", "image_sha256", "lease"] {
            assert!(!line[key].is_null(), "{key} is missing in {line}");
        }
    }
    farm.wait_for_boards(3);
}

#[test]
fn any_board_takes_each_circuit_once() {
    let farm = Farm::start(2);
    let one = circuit("pulses_1000.bin");
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), format!("{one}\n").repeat(20)).unwrap();
    let list = format!("@{}", list.path().display());
    let output = run(&[
        "evaluate",
        &list,
        "--boards",
        "2",
        "--place",
        "any",
        "--json",
        "--control",
        &farm.control.url,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = lines(&stdout(&output));
    assert_eq!(lines.len(), 20);
    let boards: BTreeSet<&str> = lines.iter().map(|l| l["serial"].as_str().unwrap()).collect();
    assert_eq!(boards.len(), 2, "one board did nothing");
    assert!(lines.iter().all(|line| line["reading"]["pulses"] == 1000));
}

#[test]
fn what_cannot_be_measured_is_refused_by_name_and_the_rest_is_read() {
    let farm = Farm::start(1);
    let dir = tempfile::tempdir().unwrap();
    let sound = std::fs::read(circuit("pulses_1000.bin")).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let truncated = file("truncated.bin", &sound[..50_000]);
    let mut flipped = sound.clone();
    flipped[60_000] ^= 0x10;
    let corrupt = file("corrupt.bin", &flipped);
    let ring = circuit("ring_oscillator.bin");
    let good = circuit("pulses_1000.bin");
    let output = icefarm(&[
        "evaluate",
        &truncated,
        &corrupt,
        &ring,
        &good,
        "--json",
        "--control",
        &farm.control.url,
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let lines = lines(&stdout(&output));
    assert_eq!(lines.len(), 4);
    let of = |name: &str| lines.iter().find(|line| line["circuit"] == name).unwrap();
    assert_eq!(of(&truncated)["code"], "wrong_length");
    assert_eq!(of(&corrupt)["code"], "bad_crc");
    assert_eq!(of(&ring)["code"], "combinational_loop");
    assert_eq!(of(&good)["reading"]["pulses"], 1000);
}

#[test]
fn files_that_are_not_there_stop_the_run_before_anything_is_reserved() {
    let output = run(&["evaluate", "no-such.bin", "neither.bin"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("no-such.bin") && text.contains("neither.bin"), "{text}");
}

#[test]
fn a_run_waits_for_boards_that_others_hold() {
    let farm = Farm::start(1);
    let url = farm.control.url.as_str();
    let one = circuit("pulses_1000.bin");
    assert!(
        run(&["reserve", "1", "--ttl", "600", "--name", "alice", "--control", url])
            .status
            .success()
    );
    let refused = run(&["evaluate", &one, "--wait", "0", "--control", url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("not_enough_devices"), "{}", stderr(&refused));

    let mut waiting = icefarm(&["evaluate", &one, "--wait", "100", "--control", url]);
    let waiting = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(run(&["end", "--all", "--name", "alice", "--control", url]).status.success());
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("1000"));
}
