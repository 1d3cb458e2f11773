//! What is typed at a terminal.

use crate::farm::icefarm;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// A terminal of its own comes from `script`, and what is said in it ends up in a pipe.
#[test]
fn the_terminal_shows_again_what_is_typed_if_a_login_is_interrupted() {
    if Command::new("script").arg("--version").output().is_err() {
        return;
    }
    let login = icefarm(&["login", "http://127.0.0.1:9"]);
    let program = login.get_program().to_str().unwrap();
    // A shell of its own survives Ctrl-C only if it has something to do with it.
    let line = format!("trap : INT; {program} login http://127.0.0.1:9; echo code $?; stty -a");
    let mut command = Command::new("script");
    command.args(["-q", "-c", &line, "/dev/null"]).env("SHELL", "/bin/sh");
    let mut terminal = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = terminal.stdout.take().unwrap();
    let mut told = Vec::new();
    while !told.ends_with(b"http://127.0.0.1:9: ") {
        let mut byte = [0];
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&told));
        told.push(byte[0]);
    }
    let mut keys = terminal.stdin.take().unwrap();
    keys.write_all(b"\x03").unwrap();
    out.read_to_end(&mut told).unwrap();
    drop(keys);
    terminal.wait().unwrap();
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("code 130"), "{told}");
    let modes: Vec<&str> = told.split_whitespace().collect();
    assert!(modes.contains(&"echo") && !modes.contains(&"-echo"), "{told}");
}
