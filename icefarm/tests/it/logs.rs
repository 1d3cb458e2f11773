//! Logs for programs.

use crate::farm::{circuit, icefarm, run, stdout, wait_for};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

type Line = Map<String, Value>;

/// A server that logs into a file. Dropping it kills it.
struct Logging {
    child: Child,
    url: String,
}

impl Logging {
    fn start(args: &[&str], log: &Path) -> Self {
        let mut command = icefarm(args);
        command.env("ICEFARM_LOG", "debug").env("ICEFARM_LOG_FORMAT", "json");
        command.stdout(Stdio::piped()).stderr(File::create(log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, url }
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a log, each of which is an object with what every line has.
fn lines(text: &str) -> Vec<Line> {
    let read = |line: &str| -> Line {
        let read: Line = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for key in ["timestamp", "level", "target", "message"] {
            assert!(read.get(key).is_some_and(Value::is_string), "no {key}: {line}");
        }
        read
    };
    text.lines().map(read).collect()
}

fn messages<'a>(lines: &'a [Line], key: &str, value: &str) -> Vec<(&'a str, &'a Line)> {
    let about = lines.iter().filter(|line| line.get(key).is_some_and(|known| known == value));
    about.map(|line| (line["message"].as_str().unwrap(), line)).collect()
}

#[test]
fn one_evaluation_is_found_on_its_whole_way_by_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let db = at("farm.sqlite").display().to_string();
    let args = ["control", "--listen", "127.0.0.1:0", "--db", &db];
    let control = Logging::start(&args, &at("control.log"));
    let worker = [
        "worker",
        "--listen",
        "127.0.0.1:0",
        "--control",
        &control.url,
        "--name",
        "bench",
        "--sim",
        "2",
        "--sim-speed",
        "50",
    ];
    let worker = Logging::start(&worker, &at("worker.log"));
    wait_for("two boards", || {
        let output = run(&["devices", "--available", "--control", &control.url]);
        (stdout(&output).lines().count() == 2).then_some(())
    });
    let (good, odd) = (circuit("pulses_1000.bin"), circuit("ring_oscillator.bin"));
    let args = [
        "evaluate",
        &good,
        &odd,
        "--json",
        "--name",
        "ann",
        "--control",
        &control.url,
        "--log-format",
        "json",
    ];
    let output = icefarm(&args).env("ICEFARM_LOG", "debug").output().unwrap();
    let outcomes = stdout(&output);
    let outcome: Line =
        serde_json::from_str(outcomes.lines().find(|line| line.contains("pulses_1000")).unwrap())
            .unwrap();
    let text = |key: &str| outcome[key].as_str().unwrap();
    let (id, serial, lease) = (text("id"), text("serial"), outcome["lease"].to_string());

    let client = lines(&String::from_utf8(output.stderr).unwrap());
    let way: Vec<&str> =
        messages(&client, "evaluation", id).iter().map(|(line, _)| *line).collect();
    assert_eq!(way, ["a circuit is sent", "a circuit has its outcome"]);

    wait_for("the end of the lease at the worker", || {
        let log = std::fs::read_to_string(at("worker.log")).unwrap();
        log.contains("lease ended").then_some(())
    });
    drop((worker, control));
    let worker = lines(&std::fs::read_to_string(at("worker.log")).unwrap());
    let way = messages(&worker, "evaluation", id);
    let told: Vec<&str> = way.iter().map(|(line, _)| *line).collect();
    let expected =
        ["a circuit waits for the board", "a circuit goes onto the board", "a circuit was read"];
    assert_eq!(told, expected);
    for (_, line) in &way {
        assert_eq!(line["serial"], serial, "{line:?}");
        assert_eq!(line["lease"], lease.as_str(), "{line:?}");
        assert_eq!(line["client"], "ann", "{line:?}");
    }
    let board: Vec<&str> = messages(&worker, "serial", serial).iter().map(|(l, _)| *l).collect();
    for told in ["found a board", "available", "lease taken", "initialized", "lease ended"] {
        assert!(board.contains(&told), "{told} is missing in {board:?}");
    }

    let control = lines(&std::fs::read_to_string(at("control.log")).unwrap());
    let ann = messages(&control, "client", "ann");
    let granted = ann.iter().find(|(_, line)| line["lease"] == lease.as_str()).unwrap();
    assert_eq!(granted.1["serial"], serial);
    // Who is named with a lease is named with a board, too.
    for line in worker.iter().chain(&control).filter(|line| line.contains_key("lease")) {
        assert!(line.contains_key("serial") && line.contains_key("client"), "{line:?}");
    }
    // A serial that a line tells in its text is a field of it, or one of several.
    for line in worker.iter().chain(&control) {
        let message = line["message"].as_str().unwrap();
        assert!(!message.contains(serial) || line.contains_key("serial"), "{line:?}");
    }
}

#[test]
fn the_format_can_be_set_in_a_file_and_is_checked() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[worker]\nlog-format = \"yaml\"\n").unwrap();
    let path = file.path().display().to_string();
    let output = run(&["worker", "--config", &path]);
    assert_eq!(output.status.code(), Some(2));
    let text = crate::farm::stderr(&output);
    assert!(text.contains("`log-format` in [worker]") && text.contains("text, json"), "{text}");
}
