//! A control server that is killed forgets nothing.

use crate::farm::{Server, run, stdout, wait_for, worker};

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
