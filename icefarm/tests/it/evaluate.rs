//! The main job: circuits in, outcomes out.

use crate::farm::{Farm, circuit, icefarm, run, stderr, stdout};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

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
    std::fs::write(list.path(), format!("{one}\n").repeat(100)).unwrap();
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
    assert_eq!(lines.len(), 100);
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

#[test]
fn boards_that_are_held_under_the_name_are_used_as_they_are() {
    let farm = Farm::start(2);
    let url = farm.control.url.as_str();
    let one = circuit("pulses_1000.bin");
    let reserved = run(&["reserve", "1", "--name", "alice", "--control", url]);
    let held = stdout(&reserved).split_whitespace().next().unwrap().to_owned();
    let free = stdout(&run(&["devices", "--available", "--control", url])).trim().to_owned();
    let evaluate = |name: &str, serials: &str, more: &[&str]| {
        let args = ["evaluate", &one, "--name", name, "--serial", serials, "--wait", "0"];
        let output = run(&[&args, &["--json", "--control", url][..], more].concat());
        (output.status.code(), stdout(&output), stderr(&output))
    };
    let (code, outcomes, text) = evaluate("alice", &held, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(outcomes.contains(&format!("\"serial\":\"{held}\"")), "{outcomes}");
    // It is still held.
    let ended = run(&["end", &held, "--name", "bob", "--control", url]);
    assert_eq!(ended.status.code(), Some(1));

    let (code, _, text) = evaluate("bob", &held, &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("not_available"), "{text}");
    let both = format!("{held},{free}");
    assert!(evaluate("alice", &both, &[]).2.contains(&free));
    assert!(evaluate("alice", &held, &["--kind", "other"]).2.contains("--kind asks for `other`"));
    assert!(evaluate("alice", &held, &["--arg", "a=1"]).2.contains("leave --arg out"));
    // One that is free is reserved for the run.
    assert_eq!(evaluate("bob", &free, &[]).0, Some(0));
}

/// Without a bound the program would go on asking a control server that is gone for a minute, and
/// then tell something else.
#[test]
fn an_interrupted_run_does_not_wait_for_a_control_server_that_is_gone() {
    let farm = Farm::start(1);
    let one = circuit("pulses_1000.bin");
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), format!("{one}\n").repeat(1000)).unwrap();
    let list = format!("@{}", list.path().display());
    let mut run = icefarm(&["evaluate", &list, "--json", "--control", &farm.control.url]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut outcomes = BufReader::new(run.stdout.take().unwrap());
    outcomes.read_line(&mut String::new()).unwrap();
    // Nobody reads the others.
    drop(outcomes);
    farm.control.kill();
    let id = run.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let text = stderr(&output);
    assert!(text.contains("control does not answer"), "{text}");
}
