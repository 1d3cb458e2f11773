//! The farm at a glance, one board in full, and what happens.

use crate::farm::{Farm, icefarm, run, stderr, stdout};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

fn json(args: &[&str]) -> Value {
    let output = run(args);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

fn reserve(farm: &Farm, name: &str) -> String {
    let output = run(&["reserve", "1", "--name", name, "--json", "--control", &farm.control.url]);
    assert!(output.status.success(), "{}", stderr(&output));
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    answer["boards"][0]["serial"].as_str().unwrap().to_owned()
}

#[test]
fn the_farm_is_shown_at_a_glance() {
    let farm = Farm::start(3);
    let url = farm.control.url.as_str();
    let serial = reserve(&farm, "alice");
    let status = json(&["status", "--json", "--control", url]);
    assert_eq!(status["status"]["boards"]["total"], 3);
    assert_eq!(status["status"]["boards"]["reserved"], 1);
    assert_eq!(status["workers"][0]["name"], "bench");
    assert_eq!(status["leases"][0]["serial"], serial.as_str());
    let text = stdout(&run(&["status", "--control", url]));
    for part in ["2 available, 1 reserved; all simulated", "bench", "alice", "pulsecount", &serial]
    {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let text = stdout(&run(&["devices", "--control", url]));
    let row = text.lines().find(|line| line.starts_with(&serial)).unwrap();
    assert!(row.contains("pulsecount") && row.contains("alice"), "{text}");
}

#[test]
fn a_board_is_shown_in_full() {
    let farm = Farm::start(1);
    let url = farm.control.url.as_str();
    let serial = reserve(&farm, "alice");
    let board = json(&["board", &serial, "--json", "--control", url]);
    assert_eq!(board["lease"]["client"], "alice");
    let text = stdout(&run(&["board", &serial, "--control", url]));
    for part in ["why ", "alice holds it", "holder       alice", "bench", "alice reserved board"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let unknown = run(&["board", "no such/board", "--control", url]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("`no such/board`"), "{}", stderr(&unknown));
}

#[test]
fn a_reservation_can_be_extended_by_its_holder() {
    let farm = Farm::start(1);
    let url = farm.control.url.as_str();
    let serial = reserve(&farm, "alice");
    let extended = json(&["extend", &serial, "--name", "alice", "--json", "--control", url]);
    assert_eq!(extended, serde_json::json!([serial]));
    assert_eq!(
        stdout(&run(&["extend", "--all", "--name", "alice", "--control", url])).trim(),
        serial
    );
    let other = run(&["extend", &serial, "--name", "bob", "--control", url]);
    assert_eq!(other.status.code(), Some(1));
    assert!(stderr(&other).contains("not reserved by `bob`"), "{}", stderr(&other));
}

struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(farm: &Farm, args: &[&str]) -> Self {
        let mut command =
            icefarm(&["events", "--follow", "--json", "--control", &farm.control.url]);
        let mut child = command.args(args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self, what: &str) -> Value {
        loop {
            let event: Value = serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap();
            if event["what"] == what {
                return event;
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn events_are_listed_and_followed() {
    let farm = Farm::start(2);
    let url = farm.control.url.as_str();
    let serial = reserve(&farm, "alice");
    let last: Value = json(&["events", "--limit", "1", "--json", "--control", url]);
    let seq = last["seq"].as_u64().unwrap();
    let all = stdout(&run(&["events", "--after", "0", "--json", "--control", url]));
    assert!(all.lines().count() as u64 >= seq, "{all}");
    let text = stdout(&run(&["events", "--board", &serial, "--control", url]));
    assert!(text.lines().all(|line| line.contains(&serial)), "{text}");
    assert!(text.contains("alice reserved board"), "{text}");
    let typo = run(&["events", "--board", "TYPO", "--control", url]);
    assert_eq!(typo.status.code(), Some(1));
    assert!(stderr(&typo).contains("no board `TYPO` is known"), "{}", stderr(&typo));

    // What was before it began is told as well, and then what happens.
    let mut following = Following::start(&farm, &["--board", &serial, "--after", "0"]);
    assert_eq!(following.next("lease_granted")["client"], "alice");
    assert!(run(&["end", &serial, "--name", "alice", "--control", url]).status.success());
    assert_eq!(following.next("lease_ended")["serial"], serial.as_str());
}

#[test]
fn what_comes_after_the_last_number_of_all_is_nothing() {
    let farm = Farm::start(1);
    let after = u64::MAX.to_string();
    let output = run(&["events", "--after", &after, "--control", &farm.control.url]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
}
