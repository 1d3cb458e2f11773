//! The small commands, and what they say when something is wrong.

use crate::farm::{Farm, Server, run, stderr, stdout, wait_for};

#[test]
fn boards_are_reserved_rebooted_and_ended_by_hand() {
    let farm = Farm::start(2);
    let url = farm.control.url.as_str();
    let reserved = run(&["reserve", "1", "--name", "alice", "--control", url]);
    assert!(reserved.status.success(), "{}", stderr(&reserved));
    let serial = stdout(&reserved).split_whitespace().next().unwrap().to_owned();

    let too_many = run(&["reserve", "2", "--name", "bob", "--control", url]);
    assert_eq!(too_many.status.code(), Some(1));
    assert!(stderr(&too_many).contains("1"), "{}", stderr(&too_many));

    let board = || stdout(&run(&["board", &serial, "--json", "--control", url]));
    wait_for("the board", || board().contains("\"phase\":\"ready\"").then_some(()));
    let rebooted = run(&["reboot", &serial, "--name", "alice", "--control", url]);
    assert!(rebooted.status.success(), "{}", stderr(&rebooted));
    let not_all = run(&["reboot", &serial, "NOBODY", "--name", "alice", "--control", url]);
    assert_eq!((not_all.status.code(), stdout(&not_all).trim()), (Some(1), serial.as_str()));
    assert!(stderr(&not_all).contains("`NOBODY` was not rebooted"), "{}", stderr(&not_all));
    let ended = run(&["end", "--all", "--name", "alice", "--control", url]);
    assert_eq!(stdout(&ended).trim(), serial);
    let again = run(&["end", &serial, "--name", "alice", "--control", url]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains(&serial), "{}", stderr(&again));
    farm.wait_for_boards(2);
}

#[test]
fn wrong_arguments_are_named_before_a_board_is_touched() {
    let farm = Farm::start(1);
    let url = farm.control.url.as_str();
    let kind = run(&["reserve", "1", "--kind", "nonsense", "--control", url]);
    assert_eq!(kind.status.code(), Some(1));
    assert!(stderr(&kind).contains("nonsense") && stderr(&kind).contains("pulsecount"));

    let value = run(&["reserve", "1", "--arg", "flush_interval_seconds=soon", "--control", url]);
    assert_eq!(value.status.code(), Some(1));
    assert!(stderr(&value).contains("expected a number"), "{}", stderr(&value));

    let key = run(&["reserve", "1", "--arg", "flush=3", "--control", url]);
    assert_eq!(key.status.code(), Some(1));
    assert!(stderr(&key).contains("`flush`"), "{}", stderr(&key));
    farm.wait_for_boards(1);
}

#[test]
fn servers_stay_on_loopback_unless_told_otherwise() {
    for server in [["control", "--listen", "0.0.0.0:0"], ["worker", "--listen", "0.0.0.0:0"]] {
        let output = run(&server);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("--insecure"), "{}", stderr(&output));
    }
}

#[test]
fn a_farm_that_is_not_there_is_said_to_be_not_there() {
    let free = Server::start(&["up", "--boards", "1", "--listen", "127.0.0.1:0"]);
    let url = free.url.clone();
    free.kill();
    let output = run(&["devices", "--control", &url]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&url), "{}", stderr(&output));
}

#[test]
fn no_board_at_all_is_nothing_to_reserve() {
    let output = run(&["reserve", "0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("'0' for '[N]'"), "{}", stderr(&output));
}

#[test]
fn a_server_ends_when_it_is_asked_to() {
    let mut up = Server::start(&["up", "--boards", "2", "--listen", "127.0.0.1:0"]);
    assert!(up.terminate().success());
}
