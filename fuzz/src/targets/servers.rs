//! Whole servers, asked over TCP.

use futures::future::BoxFuture;
use icefarm_control::Control;
use icefarm_core::{Registry, WorkerName};
use icefarm_docs_check::Document;
use icefarm_net::{BoxIo, Connector, Endpoint, HttpClient, Listener};
use icefarm_sim::VirtualBus;
use icefarm_worker::Worker;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;

type Checked = Result<(), String>;

/// No other answer takes so long; it keeps a server that hangs from hanging everything.
const LONG: Duration = Duration::from_secs(60);
/// Some requests wait for boards or events, and are not waited for.
const SHORT: Duration = Duration::from_millis(500);
/// What the worker's secret is made of.
const ID: &str = "00000000-0000-4000-8000-000000000000";

/// Nobody is reached: workers register here that were made up, with any address.
struct Nowhere;

impl Connector for Nowhere {
    fn connect<'a>(&'a self, _: &'a Endpoint) -> BoxFuture<'a, std::io::Result<BoxIo>> {
        Box::pin(std::future::ready(Err(std::io::ErrorKind::ConnectionRefused.into())))
    }
}

struct Farm {
    runtime: Runtime,
    control: SocketAddr,
    worker: SocketAddr,
}

static FARM: LazyLock<Farm> = LazyLock::new(|| {
    use icefarm_state_pulse_count as _;
    let runtime = Runtime::new().expect("a runtime");
    let (control, worker) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let control = listener.local_addr().expect("an address");
        let control_builder =
            Control::builder().in_memory().http(HttpClient::new(Arc::new(Nowhere)));
        let server = control_builder.build().expect("a control server");
        tokio::spawn(server.run(listener, std::future::pending()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let worker = Listener::local_addr(&listener).expect("an address");
        let bus = VirtualBus::builder().seed("fuzz").boards(2).speed(1000.0).build();
        let server = Worker::builder()
            .name(WorkerName::new("fuzz").expect("a name"))
            .control(format!("http://{control}"))
            .registry(Registry::collect().expect("kinds"))
            .bus(Arc::new(bus.expect("a bus")))
            .ids(|| ID.to_owned())
            .build()
            .expect("a worker");
        tokio::spawn(server.run(listener, std::future::pending()));
        (control, worker)
    });
    Farm { runtime, control, worker }
});

/// A request as text: the method and the target in the first line, then the body.
fn samples(paths: &[&str]) -> Vec<Vec<u8>> {
    let document = Document::protocol().expect("the document is in the repository");
    let bodies: Vec<String> =
        document.samples().iter().map(|sample| sample.value.to_string()).collect();
    let about = |path: &str| {
        let (_, path) = path.split_once(' ').unwrap_or(("", path));
        let word = path.rsplit('/').next().unwrap_or_default().to_owned();
        document
            .samples()
            .iter()
            .filter(move |sample| sample.schema.ends_with(&word))
            .map(|sample| sample.value.to_string())
    };
    let mut requests = Vec::new();
    for path in paths {
        let fitting: Vec<String> = about(path).collect();
        let bodies = if fitting.is_empty() { &bodies[..bodies.len().min(6)] } else { &fitting };
        requests.extend(bodies.iter().map(|body| format!("{path}\n{body}").into_bytes()));
    }
    requests
}

pub(super) fn control_samples() -> Vec<Vec<u8>> {
    samples(&[
        "POST /reserve",
        "POST /reserveserials",
        "POST /extend",
        "POST /extendall",
        "POST /end",
        "POST /endall",
        "POST /reboot",
        "GET /v1/events?after=3&limit=10",
        "GET /v1/boards/A",
        "POST /v1/boards/A/end",
        "POST /v1/workers/x/forget",
        "GET /devices",
        "GET /v1/status",
        "POST /worker/register",
        "POST /worker/boards",
    ])
}

pub(super) fn worker_samples() -> Vec<Vec<u8>> {
    samples(&["POST /reserve", "POST /extend", "POST /end", "POST /reboot", "GET /ws?client_id=a"])
}

pub(super) fn control(input: &[u8]) -> Checked {
    ask(FARM.control, "", input)
}

pub(super) fn worker(input: &[u8]) -> Checked {
    ask(FARM.worker, &format!("authorization: Bearer {ID}{ID}\r\n"), input)
}

fn ask(server: SocketAddr, headers: &str, input: &[u8]) -> Checked {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let length = body.len();
    let head = format!(
        " HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}connection: \
         close\r\ncontent-length: {length}\r\n\r\n"
    );
    let request = [line, head.as_bytes(), body].concat();
    let (answer, alive) = FARM.runtime.block_on(async {
        let asked = async {
            let mut stream = TcpStream::connect(server).await?;
            // One that is refused early may be closed before all of it is written.
            let _ = stream.write_all(&request).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            std::io::Result::Ok(answer)
        };
        let answer = timeout(SHORT, asked).await;
        let alive = answer.is_ok() || timeout(LONG, is_well(server)).await.unwrap_or(false);
        (answer, alive)
    });
    if !alive {
        return Err("the server hangs".into());
    }
    let Ok(answer) = answer else { return Ok(()) };
    let answer = answer.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&answer);
    // What is no HTTP is cut off.
    let Some(status) = text.split(' ').nth(1).and_then(|word| word.parse::<u16>().ok()) else {
        return Ok(());
    };
    if status >= 500 && status != 503 {
        return Err(format!("status {status}: {text}"));
    }
    let Some((_, body)) = text.split_once("\r\n\r\n") else { return Ok(()) };
    if status >= 400 && !body.is_empty() {
        let error: serde_json::Value =
            serde_json::from_str(body).map_err(|error| format!("{status}, {error}: {text}"))?;
        let said = error["error"]["message"].as_str().unwrap_or_default();
        return super::messages::clear(said);
    }
    Ok(())
}

/// Whether a server answers.
async fn is_well(server: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(server).await?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    asked.await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
