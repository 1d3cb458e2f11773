//! Boards that are held while a command runs.

use crate::farm::{Farm, circuit, icefarm, run, stderr, stdout, wait_for};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// `icefarm reserve 1 -- sh -c SCRIPT`, up to the script's first line on stdout.
struct Holding {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Holding {
    fn start(farm: &Farm, script: &str) -> Self {
        let args = ["reserve", "1", "--control", &farm.control.url, "--name", "alice", "--"];
        let mut command = icefarm(&args);
        command.args(["sh", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// The exit code, and what was said on stderr.
    fn end(self) -> (Option<i32>, String) {
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), stderr(&output))
    }
}

fn holder(farm: &Farm) -> usize {
    let output = run(&["devices", "--json", "--control", &farm.control.url]);
    stdout(&output).lines().filter(|line| line.contains("\"client\":\"alice\"")).count()
}

#[test]
fn a_command_finds_its_boards_and_they_are_given_back_after_it() {
    let farm = Farm::start(3);
    let url = farm.control.url.as_str();
    let one = circuit("pulses_1000.bin");
    let script = "echo $ICEFARM_SERIALS; echo $ICEFARM_WORKERS; echo $ICEFARM_CONTROL $ICEFARM_NAME \
                  $ICEFARM_KIND; \"$0\" evaluate \"$1\" --json; \"$0\" status --json; exit 7";
    let binary = env!("CARGO_BIN_EXE_icefarm");
    let args = ["reserve", "2", "--name", "alice", "--control", url, "--", "sh", "-c", script];
    let output = icefarm(&args).args([binary, &one]).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let text = stdout(&output);
    let mut lines = text.lines();
    let serials: Vec<&str> = lines.next().unwrap().split(',').collect();
    let workers: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!((serials.len(), workers.len()), (2, 2));
    assert!(workers.iter().all(|worker| worker.starts_with("http://")), "{workers:?}");
    assert_eq!(lines.next(), Some(format!("{url} alice pulsecount").as_str()));
    // The evaluation under it used its boards, and left them to it.
    let mut measured: Vec<String> = Vec::new();
    for line in lines.by_ref().take(2) {
        let outcome: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(outcome["reading"]["pulses"], 1000, "{line}");
        measured.push(outcome["serial"].as_str().unwrap().to_owned());
    }
    measured.sort();
    assert_eq!(measured, serials);
    let status: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(status["leases"].as_array().unwrap().len(), 2, "{status}");
    assert_eq!(holder(&farm), 0);
    farm.wait_for_boards(3);
}

#[test]
fn signals_reach_the_command_and_its_own_end_counts() {
    let farm = Farm::start(1);
    let script = "trap 'echo asked; exit 5' TERM; trap 'echo used' USR1; echo ready; \
                  while :; do sleep 0.02; done";
    let mut holding = Holding::start(&farm, script);
    assert_eq!(holding.line(), "ready");
    assert_eq!(holder(&farm), 1);
    holding.signal("USR1");
    assert_eq!(holding.line(), "used");
    holding.signal("TERM");
    assert_eq!(holding.line(), "asked");
    assert_eq!(holding.end().0, Some(5));
    assert_eq!(holder(&farm), 0);
}

#[test]
fn how_a_command_dies_is_told_to_the_shell() {
    let farm = Farm::start(1);
    let url = farm.control.url.as_str();
    let code = |command: &[&str]| {
        let args = [&["reserve", "1", "--wait", "100", "--control", url, "--"], command].concat();
        let output = run(&args);
        (output.status.code(), stderr(&output))
    };
    assert_eq!(code(&["sh", "-c", "kill -9 $$"]).0, Some(137));
    let (missing, text) = code(&["no-such-command"]);
    assert_eq!(missing, Some(127));
    assert!(text.contains("`no-such-command` cannot be run"), "{text}");
    assert_eq!(code(&[&circuit("pulses_1000.bin")]).0, Some(126));
    let too_many = run(&["reserve", "5", "--control", url, "--", "true"]);
    assert_eq!(too_many.status.code(), Some(125));
    assert!(stderr(&too_many).contains("not_enough_devices"), "{}", stderr(&too_many));
}

#[test]
fn a_board_that_is_lost_is_told_and_the_command_goes_on() {
    let farm = Farm::start(1);
    // It goes on when the test lets it.
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate").display().to_string();
    let script =
        format!("echo $ICEFARM_SERIALS; until test -e {gate}; do sleep 0.02; done; exit 4");
    let mut holding = Holding::start(&farm, &script);
    let serial = holding.line();
    let url = farm.control.url.as_str();
    let end = run(&["end", &serial, "--name", "alice", "--control", url]);
    assert!(end.status.success(), "{}", stderr(&end));
    let mut line = String::new();
    let mut said = BufReader::new(holding.child.stderr.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert!(line.contains("a board is lost") && line.contains(&serial), "{line}");
    std::fs::write(gate, "").unwrap();
    assert_eq!(holding.end().0, Some(4));
}

#[test]
fn who_waits_for_boards_can_be_stopped() {
    let farm = Farm::start(1);
    let url = farm.control.url.as_str();
    assert!(run(&["reserve", "1", "--name", "bob", "--control", url]).status.success());
    let args = ["reserve", "1", "--wait", "100", "--control", url, "--", "true"];
    let mut child = icefarm(&args).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("waiting up to 100 s"), "{line}");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_reservation_without_a_command_waits_as_well() {
    let farm = Farm::start(1);
    let url = farm.control.url.as_str();
    assert!(run(&["reserve", "1", "--name", "bob", "--control", url]).status.success());
    let args = ["reserve", "1", "--name", "alice", "--wait", "100", "--control", url];
    let mut child = icefarm(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert!(line.contains("waiting up to 100 s"), "{line}");
    assert!(run(&["end", "--all", "--name", "bob", "--control", url]).status.success());
    assert!(child.wait_with_output().unwrap().status.success());
    wait_for("alice's board", || (holder(&farm) == 1).then_some(()));
}
