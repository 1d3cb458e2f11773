//! A farm that asks for tokens: who gets in, and what each may do and see.

use crate::farm::{Farm, quick, until};
use crate::http::{JSON, Raw, send};
use crate::network::Net;
use crate::worker::FakeWorker;
use icefarm_control::store::{Batch, SqliteStore, Store, TokenChange};
use icefarm_control::{Control, ControlConfig, make_token};
use icefarm_core::wire::{CreateToken, Role};
use icefarm_core::{Clock, SystemClock};
use icefarm_net::{ClientSocket, SocketParams, SubscriberId, TicketKey};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A farm with a worker, and the tokens of everybody.
struct Guarded {
    farm: Farm,
    _worker: FakeWorker,
    operator: String,
    ann: String,
    bob: String,
}

/// A store that has a token for an operator.
fn store() -> (SqliteStore, String) {
    let mut store = SqliteStore::in_memory().unwrap();
    let wanted =
        CreateToken { role: Role::Operator, names: vec![], label: None, expires_in_s: None };
    let ids = || uuid::Uuid::new_v4().to_string();
    let (token, kept) = make_token(wanted, SystemClock.now(), &ids).unwrap();
    let tokens = vec![TokenChange::Created(Box::new(kept))];
    store.commit(&Batch { tokens, ..Batch::default() }).unwrap();
    (store, token.as_str().to_owned())
}

async fn start(config: ControlConfig) -> (Farm, String) {
    let (store, operator) = store();
    let control = Control::builder().store(store).config(config).build().unwrap();
    assert!(control.asks_for_tokens());
    (Farm::run(Net::Tcp, 0, control).await, operator)
}

impl Guarded {
    async fn start() -> Self {
        let (farm, operator) = start(quick()).await;
        let worker_token =
            create(&farm, &operator, json!({"role": "worker", "names": ["w*"]})).await;
        let worker = FakeWorker::start(&farm, "w", &["A", "B"]).await;
        let refused = worker.register().await.unwrap_err();
        assert_eq!(refused.code.as_str(), "unauthorized");
        worker.show(&worker_token);
        worker.register().await.unwrap();
        let ann =
            create(&farm, &operator, json!({"role": "client", "names": ["ann", "ann-*"]})).await;
        let bob = create(&farm, &operator, json!({"role": "client", "names": ["bob"]})).await;
        until(async || ask(&farm, &ann, "GET /available", None).await.json()["amount"] == 2).await;
        Self { farm, _worker: worker, operator, ann, bob }
    }

    async fn ask(&self, token: &str, request: &str, body: Option<Value>) -> Raw {
        ask(&self.farm, token, request, body).await
    }

    async fn revoke(&self, token: &str) {
        let who = self.ask(token, "GET /v1/whoami", None).await.json();
        let path = format!("POST /v1/tokens/{}/revoke", who["token"]["id"].as_str().unwrap());
        let revoked = self.ask(&self.operator, &path, Some(json!({}))).await;
        assert!(revoked.json()["revoked"].is_string(), "{}", revoked.body);
    }
}

async fn ask(farm: &Farm, token: &str, request: &str, body: Option<Value>) -> Raw {
    let shown =
        if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let kind = if body.is_some() { JSON } else { "" };
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    send(&farm.control, request, &format!("{kind}{shown}"), &body).await
}

async fn create(farm: &Farm, operator: &str, body: Value) -> String {
    let answer = ask(farm, operator, "POST /v1/tokens", Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["token"].as_str().unwrap().to_owned()
}

fn wish(name: &str) -> Option<Value> {
    Some(json!({"amount": 1, "name": name, "kind": "pulse count", "args": {"window": 4711}}))
}

#[tokio::test]
async fn without_a_token_nothing_but_healthz_answers() {
    let guarded = Guarded::start().await;
    let paths = [
        "GET /",
        "GET /ws",
        "GET /available",
        "GET /devices",
        "POST /reserve",
        "GET /reserve",
        "POST /reserveserials",
        "POST /extend",
        "POST /extendall",
        "POST /end",
        "POST /endall",
        "POST /reboot",
        "POST /delete",
        "GET /readyz",
        "GET /version",
        "GET /metrics",
        "GET /v1/status",
        "GET /v1/boards",
        "GET /v1/boards/A",
        "POST /v1/boards/A/end",
        "GET /v1/leases",
        "GET /v1/workers",
        "POST /v1/boards/A/drain",
        "POST /v1/workers/w/forget",
        "POST /v1/workers/w/drain",
        "GET /v1/workers/w/metrics",
        "GET /v1/events",
        "GET /v1/live",
        "GET /v1/whoami",
        "GET /v1/tokens",
        "POST /v1/tokens",
        "POST /v1/tickets",
        "GET /v1/audit",
        "POST /worker/register",
        "POST /worker/boards",
        "GET /assets/panel.js",
        "GET /nowhere",
        "POST /logout",
        "OPTIONS /reserve",
        "HEAD /",
        "GET //healthz",
        "GET /healthz/",
        "GET /login/x",
        "GET /%68ealthz",
        "GET /login/../v1/boards",
    ];
    let forged = format!("icefarm_{}", "A".repeat(43));
    for token in ["", "x", &forged] {
        for path in paths {
            let answer = guarded.ask(token, path, None).await;
            if answer.status == 429 {
                // So many wrong tokens in a row are not even looked at.
                assert!(answer.head.contains("retry-after: ") && !token.is_empty());
                continue;
            }
            assert_eq!(answer.status, 401, "{path}: {}", answer.body);
            assert!(answer.head.contains("www-authenticate: bearer"), "{path}: {}", answer.head);
            assert!(
                path.starts_with("HEAD") || answer.body.contains("icefarm login"),
                "{}",
                answer.body
            );
        }
        assert_eq!(guarded.ask(token, "GET /healthz", None).await.status, 200);
    }
    for (path, status) in [("GET /login", 200), ("GET /assets/login.css", 200)] {
        assert_eq!(guarded.ask("", path, None).await.status, status, "{path}");
    }
    // Whoever has a token is let in from the same host all the while.
    assert_eq!(guarded.ask(&guarded.ann, "GET /available", None).await.status, 200);
    let page = send(&guarded.farm.control, "GET /", "Accept: text/html\r\n", "").await;
    assert!(page.status == 303 && page.head.contains("location: /login"), "{}", page.head);
}

#[tokio::test]
async fn a_stranger_cannot_touch_or_read_a_lease() {
    let guarded = Guarded::start().await;
    let reserved = guarded.ask(&guarded.ann, "POST /reserve", wish("ann-1")).await;
    assert_eq!(reserved.json(), json!({"A": reserved.json()["A"]}));
    let serials = || Some(json!({"name": "ann-1", "serials": ["A"]}));
    let all = || Some(json!({"name": "ann-1"}));
    for (request, body) in [
        ("POST /reserve", wish("ann-1")),
        ("GET /reserve", wish("ann-1")),
        ("POST /extend", serials()),
        ("POST /end", serials()),
        ("GET /end", serials()),
        ("POST /extendall", all()),
        ("POST /endall", all()),
        ("POST /v1/tickets", all()),
        ("POST /reboot", Some(json!({"serials": ["A"]}))),
        ("POST /reboot", Some(json!({"serials": ["B", "A"]}))),
        ("POST /delete", Some(json!({"serials": ["B"]}))),
        ("POST /v1/boards/A/end", Some(json!({}))),
        ("POST /v1/boards/A/reboot", Some(json!({"lease": 1}))),
        ("POST /v1/boards/B/delete", Some(json!({}))),
        ("POST /v1/workers/w/forget", Some(json!({}))),
        ("POST /v1/boards/A/drain", Some(json!({}))),
        ("POST /v1/boards/A/drain", Some(json!({"on": false}))),
        ("POST /v1/workers/w/drain", Some(json!({}))),
        ("GET /v1/workers/w/metrics", None),
        ("POST /v1/tokens", Some(json!({"role": "operator"}))),
        ("GET /v1/tokens", None),
        ("GET /v1/audit", None),
        ("GET /", None),
        (
            "POST /worker/register",
            Some(serde_json::to_value(guarded._worker.registration()).unwrap()),
        ),
    ] {
        let answer = guarded.ask(&guarded.bob, request, body).await;
        assert_eq!(answer.status, 403, "{request}: {}", answer.body);
        assert!(!answer.body.contains("ann\""), "{}", answer.body);
    }
    // His own wishes are granted, and he ends nothing of hers under his name.
    let end = guarded
        .ask(&guarded.bob, "POST /end", Some(json!({"name": "bob", "serials": ["A"]})))
        .await;
    assert_eq!(end.json(), json!([]));

    for path in ["/v1/boards", "/v1/boards/A", "/v1/leases", "/v1/events", "/v1/status", "/devices"]
    {
        let path = format!("GET {path}");
        let seen = guarded.ask(&guarded.bob, &path, None).await;
        assert_eq!(seen.status, 200, "{path}");
        for secret in ["ann-1", "4711", "window\"]", "\"reservation\"", "\"lease\":1", "lease 1"] {
            assert!(!seen.body.contains(secret), "{path} tells {secret}: {}", seen.body);
        }
    }
    let boards = guarded.ask(&guarded.bob, "GET /v1/boards", None).await.json();
    assert_eq!((&boards[0]["serial"], &boards[0]["status"]), (&json!("A"), &json!("reserved")));
    let own = guarded.ask(&guarded.ann, "GET /v1/boards/A", None).await.json();
    assert_eq!((&own["lease"]["client"], &own["lease"]["lease"]), (&json!("ann-1"), &json!(1)));
    assert_eq!(
        guarded.ask(&guarded.ann, "GET /v1/leases", None).await.json().as_array().unwrap().len(),
        1
    );
    let ended = guarded.ask(&guarded.operator, "POST /v1/boards/A/end", Some(json!({}))).await;
    assert_eq!(ended.status, 200, "{}", ended.body);
}

async fn open(guarded: &Guarded, token: &str, client: &str) -> Result<ClientSocket, String> {
    let params = SocketParams::new(client.parse().unwrap(), SubscriberId::new("s").unwrap());
    let params = params.bearer(token);
    let connector = guarded.farm.net.connector();
    let opened = ClientSocket::connect(&*connector, &guarded.farm.control, params).await;
    opened.map(|(socket, _)| socket).map_err(|error| error.to_string())
}

#[tokio::test]
async fn sockets_are_for_the_names_of_the_token_and_end_with_it() {
    let guarded = Guarded::start().await;
    let refused = open(&guarded, &guarded.bob, "ann").await.unwrap_err();
    assert!(refused.contains("may not use the client name `ann`"), "{refused}");
    let mut socket = open(&guarded, &guarded.ann, "ann").await.unwrap();
    let other = open(&guarded, &guarded.operator, "ann-2").await;
    assert!(other.is_ok());

    let who = guarded.ask(&guarded.ann, "GET /v1/whoami", None).await.json();
    assert_eq!((&who["role"], &who["tokens"]), (&json!("client"), &json!(true)));
    let id = who["token"]["id"].as_str().unwrap().to_owned();
    let path = format!("POST /v1/tokens/{id}/revoke");
    assert_eq!(guarded.ask(&guarded.ann, &path, Some(json!({}))).await.status, 403);
    guarded.revoke(&guarded.ann).await;
    let ended = loop {
        match socket.next().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(ended.unwrap_err().to_string().contains("token that let this socket in is over"));
    let answer = guarded.ask(&guarded.ann, "GET /available", None).await;
    assert!(answer.status == 401 && answer.body.contains("was revoked"), "{}", answer.body);
}

#[tokio::test]
async fn what_is_under_way_with_a_token_ends_with_it() {
    let guarded = Guarded::start().await;
    let second = create(&guarded.farm, &guarded.operator, json!({"role": "operator"})).await;
    let control = &guarded.farm.control;
    let mut slow = TcpStream::connect((control.host(), control.port())).await.unwrap();
    let body = r#"{"role": "operator"}"#;
    let head = format!(
        "POST /v1/tokens HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {second}\r\n{JSON}\
         Content-Length: {}\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n",
        control.authority(),
        body.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body of a request that it has let in.
    let mut asked = [0; 25];
    slow.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    guarded.revoke(&second).await;
    slow.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("meanwhile"), "{answer}");
}

#[tokio::test]
async fn who_waits_with_a_token_waits_no_longer_than_it() {
    let guarded = Guarded::start().await;
    let wait = |name: &str| {
        let request = uuid::Uuid::new_v4().to_string();
        Some(json!({"amount": 2, "name": name, "kind": "pulse count", "args": {"window": 1},
            "wait_s": 600, "request": request}))
    };
    guarded.ask(&guarded.bob, "POST /reserve", wish("bob")).await;
    let shared = json!({"role": "client", "names": ["ann-2"]});
    create(&guarded.farm, &guarded.operator, shared).await;
    for name in ["ann", "ann-1", "ann-2"] {
        assert_eq!(guarded.ask(&guarded.ann, "POST /reserve", wait(name)).await.status, 202);
    }
    guarded.revoke(&guarded.ann).await;
    let queue = guarded.ask(&guarded.operator, "GET /v1/queue", None).await.json();
    let names: Vec<&str> =
        queue.as_array().unwrap().iter().map(|entry| entry["client"].as_str().unwrap()).collect();
    assert_eq!(names, ["ann-2"], "another token allows it");
}

#[tokio::test]
async fn tickets_are_for_the_worker_that_answers_at_an_address() {
    let guarded = Guarded::start().await;
    let worker = &guarded._worker;
    let impostor =
        create(&guarded.farm, &guarded.operator, json!({"role": "worker", "names": ["zz"]})).await;
    let mut registration = serde_json::to_value(worker.registration()).unwrap();
    registration["name"] = "zz".into();
    registration["secret"] = "another one".into();
    registration["boards"] = json!([]);
    let answer = guarded.ask(&impostor, "POST /worker/register", Some(registration.clone())).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let tickets =
        guarded.ask(&guarded.ann, "POST /v1/tickets", Some(json!({"name": "ann"}))).await.json();
    let tickets = tickets["tickets"].as_object().unwrap();
    let (_, ticket) = tickets.iter().next().unwrap();
    assert_eq!(tickets.len(), 1);
    let key = TicketKey::derive(worker.registration().secret.as_str());
    let name = "w".parse().unwrap();
    let claims = key.read(ticket.as_str().unwrap(), &name, SystemClock.now()).unwrap();
    assert_eq!(claims.client.as_str(), "ann");
}

#[tokio::test]
async fn the_last_operator_stays_and_deeds_are_written_down() {
    let guarded = Guarded::start().await;
    let who = guarded.ask(&guarded.operator, "GET /v1/whoami", None).await.json();
    let path = format!("POST /v1/tokens/{}/revoke", who["token"]["id"].as_str().unwrap());
    let refused = guarded.ask(&guarded.operator, &path, Some(json!({}))).await;
    assert!(refused.status == 409 && refused.body.contains("only token of an operator"));
    let nameless =
        guarded.ask(&guarded.operator, "POST /v1/tokens", Some(json!({"role": "client"}))).await;
    assert!(
        nameless.status == 400 && nameless.body.contains("needs the names"),
        "{}",
        nameless.body
    );

    guarded.ask(&guarded.ann, "POST /reserve", wish("ann")).await;
    guarded.ask(&guarded.bob, "POST /endall", Some(json!({"name": "ann"}))).await;
    guarded.ask(&guarded.ann, "POST /endall", Some(json!({"name": "ann"}))).await;
    guarded.ask(&guarded.ann, "POST /endall", Some(json!({"name": "ann"}))).await;
    let page = guarded.ask(&guarded.operator, "GET /v1/audit?client=ann", None).await.json();
    let told: Vec<String> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            format!(
                "{} {} {} {}",
                entry["label"], entry["action"], entry["serials"], entry["outcome"]
            )
            .replace('"', "")
        })
        .collect();
    assert_eq!(
        told,
        ["client reserve [A] done", "client end [] forbidden", "client end [A] done"],
        "what changed nothing is not told"
    );
    assert_eq!(page["entries"][0]["peer"], "127.0.0.1");
    let about = guarded.ask(&guarded.operator, "GET /v1/audit?serial=A&limit=1", None).await.json();
    assert_eq!(about["entries"][0]["action"], "end");
    let all = guarded.ask(&guarded.operator, "GET /v1/audit", None).await;
    assert!(all.body.contains("create_token") && all.body.contains("register_worker"));
    assert!(!all.body.contains("icefarm_"), "no secrets are written down");
}

#[tokio::test]
async fn a_browser_logs_in_and_out() {
    let guarded = Guarded::start().await;
    let control = &guarded.farm.control;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let wrong = send(control, "POST /login", form, "token=icefarm_x").await;
    assert!(wrong.status == 401 && wrong.body.contains("<form"), "{}", wrong.body);
    let long = send(control, "POST /login", form, &"x".repeat(5000)).await;
    assert!(long.status == 413 && long.code() == "too_large", "{}", long.body);
    let client = send(control, "POST /login", form, &format!("token={}", guarded.ann)).await;
    assert!(client.status == 403 && client.body.contains("only an operator"), "{}", client.body);
    let foreign = format!("{form}Origin: http://evil.example\r\n");
    let body = format!("token={}", guarded.operator);
    assert_eq!(send(control, "POST /login", &foreign, &body).await.status, 403);

    let own = format!("{form}Origin: http://{}\r\n", control.authority());
    let login = send(control, "POST /login", &own, &body).await;
    assert!(login.status == 303 && login.head.contains("location: /\r"), "{}", login.head);
    assert!(login.head.contains("; httponly; samesite=strict\r"), "{}", login.head);
    let login_again = send(control, "POST /login", &own, &body).await;
    let cookie = format!("Cookie: {}\r\n", login_again.cookie.unwrap());
    assert!(!cookie.contains(&guarded.operator[8..]), "the session is not the token");
    assert_eq!(send(control, "GET /", &cookie, "").await.status, 200);
    assert_eq!(send(control, "GET /v1/audit", &cookie, "").await.status, 200);
    let act = format!("{cookie}{JSON}Origin: http://evil.example\r\n");
    assert_eq!(send(control, "POST /v1/boards/A/delete", &act, "{}").await.status, 403);
    let out = send(control, "POST /logout", &cookie, "").await;
    assert!(out.status == 303 && out.head.contains("max-age=0"), "{}", out.head);
    assert_eq!(send(control, "GET /v1/audit", &cookie, "").await.status, 401);
}

#[tokio::test]
async fn writes_are_held_to_a_pace() {
    let mut config = quick();
    config.writes.burst = 5;
    config.writes.every = std::time::Duration::from_secs(60);
    let (farm, operator) = start(config).await;
    for status in [200, 200, 200, 200, 200, 429] {
        let answer = ask(&farm, &operator, "POST /endall", Some(json!({"name": "x"}))).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 429 {
            assert_eq!(answer.code(), "overloaded");
            let (_, after) = answer.head.split_once("retry-after: ").unwrap();
            let seconds: u32 = after.lines().next().unwrap().trim().parse().unwrap();
            assert!((1..=60).contains(&seconds), "{}", answer.head);
        }
    }
    assert_eq!(ask(&farm, &operator, "GET /available", None).await.status, 200);
}

#[tokio::test]
async fn a_farm_without_tokens_asks_for_an_operator_first() {
    let farm = Farm::on_tcp().await;
    let body = json!({"role": "client", "names": ["*"]});
    let refused = ask(&farm, "", "POST /v1/tokens", Some(body)).await;
    assert!(refused.status == 409 && refused.body.contains("operator first"), "{}", refused.body);
    let who = ask(&farm, "", "GET /v1/whoami", None).await.json();
    assert_eq!(who, json!({"role": "operator", "tokens": false, "token": null}));
    let operator = create(&farm, "", json!({"role": "operator", "expires_in_s": 3600})).await;
    assert_eq!(ask(&farm, "", "GET /available", None).await.status, 401);
    assert_eq!(ask(&farm, &operator, "GET /available", None).await.status, 200);
}
