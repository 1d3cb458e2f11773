//! A farm does everything that it can, and nothing is said that the schemas do not know.

use crate::farm::{Server, Socket, control, worker};
use futures::StreamExt as _;
use icefarm_client::{Circuit, Client, Evaluator, Placement, ReserveOptions};
use icefarm_control::ControlConfig;
use icefarm_docs_check::{Schemas, Traffic, Wiretap, is_part, messages};
use icefarm_state_pulse_count::{PulseCount, PulseCountArgs};
use icefarm_state_variance::{VarianceArgs, variance};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// What is no message between the parts of a farm: the line that the program prints.
const UNSEEN: &[&str] = &["evaluation#line"];

fn circuit(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/circuits");
    std::fs::read(folder.join(name)).unwrap()
}

fn config() -> ControlConfig {
    let mut config = ControlConfig::default();
    config.heartbeat = Duration::from_millis(100);
    config.rules.startup_grace = Duration::ZERO;
    config.rules.lost_after = Duration::from_secs(10);
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_that_is_not_documented() {
    let wiretap = Wiretap::new();
    let control = control(&wiretap, config()).await;
    let (bench, _bus) = worker(&wiretap, &control, "bench-1", 3).await;
    control.available(3).await;

    evaluates(&control).await;
    control.available(3).await;
    scripts(&control, &bench).await;
    asks_for_details(&control).await;
    makes_mistakes(&control, &bench).await;
    speaks_to_sockets(&control, &bench).await;
    control.available(3).await;
    lets_time_pass(&control).await;
    control.available(3).await;
    waits(&control).await;
    control.available(3).await;
    loses_boards(&control, bench).await;
    stops_a_worker(&wiretap, &control).await;
    control.stop().await;
    misses_events(&wiretap).await;
    asks_for_tokens(&wiretap).await;

    hold_against_the_schemas(&wiretap);
}

/// Our own client, which speaks MessagePack and uses every key that there is.
async fn evaluates(control: &Server) {
    let client = Client::builder(control.url()).name("ann").connect().await.unwrap();
    let options = ReserveOptions::evaluating::<PulseCount>(2, &PulseCountArgs::default());
    let reservation = client.reserve(options).await.unwrap();
    let evaluator = Evaluator::<PulseCount>::new(&client, &reservation).unwrap();
    let circuits = [
        Circuit::new("johnson", circuit("johnson.bin")),
        Circuit::new("ring", circuit("ring_oscillator.bin")),
        Circuit::new("short", vec![1, 2, 3]),
    ];
    let outcomes: Vec<_> = evaluator.evaluate(circuits, Placement::Each).collect::<Vec<_>>().await;
    assert_eq!(outcomes.len(), 6);
    let schemas = Schemas::load().unwrap();
    for outcome in &outcomes {
        schemas.check("evaluation#line", &serde_json::to_value(outcome).unwrap()).unwrap();
    }
    let args = VarianceArgs::new().send_waveform(true);
    let circuits = [Circuit::new("ripple", circuit("ripple.bin"))];
    let (_, sampled) = variance(&client, 1, &args, circuits, Placement::Any).await.unwrap();
    assert!(sampled.collect::<Vec<_>>().await[0].reading().is_some());
    assert_eq!(client.reboot(&reservation.serials()[..1]).await.unwrap().len(), 1);
    assert_eq!(reservation.extend().await.unwrap().len(), 2);
    client.extend_all().await.unwrap();
    client.boards().await.unwrap();
    client.devices().await.unwrap();
    drop(evaluator);
    client.close().await.unwrap();
}

/// What scripts send: plain HTTP, as the seed has it, and the websocket without `v`.
async fn scripts(control: &Server, bench: &Server) {
    let ask = async |method: &str, path: &str, body: Json| {
        let (status, answer) = control.ask(method, path, Some(body)).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    };
    let mut events = bench.socket("client_id=bob").await;
    let body = json!({"amount": 1, "name": "bob", "kind": "pulsecount", "args": {}});
    let held = ask("POST", "/reserve", body.clone()).await;
    let serial = held.as_object().unwrap().keys().next().unwrap().clone();
    events.event("initialized").await;
    let files = json!({"e1": {"base64": "AAAA"}});
    let contents = json!({"files": files, "batch_id": "b"});
    events.send(json!({"serial": serial, "event": "evaluate", "contents": contents})).await;
    let results = events.event("results").await;
    assert_eq!(results["event"]["outcomes"][0]["code"], "wrong_length", "{results}");
    events.close().await;

    let rows = ask("GET", "/reserve", body).await;
    let row = rows[0]["serial"].as_str().unwrap().to_owned();
    let third: Vec<String> =
        serde_json::from_value(control.ask("GET", "/devices", Some(json!({}))).await.1).unwrap();
    let body = json!({"serials": third, "name": "bob", "kind": "pulsecount"});
    ask("POST", "/reserveserials", body).await;
    ask("GET", "/available", json!({})).await;
    ask("POST", "/extend", json!({"name": "bob", "serials": [row]})).await;
    ask("POST", "/extendall", json!({"name": "bob"})).await;
    ask("POST", "/reboot", json!({"serials": [serial]})).await;
    ask("POST", "/end", json!({"name": "bob", "serials": [serial, row]})).await;
    assert_eq!(ask("POST", "/endall", json!({"name": "bob"})).await, json!(third));
    control.available(3).await;
}

/// What the panel shows and does.
async fn asks_for_details(control: &Server) {
    let mut live = control.feed("/v1/live").await;
    assert_eq!(live.next().await["type"], "snapshot");
    let reserve = json!({"amount": 1, "name": "ola", "kind": "pulsecount"});
    let (_, held) = control.ask("POST", "/reserve", Some(reserve)).await;
    let serial = held.as_object().unwrap().keys().next().unwrap();
    while live.next().await["boards"].as_array().is_none() {}
    for path in [
        "/healthz",
        "/readyz",
        "/version",
        "/v1/status",
        "/v1/boards",
        "/v1/leases",
        "/v1/workers",
        "/v1/events",
        "/",
    ] {
        assert_eq!(control.ask("GET", path, None).await.0, 200, "{path}");
    }
    let one = format!("/v1/boards/{serial}");
    let (_, full) = control.ask("GET", &one, None).await;
    let lease = full["lease"]["lease"].clone();
    let (path, other) = (format!("{one}/end"), Some(json!({"lease": 1})));
    assert_eq!(control.refused("POST", &path, other).await, "conflict");
    for (deed, body) in
        [("reboot", json!({})), ("end", json!({"lease": lease})), ("delete", json!({}))]
    {
        let (status, answer) = control.ask("POST", &format!("{one}/{deed}"), Some(body)).await;
        assert_eq!(status, 200, "{deed}: {answer}");
    }
    // The one that was deleted comes back when its worker reports it.
    let (_, boards) = control.ask("GET", "/v1/boards", None).await;
    let mut boards = boards.as_array().unwrap().iter().map(|board| &board["serial"]);
    let other = boards.find(|other| *other != serial).unwrap().as_str().unwrap();
    let drain = format!("/v1/boards/{other}/drain");
    let (_, drained) = control.ask("POST", &drain, Some(json!({}))).await;
    assert_eq!((&drained["draining"], &drained["held"]), (&json!(true), &json!([])));
    assert_eq!(control.ask("POST", &drain, Some(json!({"on": false}))).await.0, 200);
    let drain = "/v1/workers/bench-1/drain";
    assert_eq!(control.ask("POST", drain, Some(json!({"on": true}))).await.0, 200);
    assert_eq!(
        control.refused("POST", "/v1/workers/none/drain", Some(json!({}))).await,
        "not_found"
    );
    assert_eq!(control.ask("POST", drain, Some(json!({"on": false}))).await.0, 200);
    let forget = "/v1/workers/bench-1/forget";
    assert_eq!(control.refused("POST", forget, Some(json!({}))).await, "conflict");
    live.close().await;
    control.available(3).await;
}

/// Every code that a healthy farm can answer with.
async fn makes_mistakes(control: &Server, bench: &Server) {
    for path in ["/healthz", "/version"] {
        assert_eq!(bench.ask("GET", path, None).await.0, 200, "{path}");
    }
    let reserve = |change: Json| {
        let mut body = json!({"amount": 1, "name": "eve", "kind": "pulsecount", "args": {}});
        let change = change.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(change);
        Some(body)
    };
    for (body, code) in [
        (reserve(json!({"amount": 9})), "not_enough_devices"),
        (reserve(json!({"amount": "many"})), "bad_request"),
        (reserve(json!({"kind": "other"})), "unknown_kind"),
        (reserve(json!({"args": {"flsuh": 1}})), "bad_arguments"),
        (reserve(json!({"args": {"flush_interval_seconds": "soon"}})), "bad_arguments"),
        (reserve(json!({"ttl_s": 0})), "bad_request"),
        (None, "bad_request"),
    ] {
        assert_eq!(control.refused("POST", "/reserve", body).await, code);
    }
    let named =
        |serial: &str| Some(json!({"serials": [serial], "name": "eve", "kind": "pulsecount"}));
    assert_eq!(control.refused("POST", "/reserveserials", named("none")).await, "unknown_serial");
    let (_, devices) = control.ask("GET", "/devices", None).await;
    let serial = devices[0].as_str().unwrap();
    let held = reserve(json!({"request": "r1"}));
    assert_eq!(control.ask("POST", "/reserve", held).await.0, 200);
    let reused = reserve(json!({"request": "r1", "amount": 2}));
    assert_eq!(control.refused("POST", "/reserve", reused).await, "conflict");
    let (_, ended) = control.ask("POST", "/endall", Some(json!({"name": "eve"}))).await;
    assert_eq!(ended.as_array().unwrap().len(), 1);
    control.available(3).await;
    let held = named(ended[0].as_str().unwrap());
    control.ask("POST", "/reserveserials", held.clone()).await;
    assert_eq!(control.refused("POST", "/reserveserials", held).await, "not_available");
    control.ask("POST", "/endall", Some(json!({"name": "eve"}))).await;

    assert_eq!(control.refused("GET", "/nowhere", None).await, "not_found");
    assert_eq!(control.refused("DELETE", "/devices", None).await, "method_not_allowed");
    assert_eq!(
        control.ask("POST", "/reboot", Some(json!({"serials": ["none"]}))).await,
        (200, json!([]))
    );
    let (_, answer) =
        control.send("POST", "/endall", "content-type: text/plain\r\n", Some("{}")).await;
    assert_eq!(answer["error"]["code"], "unsupported_media_type");
    let (_, answer) = control.send("GET", "/devices", "host: evil.example\r\n", None).await;
    assert_eq!(answer["error"]["code"], "forbidden");
    let (_, answer) = control.announce("POST", "/endall", "", "", 5 << 20).await;
    assert_eq!(answer["error"]["code"], "too_large");
    let registration = json!({"name": "bench-1", "port": 1, "version": "0", "protocol": "9.0",
        "incarnation": "i", "secret": "s", "kinds": [], "boards": []});
    let register = Some(registration);
    assert_eq!(control.refused("POST", "/worker/register", register).await, "version_mismatch");
    let report = Some(json!({"worker": "nobody", "incarnation": "i", "boards": []}));
    assert_eq!(control.refused("POST", "/worker/boards", report).await, "not_found");
    let report = Some(json!({"worker": "bench-1", "incarnation": "i", "boards": []}));
    assert_eq!(control.refused("POST", "/worker/boards", report).await, "unauthorized");
    for path in ["/heartbeat", "/reserve", "/extend", "/end", "/reboot", "/delete"] {
        let body = Some(json!({"serial": serial}));
        assert_eq!(bench.refused("POST", path, body).await, "unauthorized");
    }
    control.available(3).await;
}

/// The websocket of version 1, with everything that can be wrong about it.
async fn speaks_to_sockets(control: &Server, bench: &Server) {
    let (_, answer) = control
        .ask("POST", "/reserve", Some(json!({"amount": 1, "name": "cy", "kind": "pulsecount"})))
        .await;
    let serial = answer.as_object().unwrap().keys().next().unwrap().clone();
    let mut socket = bench.socket("client_id=cy&v=1&sub=s1").await;
    socket.event("hello").await;
    let initialized = socket.event("initialized").await;
    socket
        .send(json!({"event": "ack", "epoch": initialized["epoch"], "seq": initialized["seq"]}))
        .await;
    let contents = json!({"files": {}, "batch_id": "b"});
    let lease = initialized["event"]["lease"].clone();
    let command = json!({"serial": serial, "event": "evaluate", "contents": contents, "id": "1",
        "lease": lease});
    socket.send(command.clone()).await;
    assert_eq!(socket.event("reply").await["event"]["value"], Json::Null);
    socket.send(command.clone()).await;
    socket.event("reply").await;
    let changed = |key: &str, value: Json| {
        let mut command = command.clone();
        // Under an id that came before the answer would come from memory.
        command["id"] = format!("{key} {value}").into();
        command[key] = value;
        command
    };
    for (frame, code) in [
        (changed("event", json!("dance")), "unknown_command"),
        (changed("contents", json!({"flies": {}})), "bad_arguments"),
        (changed("serial", json!("none")), "unknown_serial"),
        (changed("lease", json!(1)), "stale_lease"),
        (changed("lease", json!({serial.clone(): 1_000_000})), "not_reserved"),
        (json!({"serial": 7, "event": "evaluate"}), "bad_request"),
        (json!({"event": "ack", "epoch": "another", "seq": 1}), "bad_request"),
    ] {
        assert_eq!(socket.refused(frame).await, code);
    }
    let mut stranger = bench.socket("client_id=dan&v=1&sub=s2").await;
    assert_eq!(stranger.refused(command.clone()).await, "not_holder");
    control.ask("POST", "/endall", Some(json!({"name": "cy"}))).await;
    // The worker hears of the end a moment later than the client.
    // Without an id, or the first answer would come again.
    let late = json!({"serial": serial, "event": "evaluate"});
    while stranger.refused(late.clone()).await != "not_reserved" {}
    stranger.close().await;
    socket.close().await;

    let mut resumed = bench.socket("client_id=cy&v=1&sub=s1&epoch=another&seq=4").await;
    resumed.event("resync").await;
    resumed.close().await;
    let mut socket = control.socket("client_id=cy&v=1&sub=s1&enc=msgpack").await;
    socket.send(command).await;
    for (query, code) in [
        ("v=1", "bad_request"),
        ("client_id=cy&v=2&sub=s", "version_mismatch"),
        ("client_id=cy&v=1", "bad_request"),
    ] {
        let upgrade = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
        let (_, answer) = control.send("GET", &format!("/ws?{query}"), upgrade, None).await;
        assert_eq!(answer["error"]["code"], code);
    }
    socket.close().await;
}

/// A lease that nobody extends.
async fn lets_time_pass(control: &Server) {
    let mut socket = control.socket("client_id=fay&v=1&sub=f").await;
    let body = json!({"amount": 1, "name": "fay", "kind": "pulsecount", "ttl_s": 6});
    let accept = "content-type: application/json\r\naccept: application/vnd.icefarm.v1+json\r\n";
    control.send("POST", "/reserve", accept, Some(&body.to_string())).await;
    socket.event("reservation ending soon").await;
    let end = socket.event("reservation end").await;
    assert_eq!(end["event"]["reason"], "expired");
    socket.close().await;
}

/// Requests that wait for boards, and what operators call boards.
async fn waits(control: &Server) {
    let (_, devices) = control.ask("GET", "/devices", None).await;
    let serial = devices[0].as_str().unwrap().to_owned();
    let label = format!("/v1/boards/{serial}/label");
    let set = json!({"set": {"name": "one", "colour": "red"}, "remove": ["floor"]});
    assert_eq!(control.ask("POST", &label, Some(set)).await.1["name"], "one");
    let other = format!("/v1/boards/{}/label", devices[1].as_str().unwrap());
    let set = json!({"set": {"name": "one"}});
    assert_eq!(control.refused("POST", &other, Some(set)).await, "conflict");

    let mut socket = control.socket("client_id=ida&v=1&sub=i").await;
    let hold = json!({"amount": 3, "name": "jo", "kind": "pulsecount"});
    assert_eq!(control.ask("POST", "/reserve", Some(hold)).await.0, 200);
    let wish = |request: &str, wait_s: u32| {
        json!({"amount": 1, "name": "ida", "kind": "pulsecount", "labels": {"colour": "red"},
            "request": request, "wait_s": wait_s, "priority": 1, "ttl_s": 60})
    };
    let wait = async |request: &str, wait_s: u32| {
        let (status, answer) = control.ask("POST", "/reserve", Some(wish(request, wait_s))).await;
        assert_eq!(status, 202, "{answer}");
    };
    wait("q1", 600).await;
    wait("q2", 5).await;
    wait("q3", 600).await;
    socket.event("queue positions").await;
    assert_eq!(control.ask("GET", "/v1/queue", None).await.1.as_array().unwrap().len(), 3);
    let cancel = json!({"name": "ida", "request": "q3"});
    assert_eq!(control.ask("POST", "/v1/queue/cancel", Some(cancel)).await.0, 200);
    assert_eq!(control.refused("POST", "/reserve", Some(wish("q3", 600))).await, "wait_cancelled");
    socket.find("reservation not granted", |end| end["reason"] == "expired").await;
    assert_eq!(control.refused("POST", "/reserve", Some(wish("q2", 5))).await, "wait_expired");
    let mut many = wish("q4", 600);
    many["amount"] = 9.into();
    assert_eq!(control.refused("POST", "/reserve", Some(many)).await, "not_enough_devices");
    let cancel = json!({"reservation": "none"});
    assert_eq!(control.refused("POST", "/v1/queue/cancel", Some(cancel)).await, "not_found");

    let mut live = control.feed("/v1/live").await;
    assert_eq!(live.next().await["queue"].as_array().unwrap().len(), 1);
    control.ask("POST", "/v1/clients/jo/end", Some(json!({}))).await;
    let granted = socket.event("reservation granted").await;
    assert_eq!(granted["event"]["boards"][0]["name"], "one");
    while live.next().await["queue"].as_array().is_none() {}
    live.close().await;
    socket.close().await;
    control.ask("POST", "/endall", Some(json!({"name": "ida"}))).await;
}

/// Boards, and then a whole worker, that go while they are held.
async fn loses_boards(control: &Server, bench: Server) {
    let reserve = json!({"amount": 2, "name": "gus", "kind": "pulsecount"});
    let (_, held) = control.ask("POST", "/reserve", Some(reserve)).await;
    let serials: Vec<&String> = held.as_object().unwrap().keys().collect();
    let mut events: Socket = control.socket("client_id=gus&v=1&sub=g").await;
    let mut told = bench.socket("client_id=gus&v=1&sub=g").await;
    for _ in &serials {
        told.event("initialized").await;
    }
    control.ask("POST", "/delete", Some(json!({"serials": [serials[0]]}))).await;
    events.find("reservation end", |end| end["reason"] == "board_deleted").await;
    told.close().await;
    bench.kill();
    events.event("unreachable").await;
    events.find("reservation end", |end| end["reason"] == "worker_lost").await;
    events.close().await;
    let (_, forgotten) = control.ask("POST", "/v1/workers/bench-1/forget", Some(json!({}))).await;
    assert_eq!(forgotten["worker"], "bench-1");
}

/// What a farm of several people says of tokens, tickets and deeds.
async fn asks_for_tokens(wiretap: &Wiretap) {
    let control = control(wiretap, config()).await;
    let ask = async |token: &str, method: &str, path: &str, body: Option<Json>| {
        let headers =
            format!("content-type: application/json\r\nauthorization: Bearer {token}\r\n");
        let body = body.map(|body| body.to_string());
        let (status, answer) = control.send(method, path, &headers, body.as_deref()).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    };
    let wanted = json!({"role": "operator", "label": "Olga"});
    let (status, first) = control.ask("POST", "/v1/tokens", Some(wanted)).await;
    assert_eq!(status, 200, "{first}");
    let olga = first["token"].as_str().unwrap();
    let wanted = json!({"role": "client", "names": ["ann", "ann-*"], "expires_in_s": 60});
    let second = ask(olga, "POST", "/v1/tokens", Some(wanted)).await;
    let ann = second["token"].as_str().unwrap();
    assert_eq!(ask(ann, "GET", "/v1/whoami", None).await["role"], "client");
    ask(ann, "POST", "/v1/tickets", Some(json!({"name": "ann-1"}))).await;
    assert_eq!(ask(olga, "GET", "/v1/tokens", None).await.as_array().unwrap().len(), 2);
    let revoke = format!("/v1/tokens/{}/revoke", second["detail"]["id"].as_str().unwrap());
    ask(olga, "POST", &revoke, Some(json!({}))).await;
    let audit = ask(olga, "GET", "/v1/audit", None).await;
    assert_eq!(audit["entries"].as_array().unwrap().len(), 3, "{audit}");
    control.stop().await;
}

/// A worker that is stopped while somebody holds a board of it.
async fn stops_a_worker(wiretap: &Wiretap, control: &Server) {
    let (bench, _bus) = worker(wiretap, control, "bench-3", 1).await;
    control.available(1).await;
    let reserve = json!({"amount": 1, "name": "ivy", "kind": "pulsecount"});
    assert_eq!(control.ask("POST", "/reserve", Some(reserve)).await.0, 200);
    let mut events = control.socket("client_id=ivy&v=1&sub=i").await;
    let mut told = bench.socket("client_id=ivy&v=1&sub=i").await;
    told.event("initialized").await;
    let stopping = tokio::spawn(bench.stop());
    assert!(events.event("draining").await["event"]["ends_in_ms"].is_u64());
    assert_eq!(told.event("reservation end").await["event"]["reason"], "drained");
    assert_eq!(events.event("reservation end").await["event"]["reason"], "drained");
    stopping.await.unwrap();
    let (_, workers) = control.ask("GET", "/v1/workers", None).await;
    assert_eq!(workers[0]["contact"], "left");
    events.close().await;
}

/// A control server that keeps few events.
async fn misses_events(wiretap: &Wiretap) {
    let mut config = config();
    config.sockets.outbox.bytes = 700;
    let control = control(wiretap, config).await;
    let (bench, _bus) = worker(wiretap, &control, "bench-2", 1).await;
    control.available(1).await;
    let mut socket = control.socket("client_id=hal&v=1&sub=h").await;
    let hello = socket.event("hello").await;
    socket.close().await;
    for _ in 0..4 {
        control.available(1).await;
        let reserve = json!({"amount": 1, "name": "hal", "kind": "pulsecount"});
        assert_eq!(control.ask("POST", "/reserve", Some(reserve)).await.0, 200);
        control.ask("POST", "/endall", Some(json!({"name": "hal"}))).await;
    }
    let epoch = hello["event"]["epoch"].as_str().unwrap();
    let mut socket = control.socket(&format!("client_id=hal&v=1&sub=h&epoch={epoch}&seq=0")).await;
    socket.event("dropped").await;
    socket.close().await;
    bench.stop().await;
    control.stop().await;
}

fn hold_against_the_schemas(wiretap: &Wiretap) {
    let schemas = Schemas::load().unwrap();
    let traffic = Traffic::read(&wiretap.recordings()).unwrap();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for message in messages(&traffic) {
        let fits = match &message.schema {
            Ok(schema) => schemas.check(schema, &message.value).map_err(|error| error.to_string()),
            Err(reason) => Err(format!("{reason}: {}", message.value)),
        };
        match (fits, &message.schema) {
            (Ok(()), Ok(schema)) => {
                seen.insert(schema.clone());
            }
            (Err(reason), _) => wrong.push(format!("{}: {reason}", message.place)),
            (Ok(()), Err(_)) => {}
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} messages are not documented:\n{}", wrong.len(), wrong.join("\n"));
    let expected = schemas.names().filter(|name| !is_part(name) && !UNSEEN.contains(name));
    let unseen: Vec<&str> = expected.filter(|name| !seen.contains(*name)).collect();
    assert!(unseen.is_empty(), "documented, but never said: {unseen:?}");
}
