//! Bodies of requests, as bytes.

use crate::support::{raw, request, start};
use icefarm_net::ServeOptions;

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn json_and_messagepack_are_read_from_get_and_post() {
    let server = start(ServeOptions::default()).await;
    let cases: [(&str, &[u8], &str); 6] = [
        (JSON, b"{\"a\":[1,null,\"\xc3\xbc\"]}", "{\"a\":[1,null,\"ü\"]}\n"),
        ("Content-Type: application/json; charset=utf-8\r\n", b"{}", "{}\n"),
        ("Content-Type: application/msgpack\r\n", b"\x81\xa1a\x92\x01\xc0", "{\"a\":[1,null]}\n"),
        (
            "Content-Type: application/x-msgpack\r\n",
            b"\x81\xa1a\xc4\x01i",
            "{\"a\":{\"base64\":\"aQ==\"}}\n",
        ),
        ("", b"", "null\n"),
        (JSON, b"", "null\n"),
    ];
    for (headers, body, echoed) in cases {
        for method in ["GET", "POST"] {
            let answer = raw(server.address, request(method, "/echo", headers, body)).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, echoed), "{method} {headers}");
        }
    }
}

#[tokio::test]
async fn what_a_page_could_send_without_asking_is_not_taken() {
    let server = start(ServeOptions::default()).await;
    for headers in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: multipart/form-data; boundary=x\r\n",
        "Content-Type: application/json\r\nContent-Type: text/plain\r\n",
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
    ] {
        let answer = raw(server.address, request("POST", "/echo", headers, "{}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (415, "unsupported_media_type"));
        assert!(answer.message().contains("application/json"), "{}", answer.body);
    }
}

#[tokio::test]
async fn broken_bodies_are_told_where_they_are_wrong() {
    let server = start(ServeOptions::default()).await;
    let packed = "Content-Type: application/msgpack\r\n";
    let cases: [(&str, &[u8], &str); 6] = [
        (JSON, b"{\"a\":\n nul}", "not valid JSON: expected ident at line 2 column 5"),
        (JSON, b"{\"a\":1,\"a\":2}", "the key `a` is there twice at line 1 column 13"),
        (JSON, b"[1]", "the body is not an object"),
        (JSON, b"{} x", "trailing characters at line 1 column 4"),
        (packed, b"\x81\xa1a", "not valid MessagePack at byte 3"),
        (packed, b"\x01", "the body is not an object"),
    ];
    for (headers, body, reason) in cases {
        let answer = raw(server.address, request("POST", "/echo", headers, body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"));
        assert!(answer.message().contains(reason), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_body_is_bounded_however_it_comes() {
    let server = start(ServeOptions::default()).await;
    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(1000 - 8));
    let answer = raw(server.address, request("POST", "/echo", JSON, &fits)).await;
    assert_eq!(answer.status, 200);
    let answer = raw(server.address, request("POST", "/echo", JSON, format!("{fits} "))).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));

    let chunked = |body: &str, times: usize| {
        let mut bytes = format!(
            "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{JSON}\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        for _ in 0..times {
            bytes += &format!("{:x}\r\n{body}\r\n", body.len());
        }
        bytes + "0\r\n\r\n"
    };
    let answer = raw(server.address, chunked("   {}   ", 1)).await;
    assert!(answer.body.contains("{}"), "{}", answer.body);
    let answer = raw(server.address, chunked("                    ", 51)).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
}

#[tokio::test]
async fn version_1_answers_are_asked_for() {
    let server = start(ServeOptions::default()).await;
    let accept = "Accept: application/vnd.icefarm.v1+json\r\n";
    assert_eq!(raw(server.address, request("GET", "/v1", accept, "")).await.body, "true\n");
    assert_eq!(raw(server.address, request("GET", "/v1", "", "")).await.body, "false\n");
}
