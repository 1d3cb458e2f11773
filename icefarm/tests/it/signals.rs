//! Signals that nobody types: a terminal that is closed sends SIGHUP.

use crate::farm::{Farm, icefarm, run, stdout, wait_for};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// These tests may themselves run under `nohup`, whose programs inherit that SIGHUP is ignored.
const AS_USUAL: &[&str] = &["env", "--default-signal=HUP"];
/// As `nohup` does it.
const IGNORING: &[&str] = &["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];

fn started_by(starter: &[&str], args: &[&str]) -> Child {
    let plain = icefarm(args);
    let mut command = Command::new(starter[0]);
    command.args(&starter[1..]).arg(plain.get_program()).args(plain.get_args());
    for (key, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Waits until a server listens. Its output is to be kept open as long as it runs.
fn listening(server: &mut Child) -> BufReader<ChildStdout> {
    let mut out = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line}");
    out
}

fn hang_up(child: &Child) {
    let kill = Command::new("kill").args(["-s", "HUP", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

#[test]
fn a_server_ends_in_good_order_with_its_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("farm.sqlite").display().to_string();
    let control = ["control", "--listen", "127.0.0.1:0", "--db", &db];
    let up = ["up", "--boards", "1", "--listen", "127.0.0.1:0"];
    for args in [&control[..], &up] {
        let mut server = started_by(AS_USUAL, args);
        let _out = listening(&mut server);
        hang_up(&server);
        let ended = server.wait().unwrap();
        assert!(ended.success(), "{args:?}: {ended}");
    }
}

#[test]
fn a_program_under_nohup_leaves_sighup_alone() {
    let mut server = started_by(IGNORING, &["up", "--boards", "1", "--listen", "127.0.0.1:0"]);
    let _out = listening(&mut server);
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    assert_eq!(ignored & 1, 1, "{status}");
}

#[test]
fn a_request_waits_no_longer_than_its_terminal_is_there() {
    let farm = Farm::start(1);
    let url = farm.control.url.as_str();
    assert!(run(&["reserve", "1", "--name", "ann", "--control", url]).status.success());
    let args = ["reserve", "1", "--wait", "600", "--name", "bob", "--control", url];
    let mut waiting = started_by(AS_USUAL, &args);
    let queue = || stdout(&run(&["queue", "--json", "--control", url]));
    wait_for("bob to wait", || queue().contains("\"bob\"").then_some(()));
    hang_up(&waiting);
    assert_eq!(waiting.wait().unwrap().code(), Some(1));
    assert_eq!(queue(), "");
}
