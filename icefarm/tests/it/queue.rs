//! Waiting for boards, and calling them by names.

use crate::farm::{Farm, Server, icefarm, run, stderr, stdout, wait_for, worker};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

fn done(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

/// Who waits, in the order of the queue.
fn line(url: &str) -> Vec<Value> {
    let text = done(&["queue", "--json", "--control", url]);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn wait_for_line(url: &str, clients: &[&str]) -> Vec<Value> {
    wait_for(&format!("{clients:?} to wait"), || {
        let line = line(url);
        let is_it = line.iter().map(|entry| entry["client"].as_str().unwrap()).eq(clients.to_vec());
        is_it.then_some(line)
    })
}

fn waiting(url: &str, name: &str, more: &[&str]) -> Child {
    let args = [&["reserve", "1", "--wait", "600", "--name", name, "--control", url], more];
    icefarm(&args.concat()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn who_waits_is_shown_and_served_in_order() {
    let farm = Farm::start(1);
    let url = farm.control.url.as_str();
    let serial = done(&["devices", "--available", "--control", url]).trim().to_owned();
    done(&["reserve", "1", "--name", "ann", "--control", url]);
    // It holds its board until the test lets it go.
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let script =
        format!("until test -e {}; do sleep 0.02; done; printenv ICEFARM_SERIALS", gate.display());
    // With a command a client waits with its socket, without one a single request does.
    let mut bob = waiting(url, "bob", &["--", "sh", "-c", &script]);
    wait_for_line(url, &["bob"]);
    let mut told = BufReader::new(bob.stderr.take().unwrap()).lines();
    let first = told.next().unwrap().unwrap();
    assert!(first.contains("waiting up to 600 s, position 1 of 1"), "{first}");
    let mut cy = waiting(url, "cy", &[]);
    wait_for_line(url, &["bob", "cy"]);
    let dan = waiting(url, "dan", &["--priority", "1"]);
    let line = wait_for_line(url, &["dan", "bob", "cy"]);
    assert_eq!(line[0]["priority"], 1);
    let status = done(&["status", "--control", url]);
    assert!(status.contains("3 waiting") && status.contains("cy"), "{status}");

    let id = line[0]["reservation"].as_str().unwrap();
    assert_eq!(done(&["queue", "cancel", id, "--control", url]).trim(), id);
    let output = dan.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("an operator cancelled it"), "{}", stderr(&output));
    let gone = run(&["queue", "cancel", id, "--control", url]);
    assert!(stderr(&gone).contains("nothing waits as"), "{}", stderr(&gone));

    done(&["end", "--all", "--name", "ann", "--control", url]);
    let mut told = BufReader::new(cy.stderr.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("position 1 of 1")), "bob has its board");
    std::fs::write(&gate, "").unwrap();
    let output = bob.wait_with_output().unwrap();
    assert_eq!(stdout(&output).trim(), serial);
    // Bob's boards are given back with the end of its command, and then it is cy's turn.
    let output = cy.wait_with_output().unwrap();
    assert!(stdout(&output).contains(&serial), "{}", stdout(&output));
    assert!(line_is_empty(url));

    let last = waiting(url, "eve", &[]);
    wait_for_line(url, &["eve"]);
    let interrupt = Command::new("kill").args(["-INT", &last.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert!(!last.wait_with_output().unwrap().status.success());
    assert!(line_is_empty(url), "an interrupted request waits no more");

    let ended = done(&["end", "--client", "cy", "--control", url]);
    assert_eq!(ended.trim(), serial);
}

fn line_is_empty(url: &str) -> bool {
    line(url).is_empty()
}

#[test]
fn who_waits_does_so_over_kill_9_of_control() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("farm.sqlite").display().to_string();
    let start = |listen: &str| Server::start(&["control", "--listen", listen, "--db", &db]);
    let control = start("127.0.0.1:0");
    let (url, address) = (control.url.clone(), control.address().to_owned());
    let _worker = worker(&url, 1);
    wait_for("a board", || {
        let free = done(&["devices", "--available", "--control", &url]);
        (free.lines().count() == 1).then_some(())
    });
    done(&["reserve", "1", "--name", "ann", "--control", &url]);
    let bob = waiting(&url, "bob", &["--", "printenv", "ICEFARM_SERIALS"]);
    wait_for_line(&url, &["bob"]);
    let cy = waiting(&url, "cy", &[]);
    let before = wait_for_line(&url, &["bob", "cy"]);
    control.kill();
    let _control = start(&address);
    let after = wait_for_line(&url, &["bob", "cy"]);
    assert_eq!(after[0]["reservation"], before[0]["reservation"]);
    done(&["end", "--all", "--name", "ann", "--control", &url]);
    for waiting in [bob, cy] {
        let output = waiting.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[test]
fn a_board_goes_by_its_name() {
    let farm = Farm::start(2);
    let url = farm.control.url.as_str();
    let devices = done(&["devices", "--available", "--control", url]);
    let serial = devices.lines().nth(1).unwrap();
    let labels = done(&["label", serial, "name=rack2-p3", "colour=red", "--control", url]);
    assert_eq!(labels, "name=rack2-p3\ncolour=red\nsimulated=true\n");
    let other = devices.lines().next().unwrap();
    let taken = run(&["label", other, "name=rack2-p3", "--control", url]);
    assert!(stderr(&taken).contains("goes by `rack2-p3` already"), "{}", stderr(&taken));

    let by_label =
        done(&["reserve", "1", "--label", "colour=red", "--name", "ann", "--control", url]);
    assert!(by_label.starts_with(serial) && by_label.contains("rack2-p3"), "{by_label}");
    let board = done(&["board", "rack2-p3", "--control", url]);
    assert!(board.contains(serial) && board.contains("ann"), "{board}");
    assert_eq!(done(&["end", "rack2-p3", "--name", "ann", "--control", url]).trim(), serial);
    farm.wait_for_boards(2);

    // Outcomes tell the name, which came to the worker with the lease.
    let circuit = crate::farm::circuit("pulses_1000.bin");
    let outcome = done(&["evaluate", &circuit, "--serial", "rack2-p3", "--json", "--control", url]);
    let outcome: Value = serde_json::from_str(outcome.trim()).unwrap();
    assert_eq!((&outcome["board"], outcome["serial"].as_str()), (&"rack2-p3".into(), Some(serial)));

    assert!(!done(&["label", "rack2-p3", "colour-", "--control", url]).contains("colour"));
    let none = run(&["reserve", "1", "--label", "colour=red", "--wait", "60", "--control", url]);
    assert!(stderr(&none).contains("no use to wait"), "{}", stderr(&none));
}
