//! Commands and their answers.

use crate::farm::{TEXT, client, farm, masked};
use icefarm_net::HubConfig;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

fn command(event: &str, n: u64, id: Option<&str>) -> Value {
    let mut command = json!({"serial": "A", "event": event, "contents": {"n": n}});
    if let Some(id) = id {
        command["id"] = id.into();
    }
    command
}

#[tokio::test]
async fn each_board_answers_once() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.v1("&sub=a").await;
    socket.json().await;
    let both = json!({"serial": ["A", "B"], "event": "getdata", "contents": {"n": 1}, "id": "1"});
    socket.command(both).await;
    for serial in ["A", "B"] {
        let reply = json!({"event": "reply", "id": "1", "value": {"n": 1}});
        assert_eq!(socket.json().await, json!({"serial": serial, "contents": [reply]}));
    }
}

#[tokio::test]
async fn no_board_waits_for_a_slower_one() {
    let farm = farm(HubConfig::default());
    let mut first = farm.v1("&sub=a").await;
    first.json().await;
    let both = json!({"serial": ["B", "A"], "event": "slow B", "id": "1"});
    first.command(both.clone()).await;
    assert_eq!(first.json().await["serial"], "A");
    drop(first);
    farm.logged("closed tester").await;
    // Over another socket nothing is run again, and what is there is told again.
    let mut second = farm.v1("&sub=a").await;
    second.json().await;
    second.command(both.clone()).await;
    assert_eq!(second.json().await["serial"], "A");
    farm.boards.go_on.notify_one();
    assert_eq!(second.json().await["serial"], "B");
    second.command(both).await;
    assert_eq!(second.json().await["serial"], "A");
    assert_eq!(second.json().await["serial"], "B");
    assert_eq!(farm.boards.count("slow B 0"), 1);
}

#[tokio::test]
async fn without_an_id_only_errors_are_answered() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.plain().await;
    for event in ["getdata", "fail", "panic", "panic later"] {
        socket.command(command(event, 1, None)).await;
    }
    let error = json!({"event": "error", "code": "command_failed", "message": "it does", "n": 1});
    assert_eq!(socket.json().await, json!({"serial": "A", "contents": [error]}));
    for _ in 0..2 {
        let error = socket.json().await["contents"][0].clone();
        assert_eq!((&error["event"], &error["code"]), (&json!("error"), &json!("internal")));
        assert_eq!(error.get("id"), None);
        assert!(!error["message"].as_str().unwrap().contains("on purpose"));
    }
    socket.command(command("fail", 1, Some("x"))).await;
    assert_eq!(socket.json().await["contents"][0]["id"], "x");
}

#[tokio::test]
async fn a_repeated_command_is_answered_from_memory() {
    let farm = farm(HubConfig::default());
    for socket in 0..2 {
        let mut socket = farm.v1(&format!("&sub=a&socket={socket}")).await;
        socket.json().await;
        for _ in 0..2 {
            socket.command(command("getdata", 7, Some("same"))).await;
            assert_eq!(socket.json().await["contents"][0]["value"], json!({"n": 7}));
        }
    }
    assert_eq!(farm.boards.count("getdata 7"), 1);
    // The id belongs to the subscriber.
    let mut other = farm.v1("&sub=b").await;
    other.json().await;
    other.command(command("getdata", 7, Some("same"))).await;
    other.json().await;
    assert_eq!(farm.boards.count("getdata 7"), 2);
}

#[tokio::test]
async fn a_repeated_command_that_still_runs_is_waited_for() {
    let farm = farm(HubConfig::default());
    let mut first = farm.v1("&sub=a").await;
    first.json().await;
    first.command(command("slow", 1, Some("same"))).await;
    farm.logged("slow 1").await;
    drop(first);
    farm.logged("closed tester").await;

    let mut second = farm.v1("&sub=a").await;
    second.json().await;
    second.command(command("slow", 1, Some("same"))).await;
    // Answers of others are not held up by it.
    second.command(command("getdata", 2, Some("other"))).await;
    assert_eq!(second.json().await["contents"][0]["id"], "other");
    farm.boards.go_on.notify_one();
    assert_eq!(second.json().await["contents"][0]["id"], "same");
    assert_eq!(farm.boards.count("slow 1"), 1);
}

#[tokio::test]
async fn commands_reach_the_service_in_order() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.plain().await;
    let mut bytes = Vec::new();
    let mut expected = vec!["opened tester".to_owned(), "alive tester".to_owned()];
    for n in 0..200 {
        let event = if n % 3 == 0 { "slow" } else { "getdata" };
        bytes.extend(masked(TEXT, command(event, n, None).to_string().as_bytes()));
        expected.push(format!("{event} {n}"));
    }
    socket.io.write_all(&bytes).await.unwrap();
    farm.logged("getdata 199").await;
    assert_eq!(farm.boards.log(), expected);
}

#[tokio::test]
async fn only_so_many_commands_run_at_a_time() {
    let mut config = HubConfig::default();
    config.in_flight = 2;
    let farm = farm(config);
    let mut socket = farm.v1("&sub=a").await;
    socket.json().await;
    for id in ["1", "2", "3"] {
        socket.command(command("slow", 0, Some(id))).await;
    }
    let refused = socket.json().await["contents"][0].clone();
    assert_eq!((&refused["id"], &refused["code"]), (&json!("3"), &json!("overloaded")));
    farm.boards.go_on.notify_waiters();
    for _ in 0..2 {
        assert_eq!(socket.json().await["contents"][0]["event"], "reply");
    }
    // What was refused is not remembered as done.
    socket.command(command("getdata", 0, Some("3"))).await;
    assert_eq!(socket.json().await["contents"][0]["event"], "reply");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_its_answers_has_no_further_commands_read() {
    let mut config = HubConfig::default();
    config.unwritten = 100_000;
    let farm = farm(config);
    let io = farm.dial_with(1000).await;
    let mut socket = crate::farm::RawSocket::open(io, "/ws?client_id=tester").await;
    let mut big = command("getdata", 1, Some("1"));
    big["contents"]["data"] = "x".repeat(10_000).into();
    let writing = async {
        for id in 0..1000 {
            big["id"] = id.to_string().into();
            socket.command(big.clone()).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), writing).await.is_err());
    let taken = farm.boards.count("getdata 1");
    assert!((5..50).contains(&taken), "{taken}");
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_are_told_now_and_then() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.plain().await;
    for n in 0..100 {
        socket.command(command("getdata", n, None)).await;
        farm.logged(&format!("getdata {n}")).await;
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert_eq!(farm.boards.count("alive tester"), 2);
    assert!(farm.hub.connected(&client()));
}

#[tokio::test]
async fn ids_are_bounded() {
    let farm = farm(HubConfig::default());
    let mut socket = farm.plain().await;
    socket.command(command("getdata", 1, Some(&"x".repeat(129)))).await;
    let error = socket.json().await["contents"][0].clone();
    assert_eq!(error["message"], "`id` has more than 128 bytes");
    assert_eq!(farm.boards.count("getdata 1"), 0);
}
