//! Reservations whose answer does not come.

use crate::farm::{Farm, run, stderr, stdout};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// What comes between a client and control, and swallows every answer to a reservation.
struct Swallowing {
    url: String,
}

impl Swallowing {
    /// If it is `then_deaf`, nobody is there any more after the first reservation.
    fn before(control: &str, then_deaf: bool) -> Self {
        let control = control.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if is_reservation(client.unwrap(), &control) && then_deaf {
                    return;
                }
            }
        });
        Self { url }
    }
}

/// Passes one request on, and its answer back unless that is to a reservation.
fn is_reservation(client: TcpStream, control: &str) -> bool {
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    if reader.read_line(&mut head).unwrap() == 0 {
        return false;
    }
    let is_reservation = head.starts_with("POST /reserve ");
    // Control closes when it has answered, so that the end of the answer is seen.
    head.push_str("connection: close\r\n");
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut upstream = TcpStream::connect(control.strip_prefix("http://").unwrap()).unwrap();
    upstream.write_all(head.as_bytes()).unwrap();
    upstream.write_all(&body).unwrap();
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).unwrap();
    if !is_reservation {
        reader.get_mut().write_all(&answer).unwrap();
    }
    is_reservation
}

#[test]
fn boards_whose_grant_is_lost_are_given_back() {
    let farm = Farm::start(1);
    let between = Swallowing::before(&farm.control.url, false);
    let lost = run(&["reserve", "1", "--name", "ann", "--control", &between.url]);
    assert_eq!(lost.status.code(), Some(1));
    assert!(stderr(&lost).contains("did not answer properly"), "{}", stderr(&lost));
    let devices = stdout(&run(&["devices", "--json", "--control", &farm.control.url]));
    assert!(!devices.contains("\"ann\""), "the board stays reserved: {devices}");
    farm.wait_for_boards(1);
}

#[test]
fn boards_that_may_be_reserved_are_told_of() {
    let farm = Farm::start(1);
    let between = Swallowing::before(&farm.control.url, true);
    let lost = run(&["reserve", "1", "--name", "ann", "--control", &between.url]);
    assert_eq!(lost.status.code(), Some(1));
    let text = stderr(&lost);
    for part in ["may be reserved by `ann`", "icefarm devices", "icefarm end SERIAL --name ann"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}
