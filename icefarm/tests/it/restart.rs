//! A control server that is killed forgets nothing.

use crate::farm::{Server, icefarm, run, stdout, wait_for, worker};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

#[test]
fn a_reservation_survives_kill_9_of_control_and_ends_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("farm.sqlite").display().to_string();
    let start = |listen: &str| {
        Server::start(&["control", "--listen", listen, "--db", &db, "--grace", "10"])
    };
    let control = start("127.0.0.1:0");
    let (url, address) = (control.url.clone(), control.address().to_owned());
    let _worker = worker(&url, 2);
    wait_for("two boards", || {
        let output = run(&["devices", "--available", "--control", &url]);
        (stdout(&output).lines().count() == 2).then_some(())
    });

    let reserve = ["reserve", "1", "--ttl", "2", "--name", "alice", "--control", &url];
    assert!(run(&reserve).status.success());
    control.kill();
    let _control = start(&address);

    let reserved = || {
        let output = run(&["devices", "--json", "--control", &url]);
        stdout(&output).lines().filter(|line| line.contains("\"alice\"")).count()
    };
    assert_eq!(reserved(), 1, "the reservation was forgotten");
    wait_for("the end of the reservation", || (reserved() == 0).then_some(()));
    wait_for("both boards", || {
        let output = run(&["devices", "--available", "--control", &url]);
        (stdout(&output).lines().count() == 2).then_some(())
    });
}

/// A farm in one process, once its board can be had, and its address.
fn up(db: &str, log: &std::path::Path) -> (Child, String) {
    let args = ["up", "--boards", "1", "--sim-speed", "50", "--listen", "127.0.0.1:0", "--db", db];
    let mut command = icefarm(&args);
    let child = command.stdout(Stdio::piped()).stderr(File::create(log).unwrap()).spawn();
    let mut child = child.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap().split_off("listening on ".len());
    let ready = lines.next().unwrap().unwrap();
    assert!(ready.starts_with("ready: 1"), "{ready}");
    (child, url)
}

/// Its own worker of before is no other one that has its name.
#[test]
fn a_farm_in_one_process_comes_back_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("farm.sqlite").display().to_string();
    let log = dir.path().join("log");
    let (mut first, url) = up(&db, &log);
    let reserved = stdout(&run(&["reserve", "1", "--name", "ann", "--control", &url]));
    let serial = reserved.split_whitespace().next().unwrap();
    first.kill().unwrap();
    first.wait().unwrap();

    let (mut second, url) = up(&db, &log);
    let board = || stdout(&run(&["board", serial, "--json", "--control", &url]));
    wait_for("the board", || board().contains("\"phase\":\"ready\"").then_some(()));
    let board = board();
    second.kill().unwrap();
    second.wait().unwrap();
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(!told.contains("has the name"), "{told}");
    assert!(board.contains("\"ann\""), "the reservation was forgotten: {board}");
}
