//! The accept loop, the guard, and the shape of answers.

use crate::support::{parse, raw, request, start};
use icefarm_net::{Guard, Listener, ServeOptions, serve};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

#[tokio::test]
async fn a_python_request_is_answered_in_the_same_bytes_as_ever() {
    let server = start(ServeOptions::default()).await;
    // What `requests.get(url, json={"amount": 1})` writes.
    let python = b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\
        User-Agent: python-requests/2.34.2\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n\
        Connection: close\r\nContent-Length: 13\r\nContent-Type: application/json\r\n\r\n\
        {\"amount\": 1}";
    let answer = raw(server.address, python).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("\r\ncontent-type: application/json\r\n"), "{}", answer.head);
    assert!(answer.head.contains("\r\ncontent-length: 13\r\n"), "{}", answer.head);
    assert_eq!(answer.body, "{\"amount\":1}\n");
}

#[tokio::test]
async fn every_error_has_the_same_shape() {
    let server = start(ServeOptions::default()).await;
    for (method, path, status, code) in [
        ("GET", "/nothing", 404, "not_found"),
        ("DELETE", "/echo", 405, "method_not_allowed"),
        ("GET", "/fails", 409, "not_enough_devices"),
        ("GET", "/panics", 500, "internal"),
    ] {
        let answer = raw(server.address, request(method, path, "", "")).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    }
}

#[tokio::test]
async fn a_panic_does_not_end_its_connection() {
    let server = start(ServeOptions::default()).await;
    let two = b"GET /panics HTTP/1.1\r\nHost: localhost\r\n\r\n\
        GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = raw(server.address, two).await;
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("HTTP/1.1 200 OK"), "{}", answer.body);
    assert!(!answer.body.contains("on purpose"), "{}", answer.body);
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_before_any_route() {
    let mut options = ServeOptions::default();
    options.guard = Guard::default().allow_host("farm.example").unwrap();
    let server = start(options).await;
    for (headers, status, code) in [
        ("Host: evil.example\r\n", 403, "forbidden"),
        ("Host: localhost\r\nOrigin: http://evil.example\r\n", 403, "forbidden"),
        ("Host: localhost\r\nOrigin: null\r\n", 403, "forbidden"),
        ("", 400, "bad_request"),
        ("Host: localhost\r\nHost: localhost\r\n", 400, "bad_request"),
        ("Host: user@localhost\r\n", 400, "bad_request"),
    ] {
        for path in ["/echo", "/nothing"] {
            let bytes = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
            let answer = raw(server.address, bytes).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{headers}");
        }
    }
    for headers in [
        "Host: farm.example:8080\r\n",
        "Host: [::1]:8080\r\nOrigin: http://[::1]:8080\r\n",
        "Host: 127.0.0.1:8080\r\nOrigin: http://127.0.0.1:8080\r\n",
    ] {
        let bytes = format!("GET /echo HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        assert_eq!(raw(server.address, bytes).await.status, 200, "{headers}");
    }
}

#[tokio::test]
async fn a_request_knows_where_it_comes_from() {
    let server = start(ServeOptions::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&request("GET", "/peer", "", "")).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(parse(&bytes).body, format!("\"{}\"\n", stream.local_addr().unwrap()));
}

#[tokio::test]
async fn connections_over_the_limit_are_told_so() {
    let mut options = ServeOptions::default();
    options.max_connections = 1;
    let server = start(options).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut some = [0; 20];
    first.read_exact(&mut some).await.unwrap();

    let answer = raw(server.address, request("GET", "/echo", "", "")).await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "overloaded"));

    // The place comes back with the end of the first connection; there is no telling when.
    drop(first);
    loop {
        let answer = raw(server.address, request("GET", "/echo", "", "")).await;
        if answer.status == 200 {
            break;
        }
    }
}

#[tokio::test]
async fn the_end_waits_for_answers_and_not_for_idle_connections() {
    let server = start(ServeOptions::default()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut some = [0; 20];
    idle.read_exact(&mut some).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    let headers = "Content-Type: application/json\r\nExpect: 100-continue\r\n";
    let head = request("POST", "/echo", headers, "{}");
    busy.write_all(&head[..head.len() - 2]).await.unwrap();
    // The server asks for the body: the request is being answered.
    let mut go_on = [0; 25];
    busy.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    server.stop.send(()).unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(!server.ended.is_finished());
    busy.write_all(b"{}").await.unwrap();
    let mut bytes = Vec::new();
    busy.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(parse(&bytes).body, "{}\n");
    server.ended.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

/// A listener whose `accept` does what it is told.
struct Told(VecDeque<io::Error>, mpsc::Receiver<DuplexStream>);

impl Listener for Told {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        if let Some(error) = self.0.pop_front() {
            return Err(error);
        }
        match self.1.recv().await {
            Some(io) => Ok((io, ([127, 0, 0, 1], 1).into())),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], 1).into())
    }
}

fn told(errors: impl Into<VecDeque<io::Error>>) -> mpsc::Sender<DuplexStream> {
    telling("hello".to_owned(), errors)
}

fn telling(text: String, errors: impl Into<VecDeque<io::Error>>) -> mpsc::Sender<DuplexStream> {
    let (connect, connections) = mpsc::channel(1);
    let service = warp::service(warp::Filter::map(warp::any(), move || text.clone()));
    let listener = Told(errors.into(), connections);
    tokio::spawn(serve(listener, service, ServeOptions::default(), std::future::pending()));
    connect
}

#[tokio::test(start_paused = true)]
async fn errors_of_accept_do_not_end_the_server() {
    // Linux: 103 ECONNABORTED, 24 EMFILE, 12 ENOMEM.
    let errors = [103, 24, 24, 12, 24].map(io::Error::from_raw_os_error);
    let connect = told(errors);
    let (mut ours, theirs) = tokio::io::duplex(10_000);
    connect.send(theirs).await.unwrap();
    ours.write_all(&request("GET", "/", "", "")).await.unwrap();
    let mut bytes = Vec::new();
    ours.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(parse(&bytes).body, "hello");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_ended() {
    let connect = told([]);
    for begun in [&b""[..], b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let (mut ours, theirs) = tokio::io::duplex(10_000);
        connect.send(theirs).await.unwrap();
        ours.write_all(begun).await.unwrap();
        let before = tokio::time::Instant::now();
        let mut bytes = Vec::new();
        ours.read_to_end(&mut bytes).await.unwrap();
        assert!(before.elapsed() >= Duration::from_secs(29), "{:?}", before.elapsed());
        assert!(before.elapsed() <= Duration::from_secs(31), "{:?}", before.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn who_never_reads_its_answer_is_cut_and_who_reads_slowly_is_not() {
    let connect = telling("x".repeat(10_000), []);
    let (mut deaf, theirs) = tokio::io::duplex(1000);
    connect.send(theirs).await.unwrap();
    deaf.write_all(&request("GET", "/", "", "")).await.unwrap();
    let (mut slow, theirs) = tokio::io::duplex(1000);
    connect.send(theirs).await.unwrap();
    slow.write_all(&request("GET", "/", "", "")).await.unwrap();
    let (mut got, mut piece) = (0, [0; 500]);
    loop {
        tokio::time::sleep(Duration::from_secs(50)).await;
        match slow.read(&mut piece).await.unwrap() {
            0 => break,
            count => got += count,
        }
    }
    assert!(got > 10_000, "{got}");
    let mut bytes = Vec::new();
    deaf.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes.len(), 1000, "nothing was written after the first bytes");
}
