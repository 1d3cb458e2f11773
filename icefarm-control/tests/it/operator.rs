//! What an operator does to boards and workers.

use crate::events::next;
use crate::farm::{Farm, until, wish};
use crate::http::{JSON, send};
use crate::worker::FakeWorker;
use icefarm_core::wire::ErrorCode;
use serde_json::json;

#[tokio::test]
async fn an_operator_ends_a_lease_and_the_holder_is_told() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut socket = farm.socket("ann", "s", None).await;
    let error = farm.post("/v1/boards/A/end", json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotReserved);

    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    until(async || worker.serving("A").is_some()).await;
    let error = farm.post("/v1/boards/A/end", json!({"lease": 7})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(error.message.contains("ann holds it now, under lease 1"), "{error}");

    let answer = farm.post("/v1/boards/A/end", json!({"lease": 1})).await.unwrap();
    assert_eq!(answer, json!({"serial": "A", "lease": 1, "client": "ann", "reached": true}));
    let end = next(&mut socket, "reservation end").await;
    assert_eq!(end.fields["reason"].as_str(), Some("revoked"));
    assert_eq!(end.fields["message"].as_str(), Some("an operator ended it"));
    until(async || worker.serving("A").is_none()).await;
    farm.until_available(1).await;
}

#[tokio::test]
async fn reboot_and_delete_go_to_the_worker() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let answer = farm.post("/v1/boards/A/reboot", json!({})).await.unwrap();
    assert_eq!(answer["reached"], true);
    let page = farm.get("/v1/events?limit=1").await.unwrap();
    assert_eq!(page["events"][0]["what"], "board_rebooted");
    worker.fail("reboot", Some(ErrorCode::NotReserved));
    let error = farm.post("/v1/boards/A/reboot", json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotReserved, "the worker's own word");

    farm.post("/v1/boards/A/delete", json!({})).await.unwrap();
    assert_eq!(worker.take_calls(), ["reboot A", "reboot A", "delete A"]);
    until(async || farm.boards().await.is_empty()).await;
    let error = farm.post("/v1/boards/A/delete", json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UnknownSerial);
}

#[tokio::test]
async fn whoever_holds_a_deleted_board_is_told_that_it_was_deleted() {
    // Both ways, however fast the worker reports that it cannot go on.
    for path in ["/delete", "/v1/boards/A/delete"] {
        let farm = Farm::on_tcp().await;
        let worker = FakeWorker::join(&farm, "w", &["A"]).await;
        let mut socket = farm.socket("ann", "s", None).await;
        farm.post("/reserve", wish("ann", 1)).await.unwrap();
        until(async || worker.serving("A").is_some()).await;
        farm.post(path, json!({"serials": ["A"]})).await.unwrap();
        let end = next(&mut socket, "reservation end").await;
        assert_eq!(end.fields["reason"].as_str(), Some("board_deleted"), "{path}");
        assert_eq!(end.fields["message"].as_str(), Some("an operator deleted the board"));
        assert!(farm.boards().await.is_empty());
    }
}

#[tokio::test]
async fn boards_of_a_worker_that_is_gone_can_be_forgotten() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A", "B", "C"]).await;
    farm.post("/reserve", json!({"amount": 1, "name": "ann", "kind": "pulse count"}))
        .await
        .unwrap();
    let error = farm.post("/v1/workers/w/forget", json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "it is there");
    worker.kill();
    let is_gone = async || farm.get("/v1/workers").await.unwrap()[0]["reachable"] == false;
    until(is_gone).await;

    let answer = farm.post("/v1/boards/A/delete", json!({})).await.unwrap();
    assert_eq!(answer, json!({"serial": "A", "lease": 1, "client": "ann", "reached": false}));
    assert_eq!(farm.post("/delete", json!({"serials": ["B"]})).await.unwrap(), json!(["B"]));
    assert_eq!(farm.boards().await.len(), 1);
    assert_eq!(farm.get("/v1/leases").await.unwrap(), json!([]));
    farm.post("/v1/workers/w/forget", json!({})).await.unwrap();
    assert!(farm.boards().await.is_empty());
    assert_eq!(farm.get("/v1/workers").await.unwrap(), json!([]));
}

#[tokio::test]
async fn no_foreign_page_can_do_it() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    until(async || worker.serving("A").is_some()).await;
    let foreign = format!("{JSON}Origin: http://evil.example\r\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let text = "Content-Type: text/plain\r\n";
    for (request, headers, body, status) in [
        ("POST /v1/boards/A/end", foreign.as_str(), "{}", 403),
        ("POST /v1/boards/A/end", form, "a=b", 415),
        ("POST /v1/boards/A/end", text, "{}", 415),
        ("POST /v1/boards/A/end", JSON, "", 400),
        ("GET /v1/boards/A/end", "", "", 405),
        ("GET /v1/boards/A/end", JSON, "{}", 405),
        ("POST /v1/boards/A/paint", JSON, "{}", 404),
        ("POST /v1/workers/w/forget", foreign.as_str(), "{}", 403),
        ("POST /v1/workers/w/forget", JSON, "", 400),
        ("GET /v1/workers/w/forget", "", "", 405),
    ] {
        let answer = send(&farm.control, request, headers, body).await;
        assert_eq!(answer.status, status, "{request} {headers} {body}: {}", answer.body);
    }
    assert!(worker.serving("A").is_some());
}
