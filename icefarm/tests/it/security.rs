//! Farms that ask for tokens, as their owners set them up.

// Linked for its kind, which the worker in this process offers.
use crate::farm::{Server, circuit, icefarm, run, stderr, stdout, wait_for};
use futures::future::BoxFuture;
use icefarm_client::{Client, Evaluator, Placement, ReserveOptions, Untyped};
use icefarm_control::store::{Batch, SqliteStore, Store, TokenChange};
use icefarm_control::{Control, ControlConfig, make_token};
use icefarm_core::wire::{CreateToken, Role, TicketedReservation, Tickets};
use icefarm_core::{Clock, Registry, SystemClock};
use icefarm_net::{
    BoxIo, ClientSocket, Connector, Endpoint, HttpClient, RequestOptions, SocketParams,
    SubscriberId, TcpConnector,
};
use icefarm_sim::VirtualBus;
use icefarm_state_pulse_count as _;
use icefarm_worker::Worker;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// A folder that `icefarm init` has filled, and a folder in which a user's tokens are kept.
struct Lab {
    folder: tempfile::TempDir,
    home: tempfile::TempDir,
}

impl Lab {
    fn init(more: &[&str]) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap(), home: tempfile::tempdir().unwrap() };
        let told = lab.init_again(more);
        assert!(told.status.success(), "{}", stderr(&told));
        let text = stdout(&told);
        for line in ["icefarm control --config", "icefarm worker --control", "icefarm login http"] {
            assert!(text.contains(line), "{text}");
        }
        lab
    }

    fn init_again(&self, more: &[&str]) -> Output {
        let dir = self.path("");
        run(&[&["init", "--dir", &dir, "--listen", "127.0.0.1:0"], more].concat())
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn control(&self) -> Server {
        Server::start(&["control", "--config", &self.path("farm.toml")])
    }

    /// As a user who has logged in, or not.
    fn user(&self, args: &[&str]) -> Output {
        icefarm(args).env("XDG_CONFIG_HOME", self.home.path()).output().unwrap()
    }

    fn operator(&self, args: &[&str]) -> Output {
        run(&[args, &["--token-file", &self.path("operator.token")]].concat())
    }

    fn token(&self, control: &str, args: &[&str]) -> String {
        let made = self.operator(&[&["token", "create", "--control", control], args].concat());
        assert!(made.status.success(), "{}", stderr(&made));
        stdout(&made).trim().to_owned()
    }

    fn login(&self, args: &[&str], token: &str) -> Output {
        let mut login = icefarm(&[&["login"], args].concat());
        login.env("XDG_CONFIG_HOME", self.home.path()).stdin(Stdio::piped());
        login.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut login = login.spawn().unwrap();
        login.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
        login.wait_with_output().unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_lab_is_set_up_with_tokens() {
    let lab = Lab::init(&[]);
    for secret in ["operator.token", "worker.token", "farm.sqlite"] {
        assert_eq!(mode(&lab.folder.path().join(secret)), 0o600, "{secret}");
    }
    let again = lab.init_again(&[]);
    assert!(stderr(&again).contains("is there already; nothing was written"), "{}", stderr(&again));

    let control = lab.control();
    let url = control.url.as_str();
    let stranger = lab.user(&["status", "--control", url]);
    assert_eq!(stranger.status.code(), Some(1));
    assert!(stderr(&stranger).contains("icefarm login"), "{}", stderr(&stranger));
    let worker_token = lab.path("worker.token");
    let worker = ["worker", "--listen", "127.0.0.1:0", "--control", url, "--name", "bench-1"];
    let boards = ["--sim", "2", "--sim-speed", "50", "--token-file", &worker_token];
    let _worker = Server::start(&[&worker[..], &boards[..]].concat());

    let alice = lab.token(url, &["--role", "client", "--names", "alice-*", "--label", "Alice"]);
    let wrong = lab.login(&[url], "icefarm_x");
    assert!(stderr(&wrong).contains("no access token"), "{}", stderr(&wrong));
    let login = lab.login(&[url], &format!("{alice}\n"));
    assert!(stderr(&login).contains("as a client named alice-*"), "{}", stderr(&login));
    assert_eq!(mode(&lab.home.path().join("icefarm/credentials.toml")), 0o600);
    wait_for("2 boards", || {
        let output = lab.user(&["devices", "--available", "--control", url]);
        (stdout(&output).lines().count() == 2).then_some(())
    });
    // The name is one that the token may use, without being said.
    let pulses = circuit("pulses_1000.bin");
    let read = lab.user(&["evaluate", &pulses, "--json", "--control", url]);
    assert!(stdout(&read).contains("\"pulses\":1000"), "{} {}", stdout(&read), stderr(&read));

    let held = lab.user(&["reserve", "1", "--control", url]);
    let serial = stdout(&held).split_whitespace().next().unwrap().to_owned();
    let bob_file = lab.path("bob.token");
    std::fs::write(&bob_file, lab.token(url, &["--role", "client", "--names", "bob"])).unwrap();
    let bob = |args: &[&str]| run(&[args, &["--control", url, "--token-file", &bob_file]].concat());
    let seen = bob(&["devices", "--json"]);
    assert!(stdout(&seen).contains("\"reserved\"") && !stdout(&seen).contains("alice"));
    let name = stdout(&lab.user(&["devices", "--control", url]))
        .split_whitespace()
        .find(|word| word.starts_with("alice-"))
        .map(str::to_owned)
        .unwrap();
    for deed in [&["end", &serial, "--name", &name][..], &["reboot", &serial], &["audit"]] {
        let refused = bob(deed);
        assert_eq!(refused.status.code(), Some(1), "{deed:?}");
    }
    let audit = lab.operator(&["audit", "--json", "--client", &name, "--control", url]);
    let audit = stdout(&audit);
    assert!(audit.contains("\"reserve\"") && audit.contains("\"forbidden\""), "{audit}");

    let list = stdout(&lab.operator(&["token", "list", "--control", url]));
    let id = list.lines().find(|line| line.contains("Alice")).unwrap();
    let id = id.split_whitespace().next().unwrap();
    let revoked = lab.operator(&["token", "revoke", id, "--control", url]);
    assert!(revoked.status.success(), "{}", stderr(&revoked));
    let over = lab.user(&["status", "--control", url]);
    assert!(stderr(&over).contains("was revoked"), "{}", stderr(&over));
    assert!(lab.user(&["logout", url]).status.success());
}

#[test]
fn a_farm_is_set_up_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    let init = |hosts: &[&str]| {
        let args: Vec<&str> = hosts.iter().flat_map(|host| ["--tls", host]).collect();
        let output = run(&[&["init", "--dir", &dir][..], &args].concat());
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap()).collect();
        assert!(left.is_empty(), "{hosts:?}: {left:?}");
        stderr(&output)
    };
    let twice = init(&["farm", "bench", "bench"]);
    assert!(twice.contains("`bench.pem`") && twice.contains("nothing was written"), "{twice}");
    let own = init(&["ca"]);
    assert!(own.contains("`ca.pem`") && own.contains("nothing was written"), "{own}");
    // With its ending it is too long for the name of a file.
    init(&[&"a".repeat(252)]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_token_that_nobody_saw_is_named_to_be_revoked() {
    let lab = Lab::init(&[]);
    let control = lab.control();
    let token = lab.path("operator.token");
    let create = ["token", "create", "--role", "client", "--names", "bob", "--label", "lost"];
    let farm = ["--control", control.url.as_str(), "--token-file", &token];
    for json in [&[][..], &["--json"]] {
        let output = crate::output::into_nothing(&[&create[..], &farm, json].concat());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert_eq!(text.matches("error: ").count(), 1, "{text}");
        let revoke = text.split("icefarm token revoke ").nth(1).unwrap_or_else(|| panic!("{text}"));
        let id = revoke.split_whitespace().next().unwrap();
        let revoked = run(&[&["token", "revoke", id][..], &farm].concat());
        assert!(stdout(&revoked).contains("(lost) is revoked"), "{}", stderr(&revoked));
    }
}

#[test]
fn the_whole_farm_speaks_tls() {
    let lab = Lab::init(&["--tls", "localhost"]);
    assert_eq!(mode(&lab.folder.path().join("localhost.key")), 0o600);
    let control = lab.control();
    let url = control.url.replace("127.0.0.1", "localhost");
    assert!(url.starts_with("https://localhost:"), "{url}");
    let blind = lab.operator(&["status", "--control", &url]);
    assert!(stderr(&blind).contains("--ca FILE"), "{}", stderr(&blind));
    let other = Lab::init(&["--tls", "localhost"]);
    let wrong = lab.operator(&["status", "--control", &url, "--ca", &other.path("ca.pem")]);
    assert!(stderr(&wrong).contains("did not sign its certificate"), "{}", stderr(&wrong));
    let plain = url.replace("https", "http");
    assert_eq!(lab.operator(&["status", "--control", &plain]).status.code(), Some(1));

    // Freed again, since only the worker's own address can stand in the command.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (listen, at) = (format!("127.0.0.1:{port}"), format!("https://localhost:{port}"));
    let (ca, token) = (lab.path("ca.pem"), lab.path("worker.token"));
    let (certificate, key) = (lab.path("localhost.pem"), lab.path("localhost.key"));
    let _worker = Server::start(&[
        "worker",
        "--listen",
        &listen,
        "--control",
        &url,
        "--name",
        "bench-1",
        "--sim",
        "1",
        "--sim-speed",
        "50",
        "--token-file",
        &token,
        "--ca",
        &ca,
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
        "--advertise",
        &at,
    ]);
    let me = lab.token(&url, &["--role", "client", "--names", "*", "--ca", &ca]);
    let login = lab.login(&[&url, "--ca", &ca], &me);
    assert!(login.status.success(), "{}", stderr(&login));
    wait_for("a board", || {
        let output = lab.user(&["devices", "--available", "--control", &url]);
        (stdout(&output).lines().count() == 1).then_some(())
    });
    let pulses = circuit("pulses_1000.bin");
    let read = lab.user(&["evaluate", &pulses, "--json", "--control", &url]);
    assert!(stdout(&read).contains("\"pulses\":1000"), "{} {}", stdout(&read), stderr(&read));
}

/// A farm in this process, whose tickets last for a moment.
struct Brief {
    control: Endpoint,
    ann: String,
    bob: String,
}

fn token(store: &mut SqliteStore, role: Role, names: &[&str]) -> String {
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    let wanted = CreateToken { role, names, label: None, expires_in_s: None };
    let ids = || uuid::Uuid::new_v4().to_string();
    let (token, kept) = make_token(wanted, SystemClock.now(), &ids).unwrap();
    let tokens = vec![TokenChange::Created(Box::new(kept))];
    store.commit(&Batch { tokens, ..Batch::default() }).unwrap();
    token.as_str().to_owned()
}

impl Brief {
    async fn start(ticket: Duration) -> Self {
        let mut store = SqliteStore::in_memory().unwrap();
        token(&mut store, Role::Operator, &[]);
        let worker_token = token(&mut store, Role::Worker, &["w"]);
        let ann = token(&mut store, Role::Client, &["ann"]);
        let bob = token(&mut store, Role::Client, &["bob"]);
        let mut config = ControlConfig::default();
        config.ticket = ticket;
        let control = Control::builder().store(store).config(config).build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::from(listener.local_addr().unwrap());
        tokio::spawn(control.run(listener, std::future::pending()));
        let bus = VirtualBus::builder().seed("w").boards(1).speed(100.0).build().unwrap();
        let worker = Worker::builder()
            .name("w".parse().unwrap())
            .control(endpoint.to_string())
            .token(worker_token)
            .registry(Registry::collect().unwrap())
            .bus(Arc::new(bus))
            .build()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        tokio::spawn(worker.run(listener, std::future::pending()));
        Self { control: endpoint, ann, bob }
    }

    async fn tickets(&self, token: &str, name: &str) -> Result<Tickets, String> {
        let body = serde_json::json!({"name": name});
        let options = RequestOptions::default().bearer(token);
        let http = HttpClient::default();
        let asked = http.post_json(&self.control, "/v1/tickets", &body, &options).await;
        asked.map_err(|error| error.to_string())
    }

    /// The worker's address and a ticket for it, once it is there.
    async fn ticket(&self, token: &str, name: &str) -> (Endpoint, String) {
        loop {
            let tickets = self.tickets(token, name).await.unwrap().tickets;
            if let Some((url, ticket)) = tickets.into_iter().next() {
                return (url.parse().unwrap(), ticket);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn open(worker: &Endpoint, name: &str, ticket: &str) -> Result<ClientSocket, String> {
    let params = SocketParams::new(name.parse().unwrap(), SubscriberId::new("s").unwrap());
    let opened = ClientSocket::connect(&TcpConnector, worker, params.bearer(ticket)).await;
    opened.map(|(socket, _)| socket).map_err(|error| error.to_string())
}

const LONG: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_for_one_name_and_ends() {
    let farm = Brief::start(Duration::from_secs(5)).await;
    let (worker, _) = farm.ticket(&farm.ann, "ann").await;
    let refused = farm.tickets(&farm.bob, "ann").await.unwrap_err();
    assert!(refused.contains("may not use the client name `ann`"), "{refused}");
    // The answer to its registration, by which it learns of tickets, may still be on its way.
    let refused = async {
        loop {
            let params =
                SocketParams::new("ann".parse().unwrap(), SubscriberId::new("s2").unwrap());
            match ClientSocket::connect(&TcpConnector, &worker, params).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => break error.to_string(),
            }
        }
    };
    let bare = timeout(LONG, refused).await.unwrap();
    assert!(bare.contains("wants a ticket"), "{bare}");
    let (_, ticket) = farm.ticket(&farm.ann, "ann").await;
    let mut socket = open(&worker, "ann", &ticket).await.unwrap();
    let (_, of_bob) = farm.ticket(&farm.bob, "bob").await;
    let other = open(&worker, "ann", &of_bob).await.unwrap_err();
    assert!(other.contains("not for the client name `ann`"), "{other}");
    let token = open(&worker, "ann", &farm.ann).await.unwrap_err();
    assert!(token.contains("the ticket is not valid"), "a token is no ticket: {token}");

    let ended = timeout(LONG, async {
        loop {
            match socket.next().await {
                Ok(Some(_)) => {}
                other => break other,
            }
        }
    });
    let ended = ended.await.unwrap().unwrap_err().to_string();
    assert!(ended.contains("the ticket that let this socket in is over"), "{ended}");
    let late = open(&worker, "ann", &ticket).await.unwrap_err();
    assert!(late.contains("its time is over"), "{late}");
    let (_, another) = farm.ticket(&farm.ann, "ann").await;
    assert!(open(&worker, "ann", &another).await.is_ok());
}

/// Counts the connections to one server.
struct Counting {
    port: u16,
    seen: Arc<AtomicUsize>,
}

impl Connector for Counting {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, std::io::Result<BoxIo>> {
        if endpoint.port() == self.port {
            self.seen.fetch_add(1, Ordering::SeqCst);
        }
        TcpConnector.connect(endpoint)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_renews_its_tickets_and_loses_nothing() {
    use futures::StreamExt as _;
    let farm = Brief::start(Duration::from_secs(5)).await;
    let (worker, _) = farm.ticket(&farm.ann, "ann").await;
    let seen = Arc::new(AtomicUsize::new(0));
    let connector = Counting { port: worker.port(), seen: seen.clone() };
    let client = Client::builder(farm.control.to_string()).name("ann").token(farm.ann.as_str());
    let client = client.connector(Arc::new(connector)).connect().await.unwrap();
    let reserve = async || client.reserve(ReserveOptions::new(1, "pulsecount")).await;
    let reservation = timeout(LONG, async {
        loop {
            match reserve().await {
                Ok(reservation) => break reservation,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    let reservation = reservation.await.unwrap();
    reservation.initialized(LONG).await.unwrap();
    let evaluator = Evaluator::<Untyped>::new(&client, &reservation).unwrap();
    let bitstream = std::fs::read(circuit("pulses_1000.bin")).unwrap();
    let mut rounds = 0;
    timeout(LONG, async {
        // Three sockets, so two tickets that ended amid the work.
        while seen.load(Ordering::SeqCst) < 3 {
            let mut outcomes = evaluator.evaluate([("pulses", bitstream.clone())], Placement::Each);
            let outcome = outcomes.next().await.unwrap();
            assert!(outcome.reading().is_some(), "{outcome:?}");
            assert!(outcomes.next().await.is_none(), "one outcome for each circuit");
            rounds += 1;
        }
    })
    .await
    .unwrap();
    assert!(rounds > 0);
    client.close().await.unwrap();

    let body = serde_json::json!({"amount": 1, "name": "ann", "kind": "pulsecount"});
    let options = RequestOptions::default()
        .bearer(farm.ann.as_str())
        .accept("application/vnd.icefarm.v1+json");
    let http = HttpClient::default();
    let reserved = timeout(LONG, async {
        loop {
            let asked: Result<TicketedReservation, _> =
                http.post_json(&farm.control, "/reserve", &body, &options).await;
            match asked {
                Ok(reserved) => break reserved,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    let reserved = reserved.await.unwrap();
    assert_eq!(reserved.tickets.keys().next(), Some(&reserved.reservation.boards[0].url));
}
