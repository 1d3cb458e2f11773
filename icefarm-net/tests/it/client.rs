//! The HTTP client against our server, and against servers that misbehave.

use crate::support::start;
use futures::future::BoxFuture;
use icefarm_core::wire::ErrorCode;
use icefarm_net::{
    BoxIo, Connector, Endpoint, HttpClient, HttpError, RequestOptions, ServeOptions, TcpConnector,
};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Counts connections.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Connector for Counting {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        TcpConnector.connect(endpoint)
    }
}

fn options() -> RequestOptions {
    RequestOptions::default()
}

#[tokio::test]
async fn bodies_go_there_and_back_over_one_connection() {
    let server = start(ServeOptions::default()).await;
    let endpoint = server.address.into();
    let counting = Arc::new(Counting::default());
    let client = HttpClient::new(counting.clone());
    for n in 0..5 {
        let body = json!({"n": n, "text": "ü"});
        let answer: Value = client.post_json(&endpoint, "/echo", &body, &options()).await.unwrap();
        assert_eq!(answer, body);
    }
    let answer: Value = client.get_json(&endpoint, "/v1", &options()).await.unwrap();
    assert_eq!(answer, json!(false));
    assert_eq!(counting.0.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_error_of_the_server_arrives_as_it_was_meant() {
    let server = start(ServeOptions::default()).await;
    let client = HttpClient::default();
    let error =
        client.get_json::<Value>(&server.address.into(), "/fails", &options()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotEnoughDevices));
    let url = format!("http://{}/fails", server.address);
    assert_eq!(error.to_string(), format!("{url}: 2 wanted, 1 is free"));
    let HttpError::Answer { status, .. } = error else { panic!("{error}") };
    assert_eq!(status, 409);
}

#[tokio::test]
async fn what_cannot_be_asked_is_said_at_once() {
    let client = HttpClient::default();
    let endpoint: Endpoint = "http://127.0.0.1:1".parse().unwrap();
    let error = |path: &'static str, options: RequestOptions| {
        let (client, endpoint) = (client.clone(), endpoint.clone());
        async move { client.get_json::<Value>(&endpoint, path, &options).await.unwrap_err() }
    };
    assert!(matches!(error("/", options()).await, HttpError::Connect { .. }));
    assert!(matches!(error("x", options()).await, HttpError::Request { .. }));
    assert!(matches!(error("/a b", options()).await, HttpError::Request { .. }));
    let odd = options().bearer("a\nb");
    assert!(!format!("{odd:?}").contains("a\\nb"));
    assert!(matches!(error("/", odd).await, HttpError::Request { .. }));
}

/// Answers each connection with the bytes given for it, after its request's head has come.
async fn answering(answers: Vec<&'static [u8]>) -> Endpoint {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = listener.local_addr().unwrap().into();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                seen.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer).await.unwrap();
        }
    });
    endpoint
}

#[tokio::test]
async fn a_strange_answer_is_an_error_with_its_reason() {
    let client = HttpClient::default().max_answer(50);
    for (bytes, reason) in [
        (&b""[..], "connection closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", "broke off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhey!", "not the JSON that was expected"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\n[                        \
           ]                                   ",
            "more than 50 bytes",
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 7\r\n\r\n<html>\n",
            "502 Bad Gateway: <html>",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "broke"),
    ] {
        let endpoint = answering(vec![bytes]).await;
        let error = client.get_json::<Value>(&endpoint, "/", &options()).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.to_string().starts_with(&format!("{endpoint}/")), "{error}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced() {
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n7";
    // The server closes after each answer without saying so.
    let endpoint = answering(vec![ok; 3]).await;
    let counting = Arc::new(Counting::default());
    let client = HttpClient::new(counting.clone());
    for _ in 0..3 {
        let answer: u32 = client.get_json(&endpoint, "/", &options()).await.unwrap();
        assert_eq!(answer, 7);
    }
    assert_eq!(counting.0.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_request_that_was_sent_is_not_repeated() {
    // The connection ends when the second request on it has been read.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = listener.local_addr().unwrap().into();
    let seen = Arc::new(AtomicUsize::new(0));
    let heads = seen.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in [&b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n7"[..], b""] {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                heads.fetch_add(1, Ordering::Relaxed);
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    let client = HttpClient::default();
    client.get_json::<u32>(&endpoint, "/", &options()).await.unwrap();
    let error = client.get_json::<u32>(&endpoint, "/", &options()).await.unwrap_err();
    assert!(matches!(error, HttpError::Protocol { .. }), "{error}");
    assert_eq!(seen.load(Ordering::Relaxed), 2);
}

/// Connects to nobody.
struct Deaf;

impl Connector for Deaf {
    fn connect<'a>(&'a self, _endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            let (ours, theirs) = tokio::io::duplex(100);
            tokio::spawn(async move {
                let _open = theirs;
                std::future::pending::<()>().await;
            });
            Ok(Box::new(ours) as BoxIo)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let client = HttpClient::new(Arc::new(Deaf));
    let endpoint = "http://localhost:1".parse().unwrap();
    let options = options().timeout(Duration::from_secs(3));
    let before = tokio::time::Instant::now();
    let error = client.get_json::<Value>(&endpoint, "/x", &options).await.unwrap_err();
    assert_eq!(error.to_string(), "http://localhost:1/x did not answer within 3s");
    assert_eq!(before.elapsed(), Duration::from_secs(3));
}
