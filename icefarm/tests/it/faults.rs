//! Boards that fail as a file says, and the kind that samples.

use crate::farm::{Server, circuit, run, stderr, stdout, wait_for};
use serde_json::Value;
use std::io::Write;

/// A farm of two boards in one process.
fn up(faults: &str) -> (Server, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(faults.as_bytes()).unwrap();
    let path = file.path().display().to_string();
    let farm = Server::start(&[
        "up",
        "--listen",
        "127.0.0.1:0",
        "--boards",
        "2",
        "--sim-speed",
        "50",
        "--sim-faults",
        &path,
    ]);
    wait_for("two boards", || {
        let output = run(&["devices", "--available", "--control", &farm.url]);
        (stdout(&output).lines().count() == 2).then_some(())
    });
    (farm, file)
}

fn evaluate(farm: &Server, rest: &[&str]) -> (Option<i32>, Vec<Value>) {
    let circuit = circuit("pulses_1000.bin");
    let mut args = vec!["evaluate", &circuit, "--json", "--control", &farm.url];
    args.extend(rest);
    let output = run(&args);
    let lines = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), lines)
}

#[test]
fn samples_are_read_by_kind() {
    let (farm, _file) = up("");
    let rest = ["--kind", "variance", "--arg", "send_waveform=true", "--boards", "2"];
    let (code, lines) = evaluate(&farm, &rest);
    assert_eq!((code, lines.len()), (Some(0), 2), "{lines:?}");
    for line in lines {
        assert_eq!(line["kind"], "variance");
        assert_eq!(line["reading"]["fitness"], 99.0 * 4095.0 / 500.0);
        assert_eq!(line["reading"]["waveform"].as_array().unwrap().len(), 500);
        assert_eq!(line["window_us"], 50_000);
    }
}

#[test]
fn a_wrong_figure_is_marked_and_a_pulled_board_measures_again() {
    let (farm, _file) = up("
        [[fault]]
        what = 'wrong-answer'
        off_by = 5
        [[fault]]
        what = 'unplug'
        when = 'circuit'
        lasts_seconds = 2
        nth = 1
    ");
    let (code, lines) = evaluate(&farm, &["--boards", "2"]);
    assert_eq!((code, lines.len()), (Some(0), 2), "{lines:?}");
    for line in lines {
        assert_eq!(line["reading"]["pulses"], 1005);
        assert_eq!(line["attempt"], 2, "{line}");
        assert_eq!(line["falsified"], "fault 1 (wrong-answer, off by 5)");
    }
}

#[test]
fn a_file_that_does_not_fit_stops_the_worker_with_its_line() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[[fault]]\nwhat = \"hang\"\nwhen = \"start\"\nboards = [2]\n").unwrap();
    let path = file.path().display().to_string();
    let worker = ["worker", "--listen", "127.0.0.1:0", "--sim", "2", "--sim-faults", &path];
    let output = run(&worker);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("{path}:4: `boards`: there is no board 2");
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
}
