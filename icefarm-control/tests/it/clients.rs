//! What clients ask for, in all its shapes.

use crate::farm::{Farm, until, wish};
use crate::http::{JSON, send};
use crate::worker::FakeWorker;
use icefarm_core::wire::ErrorCode;
use serde_json::{Value, json};

#[tokio::test]
async fn boards_are_reserved_extended_and_ended() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A", "B", "C"]).await;
    assert_eq!(farm.get("/devices").await.unwrap(), json!(["A", "B", "C"]));

    let map = farm.post("/reserve", wish("ann", 2)).await.unwrap();
    assert_eq!(map, json!({"A": worker.url(), "B": worker.url()}));
    assert_eq!(farm.get("/available").await.unwrap(), json!({"amount": 1}));

    let named = json!({"serials": ["C"], "name": "bob", "kind": "pulse count"});
    let map = farm.post("/reserveserials", named).await.unwrap();
    assert_eq!(map, json!({"C": worker.url()}));
    assert_eq!(farm.get("/devices").await.unwrap(), json!([]));

    let some = json!({"name": "ann", "serials": ["B", "C", "A", "B"]});
    assert_eq!(farm.post("/extend", some.clone()).await.unwrap(), json!(["B", "A"]));
    assert_eq!(farm.post("/extendall", json!({"name": "ann"})).await.unwrap(), json!(["A", "B"]));
    assert_eq!(farm.post("/extendall", json!({"name": "eve"})).await.unwrap(), json!([]));

    assert_eq!(farm.post("/end", some).await.unwrap(), json!(["B", "A"]));
    assert_eq!(farm.post("/endall", json!({"name": "ann"})).await.unwrap(), json!([]));
    assert_eq!(farm.post("/endall", json!({"name": "bob"})).await.unwrap(), json!(["C"]));
    farm.until_available(3).await;
    assert_eq!(worker.serving("A"), None);
}

#[tokio::test]
async fn the_full_answer_has_leases_and_times() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let mut wish = wish("ann", 1);
    wish["ttl_s"] = json!(60);
    wish["request"] = json!("q1");
    let answer = farm.reserve(wish.clone()).await.unwrap();
    assert_eq!(answer.boards.len(), 1);
    assert_eq!((answer.boards[0].url.clone(), answer.boards[0].lease.0), (worker.url(), 1));
    assert_eq!(answer.boards[0].expires_in_ms, 60_000);

    // The answer was lost on its way, and the client asks again.
    let again = farm.reserve(wish.clone()).await.unwrap();
    assert_eq!(again.reservation, answer.reservation);
    assert_eq!(again.boards[0].lease, answer.boards[0].lease);
    assert_eq!(farm.boards().await[0]["lease"]["lease"], 1);

    let boards = farm.boards().await;
    assert_eq!(boards[0]["status"], "reserved");
    assert_eq!(boards[0]["lease"]["client"], "ann");
    let leases = farm.get("/v1/leases").await.unwrap();
    assert_eq!(leases[0]["reservation"], answer.reservation.as_str());
    let workers = farm.get("/v1/workers").await.unwrap();
    assert_eq!((&workers[0]["name"], &workers[0]["reachable"]), (&json!("w"), &json!(true)));
    assert!(!workers.to_string().contains("secret"));
}

#[tokio::test]
async fn the_python_clients_are_answered_in_rows() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let python = format!("User-Agent: python-requests/2.34.2\r\nAccept: */*\r\n{JSON}");
    let ask = async |path: &str, body: &str| {
        let answer = send(&farm.control, &format!("GET {path}"), &python, body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.head.contains("content-type: application/json"));
        answer.json()
    };
    assert_eq!(ask("/available", "{}").await, json!({"amount": 1}));
    assert_eq!(ask("/devices", "{}").await, json!(["A"]));
    let rows =
        ask("/reserve", r#"{"amount": 1, "name": "a b", "kind": "pulse count", "args": {}}"#).await;
    let port = worker.url().rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    let row = json!({"serial": "A", "url": worker.url(), "ip": "127.0.0.1", "serverport": port});
    assert_eq!(rows, json!([row]));
    assert_eq!(ask("/extendall", r#"{"name": "a b"}"#).await, json!(["A"]));
    assert_eq!(ask("/reboot", r#"{"serials": ["A"]}"#).await, json!(["A"]));
    assert_eq!(ask("/endall", r#"{"name": "a b"}"#).await, json!(["A"]));
    assert_eq!(ask("/end", r#"{"name": "a b", "serials": ["A"]}"#).await, json!([]));
    let none = r#"{"serials": [], "name": "a b", "kind": "pulse count", "args": {}}"#;
    assert_eq!(ask("/reserveserials", none).await, json!([]));
}

#[tokio::test]
async fn errors_say_what_is_wrong_and_change_nothing() {
    let farm = Farm::on_tcp().await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    let refused = async |path: &str, change: Value| {
        let mut body = wish("ann", 1);
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        farm.post(path, body).await.unwrap_err()
    };
    for (change, code, part) in [
        (json!({"amount": 2}), ErrorCode::NotEnoughDevices, "1 can be had"),
        (json!({"kind": "puls"}), ErrorCode::UnknownKind, "kinds: pulse count"),
        (json!({"args": {"windw": 1}}), ErrorCode::BadArguments, "`windw`"),
        (json!({"args": {"window": "1"}}), ErrorCode::BadArguments, "expected a number"),
        (json!({"amount": "many"}), ErrorCode::BadRequest, "`amount`"),
        (json!({"amount": -1}), ErrorCode::BadRequest, "`amount`"),
        (json!({"amount": null}), ErrorCode::BadRequest, "`amount`"),
        (json!({"name": ""}), ErrorCode::BadRequest, "`name`"),
        (json!({"args": []}), ErrorCode::BadRequest, "`args`"),
        (json!({"ttl_s": 0}), ErrorCode::BadRequest, "`ttl_s`"),
    ] {
        let error = refused("/reserve", change.clone()).await;
        assert_eq!(error.code, code, "{change}: {error}");
        assert!(error.message.contains(part), "{change}: {error}");
    }
    let error = refused("/reserveserials", json!({"serials": ["A", "X"]})).await;
    assert_eq!((error.code, error.message.contains("`X`")), (ErrorCode::UnknownSerial, true));
    let missing = farm.post("/reserveserials", wish("ann", 1)).await.unwrap_err();
    assert!(missing.message.contains("`serials` is missing"), "{missing}");
    assert_eq!(farm.available().await, 1);
    // Keys that nobody knows are ignored outside of `args`.
    let mut odd = wish("ann", 1);
    odd["colour"] = json!("blue");
    farm.post("/reserve", odd).await.unwrap();
    let taken = refused("/reserveserials", json!({"serials": ["A"]})).await;
    assert_eq!((taken.code, taken.message.contains("reserved")), (ErrorCode::NotAvailable, true));
}

#[tokio::test]
async fn what_is_done_to_boards_is_done_to_those_that_are_there() {
    let farm = Farm::on_tcp().await;
    let worker = FakeWorker::join(&farm, "w", &["A", "B"]).await;
    farm.post("/reserveserials", json!({"serials": ["A"], "name": "ann", "kind": "pulse count"}))
        .await
        .unwrap();
    until(async || worker.serving("A").is_some()).await;
    worker.take_calls();
    // `X` is no board, and `B` is not the client's: the answer lists the others.
    let some = json!({"serials": ["X", "A", "B", "A"], "name": "ann"});
    assert_eq!(farm.post("/extend", some.clone()).await.unwrap(), json!(["A"]));
    assert_eq!(farm.post("/reboot", some.clone()).await.unwrap(), json!(["A", "B"]));
    // The worker learns which lease is meant, so that it spares who holds the board after that.
    let calls = worker.take_calls();
    let told = |call: &str| calls.iter().any(|told| told == call);
    assert!(told("reboot A 1") && told("reboot B"), "{calls:?}");
    assert_eq!(farm.post("/end", some.clone()).await.unwrap(), json!(["A"]));
    assert_eq!(farm.post("/delete", some.clone()).await.unwrap(), json!(["A", "B"]));
    for path in ["/extend", "/reboot", "/end", "/delete"] {
        assert_eq!(farm.post(path, some.clone()).await.unwrap(), json!([]), "{path}");
    }
}

#[tokio::test]
async fn requests_that_mean_nothing_change_nothing() {
    let farm = Farm::on_tcp().await;
    let _worker = FakeWorker::join(&farm, "w", &["A"]).await;
    farm.post("/reserve", wish("ann", 1)).await.unwrap();
    let paths =
        ["reserve", "reserveserials", "extend", "extendall", "end", "endall", "reboot", "delete"];
    for path in paths {
        let plain = send(&farm.control, &format!("GET /{path}"), "", "").await;
        assert_eq!((plain.status, plain.code()), (400, "bad_request".into()), "{path}");
        // As the buttons of the old panel sent it, and as any web page could.
        let link = format!("GET /{path}?json=%7B%22name%22:%22ann%22,%22serials%22:[%22A%22]%7D");
        assert_eq!(send(&farm.control, &link, "", "").await.status, 400, "{path}");
        let put = send(&farm.control, &format!("PUT /{path}"), JSON, "{}").await;
        assert_eq!(put.status, 405, "{path}");
        let form = "Content-Type: text/plain\r\n";
        let text = send(&farm.control, &format!("POST /{path}"), form, r#"{"name":"ann"}"#).await;
        assert_eq!(text.status, 415, "{path}");
        let list = send(&farm.control, &format!("POST /{path}"), JSON, "[]").await;
        assert_eq!((list.status, list.code()), (400, "bad_request".into()), "{path}");
    }
    let foreign = format!("Origin: http://evil.example\r\n{JSON}");
    let body = r#"{"name": "ann"}"#;
    assert_eq!(send(&farm.control, "POST /endall", &foreign, body).await.status, 403);
    assert_eq!(send(&farm.control, "GET /nothing", "", "").await.code(), "not_found");
    assert_eq!(farm.available().await, 0, "ann still has the board");
}

#[tokio::test]
async fn a_process_ends_only_its_own() {
    let farm = Farm::on_tcp().await;
    let _worker = FakeWorker::join(&farm, "w", &["A", "B"]).await;
    for instance in ["one", "two"] {
        let mut wish = wish("ann", 1);
        wish["instance"] = json!(instance);
        farm.reserve(wish).await.unwrap();
    }
    let end = json!({"name": "ann", "instance": "two"});
    assert_eq!(farm.post("/endall", end).await.unwrap(), json!(["B"]));
    let end = json!({"name": "ann", "serials": ["A"], "instance": "two"});
    assert_eq!(farm.post("/end", end).await.unwrap(), json!([]));
    assert_eq!(farm.post("/endall", json!({"name": "ann"})).await.unwrap(), json!(["A"]));
}

#[tokio::test]
async fn reservations_at_the_same_time_share_no_board() {
    let farm = Farm::on_tcp().await;
    let serials: Vec<String> = (0..20).map(|n| format!("B{n:02}")).collect();
    let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
    let _worker = FakeWorker::join(&farm, "w", &serials).await;
    let names: Vec<String> = (0..15).map(|n| format!("client {n}")).collect();
    let answers = names.iter().map(|name| farm.reserve(wish(name, 2)));
    let answers = futures::future::join_all(answers).await;
    let granted: Vec<_> = answers.iter().flatten().flat_map(|answer| &answer.boards).collect();
    let boards: std::collections::BTreeSet<_> = granted.iter().map(|b| &b.serial).collect();
    let leases: std::collections::BTreeSet<_> = granted.iter().map(|b| b.lease).collect();
    assert_eq!((granted.len(), boards.len(), leases.len()), (20, 20, 20));
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(error.code, ErrorCode::NotEnoughDevices);
    }
}

#[tokio::test]
async fn the_server_says_how_it_is() {
    let farm = Farm::on_tcp().await;
    let _worker = FakeWorker::join(&farm, "w", &["<A>"]).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(farm.get(path).await.unwrap(), json!({"status": "ok"}));
    }
    let version = farm.get("/version").await.unwrap();
    assert_eq!(
        (&version["name"], &version["protocol"]),
        (&json!("icefarm-control"), &json!("1.0"))
    );
    let page = send(&farm.control, "GET /", "", "").await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("text/html") && page.head.contains("content-security-policy"));
    assert!(page.body.contains("&lt;A&gt;") && !page.body.contains("<A>"));
    assert!(page.body.contains("worker w came"));
}
