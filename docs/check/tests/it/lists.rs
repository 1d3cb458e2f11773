//! What the programs know by name is in the document, and the other way round.

use crate::farm;
use icefarm_control::ControlConfig;
use icefarm_core::wire::{BoardStatus, ErrorCode, Happening};
use icefarm_docs_check::{Document, Schemas, Wiretap, paths};
use icefarm_net::{BodyLimits, HubConfig, MAX_MESSAGE, ServeOptions};
use icefarm_worker::WorkerConfig;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn source(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Rust sources of the crates under a folder, without their tests.
fn rust_files(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(std::fs::read_to_string(&path).unwrap());
        }
    }
    files
}

/// What stands between `start` and `end`, wherever that is.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    let after = text.split(start).skip(1);
    after.filter_map(|rest| rest.split_once(end).map(|(found, _)| found)).collect()
}

/// The paths of the tables: server, method, path.
pub(crate) fn documented(document: &Document) -> Vec<(&'static str, String, String)> {
    let mut server = "control";
    let mut found = Vec::new();
    for (cell, _) in document.first_cells() {
        match cell {
            "path" | "path of control" => server = "control",
            "path of the worker" => server = "worker",
            _ => {}
        }
        if let Some((method, path)) = cell.split_once(' ')
            && path.starts_with('/')
        {
            found.push((server, method.to_owned(), path.to_owned()));
        }
    }
    found
}

#[test]
fn every_code_of_an_error_is_in_the_document_with_its_status() {
    let (document, schemas) = (Document::protocol().unwrap(), Schemas::load().unwrap());
    let rows: Vec<(&str, u16)> = document
        .first_cells()
        .filter_map(|(code, rest)| Some((code, rest.split('|').next()?.trim().parse().ok()?)))
        .filter(|(code, status)| (400..600).contains(status) && !code.contains(' '))
        .collect();
    let codes: Vec<(&str, u16)> =
        ErrorCode::ALL.iter().map(|code| (code.as_str(), code.status())).collect();
    assert_eq!(rows, codes);
    for (code, _) in codes {
        schemas.check("common#code", &Json::from(code)).unwrap();
    }
}

/// The paths that a file of routes has, with `*` for what may be anything.
fn routed(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for inside in between(text, "path!(", ")") {
        let words = inside.split('/').map(|word| word.trim().trim_matches('"'));
        let words = words.map(|word| if word == "String" { "*" } else { word });
        found.push(format!("/{}", words.collect::<Vec<_>>().join("/")));
    }
    for start in ["(context, \"", "(&api, \""] {
        found.extend(between(text, start, "\"").into_iter().map(|word| format!("/{word}")));
    }
    found
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('/'), path.split('/'));
    pattern.clone().count() == path.clone().count()
        && pattern.zip(path).all(|(pattern, word)| pattern == "*" || pattern == word)
}

#[test]
fn every_path_of_the_servers_is_in_the_document() {
    let documented = documented(&Document::protocol().unwrap());
    let mut routes = Vec::new();
    for text in rust_files(&root().join("icefarm-control/src/routes")) {
        routes.extend(routed(&text).into_iter().map(|path| ("control", path)));
        // What an operator does is told by the last word.
        for line in text.lines().filter(|line| line.contains("=> Act::")) {
            let words = between(line, "\"", "\"");
            routes.extend(words.iter().map(|word| ("control", format!("/v1/boards/*/{word}"))));
        }
    }
    let api = source("icefarm-worker/src/api.rs");
    routes.extend(routed(&api).into_iter().map(|path| ("worker", path)));
    for server in ["control", "worker"] {
        routes
            .extend(routed(&source("icefarm-net/src/upgrade.rs")).into_iter().map(|p| (server, p)));
    }
    assert!(routes.len() > 30, "{routes:?}");
    for (server, route) in &routes {
        let known = documented.iter().any(|(at, _, path)| at == server && fits(route, path));
        assert!(known, "docs/protocol.md lacks the path {route} of {server}");
    }
    for (server, path) in paths() {
        let known = documented.iter().any(|(at, _, known)| *at == server && known == path);
        assert!(known, "docs/protocol.md lacks the path {path} of {server}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_of_the_document_is_there() {
    let wiretap = Wiretap::new();
    let control = farm::control(&wiretap, ControlConfig::default()).await;
    let (worker, _bus) = farm::worker(&wiretap, &control, "w", 1).await;
    for (server, method, path) in documented(&Document::protocol().unwrap()) {
        if path == "/assets/NAME" {
            continue;
        }
        let server = if server == "worker" { &worker } else { &control };
        // Nothing is changed: bodies are missing.
        let (status, answer) = server.ask(&method, &path, None).await;
        let nothing = answer["error"]["message"] == "there is nothing under this path";
        assert!(!nothing && status != 405, "{method} {path}: {status} {answer}");
    }
    worker.stop().await;
    control.stop().await;
}

#[test]
fn every_event_has_a_schema() {
    let schemas = Schemas::load().unwrap();
    let names: BTreeSet<&str> = schemas.names().collect();
    let text = source("icefarm-core/src/wire/frame.rs");
    let events = between(&text, ": &str = \"", "\";");
    assert!(events.contains(&"initialized") && events.len() > 10, "{events:?}");
    for event in events.into_iter().filter(|word| !["1.0", "meta", "ack"].contains(word)) {
        let schema = format!("events#{}", event.replace(' ', "_"));
        assert!(names.contains(schema.as_str()), "docs/schema has no {schema}");
    }
}

#[test]
fn every_word_of_a_list_is_in_its_schema_and_in_the_document() {
    let (document, schemas) = (Document::protocol().unwrap(), Schemas::load().unwrap());
    let has = |word: &str| document.text().contains(&format!("`{word}`"));
    for status in BoardStatus::ALL {
        schemas.check("common#status", &Json::from(status.as_str())).unwrap();
        assert!(has(status.as_str()), "the document lacks {status}");
    }
    for what in Happening::ALL {
        schemas.check("journal#happening", &Json::from(what.as_str())).unwrap();
    }
    let text = source("icefarm-control/src/machine/change.rs");
    let (_, reasons) = text.split_once("pub fn word(").unwrap();
    let reasons = between(reasons.split_once("pub fn").unwrap().0, "=> \"", "\"");
    assert!(reasons.len() >= 8, "{reasons:?}");
    for reason in reasons {
        let event =
            json!({"event": "reservation end", "lease": 1, "reason": reason, "message": ""});
        schemas.check("events#reservation_end", &event).unwrap();
        assert!(has(reason), "the document lacks the reason {reason}");
    }
    let text = source("icefarm-control/src/machine/queue.rs");
    let (_, reasons) = text.split_once("pub fn as_str(").unwrap();
    let reasons = between(reasons.split_once("impl").unwrap().0, "=> \"", "\"");
    assert!(reasons.len() >= 5, "{reasons:?}");
    for reason in reasons.into_iter().filter(|reason| *reason != "granted") {
        let event = json!({"event": "reservation not granted", "request": "q", "reservation": "r",
            "reason": reason, "message": ""});
        schemas.check("events#reservation_not_granted", &event).unwrap();
        assert!(has(reason), "the document lacks the reason {reason}");
    }
    let client = source("icefarm-client/src/loss.rs");
    let states = rust_files(&root().join("states"));
    let boards: BTreeSet<&str> = states
        .iter()
        .flat_map(|text| between(text, "\"board_", "\""))
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect();
    assert!(boards.len() >= 4, "{boards:?}");
    let boards: Vec<String> = boards.iter().map(|word| format!("board_{word}")).collect();
    let codes = between(&client, "&str = \"", "\"").into_iter();
    let codes: Vec<&str> = codes.chain(boards.iter().map(String::as_str)).collect();
    assert!(codes.len() >= 14, "{codes:?}");
    for code in codes {
        assert!(has(code), "the document lacks the code {code}");
    }
}

#[test]
fn every_close_code_is_in_the_document() {
    let document = Document::protocol().unwrap();
    let known: BTreeSet<&str> = document.first_cells().map(|(cell, _)| cell).collect();
    let mut seen = BTreeSet::new();
    for file in ["hub/mod.rs", "hub/session.rs", "feed.rs"] {
        let text = source(&format!("icefarm-net/src/{file}"));
        for rest in text.split("CloseCode::").skip(1) {
            let name = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap();
            let code = match name {
                "Away" => "1001",
                "Protocol" => "1002",
                "Invalid" => "1007",
                "Policy" => "1008",
                "Size" => "1009",
                "Again" => "1013",
                other => panic!("{file} closes with {other}, which this test has no number for"),
            };
            assert!(known.contains(code), "the document lacks the close code {code} ({name})");
            seen.insert(code);
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
}

#[test]
fn the_limits_and_times_are_those_of_the_programs() {
    let document = Document::protocol().unwrap();
    let (hub, serve, body) = (HubConfig::default(), ServeOptions::default(), BodyLimits::default());
    let (control, worker) = (ControlConfig::default(), WorkerConfig::default());
    let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
    let s = |time: Duration| time.as_secs().to_string();
    let large = {
        let digits = MAX_MESSAGE.to_string();
        format!("{},{},{}", &digits[..2], &digits[2..5], &digits[5..])
    };
    assert_eq!(hub.max_message, MAX_MESSAGE);
    let rules = control.rules;
    for line in [
        format!("| body of a request, control | {} |", mib(control.body.bytes)),
        format!("| body of a request, worker | {large} bytes, "),
        format!("| time for a body to arrive | {} s |", s(body.time)),
        format!("idle connection | {} s |", s(serve.header_timeout)),
        format!("websockets included | {} |", serve.max_connections),
        format!("control's websocket | {} |", mib(control.sockets.max_message)),
        format!("a worker's websocket | {large} bytes |"),
        format!("decompressed | {large} bytes |"),
        format!("lists and objects | {} |", hub.codec.depth),
        format!(
            "not done with | {} a worker, {} control",
            mib(hub.memory),
            mib(control.sockets.memory)
        ),
        format!("under way | {} |", hub.in_flight),
        format!("| commands that wait at a board | {}, ", worker.lease.commands),
        format!("written to a socket | {} |", mib(hub.unwritten)),
        format!("for a subscriber | 1024, and {} |", mib(hub.remembered)),
        format!("for a client name | {} |", mib(hub.outbox.bytes)),
        format!("that are away | {} |", hub.outbox.remembered),
        format!("with a stream | {} a server |", hub.max_clients),
        format!("control every {} s, a worker every {} s", s(control.sockets.ping), s(hub.ping)),
        format!("was heard for {} s is closed", s(hub.silence)),
        format!("extended; {} s unless asked for", s(rules.default_ttl)),
        format!("is taken over, for {} s", s(rules.startup_grace)),
        format!(
            "| every {} s, each may take {} s |",
            s(control.heartbeat),
            s(control.heartbeat_timeout)
        ),
        format!("silent for {} s", s(rules.lost_after)),
        format!("lost or stopped for {} days", rules.forget_worker_after.as_secs() / 86_400),
        format!("its end and {} minutes more", worker.lease.linger.as_secs() / 60),
        format!("come back within {} s", s(worker.board.grace)),
        format!("waits for its leases | {} s (`--drain`)", s(worker.drain)),
        format!("its boards have {} s to be back", s(worker.shutdown)),
        format!("`request` is remembered | {} h |", rules.remember_requests.as_secs() / 3600),
        format!("no longer than {} s after its last sign of life", s(rules.wait_silence)),
        format!("| requests that wait, in all | {} |", rules.waiting),
        format!("| requests that wait, of one client | {} |", rules.waiting_each),
        format!("is remembered | {} minutes |", hub.outbox.away.as_secs() / 60),
        format!(
            "{} s; `start` and `reboot` {} s, `exit` {} s",
            s(worker.lease.hook),
            s(worker.lease.start),
            s(worker.lease.exit)
        ),
    ] {
        assert!(document.text().contains(&line), "docs/protocol.md does not say: {line}");
    }
}

/// The text of a heading as a link names it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || "- _".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
            .map(|page| root().join(page))
            .to_vec();
    pages.extend(root().join("docs").read_dir().unwrap().map(|entry| entry.unwrap().path()));
    for page in pages.iter().filter(|page| page.extension().is_some_and(|e| e == "md")) {
        let text = std::fs::read_to_string(page).unwrap();
        for link in between(&text, "](", ")") {
            if link.starts_with("http") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { page.clone() } else { page.with_file_name("").join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            let there = heading.is_empty()
                || std::fs::read_to_string(&target).unwrap().lines().any(|line| {
                    line.starts_with('#') && anchor(line.trim_start_matches('#')) == heading
                });
            assert!(there, "{}: {link} names no heading", page.display());
        }
    }
}

#[test]
fn every_file_of_the_architecture_is_there() {
    let mut files = BTreeSet::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && !name.starts_with("target") {
                folders.push(path.clone());
            }
            files.insert(path.to_string_lossy().into_owned());
        }
    }
    let text = source("ARCHITECTURE.md");
    let (_, guide) = text.split_once("## Where do I look").unwrap();
    let (guide, _) = guide.split_once("\n## ").unwrap();
    let mut checked = 0;
    for line in guide.lines() {
        let named = line.split('`').skip(1).step_by(2);
        for name in named.filter(|name| name.ends_with(".rs") || name.ends_with('/')) {
            let end = format!("/{}", name.trim_end_matches('/'));
            let there = files.iter().any(|file| file.ends_with(&end));
            assert!(there, "ARCHITECTURE.md names `{name}`, which there is not");
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked}");
}
