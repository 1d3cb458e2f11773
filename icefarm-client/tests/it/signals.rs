//! A process that is asked to stop gives its boards back first.
//!
//! The process is this test program again, which runs the test [`holder`] alone.

use crate::farm::{SOON, Server, granted};
use icefarm_client::{Client, ReserveOptions};
use serde_json::json;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const CONTROL: &str = "ICEFARM_TEST_CONTROL";
const DECIDES: &str = "ICEFARM_TEST_DECIDES";

/// What the other process does; nothing in an ordinary run of the tests.
#[tokio::test]
async fn holder() {
    let Ok(control) = std::env::var(CONTROL) else { return };
    let client = Client::builder(control).name("me").connect().await.unwrap();
    // Closing it must not take the signals from the other one.
    let other = client.clone();
    other.end_on_signals().unwrap();
    let stop = client.give_back_on_signals().unwrap();
    assert_eq!(stop.received(), None);
    client.reserve(ReserveOptions::new(1, "k")).await.unwrap();
    say("holding");
    if std::env::var_os(DECIDES).is_some() {
        let signal = stop.await;
        say(&format!("{signal} {}", signal.status()));
        std::process::exit(7);
    }
    drop(stop);
    std::future::pending().await
}

#[allow(clippy::print_stdout, reason = "the other process is read by its test")]
fn say(text: &str) {
    println!("\n{text}");
}

struct Holder {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
    control: Server,
}

impl Holder {
    /// Starts the other process and grants it a board.
    async fn start(decides: bool) -> Self {
        let mut control = Server::start().await;
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "signals::holder", "--nocapture"]).env(CONTROL, &control.url);
        if decides {
            command.env(DECIDES, "1");
        }
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        let call = control.call("/reserve").await;
        call.answer(granted(&[("A", "http://127.0.0.1:1")]));
        let mut holder = Self { process, said, control };
        holder.says("holding").await;
        holder
    }

    async fn says(&mut self, wanted: &str) {
        while let Some(line) = self.said.next_line().await.unwrap() {
            if line == wanted {
                return;
            }
        }
        panic!("the process ended without saying {wanted:?}");
    }

    async fn signal(&self, name: &str) {
        let id = self.process.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
        assert!(sent.success());
    }

    async fn status(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(SOON, self.process.wait()).await;
        ended.expect("an end").unwrap().code()
    }
}

#[tokio::test]
async fn boards_are_given_back_and_the_process_ends_with_the_usual_status() {
    for (name, status) in [("TERM", 143), ("INT", 130)] {
        let mut holder = Holder::start(false).await;
        holder.signal(name).await;
        holder.control.call("/endall").await.answer(json!(["A"]));
        assert_eq!(holder.status().await, Some(status));
    }
}

#[tokio::test]
async fn the_program_may_decide_how_it_ends() {
    let mut holder = Holder::start(true).await;
    holder.signal("TERM").await;
    holder.control.call("/endall").await.answer(json!(["A"]));
    holder.says("SIGTERM 143").await;
    assert_eq!(holder.status().await, Some(7));
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let mut holder = Holder::start(true).await;
    holder.signal("TERM").await;
    // Never answered.
    let _call = holder.control.call("/endall").await;
    holder.signal("INT").await;
    assert_eq!(holder.status().await, Some(143));
}
