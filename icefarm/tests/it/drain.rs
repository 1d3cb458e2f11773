//! Workers that stop, and what operators take out of service.

use crate::farm::{Farm, Server, circuit, icefarm, run, stderr, stdout, wait_for};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

struct Lab {
    control: Server,
    _folder: tempfile::TempDir,
}

impl Lab {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("farm.sqlite").display().to_string();
        let control = Server::start(&["control", "--listen", "127.0.0.1:0", "--db", &db]);
        Self { control, _folder: folder }
    }

    fn url(&self) -> &str {
        &self.control.url
    }

    /// A worker with two boards.
    fn worker(&self, drain: &str, speed: &str) -> Server {
        let worker = Server::start(&[
            "worker",
            "--listen",
            "127.0.0.1:0",
            "--control",
            self.url(),
            "--name",
            "bench",
            "--sim",
            "2",
            "--sim-speed",
            speed,
            "--drain",
            drain,
        ]);
        self.wait_for_boards(2);
        worker
    }

    fn wait_for_boards(&self, boards: usize) {
        wait_for(&format!("{boards} boards"), || {
            let output = run(&["devices", "--available", "--control", self.url()]);
            (stdout(&output).lines().count() == boards).then_some(())
        });
    }

    fn status(&self) -> Value {
        let output = run(&["status", "--json", "--control", self.url()]);
        serde_json::from_str(&stdout(&output)).unwrap()
    }

    fn reserve(&self, name: &str) -> String {
        let output = run(&["reserve", "1", "--name", name, "--json", "--control", self.url()]);
        assert!(output.status.success(), "{}", stderr(&output));
        let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
        answer["boards"][0]["serial"].as_str().unwrap().to_owned()
    }

    fn wait_until_it_stops(&self) {
        wait_for("the word that the worker stops", || {
            self.status()["workers"][0]["stops"].is_string().then_some(())
        });
    }
}

#[test]
fn a_worker_waits_for_its_reservations_and_leaves_in_good_order() {
    let lab = Lab::start();
    let mut worker = lab.worker("600", "50");
    lab.reserve("alice");
    worker.signal();
    lab.wait_until_it_stops();
    let text = stdout(&run(&["status", "--control", lab.url()]));
    assert!(text.contains("reachable, stopping"), "{text}");
    let refused = run(&["reserve", "1", "--name", "bob", "--control", lab.url()]);
    assert_eq!(refused.status.code(), Some(1), "nothing new is placed on it");
    assert_eq!(lab.status()["status"]["boards"]["reserved"], 1);

    let ended = run(&["end", "--all", "--name", "alice", "--control", lab.url()]);
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert!(worker.ended().success());
    let status = lab.status();
    assert_eq!(status["workers"][0]["contact"], "left");
    assert_eq!(status["status"]["boards"]["offline"], 2);
    // The next start knows nothing of it.
    let _worker = lab.worker("0", "50");
    assert_eq!(lab.status()["workers"][0]["contact"], "reachable");
}

#[test]
fn a_second_signal_stops_a_worker_at_once() {
    let lab = Lab::start();
    let mut worker = lab.worker("86400", "50");
    lab.reserve("alice");
    worker.signal();
    lab.wait_until_it_stops();
    worker.signal();
    assert!(worker.ended().success());
    // It does not wait for long until control has written down that it left.
    wait_for("the worker to have left", || {
        let status = lab.status();
        (status["workers"][0]["contact"] == "left").then_some(())
    });
    assert_eq!(lab.status()["leases"], serde_json::json!([]));
}

#[test]
fn circuits_that_are_open_when_a_worker_stops_fail_by_name() {
    let lab = Lab::start();
    let mut worker = lab.worker("0", "1");
    let list = tempfile::NamedTempFile::new().unwrap();
    let one = circuit("pulses_1000.bin");
    std::fs::write(list.path(), format!("{one}\n").repeat(400)).unwrap();
    let list = format!("@{}", list.path().display());
    let arguments = ["evaluate", &list, "--boards", "2", "--place", "any", "--json"];
    let mut command = icefarm(&arguments);
    let command = command.args(["--arg", "flush_interval_seconds=0.1", "--control", lab.url()]);
    let mut evaluating = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(evaluating.stdout.take().unwrap()).lines();
    let read = |line: String| -> Value { serde_json::from_str(&line).unwrap() };
    let mut outcomes = vec![read(lines.next().unwrap().unwrap())];
    assert_eq!(outcomes[0]["outcome"], "reading", "it is at work");
    worker.signal();
    outcomes.extend(lines.map(|line| read(line.unwrap())));
    assert_eq!(evaluating.wait().unwrap().code(), Some(3), "some were not read");
    assert_eq!(outcomes.len(), 400, "each circuit has an outcome");
    let ids: BTreeSet<&str> = outcomes.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 400, "and only one");
    for line in outcomes.iter().filter(|line| line["outcome"] != "reading") {
        assert_eq!(line["outcome"], "failed", "{line}");
        let reason = line["reason"].as_str().unwrap();
        assert!(reason.contains("was stopped") || line["code"] == "no_board_left", "{line}");
    }
    assert!(worker.ended().success());
}

#[test]
fn an_operator_takes_boards_and_workers_out_of_service() {
    let farm = Farm::start(2);
    let url = farm.control.url.as_str();
    let output = run(&["reserve", "1", "--name", "alice", "--json", "--control", url]);
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let serial = answer["boards"][0]["serial"].as_str().unwrap();

    let said = stdout(&run(&["drain", "bench", "--control", url]));
    assert!(
        said.contains("worker bench is out of service once") && said.contains(serial),
        "{said}"
    );
    let status = stdout(&run(&["status", "--control", url]));
    assert!(status.contains("reachable, draining") && status.contains("1 draining"), "{status}");
    let board = stdout(&run(&["board", serial, "--control", url]));
    assert!(board.contains("nobody gets it after"), "{board}");
    let said = stdout(&run(&["drain", serial, "--control", url]));
    assert_eq!(said.trim(), format!("board {serial} is out of service once its holder is done"));

    let said = stdout(&run(&["drain", "bench", "--off", "--json", "--control", url]));
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&answer["worker"], &answer["draining"]), (&"bench".into(), &false.into()));
    farm.wait_for_boards(1);
    assert!(run(&["end", "--all", "--name", "alice", "--control", url]).status.success());
    let said = stdout(&run(&["undrain", serial, "--control", url]));
    assert_eq!(said.trim(), format!("board {serial} is back in service"));
    farm.wait_for_boards(2);

    let nothing = run(&["drain", "nowhere", "--control", url]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(stderr(&nothing).contains("neither a worker nor a board"), "{}", stderr(&nothing));
}

#[test]
fn a_farm_in_one_process_waits_for_its_reservations_or_is_told_not_to() {
    let up = || {
        let args = ["up", "--boards", "1", "--sim-speed", "50", "--drain", "86400"];
        let server = Server::start(&[&args[..], &["--listen", "127.0.0.1:0"]].concat());
        let url = server.url.clone();
        wait_for("a board", || {
            let output = run(&["devices", "--available", "--control", &url]);
            (stdout(&output).lines().count() == 1).then_some(())
        });
        let reserved = run(&["reserve", "1", "--name", "alice", "--control", &url]);
        assert!(reserved.status.success(), "{}", stderr(&reserved));
        server.signal();
        wait_for("the word that it stops", || {
            let text = stdout(&run(&["status", "--control", &url]));
            text.contains("reachable, stopping").then_some(())
        });
        (server, url)
    };
    let (mut server, url) = up();
    let ended = run(&["end", "--all", "--name", "alice", "--control", &url]);
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert!(server.ended().success());

    let (mut server, _) = up();
    server.signal();
    assert!(server.ended().success());
}
