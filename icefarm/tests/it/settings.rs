//! Flags, variables and files, and what is said of wrong ones; what the shell is given.

use crate::farm::{Server, icefarm, run, stderr, stdout};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn a_wrong_value_is_told_with_where_it_comes_from() {
    let variable = icefarm(&["evaluate", "x.bin"]).env("ICEFARM_BOARDS", "many").output().unwrap();
    assert_eq!(variable.status.code(), Some(2));
    assert!(stderr(&variable).contains("the variable ICEFARM_BOARDS"), "{}", stderr(&variable));
    let flag =
        icefarm(&["evaluate", "x.bin", "--boards", "no"]).env("ICEFARM_BOARDS", "2").output();
    assert!(!stderr(&flag.unwrap()).contains("ICEFARM_BOARDS"));

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[evaluate]\nplace = \"nowhere\"\n").unwrap();
    let path = file.path().display().to_string();
    let output = run(&["status", "--config", &path]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains(&path) && text.contains("`place` in [evaluate]"), "{text}");

    let log = icefarm(&["simulate", "no-such.bin"]).env("ICEFARM_LOG", "=,=").output().unwrap();
    assert!(stderr(&log).contains("ICEFARM_LOG"), "{}", stderr(&log));
}

#[test]
fn the_number_of_boards_means_another_thing_to_up_than_to_evaluate() {
    let mut command = icefarm(&["up", "--listen", "127.0.0.1:0", "--boards", "1"]);
    let mut child = command.env("ICEFARM_BOARDS", "many").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("listening on "), "{line}");
}

#[test]
fn up_says_when_its_boards_are_ready_and_where_others_may_reach_it() {
    let args = ["up", "--boards", "2", "--sim-speed", "50", "--listen", "127.0.0.1:0"];
    let mut child = icefarm(&args).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap().split_off("listening on ".len());
    let ready = lines.next().unwrap().unwrap();
    assert!(ready.starts_with("ready: 2 virtual boards") && ready.contains(&url), "{ready}");
    let output = run(&["devices", "--available", "--control", &url]);
    assert_eq!(stdout(&output).lines().count(), 2);
    child.kill().unwrap();
    child.wait().unwrap();

    let everywhere = run(&["up", "--listen", "0.0.0.0:0", "--insecure"]);
    assert_eq!(everywhere.status.code(), Some(1));
    assert!(stderr(&everywhere).contains("name the address"), "{}", stderr(&everywhere));
}

#[test]
fn simulated_boards_can_be_asked_for_or_refused() {
    let up =
        Server::start(&["up", "--boards", "1", "--sim-speed", "50", "--listen", "127.0.0.1:0"]);
    let reserve = |flag: &str| {
        run(&["reserve", "1", "--wait", "0", flag, "--control", &up.url]).status.code()
    };
    crate::farm::wait_for("a board", || (reserve("--simulated") == Some(0)).then_some(()));
    let none = run(&["reserve", "1", "--simulated=false", "--control", &up.url]);
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("not_enough_devices") || stderr(&none).contains("0 can be had"));
}

#[test]
fn shells_and_the_manual_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        assert!(script.status.success());
        assert!(stdout(&script).contains("evaluate"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(run(&["man", &folder.path().display().to_string()]).status.success());
    let page = std::fs::read_to_string(folder.path().join("icefarm-reserve.1")).unwrap();
    assert!(page.contains("ICEFARM_SERIALS"), "{page}");
    assert!(stdout(&run(&["man"])).contains("icefarm"));
    let help = stdout(&run(&["help"]));
    for part in ["Exit codes", "[client]", "icefarm up"] {
        assert!(help.contains(part), "{part} is missing in {help}");
    }
    assert!(stdout(&run(&["help", "evaluate"])).contains("previous_sha256"));
}
