//! How control deals with workers that are slow, wrong, or gone.

use crate::farm::{Farm, until, wish};
use crate::http::{JSON, send};
use crate::worker::FakeWorker;
use icefarm_core::wire::ErrorCode;
use serde_json::json;

#[tokio::test]
async fn a_lease_is_brought_to_the_worker_until_it_takes_it() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    worker.fail("reserve", Some(ErrorCode::Internal));
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    until(async || worker.calls().len() >= 2).await;
    assert!(worker.take_calls().iter().all(|call| call == "reserve A 1"));
    worker.fail("reserve", None);
    until(async || worker.serving("A").is_some()).await;
    farm.post("/extendall", json!({"name": "ann"})).await.unwrap();
    until(async || worker.calls().contains(&"extend A 1".to_owned())).await;
    farm.post("/endall", json!({"name": "ann"})).await.unwrap();
    until(async || worker.serving("A").is_none()).await;
    assert_eq!(worker.take_calls().last().unwrap(), "end A 1");
}

#[tokio::test]
async fn what_workers_do_not_report_their_heartbeats_tell() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    worker.quiet(true);
    for lease in 1..=3 {
        let answer = farm.reserve(wish("ann", 1)).await.unwrap();
        assert_eq!(answer.boards[0].lease.0, lease);
        farm.post("/endall", json!({"name": "ann"})).await.unwrap();
        farm.until_available(1).await;
    }
}

#[tokio::test]
async fn a_lease_that_the_worker_refuses_for_good_ends() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut socket = farm.socket("ann", "s", None).await;
    worker.fail("reserve", Some(ErrorCode::BadArguments));
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    let failure = crate::events::next(&mut socket, "failure").await;
    let reason = failure.fields["reason"].as_str().unwrap();
    assert!(reason.contains("worker w refused") && reason.contains("the test wants it so"));
    farm.until_available(1).await;
    assert_eq!(worker.take_calls(), ["reserve A 1", "end A 1"]);
}

#[tokio::test]
async fn a_delivery_that_hangs_does_not_make_a_worker_look_dead() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A", "B"]).await;
    worker.hang(&["reserve"]);
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    until(async || worker.calls().len() == 1).await;
    // Many heartbeats later it still counts as there, and its other board is offered.
    let before = worker.heartbeats();
    until(async || worker.heartbeats() > before + 5).await;
    assert_eq!(farm.available().await, 1);
    // And the end of the lease overtakes the delivery.
    farm.post("/endall", json!({"name": "ann"})).await.unwrap();
    farm.until_available(2).await;
}

#[tokio::test]
async fn a_worker_that_restarts_is_given_its_leases_again() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut wish = wish("ann", 1);
    wish["args"] = json!({"window": 5});
    farm.post("/reserve", wish).await.unwrap();
    until(async || worker.serving("A").is_some()).await;
    worker.take_calls();
    worker.restart().await;
    until(async || worker.serving("A").is_some()).await;
    assert_eq!(worker.take_calls(), ["reserve A 1"]);
    assert_eq!(farm.get("/v1/leases").await.unwrap()[0]["lease"], 1);
}

#[tokio::test]
async fn boards_come_and_go() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A", "B", "C"]).await;
    let mut socket = farm.socket("ann", "s", None).await;
    farm.post("/reserve", wish("ann", 2)).await.unwrap();
    worker.unplug("A");
    let end = crate::events::next(&mut socket, "reservation end").await;
    assert_eq!(end.fields["reason"].as_str(), Some("board_gone"));
    until(async || worker.serving("B").is_some()).await;
    worker.give_up("B", "the FPGA did not start");
    let failure = crate::events::next(&mut socket, "failure").await;
    assert_eq!(failure.fields["reason"].as_str(), Some("the FPGA did not start"));
    farm.until_available(2).await;
    let reached = farm.post("/delete", json!({"serials": ["C", "C"]})).await.unwrap();
    assert_eq!(reached, json!(["C"]));
    assert_eq!(farm.status("C").await, None);
}

#[tokio::test]
async fn only_reached_boards_are_answered() {
    let farm = Farm::on_tcp().await;
    let dead = FakeWorker::join(&farm, "dead", &["A"]).await;
    let _alive = FakeWorker::join(&farm, "alive", &["B"]).await;
    dead.fail("reboot", Some(ErrorCode::Internal));
    let all = json!({"serials": ["A", "B"]});
    assert_eq!(farm.post("/reboot", all.clone()).await.unwrap(), json!(["B"]));
    dead.kill();
    assert_eq!(farm.post("/delete", all).await.unwrap(), json!(["B"]));
}

#[tokio::test]
async fn a_living_worker_is_not_taken_over_at_its_own_address() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    until(async || worker.serving("A").is_some()).await;
    let mut thief = worker.registration();
    thief.incarnation = "another".into();
    thief.secret = "another".into();
    let body = serde_json::to_value(&thief).unwrap();
    let error = farm.post("/worker/register", body).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(error.message.contains("give this one another name"), "{error}");
    let before = worker.heartbeats();
    until(async || worker.heartbeats() > before + 2).await;
    assert_eq!(farm.get("/v1/leases").await.unwrap()[0]["lease"], 1);
    // Nor by somebody who waits until it is gone.
    let url = worker.url();
    worker.kill();
    thief.url = Some(url);
    let body = serde_json::to_value(&thief).unwrap();
    let error = farm.post("/worker/register", body).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
}

#[tokio::test]
async fn a_living_worker_keeps_its_name_and_its_boards() {
    let farm = Farm::on_tcp().await;
    let _first = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut same_name = FakeWorker::start(&farm, "w", &["B"]).await.registration();
    same_name.incarnation = "another".into();
    let body = serde_json::to_value(&same_name).unwrap();
    let error = farm.post("/worker/register", body).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);

    let second = FakeWorker::start(&farm, "x", &["A", "C"]).await;
    second.register().await.unwrap();
    farm.until_available(2).await;
    let boards = farm.boards().await;
    assert_eq!((&boards[0]["serial"], &boards[0]["worker"]), (&json!("A"), &json!("w")));
    let page = send(&farm.control, "GET /", "", "").await.body;
    assert!(page.contains("worker x reports boards that another worker has"));
}

#[tokio::test]
async fn reports_need_the_secret_and_the_present_incarnation() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let report = |worker: &str, incarnation: &str| {
        json!({"worker": worker, "incarnation": incarnation, "boards": [], "gone": ["A"]})
            .to_string()
    };
    let secret = worker.registration().secret;
    let as_worker = format!("{JSON}Authorization: Bearer {secret}\r\n");
    let tell = async |headers: &str, body: String| {
        let answer = send(&farm.control, "POST /worker/boards", headers, &body).await;
        (answer.status, answer.body)
    };
    assert_eq!(tell(JSON, report("w", "w-1")).await.0, 401);
    assert_eq!(tell(&as_worker, report("x", "w-1")).await.0, 404);
    assert_eq!(tell(&as_worker, report("w", "w-0")).await.0, 409);
    let (status, body) = tell(&as_worker, r#"{"worker": "w", "incarnation": 5}"#.into()).await;
    assert!(status == 400 && body.contains("`incarnation`"), "{body}");
    assert_eq!(farm.available().await, 1);
    assert_eq!(tell(&as_worker, report("w", "w-1")).await.0, 200);
    // It is back with the next heartbeat, which knows better.
    until(async || farm.status("A").await.is_some()).await;
}

#[tokio::test]
async fn registrations_are_checked() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::start(&farm, "w", &["A"]).await;
    let with = |key: &str, value: serde_json::Value| {
        let mut body = serde_json::to_value(worker.registration()).unwrap();
        body[key] = value;
        body
    };
    let refused = async |body| farm.post("/worker/register", body).await.unwrap_err();
    let error = refused(with("protocol", json!("2.0"))).await;
    assert_eq!(error.code, ErrorCode::VersionMismatch);
    let error = refused(with("url", json!("w:8081"))).await;
    assert!(error.message.contains("`url`"), "{error}");
    let error = refused(with("boards", json!([{"serial": 5}]))).await;
    assert!(error.message.contains("serial"), "{error}");
    let answer = farm.post("/worker/register", with("url", json!("http://localhost:9/"))).await;
    assert_eq!(answer.unwrap()["url"], "http://localhost:9");
}
